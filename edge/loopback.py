"""Broker, desk and uplink around one mailbox, over real sockets on this computer.

The broker and the uplink run as processes of their own, the desk in a thread: the same code as on
an aircraft and in a centre.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from edge.config_delivery import MqttConfig
from edge.desk.broker import EmbeddedBroker
from edge.desk.receiver import CommittedAlert, run_desk
from edge.records import UtcNs
from edge.report.mailbox import Mailbox
from edge.settings import Settings
from edge.supervise import skywhistle
from edge.toml_text import patrol_as_toml

_STOP_GRACE_S = 10.0
_LOOK_S = 0.05


@dataclass(slots=True)
class Ledger:
    """When each alert was stored aboard and when the desk had it; the same computer's clock."""

    stored_ns: dict[int, int] = field(default_factory=dict)  # by seq
    committed_ns: dict[int, int] = field(default_factory=dict)
    commits: list[CommittedAlert] = field(default_factory=list)

    def store(self, seq: int) -> None:
        """Note that the mailbox has an alert."""
        self.stored_ns[seq] = time.monotonic_ns()

    def commit(self, committed: CommittedAlert) -> None:
        """Note that the desk has it."""
        self.committed_ns.setdefault(committed.seq, time.monotonic_ns())
        self.commits.append(committed)

    def latencies_s(self) -> dict[int, float]:
        """Return outbox → commit by seq, for each alert that both have."""
        return {
            seq: max(0, self.committed_ns[seq] - stored_ns) * 1e-9
            for seq, stored_ns in self.stored_ns.items()
            if seq in self.committed_ns
        }


@contextmanager
def ground_station(
    settings: Settings,
    out: Path,
    on_commit: Callable[[CommittedAlert], None],
    utc_ns: Callable[[], UtcNs],
) -> Iterator[Settings]:
    """Deliver this mailbox's messages to a desk for as long as the `with` block lasts.

    Args:
        settings: Mailbox, evidence, drone id; the broker's address in them is not used.
        out: Gets `desk.db`, `patrol.toml` and `uplink.log`.
        on_commit: Told of each alert after its commit, in the desk's thread.
        utc_ns: The desk's clock.

    Yields:
        The settings with the broker's address.

    Raises:
        MissingExtraError: The embedded broker is not installed.
        BrokerError: It does not start.
    """
    with EmbeddedBroker() as broker:
        patrol = settings.patrol.model_copy(update={"mqtt": broker.config()})
        here = Settings(patrol, settings.path, settings.config_hash)
        arguments = (patrol.mqtt, out / "desk.db", on_commit, utc_ns)
        with _desk(*arguments), _uplink(here, out):
            yield here


def wait_for_delivery(mailbox: Mailbox, grace_s: float) -> int:
    """Wait until the outbox is empty, or the grace is over; return how many are left."""
    deadline = time.monotonic() + grace_s
    while (left := mailbox.queue_state().queued) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    return left


@contextmanager
def _desk(
    mqtt: MqttConfig,
    database: Path,
    on_commit: Callable[[CommittedAlert], None],
    utc_ns: Callable[[], UtcNs],
) -> Iterator[None]:
    stop = threading.Event()
    arguments = (mqtt, database, on_commit, stop, utc_ns)
    desk = threading.Thread(target=run_desk, args=arguments, name="desk", daemon=True)
    desk.start()
    try:
        yield
    finally:
        stop.set()
        desk.join(_STOP_GRACE_S)


@contextmanager
def _uplink(settings: Settings, out: Path) -> Iterator[None]:
    """Run `skywhistle uplink` on this mailbox, as an aircraft does."""
    config = out / "patrol.toml"
    config.write_text(patrol_as_toml(settings.patrol), encoding="utf-8")
    with (out / "uplink.log").open("w") as log:
        child = subprocess.Popen(skywhistle("uplink", str(config)), stderr=log, stdout=log)
        try:
            yield
        finally:
            stop_child(child)


def stop_child(child: subprocess.Popen[bytes]) -> None:
    """Ask a child to end; kill it if it does not."""
    child.terminate()
    try:
        child.wait(_STOP_GRACE_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
