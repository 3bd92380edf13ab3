"""What the desk has committed: one SQLite file, WAL, synchronous=FULL.

Committing is idempotent twice over: on (drone, epoch, seq), and for alerts on (drone, incident
id, revision), so that neither a resend nor a restored mailbox doubles anything.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from edge.desk.schema import KEEP_SUPERSEDED, SCHEMA, SCHEMA_VERSION, STORE_ALERT, UPGRADES
from edge.errors import MailboxError, MailboxFullError
from edge.protocol.loss import LossRecord
from edge.protocol.media import Media
from edge.protocol.messages import Envelope
from edge.protocol.status import Status
from edge.protocol.text import alert_as_dict
from edge.protocol.vouch import Statement, Voucher, voucher_bytes
from edge.records import Alert

_BUSY_S: Final = 5.0
_REFUSED_KEPT: Final = 1000
_REFUSED_HEAD_BYTES: Final = 512


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where a message came from and when."""

    drone_id: str
    received_utc_ns: int


@dataclass(frozen=True, slots=True)
class StoredAlert:
    """An alert as it stands in the file."""

    drone_id: str
    received_utc_ns: int
    is_replay: bool
    body: bytes
    fields: dict[str, Any]  # as `alert_as_dict` laid it out


class DeskStore:
    """The desk's file, open.

    Raises:
        MailboxError: It cannot be opened, is damaged, or a newer Skywhistle made it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            self._db = sqlite3.connect(
                path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise _desk_error(error, path) from error
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._db.close()
            raise _desk_error(error, path) from error
        except MailboxError:
            self._db.close()
            raise

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit everything stored inside, durably, or nothing of it."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise _desk_error(error, self._path) from error
            finally:
                self._roll_back()  # of what did not reach COMMIT

    def store_message(self, receipt: Receipt, envelope: Envelope, body: bytes | None) -> bool:
        """Note (drone, epoch, seq); False if it was there."""
        return self._insert(
            "message (drone, epoch, seq, kind, is_replay, received_utc_ns, body)",
            receipt.drone_id,
            envelope.stamp.epoch,
            envelope.stamp.seq,
            int(envelope.kind),
            int(envelope.is_replay),
            receipt.received_utc_ns,
            body,
        )

    def store_alert(self, receipt: Receipt, envelope: Envelope, alert: Alert) -> bool:
        """Store an alert; False if this revision of the incident was there.

        A flight that was killed between its put and its own notes tells a revision again, in other
        words: of one mailbox the later counts.
        """
        self._db.execute(KEEP_SUPERSEDED, (receipt.drone_id, alert.incident_id, alert.revision))
        cursor = self._db.execute(
            STORE_ALERT,
            (
                receipt.drone_id,
                alert.incident_id,
                alert.revision,
                envelope.stamp.epoch,
                envelope.stamp.seq,
                receipt.received_utc_ns,
                int(envelope.is_replay),
                envelope.body,
                json.dumps(alert_as_dict(alert), ensure_ascii=False),
            ),
        )
        return cursor.rowcount == 1

    def store_media(self, receipt: Receipt, media: Media) -> bool:
        """Store a picture; False if it was there."""
        return self._insert(
            "media (drone, incident_id, revision, evidence_hash, image_webp, received_utc_ns)",
            receipt.drone_id,
            media.incident_id,
            media.revision,
            media.evidence_hash,
            media.image_webp,
            receipt.received_utc_ns,
        )

    def store_loss(self, receipt: Receipt, envelope: Envelope, loss: LossRecord) -> bool:
        """Store a loss record; False if it was there."""
        fields = {
            "by_severity": loss.by_severity,
            "first_seq": loss.first_seq,
            "last_seq": loss.last_seq,
            "reason": loss.reason,
        }
        return self._insert(
            "loss (drone, epoch, seq, cause, count, fields, received_utc_ns)",
            receipt.drone_id,
            envelope.stamp.epoch,
            envelope.stamp.seq,
            loss.cause.name.lower(),
            loss.count,
            json.dumps(fields, ensure_ascii=False),
            receipt.received_utc_ns,
        )

    def store_voucher(
        self, drone_id: str, said: Statement, voucher: Voucher, *, is_proved: bool
    ) -> None:
        """Keep what a drone vouches for; of a status, how far it says that it has come.

        What was proved by the drone's key takes the place of what was not.
        """
        if said.seq:
            self._db.execute(
                f"INSERT OR {'REPLACE' if is_proved else 'IGNORE'} INTO voucher VALUES (?,?,?,?,?)",
                (drone_id, said.epoch, said.n, said.seq, voucher_bytes(voucher)),
            )
            return
        self._db.execute(
            "INSERT INTO head VALUES (?, ?, ?, ?, ?) ON CONFLICT (drone, epoch) DO UPDATE SET"
            " n = excluded.n, voucher = excluded.voucher, is_proved = excluded.is_proved"
            " WHERE (excluded.is_proved, excluded.n) >= (is_proved, n)",
            (drone_id, said.epoch, said.n, voucher_bytes(voucher), int(is_proved)),
        )

    def store_status(self, receipt: Receipt, status: Status, body: bytes) -> None:
        """Keep a drone's newest status."""
        self._db.execute(
            "INSERT OR REPLACE INTO drone VALUES (?, ?, ?, ?, ?)",
            (
                receipt.drone_id,
                status.state.name.lower(),
                status.epoch,
                body,
                receipt.received_utc_ns,
            ),
        )

    def store_refused(self, topic: str, reason: str, payload: bytes, utc_ns: int) -> None:
        """Keep the head of what was refused, the newest thousand of them."""
        self._db.execute(
            "INSERT INTO refused (topic, reason, size, head, received_utc_ns)"
            " VALUES (?, ?, ?, ?, ?)",
            (topic, reason, len(payload), payload[:_REFUSED_HEAD_BYTES], utc_ns),
        )
        self._db.execute(
            "DELETE FROM refused WHERE id <= (SELECT max(id) FROM refused) - ?", (_REFUSED_KEPT,)
        )

    def raise_watermark(self, drone_id: str, epoch: int, at_least: int = 0) -> int:
        """Move `up_to` over everything that is here without a gap.

        Args:
            drone_id: The drone.
            epoch: Of its mailbox.
            at_least: What the drone itself says is done with (it replaced or loss-recorded the
                rest): so a gap in the numbers does not hold `up_to` for ever.

        Returns:
            The largest seq up to which all is done with.
        """
        row = self._db.execute(
            "SELECT up_to FROM watermark WHERE drone = ? AND epoch = ?", (drone_id, epoch)
        ).fetchone()
        before = 0 if row is None else int(row[0])
        up_to = max(before, at_least)
        following = self._db.execute(
            "SELECT seq FROM message WHERE drone = ? AND epoch = ? AND seq > ? ORDER BY seq",
            (drone_id, epoch, up_to),
        )
        for (seq,) in following:
            if seq != up_to + 1:
                break
            up_to = seq
        if row is None or up_to > before:
            self._db.execute(
                "INSERT OR REPLACE INTO watermark VALUES (?, ?, ?)", (drone_id, epoch, up_to)
            )
        return up_to

    def newest_above(self, drone_id: str, epoch: int, seq: int, limit: int) -> list[int]:
        """List the seqs beyond one that are here, the newest of them, growing."""
        rows = self._db.execute(
            "SELECT seq FROM message WHERE drone = ? AND epoch = ? AND seq > ?"
            " ORDER BY seq DESC LIMIT ?",
            (drone_id, epoch, seq, limit),
        ).fetchall()
        return sorted(row[0] for row in rows)

    def alerts(self, *, newest_only: bool = False) -> Iterator[StoredAlert]:
        """List the alerts as they came in; `newest_only`: the last revision of each incident."""
        newest = (
            " WHERE revision = (SELECT max(revision) FROM alert AS later WHERE"
            " later.drone = alert.drone AND later.incident_id = alert.incident_id)"
        )
        rows = self._all(
            "SELECT drone, received_utc_ns, is_replay, body, fields FROM alert"
            f"{newest if newest_only else ''} ORDER BY received_utc_ns, seq"
        )
        for drone, received_utc_ns, is_replay, body, fields in rows:
            yield StoredAlert(drone, received_utc_ns, bool(is_replay), body, json.loads(fields))

    def client_id(self) -> str:
        """Return the name of this desk's session at the broker; the same for the file's life."""
        return str(self._all("SELECT client_id FROM desk")[0][0])

    def counts(self) -> dict[str, int]:
        """Count the rows of each table, and the messages that loss records speak for."""
        tables = ("message", "alert", "media", "loss", "refused", "drone")
        counts = {name: int(self._all(f"SELECT count(*) FROM {name}")[0][0]) for name in tables}
        counts["lost"] = int(self._all("SELECT coalesce(sum(count), 0) FROM loss")[0][0])
        return counts

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Read with SQL, for reports and tests."""
        return self._all(sql)

    def close(self) -> None:
        """Close the file; harmless twice."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> DeskStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._make()
            return
        while version in UPGRADES:
            self._db.executescript(UPGRADES[version])
            version += 1
        if version != SCHEMA_VERSION:
            raise MailboxError(
                f"{self._path} has schema {version}, this desk knows {SCHEMA_VERSION}; "
                "give it another file"
            )

    def _make(self) -> None:
        """Lay the tables out, unless another process does so at this moment."""
        try:
            self._db.executescript(SCHEMA)
        except sqlite3.OperationalError:
            self._roll_back()
            if self._db.execute("PRAGMA user_version").fetchone()[0] != SCHEMA_VERSION:
                raise

    def _insert(self, into: str, *values: object) -> bool:
        marks = ", ".join("?" * len(values))
        cursor = self._db.execute(f"INSERT OR IGNORE INTO {into} VALUES ({marks})", values)
        return cursor.rowcount == 1

    def _all(self, sql: str) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._db.execute(sql).fetchall()
            except sqlite3.Error as error:
                raise _desk_error(error, self._path) from error

    def _roll_back(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")


def _desk_error(error: Exception, path: Path) -> MailboxError:
    if "full" in str(error) or "No space" in str(error):
        return MailboxFullError(f"no room for {path}: {error}; nothing was acked. Free disk space")
    return MailboxError(f"{path}: {error}; check the file, its folder's owner and mode")
