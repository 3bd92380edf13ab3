"""What a process holds, read from /proc, and how fast it grows."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np

_RSS: Final = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)
_THREADS: Final = re.compile(r"^Threads:\s+(\d+)$", re.MULTILINE)
_WRITTEN: Final = re.compile(r"^write_bytes: (\d+)$", re.MULTILINE)
_KB: Final = 1024.0  # what /proc calls kB
_MEGABYTE: Final = 1e6
_S_PER_H: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one instant."""

    t_s: float  # since the soak began
    role: str
    pid: int
    memory_mb: float  # resident
    handles: int
    threads: int
    written_bytes: int  # handed to the disk since its start
    queued: int  # rows of the outbox, the same for all roles


def read_sample(t_s: float, role: str, pid: int, queued: int) -> Sample | None:
    """Read one; None if the process has just ended."""
    proc = Path(f"/proc/{pid}")
    try:
        status = (proc / "status").read_text()
        handles = len(list((proc / "fd").iterdir()))
        written = _WRITTEN.search((proc / "io").read_text())
    except OSError:
        return None
    memory, threads = _RSS.search(status), _THREADS.search(status)
    if memory is None or threads is None:  # a zombie has neither
        return None
    return Sample(
        t_s=round(t_s, 1),
        role=role,
        pid=pid,
        memory_mb=round(int(memory.group(1)) * _KB / _MEGABYTE, 3),
        handles=handles,
        threads=int(threads.group(1)),
        written_bytes=0 if written is None else int(written.group(1)),
        queued=queued,
    )


class SampleFile:
    """A CSV that grows line by line, so that a soak that is cut short has left its samples."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", newline="", encoding="utf-8")
        self._rows = csv.DictWriter(self._file, [field.name for field in fields(Sample)])
        self._rows.writeheader()

    def add(self, sample: Sample) -> None:
        self._rows.writerow(asdict(sample))
        self._file.flush()

    def close(self) -> None:
        self._file.close()


@dataclass(frozen=True, slots=True)
class Growth:
    """How one process fared after the warm-up."""

    memory_mb: float  # at the end
    memory_max_mb: float
    memory_slope_mb_per_h: float
    handles: int
    handles_slope_per_h: float
    threads: int
    threads_slope_per_h: float
    n_samples: int
    n_processes: int  # more than one: it was started again


def growth(samples: Sequence[Sample], warm_up_s: float) -> Growth | None:
    """Fit straight lines to one process's samples after the warm-up; None with fewer than three."""
    late = [sample for sample in samples if sample.t_s >= warm_up_s]
    if len(late) < 3:
        return None
    return Growth(
        memory_mb=late[-1].memory_mb,
        memory_max_mb=max(sample.memory_mb for sample in late),
        memory_slope_mb_per_h=slope_per_h(late, [sample.memory_mb for sample in late]),
        handles=late[-1].handles,
        handles_slope_per_h=slope_per_h(late, [sample.handles for sample in late]),
        threads=late[-1].threads,
        threads_slope_per_h=slope_per_h(late, [sample.threads for sample in late]),
        n_samples=len(late),
        n_processes=len({sample.pid for sample in samples}),
    )


def slope_per_h(samples: Sequence[Sample], values: Sequence[float]) -> float:
    """Return the slope of the least-squares line, in units an hour."""
    times_h = np.array([sample.t_s for sample in samples]) / _S_PER_H
    return round(float(np.polyfit(times_h, np.asarray(values, dtype=float), 1)[0]), 4)
