"""Power loss at every point: the mailbox's writes and syncs, cut anywhere, still hold what it said.

The mailbox's own code runs on an SQLite whose file system calls are written down (apsw has a VFS
in Python; the standard library has none).  Then the power fails after each of these calls in turn:
what was synced is on the disk, of the rest nothing, all, a random part, or a torn write.  Each
such disk is opened by the real mailbox.

It does not prove that a disk honours fsync, nor that a folder's entries are durable: both are
assumed.  The index beside the log is in memory here (exclusive locking); it is never synced anyway.
"""

from __future__ import annotations

import random
import sqlite3
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from edge.config_delivery import MailboxConfig
from edge.protocol.ack import Ack
from edge.report import database
from edge.report.mailbox import Mailbox
from edge.report.outgoing import Outgoing, outgoing_alert
from tests.unit.protocol.alerts import typical_alert
from tests.unit.report.test_mailbox import Times

apsw = pytest.importorskip("apsw")

SECTOR = 512  # what a disk writes whole


@dataclass
class Call:
    """One call to the file system: a write, a truncation, a deletion, or a sync."""

    file: str
    at: int = 0
    data: bytes | None = None  # None with `size` None: a sync
    size: int | None = None  # a truncation
    is_delete: bool = False


@dataclass
class Recording:
    """What went to the disk, and what the mailbox had said by when."""

    calls: list[Call] = field(default_factory=list)
    accepted: list[tuple[int, int]] = field(default_factory=list)  # calls so far, seq
    forgotten: list[tuple[int, int]] = field(default_factory=list)  # calls before, seq


def recording_vfs(recording: Recording) -> Any:
    class File(apsw.VFSFile):
        def __init__(self, name: Any, flags: list[int]) -> None:
            path = name if isinstance(name, str) else name.filename()
            self.name = Path(path).name
            super().__init__("", name, flags)

        def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
            super().xWrite(data, offset)
            recording.calls.append(Call(self.name, offset, bytes(data)))

        def xTruncate(self, size: int) -> None:  # noqa: N802
            super().xTruncate(size)
            recording.calls.append(Call(self.name, size=size))

        def xSync(self, flags: int) -> None:  # noqa: N802
            super().xSync(flags)
            recording.calls.append(Call(self.name))

    class Vfs(apsw.VFS):
        def __init__(self) -> None:
            super().__init__("recording", "")

        def xOpen(self, name: Any, flags: list[int]) -> File:  # noqa: N802
            return File(name, flags)

        def xDelete(self, filename: str, sync_folder: bool) -> None:  # noqa: N802
            super().xDelete(filename, sync_folder)
            recording.calls.append(Call(Path(filename).name, is_delete=True))

    return Vfs()


class Connection:
    """As much of the standard library's connection as the mailbox uses, over apsw."""

    def __init__(self, path: Path, **_: Any) -> None:
        self._db = apsw.Connection(str(path), vfs="recording")
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")  # apsw's files have no shared memory

    def execute(self, sql: str, values: Any = ()) -> Any:
        try:
            rows = self._db.execute(sql, values).fetchall()
        except apsw.FullError as error:
            raise sqlite3.OperationalError("database or disk is full") from error
        return types.SimpleNamespace(
            fetchall=lambda: rows,
            fetchone=lambda: rows[0] if rows else None,
            rowcount=self._db.changes(),
            lastrowid=self._db.last_insert_rowid(),
        )

    def executemany(self, sql: str, values: Any) -> None:
        self._db.executemany(sql, values)

    def executescript(self, sql: str) -> None:
        self._db.execute(sql)

    @property
    def in_transaction(self) -> bool:
        return bool(self._db.in_transaction)

    def close(self) -> None:
        self._db.close()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    """A mailbox's life: put, sent, acked, and its log copied into the file three times."""
    recording = Recording()
    vfs = recording_vfs(recording)
    names = ("Error", "OperationalError", "DatabaseError")
    stand_in = types.SimpleNamespace(connect=Connection, **{n: getattr(sqlite3, n) for n in names})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "sqlite3", stand_in)
        path = tmp_path_factory.mktemp("recorded") / "mailbox.db"
        with Mailbox(MailboxConfig(path=path), Times().clocks()) as mailbox:
            for number in range(1, 15):
                seqs = mailbox.put_all([alert(2 * number), alert(2 * number + 1)])
                recording.accepted += [(len(recording.calls), seq) for seq in seqs]
                mailbox.take_due(2, lambda _: 10**9)
                if number % 4 == 0:
                    mailbox._changes.begin_log_anew()
                if number % 5 == 0:
                    gone = [seqs[0] - 4, seqs[0] - 3]
                    recording.forgotten += [(len(recording.calls), seq) for seq in gone]
                    mailbox.acked(Ack(mailbox.epoch, 0, tuple(gone)))
    yield recording
    vfs.unregister()


def alert(number: int) -> Outgoing:
    return outgoing_alert(typical_alert(incident_id=number.to_bytes(16, "big")))


def disk_after(calls: list[Call], cut: str, rng: random.Random) -> dict[str, bytes]:
    """Say what lies on the disk when the power fails after these calls."""
    # A deletion counts as durable at once: see above.
    synced = {c.file: at for at, c in enumerate(calls) if is_sync(c) or c.is_delete}
    pending = [at for at, call in enumerate(calls) if at > synced.get(call.file, -1)]
    kept = set(range(len(calls))) - set(pending)
    if cut == "all":
        kept |= set(pending)
    elif cut in {"some", "torn"}:
        kept |= {at for at in pending if rng.random() < 0.5}
    files: dict[str, bytearray] = {}
    for at, call in enumerate(calls):
        if at in kept and call.is_delete:
            files.pop(call.file, None)
        elif at in kept:
            is_torn = cut == "torn" and at in pending
            apply(files.setdefault(call.file, bytearray()), call, rng if is_torn else None)
    return {name: bytes(content) for name, content in files.items()}


def is_sync(call: Call) -> bool:
    return call.data is None and call.size is None and not call.is_delete


def apply(content: bytearray, call: Call, torn_by: random.Random | None) -> None:
    if call.size is not None:
        del content[call.size :]
    elif call.data is not None:
        data = call.data
        if torn_by is not None:
            data = data[: torn_by.randrange(0, len(data) + SECTOR, SECTOR)]
        content.extend(bytes(max(0, call.at + len(data) - len(content))))
        content[call.at : call.at + len(data)] = data


def must_be_there(recording: Recording, n_calls: int) -> set[int]:
    """Seqs that the mailbox had accepted before, and had not begun to forget."""
    accepted = {seq for at, seq in recording.accepted if at <= n_calls}
    return accepted - {seq for at, seq in recording.forgotten if at <= n_calls}


@pytest.mark.parametrize("cut", ["none", "all", "some", "torn"])
def test_what_was_accepted_survives_power_loss_at_any_point(
    recording: Recording, cut: str, tmp_path: Path
) -> None:
    """After each call to the disk: the file opens undamaged and holds all that was accepted."""
    rng = random.Random(7)
    for n_calls in range(len(recording.calls) + 1):
        folder = tmp_path / str(n_calls)
        folder.mkdir()
        for name, content in disk_after(recording.calls[:n_calls], cut, rng).items():
            (folder / name).write_bytes(content)
        with Mailbox(MailboxConfig(path=folder / "mailbox.db"), Times().clocks()) as mailbox:
            needed = must_be_there(recording, n_calls)
            if needed:  # before its first put a half-made file may be made anew
                assert not mailbox.was_damaged, n_calls
            there = {seq for (seq,) in mailbox.rows("SELECT seq FROM outbox")}
            assert needed <= there, n_calls


def test_the_recording_is_of_the_mailboxs_own_durability(recording: Recording) -> None:
    """Each put ends with a sync of the log: the number that it returns is on the disk by then."""
    for at, _ in recording.accepted:
        before = recording.calls[at - 1]
        assert before.file == "mailbox.db-wal"
        assert is_sync(before)
