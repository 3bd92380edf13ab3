"""The drone's disk: what pictures may take of it, and what is given up when it is full.

Mailbox and pictures share one budget, and a part of the disk stays free whoever else fills it:
pictures make way, alerts do not.  Should it be full all the same, pictures go first, then a reserve
kept for that day: without it a full disk could not be emptied, for deleting what the desk has
committed writes too.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_RESERVE_BYTES: Final = 1 << 20  # some thousand alerts, or the deletion of as many
_PICTURES_BYTES: Final = 1 << 20  # freed at a time
_ROOM_FACTOR: Final = 8  # the reserve is made only where so many times its size is free
# Of the disk that is left to others; pictures do not take it.
_FREE_SHARE: Final = 0.05
_FREE_MAX_BYTES: Final = 64_000_000
_MAILBOX_PARTS: Final = ("", "-wal", "-shm", ".reserve")


def is_for_want_of_room(error: BaseException | None) -> bool:
    """Tell whether a disk that is full is what went wrong."""
    return isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}


class Ballast:
    """Room that can be had beside the mailbox.

    Args:
        mailbox_path: The reserve lies beside it, in `<name>.reserve`.
        pictures: The evidence folder; None: no pictures are kept.
        disk_bytes: What mailbox and pictures may take together.
    """

    def __init__(
        self, mailbox_path: Path, pictures: Path | None = None, disk_bytes: int = sys.maxsize
    ) -> None:
        self._mailbox = mailbox_path
        self._disk_bytes = disk_bytes
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

    def picture_room_bytes(self, pictures_bytes: int) -> int:
        """Tell how much all pictures may take; where they take more, the oldest must go.

        Args:
            pictures_bytes: What they take now.
        """
        parts = [self._mailbox.with_name(self._mailbox.name + part) for part in _MAILBOX_PARTS]
        in_budget = self._disk_bytes - sum(_size_bytes(part) for part in parts)
        try:
            free, keep_free = _free_bytes(self._mailbox.parent), _keep_free(self._mailbox.parent)
        except OSError:  # the folder is what is wrong, not its room
            return max(0, in_budget)
        return max(0, min(in_budget, pictures_bytes + free - keep_free))

    def trim(self) -> int:
        """Delete the oldest pictures until the rest have room; returns how many went."""
        pictures = _oldest_first(self._pictures)
        total = sum(size_bytes for _, size_bytes in pictures)
        excess = total - self.picture_room_bytes(total)
        n = self._drop_pictures(excess, pictures) if excess > 0 else 0
        if n:
            log.warning("pictures_trimmed n=%d folder=%s", n, self._pictures)
        return n

    def _drop_pictures(
        self, enough: int = _PICTURES_BYTES, pictures: list[tuple[Path, int]] | None = None
    ) -> int:
        """Delete the oldest pictures until enough is free; returns how many."""
        freed, n = 0, 0
        for path, size_bytes in _oldest_first(self._pictures) if pictures is None else pictures:
            if freed >= enough:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                freed, n = freed + size_bytes, n + 1
        return n


def _oldest_first(folder: Path | None) -> list[tuple[Path, int]]:
    """List pictures and their sizes: originals, twenty times as large, before what is sent."""
    if folder is None:
        return []
    ordered = []
    for pattern in ("originals/*.sealed", "*.webp"):
        found = []
        for path in folder.glob(pattern):
            with contextlib.suppress(OSError):  # the other program may have deleted it
                found.append((path, path.stat()))
        found.sort(key=lambda item: item[1].st_mtime_ns)
        ordered += [(path, stat.st_size) for path, stat in found]
    return ordered


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # not there: the log of a file that was closed well
        return 0


def _keep_free(folder: Path) -> int:
    stat = os.statvfs(folder)
    return min(_FREE_MAX_BYTES, int(_FREE_SHARE * stat.f_blocks * stat.f_frsize))


def _free_bytes(folder: Path) -> int:
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def _allocate(path: Path, size_bytes: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, size_bytes)  # blocks of its own, not a hole
    finally:
        os.close(descriptor)
