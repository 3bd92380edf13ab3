"""Changes of the mailbox file: each whole or not at all, and on a full disk after making room."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from edge.errors import MailboxFullError
from edge.report.ballast import Ballast
from edge.report.database import mailbox_error

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


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
                    return self._once(change)
                except MailboxFullError as error:
                    self._tell_full(error)
                    make_room()
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
