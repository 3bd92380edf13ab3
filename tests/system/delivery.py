"""Both ends of the delivery, in threads or as processes that a test can kill.

As a program: `python -m tests.system.delivery ROLE SETTINGS.json`; ROLE is `uplink`, `desk`, or
`desk-dies`: a desk whose power fails after its first commit, before it acks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.config import PatrolConfig
from edge.config_delivery import (
    AcksConfig,
    CommandsConfig,
    MailboxConfig,
    MqttConfig,
    SigningConfig,
    StatusConfig,
)
from edge.desk.receiver import CommittedAlert, Desk, run_desk
from edge.desk.store import DeskStore
from edge.desk.vouching import DeskKeys
from edge.protocol.messages import MessageKind
from edge.protocol.signing import PublicKey, read_signing_key
from edge.records import UtcNs
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from edge.report.outgoing import Outgoing, outgoing_alert
from edge.report.uplink import run_uplink
from tests.unit.protocol.alerts import typical_alert

REPO = Path(__file__).resolve().parents[2]
WAIT_S = 60.0  # a deadline for a machine that is busy with other things


def utc_ns() -> UtcNs:
    return UtcNs(time.time_ns())


@dataclass
class Place:
    """One drone, one desk, and the files of both."""

    folder: Path
    mqtt: MqttConfig
    desk_mqtt: MqttConfig
    drone_id: str = "drone-1"
    desk_folder: Path | None = None  # None: the drone's
    command_keys: tuple[Path, ...] = ()
    sign_key: Path | None = None
    ack_key: Path | None = None  # of the desk
    ack_keys: tuple[Path, ...] = ()  # that the drone believes
    drone_keys: dict[str, dict[bytes, PublicKey]] = field(default_factory=dict)
    committed: list[CommittedAlert] = field(default_factory=list)

    @property
    def desk_path(self) -> Path:
        return (self.desk_folder or self.folder) / "desk.db"

    def patrol(self) -> PatrolConfig:
        """Build what the uplink reads of a patrol's config."""
        return PatrolConfig.model_construct(
            drone_id=self.drone_id,
            mqtt=self.mqtt.model_copy(update={"resend_after_s": 0.5, "resend_max_s": 1.0}),
            mailbox=MailboxConfig(path=self.folder / "mailbox.db"),
            status=StatusConfig(interval_s=0.5),
            commands=CommandsConfig(keys=self.command_keys),
            acks=AcksConfig(keys=self.ack_keys),
            signing=SigningConfig(key_file=self.sign_key),
        )

    def mailbox(self) -> Mailbox:
        return Mailbox(self.patrol().mailbox, Clocks(utc_ns=utc_ns))

    def uplink(self, stop: threading.Event) -> None:
        run_uplink(self.patrol(), stop, utc_ns)

    def desk(self, stop: threading.Event) -> None:
        ack = None if self.ack_key is None else read_signing_key(self.ack_key, "key")
        keys = DeskKeys(self.drone_keys, ack)
        run_desk(self.desk_mqtt, self.desk_path, self.committed.append, stop, utc_ns, keys=keys)

    def alert_revisions(self) -> list[tuple[bytes, int]]:
        with DeskStore(self.desk_path) as store:
            return store.rows("SELECT incident_id, revision FROM alert ORDER BY incident_id")

    @contextmanager
    def child(self, role: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run one end as a process; SIGTERM at the end if it still lives."""
        settings = self.folder / f"{role}-{time.monotonic_ns()}.json"
        fields = {
            "folder": str(self.folder),
            "mqtt": self.mqtt.model_dump(mode="json"),
            "desk_mqtt": self.desk_mqtt.model_dump(mode="json"),
        }
        settings.write_text(json.dumps(fields))
        command = [sys.executable, "-m", "tests.system.delivery", role, str(settings)]
        with subprocess.Popen(command, cwd=REPO) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.terminate()
                process.wait(20)


@contextmanager
def running(*ends: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run ends in threads for as long as the block lasts; what one raises is raised here."""
    stop = threading.Event()
    errors: list[BaseException] = []

    def guarded(end: Callable[[threading.Event], None]) -> None:
        try:
            end(stop)
        except BaseException as error:  # noqa: BLE001  (told to the test's own thread)
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(end,)) for end in ends]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    if errors:
        raise errors[0]


def wait_until(is_so: Callable[[], bool], what: str, wait_s: float = WAIT_S) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + wait_s
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {wait_s} s in vain until {what}")
        time.sleep(0.02)


def wait_empty(mailbox: Mailbox) -> None:
    wait_until(
        lambda: mailbox.queue_state().queued == 0, f"the outbox is empty: {mailbox.queue_state()}"
    )


def numbered(number: int, **changes: Any) -> Outgoing:
    """Make the alert of incident `number`."""
    return outgoing_alert(typical_alert(incident_id=number.to_bytes(16, "big"), **changes))


def expected(n: int) -> list[tuple[bytes, int]]:
    return [(number.to_bytes(16, "big"), 1) for number in range(n)]


def poison() -> Outgoing:
    """Make a row whose bytes are no alert."""
    return Outgoing(MessageKind.ALERT, b"\xa1\x02\x41", severity=1)


def _die_before_acking(_desk: Desk, batch: Any) -> None:
    if batch.alerts:  # a status alone is not worth dying for
        os._exit(9)


def main(role: str, settings: Path) -> None:
    """Run one end until SIGTERM."""
    fields = json.loads(settings.read_text())
    place = Place(
        Path(fields["folder"]), MqttConfig(**fields["mqtt"]), MqttConfig(**fields["desk_mqtt"])
    )
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    if role == "desk-dies":
        Desk._tell = _die_before_acking  # type: ignore[method-assign]
    if role == "uplink":
        place.uplink(stop)
    else:
        place.desk(stop)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
