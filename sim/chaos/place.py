"""Where one run of chaos lives: its folder, ports and clocks, told to its children in a file."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from edge.config import PatrolConfig
from edge.config_delivery import EvidenceConfig, MailboxConfig, MqttConfig, StatusConfig
from edge.records import UtcNs
from edge.report.clocks import Clocks

DRONE_ID: Final = "chaos-1"
COMMITS: Final = "commits.csv"  # what the desk has seen: when, and how old it was
_HOST: Final = "127.0.0.1"
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Files and addresses of one run."""

    folder: str  # ledgers, logs, the desk's database, the broker's files
    disk: str  # the drone's: mailbox and pictures
    broker_port: int
    link_port: int  # where the uplink finds the broker
    alerts_per_s: float
    mailbox_mb: float
    status_s: float = 2.0
    is_chaotic: bool = True  # False: the uplink waits as long as an aircraft's
    link_host: str = _HOST  # where the uplink finds it

    def write(self, path: Path) -> None:
        """Leave it for the children."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Place:
        """Read what `write` left."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    @property
    def mailbox(self) -> MailboxConfig:
        return MailboxConfig(path=Path(self.disk) / "mailbox.db", max_mb=self.mailbox_mb)

    @property
    def pictures(self) -> Path:
        return Path(self.disk) / "evidence"

    @property
    def desk_path(self) -> Path:
        return Path(self.folder) / "desk.db"

    @property
    def ledgers(self) -> Path:
        return Path(self.folder) / "ledgers"

    @property
    def desk_mqtt(self) -> MqttConfig:
        return MqttConfig(host=_HOST, port=self.broker_port, tls=False)

    @property
    def uplink_mqtt(self) -> MqttConfig:
        """Say how the uplink reaches its broker.

        In chaos resends come sooner than an aircraft's, so that what a fault has cost is sent again
        within the minutes of a run.
        """
        if not self.is_chaotic:
            return MqttConfig(host=self.link_host, port=self.link_port, tls=False)
        return MqttConfig(
            host=self.link_host,
            port=self.link_port,
            tls=False,
            keepalive_s=5,
            resend_after_s=2.0,
            resend_max_s=10.0,
        )

    def read_commits(self) -> list[tuple[float, float]]:
        """Read when the desk committed alerts, monotonic, and how long each had taken, in s."""
        path = Path(self.folder) / COMMITS
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        pairs = [line.split(",") for line in lines if line.count(",") == 1]
        return [(float(t_s), float(took_s)) for t_s, took_s in pairs]

    def patrol(self) -> PatrolConfig:
        """Build what the uplink reads of a patrol's config."""
        return PatrolConfig.model_construct(  # type: ignore[call-arg]
            drone_id=DRONE_ID,
            mqtt=self.uplink_mqtt,
            mailbox=self.mailbox,
            evidence=EvidenceConfig(folder=self.pictures),
            status=StatusConfig(interval_s=self.status_s),
        )

    @property
    def clock(self) -> SteppedClock:
        return SteppedClock(Path(self.folder) / "clock.json")


def free_port() -> int:
    """Find a TCP port on loopback that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])


class SteppedClock:
    """The drone's clocks, which chaos can step and whose computer it can boot anew.

    The machine's own clock is left alone: the programs take their clocks as arguments, and here
    they get these.  A step is seen at once; another boot (its name, and a monotonic clock that
    starts elsewhere) only by programs that start after it, as on a real computer.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def utc_ns(self) -> UtcNs:
        return UtcNs(time.time_ns() + int(self._read()["utc_offset_s"] * _NS))

    def clocks(self) -> Clocks:
        """Return the clocks of a program that starts now."""
        boot = self._read()["boot"]
        ahead_ns = boot * 1000 * _NS
        return Clocks(
            utc_ns=self.utc_ns,
            mono_ns=lambda: time.monotonic_ns() + ahead_ns,
            boot_id=f"boot-{boot}",
        )

    def step(self, utc_offset_s: float) -> None:
        """Set how far UTC is off."""
        self._write(self._read() | {"utc_offset_s": utc_offset_s})

    def boot(self) -> None:
        """Let programs that start from now on be of another boot."""
        old = self._read()
        self._write(old | {"boot": old["boot"] + 1})

    def _read(self) -> dict[str, Any]:
        if not self._path.exists():
            return {"utc_offset_s": 0.0, "boot": 0}
        fields: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))
        return fields

    def _write(self, fields: dict[str, Any]) -> None:
        partial = self._path.with_suffix(".part")
        partial.write_text(json.dumps(fields), encoding="utf-8")
        partial.replace(self._path)
