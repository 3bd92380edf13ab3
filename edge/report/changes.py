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
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from edge.errors import MailboxError, MailboxFullError
from edge.report.ballast import Ballast
from edge.report.database import free_bytes, mailbox_error

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")
_GROW_PAGES: Final = 256  # at a time; fewer where there is little room
_GROW_MIN_PAGES: Final = 16
_GROW_ROOM: Final = 4  # of what is free so much is left: the log grows by as many pages, and more
_GROW_TRIES: Final = 256  # for one change; each made room


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
        # What is in the file by now is its room.  A log that cannot be copied on a full disk stays.
        self._begin_log_anew()
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
            for make_room in (self._begin_log_anew, *(give_up if is_worth_ballast else ())):
                try:
                    return self._once_grown(change)
                except MailboxFullError as error:
                    self._tell_full(error)
                    make_room()
            return self._once_grown(change)

    def _once_grown(self, change: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Run one transaction, again after each stretch that the file had to grow by."""
        for _ in range(_GROW_TRIES):
            try:
                return self._once(change)
            except MailboxFullError:
                if not self._grow():
                    raise
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
            self._begin_log_anew()

    def _begin_log_anew(self) -> None:
        """Copy the write-ahead log into the file: what comes next overwrites it, in no new room."""
        with contextlib.suppress(sqlite3.Error):
            self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()

    def _grow(self) -> bool:
        """Lengthen the file by free pages, all of them on the disk; False where it has no room."""
        pages, page_bytes = self._number("page_count"), self._number("page_size")
        free_pages = self._number("freelist_count")
        step = min(_GROW_PAGES, free_bytes(self._path) // (_GROW_ROOM * page_bytes))
        if step < _GROW_MIN_PAGES:
            return False
        self._allow_pages(pages + step)
        try:
            with self._transaction() as db:  # a value of that size takes them, and
                room = (free_pages + step - 2) * (page_bytes - 8)
                db.execute("INSERT OR REPLACE INTO meta VALUES ('room', zeroblob(?))", (room,))
            # Somebody who reads for long may keep pages in the log: then this growth is unsafe, but
            # no reason to refuse an alert.
            self._db.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
            with self._transaction() as db:  # gives them back, free and written out
                db.execute("DELETE FROM meta WHERE name = 'room'")
        except (sqlite3.Error, MailboxError):  # others took the room meanwhile
            return False
        finally:
            self._allow_pages(self._number("page_count"))
        return True

    def _allow_pages(self, pages: int) -> None:
        """Let the file have so many pages, at least those that it has."""
        self._db.execute(f"PRAGMA max_page_count = {pages}").fetchall()

    def _number(self, pragma: str) -> int:
        return int(self._db.execute(f"PRAGMA {pragma}").fetchone()[0])

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
