"""What a fuzz target is."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edge.errors import SkywhistleError
from tests.fuzz.mutate import Mutator

SCRATCH_IN = "SKYWHISTLE_FUZZ_SCRATCH"  # names the folder of a worker's scratch


@dataclass(frozen=True, slots=True)
class Target:
    """One reader of bytes from outside, and the law that it keeps.

    Attributes:
        name: Of the target.
        seeds: Makes good inputs, with our own encoders.
        check: Reads one input; raises `SkywhistleError` where it is refused.  Whatever else it
            raises is a finding, an `AssertionError` a law that is broken.
        mutate: Makes other inputs of one.
        max_bytes: That an input may have.
        short_cases: How many of them the short form tries.
        is_in_child: Whether foreign code reads it, which may end the process.
    """

    name: str
    seeds: Callable[[], list[bytes]]
    check: Callable[[bytes], None]
    mutate: Mutator
    max_bytes: int = 4096
    short_cases: int = 600
    is_in_child: bool = False


def refused(check: Callable[[bytes], None], data: bytes) -> bool:
    """Run one case; tell whether the input was refused, with words."""
    try:
        check(data)
    except SkywhistleError as error:
        assert str(error).strip(), "an error without words"
        return True
    return False


def memory() -> Path:
    """Return a folder that is in memory, where there is one."""
    shared = Path("/dev/shm")
    return shared if shared.is_dir() else Path(tempfile.gettempdir())


@cache
def scratch() -> Path:
    """Return a folder for what is read by its path; it goes when the process does."""
    path = Path(tempfile.mkdtemp(prefix="sw-fuzz-", dir=os.environ.get(SCRATCH_IN) or memory()))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def on_disk(name: str, data: bytes) -> Path:
    """Write an input where a reader finds it."""
    path = scratch() / name
    path.write_bytes(data)
    return path
