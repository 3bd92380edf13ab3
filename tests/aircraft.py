"""One aircraft under test: its folder, its config, its programs as child processes, its desk."""

from __future__ import annotations

import io
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import psutil
import pymap3d

from edge.cli.main import main
from edge.config_delivery import MailboxConfig, MqttConfig
from edge.protocol.status import FlightStatus
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from edge.report.queue_state import QueueState
from tests.patrol_flight import LABELS, Square

REPO = Path(__file__).resolve().parents[1]
WAIT_S = 300.0  # a deadline for a machine that is busy with other things
STOP_WAIT_S = 60.0
_WITNESS = """
CREATE TABLE witness (incident_id BLOB, revision INTEGER, seq INTEGER);
CREATE TRIGGER witness_in AFTER INSERT ON outbox WHEN NEW.incident_id IS NOT NULL AND NEW.rank < 9
BEGIN INSERT INTO witness VALUES (NEW.incident_id, NEW.revision, NEW.seq); END;
"""


def wait_until(holds: Callable[[], bool], what: str, seconds: float = WAIT_S) -> None:
    """Wait for something to become true, and fail saying what did not."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(0.05)


class Child:
    """A Skywhistle command as a child process, its output in a file; SIGTERM at the end."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edge.cli", *arguments],
                cwd=REPO,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def text(self) -> str:
        """Return what it has printed so far."""
        return self.log.read_text(errors="replace")

    def wait_for(self, pattern: str, seconds: float = WAIT_S) -> None:
        """Wait until it has printed a pattern, as long as it lives."""

        def printed() -> bool:
            if re.search(pattern, self.text()):
                return True
            assert self.process.poll() is None, f"it ended: {self.text()}"
            return False

        wait_until(printed, f"{pattern!r} in {self.log}", seconds)

    def programs(self) -> dict[str, int]:
        """Return the process ids of the programs that `run` supervises, by name."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            try:
                words = child.cmdline()
            except psutil.Error:  # it ended just now
                continue
            if "edge.cli" in words:
                found[words[words.index("edge.cli") + 1]] = child.pid
        return found

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def stop(self) -> int:
        """Ask it to end and return its exit code; harmless twice."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(STOP_WAIT_S)

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


def skywhistle(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run a command to its end, as a user types it."""
    done = subprocess.run(  # noqa: PLW1510  (its exit code is what the tests look at)
        [sys.executable, "-m", "edge.cli", *arguments],
        cwd=REPO,
        input=stdin,
        capture_output=True,
        timeout=WAIT_S,
        env=os.environ | {"COLUMNS": "200", "TERM": "dumb"},
    )
    out, err = done.stdout.decode(), done.stderr.decode()
    return subprocess.CompletedProcess(done.args, done.returncode, out, err)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, by the same entry point: starting Python takes its time."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    argv, sys.argv = sys.argv, ["skywhistle", *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.argv = argv
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@dataclass
class Aircraft:
    """The files of one aircraft and of its desk.

    Args:
        folder: Everything is in here.
        flight: A folder of `patrol_flight`: model, calibration and mounts are taken from it.
        mqtt: How it reaches the broker.
        autopilot_port: The UDP port where it listens for MAVLink.
        source: Of its camera.
        mount: A mount file of the flight's folder, without `.toml`.
        more: Further TOML, after the tables that are written here.
    """

    folder: Path
    flight: Path
    mqtt: MqttConfig
    autopilot_port: int
    source: str = "mavlink"
    mount: str = "mount"
    more: str = ""
    camera_more: str = ""
    autopilot_more: str = ""
    drone_id: str = "drone-1"
    witnessed: bool = field(default=True)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(self._toml())
        if self.witnessed:
            self.mailbox().close()
            with closing(sqlite3.connect(self._mailbox_path)) as db:
                db.executescript(_WITNESS)

    @property
    def config(self) -> Path:
        """Its patrol.toml."""
        return self.folder / "patrol.toml"

    @property
    def desk_path(self) -> Path:
        """Where its desk commits."""
        return self.folder / "desk.db"

    @property
    def _mailbox_path(self) -> Path:
        return self.folder / "var" / "mailbox.db"

    def mailbox(self) -> Mailbox:
        """Open its mailbox."""
        return Mailbox(MailboxConfig(path=self._mailbox_path), Clocks())

    def queue(self) -> QueueState:
        """Say what waits in the mailbox."""
        with self.mailbox() as mailbox:
            return mailbox.queue_state()

    def flight_status(self) -> FlightStatus | None:
        """Read what the flight said last, unless it is older than 5 s."""
        with self.mailbox() as mailbox:
            return mailbox.flight_status(5.0)

    def accepted(self) -> list[tuple[bytes, int]]:
        """Return (incident, revision) of every alert that the mailbox has ever accepted."""
        with closing(sqlite3.connect(self._mailbox_path)) as db:
            return db.execute("SELECT incident_id, revision FROM witness ORDER BY seq").fetchall()

    def committed(self) -> list[tuple[bytes, int]]:
        """Return (incident, revision) of every alert that its desk has committed."""
        return [(row[0], row[1]) for row in self._desk("incident_id, revision")]

    def new_places(self) -> list[tuple[str, float, float]]:
        """Return label, latitude and longitude of each `new` at the desk."""
        import json

        rows = (json.loads(row[0]) for row in self._desk("fields"))
        return [(r["label"], r["lat_deg"], r["lon_deg"]) for r in rows if r["kind"] == "new"]

    def _desk(self, columns: str) -> list[tuple[object, ...]]:
        if not self.desk_path.exists():
            return []
        with closing(sqlite3.connect(f"file:{self.desk_path}?mode=ro", uri=True)) as db:
            try:
                return db.execute(f"SELECT {columns} FROM alert ORDER BY seq").fetchall()
            except sqlite3.OperationalError:  # the desk is making its tables just now
                return []

    def deliver_the_rest(self) -> None:
        """Run the uplink alone until the desk has everything."""
        if self.queue().queued:
            with Child(self.folder / "uplink.log", "uplink", str(self.config)):
                wait_until(lambda: self.queue().queued == 0, "the outbox is empty")

    def assert_none_lost(self) -> None:
        """The desk has exactly what the mailbox accepted, and nothing was given up."""
        queue = self.queue()
        assert (queue.queued, queue.lost, queue.dead_letters) == (0, 0, 0)
        accepted, committed = self.accepted(), self.committed()
        assert len(set(accepted)) == len(accepted)
        assert set(committed) == set(accepted)
        assert len(committed) == len(accepted)

    def _toml(self) -> str:
        mqtt = "".join(
            f'{key} = "{value}"\n'
            for key in ("host", "ca_file", "cert_file", "key_file")
            if (value := getattr(self.mqtt, key)) is not None
        )
        labels = ", ".join(f'"{label}"' for label in LABELS)
        flight = self.flight
        return (
            f'drone_id = "{self.drone_id}"\n'
            f'[[camera]]\nid = "main"\nsource = "{self.source}"\nmodel = "{flight}/model"\n'
            f'calibration = "{flight}/camera.toml"\nmount = "{flight}/{self.mount}.toml"\n'
            f"latency_s = 0.12\nmax_rate_hz = 10.0\n{self.camera_more}\n"
            f'[autopilot]\nurl = "udpin:127.0.0.1:{self.autopilot_port}"\n{self.autopilot_more}\n'
            "[inference]\nthreads = 1\n"
            # Squares of one label lie 60 m apart; a busy simulator's pictures are late by metres.
            "[association]\nmin_gate_m = 15.0\n"
            f'[[rule]]\nname = "squares"\nlabels = [{labels}]\nmin_score = 0.5\nthreshold = 0.6\n'
            'min_looks = 3\nplace = "centre"\ncooldown_s = 1000.0\n'
            f"[mqtt]\nport = {self.mqtt.port}\ntls = {str(self.mqtt.tls).lower()}\n{mqtt}"
            "resend_after_s = 1.0\nresend_max_s = 4.0\n"
            f"[status]\ninterval_s = 1.0\n{self.more}"
        )


def square_at(squares: tuple[Square, ...], label: str, lat_deg: float, lon_deg: float) -> Square:
    """Return the square of a label that lies nearest: which one it is, not how well it is placed.

    The next of its label is 60 m away; a simulator that gets no processor time sends late pictures.
    """

    def distance_m(square: Square) -> float:
        east, north, _ = pymap3d.geodetic2enu(
            lat_deg, lon_deg, 0.0, square.lat_deg, square.lon_deg, 0.0
        )
        return float((east**2 + north**2) ** 0.5)

    nearest = min((s for s in squares if s.label == label), key=distance_m)
    assert distance_m(nearest) < 20.0, f"{label} is {distance_m(nearest):.1f} m from {nearest}"
    return nearest
