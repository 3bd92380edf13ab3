"""What a fuzz target is."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from edge.errors import SkywhistleError
from tests.fuzz.mutate import Mutator


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


@cache
def scratch() -> Path:
    """Return a folder in memory for what is read by its path."""
    memory = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="sw-fuzz-", dir=memory if memory.is_dir() else None))


def on_disk(name: str, data: bytes) -> Path:
    """Write an input where a reader finds it."""
    path = scratch() / name
    path.write_bytes(data)
    return path
