"""Changes of the mailbox file: each whole or not at all, and on a full disk after making room.

The file grows by a stretch of pages that is written out before any of them is used.  A page that
lay in the write-ahead log only could not be copied into the file on a full disk: the log could then
never begin anew, and nothing could be deleted any more.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from edge.errors import MailboxError, MailboxFullError
from edge.report.ballast import Ballast
from edge.report.database import BUSY_S, free_bytes, mailbox_error

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")
_GROW_PAGES: Final = 256  # at a time; fewer where there is little room
_GROW_MIN_PAGES: Final = 16
_GROW_ROOM: Final = 4  # of what is free so much is left: the log grows by as many pages, and more
_GROW_TRIES: Final = 24  # for one change; each makes twice the room of the one before
_COPY_BUSY_MS: Final = 100  # the other program waits meanwhile
_COPY_TRIES: Final = 5
_COPY_WAIT_S: Final = 0.02


class Changes:
    """One connection's transactions.

    Args:
        db: The connection, in autocommit.
        path: Of the file, for messages.
        lock: Held during a transaction; whoever reads in other threads takes it too.
        ballast: What may be given up for room.
    """

    def __init__(
        self, db: sqlite3.Connection, path: Path, lock: threading.RLock, ballast: Ballast
    ) -> None:
        self._db = db
        self._path = path
        self._lock = lock
        self._ballast = ballast
        self._is_full = False
        self._is_unsafe = False  # pages are in use that could not be written out yet
        # What is in the file by now is its room.  A log that cannot be copied on a full disk stays.
        self.begin_log_anew()
        self._take_back_room()
        self._allow_pages(self._number("page_count"))

    def make(
        self, change: Callable[[sqlite3.Connection], _Result], *, is_worth_ballast: bool = True
    ) -> _Result:
        """Run one transaction; where the disk is full, make room and try again.

        Args:
            change: Called inside the transaction; perhaps again, in another.
            is_worth_ballast: Whether pictures and the reserve may be given up for it.

        Raises:
            MailboxFullError: There is still no room; nothing was changed.
            MailboxError: The file cannot be written.
        """
        give_up = (self._give_up_ballast,) * 2  # pictures, then perhaps the reserve
        with self._lock:
            for make_room in (self.begin_log_anew, *(give_up if is_worth_ballast else ())):
                try:
                    return self._once_grown(change)
                except MailboxFullError as error:
                    self._tell_full(error)
                    make_room()
            return self._once_grown(change)

    def _once_grown(self, change: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Run one transaction, again after each stretch that the file had to grow by."""
        pages = _GROW_PAGES
        for _ in range(_GROW_TRIES):
            try:
                result = self._once(change)
            except MailboxFullError:
                if not (self._take_back_room() or self._grow(pages)):
                    raise
                pages *= 2
            else:
                if self._is_unsafe:
                    self._is_unsafe = not self.begin_log_anew()
                return result
        return self._once(change)

    def _once(self, change: Callable[[sqlite3.Connection], _Result]) -> _Result:
        with self._transaction() as db:
            result = change(db)
        if self._is_full:
            self._is_full = False
            log.info("mailbox_has_room path=%s", self._path)
        return result

    def _tell_full(self, error: MailboxFullError) -> None:
        if not self._is_full:
            self._is_full = True
            log.error("mailbox_full reason=%s", error)

    def _give_up_ballast(self) -> None:
        if self._ballast.give_up():
            self.begin_log_anew()

    def begin_log_anew(self) -> bool:
        """Copy the write-ahead log into the file: what comes next overwrites it, in no new room.

        Returns:
            Whether all of it was copied: not on a full disk, nor while somebody still reads it.
        """
        try:
            self._db.execute(f"PRAGMA busy_timeout = {_COPY_BUSY_MS}").fetchall()
            busy, in_log, copied = self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
            return not busy and in_log == copied
        except sqlite3.Error:
            return False
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {round(1000 * BUSY_S)}").fetchall()

    def _grow(self, pages: int) -> bool:
        """Lengthen the file by free pages, all of them on the disk; False where it has no room."""
        page_bytes = self._number("page_size")
        pages = min(pages, free_bytes(self._path) // (_GROW_ROOM * page_bytes))
        if pages < _GROW_MIN_PAGES:
            return False
        try:
            with self._transaction() as db:  # a value of that size takes them, and
                self._allow_pages(self._number("page_count") + pages)
                n_free = self._number("freelist_count")
                room = (n_free + pages - 2) * (page_bytes - 8)
                db.execute("INSERT OR REPLACE INTO meta VALUES ('room', zeroblob(?))", (room,))
            # Where somebody else copies or reads the log just now: after the next change again.
            self._is_unsafe = not self._copied_soon()
        except MailboxError:  # others took the room meanwhile
            return False
        finally:
            self._take_back_room()  # gives them back, free and written out
            with contextlib.suppress(MailboxError):
                self._allow_pages(self._number("page_count"))
        return True

    def _copied_soon(self) -> bool:
        """Copy the log; the other program may be copying it, which takes milliseconds."""
        for _ in range(_COPY_TRIES):
            if self.begin_log_anew():
                return True
            time.sleep(_COPY_WAIT_S)
        return False

    def _take_back_room(self) -> bool:
        """Free the pages that a growth has taken, also one that was killed under way."""
        try:
            if not self._rows("SELECT 1 FROM meta WHERE name = 'room'"):
                return False
            with self._transaction() as db:
                return db.execute("DELETE FROM meta WHERE name = 'room'").rowcount > 0
        except MailboxError:
            return False

    def _allow_pages(self, pages: int) -> None:
        """Let the file have so many pages, at least those that it has."""
        self._rows(f"PRAGMA max_page_count = {pages}")

    def _number(self, pragma: str) -> int:
        return int(self._rows(f"PRAGMA {pragma}")[0][0])

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            return self._db.execute(sql).fetchall()
        except sqlite3.Error as error:
            raise mailbox_error(error, self._path) from error

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise mailbox_error(error, self._path) from error
        finally:
            self._roll_back()  # of what did not reach COMMIT

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # a failed statement may have done it
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
