"""The desk: takes what drones send, commits it, and only then acks it.

A batch is what is there, without waiting for more, so that an alert is committed within
milliseconds; whatever comes while one is written makes the next.  A message is acknowledged to
the broker and acked to the drone after the commit, so whoever dies in between, it comes again and
changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from edge.config_delivery import MqttConfig
from edge.desk.store import DeskStore, Receipt
from edge.desk.vouching import DeskKeys, vouched_for
from edge.errors import MailboxError, ProtocolError, SignatureError
from edge.protocol.ack import MAX_EXTRA, MAX_REJECTS, Ack, Reject
from edge.protocol.alert import decode_alert
from edge.protocol.loss import decode_loss
from edge.protocol.media import decode_media
from edge.protocol.messages import Envelope, MessageKind, Stamp, open_envelope, peek_stamp
from edge.protocol.mqtt import MqttSession
from edge.protocol.mqtt_events import Incoming, Linked, Message, Unlinked, Will
from edge.protocol.original import decode_part
from edge.protocol.signed_ack import seal_ack
from edge.protocol.status import StatusState, decode_status
from edge.protocol.text import alert_as_dict, utc_text
from edge.protocol.topics import (
    ALL_UP,
    CHANNEL_OF_KIND,
    DESK_ALERT,
    DESK_STATE,
    PUT_MONO_PROPERTY,
    ack_topic,
    parse_up,
)
from edge.records import Alert
from edge.report.rolelock import RoleLock

log = logging.getLogger(__name__)

BATCH_MAX: Final = 200
_RECEIVE_MAX: Final = 200
_STATE_EVERY_S: Final = 10.0
_RETRY_STORE_S: Final = 1.0
_ACK_EXPIRY_S: Final = 600  # an older one is of no use: the drone has sent again
_ALERT_EXPIRY_S: Final = 3600
_DAY_S: Final = 86_400.0

UtcClock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class CommittedAlert:
    """An alert that is on the desk's disk."""

    drone_id: str
    alert: Alert
    epoch: int
    seq: int
    received_utc_ns: int
    payload_bytes: int  # the whole MQTT payload
    is_replay: bool
    outbox_to_commit_s: float | None  # None: the uplink is on another computer


@dataclass(slots=True)
class _Batch:
    """What one transaction has done, to be told after its commit."""

    alerts: list[CommittedAlert] = field(default_factory=list)
    done: dict[tuple[str, int], list[int]] = field(default_factory=lambda: defaultdict(list))
    rejects: dict[tuple[str, int], list[Reject]] = field(default_factory=lambda: defaultdict(list))
    low: dict[tuple[str, int], int] = field(default_factory=dict)  # what the drone says is done
    up_to: dict[tuple[str, int], int] = field(default_factory=dict)
    # Drones that have just come back, and what is here of theirs beyond `up_to`.
    resumed: dict[tuple[str, int], list[int]] = field(default_factory=dict)


class Desk:
    """The receiver.

    Args:
        mqtt: The broker.
        store: Where everything is committed.
        on_commit: Called with each alert after its commit, in commit order, in the thread of
            `run`; what it raises ends `run`.
        utc_ns: The time, for receipts.
        keys: Of drones, who must sign then, and its own for acks.

    The broker keeps a session for it under `mqtt.desk_client_id`, else under the store's own name.
    """

    def __init__(
        self,
        mqtt: MqttConfig,
        store: DeskStore,
        on_commit: Callable[[CommittedAlert], None],
        utc_ns: UtcClock,
        keys: DeskKeys | None = None,
    ) -> None:
        self._keys = keys or DeskKeys()
        self._store = store
        self._on_commit = on_commit
        self._utc_ns = utc_ns
        offline = json.dumps({"state": "offline"}).encode()
        self._offline = Message(DESK_STATE, offline, is_retained=True)
        self._session = MqttSession(
            mqtt,
            session_name(mqtt, store),
            (ALL_UP,),
            Will(DESK_STATE, offline),
            receive_max=_RECEIVE_MAX,
        )
        self._pending: list[Incoming] = []
        self._is_up: bool | None = None
        self.committed = 0
        self.duplicates = 0
        self.refused = 0

    def run(self, stop: threading.Event) -> None:
        """Receive until stopped."""
        self._session.start()
        next_state = 0.0
        try:
            while not stop.is_set():
                self._gather(0.1)
                if self._pending and not self._commit_pending():
                    stop.wait(_RETRY_STORE_S)
                if time.monotonic() >= next_state and self._session.is_up:
                    self._say_state()
                    next_state = time.monotonic() + _STATE_EVERY_S
        finally:
            self._session.close(self._offline)

    # --- taking -----------------------------------------------------------------------------------

    def _gather(self, wait_s: float) -> None:
        """Wait for a first message, then take what else is there."""
        deadline = time.monotonic() + wait_s
        while len(self._pending) < BATCH_MAX:
            event = self._session.next_event(deadline - time.monotonic())
            if event is None:
                return
            if isinstance(event, Incoming):
                deadline = time.monotonic()
                self._pending.append(event)
            elif isinstance(event, (Linked, Unlinked)):
                self._link_changed(event)

    def _link_changed(self, event: Linked | Unlinked) -> None:
        is_up = isinstance(event, Linked)
        if is_up != self._is_up:
            reason = event.reason if isinstance(event, Unlinked) else ""
            log.info("desk_link_changed up=%s reason=%s", is_up, reason)
        self._is_up = is_up
        if is_up:
            self._say_state()

    def _commit_pending(self) -> bool:
        """Commit, then tell.  False if the disk refuses: everything is kept and tried again."""
        batch = _Batch()
        counted = (self.duplicates, self.refused)
        try:
            with self._store.transaction():
                for incoming in self._pending:
                    self._take(incoming, batch)
                for key in {*batch.done, *batch.rejects, *batch.low}:
                    up_to = self._store.raise_watermark(*key, at_least=batch.low.get(key, 0))
                    batch.up_to[key] = up_to
                    if key in batch.resumed:
                        batch.resumed[key] = self._store.newest_above(*key, up_to, MAX_EXTRA)
        except MailboxError as error:
            self.duplicates, self.refused = counted
            log.error("desk_cannot_commit waiting=%d error=%s", len(self._pending), error)
            return False
        for incoming in self._pending:
            self._session.acknowledge(incoming)
        self._pending.clear()
        self._tell(batch)
        return True

    def _take(self, incoming: Incoming, batch: _Batch) -> None:
        drone_id, signed = None, None
        try:
            topic = parse_up(incoming.topic)
            drone_id = topic.drone_id
            envelope = open_envelope(incoming.payload)
            if CHANNEL_OF_KIND[envelope.kind] != topic.channel:
                raise ProtocolError(f"{envelope.kind.name.lower()} on channel {topic.channel}")
            receipt = Receipt(drone_id, self._utc_ns())
            said = vouched_for(drone_id, envelope, self._keys.drones)
            if said is not None and envelope.voucher is not None:
                is_proved = drone_id in self._keys.drones
                self._store.store_voucher(drone_id, said, envelope.voucher, is_proved=is_proved)
                signed = receipt, envelope
            self._take_kind(incoming, receipt, envelope, batch)
        except SignatureError as error:
            # Not told to the drone: who forges in its name must not make it throw away its own
            # message of that number, and what came too early for the key comes again.
            self._refuse(incoming, None, str(error), batch)
        except (ProtocolError, ValueError) as error:  # ValueError: a noun that refuses nonsense
            self._refuse(incoming, drone_id, str(error), batch)
            if signed is not None and signed[1].stamp.seq:  # kept as it came, for who verifies
                self._store.store_message(*signed, signed[1].body)

    def _refuse(self, incoming: Incoming, drone_id: str | None, reason: str, batch: _Batch) -> None:
        self.refused += 1
        log.warning("desk_refused topic=%s reason=%s", incoming.topic, reason)
        self._store.store_refused(incoming.topic, reason, incoming.payload, self._utc_ns())
        stamp = peek_stamp(incoming.payload)
        if drone_id is not None and stamp is not None and stamp.seq > 0:
            batch.rejects[drone_id, stamp.epoch].append(Reject(stamp.seq, reason))

    def _take_kind(
        self, incoming: Incoming, receipt: Receipt, envelope: Envelope, batch: _Batch
    ) -> None:
        stamp, kind = envelope.stamp, envelope.kind
        key = (receipt.drone_id, stamp.epoch)
        if kind is MessageKind.STATUS:
            status = decode_status(envelope.body, stamp.epoch)
            if status.state is not StatusState.CHECK:
                self._store.store_status(receipt, status, envelope.body)
            if status.state is StatusState.ONLINE:
                batch.low[key] = max(0, status.low_seq - 1)
                if status.is_resume:
                    batch.resumed[key] = []
            return
        if stamp.seq == 0:
            raise ProtocolError(f"{kind.name.lower()} without a seq")
        is_in_place = False
        if kind is MessageKind.ALERT:
            is_in_place = self._take_alert(incoming, receipt, envelope, batch)
        elif kind is MessageKind.MEDIA:
            self._take_media(receipt, envelope)
        elif kind is MessageKind.ORIGINAL:
            decode_part(envelope.body)  # kept as it came
        elif kind is MessageKind.LOSS:
            self._store.store_loss(receipt, envelope, decode_loss(envelope.body))
        body = None if is_in_place else envelope.body
        if kind is MessageKind.MEDIA:
            body = decode_media(envelope.body).evidence_hash  # the picture has a row of its own
        self.duplicates += not self._store.store_message(receipt, envelope, body)
        batch.done[key].append(stamp.seq)

    def _take_alert(
        self, incoming: Incoming, receipt: Receipt, envelope: Envelope, batch: _Batch
    ) -> bool:
        """Store an alert; False where its row holds another word on the same revision."""
        alert = decode_alert(envelope.body)
        if envelope.is_replay:
            alert = replace(alert, flags=replace(alert.flags, replay=True))
        if not self._store.store_alert(receipt, envelope, alert):
            return False
        batch.alerts.append(
            CommittedAlert(
                drone_id=receipt.drone_id,
                alert=alert,
                epoch=envelope.stamp.epoch,
                seq=envelope.stamp.seq,
                received_utc_ns=receipt.received_utc_ns,
                payload_bytes=len(incoming.payload),
                is_replay=envelope.is_replay,
                outbox_to_commit_s=_put_mono_s(incoming),
            )
        )
        return True

    def _take_media(self, receipt: Receipt, envelope: Envelope) -> None:
        media = decode_media(envelope.body)
        if hashlib.sha256(media.image_webp).digest()[:8] != media.evidence_hash:
            raise ProtocolError("image: its SHA-256 is not the evidence hash")
        self._store.store_media(receipt, media)

    # --- telling ----------------------------------------------------------------------------------

    def _tell(self, batch: _Batch) -> None:
        for (drone_id, epoch), known in batch.resumed.items():
            up_to = batch.up_to[drone_id, epoch]
            self._say_ack(drone_id, Ack(epoch, up_to, tuple(known), is_resume=True))
        for (drone_id, epoch), up_to in batch.up_to.items():
            done = batch.done.get((drone_id, epoch), [])
            rejects = batch.rejects.get((drone_id, epoch), [])
            for ack in split_ack(Stamp(epoch, up_to), done, rejects):
                self._say_ack(drone_id, ack)
        now_mono_s = time.monotonic()
        for told in batch.alerts:
            put_s = told.outbox_to_commit_s  # so far the instant of the put
            took_s = None if put_s is None else now_mono_s - put_s
            is_same_clock = took_s is not None and 0.0 <= took_s < _DAY_S
            committed = replace(told, outbox_to_commit_s=took_s if is_same_clock else None)
            self.committed += 1
            payload = json.dumps(committed_as_dict(committed), ensure_ascii=False).encode()
            self._session.publish(Message(DESK_ALERT, payload, expiry_s=_ALERT_EXPIRY_S))
            self._on_commit(committed)

    def _say_ack(self, drone_id: str, ack: Ack) -> None:
        payload = seal_ack(ack, drone_id, self._keys.ack)
        self._session.publish(Message(ack_topic(drone_id), payload, expiry_s=_ACK_EXPIRY_S))

    def _say_state(self) -> None:
        state = {
            "state": "online",
            "utc": utc_text(self._utc_ns()),
            "committed": self.committed,
            "duplicates": self.duplicates,
            "refused": self.refused,
        }
        self._session.publish(Message(DESK_STATE, json.dumps(state).encode(), is_retained=True))


def session_name(mqtt: MqttConfig, store: DeskStore) -> str:
    """Return the name under which the broker keeps a desk's session: one desk, one name."""
    return mqtt.desk_client_id or store.client_id()


def split_ack(stamp: Stamp, done: list[int], rejects: list[Reject]) -> list[Ack]:
    """Make as many acks as the bounds of one need; `stamp.seq` is `up_to`."""
    extra = sorted({seq for seq in done if seq > stamp.seq})
    acks = []
    while True:
        acks.append(
            Ack(stamp.epoch, stamp.seq, tuple(extra[:MAX_EXTRA]), tuple(rejects[:MAX_REJECTS]))
        )
        extra, rejects = extra[MAX_EXTRA:], rejects[MAX_REJECTS:]
        if not extra and not rejects:
            return acks


def committed_as_dict(committed: CommittedAlert) -> dict[str, object]:
    """Lay a committed alert out for JSON: the alert's fields, and where it came from."""
    return {
        "drone": committed.drone_id,
        "received_utc": utc_text(committed.received_utc_ns),
        **alert_as_dict(committed.alert),
    }


def run_desk(
    mqtt: MqttConfig,
    db_path: Path,
    on_commit: Callable[[CommittedAlert], None],
    stop: threading.Event,
    utc_ns: UtcClock,
    *,
    keys: DeskKeys | None = None,
) -> None:
    """Run a desk until stopped.

    Raises:
        MailboxError: The file cannot be opened.
        RoleTakenError: Another desk commits to it.
        ConfigError: A credential file cannot be used.
    """
    with RoleLock(db_path, "desk"), DeskStore(db_path) as store:
        log.info(
            "desk_started database=%s alerts=%d broker=%s:%d session=%s",
            db_path,
            store.counts()["alert"],
            mqtt.host,
            mqtt.port,
            session_name(mqtt, store),
        )
        Desk(mqtt, store, on_commit, utc_ns, keys).run(stop)


def _put_mono_s(incoming: Incoming) -> float | None:
    """Read the instant of the put, where an uplink on this computer sent it along."""
    for name, value in incoming.user_properties:
        if name == PUT_MONO_PROPERTY and value.isascii() and value.isdigit():
            return int(value[:20]) / 1e9
    return None
