"""The mailbox: the one file between `flight` and `uplink` (DESIGN section 3).

`flight` puts messages and overwrites its status; `uplink` sends, forgets what the desk has
committed, and stores commands.  What `put` has returned for is on the disk: it reaches the desk
at least once, or a loss record does.  On a full disk what is queued is sent and forgotten all the
same: pictures and a reserve make way (see `ballast`), and what is not worth a write lies in memory.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

from edge.config_delivery import MailboxConfig
from edge.errors import MailboxError, MailboxFullError
from edge.protocol.ack import Ack
from edge.protocol.command import Command, Gate, Refusal
from edge.protocol.loss import LossCause, LossRecord
from edge.protocol.signing import SigningKey
from edge.protocol.status import FlightStatus, flight_status_bytes, flight_status_from_bytes
from edge.report import inbox, outbox
from edge.report.ballast import Ballast
from edge.report.chain import Chain
from edge.report.changes import Changes
from edge.report.clocks import Clocks
from edge.report.database import mailbox_error, open_database
from edge.report.inbox import InboxRow
from edge.report.outbox import OutboxRow
from edge.report.outgoing import Outgoing
from edge.report.queue_state import QueueState, queue_state

log = logging.getLogger(__name__)

_MEGABYTE: Final = 1_000_000
_FORGET_BATCH: Final = 64  # acked rows forgotten in one transaction where room is scarce
_Read = TypeVar("_Read")


class Mailbox:
    """The file, open.  Threads may share one; processes open their own.

    Args:
        config: Path, size budget and validity of a message.
        clocks: Where rows get their times.
        pictures: The evidence folder, whose oldest pictures make way when the disk is full.
        key: Vouches for what is sent; only the uplink has one.

    Raises:
        MailboxError: The file cannot be opened (see `database.open_database`).
    """

    def __init__(
        self,
        config: MailboxConfig,
        clocks: Clocks,
        pictures: Path | None = None,
        key: SigningKey | None = None,
    ) -> None:
        self._key = key
        self._path = config.path
        self._ballast = Ballast(config.path, pictures, int(config.disk_mb * _MEGABYTE))
        self._max_bytes = int(config.max_mb * _MEGABYTE)
        self._valid_s = config.validity_s
        self._clocks = clocks
        self._lock = threading.RLock()
        self._open()

    def _open(self) -> None:
        self._db, self.was_damaged = self._opened()
        outbox.open_sending(self._db)
        self._changes = Changes(self._db, self._path, self._lock, self._ballast)
        self._identity = self._path.stat().st_ino
        self._data_version = -1
        self.epoch = int(self._one("SELECT value FROM meta WHERE name = 'epoch'")[0])
        self.chain = None if self._key is None else Chain(self._key, self.epoch, self._db)
        if self.was_damaged:
            damaged = LossRecord(
                LossCause.MAILBOX_DAMAGED, (0, 0, 0, 0), reason="mailbox damaged, moved aside"
            )
            self._changes.make(lambda db: outbox.store_loss(db, damaged, self._clocks))

    def _opened(self) -> tuple[sqlite3.Connection, bool]:
        """Open the file; on a full disk, where its index has no room, ballast makes way."""
        while True:
            try:
                return open_database(self._path)
            except MailboxFullError:
                if not self._ballast.give_up():
                    raise

    def _follow_the_path(self) -> None:
        """Open the file anew where `uplink` has moved a damaged one aside: nobody reads that."""
        with self._lock:
            if not self.is_current():
                log.error("mailbox_replaced path=%s", self._path)
                self._db.close()
                self._open()

    # --- what flight does -------------------------------------------------------------------------

    def put(self, message: Outgoing) -> int:
        """Store one message durably.

        Returns:
            Its seq, for good: nothing else will ever have it in this epoch.

        Raises:
            MailboxFullError: No room on the disk; nothing accepted before is harmed.
            MailboxError: The file cannot be written.
        """
        return self.put_all([message])[0]

    def put_all(self, messages: Sequence[Outgoing]) -> list[int]:
        """Store several messages in one transaction: all of them or none."""
        self._follow_the_path()

        def put(db: sqlite3.Connection) -> list[int]:
            seqs = [outbox.insert(db, m, self._clocks, self._valid_s) for m in messages]
            outbox.count(db, "accepted", len(messages))
            outbox.enforce_budget(db, self._clocks, self._max_bytes)
            return seqs

        return self._changes.make(put)

    def set_flight_status(self, status: FlightStatus) -> None:
        """Overwrite what `flight` says of itself."""
        self._follow_the_path()
        self._set_status("flight", flight_status_bytes(status))

    def commands(self) -> list[InboxRow]:
        """List the commands not yet done, oldest first."""
        return self._read(inbox.waiting)

    def command_done(self, row: InboxRow, answer: Outgoing | None) -> None:
        """Mark a command done and queue its answer: both, or neither."""

        def done(db: sqlite3.Connection) -> None:
            inbox.done(db, row)
            if answer is not None:
                outbox.insert(db, answer, self._clocks, self._valid_s)
                outbox.count(db, "accepted", 1)

        self._changes.make(done)

    def make_room(self) -> bool:
        """Free some of a full disk for what is worth more than pictures; False: none is left."""
        return self._ballast.give_up()

    # --- what uplink does -------------------------------------------------------------------------

    def take_due(
        self,
        limit: int,
        backoff_ns: Callable[[int], int],
        with_media: bool = True,
        only_new: bool = False,
    ) -> list[OutboxRow]:
        """Take what may be sent now, and count the try before it is made.

        Args:
            limit: How many at most.
            backoff_ns: From the number of tries so far to the wait before the next.
            with_media: Whether a picture may go, if nothing else may.
            only_new: Leave what was sent before, also by an uplink that is gone.
        """
        if limit < 1:
            return []
        chain = self.chain

        def take(db: sqlite3.Connection) -> list[OutboxRow]:
            rows = outbox.due_rows(db, self._clocks, limit, with_media, only_new)
            now_ns = self._clocks.mono_ns()
            outbox.note_try(db, {row.seq: now_ns + backoff_ns(row.tries) for row in rows})
            return rows

        def take_and_mark(db: sqlite3.Connection) -> list[OutboxRow]:
            rows = take(db)
            outbox.mark_sent(db, [row.seq for row in rows])
            if chain is None:
                return rows
            rows = chain.vouch_for(rows)
            chain.write(db)
            return rows

        with self._lock:  # a look first: mostly there is nothing, and a transaction writes
            if not outbox.due_rows(self._db, self._clocks, 1, with_media, only_new):
                return []
            before = None if chain is None else chain.state
            try:
                rows = self._changes.make(take_and_mark, is_worth_ballast=False)
            except MailboxFullError:
                # Unmarked, a sent update may be replaced: the desk then gets both, in order.
                rows = take(self._db)
                return rows if chain is None else chain.vouch_for(rows)
            except MailboxError:
                if chain is not None and before is not None:
                    chain.state = before  # nothing of it was sent
                raise
            if chain is not None:
                chain.written()
            return rows

    def make_due(self, seqs: Iterable[int] | None = None) -> None:
        """Let rows be sent again at once: those named, else all."""
        with self._lock:
            outbox.make_due(self._db, seqs)

    def acked(self, ack: Ack) -> int:
        """Forget what the desk has committed.  An ack of another epoch, or one that comes twice,
        changes nothing.  Where the disk has no room for it, it is remembered until there is some.

        Returns:
            How many rows left the outbox.
        """
        if ack.epoch != self.epoch:
            return 0

        def forget(db: sqlite3.Connection) -> int:
            n = outbox.delete_acked(db, ack.up_to, ack.extra)
            for reject in ack.reject:
                reason = f"desk: {reject.reason}"
                if outbox.dead_letter(db, reject.seq, reason, self._clocks):
                    log.error("message_refused seq=%d reason=%s", reject.seq, reject.reason)
            return n

        try:
            return self._changes.make(forget)
        except MailboxFullError:  # what was refused is refused again after its next resend
            with self._lock:
                outbox.note_acked(self._db, ack.up_to, ack.extra)
            return self._forget_noted()

    def dead_letter(self, seq: int, reason: str) -> None:
        """Take a message that can never be sent out of the queue; a loss record says so."""
        if self._changes.make(lambda db: outbox.dead_letter(db, seq, reason, self._clocks)):
            log.error("message_undeliverable seq=%d reason=%s", seq, reason)

    def expire(self) -> int:
        """Give up what is older than its validity, forget what a full disk kept though acked.

        Returns:
            How many rows were given up.
        """

        def expire(db: sqlite3.Connection) -> int:
            n = outbox.expire(db, self._clocks)
            outbox.forget_gone(db)
            return n

        self._forget_noted()
        return self._changes.make(expire)

    def _forget_noted(self) -> int:
        """Forget what was acked on a full disk, as far as there is room by now: few at a time."""
        total = 0
        with contextlib.suppress(MailboxFullError), self._lock:
            while seqs := outbox.noted(self._db, _FORGET_BATCH):
                total += self._changes.make(partial(outbox.delete_noted, seqs=seqs))
                self._changes.begin_log_anew()  # the next few need no room either
        return total

    def keep_ballast(self) -> None:
        """Lay the reserve aside (again) that a full disk will be met with."""
        self._ballast.keep()

    def trim_pictures(self) -> int:
        """Delete pictures beyond what mailbox and pictures may take together; returns how many."""
        return self._ballast.trim()

    def picture_room_bytes(self, pictures_bytes: int) -> int:
        """Tell how much all pictures may take, of which so much is taken now."""
        return self._ballast.picture_room_bytes(pictures_bytes)

    def take_command(self, gate: Gate, payload: bytes) -> Command | Refusal:
        """Keep a command of the desk until `flight` carries it out, if it is to be obeyed.

        Raises:
            MailboxFullError: No room; it has not been taken.
        """
        utc_ns = self._clocks.utc_ns()
        now_ms = None if utc_ns is None else utc_ns // 1_000_000
        verdict = gate.admit(payload, now_ms, self._read(inbox.last_issued_ms))
        if isinstance(verdict, Refusal):  # a flood of forgeries costs the disk no write
            return verdict
        return self._changes.make(lambda db: inbox.take(db, verdict, utc_ns))

    def flight_status(self, max_age_s: float) -> FlightStatus | None:
        """Read what `flight` said last; None if that is older, or from before a reboot."""
        body = self._status("flight", max_age_s)
        return None if body is None else flight_status_from_bytes(body)

    def set_uplink_health(self, health: bytes) -> None:
        """Leave the uplink's health for `flight` to read."""
        self._set_status("uplink", health)

    def uplink_health(self, max_age_s: float) -> bytes | None:
        """Read the uplink's health; None if it is older, or there is none."""
        return self._status("uplink", max_age_s)

    # --- what both do -----------------------------------------------------------------------------

    def changed(self) -> bool:
        """Tell cheaply whether another connection has written since this was last asked.

        Reads a counter in shared memory: a poll costs microseconds.
        """
        version = int(self._one("PRAGMA data_version")[0])
        is_new, self._data_version = version != self._data_version, version
        return is_new

    def is_current(self) -> bool:
        """Tell whether the path still leads to this file; False after it was moved aside."""
        try:
            return self._path.stat().st_ino == self._identity
        except OSError:
            return False

    def queue_state(self) -> QueueState:
        """Count what waits."""
        return self._read(lambda db: queue_state(db, self._clocks))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Read with SQL, for reports and tests."""
        return self._all(sql)

    def close(self) -> None:
        """Close the file; harmless twice."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Mailbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _set_status(self, role: str, body: bytes) -> None:
        row = (role, body, self._clocks.mono_ns(), self._clocks.boot_id)
        self._changes.make(
            lambda db: db.execute("INSERT OR REPLACE INTO status VALUES (?, ?, ?, ?)", row),
            is_worth_ballast=False,
        )

    def _status(self, role: str, max_age_s: float) -> bytes | None:
        rows = self._all("SELECT body, mono_ns, boot_id FROM status WHERE role = ?", (role,))
        if not rows or rows[0][2] != self._clocks.boot_id:
            return None
        age_s = (self._clocks.mono_ns() - rows[0][1]) / 1e9
        return bytes(rows[0][0]) if age_s <= max_age_s else None

    def _all(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        return self._read(lambda db: db.execute(sql, values).fetchall())

    def _read(self, look: Callable[[sqlite3.Connection], _Read]) -> _Read:
        with self._lock:
            try:
                return look(self._db)
            except sqlite3.Error as error:
                raise mailbox_error(error, self._path) from error

    def _one(self, sql: str) -> Any:
        rows = self._all(sql)
        if not rows:
            raise MailboxError(f"{self._path} lacks what every mailbox has; move it aside")
        return rows[0]
