"""Delivery over real sockets, real brokers and real processes that die."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.config_delivery import EvidenceConfig, MqttConfig
from edge.desk.authority import Authority
from edge.desk.broker import EmbeddedBroker
from edge.desk.orders import Order, send_order
from edge.desk.receiver import Desk
from edge.desk.store import DeskStore
from edge.errors import RoleTakenError
from edge.protocol.ack import Ack, decode_ack, encode_ack
from edge.protocol.command import CommandResult, Outcome, Verb
from edge.protocol.loss import LossCause
from edge.protocol.messages import MessageKind, Stamp, open_envelope, seal
from edge.protocol.mqtt import MqttSession
from edge.protocol.mqtt_events import Event, Incoming, Linked, Message, Published, Will
from edge.protocol.signing import read_signing_key
from edge.protocol.status import FlightStatus, StatusState, decode_status
from edge.protocol.topics import DESK_STATE, ack_topic, all_down, command_topic, up_topic
from edge.records import AlertKind
from edge.report.evidence import EvidenceKeeper, EvidenceRef
from edge.report.mailbox import Mailbox
from edge.report.obey import obey
from edge.report.outgoing import outgoing_evidence
from edge.report.status import UplinkHealth, uplink_health_from
from edge.report.wire import message_from_row
from tests.brokers import Mosquitto
from tests.small_disk import fill, small_disk
from tests.system.delivery import (
    WAIT_S,
    Place,
    expected,
    numbered,
    poison,
    running,
    utc_ns,
    wait_empty,
    wait_until,
)
from tests.unit.protocol.alerts import typical_alert
from tests.unit.report.test_report_parts import coarse, frame, sighting

pytestmark = pytest.mark.system


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    pytest.importorskip("iotcore")
    with EmbeddedBroker() as running_broker:
        yield running_broker


@pytest.fixture
def place(broker: EmbeddedBroker, tmp_path: Path) -> Place:
    return Place(tmp_path, broker.config(), broker.config())


def session(config: MqttConfig, *filters: str, name: str = "test") -> MqttSession:
    opened = MqttSession(config, name, filters, is_durable=False)
    opened.start()
    wait_until(lambda: isinstance(opened.next_event(1.0), Linked), "the test's client is up")
    return opened


def drone_session(config: MqttConfig, drone_id: str) -> MqttSession:
    """A drone's client, once the desk is there."""
    opened = session(config, all_down(drone_id), DESK_STATE)
    while b'"online"' not in next_incoming(opened, DESK_STATE).payload:
        pass
    return opened


def next_incoming(opened: MqttSession, topic: str, wait_s: float = 10.0) -> Incoming:
    deadline = time.monotonic() + wait_s
    event: Event | None = None
    while time.monotonic() < deadline:
        event = opened.next_event(0.1)
        if isinstance(event, Incoming):
            opened.acknowledge(event)
            if event.topic == topic:
                return event
    raise AssertionError(f"nothing came on {topic}; last was {event}")


def test_every_alert_is_committed_once_and_soon(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is put while all is well is on the desk's disk; row to commit is printed."""
    with place.mailbox() as mailbox, running(place.desk), place.child("uplink"):
        wait_until(lambda: uplink_health_from(mailbox, 5) is not None, "the uplink runs")
        wait_until(lambda: (h := uplink_health_from(mailbox, 5)) is not None and h.is_up, "up")
        for number in range(100):
            mailbox.put(numbered(number))
            time.sleep(0.02)
        wait_until(lambda: len(place.committed) == 100, "all are committed")
        wait_empty(mailbox)
    assert place.alert_revisions() == expected(100)
    took_ms = sorted((c.outbox_to_commit_s or 0.0) * 1e3 for c in place.committed)
    assert took_ms[0] > 0.0
    assert {c.payload_bytes for c in place.committed} <= set(range(100, 176))
    with capsys.disabled():
        print(f"\nrow to commit: p50 {took_ms[50]:.0f} ms, p99 {took_ms[98]:.0f} ms")  # noqa: T201


def test_a_broker_that_goes_and_comes_back_empty_costs_nothing(
    place: Place, broker: EmbeddedBroker
) -> None:
    """What was on the way, what was put meanwhile and what came after: all of it arrives."""
    with place.mailbox() as mailbox, running(place.desk, place.uplink):
        mailbox.put_all([numbered(n) for n in range(30)])
        wait_until(lambda: bool(place.committed), "the first is committed")
        broker.stop()
        mailbox.put_all([numbered(n) for n in range(30, 60)])
        time.sleep(0.5)
        broker.start()
        mailbox.put_all([numbered(n) for n in range(60, 70)])
        wait_empty(mailbox)
    assert place.alert_revisions() == expected(70)


def test_a_killed_uplink_loses_nothing(place: Place) -> None:
    """SIGKILL at any moment: its successor goes on from the file."""
    with place.mailbox() as mailbox, running(place.desk):
        for start in (0, 100):
            with place.child("uplink") as uplink:
                mailbox.put_all([numbered(n) for n in range(start, start + 100)])
                wait_until(lambda: len(place.committed) > start, "some are committed")  # noqa: B023
                uplink.kill()
        with place.child("uplink"):
            wait_empty(mailbox)
    assert place.alert_revisions() == expected(200)


def test_a_desk_that_dies_between_commit_and_ack_doubles_nothing(place: Place) -> None:
    """The drone sends again, the desk knows it already, and acks it now."""
    with place.mailbox() as mailbox, running(place.uplink):
        mailbox.put_all([numbered(n) for n in range(20)])
        with place.child("desk-dies") as desk:
            assert desk.wait(20) == 9
        assert len(place.alert_revisions()) > 0
        assert mailbox.queue_state().queued == 20  # committed, but nobody said so
        with place.child("desk"):
            wait_empty(mailbox)
    assert place.alert_revisions() == expected(20)


def test_a_puback_is_not_a_commit(place: Place) -> None:
    """The broker takes everything, no desk is there: everything stays in the outbox."""
    with place.mailbox() as mailbox, running(place.uplink):
        mailbox.put_all([numbered(n) for n in range(10)])
        wait_until(
            lambda: (h := uplink_health_from(mailbox, 5)) is not None and h.sent >= 10, "sent"
        )
        time.sleep(0.3)
        assert mailbox.queue_state().queued == 10
        with running(place.desk):
            wait_empty(mailbox)
    assert place.alert_revisions() == expected(10)


def test_a_poison_row_blocks_nobody(place: Place, tmp_path: Path) -> None:
    """It is dead-lettered with its reason, and the desk learns of it by a loss record."""
    forged = tmp_path / "forged.webp"
    image = cv2.imencode(".webp", np.zeros((20, 20, 3), np.uint8))[1]
    forged.write_bytes(image.tobytes())
    with place.mailbox() as mailbox:
        mailbox.put_all([poison(), *[numbered(n) for n in range(5)]])
        alert = typical_alert(incident_id=bytes(16), evidence_hash=b"anothers")
        mailbox.put(outgoing_evidence(alert, forged))
        with running(place.desk, place.uplink):
            wait_empty(mailbox)
        reasons = [r for (r,) in mailbox._all("SELECT reason FROM dead_letter ORDER BY seq")]
    assert reasons[0].startswith("not sendable: ")
    assert reasons[1] == "desk: image: its SHA-256 is not the evidence hash"
    assert place.alert_revisions() == expected(5)
    with DeskStore(place.desk_path) as store:
        assert store.rows("SELECT cause, count FROM loss") == [
            (LossCause.DEAD_LETTER.name.lower(), 1)
        ]


def test_a_resend_is_acked_again_and_stored_once(place: Place) -> None:
    """Three times the same message: one row, three acks."""
    payload = seal(MessageKind.ALERT, Stamp(77, 5), numbered(1).body)
    with running(place.desk):
        drone = drone_session(place.mqtt, "drone-9")
        for _ in range(3):
            drone.publish(Message(up_topic("drone-9", MessageKind.ALERT), payload))
            ack = decode_ack(next_incoming(drone, ack_topic("drone-9")).payload)
            assert (ack.epoch, ack.up_to, ack.extra, ack.reject) == (77, 0, (5,), ())
        drone.close()
    assert len(place.alert_revisions()) == len(place.committed) == 1


def test_what_is_no_message_is_refused_by_name_and_harms_nobody(place: Place) -> None:
    """Garbage, oversize, a wrong channel, a bad field: the desk says why and goes on."""
    good = seal(MessageKind.ALERT, Stamp(77, 9), numbered(1).body)
    tagged = seal(MessageKind.ALERT, Stamp(77, 1), bytes.fromhex("d81c81d81d00"))
    oversized = b"\x84\x01\x18\x4d\x02" + b"\x59\x20\x00" + bytes(0x2000)
    no_alert = seal(MessageKind.ALERT, Stamp(77, 3), b"\xa0")
    bad = {"tag 28": tagged, "at most 1024": oversized, "incident id": no_alert}
    topic = up_topic("drone-9", MessageKind.ALERT)
    with running(place.desk):
        drone = drone_session(place.mqtt, "drone-9")
        for says, payload in bad.items():
            drone.publish(Message(topic, payload))
            (reject,) = decode_ack(next_incoming(drone, ack_topic("drone-9")).payload).reject
            assert says in reject.reason
        for payload in (b"", b"garbage", bytes(15_000)):
            drone.publish(Message(topic, payload))
        drone.publish(Message("sw/v1/drone-9/up/media", good))
        drone.publish(Message("sw/v1/drone-9/up/nonsense", good))
        drone.publish(Message("sw/v1/bad id/up/alert", good))
        drone.publish(Message(topic, good))
        wait_until(lambda: bool(place.committed), "the good one is committed")
        drone.close()
    with DeskStore(place.desk_path) as store:
        reasons = [reason for (reason,) in store.rows("SELECT reason FROM refused ORDER BY id")]
    assert len(reasons) == 9
    assert "alert on channel media" in reasons
    assert any("drone id 'bad id'" in reason for reason in reasons)


def test_a_picture_follows_its_alert(place: Place, tmp_path: Path) -> None:
    """Evidence goes after everything else; one whose file is gone is dropped and counted."""
    keeper = EvidenceKeeper(EvidenceConfig(folder=tmp_path / "evidence"))
    alert = typical_alert(incident_id=bytes(16), severity=4)
    keeper.offer(alert.incident_id, frame(), sighting(), coarse)
    ref = keeper.store(alert.incident_id)
    assert isinstance(ref, EvidenceRef)
    alert = typical_alert(incident_id=bytes(16), severity=4, evidence_hash=ref.hash8)
    with place.mailbox() as mailbox:
        mailbox.put(outgoing_evidence(alert, ref.path))
        mailbox.put(outgoing_evidence(alert, tmp_path / "gone.webp"))
        mailbox.put(numbered(0, severity=4))
        with running(place.desk):
            drone_session(place.mqtt, "drone-9").close()  # the desk is there
            with running(place.uplink):
                wait_empty(mailbox)
        state = mailbox.queue_state()
        assert (state.evidence_dropped, state.lost) == (1, 0)
    with DeskStore(place.desk_path) as store:
        ((hash8, image),) = store.rows("SELECT evidence_hash, image_webp FROM media")
        order = store.rows("SELECT kind FROM message ORDER BY received_utc_ns, seq DESC")
    assert (hash8, image) == (ref.hash8, ref.path.read_bytes())
    assert order == [(int(MessageKind.ALERT),), (int(MessageKind.MEDIA),)]


def test_replaced_updates_leave_no_gap_that_holds_the_ack(place: Place) -> None:
    """Seqs that never come are declared done with by the drone's status, and `up_to` moves on."""
    with place.mailbox() as mailbox:
        for revision in range(2, 12):
            mailbox.put(numbered(0, kind=AlertKind.UPDATE, revision=revision))
        with running(place.desk, place.uplink):
            wait_empty(mailbox)
            with DeskStore(place.desk_path) as store:
                wait_until(
                    lambda: store.rows("SELECT up_to FROM watermark") == [(10,)], "up_to is 10"
                )
        assert mailbox.queue_state().coalesced == 9
    assert place.alert_revisions() == [(bytes(16), 11)]


def test_a_desk_with_a_full_disk_acks_nothing_until_there_is_room(place: Place) -> None:
    """Nothing is acked that is not on the disk; when there is room, everything is."""
    with DeskStore(place.desk_path) as store, place.mailbox() as mailbox:
        pages = store.rows("PRAGMA page_count")[0][0]
        store.rows(f"PRAGMA max_page_count = {pages}")
        mailbox.put_all([numbered(n) for n in range(40)])
        desk = Desk(place.desk_mqtt, store, place.committed.append, utc_ns)
        with running(desk.run, place.uplink):
            time.sleep(1.5)
            on_disk = store.counts()["alert"]
            assert on_disk < 40
            assert mailbox.queue_state().queued >= 40 - on_disk
            store.rows("PRAGMA max_page_count = 100000")
            wait_empty(mailbox)
    assert place.alert_revisions() == expected(40)


def test_an_uplink_on_a_full_disk_starts_delivers_and_makes_room(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    """Everything queued reaches the desk and leaves the outbox, with not one block free."""
    with small_disk(tmp_path / "disk") as disk:
        place = Place(disk, broker.config(), broker.config(), desk_folder=tmp_path)
        with place.mailbox() as mailbox:
            mailbox.keep_ballast()
            mailbox.put_all([numbered(n) for n in range(300)])
            desk = session(place.mqtt, "sw/v1/+/up/status")
        fill(disk)
        with running(place.desk, place.uplink):
            wait_until(lambda: len(place.committed) == 300, "all are committed")
            next_incoming(desk, up_topic("drone-1", MessageKind.STATUS))
            fill(disk, "more")  # what the reserve had left
            with place.mailbox() as mailbox:
                wait_empty(mailbox)
        desk.close()
    assert place.alert_revisions() == expected(300)


def test_only_the_desks_own_word_makes_a_drone_forget(place: Place) -> None:
    """Acks that somebody at the broker makes up are refused and counted; signed ones are obeyed."""
    keys = Authority.create(place.folder / "keys", ["localhost"], datetime.now(timezone.utc), 30)
    place.ack_keys = (keys.folder / "desk" / "ack.pub",)

    def refused(mailbox: Mailbox) -> int:
        health = uplink_health_from(mailbox, 5)
        return 0 if health is None else health.acks_refused

    with place.mailbox() as mailbox, running(place.uplink):
        mailbox.put(numbered(0))
        forger = session(place.mqtt, up_topic("drone-1", MessageKind.ALERT), name="forger")
        next_incoming(forger, up_topic("drone-1", MessageKind.ALERT))
        for resume in (False, True):
            forged = encode_ack(Ack(mailbox.epoch, 1, is_resume=resume))
            forger.publish(Message(ack_topic("drone-1"), forged))
        wait_until(lambda: refused(mailbox) == 2, "both are refused")
        assert mailbox.queue_state().queued == 1
        forger.close()
        with running(place.desk):  # a desk whose acks nobody signs is believed no more
            wait_until(lambda: refused(mailbox) > 2, "its acks are refused")
        assert mailbox.queue_state().queued == 1
        place.ack_key = keys.folder / "desk" / "ack.key"
        with running(place.desk):
            wait_empty(mailbox)
    assert place.alert_revisions() == expected(1)


def test_a_drone_without_keys_reads_signed_acks(place: Place) -> None:
    """A desk may begin to sign before its drones have the key."""
    keys = Authority.create(place.folder / "keys", ["localhost"], datetime.now(timezone.utc), 30)
    place.ack_key = keys.folder / "desk" / "ack.key"
    with place.mailbox() as mailbox, running(place.desk, place.uplink):
        mailbox.put_all([numbered(n) for n in range(20)])
        wait_empty(mailbox)
    assert place.alert_revisions() == expected(20)


def test_a_command_is_signed_taken_once_and_answered(place: Place) -> None:
    """Only the desk's key is obeyed; a recording of its command, and noise, are refused."""
    keys = Authority.create(place.folder / "keys", ["localhost"], datetime.now(timezone.utc), 30)
    place.command_keys = (keys.folder / "desk" / "command.pub",)
    signer = read_signing_key(keys.folder / "desk" / "command.key", "key")
    order = Order("drone-1", Verb.PING, valid_s=3600).command(utc_ns())

    def fly(stop: threading.Event) -> None:
        with place.mailbox() as mailbox:
            while not stop.wait(0.02):
                obey(mailbox, {Verb.PING: lambda command: f"here, {command.nonce.hex()}"})

    def refused(health: UplinkHealth | None) -> bool:
        return health is not None and health.commands_refused == {"replayed": 1, "malformed": 2}

    with place.mailbox() as mailbox, running(place.uplink, place.desk, fly):
        spy = session(place.mqtt, "sw/v1/+/dn/cmd", name="spy")
        mailbox.put(numbered(0))
        wait_empty(mailbox)  # so the drone has been at the broker, which keeps its commands
        answer = send_order(place.mqtt, order, signer, WAIT_S)
        assert answer == CommandResult(order.nonce, Outcome.DONE, f"here, {order.nonce.hex()}")
        recorded = next_incoming(spy, command_topic("drone-1")).payload
        for payload in (recorded, b"look again"):
            spy.publish(Message(command_topic("drone-1"), payload))
        spy.publish(Message(ack_topic("drone-1") + "s", recorded))
        wait_until(lambda: refused(uplink_health_from(mailbox, 5)), "all three are refused")
        assert mailbox.commands() == []
        spy.close()


def test_the_status_is_retained_and_says_goodbye(place: Place) -> None:
    """A desk that comes later learns who is there, what flight says, and who has left."""
    with place.mailbox() as mailbox:
        mailbox.set_flight_status(FlightStatus(version="1.2", inference_rate_hz=12.5))
        mailbox.put(numbered(0))
        with running(place.uplink):
            wait_until(lambda: (h := uplink_health_from(mailbox, 5)) is not None and h.is_up, "up")
            late = session(place.mqtt, "sw/v1/+/up/status", name="late")
            while True:
                message = next_incoming(late, up_topic("drone-1", MessageKind.STATUS))
                envelope = open_envelope(message.payload)
                status = decode_status(envelope.body, envelope.stamp.epoch)
                if status.flight is not None:
                    break
            late.close()
        assert (status.state, status.queued, status.low_seq) == (StatusState.ONLINE, 1, 1)
        assert status.flight.inference_rate_hz == 12.5
        later = session(place.mqtt, "sw/v1/+/up/status", name="later")
        message = next_incoming(later, up_topic("drone-1", MessageKind.STATUS))
        envelope = open_envelope(message.payload)
        status = decode_status(envelope.body, envelope.stamp.epoch)
        later.close()
    assert (status.state, status.epoch) == (StatusState.OFFLINE, mailbox.epoch)


def test_a_mailbox_moved_aside_is_followed(place: Place) -> None:
    """An uplink does not go on draining a file that flight no longer writes."""
    with running(place.desk, place.uplink):
        with place.mailbox() as mailbox:
            mailbox.put(numbered(0))
            wait_empty(mailbox)
        for part in place.folder.glob("mailbox.db*"):
            if not part.name.endswith(".lock"):
                part.rename(part.with_name("old-" + part.name))
        with place.mailbox() as mailbox:
            mailbox.put(numbered(1))
            wait_empty(mailbox)
    assert place.alert_revisions() == expected(2)


def test_a_second_uplink_is_kept_out(place: Place) -> None:
    """Two uplinks on one mailbox would push each other off the broker for ever."""
    with place.mailbox() as mailbox, running(place.uplink):
        wait_until(lambda: uplink_health_from(mailbox, 5) is not None, "the first runs")
        with pytest.raises(RoleTakenError), running(place.uplink):
            time.sleep(0.3)


def test_the_desk_tells_dashboards(place: Place) -> None:
    """Each committed alert is republished as JSON, and the desk's state is retained."""
    with running(place.desk):
        board = session(place.mqtt, "sw/v1/desk/#")
        assert b'"online"' in next_incoming(board, "sw/v1/desk/state").payload
        payload = seal(MessageKind.ALERT, Stamp(77, 5), numbered(1).body, is_replay=True)
        board.publish(Message(up_topic("drone-9", MessageKind.ALERT), payload))
        told = next_incoming(board, "sw/v1/desk/alert").payload.decode()
        board.close()
    for part in ('"drone": "drone-9"', '"label": "structure"', '"flags": ["replay"]', "城管"):
        assert part in told


def test_two_desks_of_one_broker_both_get_everything(place: Place, tmp_path: Path) -> None:
    """Each database is a session of its own: neither pushes the other out."""
    other = Place(tmp_path / "other", place.mqtt, place.desk_mqtt)
    first = seal(MessageKind.ALERT, Stamp(77, 1), numbered(0).body)

    def both_have(n: int) -> bool:
        return len(place.committed) == len(other.committed) == n

    with place.mailbox() as mailbox, running(place.desk, other.desk):
        drone = session(place.mqtt, name="drone-9")

        def reaches_both() -> bool:
            drone.publish(Message(up_topic("drone-9", MessageKind.ALERT), first))
            return both_have(1)

        wait_until(reaches_both, "both desks listen")
        drone.close()
        mailbox.put_all([numbered(n) for n in range(1, 50)])
        with running(place.uplink):
            wait_empty(mailbox)
            wait_until(lambda: both_have(50), "both desks have all")
    assert place.alert_revisions() == other.alert_revisions() == expected(50)


def test_what_a_desk_missed_waits_for_it_at_the_broker(tmp_path: Path) -> None:
    """A desk that comes back has its old session, with what was sent once while it was away."""
    with Mosquitto(tmp_path / "broker") as broker:
        place = Place(tmp_path, broker.config(), broker.config())
        with running(place.desk):
            drone_session(place.mqtt, "drone-9").close()
        drone = session(place.mqtt, name="drone")
        for seq in (1, 2, 3):
            payload = seal(MessageKind.ALERT, Stamp(77, seq), numbered(seq).body)
            drone.publish(Message(up_topic("drone-9", MessageKind.ALERT), payload))
            while not isinstance(drone.next_event(1.0), Published):
                pass
        drone.close()
        with running(place.desk):
            wait_until(lambda: len(place.committed) == 3, "all three are committed")


def test_a_desk_may_be_given_its_name_at_the_broker(tmp_path: Path) -> None:
    """The config's name wins: at the broker another client of that name and the desk contend."""
    with Mosquitto(tmp_path / "broker") as broker:
        named = broker.config(desk_client_id="centre-1")
        place = Place(tmp_path, broker.config(), named)
        with running(place.desk):
            drone_session(place.mqtt, "drone-9").close()
            taker = session(broker.config(), name="centre-1")
            drone = drone_session(place.mqtt, "drone-9")  # the desk is back: it pushes, too
            drone.close()
            wait_until(lambda: not taker.is_up, "the other of this name was pushed out")
            taker.close()


def test_a_killed_mosquitto_loses_nothing(tmp_path: Path) -> None:
    """SIGKILL of a broker that had acknowledged and not yet written: the drone sends again."""
    with Mosquitto(tmp_path / "broker") as broker:
        place = Place(tmp_path, broker.config(), broker.config())
        with place.mailbox() as mailbox, running(place.desk, place.uplink):
            for start in (0, 50):
                mailbox.put_all([numbered(n) for n in range(start, start + 50)])
                wait_until(lambda: len(place.committed) > start, "some are committed")  # noqa: B023
                broker.kill()
                broker.start()
            wait_empty(mailbox)
    assert place.alert_revisions() == expected(100)


def test_a_will_is_published_when_a_client_vanishes(tmp_path: Path) -> None:
    """The broker says for it that it is gone; after a polite end it does not."""
    with Mosquitto(tmp_path / "broker") as broker:
        watcher = session(broker.config(), "sw/#", name="watcher")
        vanishing = MqttSession(broker.config(), "drone", (), Will("sw/will", b"gone", delay_s=0))
        vanishing.start()
        wait_until(lambda: vanishing.is_up, "the client is up")
        vanishing.reconnect("the test cuts it off")
        assert next_incoming(watcher, "sw/will").payload == b"gone"
        wait_until(lambda: vanishing.is_up, "it is back by itself")
        vanishing.close(Message("sw/farewell", b"bye"))
        assert next_incoming(watcher, "sw/farewell").payload == b"bye"
        assert watcher.next_event(0.3) is None
        watcher.close()


def test_a_drone_that_comes_back_sends_nothing_that_the_desk_has(place: Place) -> None:
    """The desk answers its first status with all it has: no row of those goes out again."""
    with place.mailbox() as mailbox:
        mailbox.put_all([numbered(n) for n in range(40)])
        rows = mailbox.take_due(40, lambda _tries: 10**9)  # an uplink sent them, and died
        with running(place.desk):
            drone = drone_session(place.mqtt, place.drone_id)
            for row in rows[::2]:  # with gaps, which no `up_to` covers
                message = message_from_row(row, place.drone_id, mailbox.epoch)
                drone.publish(message)
            wait_until(lambda: len(place.committed) == 20, "half are committed")
            drone.close()
            watcher = session(place.mqtt, up_topic(place.drone_id, MessageKind.ALERT), name="w")
            with place.mailbox() as restarted, running(place.uplink):
                wait_empty(restarted)
            again = [open_envelope(m.payload).stamp.seq for m in all_incoming(watcher)]
            watcher.close()
    assert sorted(again) == sorted(row.seq for row in rows[1::2])
    assert place.alert_revisions() == expected(40)


def all_incoming(opened: MqttSession) -> list[Incoming]:
    """Take what has come."""
    found = []
    while (event := opened.next_event(0.3)) is not None:
        if isinstance(event, Incoming):
            opened.acknowledge(event)
            found.append(event)
    return found


def test_a_change_of_the_cell_is_not_a_lost_drone(tmp_path: Path) -> None:
    """A connection that breaks and comes back within the will's delay: nobody hears of it."""
    with Mosquitto(tmp_path / "broker") as broker:
        watcher = session(broker.config(), "sw/#", name="watcher")
        drone = MqttSession(broker.config(), "drone", (), Will("sw/will", b"gone", delay_s=5))
        drone.start()
        wait_until(lambda: drone.is_up, "the drone is up")
        drone.reconnect("the cell changes")
        wait_until(lambda: drone.connections == 2 and drone.is_up, "it is back by itself")
        assert all_incoming(watcher) == []
        drone.close()
        watcher.close()


def test_a_desk_that_is_away_is_not_waited_for_by_what_is_new(place: Place) -> None:
    """Nobody answers the status: what was never sent goes at once, the rest a little later."""
    with place.mailbox() as mailbox:
        mailbox.put(numbered(0))
        mailbox.take_due(1, lambda _tries: 10**9)  # sent before
        mailbox.put(numbered(1))
    watcher = session(place.mqtt, up_topic(place.drone_id, MessageKind.ALERT), name="w")
    with running(place.uplink):
        order: list[int] = []
        while 1 not in order:
            message = next_incoming(watcher, up_topic(place.drone_id, MessageKind.ALERT))
            order.append(open_envelope(message.payload).stamp.seq)
    watcher.close()
    assert order[0] == 2
