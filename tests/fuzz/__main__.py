"""`python -m tests.fuzz [TARGET …] --minutes M --cases N --out DIR`: the coverage-guided form.

Each target runs in a process of its own under atheris (the extra `fuzz`), until it has had its
minutes or its cases.  Under DIR its corpus stays for the next time, its findings with their inputs,
and `result.json`; the last line printed is a summary of all.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.fuzz.target import SCRATCH_IN, memory
from tests.fuzz.targets import TARGETS

REPO = Path(__file__).resolve().parents[2]
# A line of libFuzzer: #65536 pulse cov: 1234 ft: 5678 corp: 90/12Kb …
_LINE = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+)(?: corp: (\d+)/)?")
# Of the clock, for one case: then the process is ended, and that is a hang.  The worker itself
# counts CPU time; this one is for code that never comes back to Python.
_TIMEOUT_S = 1200
_MOST_DEATHS = 20


@dataclass
class Result:
    """What a target's run came to."""

    target: str
    cases: int = 0
    seconds: float = 0.0
    cases_per_s: float = 0.0
    refused: int = 0
    coverage: int = 0
    features: int = 0
    corpus: int = 0
    coverage_at_half: int = 0
    features_at_half: int = 0
    crashes: int = 0  # kinds of errors that are none of ours, and ends of the process
    hangs: int = 0  # kinds of cases that took more than a second of CPU, or never ended
    slowest_s: float = 0.0
    peak_memory_mb: float = 0.0
    memory_at_half_mb: float = 0.0
    findings: dict[str, int] = field(default_factory=dict)


@dataclass
class Progress:
    """Coverage as the cases go."""

    points: list[tuple[int, int, int, int]] = field(default_factory=list)  # case, cov, ft, corpus

    def hear(self, line: str, before: int) -> None:
        """Take a line of libFuzzer's."""
        if match := _LINE.search(line):
            case, coverage, features, corpus = (int(group or 0) for group in match.groups())
            self.points.append((before + case, coverage, features, corpus))

    def at(self, case: float) -> tuple[int, int, int, int]:
        """Return the last known by then."""
        return max((one for one in self.points if one[0] <= case), default=(0, 0, 0, 0))


def run_target(name: str, minutes: float, cases: int, out: Path) -> Result:
    """Run one target, again after each end of its process, until time or cases are used up."""
    folder = out / name
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(TARGETS[name].seeds()):
        (folder / "corpus" / f"seed-{number}").write_bytes(seed)
    result, progress, ends_s = Result(name), Progress(), time.monotonic() + 60 * minutes
    for _ in range(_MOST_DEATHS):
        left_s, left = ends_s - time.monotonic(), cases - result.cases
        if left_s < 1 or left <= 0:
            break
        status = _run_worker(result, folder, round(left_s), left, progress)
        _add_tally(result, folder)
        if status == 0:
            break
        kind = "hang: never ended" if status == 70 else f"process ended with {status}"
        result.findings[kind] = result.findings.get(kind, 0) + 1
    _conclude(result, progress)
    (folder / "result.json").write_text(json.dumps(asdict(result), indent=2) + "\n")
    return result


def _run_worker(result: Result, folder: Path, seconds: int, cases: int, progress: Progress) -> int:
    name, before = result.target, result.cases
    options = [
        f"-max_total_time={max(1, seconds)}", f"-runs={cases}", f"-timeout={_TIMEOUT_S}",
        f"-max_len={TARGETS[name].max_bytes}", "-rss_limit_mb=4096", "-len_control=0",
        "-mutate_depth=2",  # the mutators change several things at once already
        f"-artifact_prefix={folder}/", "-reload=0", str(folder / "corpus"),
    ]  # fmt: skip
    spec = folder / "spec.json"
    spec.write_text(json.dumps({"target": name, "folder": str(folder), "options": options}))
    command = [sys.executable, "-m", "tests.fuzz.worker", str(spec)]
    # libFuzzer ends its process without a farewell: the scratch is taken away here.
    with (folder / "log.txt").open("a") as log, TemporaryDirectory(dir=memory()) as scratch:
        with subprocess.Popen(
            command, cwd=REPO, env=os.environ | {SCRATCH_IN: scratch},
            stdout=log, stderr=subprocess.PIPE, text=True, errors="replace",
        ) as worker:  # fmt: skip
            assert worker.stderr is not None
            for line in worker.stderr:
                progress.hear(line, before)
                log.write(line)
        return worker.returncode


def _add_tally(result: Result, folder: Path) -> None:
    path = folder / "tally.json"
    if not path.exists():
        return
    tally: dict[str, Any] = json.loads(path.read_text())
    path.unlink()
    result.cases += tally["cases"]
    result.seconds += tally["seconds"]
    result.refused += tally["refused"]
    result.slowest_s = max(result.slowest_s, tally["slowest_s"])
    result.peak_memory_mb = max(result.peak_memory_mb, *tally["rss_mb"])
    result.memory_at_half_mb = tally["rss_mb"][len(tally["rss_mb"]) // 2]
    for kind, count in tally["findings"].items():
        result.findings[kind] = result.findings.get(kind, 0) + count


def _conclude(result: Result, progress: Progress) -> None:
    if progress.points:
        last = max(progress.points)
        result.cases = max(result.cases, last[0])
        result.coverage, result.features, result.corpus = last[1:]
        half = progress.at(result.cases / 2)
        result.coverage_at_half, result.features_at_half = half[1:3]
    result.cases_per_s = round(result.cases / max(result.seconds, 1e-3), 1)
    result.hangs = sum(kind.startswith("hang") for kind in result.findings)
    result.crashes = len(result.findings) - result.hangs


def _tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run what the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="default: all of them")
    parser.add_argument("--minutes", type=float, default=20.0, help="of each target, at most")
    parser.add_argument("--cases", type=int, default=1_000_000, help="of each target, at most")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"), help="corpus and results")
    parser.add_argument("--list", action="store_true", help="name the targets, and no more")
    told = parser.parse_args()
    names = told.targets or list(TARGETS)
    if unknown := [name for name in names if name not in TARGETS]:
        parser.error(f"no target {unknown[0]!r}; there are {', '.join(TARGETS)}")
    if told.list:
        _tell("\n".join(names))
        return 0
    if importlib.util.find_spec("atheris") is None:
        parser.error("needs atheris: pip install -e '.[fuzz]' (Linux on x86_64, Python 3.11 on)")
    results = []
    for name in names:
        result = run_target(name, told.minutes, told.cases, told.out)
        results.append(result)
        _tell(json.dumps(asdict(result)))
    found = sum(one.crashes + one.hangs for one in results)
    _tell(
        json.dumps(
            {"targets": len(results), "cases": sum(r.cases for r in results), "findings": found}
        )
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
