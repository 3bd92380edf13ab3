"""How soon a flight that was killed sees again, under the parent that starts it anew."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from edge.bench.child import FIRST_INFERENCE, on_the_wire
from edge.bench.figures import KilledFigures
from edge.bench.rig import Rig, in_folder
from edge.errors import BenchError
from edge.loopback import stop_child
from edge.settings import Settings
from edge.supervise import skywhistle
from edge.toml_text import patrol_as_toml

KILLS: Final = 5
_GRACE_S: Final = 60.0
_FLOWN_S: Final = 2.0  # before it is killed
_STARTED: Final = re.compile(r"program_started name=flight pid=(\d+)")


@dataclass(slots=True)
class _Watched:
    """A running `skywhistle run`: which process flies, and when flights had seen their first."""

    process: subprocess.Popen[bytes]
    flight_pid: int = 0
    seen_s: list[float] = field(default_factory=list)  # monotonic
    has_news: threading.Condition = field(default_factory=threading.Condition)

    def read(self) -> None:
        """Follow the log of all its programs to the end, in a thread."""
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self._take(line.decode("utf-8", "replace"))

    def _take(self, line: str) -> None:
        with self.has_news:
            if started := _STARTED.search(line):
                self.flight_pid = int(started.group(1))
            if FIRST_INFERENCE in line:
                self.seen_s.append(time.monotonic())
            self.has_news.notify_all()

    def kill(self) -> float:
        """Kill the flight; return how long it took until the next one had seen, in s.

        Raises:
            BenchError: It had ended by itself, or the next one saw nothing.
        """
        with self.has_news:
            n_seen, killed_s = len(self.seen_s), time.monotonic()
            try:
                os.kill(self.flight_pid, signal.SIGKILL)
            except ProcessLookupError as error:
                raise BenchError("the flight that was to be killed had ended by itself") from error
        return self.await_sight(n_seen + 1) - killed_s

    def await_sight(self, number: int) -> float:
        """Return when so many flights had seen.

        Raises:
            BenchError: It took too long.
        """
        with self.has_news:
            if not self.has_news.wait_for(lambda: len(self.seen_s) >= number, _GRACE_S):
                raise BenchError(f"flight {number} saw nothing within {_GRACE_S:.0f} s")
            return self.seen_s[number - 1]


def measure_killed(rig: Rig, kills: int = KILLS) -> KilledFigures:
    """Kill a flight on the wire so many times, each under a parent that has just started.

    Raises:
        MissingExtraError: GStreamer is not installed.
        ScenarioError: The flight cannot be served.
        BenchError: A flight saw nothing.
    """
    took_s = []
    with on_the_wire(rig, rig.settings) as settings:
        for number in range(kills):
            folder = rig.folder / f"killed-{number}"
            took_s.append(_killed_once(in_folder(settings, folder), folder))
    return KilledFigures(median(took_s), max(took_s), kills)


def _killed_once(settings: Settings, folder: Path) -> float:
    with _running(settings, folder) as watched:
        watched.await_sight(1)
        time.sleep(_FLOWN_S)
        return watched.kill()


@contextmanager
def _running(settings: Settings, folder: Path) -> Iterator[_Watched]:
    """Run `skywhistle run` on a config written into the folder."""
    config = folder / "patrol.toml"
    config.write_text(patrol_as_toml(settings.patrol), encoding="utf-8")
    process = subprocess.Popen(skywhistle("run", str(config)), stderr=subprocess.PIPE)
    watched = _Watched(process)
    reader = threading.Thread(target=watched.read, name="run-log", daemon=True)
    reader.start()
    try:
        yield watched
    finally:
        stop_child(process)
        reader.join(_GRACE_S)
