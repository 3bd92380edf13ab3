"""The chain of what this drone has sent: who vouches for it, and how far it has come.

It is carried on by `uplink` alone, in the transaction that takes a row to be sent.  A row keeps its
voucher, so that it is the same however often it is sent.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace

from edge.protocol.messages import MessageKind
from edge.protocol.signing import SigningKey
from edge.protocol.vouch import (
    NO_LINK,
    Statement,
    Voucher,
    digest_of,
    vouch,
    voucher_bytes,
)
from edge.report.outbox import OutboxRow


class Chain:
    """The chain of one mailbox, signed with one key.

    It goes on in memory where the disk has no room: what could not be written is written with the
    next row.  Were the power cut before that, other rows would get the same numbers: `verify` shows
    it.
    """

    def __init__(self, key: SigningKey, epoch: int, db: sqlite3.Connection) -> None:
        self._key = key
        self._epoch = epoch
        rows = dict(db.execute("SELECT name, value FROM meta WHERE name LIKE 'chain_%'").fetchall())
        self._n = int(rows.get("chain_n", 0))
        self._link = bytes(rows.get("chain_link", NO_LINK))
        self._unwritten: dict[int, bytes] = {}  # vouchers by seq

    @property
    def state(self) -> tuple[int, bytes, dict[int, bytes]]:
        """How far the chain has come, to go back to."""
        return self._n, self._link, dict(self._unwritten)

    @state.setter
    def state(self, state: tuple[int, bytes, dict[int, bytes]]) -> None:
        self._n, self._link, self._unwritten = state

    def vouch_for(self, rows: list[OutboxRow]) -> list[OutboxRow]:
        """Give each row that is first sent its voucher."""
        return [row if row.voucher is not None else self._vouched(row) for row in rows]

    def _vouched(self, row: OutboxRow) -> OutboxRow:
        data = self._unwritten.get(row.seq)
        digest = None if data is not None else _digest(row)
        if digest is not None:
            said = Statement(self._epoch, self._n + 1, row.seq, int(row.kind), self._link, digest)
            voucher = vouch(said, self._key)
            self._n, self._link = said.n, voucher.link
            data = self._unwritten[row.seq] = voucher_bytes(voucher)
        return replace(row, voucher=data)  # None: its picture is gone, and it will not be sent

    def write(self, db: sqlite3.Connection) -> None:
        """Keep what has been vouched for; call it inside the transaction."""
        if not self._unwritten:
            return
        told = [(data, seq) for seq, data in self._unwritten.items()]
        db.executemany("UPDATE outbox SET voucher = ? WHERE seq = ?", told)
        head = [("chain_n", self._n), ("chain_link", self._link)]
        db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", head)

    def written(self) -> None:
        """Note that the transaction was committed."""
        self._unwritten.clear()

    def vouch_for_status(self, body: bytes) -> Voucher:
        """Sign a status, which names the newest statement."""
        status = int(MessageKind.STATUS)
        said = Statement(self._epoch, self._n, 0, status, self._link, digest_of(body))
        return vouch(said, self._key)


def _digest(row: OutboxRow) -> bytes | None:
    if row.kind is not MessageKind.MEDIA:
        return digest_of(row.body)
    try:
        return None if row.evidence is None else digest_of(row.evidence.read_bytes())
    except OSError:
        return None
