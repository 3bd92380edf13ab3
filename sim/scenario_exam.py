"""The exam: its scenarios, each flown over its own seeds, recorded once and kept."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from edge.errors import ScenarioError
from sim.scenario import SHIPPED, Scenario, load_scenario

PATTERN = "exam-*"
Recorder = Callable[[Scenario, int, Path], None]  # scenario, seed, an empty folder


@dataclass(frozen=True)
class ExamFlight:
    """One flight of the exam."""

    scenario: Scenario
    seed: int

    @property
    def name(self) -> str:
        """What its folder is called."""
        return f"{self.scenario.name}-{self.seed}"


def exam_flights(only: str = "*") -> list[ExamFlight]:
    """Return the exam's flights whose folder's name fits a pattern.

    Raises:
        ScenarioError: None does, or a scenario says what cannot be.
    """
    scenarios = [load_scenario(path.stem) for path in sorted(SHIPPED.glob(f"{PATTERN}.toml"))]
    flights = [ExamFlight(scenario, seed) for scenario in scenarios for seed in scenario.seeds]
    chosen = [flight for flight in flights if fnmatch(flight.name, only)]
    if not chosen:
        known = ", ".join(flight.name for flight in flights)
        raise ScenarioError(f"no exam flight fits {only!r}; there are {known}")
    return chosen


def record_exam(
    out_dir: Path, only: str, recorder: Recorder
) -> Generator[tuple[ExamFlight, bool], None, None]:
    """Record what is not there yet; what was broken off begins anew.

    Yields:
        Each flight before it is recorded, and whether it is there already.

    Raises:
        ScenarioError: No flight fits, or another process records into the same folder.
    """
    flights = exam_flights(only)
    out_dir.mkdir(parents=True, exist_ok=True)
    with _alone_in(out_dir):
        for flight in flights:
            kept, draft = out_dir / flight.name, out_dir / f".{flight.name}.part"
            is_there = (kept / "flight.toml").is_file()
            yield flight, is_there
            if is_there:
                continue
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            recorder(flight.scenario, flight.seed, draft)
            shutil.rmtree(kept, ignore_errors=True)  # a folder without flight.toml is no flight
            draft.rename(kept)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a lock on a folder, which dies with its process; two recordings would share drafts."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ScenarioError(
                f"{folder}: another process records the exam here; "
                "wait for it, or give another --out"
            ) from error
        yield
    finally:
        os.close(descriptor)
