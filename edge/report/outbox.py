"""The outbox table: rows in, rows out.  Every function runs inside the caller's transaction.

Beside it, in the memory of each connection, lies `sending`: when a row that was sent is due again,
and which rows the desk has committed though the disk had no room to forget them.  After a restart
all is due again, and the desk acks anew: none of it is worth a write.  On the disk `tries` says
only whether a row was ever sent, and `due_mono_ns` is of an earlier version.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from edge.protocol.loss import LossCause, LossRecord, decode_loss
from edge.protocol.messages import MessageKind
from edge.report.clocks import Clocks
from edge.report.outgoing import MEDIA_RANK, Outgoing, outgoing_loss

_NS: Final = 1_000_000_000
_EVICT_TO: Final = 0.95  # of the budget: not one loss record for each put
_EVICT_BATCH: Final = 64
_DEAD_LETTERS_KEPT: Final = 200
# No expiry for a loss record: it speaks for messages that had one.
_FOREVER_S: Final = 1e12
_LOSS: Final = int(MessageKind.LOSS)
# Nobody can have committed what was never sent: an ack of it is a mistake, or forged.
_WAS_SENT: Final = "(tries > 0 OR seq IN (SELECT seq FROM temp.sending WHERE tries > 0))"


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message on its way."""

    seq: int
    kind: MessageKind
    rank: int
    body: bytes
    evidence: Path | None
    incident_id: bytes | None
    revision: int
    tries: int
    put_mono_ns: int
    age_s: float | None  # None: not known, after a power cut without a clock
    remaining_s: float | None  # of its validity; None: not known
    voucher: bytes | None = None  # made when it was first sent


def insert(
    db: sqlite3.Connection, message: Outgoing, clocks: Clocks, default_valid_s: float
) -> int:
    """Store a message; an unsent older `update` of its incident makes way for a newer one."""
    if message.is_update:
        replaced = db.execute(
            "DELETE FROM outbox WHERE incident_id = ? AND is_update = 1 AND tries = 0"
            " AND revision < ?",
            (message.incident_id, message.revision),
        ).rowcount
        count(db, "coalesced", replaced)
    valid_s = default_valid_s if message.valid_s is None else message.valid_s
    cursor = db.execute(
        "INSERT INTO outbox (kind, rank, incident_id, revision, is_update, body, evidence,"
        " put_mono_ns, put_utc_ns, boot_id, valid_s) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
        (
            int(message.kind),
            message.rank,
            message.incident_id,
            message.revision,
            int(message.is_update),
            message.body,
            None if message.evidence is None else str(message.evidence),
            clocks.mono_ns(),
            clocks.utc_ns(),
            clocks.boot_id,
            _FOREVER_S if message.kind is MessageKind.LOSS else valid_s,
        ),
    )
    return int(cursor.lastrowid or 0)


def count(db: sqlite3.Connection, name: str, n: int) -> None:
    """Add to a counter."""
    if n:
        db.execute("UPDATE counter SET n = n + ? WHERE name = ?", (n, name))


def counter(db: sqlite3.Connection, name: str) -> int:
    """Read a counter."""
    return int(db.execute("SELECT n FROM counter WHERE name = ?", (name,)).fetchone()[0])


def open_sending(db: sqlite3.Connection) -> None:
    """Make the table that lives in memory only: sending goes on where nothing can be written."""
    db.execute("PRAGMA temp_store=MEMORY")
    db.execute(
        "CREATE TEMP TABLE sending (seq INTEGER PRIMARY KEY, tries INTEGER NOT NULL,"
        " due_mono_ns INTEGER NOT NULL, is_done INTEGER NOT NULL DEFAULT 0)"
    )
    db.execute("CREATE INDEX temp.done ON sending (seq) WHERE is_done = 1")


def due_rows(
    db: sqlite3.Connection, clocks: Clocks, limit: int, with_media: bool, only_new: bool = False
) -> list[OutboxRow]:
    """Select what may be sent now: by severity, then newest first; one picture if nothing else.

    `only_new`: what has never been sent, also not before a restart.
    """
    sql = (
        "SELECT seq, kind, rank, body, evidence, incident_id, revision,"
        " coalesce(sending.tries, 0), voucher, put_mono_ns, put_utc_ns, boot_id, valid_s"
        " FROM outbox LEFT JOIN temp.sending USING (seq)"
        " WHERE coalesce(sending.due_mono_ns, 0) <= ? AND coalesce(is_done, 0) = 0"
        " AND rank {} ?"
        + (" AND outbox.tries = 0" if only_new else "")
        + " ORDER BY rank, seq DESC LIMIT ?"
    )
    now_ns = clocks.mono_ns()
    rows = db.execute(sql.format("<"), (now_ns, MEDIA_RANK, limit)).fetchall()
    if not rows and with_media:
        rows = db.execute(sql.format("="), (now_ns, MEDIA_RANK, 1)).fetchall()
    return [_row(values, clocks) for values in rows]


def note_try(db: sqlite3.Connection, due_by_seq: dict[int, int]) -> None:
    """Count a try and say when the next is due, in memory."""
    db.executemany(
        "INSERT INTO temp.sending (seq, tries, due_mono_ns) VALUES (?, 1, ?) ON CONFLICT (seq)"
        " DO UPDATE SET tries = tries + 1, due_mono_ns = excluded.due_mono_ns",
        due_by_seq.items(),
    )


def mark_sent(db: sqlite3.Connection, seqs: Iterable[int]) -> None:
    """Say on the disk, once, that rows have been sent: nothing newer may replace them."""
    db.executemany("UPDATE outbox SET tries = 1 WHERE seq = ? AND tries = 0", [(s,) for s in seqs])


def make_due(db: sqlite3.Connection, seqs: Iterable[int] | None) -> None:
    """Let rows be sent again at once: those named, else all."""
    if seqs is None:
        db.execute("UPDATE temp.sending SET due_mono_ns = 0")
    else:
        db.executemany(
            "UPDATE temp.sending SET due_mono_ns = 0 WHERE seq = ?", [(seq,) for seq in seqs]
        )


def note_acked(db: sqlite3.Connection, up_to: int, extra: Iterable[int]) -> None:
    """Remember in memory what the desk has committed; `delete_noted` forgets it later."""
    sql = (
        "INSERT INTO temp.sending SELECT seq, 0, 0, 1 FROM outbox WHERE {}"
        " ON CONFLICT (seq) DO UPDATE SET is_done = 1"
    )
    db.execute(sql.format(f"seq <= ? AND {_WAS_SENT}"), (up_to,))
    db.executemany(sql.format(f"seq = ? AND {_WAS_SENT}"), [(seq,) for seq in extra])


def delete_acked(db: sqlite3.Connection, up_to: int, extra: Sequence[int]) -> int:
    """Forget what the desk has committed.

    Returns:
        How many rows that were still here.
    """
    n = db.execute(f"DELETE FROM outbox WHERE seq <= ? AND {_WAS_SENT}", (up_to,)).rowcount
    for seq in extra:
        n += db.execute(f"DELETE FROM outbox WHERE seq = ? AND {_WAS_SENT}", (seq,)).rowcount
    count(db, "delivered", n)
    db.execute("DELETE FROM temp.sending WHERE seq <= ?", (up_to,))
    db.executemany("DELETE FROM temp.sending WHERE seq = ?", [(seq,) for seq in extra])
    return n


def noted(db: sqlite3.Connection, limit: int) -> list[int]:
    """Return some of the rows that `note_acked` remembers."""
    found = db.execute("SELECT seq FROM temp.sending WHERE is_done = 1 LIMIT ?", (limit,))
    return [seq for (seq,) in found.fetchall()]


def delete_noted(db: sqlite3.Connection, seqs: Sequence[int]) -> int:
    """Forget rows that `note_acked` remembers; returns how many were still here."""
    rows = [(seq,) for seq in seqs]
    n = sum(db.execute("DELETE FROM outbox WHERE seq = ?", row).rowcount for row in rows)
    count(db, "delivered", n)
    db.executemany("DELETE FROM temp.sending WHERE seq = ?", rows)
    return n


def forget_gone(db: sqlite3.Connection) -> None:
    """Forget in memory what has left the outbox by other ways than an ack."""
    db.execute("DELETE FROM temp.sending WHERE seq NOT IN (SELECT seq FROM outbox)")


def dead_letter(db: sqlite3.Connection, seq: int, reason: str, clocks: Clocks) -> bool:
    """Take a row out of the queue for good, keep it for people, and say so in a loss record."""
    found = db.execute("SELECT seq, kind, rank, body FROM outbox WHERE seq = ?", (seq,)).fetchone()
    if found is None:
        return False
    db.execute(
        "INSERT INTO dead_letter (seq, kind, body, reason, utc_ns) VALUES (?, ?, ?, ?, ?)",
        (seq, found[1], found[3], reason, clocks.utc_ns()),
    )
    db.execute(
        "DELETE FROM dead_letter WHERE id <= (SELECT max(id) FROM dead_letter) - ?",
        (_DEAD_LETTERS_KEPT,),
    )
    count(db, "dead_letters", 1)
    _give_up(db, [found[:3]], LossCause.DEAD_LETTER, clocks, reason)
    return True


def expire(db: sqlite3.Connection, clocks: Clocks) -> int:
    """Give up rows older than their validity, where the age is known."""
    rows = db.execute(
        "SELECT seq, kind, rank FROM outbox WHERE"
        " (boot_id = :boot AND boot_id != '' AND put_mono_ns + valid_s * 1e9 < :mono) OR"
        " (boot_id != :boot AND put_utc_ns IS NOT NULL AND put_utc_ns + valid_s * 1e9 < :utc)",
        {"boot": clocks.boot_id, "mono": clocks.mono_ns(), "utc": clocks.utc_ns()},
    ).fetchall()
    _give_up(db, rows, LossCause.EXPIRED, clocks, "older than its validity")
    return len(rows)


def enforce_budget(db: sqlite3.Connection, clocks: Clocks, max_bytes: int) -> None:
    """Give up rows until the budget holds: expired, then low severity, then oldest."""
    if counter(db, "bytes") <= max_bytes:
        return
    expire(db, clocks)
    while (excess := counter(db, "bytes") - max_bytes * _EVICT_TO) > 0:
        rows = db.execute(
            "SELECT seq, kind, rank FROM outbox WHERE kind != ? ORDER BY rank DESC, seq LIMIT ?",
            (_LOSS, _EVICT_BATCH),
        ).fetchall()
        if not rows:
            return
        _give_up(db, _enough(db, rows, excess), LossCause.EVICTED, clocks, "mailbox full")


def store_loss(db: sqlite3.Connection, loss: LossRecord, clocks: Clocks) -> None:
    """Queue a loss record, merged with an unsent one of the same cause."""
    unsent = db.execute(
        "SELECT seq, body FROM outbox WHERE kind = ? AND revision = ? AND tries = 0",
        (_LOSS, int(loss.cause)),
    ).fetchone()
    if unsent is not None:
        loss = decode_loss(unsent[1]).plus(loss)
        db.execute("DELETE FROM outbox WHERE seq = ?", (unsent[0],))
    insert(db, outgoing_loss(loss), clocks, _FOREVER_S)


def _enough(
    db: sqlite3.Connection, rows: list[Sequence[int]], excess: float
) -> list[Sequence[int]]:
    """Take from the front only as many rows as free the excess."""
    chosen = []
    for row in rows:
        if excess <= 0:
            break
        chosen.append(row)
        size = db.execute("SELECT length(body) FROM outbox WHERE seq = ?", (row[0],)).fetchone()[0]
        excess -= size + 256
    return chosen


def _give_up(
    db: sqlite3.Connection,
    rows: list[Sequence[int]],
    cause: LossCause,
    clocks: Clocks,
    reason: str,
) -> None:
    """Delete rows (seq, kind, rank); pictures are counted, all else is loss-recorded."""
    db.executemany("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq, _, _ in rows])
    pictures = sum(rank == MEDIA_RANK for _, _, rank in rows)
    count(db, "evidence_dropped", pictures)
    told = [(seq, rank) for seq, kind, rank in rows if rank != MEDIA_RANK and kind != _LOSS]
    if not told:
        return
    count(db, "lost", len(told))
    one, two, three, four = (sum(rank == severity for _, rank in told) for severity in range(1, 5))
    seqs = [seq for seq, _ in told]
    loss = LossRecord(cause, (one, two, three, four), min(seqs), max(seqs), reason)
    store_loss(db, loss, clocks)


def _row(values: Any, clocks: Clocks) -> OutboxRow:
    (seq, kind, rank, body, evidence, incident_id, revision, tries, voucher, *when) = values
    put_mono_ns, put_utc_ns, boot_id, valid_s = when
    age_s = _age_s(put_mono_ns, put_utc_ns, boot_id, clocks)
    return OutboxRow(
        seq=seq,
        kind=MessageKind(kind),
        rank=rank,
        body=body,
        evidence=None if evidence is None else Path(evidence),
        incident_id=incident_id,
        revision=revision,
        tries=tries,
        put_mono_ns=put_mono_ns,
        age_s=age_s,
        remaining_s=None if age_s is None else valid_s - age_s,
        voucher=voucher,
    )


def _age_s(mono_ns: int, utc_ns: int | None, boot_id: str, clocks: Clocks) -> float | None:
    """Tell a row's age: by the monotonic clock within one boot, else by UTC if both are known."""
    if boot_id == clocks.boot_id and boot_id:
        return max(0.0, (clocks.mono_ns() - mono_ns) / _NS)
    now_utc_ns = clocks.utc_ns()
    if utc_ns is None or now_utc_ns is None:
        return None
    return max(0.0, (now_utc_ns - utc_ns) / _NS)
