"""The demo: a recorded patrol through the pipeline, a real broker, a real uplink and a desk.

The flight runs in this process, the broker and the uplink as processes of their own, the desk in
a thread: the same code as on an aircraft and in a centre, over real sockets on loopback.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from edge.capture.recording import RecordedFlight
from edge.desk.broker import EmbeddedBroker
from edge.desk.receiver import CommittedAlert, run_desk
from edge.records import Frame, Tick, UtcNs
from edge.replay import ReplayRequest, ReplayResult, replay
from edge.settings import Settings
from edge.stages import Stored
from edge.supervise import skywhistle

_DELIVERY_GRACE_S = 20.0
_STOP_GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """What is flown, and who is told on the way."""

    recorded: RecordedFlight
    settings: Settings
    out: Path
    on_event: Callable[[Frame | Tick], None]
    on_commit: Callable[[CommittedAlert], None]
    utc_ns: Callable[[], UtcNs]


@dataclass(slots=True)
class Ledger:
    """When each alert was stored aboard and when the desk had it; the same computer's clock."""

    stored_ns: dict[int, int] = field(default_factory=dict)  # by seq
    committed_ns: dict[int, int] = field(default_factory=dict)
    commits: list[CommittedAlert] = field(default_factory=list)

    def store(self, stored: Stored) -> None:
        """Note that the mailbox has an alert."""
        self.stored_ns[stored.seq] = time.monotonic_ns()

    def commit(self, committed: CommittedAlert) -> None:
        """Note that the desk has it."""
        self.committed_ns.setdefault(committed.seq, time.monotonic_ns())
        self.commits.append(committed)

    def latencies_s(self) -> list[float]:
        """Return outbox → commit, for each alert that both have."""
        return [
            max(0, self.committed_ns[seq] - stored_ns) * 1e-9
            for seq, stored_ns in self.stored_ns.items()
            if seq in self.committed_ns
        ]


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The flight as the aircraft and as the desk saw it."""

    flight: ReplayResult
    ledger: Ledger
    outbox_left: int


def fly_demo(request: DemoRequest) -> DemoResult:
    """Fly with broker, uplink and desk running; wait until the desk has all, or a while."""
    ledger = Ledger()

    def on_commit(committed: CommittedAlert) -> None:
        ledger.commit(committed)
        request.on_commit(committed)

    with EmbeddedBroker() as broker:
        patrol = request.settings.patrol.model_copy(update={"mqtt": broker.config})
        settings = Settings(patrol, request.settings.path, request.settings.config_hash)
        with _desk(settings, request, on_commit), _uplink(settings, request.out):
            flight = replay(
                ReplayRequest(
                    request.recorded,
                    settings,
                    request.out,
                    on_event=request.on_event,
                    on_stored=ledger.store,
                )
            )
            left = _wait_for_delivery(flight)
    return DemoResult(flight, ledger, left)


@contextmanager
def _desk(
    settings: Settings, request: DemoRequest, on_commit: Callable[[CommittedAlert], None]
) -> Iterator[None]:
    stop = threading.Event()
    arguments = (settings.patrol.mqtt, request.out / "desk.db", on_commit, stop, request.utc_ns)
    desk = threading.Thread(target=run_desk, args=arguments, name="desk", daemon=True)
    desk.start()
    try:
        yield
    finally:
        stop.set()
        desk.join(_STOP_GRACE_S)


@contextmanager
def _uplink(settings: Settings, out: Path) -> Iterator[None]:
    """Run `skywhistle uplink` on this flight's mailbox, as an aircraft does."""
    config = out / "patrol.toml"
    config.write_text(_uplink_config(settings), encoding="utf-8")
    with (out / "uplink.log").open("w") as log:
        child = subprocess.Popen(skywhistle("uplink", str(config)), stderr=log, stdout=log)
        try:
            yield
        finally:
            child.terminate()
            try:
                child.wait(_STOP_GRACE_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def _uplink_config(settings: Settings) -> str:
    """Write down what the uplink must know: the same names, the embedded broker, the mailbox."""
    patrol = settings.patrol
    camera, rule = patrol.camera[0], patrol.rule[0]
    lines = [
        "# Written by `skywhistle demo` for its uplink.",
        f"drone_id = {json.dumps(patrol.drone_id)}",
        "[mqtt]",
        f"host = {json.dumps(patrol.mqtt.host)}",
        f"port = {patrol.mqtt.port}",
        "tls = false",
        "[mailbox]",
        f"path = {json.dumps(str(patrol.mailbox.path.resolve()))}",
        "[evidence]",
        f"folder = {json.dumps(str(patrol.evidence.folder.resolve()))}",
        "[[camera]]",
        f"id = {json.dumps(camera.id)}",
        'source = "replayed"',
        f"model = {json.dumps(str(camera.model))}",
        f"calibration = {json.dumps(str(camera.calibration.resolve()))}",
        f"mount = {json.dumps(str(camera.mount.resolve()))}",
        "[[rule]]",
        f"name = {json.dumps(rule.name)}",
        f"labels = {json.dumps(list(rule.labels))}",
    ]
    return "\n".join(lines) + "\n"


def _wait_for_delivery(flight: ReplayResult) -> int:
    """Wait until the outbox is empty, or the grace is over; return how many are left."""
    deadline = time.monotonic() + _DELIVERY_GRACE_S
    while (left := flight.mailbox.queue_state().queued) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left
