"""The small parent with real children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from edge import supervise as module
from edge.supervise import Program, supervise
from tests.aircraft import REPO, wait_until

pytestmark = pytest.mark.system

FOREVER = "import time\nwhile True: time.sleep(0.05)"


@pytest.fixture(autouse=True)
def hangup() -> Iterator[None]:
    """Give SIGHUP back to whom it belonged."""
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


def program(name: str, code: str, *arguments: str) -> Program:
    return Program(name, [sys.executable, "-c", code, *arguments])


def stop_when(condition: object, stop: threading.Event) -> threading.Thread:
    """Set `stop` once a condition holds, or after a while."""

    def wait() -> None:
        try:
            wait_until(condition, "the test's condition", 60.0)  # type: ignore[arg-type]
        finally:
            stop.set()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_program_that_ends_is_started_again(tmp_path: Path) -> None:
    """Each end is followed by a start, later each time; the other program is left alone."""
    note = tmp_path / "starts"
    code = "import sys, time; open(sys.argv[1], 'a').write(f'{time.monotonic()}\\n'); sys.exit(1)"
    dying, living = program("dying", code, str(note)), program("living", FOREVER)
    stop = threading.Event()

    def started() -> int:
        return len(note.read_text().splitlines()) if note.exists() else 0

    waiting = stop_when(lambda: started() >= 3, stop)
    assert supervise([dying, living], stop) == 0
    waiting.join()
    assert dying.restarts >= 2
    assert living.restarts == 0
    assert dying.backoff_s > 1.0
    assert living.child is None


def test_an_unusable_input_ends_the_whole() -> None:
    """Exit code 2 says that a restart would meet the same file: all stop, and the code is 2."""
    living = program("living", FOREVER)
    assert supervise([living, program("refusing", "raise SystemExit(2)")], threading.Event()) == 2
    assert living.child is None


@pytest.mark.parametrize(("code", "is_restarted"), [(0, False), (1, True), (2, False)])
def test_a_restart_is_told_where_there_is_one(
    code: int, is_restarted: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What ended well, or can never start, is not announced as restarting."""
    ending = program("ending", f"raise SystemExit({code})")
    ending.start()
    wait_until(lambda: ending.ended() == code, "it ends")
    assert ("restart_in_s" in caplog.text) is is_restarted
    assert f"program_ended name=ending code={code}" in caplog.text


def test_an_input_that_became_unusable_stops_nobody_else(tmp_path: Path) -> None:
    """Once in the air, a program that meets a broken file is tried again; the other flies on."""
    note = tmp_path / "starts"
    code = (
        "import sys; file = open(sys.argv[1], 'a+'); file.seek(0); n = len(file.readlines())\n"
        "file.write('x\\n'); file.close(); sys.exit(2 if n else 1)"
    )
    refusing, living = program("refusing", code, str(note)), program("living", FOREVER)
    stop = threading.Event()
    waiting = stop_when(lambda: note.exists() and len(note.read_text().splitlines()) >= 3, stop)
    assert supervise([refusing, living], stop) == 0
    waiting.join()
    assert living.restarts == 0


def test_a_program_that_ran_long_restarts_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was well for a while begins again with the first back-off."""
    monkeypatch.setattr(module, "_WELL_AFTER_S", 0.0)
    dying = program("dying", "raise SystemExit(1)")
    dying.backoff_s = 30.0
    dying.start()
    wait_until(lambda: dying.ended() == 1, "it ends")
    assert dying.due_s - time.monotonic() <= 0.5


def test_a_stubborn_program_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One that does not heed SIGTERM is killed after the grace."""
    monkeypatch.setattr(module, "_STOP_GRACE_S", 0.3)
    ready = tmp_path / "ready"
    code = (
        "import signal, sys, pathlib\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pathlib.Path(sys.argv[1]).touch()\n" + FOREVER
    )
    stubborn = program("stubborn", code, str(ready))
    stubborn.start()
    assert stubborn.child is not None
    pid = stubborn.child.pid
    wait_until(ready.exists, "it ignores SIGTERM")
    stubborn.stop()
    assert not psutil.pid_exists(pid)


def test_a_hangup_is_passed_on(tmp_path: Path) -> None:
    """SIGHUP to the parent reaches every program."""
    ready, heard = tmp_path / "ready", tmp_path / "heard"
    code = (
        "import signal, sys, pathlib\n"
        "signal.signal(signal.SIGHUP, lambda *_: pathlib.Path(sys.argv[2]).touch())\n"
        "pathlib.Path(sys.argv[1]).touch()\n" + FOREVER
    )
    stop = threading.Event()

    def hang_up() -> bool:
        if ready.exists():
            os.kill(os.getpid(), signal.SIGHUP)
        return heard.exists()

    waiting = stop_when(hang_up, stop)
    assert supervise([program("listening", code, str(ready), str(heard))], stop) == 0
    waiting.join()
    assert heard.exists()


def test_no_orphan_flies_on(tmp_path: Path) -> None:
    """When the parent is killed, the kernel ends its programs."""
    note = tmp_path / "pid"
    child = f"import os, sys; open(sys.argv[1], 'w').write(str(os.getpid()))\n{FOREVER}"
    parent = (
        "import sys, threading\nfrom edge.supervise import Program, supervise\n"
        "supervise([Program('child', [sys.executable, '-c', *sys.argv[1:]])], threading.Event())"
    )
    with subprocess.Popen([sys.executable, "-c", parent, child, str(note)], cwd=REPO) as process:
        wait_until(lambda: note.exists() and note.read_text() != "", "the child runs")
        process.kill()
    pid = int(note.read_text())
    wait_until(lambda: not psutil.pid_exists(pid) or is_zombie(pid), "the child ends")


def is_zombie(pid: int) -> bool:
    """Tell whether a process has ended and only waits for its parent to ask."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
