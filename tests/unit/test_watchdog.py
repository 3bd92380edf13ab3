"""Signs of life: systemd hears the loop itself, and who is stuck comes to an end."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edge.capture.video_records import VideoHealth, VideoState
from edge.config import PatrolConfig
from edge.config_delivery import MailboxConfig, MqttConfig, StatusConfig
from edge.flight import Watch
from edge.records import MonoNs, Tick
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from edge.report.rolelock import RoleLock
from edge.report.uplink import Uplink
from edge.watchdog import NotifySocket, Watchdog
from tests.aircraft import REPO, wait_until
from tests.unit import test_flight

SECOND = 1_000_000_000


class Supervisor:
    """The other end: a datagram socket that counts what it hears."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.setblocking(False)
        self.heard: list[str] = []

    def listen(self) -> list[str]:
        while True:
            try:
                self.heard += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.heard

    def n_signs(self) -> int:
        return self.listen().count("WATCHDOG=1")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path)
    yield supervisor
    supervisor.close()


@pytest.fixture
def eager(supervisor: Supervisor) -> Iterator[Watchdog]:
    """A watchdog that passes on every turn."""
    with Watchdog(NotifySocket(supervisor.address), None, told_within_s=0.0) as watchdog:
        yield watchdog


def test_the_first_turn_says_ready_and_the_end_is_announced(
    supervisor: Supervisor, eager: Watchdog
) -> None:
    """READY=1 once, WATCHDOG=1 while it turns, STOPPING=1 at the end."""
    eager.alive()
    time.sleep(0.001)
    eager.alive()
    eager.close()
    assert supervisor.listen() == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]


def test_signs_of_life_are_few(supervisor: Supervisor) -> None:
    """A thousand turns in a moment are one datagram."""
    watchdog = Watchdog(NotifySocket(supervisor.address), None, told_within_s=60.0)
    for _ in range(1000):
        watchdog.alive()
    watchdog.close()
    assert supervisor.n_signs() == 1


def test_a_supervisor_that_is_gone_holds_nobody_up(tmp_path: Path) -> None:
    """Nobody listens: the loop goes on."""
    watchdog = Watchdog(NotifySocket(str(tmp_path / "nobody")), None, told_within_s=0.0)
    watchdog.alive()
    watchdog.close()


@pytest.mark.parametrize(
    ("environment", "own_limit_s", "is_told"),
    [
        ({}, 90.0, False),
        ({"NOTIFY_SOCKET": "@skywhistle-test"}, 90.0, True),
        ({"NOTIFY_SOCKET": "@skywhistle-test", "WATCHDOG_USEC": "20000000"}, 18.0, True),
        (
            {"NOTIFY_SOCKET": "@s", "WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"},
            90.0,
            True,
        ),
        ({"NOTIFY_SOCKET": "@s", "WATCHDOG_USEC": "no"}, 90.0, True),
    ],
)
def test_the_environment_says_who_wants_to_hear(
    environment: dict[str, str], own_limit_s: float, is_told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variables are heeded where they are meant for this process."""
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    watchdog = Watchdog.of_this_process()
    assert watchdog._stuck_after_s == pytest.approx(own_limit_s)
    assert (watchdog._notify is not None) is is_told
    watchdog.close()


def test_a_stuck_program_says_where_and_ends_and_frees_its_role(tmp_path: Path) -> None:
    """An orphan stuck in foreign code, deaf to SIGTERM, makes way for its replacement by itself."""
    mailbox = tmp_path / "mailbox.db"
    code = (
        "import ctypes, signal, sys\nfrom pathlib import Path\n"
        "from edge.report.rolelock import RoleLock\nfrom edge.watchdog import Watchdog\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
        "with RoleLock(Path(sys.argv[1]), 'flight'):\n"
        "    Watchdog(None, 1.0).alive()\n    print('stuck', flush=True)\n"
        # PyDLL keeps the interpreter's lock: no other thread and no signal handler runs.
        "    ctypes.PyDLL(None).sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(mailbox)],
        cwd=REPO,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as stuck:
        assert stuck.stdout is not None
        assert stuck.stdout.readline() == b"stuck\n"
        stuck.terminate()
        _, told = stuck.communicate(timeout=60)
    assert stuck.returncode == 1
    assert b"Timeout" in told
    assert b"line 9 in <module>" in told
    with RoleLock(mailbox, "flight"):
        pass


# --- flight ---------------------------------------------------------------------------------------


watch = test_flight.watch


class Camera:
    """A camera that a test fills."""

    camera_id, is_live, max_rate_hz, ended = "main", True, 30.0, False

    def __init__(self) -> None:
        self.frames = self.black = 0

    def health(self) -> VideoHealth:
        return VideoHealth(VideoState.PLAYING, frames=self.frames, black=self.black)


def turns(watch: Watch, times_s: list[float], before: Any = None) -> None:
    """Let the loop turn at such times, by ticks."""

    def ticks() -> Iterator[Tick]:
        for at_s in times_s:
            if before is not None:
                before(at_s)
            yield Tick(MonoNs(int(at_s * SECOND)))

    for _ in watch.pass_through(ticks()):
        time.sleep(0.0005)


def test_each_turn_of_the_flights_loop_is_heard(
    watch: Watch,
    supervisor: Supervisor,
    eager: Watchdog,
) -> None:
    """Frames and ticks alike: the sign comes from the loop, not from a thread beside it."""
    watch.watchdog = eager
    turns(watch, [1.0, 2.0, 3.0])
    assert supervisor.n_signs() == 3


def test_a_stuck_inference_is_not_heard(
    watch: Watch,
    supervisor: Supervisor,
    eager: Watchdog,
) -> None:
    """While the loop's body hangs, no sign of life is given."""
    watch.watchdog = eager
    release, entered = threading.Event(), threading.Event()

    def loop() -> None:
        for _ in watch.pass_through(iter([Tick(MonoNs(1)), Tick(MonoNs(2))])):
            entered.set()
            release.wait(30)  # the body: an inference that does not come back

    thread = threading.Thread(target=loop)
    thread.start()
    assert entered.wait(30)
    time.sleep(0.2)
    assert supervisor.n_signs() == 0
    release.set()
    thread.join(30)
    assert supervisor.n_signs() == 2


def test_a_camera_that_falls_silent_stops_the_signs(
    watch: Watch,
    supervisor: Supervisor,
    eager: Watchdog,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Seen once and silent for two minutes: the flight lets itself be started afresh."""
    camera = Camera()
    watch.sources = [camera]  # type: ignore[list-item]
    watch.watchdog = eager
    camera.frames = 5
    turns(watch, [1.0, 100.0])
    assert supervisor.n_signs() == 2
    turns(watch, [122.0, 130.0, 140.0])
    assert supervisor.n_signs() == 3  # the turn in which it was noticed had begun before
    assert len(re.findall("camera_silent camera=main", caplog.text)) == 1
    camera.frames = 6
    turns(watch, [150.0, 151.0])
    assert supervisor.n_signs() == 4


def test_a_camera_that_never_was_or_sees_black_is_not_silent(
    watch: Watch,
    supervisor: Supervisor,
    eager: Watchdog,
) -> None:
    """One that is not plugged in costs one start, not one every few minutes; night is no fault."""
    camera = Camera()
    watch.sources = [camera]  # type: ignore[list-item]
    watch.watchdog = eager
    turns(watch, [1.0, 500.0, 1000.0])
    assert supervisor.n_signs() == 3

    def grow_dark(_: float) -> None:
        camera.black += 30

    turns(watch, [1100.0, 1300.0, 1500.0], before=grow_dark)
    assert supervisor.n_signs() == 6


# --- uplink ---------------------------------------------------------------------------------------


def test_a_publish_that_blocks_is_not_heard(
    tmp_path: Path, supervisor: Supervisor, eager: Watchdog
) -> None:
    """The uplink's signs come from its own turns: one that hangs in a publish gives none."""
    config = PatrolConfig.model_construct(
        drone_id="drone-1",
        mqtt=MqttConfig(port=1, tls=False),
        mailbox=MailboxConfig(path=tmp_path / "mailbox.db"),
        status=StatusConfig(interval_s=0.05),
    )
    stop, blocked, release = threading.Event(), threading.Event(), threading.Event()
    with Mailbox(config.mailbox, Clocks()) as mailbox:
        uplink = Uplink(config, mailbox, Clocks(), eager)
        publish = uplink._session.publish

        def hang(message: Any) -> Any:
            blocked.set()
            release.wait(30)
            return publish(message)

        thread = threading.Thread(target=uplink.run, args=(stop,))
        thread.start()
        wait_until(lambda: supervisor.n_signs() >= 2, "the uplink turns", 30.0)
        uplink._session.publish = hang  # type: ignore[method-assign]
        assert blocked.wait(30)
        n = supervisor.n_signs()
        time.sleep(0.5)
        assert supervisor.n_signs() == n
        release.set()
        wait_until(lambda: supervisor.n_signs() > n, "it turns again", 30.0)
        stop.set()
        thread.join(30)


@pytest.mark.parametrize("unit", ["flight", "uplink"])
def test_the_units_ask_for_signs_of_life(unit: str) -> None:
    """Systemd waits for READY=1, wants WATCHDOG=1, and starts again whatever ended."""
    text = (REPO / "deploy" / "systemd" / f"skywhistle-{unit}.service").read_text()
    for line in ("Type=notify", "WatchdogSec=60", "Restart=always", "StartLimitIntervalSec=0"):
        assert f"\n{line}\n" in text
