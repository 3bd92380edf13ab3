"""Opening the mailbox file: schema, durability, modes, and what to do with a damaged one."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import secrets
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from edge.errors import MailboxError, MailboxFullError

log = logging.getLogger(__name__)

_PAGE_BYTES: Final = 1024  # of a new file: a commit writes whole pages, and rows are small
BUSY_S: Final = 5.0  # transactions are short; a writer that waits longer is stuck
_INDEX_BYTES: Final = 1 << 16  # of the index beside the log (32 KiB), and its folder's entry
_MIGRATIONS: Final = (  # one script a schema version; never edited once released
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
    CREATE TABLE counter (name TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,  -- AUTOINCREMENT: never goes back
        kind INTEGER NOT NULL,
        rank INTEGER NOT NULL,  -- severity 1 (worst) to 4; media 9: sent last, evicted first
        incident_id BLOB,
        revision INTEGER NOT NULL,
        is_update INTEGER NOT NULL,
        body BLOB NOT NULL,
        evidence TEXT,  -- path of the picture a media row sends
        put_mono_ns INTEGER NOT NULL,
        put_utc_ns INTEGER,
        boot_id TEXT NOT NULL,
        valid_s REAL NOT NULL,
        tries INTEGER NOT NULL DEFAULT 0,
        due_mono_ns INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX outbox_rank ON outbox (rank, seq DESC);
    CREATE INDEX outbox_incident ON outbox (incident_id) WHERE incident_id IS NOT NULL;
    CREATE TRIGGER outbox_in AFTER INSERT ON outbox BEGIN
        UPDATE counter SET n = n + length(NEW.body) + 256 WHERE name = 'bytes';
        UPDATE counter SET n = n + 1 WHERE name = 'rows';
    END;
    CREATE TRIGGER outbox_out AFTER DELETE ON outbox BEGIN
        UPDATE counter SET n = n - length(OLD.body) - 256 WHERE name = 'bytes';
        UPDATE counter SET n = n - 1 WHERE name = 'rows';
    END;
    CREATE TABLE inbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        channel TEXT NOT NULL,
        payload BLOB NOT NULL,
        received_utc_ns INTEGER,
        done INTEGER NOT NULL DEFAULT 0
    );
    CREATE TABLE status (role TEXT PRIMARY KEY, body BLOB NOT NULL, mono_ns INTEGER NOT NULL,
        boot_id TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE dead_letter (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        seq INTEGER NOT NULL, kind INTEGER NOT NULL, body BLOB NOT NULL, reason TEXT NOT NULL,
        utc_ns INTEGER
    );
    """,
    "ALTER TABLE outbox ADD COLUMN voucher BLOB;",
)
_COUNTERS: Final = (
    "bytes",  # what the outbox holds: bodies, and 256 a row for the rest
    "rows",
    "accepted",
    "coalesced",
    "lost",
    "delivered",
    "dead_letters",
    "evidence_dropped",
    "inbox_refused",
)


def open_database(path: Path) -> tuple[sqlite3.Connection, bool]:
    """Open the mailbox, making it where there is none.

    Returns:
        The connection (autocommit; WAL, synchronous=FULL), and whether a damaged file was moved
        aside to `<name>.damaged`.

    Raises:
        MailboxError: The folder is not writable, or a newer Skywhistle made the file.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _opening(path):
            return _open_checked(path)
    except (OSError, sqlite3.Error) as error:
        raise mailbox_error(error, path) from error


def mailbox_error(error: Exception, path: Path) -> MailboxError:
    """Name what SQLite or the file system refuses."""
    # What SQLite says when the index beside the file finds no block is "disk I/O error".
    is_io_error_for_want_of_room = "I/O error" in str(error) and free_bytes(path) < _INDEX_BYTES
    if "full" in str(error) or "No space" in str(error) or is_io_error_for_want_of_room:
        return MailboxFullError(
            f"no room for {path}: {error}; what was accepted is safe. Free disk space"
        )
    return MailboxError(f"{path}: {error}; check its folder's owner, mode and disk")


def free_bytes(path: Path) -> int:
    """Tell how much room the file's disk has."""
    try:
        stat = os.statvfs(path.parent)
    except OSError:
        return sys.maxsize  # the folder is what is wrong, not its room
    return stat.f_bavail * stat.f_frsize


@contextlib.contextmanager
def _opening(path: Path) -> Iterator[None]:
    """Keep two processes from judging and moving the same file at once."""
    lock_path = path.with_name(path.name + ".open.lock")
    descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open_checked(path: Path) -> tuple[sqlite3.Connection, bool]:
    connection = None
    try:
        connection = _connect(path)
        verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict == "ok":
            _migrate(connection, path)
            return connection, False
    except sqlite3.OperationalError:
        raise  # locked, full, not permitted: not the file's fault
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if connection is not None:
        connection.close()
    log.error("mailbox_damaged path=%s verdict=%s", path, verdict)
    _move_aside(path)
    connection = _connect(path)
    _migrate(connection, path)
    return connection, True


def _connect(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    path.chmod(0o600)  # the WAL and its index take the mode of the file
    connection = sqlite3.connect(
        path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA journal_size_limit={4 << 20}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(_MIGRATIONS):
        raise MailboxError(
            f"{path} has schema {version}, this Skywhistle knows {len(_MIGRATIONS)}; "
            "upgrade it, or let the newer one deliver what the file holds"
        )
    for number, script in enumerate(_MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version={number}; COMMIT;")
    connection.executemany(
        "INSERT OR IGNORE INTO counter VALUES (?, 0)", [(name,) for name in _COUNTERS]
    )
    epoch = secrets.randbelow(0xFFFF_FFFF) + 1
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (epoch,))


def _move_aside(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.replace(path.with_name(f"{path.name}.damaged{suffix}"))
