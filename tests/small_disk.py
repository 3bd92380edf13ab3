"""A real disk of a few megabytes, to be filled to the last block."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_CHUNK = bytes(64 << 10)


@contextmanager
def small_disk(folder: Path, size_mb: int = 12) -> Iterator[Path]:
    """Mount a memory disk on the folder for as long as the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={size_mb}m,mode=700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a memory disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def fill(folder: Path, name: str = "filler", leave_bytes: int = 0) -> Path:
    """Write a file until the disk refuses; leave so much, to the block."""
    path = folder / name
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(_CHUNK)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
        file.truncate(max(0, file.tell() - leave_bytes))
    return path
