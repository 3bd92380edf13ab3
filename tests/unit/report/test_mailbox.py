"""The mailbox: nothing accepted is lost without a word."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.config_delivery import MailboxConfig
from edge.errors import MailboxError, MailboxFullError, ProtocolError
from edge.protocol.ack import Ack, Reject
from edge.protocol.command import Command, Gate, Refusal, Verb, decode_command
from edge.protocol.loss import LossCause, LossRecord, decode_loss
from edge.protocol.messages import MessageKind
from edge.protocol.status import FlightStatus
from edge.records import AlertKind, UtcNs
from edge.report import database
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from edge.report.outgoing import Outgoing, outgoing_alert, outgoing_evidence
from tests.unit.protocol.alerts import typical_alert

SECOND = 1_000_000_000
DAY_S = 86_400.0


class Times:
    """Clocks that a test sets."""

    def __init__(self) -> None:
        self.mono_ns = 1000 * SECOND
        self.utc_ns: int | None = 1_800_000_000 * SECOND
        self.boot_id = "boot-1"

    def clocks(self) -> Clocks:
        return Clocks(
            utc_ns=lambda: None if self.utc_ns is None else UtcNs(self.utc_ns),
            mono_ns=lambda: self.mono_ns,
            boot_id=self.boot_id,
        )


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "mailbox.db"


@pytest.fixture
def mailbox(path: Path, times: Times) -> Iterator[Mailbox]:
    with Mailbox(MailboxConfig(path=path), times.clocks()) as opened:
        yield opened


def message(severity: int = 3, size: int = 100, valid_s: float | None = None) -> Outgoing:
    return Outgoing(MessageKind.ALERT, b"\x40" * size, severity, valid_s=valid_s)


def change(revision: int, kind: AlertKind = AlertKind.UPDATE, incident: bytes = b"i") -> Outgoing:
    return outgoing_alert(typical_alert(kind=kind, revision=revision, incident_id=incident * 16))


def resend_after(seconds: float) -> Callable[[int], int]:
    return lambda tries: int(seconds * SECOND)


def queued(mailbox: Mailbox) -> list[int]:
    mailbox.make_due()
    seqs = []
    while rows := mailbox.take_due(100, resend_after(1e6)):
        seqs += [row.seq for row in rows]
    mailbox.make_due()
    return seqs


def test_seqs_only_grow(mailbox: Mailbox, path: Path, times: Times) -> None:
    """A seq is never given twice, not even when the outbox was emptied and opened anew."""
    assert [mailbox.put(message()) for _ in range(3)] == [1, 2, 3]
    mailbox.acked(Ack(mailbox.epoch, 3))
    with Mailbox(MailboxConfig(path=path), times.clocks()) as again:
        assert again.put_all([message(), message()]) == [4, 5]
        assert again.epoch == mailbox.epoch


def test_two_mailboxes_have_two_epochs(tmp_path: Path, times: Times) -> None:
    """The desk can tell a new file from an old one, whose seqs began at 1 too."""
    epochs = set()
    for name in "abcd":
        with Mailbox(MailboxConfig(path=tmp_path / name), times.clocks()) as mailbox:
            epochs.add(mailbox.epoch)
    assert len(epochs) == 4


def test_the_file_is_private_and_durable(mailbox: Mailbox, path: Path) -> None:
    """Mode 600 for every part of it, the folder 700; WAL with synchronous=FULL."""
    mailbox.put(message())
    for part in path.parent.glob("mailbox.db*"):
        assert stat.S_IMODE(part.stat().st_mode) == 0o600, part
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert mailbox._one("PRAGMA journal_mode")[0] == "wal"
    assert mailbox._one("PRAGMA synchronous")[0] == 2


def test_drain_order_is_severity_then_newest_then_pictures(
    mailbox: Mailbox, tmp_path: Path
) -> None:
    """After an outage the worst and newest goes first, and a picture when nothing else is due."""
    alert = typical_alert(severity=1)
    seqs = mailbox.put_all(
        [message(3), message(1), outgoing_evidence(alert, tmp_path / "p"), message(3), message(1)]
    )
    order = [seqs[i] for i in (4, 1, 3, 0, 2)]
    assert queued(mailbox) == order
    assert [row.seq for row in mailbox.take_due(9, resend_after(5), with_media=False)] == order[:4]


def test_a_newer_update_replaces_an_unsent_update(mailbox: Mailbox) -> None:
    """Only the last state of an incident is worth sending, and what was replaced is counted."""
    new = mailbox.put(change(1, AlertKind.NEW))
    mailbox.put(change(2))
    other = mailbox.put(change(2, incident=b"j"))
    newest = mailbox.put(change(3))
    assert set(queued(mailbox)) == {new, other, newest}
    assert mailbox.queue_state().coalesced == 1


def test_a_new_an_end_or_a_sent_update_is_never_replaced(mailbox: Mailbox) -> None:
    """Only an unsent update makes way: `tries` is counted before the first byte leaves."""
    new = mailbox.put(change(1, AlertKind.NEW))
    sent = mailbox.put(change(2))
    mailbox.take_due(9, resend_after(5))
    end = mailbox.put(change(3, AlertKind.END))
    later = mailbox.put(change(4))
    assert set(queued(mailbox)) == {new, sent, end, later}
    assert mailbox.queue_state().coalesced == 0


def test_a_row_leaves_only_by_an_ack_of_its_epoch(mailbox: Mailbox) -> None:
    """An ack of another epoch, or one that comes twice, changes nothing."""
    seqs = mailbox.put_all([message() for _ in range(6)])
    mailbox.take_due(9, resend_after(5))
    assert mailbox.acked(Ack(mailbox.epoch ^ 1, 99)) == 0
    ack = Ack(mailbox.epoch, seqs[1], (seqs[4],))
    assert mailbox.acked(ack) == 3
    assert mailbox.acked(ack) == 0
    assert sorted(queued(mailbox)) == [seqs[2], seqs[3], seqs[5]]
    assert mailbox.queue_state().low_seq == seqs[2]


def test_what_was_never_sent_is_not_forgotten(mailbox: Mailbox) -> None:
    """Nobody can have committed it: an ack of it, forged or mistaken, changes nothing."""
    seqs = mailbox.put_all([message() for _ in range(3)])
    (sent,) = mailbox.take_due(1, resend_after(5))
    assert mailbox.acked(Ack(mailbox.epoch, 2**32 - 1, tuple(seqs))) == 1
    assert set(queued(mailbox)) == set(seqs) - {sent.seq}


def test_a_row_waits_out_its_back_off(mailbox: Mailbox, times: Times) -> None:
    """Sent once, it is due again only after the wait, and its tries are counted."""
    seq = mailbox.put(message())
    assert [row.tries for row in mailbox.take_due(9, resend_after(5))] == [0]
    assert mailbox.take_due(9, resend_after(5)) == []
    times.mono_ns += 5 * SECOND
    assert [(row.seq, row.tries) for row in mailbox.take_due(9, resend_after(5))] == [(seq, 1)]
    mailbox.make_due([seq])
    assert [row.tries for row in mailbox.take_due(9, resend_after(5))] == [2]


def losses(mailbox: Mailbox) -> list[LossRecord]:
    rows = mailbox._all("SELECT body FROM outbox WHERE kind = ?", (int(MessageKind.LOSS),))
    return [decode_loss(body) for (body,) in rows]


def test_a_full_budget_evicts_low_severity_then_oldest_and_says_so(
    path: Path, times: Times
) -> None:
    """What is given up is told in a loss record that queues like an alert."""
    with Mailbox(MailboxConfig(path=path, max_mb=0.02), times.clocks()) as mailbox:
        urgent = mailbox.put_all([message(1) for _ in range(20)])
        normal = mailbox.put_all([message(3) for _ in range(60)])
        state = mailbox.queue_state()
        assert state.queued_bytes <= 20_000
        left = queued(mailbox)
        assert set(urgent) <= set(left)
        kept = [seq for seq in left if seq in normal]
        assert kept == sorted(normal, reverse=True)[: len(kept)]  # the newest of them
        told = sum(loss.count for loss in losses(mailbox))
        assert told == state.lost == len(normal) - len(kept) > 0
        assert {loss.cause for loss in losses(mailbox)} == {LossCause.EVICTED}


def test_pictures_are_evicted_first_and_only_counted(
    path: Path, times: Times, tmp_path: Path
) -> None:
    """Evidence is droppable: it makes way before any alert does."""
    with Mailbox(MailboxConfig(path=path, max_mb=0.02), times.clocks()) as mailbox:
        alert = typical_alert(severity=1)
        mailbox.put_all([outgoing_evidence(alert, tmp_path / str(i)) for i in range(20)])
        mailbox.put_all([message(4) for _ in range(45)])
        state = mailbox.queue_state()
        assert state.evidence_dropped > 0
        assert state.lost == 0


def test_what_is_older_than_its_validity_is_given_up(mailbox: Mailbox, times: Times) -> None:
    """It expires by age, with a loss record; the loss record itself never does."""
    mailbox.put_all([message(valid_s=10), message(valid_s=10), message(valid_s=1000)])
    times.mono_ns += 11 * SECOND
    assert mailbox.expire() == 2
    assert [loss.cause for loss in losses(mailbox)] == [LossCause.EXPIRED]
    assert losses(mailbox)[0].by_severity == (0, 0, 2, 0)
    times.mono_ns += int(3650 * DAY_S) * SECOND
    assert mailbox.expire() == 1
    assert losses(mailbox)[0].count == 3  # merged with the unsent one


def test_a_row_of_unknown_age_does_not_expire(path: Path, times: Times) -> None:
    """After a power cut without a clock nobody knows how old it is: it is still delivered."""
    times.utc_ns = None
    with Mailbox(MailboxConfig(path=path), times.clocks()) as mailbox:
        seq = mailbox.put(message(valid_s=10))
    times.boot_id, times.mono_ns = "boot-2", 9 * SECOND
    times.utc_ns = 1_900_000_000 * SECOND
    with Mailbox(MailboxConfig(path=path), times.clocks()) as mailbox:
        assert mailbox.expire() == 0
        (row,) = mailbox.take_due(9, resend_after(5))
        assert (row.seq, row.age_s, row.remaining_s) == (seq, None, None)


def test_after_a_reboot_utc_tells_the_age(path: Path, times: Times) -> None:
    """With a clock on both sides of the cut the age is known, and the row expires."""
    with Mailbox(MailboxConfig(path=path), times.clocks()) as mailbox:
        mailbox.put(message(valid_s=100))
    times.boot_id, times.mono_ns = "boot-2", 9 * SECOND
    assert times.utc_ns is not None
    times.utc_ns += 50 * SECOND
    with Mailbox(MailboxConfig(path=path), times.clocks()) as mailbox:
        assert mailbox.expire() == 0
        times.utc_ns += 51 * SECOND
        assert mailbox.expire() == 1


def test_a_dead_letter_is_kept_and_told(mailbox: Mailbox) -> None:
    """A poison row leaves the queue with its reason, and a loss record speaks for it."""
    bad, good = mailbox.put_all([message(2), message(3)])
    mailbox.acked(Ack(mailbox.epoch, 0, (), (Reject(bad, "label: too long"),)))
    mailbox.acked(Ack(mailbox.epoch, 0, (), (Reject(bad, "label: too long"),)))
    kept = mailbox._all("SELECT seq, reason FROM dead_letter")
    assert kept == [(bad, "desk: label: too long")]
    assert good in queued(mailbox)
    assert bad not in queued(mailbox)
    (loss,) = losses(mailbox)
    assert (loss.cause, loss.by_severity) == (LossCause.DEAD_LETTER, (0, 1, 0, 0))


def test_a_refused_loss_record_makes_no_other(mailbox: Mailbox) -> None:
    """The news of a loss cannot breed."""
    mailbox.dead_letter(mailbox.put(message()), "not sendable")
    (row,) = mailbox.take_due(9, resend_after(5))
    mailbox.dead_letter(row.seq, "not sendable")
    assert mailbox.queue_state().queued == 0


def test_a_damaged_file_is_moved_aside_and_reported(path: Path, times: Times) -> None:
    """The flight goes on with a new file, whose first message says what happened."""
    with Mailbox(MailboxConfig(path=path), times.clocks()) as mailbox:
        epoch = mailbox.epoch
        mailbox.put_all([message(size=1000) for _ in range(50)])
    data = bytearray(path.read_bytes())
    data[4096:-4096] = os.urandom(len(data) - 8192)
    path.write_bytes(bytes(data))
    with Mailbox(MailboxConfig(path=path), times.clocks()) as mailbox:
        assert mailbox.was_damaged
        assert mailbox.epoch != epoch
        assert [loss.cause for loss in losses(mailbox)] == [LossCause.MAILBOX_DAMAGED]
        assert mailbox.put(message()) == 2
    assert path.with_name("mailbox.db.damaged").stat().st_size == len(data)


def test_a_file_moved_away_is_noticed(mailbox: Mailbox, path: Path) -> None:
    """An uplink that drains an old file finds out."""
    assert mailbox.is_current()
    path.rename(path.with_name("elsewhere"))
    assert not mailbox.is_current()


def test_flight_follows_a_file_that_uplink_moved_aside(
    mailbox: Mailbox, path: Path, times: Times
) -> None:
    """What is accepted after the move lies in the file that is delivered from, not beside it."""
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        part.rename(path.with_name(f"{path.name}.damaged{suffix}"))
    with Mailbox(MailboxConfig(path=path), times.clocks()) as uplink:
        seq = mailbox.put(message())
        assert mailbox.epoch == uplink.epoch
        assert queued(uplink) == [seq]


def test_a_row_put_while_the_state_is_read_is_not_done_with(
    mailbox: Mailbox, path: Path, times: Times
) -> None:
    """`low_seq` is of one state of the file: it never passes a row that the desk has not got."""
    with Mailbox(MailboxConfig(path=path), times.clocks()) as flight:
        statements: list[str] = []

        def put_between(statement: str) -> None:
            statements.append(statement)
            if len(statements) > 1:
                flight.put(message())

        mailbox._db.set_trace_callback(put_between)
        state = mailbox.queue_state()
        mailbox._db.set_trace_callback(None)
        assert state.low_seq <= min(queued(mailbox))


def test_the_file_of_a_newer_skywhistle_is_refused(path: Path, times: Times) -> None:
    """A schema not known here is left alone, with advice."""
    Mailbox(MailboxConfig(path=path), times.clocks()).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(MailboxError, match="schema 99"):
        Mailbox(MailboxConfig(path=path), times.clocks())


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, times: Times) -> None:
    """The message names the path and what to check."""
    (tmp_path / "file").write_text("")
    with pytest.raises(MailboxError, match="check its folder"):
        Mailbox(MailboxConfig(path=tmp_path / "file" / "mailbox.db"), times.clocks())


def test_a_full_disk_refuses_the_new_and_keeps_the_old(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was accepted stays, the queue drains, and then there is room again."""
    mailbox.put_all([message(size=2000) for _ in range(20)])
    pages = mailbox._one("PRAGMA page_count")[0]
    mailbox._one(f"PRAGMA max_page_count = {pages}")
    monkeypatch.setattr("edge.report.changes.free_bytes", lambda _path: 0)
    accepted = mailbox.queue_state().accepted
    with pytest.raises(MailboxFullError, match="what was accepted is safe"):
        mailbox.put_all([message(size=4000) for _ in range(500)])
    assert mailbox.queue_state().accepted == accepted == 20
    assert len(queued(mailbox)) == 20
    assert mailbox.acked(Ack(mailbox.epoch, 10)) == 10
    assert mailbox.put(message(size=2000)) > 20


def test_flight_and_uplink_leave_each_other_word(
    mailbox: Mailbox, path: Path, times: Times
) -> None:
    """Status rows are read back while fresh, and are gone when stale or from another boot."""
    status = FlightStatus(version="0.1.0", frame_rate_hz=29.97, frames_dropped=4)
    mailbox.set_flight_status(status)
    mailbox.set_uplink_health(b"{}")
    with Mailbox(MailboxConfig(path=path), times.clocks()) as other:
        assert other.flight_status(10) == status
        assert other.uplink_health(10) == b"{}"
    times.mono_ns += 11 * SECOND
    assert mailbox.flight_status(10) is None
    times.boot_id = "boot-2"
    with Mailbox(MailboxConfig(path=path), times.clocks()) as other:
        assert other.flight_status(1e9) is None


class AdmitAll(Gate):
    """A gate that takes a number for a command issued then."""

    def admit(
        self, payload: bytes, now_utc_ms: int | None, last_issued_ms: int
    ) -> Command | Refusal:
        issued_ms = int(payload)
        if issued_ms <= last_issued_ms:
            return Refusal.REPLAYED
        return Command("drone-1", Verb.PING, b"n" * 16, issued_ms, 60)


def test_commands_are_kept_until_done_and_bounded(mailbox: Mailbox) -> None:
    """The inbox is in order; it refuses and counts what would be the 1001st waiting."""
    gate = AdmitAll("drone-1")
    for payload in (b"1", b"2"):
        assert isinstance(mailbox.take_command(gate, payload), Command)
    rows = mailbox.commands()
    assert [decode_command(row.body).issued_utc_ms for row in rows] == [1, 2]
    before = mailbox.queue_state()
    mailbox.command_done(rows[0], Outgoing(MessageKind.RESULT, b"\x01", severity=2))
    assert mailbox.commands() == rows[1:]
    after = mailbox.queue_state()
    assert (after.queued, after.accepted) == (before.queued + 1, before.accepted + 1)
    sql = "INSERT INTO inbox (channel, payload) VALUES ('cmd', ?)"
    mailbox._changes.make(lambda db: db.executemany(sql, [(b"x",) for _ in range(999)]))
    assert mailbox.take_command(gate, b"3") is Refusal.INBOX_FULL
    assert mailbox.queue_state().inbox_refused == 1


def test_what_was_taken_is_remembered_over_a_restart(
    mailbox: Mailbox, path: Path, times: Times
) -> None:
    """A recorded command is refused by the next process, too, and one not stored is not taken."""
    gate = AdmitAll("drone-1")
    assert isinstance(mailbox.take_command(gate, b"5"), Command)
    with Mailbox(MailboxConfig(path=path), times.clocks()) as other:
        assert other.take_command(gate, b"5") is Refusal.REPLAYED
        assert isinstance(other.take_command(gate, b"6"), Command)
        assert len(other.commands()) == 2


def test_another_connection_s_write_is_noticed(mailbox: Mailbox, path: Path, times: Times) -> None:
    """The uplink learns of a put without reading the queue, and only once."""
    with Mailbox(MailboxConfig(path=path), times.clocks()) as flight:
        mailbox.changed()
        assert not mailbox.changed()
        flight.put(message())
        assert mailbox.changed()
        assert not mailbox.changed()


@pytest.mark.parametrize("severity", [0, 5])
def test_an_outgoing_message_makes_sense(severity: int) -> None:
    """A severity outside 1 to 4 is refused before it is stored."""
    with pytest.raises(ProtocolError, match="severity"):
        message(severity)


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("new"), st.integers(0, 3), st.integers(1, 4)),
        st.tuples(st.just("update"), st.integers(0, 3), st.integers(1, 4)),
        st.tuples(st.just("send"), st.integers(1, 5), st.just(0)),
        st.tuples(st.just("ack"), st.integers(0, 8), st.just(0)),
        st.tuples(st.just("reject"), st.integers(0, 8), st.just(0)),
        st.tuples(st.just("wait"), st.integers(1, 40), st.just(0)),
        st.tuples(st.just("reopen"), st.just(0), st.just(0)),
    ),
    max_size=40,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(actions=ACTIONS)
def test_accepted_is_delivered_or_replaced_or_told_or_queued(
    actions: list[tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever happens in whatever order, no accepted message vanishes without a word."""
    times = Times()
    path = tmp_path_factory.mktemp("mailbox") / "mailbox.db"
    config = MailboxConfig(path=path, max_mb=0.006, validity_s=60)
    mailbox = Mailbox(config, times.clocks())
    revisions: dict[int, int] = {}
    for verb, number, severity in actions:
        times.mono_ns += SECOND
        if verb in ("new", "update"):
            revisions[number] = revisions.get(number, 0) + 1
            kind = AlertKind.NEW if verb == "new" else AlertKind.UPDATE
            alert = typical_alert(
                kind=kind,
                revision=revisions[number],
                severity=severity,
                incident_id=bytes([number]) * 16,
            )
            mailbox.put(outgoing_alert(alert))
        elif verb == "send":
            mailbox.take_due(number, resend_after(5))
        elif verb in ("ack", "reject"):
            low = mailbox.queue_state().low_seq + number
            reject = (Reject(low, "no"),) if verb == "reject" else ()
            extra = () if verb == "reject" else (low,)
            mailbox.acked(Ack(mailbox.epoch, 0, extra, reject))
        elif verb == "wait":
            times.mono_ns += number * SECOND
            mailbox.expire()
        else:
            mailbox.close()
            mailbox = Mailbox(config, times.clocks())
        _check_law(mailbox)
    mailbox.close()


def _check_law(mailbox: Mailbox) -> None:
    state = mailbox.queue_state()
    rows = mailbox._all("SELECT kind FROM outbox")
    alerts = sum(kind == int(MessageKind.ALERT) for (kind,) in rows)
    delivered_losses = mailbox._one("SELECT n FROM counter WHERE name = 'delivered'")[0]
    # `delivered` counts acked loss records too; they were never accepted from outside.
    assert state.accepted <= delivered_losses + state.coalesced + state.lost + alerts
    assert state.accepted >= state.coalesced + state.lost + alerts
    assert state.queued == len(rows)


def test_a_file_of_an_earlier_schema_is_brought_up_and_keeps_its_rows(
    path: Path, times: Times, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an older Skywhistle accepted is delivered by the newer one; the epoch stays."""
    with Mailbox(MailboxConfig(path=path), times.clocks()) as old:
        seqs, epoch = old.put_all([message(), message()]), old.epoch
    later = "ALTER TABLE outbox ADD COLUMN later INTEGER NOT NULL DEFAULT 7;"
    monkeypatch.setattr(database, "_MIGRATIONS", (*database._MIGRATIONS, later))
    for _ in range(2):  # the second time there is nothing to do
        with Mailbox(MailboxConfig(path=path), times.clocks()) as new:
            assert new.rows("PRAGMA user_version") == [(len(database._MIGRATIONS),)]
            assert new.rows("SELECT DISTINCT later FROM outbox") == [(7,)]
            assert (sorted(queued(new)), new.epoch) == (seqs, epoch)


def test_only_what_was_never_sent_can_be_asked_for(mailbox: Mailbox, times: Times) -> None:
    """While the desk is asked what it has, what an earlier uplink sent does not go out again."""
    sent = mailbox.put(message())
    mailbox.take_due(9, resend_after(5))
    new = mailbox.put(message())
    times.mono_ns += 60 * SECOND
    taken = mailbox.take_due(9, resend_after(5), only_new=True)
    assert [row.seq for row in taken] == [new]
    assert [row.seq for row in mailbox.take_due(9, resend_after(5))] == [sent]
