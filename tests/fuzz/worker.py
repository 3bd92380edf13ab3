"""One fuzz target under atheris, in a process of its own: `python -m tests.fuzz.worker SPEC.json`.

Findings do not end it: each kind is written down once, with its input, and counted.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import atheris

if TYPE_CHECKING:
    from tests.fuzz.target import Target

HANG_S = 1.0  # of CPU, for one case: another process's load is no hang
_GIVEN_UP_S = 20.0  # of CPU
_TOLD_EVERY_S = 2.0
_NOT_INSTRUMENTED = (
    "pymavlink.dialects.v20.ardupilotmega",  # a table of 25,000 lines
    "pymavlink.dialects.v10.ardupilotmega",
)
_PARSERS = {"edge", "tomllib", "pyulog", "pymavlink"}
_MEMORY_BYTES = 8 << 30  # of addresses: what asks for more gets no memory, as on a small computer


@dataclass
class Tally:
    """What one run has met."""

    cases: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest_s: float = 0.0
    rss_mb: list[float] = field(default_factory=list)  # as time goes
    findings: dict[str, int] = field(default_factory=dict)


class GivenUp(BaseException):
    """A case that did not end by itself."""


def _give_up(_signal: int, _frame: object) -> None:
    raise GivenUp


class Worker:
    """Runs cases and writes down what comes of them."""

    def __init__(self, target: Target, folder: Path, refused: Any) -> None:
        self._target, self._folder, self._refused = target, folder, refused
        self._tally = Tally()
        self._started_s = self._told_s = time.monotonic()

    def one(self, data: bytes) -> None:
        """Run one case."""
        tally, start_s = self._tally, time.process_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, _GIVEN_UP_S)
        try:
            tally.refused += self._refused(self._target.check, data)
        except GivenUp:
            pass  # counted below, by the time it took
        except Exception as error:  # noqa: BLE001  whatever it is, it is a finding
            self._found(_kind(error), data, error)
        spent_s = time.process_time() - start_s
        tally.cases += 1
        tally.slowest_s = max(tally.slowest_s, spent_s)
        if spent_s > HANG_S:
            self._found("hang", data, None)
        if tally.cases % 10_000 == 0 or time.monotonic() - self._told_s > _TOLD_EVERY_S:
            self.tell()

    def tell(self) -> None:
        """Write the tally down."""
        tally, self._told_s = self._tally, time.monotonic()
        tally.seconds = self._told_s - self._started_s
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        tally.rss_mb.append(round(pages * resource.getpagesize() / 1e6, 1))
        half = self._folder / "tally.part"
        half.write_text(json.dumps(vars(tally)))
        half.replace(self._folder / "tally.json")

    def _found(self, kind: str, data: bytes, error: Exception | None) -> None:
        count = self._tally.findings.get(kind, 0)
        self._tally.findings[kind] = count + 1
        if count == 0:
            name = f"{len(self._tally.findings):02d}-{os.getpid()}"
            (self._folder / f"finding-{name}.bin").write_bytes(data)
            words = kind if error is None else "".join(traceback.format_exception(error))
            (self._folder / f"finding-{name}.txt").write_text(f"{kind}\n{words}")
            self.tell()


def _kind(error: Exception) -> str:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if "/edge/" in f.filename]
    if not frames:
        return type(error).__name__  # a law of the target's own
    where = frames[-1].filename.rpartition("/edge/")[2]
    return f"{type(error).__name__} at {where}:{frames[-1].lineno}"


def main() -> None:
    """Run until libFuzzer's own limits are reached."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    signal.signal(signal.SIGVTALRM, _give_up)
    logging.disable(logging.CRITICAL)
    with atheris.instrument_imports(include=_PARSERS, exclude=set(_NOT_INSTRUMENTED)):
        from tests.fuzz.target import refused
        from tests.fuzz.targets import TARGETS

        target = TARGETS[spec["target"]]
        for seed in target.seeds():  # imports what is imported late
            refused(target.check, seed)
    warnings.simplefilter("error")  # of arithmetic that overflows, too
    worker = Worker(target, Path(spec["folder"]), refused)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        rng = Random(seed)
        if rng.random() < 0.3:
            return bytes(atheris.Mutate(data, max_size))
        return target.mutate(data, rng)[:max_size]

    atheris.Setup([sys.argv[0], *spec["options"]], worker.one, custom_mutator=mutate)
    worker.tell()
    atheris.Fuzz()


if __name__ == "__main__":
    main()
