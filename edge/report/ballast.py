"""What is given up when the disk is full: pictures first, then a reserve kept for that day.

Without it a full disk could not be emptied: deleting what the desk has committed writes too.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_RESERVE_BYTES: Final = 1 << 20  # some thousand alerts, or the deletion of as many
_PICTURES_BYTES: Final = 1 << 20  # freed at a time
_ROOM_FACTOR: Final = 8  # the reserve is made only where so many times its size is free


class Ballast:
    """Room that can be had beside the mailbox.

    Args:
        mailbox_path: The reserve lies beside it, in `<name>.reserve`.
        pictures: The evidence folder; None: no pictures are kept.
    """

    def __init__(self, mailbox_path: Path, pictures: Path | None = None) -> None:
        self._reserve = mailbox_path.with_name(mailbox_path.name + ".reserve")
        self._pictures = pictures

    def give_up(self) -> bool:
        """Free some room: the oldest pictures, and the reserve when there are none.

        Returns:
            Whether anything was freed.
        """
        n = self._drop_pictures()
        if n:
            log.warning("pictures_given_up n=%d folder=%s", n, self._pictures)
            return True
        try:
            self._reserve.unlink()
        except OSError:
            return False
        log.warning("reserve_given_up path=%s", self._reserve)
        return True

    def keep(self) -> None:
        """Lay the reserve aside (again) where there is plenty of room."""
        with contextlib.suppress(OSError):  # no room, or no right: then there is no reserve
            if not self._reserve.exists() and _free_bytes(self._reserve.parent) > (
                _ROOM_FACTOR * _RESERVE_BYTES
            ):
                _allocate(self._reserve, _RESERVE_BYTES)

    def _drop_pictures(self) -> int:
        """Delete the oldest pictures until enough is free; returns how many."""
        freed, n = 0, 0
        for path, size_bytes in _oldest_first(self._pictures):
            if freed >= _PICTURES_BYTES:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                freed, n = freed + size_bytes, n + 1
        return n


def _oldest_first(folder: Path | None) -> list[tuple[Path, int]]:
    """List the pictures and their sizes."""
    found = []
    for path in folder.glob("*.webp") if folder is not None else ():
        with contextlib.suppress(OSError):  # the other program may have deleted it
            found.append((path, path.stat()))
    found.sort(key=lambda item: item[1].st_mtime_ns)
    return [(path, stat.st_size) for path, stat in found]


def _free_bytes(folder: Path) -> int:
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def _allocate(path: Path, size_bytes: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)  # blocks of its own, not a hole
    finally:
        os.close(descriptor)
