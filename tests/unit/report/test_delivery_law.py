"""The law of delivery as a state machine: whatever happens in whatever order, nothing is lost.

The mailbox, the wire format, the desk and its file are the real ones, in one process; what lies
between them is two lists, whose messages a step may lose, double, or deliver late.

SKYWHISTLE_TEST_LAW_STEPS=20000 makes it long; then it draws anew each time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from edge.config_delivery import MailboxConfig, MqttConfig
from edge.desk.receiver import Desk
from edge.desk.store import DeskStore
from edge.errors import MailboxFullError
from edge.protocol.ack import Ack, decode_ack, encode_ack
from edge.protocol.messages import MessageKind
from edge.protocol.mqtt_events import Incoming, Message
from edge.protocol.status import Status, StatusState, encode_status
from edge.protocol.topics import ack_topic, up_topic
from edge.records import AlertKind
from edge.report import outbox
from edge.report.mailbox import Mailbox
from edge.report.outgoing import Outgoing, outgoing_alert
from edge.report.wire import message_from_row
from sim.chaos.judge import Account, evidence_of, judge
from sim.chaos.ledger import Entry, Outcome, digest_of
from tests.unit.protocol.alerts import typical_alert
from tests.unit.report.test_mailbox import SECOND, Times

DRONE = "law-1"
STEPS = int(os.environ.get("SKYWHISTLE_TEST_LAW_STEPS", "0"))
STEPS_AN_EXAMPLE = 50
EXAMPLES = max(30, STEPS // STEPS_AN_EXAMPLE)
MAX_MB = 0.006  # some fifteen alerts: evictions are common
VALID_S = 300.0
MEMORY_DISK = Path("/dev/shm")
YEAR_S = 365 * 86_400


class Delivery(RuleBasedStateMachine):
    """One drone, one desk, and everything that can happen between two statements."""

    taken = 0  # steps, over all examples

    def __init__(self) -> None:
        super().__init__()
        parent = MEMORY_DISK if MEMORY_DISK.is_dir() else None
        self.folder = Path(tempfile.mkdtemp(dir=parent, prefix="skywhistle-law-"))
        self.times = Times()
        self.lives = 0
        self.numbers = 0
        self.entries: list[Entry] = []
        self.revisions: dict[int, int] = {}
        self.air: list[Message] = []
        self.acks: list[bytes] = []
        self.is_full = False
        self.room = mock.patch("edge.report.changes.free_bytes", lambda _: self.free_bytes())
        self.room.start()
        self.store = DeskStore(self.folder / "desk.db")
        self.mailbox = self.open()
        self.start_desk()

    def free_bytes(self) -> int:
        return 0 if self.is_full else sys.maxsize

    # --- the two ends -----------------------------------------------------------------------------

    def open(self) -> Mailbox:
        config = MailboxConfig(path=self.drone_folder() / "mailbox.db", max_mb=MAX_MB)
        return Mailbox(config.model_copy(update={"validity_s": VALID_S}), self.times.clocks())

    def drone_folder(self) -> Path:
        return self.folder / f"life-{self.lives}"

    def start_desk(self) -> None:
        """Start a desk on its file; what it publishes waits in `acks`."""
        mqtt = MqttConfig(tls=False)
        self.desk = Desk(mqtt, self.store, lambda _: None, lambda: self.times.mono_ns)

        def publish(message: Message) -> tuple[int, int]:
            if message.topic == ack_topic(DRONE):
                self.acks.append(message.payload)
            return (0, 0)

        self.desk._session.publish = publish  # type: ignore[method-assign]

    def die(self) -> None:
        """Leave what SIGKILL leaves: the files as they are, whatever is under way undone."""
        before = self.drone_folder()
        self.lives += 1
        self.drone_folder().mkdir()
        for suffix in ("", "-wal"):  # the index is of the dead process's memory
            part = before / f"mailbox.db{suffix}"
            if part.exists():
                shutil.copy(part, self.drone_folder())
        self.mailbox.close()
        shutil.rmtree(before)
        self.is_full = False
        self.mailbox = self.open()

    # --- what flight does -------------------------------------------------------------------------

    def message(self, incident: int, severity: int, kind: AlertKind) -> Outgoing:
        revision = self.revisions[incident] = self.revisions.get(incident, 0) + 1
        self.numbers += 1
        return outgoing_alert(
            typical_alert(
                incident_id=incident.to_bytes(16, "big"),
                revision=revision,
                kind=kind,
                severity=severity,
                looks=self.numbers,  # no two bodies are the same
            )
        )

    def entry(self, message: Outgoing, outcome: Outcome, seq: int = 0) -> Entry:
        return Entry(
            digest=digest_of(message.body),
            kind=message.kind,
            severity=message.severity,
            incident_id="" if message.incident_id is None else message.incident_id.hex(),
            revision=message.revision,
            is_update=message.is_update,
            outcome=outcome,
            epoch=self.mailbox.epoch,
            seq=seq,
        )

    def put_all(self, messages: list[Outgoing]) -> None:
        try:
            seqs = self.mailbox.put_all(messages)
        except MailboxFullError:
            assert self.is_full
            self.entries += [self.entry(m, Outcome.REFUSED) for m in messages]
            return
        self.entries += [
            self.entry(m, Outcome.ACCEPTED, seq) for m, seq in zip(messages, seqs, strict=True)
        ]

    @rule(
        incidents=st.lists(st.integers(1, 6), min_size=1, max_size=4),
        severity=st.integers(1, 4),
        kind=st.sampled_from(AlertKind),
    )
    def put(self, incidents: list[int], severity: int, kind: AlertKind) -> None:
        self.put_all([self.message(incident, severity, kind) for incident in incidents])

    @rule(incident=st.integers(1, 6))
    def die_in_a_put(self, incident: int) -> None:
        """The transaction is open, its rows are written, and the process is no more."""
        message = self.message(incident, 2, AlertKind.UPDATE)
        self.mailbox._db.execute("BEGIN IMMEDIATE")
        with contextlib.suppress(sqlite3.OperationalError):  # on a full disk it comes less far
            outbox.insert(self.mailbox._db, message, self.times.clocks(), VALID_S)
        self.entries.append(self.entry(message, Outcome.REFUSED))
        self.die()

    @rule()
    def restart(self) -> None:
        self.die()

    # --- what uplink does -------------------------------------------------------------------------

    @rule(limit=st.integers(1, 20))
    def send(self, limit: int) -> None:
        for row in self.mailbox.take_due(limit, lambda _tries: 5 * SECOND):
            self.air.append(message_from_row(row, DRONE, self.mailbox.epoch))

    @rule(is_resume=st.booleans())
    def say_status(self, is_resume: bool) -> None:
        low = self.mailbox.queue_state().low_seq
        status = Status(StatusState.ONLINE, self.mailbox.epoch, low, is_resume=is_resume)
        topic = up_topic(DRONE, MessageKind.STATUS)
        self.air.append(Message(topic, encode_status(status)))

    @rule()
    def expire(self) -> None:
        try:
            self.mailbox.expire()
        except MailboxFullError:
            assert self.is_full

    @precondition(lambda self: self.acks)
    @rule(data=st.data(), comes_again=st.booleans())
    def hear_ack(self, data: st.DataObject, comes_again: bool) -> None:
        """In any order, and as often as the broker likes."""
        at = data.draw(st.integers(0, len(self.acks) - 1))
        payload = self.acks[at] if comes_again else self.acks.pop(at)
        self.mailbox.acked(decode_ack(payload))

    @rule(seqs=st.lists(st.integers(1, 50), max_size=5), up_to=st.integers(0, 50))
    def hear_anothers_ack(self, seqs: list[int], up_to: int) -> None:
        """An ack of another epoch: of the mailbox before this one."""
        other = self.mailbox.epoch ^ 1
        assert self.mailbox.acked(decode_ack(encode_ack(Ack(other, up_to, tuple(seqs))))) == 0

    # --- what lies between ------------------------------------------------------------------------

    @precondition(lambda self: self.air)
    @rule(data=st.data(), comes_again=st.booleans())
    def arrive(self, data: st.DataObject, comes_again: bool) -> None:
        at = data.draw(st.integers(0, len(self.air) - 1))
        self.deliver([self.air[at] if comes_again else self.air.pop(at)])

    @precondition(lambda self: self.air)
    @rule()
    def all_arrive(self) -> None:
        self.deliver(self.air)
        self.air = []

    @precondition(lambda self: self.air)
    @rule()
    def all_is_lost_on_the_way(self) -> None:
        self.air = []

    @rule()
    def restart_desk(self) -> None:
        self.store.close()
        self.store = DeskStore(self.folder / "desk.db")
        self.start_desk()

    def deliver(self, messages: list[Message]) -> None:
        self.desk._pending = [
            Incoming(message.topic, message.payload, (0, 0), 1) for message in messages
        ]
        assert self.desk._commit_pending()

    # --- disk and clocks --------------------------------------------------------------------------

    @rule()
    def fill_disk(self) -> None:
        pages = self.mailbox.rows("PRAGMA page_count")[0][0]
        self.mailbox.rows(f"PRAGMA max_page_count = {pages}")
        self.is_full = True

    @rule()
    def free_disk(self) -> None:
        self.mailbox.rows("PRAGMA max_page_count = 1000000")
        self.is_full = False

    @rule(seconds=st.sampled_from([1, 6, 60, 400]))
    def wait(self, seconds: int) -> None:
        self.times.mono_ns += seconds * SECOND
        if self.times.utc_ns is not None:
            self.times.utc_ns += seconds * SECOND

    @rule(by_s=st.sampled_from([-YEAR_S, -3600, -2, 2, 3600, YEAR_S]))
    def step_clock(self, by_s: int) -> None:
        if self.times.utc_ns is not None:
            self.times.utc_ns = max(0, self.times.utc_ns + by_s * SECOND)

    @rule(knows_utc=st.booleans())
    def boot_anew(self, knows_utc: bool) -> None:
        """Power is cut; the next boot has another monotonic clock, and perhaps no UTC."""
        self.times.boot_id = f"boot-{self.lives + 2}"
        self.times.mono_ns = 5 * SECOND
        self.times.utc_ns = 1_800_000_000 * SECOND if knows_utc else None
        self.die()

    # --- the law ----------------------------------------------------------------------------------

    def account(self) -> Account:
        return judge(self.entries, evidence_of(self.store, self.mailbox))

    @invariant()
    def nothing_is_lost(self) -> None:
        """Each accepted message is committed, replaced by a newer one, told lost, or queued."""
        Delivery.taken += 1
        account = self.account()
        assert account.holds, account

    def teardown(self) -> None:
        """In peace everything is delivered, and the law holds with nothing queued."""
        try:
            self.free_disk()
            for _ in range(100):
                self.mailbox.make_due()
                self.send(50)
                self.say_status(True)
                self.all_arrive()
                while self.acks:
                    self.mailbox.acked(decode_ack(self.acks.pop()))
                if self.mailbox.queue_state().queued == 0:
                    break
            account = self.account()
            assert account.holds, account
            assert account.queued == 0
        finally:
            self.mailbox.close()
            self.store.close()
            self.room.stop()
            shutil.rmtree(self.folder)


def test_nothing_accepted_is_lost_whatever_happens(capsys: Any) -> None:
    """After each of thousands of steps every accepted message is accounted for."""
    from hypothesis.stateful import run_state_machine_as_test

    Delivery.taken = 0
    run_state_machine_as_test(
        Delivery,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS_AN_EXAMPLE,
            deadline=None,
            derandomize=STEPS == 0,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
    with capsys.disabled():
        print(f"\nlaw of delivery: {Delivery.taken} steps")  # noqa: T201
    assert Delivery.taken >= EXAMPLES * 5
