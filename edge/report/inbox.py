"""The inbox table: commands in, commands done.  Every function runs inside the caller's turn."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Final

from edge.protocol.command import Command, Refusal, command_body
from edge.records import UtcNs
from edge.report.outbox import count

_INBOX_MAX: Final = 1000  # commands not yet done; a further one is refused and counted
_ISSUED: Final = "command_issued_ms"


@dataclass(frozen=True, slots=True)
class InboxRow:
    """A command that was taken and is not carried out yet."""

    id: int
    body: bytes


def waiting(db: sqlite3.Connection) -> list[InboxRow]:
    """List the commands not yet done, oldest first."""
    rows = db.execute("SELECT id, payload FROM inbox WHERE done = 0 ORDER BY id").fetchall()
    return [InboxRow(*row) for row in rows]


def last_issued_ms(db: sqlite3.Connection) -> int:
    """Return when the last command that was taken had been issued; 0: none was."""
    row = db.execute("SELECT value FROM meta WHERE name = ?", (_ISSUED,)).fetchone()
    return 0 if row is None else int(row[0])


def take(db: sqlite3.Connection, command: Command, utc_ns: UtcNs | None) -> Command | Refusal:
    """Keep a command, and when it was issued: neither comes without the other."""
    db.execute(
        "DELETE FROM inbox WHERE done = 1 AND id <= (SELECT max(id) FROM inbox) - ?",
        (_INBOX_MAX,),
    )
    if db.execute("SELECT count(*) FROM inbox WHERE done = 0").fetchone()[0] >= _INBOX_MAX:
        count(db, "inbox_refused", 1)
        return Refusal.INBOX_FULL
    db.execute(
        "INSERT INTO inbox (channel, payload, received_utc_ns) VALUES ('cmd', ?, ?)",
        (command_body(command), utc_ns),
    )
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_ISSUED, command.issued_utc_ms))
    return command


def done(db: sqlite3.Connection, row: InboxRow) -> None:
    """Mark a command done; it stays for the record until the inbox needs the room."""
    db.execute("UPDATE inbox SET done = 1 WHERE id = ?", (row.id,))
