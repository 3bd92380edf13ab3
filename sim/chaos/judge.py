"""The account at the end: where each message is that the mailbox accepted.

The law: accepted = committed at the desk + coalesced into a newer update + superseded by a later
word on the same revision + loss-recorded + still queued.  The desk's file and the mailbox are read;
what was accepted is known from the ledgers.
"""

from __future__ import annotations

import bisect
import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from edge.desk.store import DeskStore
from edge.protocol.loss import decode_loss
from edge.protocol.messages import MessageKind
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from sim.chaos.ledger import Entry, Outcome, digest_of, read_ledgers
from sim.chaos.place import Place

_EXAMPLES: Final = 20


@dataclass(frozen=True, slots=True)
class LossTold:
    """A loss record, at the desk or still on its way."""

    epoch: int
    by_severity: tuple[int, int, int, int]
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is found on the disks at the end."""

    committed: dict[str, tuple[int, int]]  # digest: (epoch, seq) of the message that brought it
    superseded: frozenset[tuple[int, int]]  # alerts that the desk took and no longer shows
    queued: frozenset[tuple[int, int]]  # (epoch, seq)
    losses: tuple[LossTold, ...]
    replaced: int = 0  # updates that the mailbox says it replaced by newer ones


@dataclass(slots=True)
class Account:
    """How many messages of which fate."""

    accepted: int = 0
    committed: int = 0
    coalesced: int = 0
    superseded: int = 0  # told again by a flight that was killed before it had noted that it told
    loss_recorded: int = 0
    queued: int = 0
    lost: int = 0
    invented: int = 0  # at the desk, and nobody put it, or its put was refused
    duplicates: int = 0  # alerts that the desk took twice, under two numbers
    unknown: int = 0  # put when their caller was killed
    unknown_committed: int = 0
    refused: int = 0  # puts that raised: a full disk
    losses_told: int = 0  # messages that loss records speak for; some arrived all the same
    problems: list[str] = field(default_factory=list)  # the first of them, in words

    @property
    def holds(self) -> bool:
        """Tell whether the law held."""
        fates = self.committed + self.coalesced + self.superseded + self.loss_recorded + self.queued
        is_whole = self.accepted == fates and self.lost == 0
        return is_whole and self.invented == 0 and self.duplicates == 0


def judge(entries: Iterable[Entry], evidence: Evidence) -> Account:
    """Find each message, and say what cannot be found."""
    entries = list(entries)
    account = Account()
    account.refused = sum(entry.outcome is Outcome.REFUSED for entry in entries)
    unknown = [entry for entry in entries if entry.outcome is Outcome.UNKNOWN]
    account.unknown = len(unknown)
    account.unknown_committed = sum(entry.digest in evidence.committed for entry in unknown)
    account.losses_told = sum(sum(loss.by_severity) for loss in evidence.losses)
    missing, replaceable = _place_all(entries, evidence, account)
    account.coalesced = min(len(replaceable), evidence.replaced)
    told = _Told(evidence.losses)
    for entry in missing:
        _match(entry, told, account)
    # Of those that a newer update may have replaced, more are missing than were replaced.
    beyond = len(replaceable) - account.coalesced
    for entry in replaceable:
        if beyond > 0 and told.take(entry):
            account.loss_recorded += 1
            beyond -= 1
    if beyond > 0:
        account.lost += beyond
        _tell(account, f"lost: {beyond} of {len(replaceable)} updates that were not replaced")
    _look_for_invented(entries, evidence, account)
    return account


def _place_all(
    entries: list[Entry], evidence: Evidence, account: Account
) -> tuple[list[Entry], list[Entry]]:
    """Count what is committed or queued.

    Returns:
        What only a loss record can explain, and updates that a newer one may have replaced.
    """
    told_last = _told_last(entries)
    newest_update: dict[str, int] = defaultdict(int)
    for entry in entries:
        if entry.is_update and entry.outcome is not Outcome.REFUSED:
            known = newest_update[entry.incident_id]
            newest_update[entry.incident_id] = max(known, entry.revision)
    missing, replaceable = [], []
    for entry in sorted(entries, key=lambda entry: entry.seq):
        if entry.outcome is not Outcome.ACCEPTED:
            continue
        account.accepted += 1
        stamp = evidence.committed.get(entry.digest)
        if stamp is not None:
            account.committed += 1
            if stamp != (entry.epoch, entry.seq):
                account.invented += 1
                _tell(account, f"{entry} came as {stamp}")
        elif (entry.epoch, entry.seq) in evidence.superseded and is_told_later(entry, told_last):
            account.superseded += 1
        elif (entry.epoch, entry.seq) in evidence.queued:
            account.queued += 1
        elif entry.is_update and newest_update[entry.incident_id] > entry.revision:
            replaceable.append(entry)
        else:
            missing.append(entry)
    return missing, replaceable


class _Told:
    """Loss records, each with room for as many messages as it speaks for.

    A merged record tells the range and how many of which severity, not which: as long as every
    message can be given to a record whose range holds it, the desk was told the truth.
    """

    def __init__(self, losses: tuple[LossTold, ...]) -> None:
        self._losses = losses
        self._taken: dict[tuple[int, int], list[int]] = defaultdict(list)  # epoch, severity: seqs

    def take(self, entry: Entry) -> bool:
        """Let the records speak for one more message; False if they cannot for all of them."""
        taken = self._taken[entry.epoch, entry.severity]
        bisect.insort(taken, entry.seq)
        if self._suffice(entry.epoch, entry.severity, taken):
            return True
        taken.remove(entry.seq)
        return False

    def _suffice(self, epoch: int, severity: int, seqs: list[int]) -> bool:
        """Give each seq, growing, to the record that ends first of those that hold it."""
        records = [
            [loss.last_seq, loss.first_seq, loss.by_severity[severity - 1]]
            for loss in sorted(self._losses, key=lambda loss: loss.last_seq)
            if loss.epoch == epoch
        ]
        for seq in seqs:
            fitting = (r for r in records if r[1] <= seq <= r[0] and r[2] > 0)
            record = next(fitting, None)
            if record is None:
                return False
            record[2] -= 1
        return True


def _match(entry: Entry, told: _Told, account: Account) -> None:
    if told.take(entry):
        account.loss_recorded += 1
    else:
        account.lost += 1
        _tell(account, f"lost: {entry}")


def _told_last(entries: list[Entry]) -> dict[tuple[str, int], int]:
    """Return the last seq under which each revision was told."""
    last: dict[tuple[str, int], int] = defaultdict(int)
    for entry in entries:
        key = (entry.incident_id, entry.revision)
        # The number of a put that was cut short is not known; it may well be later.
        is_cut_short = entry.outcome is Outcome.UNKNOWN
        last[key] = max(last[key], sys.maxsize if is_cut_short else entry.seq)
    return last


def is_told_later(entry: Entry, told_last: dict[tuple[str, int], int]) -> bool:
    """Tell whether the same revision was accepted once more."""
    return told_last[entry.incident_id, entry.revision] > entry.seq


def _look_for_invented(entries: list[Entry], evidence: Evidence, account: Account) -> None:
    told_last = _told_last(entries)
    known = {(e.epoch, e.seq) for e in entries if e.seq and is_told_later(e, told_last)}
    # One whose caller was killed in the put may be any of the numbers that nobody was given.
    beyond = len(evidence.superseded - known) - account.unknown
    if beyond > 0:
        account.duplicates += beyond
        _tell(account, f"taken twice: {beyond} of {sorted(evidence.superseded - known)[:5]}")
    outcomes = {entry.digest: entry.outcome for entry in entries}
    for digest, stamp in evidence.committed.items():
        outcome = outcomes.get(digest)
        if outcome is None or outcome is Outcome.REFUSED:
            account.invented += 1
            _tell(account, f"invented: {digest} {stamp} was {outcome}")


def _tell(account: Account, problem: str) -> None:
    if len(account.problems) < _EXAMPLES:
        account.problems.append(problem)


def gather(place: Place) -> Evidence:
    """Read the desk's file and the mailbox of a run whose programs have ended."""
    with DeskStore(place.desk_path) as store, Mailbox(place.mailbox, Clocks()) as mailbox:
        return evidence_of(store, mailbox)


def evidence_of(store: DeskStore, mailbox: Mailbox) -> Evidence:
    """Read what the desk has, and what is still aboard."""
    alerts = store.rows("SELECT body, epoch, seq FROM alert")
    others = store.rows(
        "SELECT body, epoch, seq FROM message WHERE kind IN "
        f"({int(MessageKind.COVER)}, {int(MessageKind.RESULT)})"
    )
    losses = store.rows("SELECT epoch, fields FROM loss")
    messages = store.rows(f"SELECT epoch, seq FROM message WHERE kind = {int(MessageKind.ALERT)}")
    committed = {digest_of(body): (epoch, seq) for body, epoch, seq in [*alerts, *others]}
    told = [_loss_at_desk(epoch, fields) for epoch, fields in losses]
    queued, on_the_way = _still_queued(mailbox)
    superseded = frozenset(messages) - {(epoch, seq) for _, epoch, seq in alerts}
    replaced = mailbox.queue_state().coalesced
    return Evidence(committed, superseded, queued, (*told, *on_the_way), replaced)


def _loss_at_desk(epoch: int, text: str) -> LossTold:
    fields: dict[str, Any] = json.loads(text)
    one, two, three, four = fields["by_severity"]
    return LossTold(epoch, (one, two, three, four), fields["first_seq"], fields["last_seq"])


def _still_queued(mailbox: Mailbox) -> tuple[frozenset[tuple[int, int]], tuple[LossTold, ...]]:
    rows = mailbox.rows("SELECT seq, kind, body FROM outbox")
    losses = []
    for _, kind, body in rows:
        if kind == MessageKind.LOSS:
            loss = decode_loss(body)
            losses.append(LossTold(mailbox.epoch, loss.by_severity, loss.first_seq, loss.last_seq))
    return frozenset((mailbox.epoch, seq) for seq, _, _ in rows), tuple(losses)


def account_of(place: Place) -> Account:
    """Judge a run whose programs have all ended."""
    return judge(read_ledgers(place.ledgers), gather(place))
