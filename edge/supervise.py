"""The small parent: starts the two programs, restarts whichever ends, stops both."""

from __future__ import annotations

import ctypes
import logging
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

_FIRST_BACKOFF_S = 0.5
_MAX_BACKOFF_S = 30.0
# A program that ran this long was well: its next restart starts from the first back-off again.
_WELL_AFTER_S = 60.0
# A flight stores an `end` for each incident that it follows: hundreds, on a slow card.
_STOP_GRACE_S = 30.0
_POLL_S = 0.2
# The input is not usable: a restart would meet the same file.
_EXIT_UNUSABLE = 2
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


@dataclass(slots=True)
class Program:
    """One child and its restarts."""

    name: str
    command: Sequence[str]
    child: subprocess.Popen[bytes] | None = None
    restarts: int = 0
    backoff_s: float = _FIRST_BACKOFF_S
    started_s: float = 0.0
    due_s: float = field(default_factory=time.monotonic)
    is_done: bool = False  # it ended by itself, well: a flight whose cameras were files

    def start(self) -> None:
        """Start the child; it gets SIGTERM if this parent dies, however it dies."""
        self.child = subprocess.Popen(self.command, preexec_fn=prepare_child)  # noqa: PLW1509
        self.started_s = time.monotonic()
        log.info("program_started name=%s pid=%d", self.name, self.child.pid)

    def ended(self) -> int | None:
        """Return the exit code of a child that has ended, once; None otherwise."""
        if self.child is None or (code := self.child.poll()) is None:
            return None
        self.child = None
        self.restarts += 1
        if time.monotonic() - self.started_s > _WELL_AFTER_S:
            self.backoff_s = _FIRST_BACKOFF_S
        self.is_done = code == 0
        if self.is_done or self.is_unusable(code):
            log.warning("program_ended name=%s code=%d", self.name, code)
            return code
        wait_s = self.backoff_s * random.uniform(0.5, 1.0)
        self.due_s = time.monotonic() + wait_s
        self.backoff_s = min(_MAX_BACKOFF_S, self.backoff_s * 2.0)
        log.warning("program_ended name=%s code=%d restart_in_s=%.1f", self.name, code, wait_s)
        return code

    def is_unusable(self, code: int | None) -> bool:
        """Say whether its first start ended because its input can never be used."""
        return code == _EXIT_UNUSABLE and self.restarts == 1

    def stop(self) -> None:
        """Ask the child to end; kill it if it does not."""
        if self.child is None:
            return
        self.child.terminate()
        try:
            self.child.wait(_STOP_GRACE_S)
        except subprocess.TimeoutExpired:
            log.warning("program_killed name=%s", self.name)
            self.child.kill()
            self.child.wait()
        self.child = None


def skywhistle(*arguments: str) -> list[str]:
    """Return the command line of another Skywhistle program in this same environment."""
    return [sys.executable, "-m", "edge.cli", *arguments]


def supervise(programs: Sequence[Program], stop: threading.Event) -> int:
    """Keep the programs running until `stop` is set; return the exit code for the parent.

    A program that says at its first start that its input is not usable (exit code 2) ends the
    whole: a restart would meet the same file.  Later it is restarted like any other: a config
    that someone is editing must not take the other program out of the air.  One that ends with 0
    has done its work and is not started again.
    """
    signal.signal(signal.SIGHUP, _forward(programs))
    try:
        while not stop.wait(_POLL_S):
            for program in programs:
                code = program.ended()
                if program.is_unusable(code):
                    return _EXIT_UNUSABLE
                is_due = program.child is None and time.monotonic() >= program.due_s
                if is_due and not program.is_done:
                    program.start()
    finally:
        for program in programs:
            program.stop()
    return 0


def _forward(programs: Sequence[Program]) -> Callable[[int, object], None]:
    def forward(number: int, _frame: object) -> None:
        for program in programs:
            if program.child is not None:
                program.child.send_signal(number)

    return forward


def prepare_child() -> None:
    """Ignore SIGHUP until the program has its own answer to it; end when the parent does.

    Linux: the kernel sends SIGTERM when the parent dies, so that no orphan flies on.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
