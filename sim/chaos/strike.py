"""SIGKILL, if wanted in the middle of a transaction, and how one knows that it was."""

from __future__ import annotations

import errno
import fcntl
import os
import random
import signal
import struct
import subprocess
import time
from pathlib import Path
from typing import Final

# The index beside a WAL has its locks in the bytes from 120 on, the writer's first (SQLite's
# "WAL-mode File Format", section 2.3.1): held from the first change of a transaction to its end.
_WRITE_LOCK_AT: Final = 120
_FLOCK: Final = "@hhqqi"  # struct flock of 64-bit Linux: type, whence, start, length, pid
_AIM_S: Final = 0.7
_LOOK_S: Final = 0.00005
_STOP_WAIT_S: Final = 1.0


def is_writing(database: Path, pid: int) -> bool:
    """Tell whether a process is inside a write transaction on a database in WAL mode.

    This process must not have the database open itself: closing the index here would drop its
    locks (POSIX).
    """
    try:
        descriptor = os.open(f"{database}-shm", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _WRITE_LOCK_AT, 1, 0)
        held, _, _, _, holder = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, asked))
    finally:
        os.close(descriptor)
    return bool(held != fcntl.F_UNLCK and holder == pid)


def strike(process: subprocess.Popen[bytes], database: Path | None, rng: random.Random) -> bool:
    """Kill a process; with a database, aim half the time at a transaction of its own on it.

    The process is stopped, looked at, and killed or let go on, so that what is told of it is so.

    Returns:
        Whether it died inside a write transaction.
    """
    was_writing = False
    try:
        if database is None:
            return False
        aim_until_s = time.monotonic() + (_AIM_S if rng.random() < 0.5 else 0.0)
        while not was_writing:
            while not is_writing(database, process.pid) and time.monotonic() < aim_until_s:
                time.sleep(_LOOK_S)
            process.send_signal(signal.SIGSTOP)
            _await_stop(process)
            was_writing = is_writing(database, process.pid)
            if time.monotonic() >= aim_until_s:
                break
            if not was_writing:
                process.send_signal(signal.SIGCONT)
    finally:
        process.kill()
        process.wait()
    return was_writing


def _await_stop(process: subprocess.Popen[bytes]) -> None:
    """Wait until every thread of it stands still."""
    deadline_s = time.monotonic() + _STOP_WAIT_S
    while time.monotonic() < deadline_s and process.poll() is None:
        try:
            stat = Path(f"/proc/{process.pid}/stat").read_text()
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ESRCH):
                return
            raise
        if stat.rpartition(")")[2].split()[0] in "TZ":
            return
        time.sleep(0.0005)
