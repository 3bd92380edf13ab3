"""What the mailbox said it accepted, written down by its caller: the other side of the account.

Each line goes to the file in one write before the next thing happens, so SIGKILL of the writer
takes nothing back: what was written lies with the kernel.  A put that had begun and not returned
when its caller was killed may or may not have been accepted, and is counted apart.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from edge.errors import MailboxError
from edge.protocol.messages import MessageKind
from edge.report.mailbox import Mailbox
from edge.report.outgoing import Outgoing

# Pictures may be dropped: no promise is made for them, and none is checked here.
PROMISED: Final = frozenset({MessageKind.ALERT, MessageKind.COVER, MessageKind.RESULT})


class Outcome(Enum):
    """What came of a put."""

    ACCEPTED = "accepted"
    REFUSED = "refused"  # `put` raised
    UNKNOWN = "unknown"  # its caller was killed meanwhile


@dataclass(frozen=True, slots=True)
class Entry:
    """One message that somebody wanted to put."""

    digest: str  # of the body, which no two messages share
    kind: MessageKind
    severity: int
    incident_id: str  # hex; "" for a message of no incident
    revision: int
    is_update: bool
    outcome: Outcome
    epoch: int = 0
    seq: int = 0


def digest_of(body: bytes) -> str:
    """Name a message by its body."""
    return hashlib.sha256(body).hexdigest()[:16]


class LedgerWriter:
    """One program's ledger, for one of its lives."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}-{os.getpid()}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._n = 0

    def watch_puts(self) -> None:
        """Write down every put of every mailbox of this process, before and after."""
        put_all: Callable[[Mailbox, Sequence[Outgoing]], list[int]] = Mailbox.put_all

        def watched(mailbox: Mailbox, messages: Sequence[Outgoing]) -> list[int]:
            first = self._begin(messages)
            began_s = time.perf_counter()
            try:
                seqs = put_all(mailbox, messages)
            except MailboxError:
                self._write({"refused": first})
                raise
            took_s = round(time.perf_counter() - began_s, 6)
            told = {"accepted": first, "epoch": mailbox.epoch, "seqs": seqs, "took_s": took_s}
            self._write(told)
            return seqs

        Mailbox.put_all = watched  # type: ignore[method-assign, assignment]

    def _begin(self, messages: Sequence[Outgoing]) -> int:
        self._n += 1
        told = [
            {
                "digest": digest_of(message.body),
                "kind": int(message.kind),
                "severity": message.severity,
                "incident": "" if message.incident_id is None else message.incident_id.hex(),
                "revision": message.revision,
                "is_update": message.is_update,
            }
            for message in messages
        ]
        self._write({"begun": self._n, "messages": told})
        return self._n

    def _write(self, line: dict[str, Any]) -> None:
        os.write(self._file, json.dumps(line).encode() + b"\n")


def read_ledgers(folder: Path) -> list[Entry]:
    """Read all ledgers of a run; messages for which nothing is promised are left out."""
    return [entry for path in sorted(folder.glob("*.jsonl")) for entry in _read(path)]


def put_times_s(folder: Path, name: str) -> list[float]:
    """Read how long each put of a program took."""
    return [
        json.loads(line)["took_s"]
        for path in sorted(folder.glob(f"{name}-*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if '"took_s"' in line and line.endswith("}")
    ]


def _read(path: Path) -> list[Entry]:
    begun: dict[int, list[dict[str, Any]]] = {}
    outcomes: dict[int, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        fields = json.loads(line)
        if "begun" in fields:
            begun[fields["begun"]] = fields["messages"]
        else:
            outcomes[fields.get("accepted", fields.get("refused"))] = fields
    return [
        entry
        for number, messages in begun.items()
        for entry in _entries(messages, outcomes.get(number))
        if entry.kind in PROMISED
    ]


def _entries(messages: list[dict[str, Any]], outcome: dict[str, Any] | None) -> list[Entry]:
    entries = []
    for at, message in enumerate(messages):
        is_accepted = outcome is not None and "accepted" in outcome
        entries.append(
            Entry(
                digest=message["digest"],
                kind=MessageKind(message["kind"]),
                severity=message["severity"],
                incident_id=message["incident"],
                revision=message["revision"],
                is_update=message["is_update"],
                outcome=Outcome.ACCEPTED
                if is_accepted
                else Outcome.UNKNOWN
                if outcome is None
                else Outcome.REFUSED,
                epoch=outcome["epoch"] if outcome is not None and is_accepted else 0,
                seq=outcome["seqs"][at] if outcome is not None and is_accepted else 0,
            )
        )
    return entries
