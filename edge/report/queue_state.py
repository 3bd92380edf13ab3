"""What waits in the mailbox, and what has become of the rest."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from edge.report.clocks import Clocks


@dataclass(frozen=True, slots=True)
class QueueState:
    """What waits, and the counters since the mailbox was made."""

    queued: int
    queued_bytes: int
    low_seq: int  # every seq below is done with
    oldest_s: float
    accepted: int
    coalesced: int
    lost: int
    delivered: int
    dead_letters: int
    evidence_dropped: int
    inbox_refused: int


def queue_state(db: sqlite3.Connection, clocks: Clocks) -> QueueState:
    """Count what waits."""
    # One statement sees one state of the file: were `flight` to put the first row between two,
    # the status would say that it is done with, and the desk's ack would delete it unsent.
    low = db.execute(
        "SELECT coalesce((SELECT min(seq) FROM outbox),"
        " 1 + (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'outbox'))"
    ).fetchone()
    counters = dict(db.execute("SELECT name, n FROM counter").fetchall())
    oldest = db.execute(
        "SELECT min(put_mono_ns) FROM outbox WHERE boot_id = ?", (clocks.boot_id,)
    ).fetchone()[0]
    oldest_s = 0.0 if oldest is None else (clocks.mono_ns() - oldest) / 1e9
    return QueueState(
        queued=counters.pop("rows"),
        queued_bytes=counters.pop("bytes"),
        low_seq=int(low[0]),
        oldest_s=max(0.0, oldest_s),
        **counters,
    )
