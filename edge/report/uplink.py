"""The uplink: drains the outbox over MQTT 5 until the desk has acked each row.

Order: by severity, then newest first, pictures last and one at a time.  A row leaves only on the
desk's ack of its (epoch, seq), never on the broker's PUBACK.  A row not yet due does not hold up
the others: one that is refused or lost on the way waits out its own back-off.  On coming back the
desk is asked what it has; until it answers, or for a while, only what was never sent goes out.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from edge.config import PatrolConfig
from edge.errors import MailboxError, MailboxFullError, ProtocolError
from edge.protocol.command import Command, Gate, Refusal
from edge.protocol.messages import MessageKind
from edge.protocol.mqtt import MqttSession
from edge.protocol.mqtt_events import Event, Incoming, Linked, Message, Published, Unlinked, Will
from edge.protocol.signed_ack import open_ack
from edge.protocol.signing import read_public_keys, read_signing_key
from edge.protocol.status import Status, StatusState, encode_status
from edge.protocol.topics import ack_topic, all_down, command_topic, up_topic
from edge.records import UtcNs
from edge.report.backoff import resend_backoff
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from edge.report.outbox import OutboxRow
from edge.report.rolelock import RoleLock
from edge.report.status import UplinkHealth, compose_status, uplink_health_bytes
from edge.report.wire import EvidenceGoneError, check_packet_size, message_from_row
from edge.watchdog import Watchdog

log = logging.getLogger(__name__)

_POLL_S: Final = 0.01  # how soon a row put by `flight` is noticed
_POLL_DOWN_S: Final = 0.2
_TRIM_EVERY_S: Final = 60.0  # a look at every picture's size
_LOOK_EVERY_S: Final = 0.25  # for rows whose back-off has ended
_STALL_S: Final = 15.0  # no PUBACK for so long: the slot is lost, start anew
_STORE_RETRY_S: Final = 1.0
# After coming back, what was sent before waits so long for the desk to say what it has.
_RESUME_WAIT_S: Final = 3.0
_FLIGHT_SILENT_S: Final = 15.0  # at least; three status intervals if that is more
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
# MQTT 5 reason codes of a PUBACK that will be the same next time.
_PAYLOAD_REFUSED: Final = frozenset({0x95, 0x99})  # packet too large, payload format invalid


class Uplink:
    """One drone's sender.

    Args:
        config: The drone's id, broker, mailbox, status interval.
        mailbox: Open; this process must hold the role `uplink`.
        clocks: The mailbox's clocks.
        watchdog: Hears of each turn that was not held up.

    Raises:
        ConfigError: A credential file cannot be used.
    """

    def __init__(
        self,
        config: PatrolConfig,
        mailbox: Mailbox,
        clocks: Clocks,
        watchdog: Watchdog | None = None,
    ) -> None:
        self._config = config
        self._watchdog = watchdog or Watchdog()
        self._mailbox = mailbox
        self._clocks = clocks
        self._drone_id = config.drone_id
        self._status_topic = up_topic(config.drone_id, MessageKind.STATUS)
        self._backoff_ns = resend_backoff(config.mqtt.resend_after_s, config.mqtt.resend_max_s)
        self._tell_put_time = config.mqtt.host in _LOOPBACK
        will = encode_status(Status(StatusState.OFFLINE, mailbox.epoch))
        self._session = MqttSession(
            config.mqtt,
            f"sw-{config.drone_id}",
            (all_down(config.drone_id),),
            Will(self._status_topic, will),
        )
        self._in_flight: dict[int, int] = {}  # seq: until when its ack is expected
        self._waiting_puback: dict[tuple[int, int], int] = {}  # token: seq
        self._last_puback_mono_s = time.monotonic()
        self._max_packet_bytes: int | None = None
        keys = read_public_keys(config.commands.keys, "commands.keys")
        self._gate = Gate(config.drone_id, keys)
        self._ack_keys = read_public_keys(config.acks.keys, "acks.keys")
        self._commands_taken, self._commands_refused = 0, Counter[Refusal]()
        self._not_stored: list[Incoming] = []  # commands; the broker sends at most 100 unacked
        self._next_look = self._next_status = self._next_trim = 0.0
        self._resume_until_s = 0.0  # the desk is being asked what it has
        self._tell_resume = False
        self._reason = "not connected yet"
        self._sent = self._puback_refused = self._acks = self._acks_refused = self._stalls = 0

    def run(self, stop: threading.Event) -> None:
        """Deliver until stopped.

        Raises:
            MailboxError: The mailbox was moved aside; open it anew.
        """
        self._session.start()
        try:
            while not stop.is_set():
                self._watchdog.alive()
                try:
                    self._turn()
                except MailboxError as error:  # locked, or the disk fails: nothing is lost
                    if not self._mailbox.is_current():
                        raise
                    self._note(f"mailbox: {error}")
                    stop.wait(_STORE_RETRY_S)
        finally:
            offline = Status(StatusState.OFFLINE, self._mailbox.epoch)
            self._session.close(Message(self._status_topic, self._encoded(offline), True))
            log.info(
                "uplink_ended sent=%d acks=%d acks_refused=%d puback_refused=%d stalls=%d "
                "connections=%d events_dropped=%d commands_taken=%d commands_refused=%d",
                self._sent,
                self._acks,
                self._acks_refused,
                self._puback_refused,
                self._stalls,
                self._session.connections,
                self._session.events_dropped,
                self._commands_taken,
                self._commands_refused.total(),
            )

    def health(self) -> UplinkHealth:
        """Say how it goes."""
        return UplinkHealth(
            is_up=self._session.is_up,
            reason=self._reason,
            connections=self._session.connections,
            sent=self._sent,
            puback_refused=self._puback_refused,
            acks=self._acks,
            acks_refused=self._acks_refused,
            commands_taken=self._commands_taken,
            commands_refused={why.value: n for why, n in self._commands_refused.items()},
            stalls=self._stalls,
            in_flight=len(self._in_flight),
            events_dropped=self._session.events_dropped,
            publishes_refused=self._session.publishes_refused,
            queue=self._mailbox.queue_state(),
        )

    # --- one turn ---------------------------------------------------------------------------------

    def _turn(self) -> None:
        event = self._session.next_event(_POLL_S if self._session.is_up else _POLL_DOWN_S)
        while event is not None:
            self._handle(event)
            event = self._session.next_event(0.0)
        now_s = time.monotonic()
        if self._session.is_up and (self._mailbox.changed() or now_s >= self._next_look):
            self._next_look = now_s + _LOOK_EVERY_S
            self._send_due()
        self._watch_for_stall(now_s)
        if now_s >= self._next_status:
            self._next_status = now_s + self._config.status.interval_s
            self._say_status()

    def _handle(self, event: Event) -> None:
        if isinstance(event, Linked):
            self._max_packet_bytes = event.max_packet_bytes
            log.info("uplink_up queued=%d", self._mailbox.queue_state().queued)
            self._reason = ""
            self._next_look = self._next_status = 0.0
            self._tell_resume = True
            self._resume_until_s = time.monotonic() + _RESUME_WAIT_S
        elif isinstance(event, Unlinked):
            self._note(event.reason)
            self._connection_lost()
        elif isinstance(event, Published):
            self._published(event)
        else:
            self._arrived(event)

    def _note(self, reason: str) -> None:
        """Log a reason once, not each time it repeats."""
        if reason != self._reason:
            log.warning("uplink_troubled reason=%s", reason)
        self._reason = reason

    # --- out --------------------------------------------------------------------------------------

    def _send_due(self) -> None:
        now_ns = self._clocks.mono_ns()
        self._in_flight = {s: until for s, until in self._in_flight.items() if until > now_ns}
        # Also what the broker has not taken yet: on a slow link it would pile up in memory.
        busy = {*self._in_flight, *self._waiting_puback.values()}
        room = self._config.mqtt.in_flight - len(busy)
        with_media = not busy  # one at a time, and not while an alert may be lost
        is_resuming = time.monotonic() < self._resume_until_s
        rows = self._mailbox.take_due(room, self._backoff_ns, with_media, is_resuming)
        for row in rows:
            self._send(row)
        if 0 < room == len(rows):
            self._next_look = 0.0  # there may be more

    def _send(self, row: OutboxRow) -> None:
        try:
            message = message_from_row(
                row, self._drone_id, self._mailbox.epoch, tell_put_time=self._tell_put_time
            )
            check_packet_size(message, self._max_packet_bytes)
        except EvidenceGoneError as error:
            log.info("evidence_gone seq=%d reason=%s", row.seq, error)
            self._dead_letter(row.seq, str(error))
            return
        except (ProtocolError, ValueError) as error:
            self._dead_letter(row.seq, f"not sendable: {error}")
            return
        token = self._session.publish(message)
        if token is None:
            self._mailbox.make_due([row.seq])
            return
        if not self._waiting_puback:
            self._last_puback_mono_s = time.monotonic()
        self._sent += 1
        until_mono_ns = self._clocks.mono_ns() + int(self._config.mqtt.resend_after_s * 1e9)
        self._in_flight[row.seq] = until_mono_ns
        self._waiting_puback[token] = row.seq

    def _published(self, event: Published) -> None:
        self._last_puback_mono_s = time.monotonic()
        seq = self._waiting_puback.pop(event.token, None)
        if not event.is_refused:
            return
        self._puback_refused += 1
        self._note(f"the broker refuses a publish: {event.reason}")
        if seq is None:
            return
        self._in_flight.pop(seq, None)
        if event.code in _PAYLOAD_REFUSED:
            self._dead_letter(seq, f"broker: {event.reason}")

    def _dead_letter(self, seq: int, reason: str) -> None:
        """Take a row out of the queue; on a full disk it waits, and is met again."""
        try:
            self._mailbox.dead_letter(seq, reason)
        except MailboxFullError as error:
            self._note(f"mailbox: {error}")

    def _connection_lost(self) -> None:
        """Send anew what the broker has not even taken; the rest waits for the desk's ack."""
        self._mailbox.make_due(list(self._waiting_puback.values()))
        for seq in self._waiting_puback.values():
            self._in_flight.pop(seq, None)
        self._waiting_puback.clear()
        self._not_stored.clear()  # they come again

    def _watch_for_stall(self, now_s: float) -> None:
        if self._waiting_puback and now_s - self._last_puback_mono_s > _STALL_S:
            self._stalls += 1
            self._last_puback_mono_s = now_s
            self._session.reconnect(f"no PUBACK for {_STALL_S:.0f} s")

    # --- in ---------------------------------------------------------------------------------------

    def _arrived(self, incoming: Incoming) -> None:
        if incoming.topic == ack_topic(self._drone_id):
            # First: were the disk full, acks that the broker waits for would use up its quota, and
            # none would come any more.  One that is lost comes again with the next resend.
            self._session.acknowledge(incoming)
            self._take_ack(incoming.payload)
            return
        self._take_command(incoming)

    def _take_command(self, incoming: Incoming) -> None:
        verdict: Command | Refusal = Refusal.MALFORMED  # of a channel that is none
        try:
            if incoming.topic == command_topic(self._drone_id):
                verdict = self._mailbox.take_command(self._gate, incoming.payload)
        except MailboxError as error:  # full, or locked: the broker keeps it until then
            self._note(f"mailbox: {error}")
            self._not_stored.append(incoming)
            return
        if isinstance(verdict, Refusal):
            self._commands_refused[verdict] += 1
            self._note(f"a command was refused: {verdict.value}")
        else:
            self._commands_taken += 1
            log.info("command_taken verb=%s nonce=%s", verdict.verb.name, verdict.nonce.hex())
        self._session.acknowledge(incoming)

    def _take_ack(self, payload: bytes) -> None:
        try:
            ack = open_ack(payload, self._drone_id, self._ack_keys)
        except ProtocolError as error:
            self._acks_refused += 1
            self._note(f"ack: {error}")
            return
        if ack.epoch != self._mailbox.epoch:
            self._acks_refused += 1
            return
        self._acks += 1
        self._mailbox.acked(ack)
        if ack.is_resume:
            self._resume_until_s = 0.0
        gone = {*ack.extra, *(reject.seq for reject in ack.reject)}
        self._in_flight = {
            seq: until
            for seq, until in self._in_flight.items()
            if seq > ack.up_to and seq not in gone
        }
        self._next_look = 0.0

    # --- about itself -----------------------------------------------------------------------------

    def _encoded(self, status: Status) -> bytes:
        """Encode a status, signed where this drone signs."""
        chain = self._mailbox.chain
        return encode_status(status, None if chain is None else chain.vouch_for_status)

    def _say_status(self) -> None:
        if not self._mailbox.is_current():
            raise MailboxError(f"{self._config.mailbox.path} was moved aside; opening it anew")
        with contextlib.suppress(MailboxFullError):  # the desk must hear of the drone all the same
            self._mailbox.keep_ballast()
            self._mailbox.expire()
            if time.monotonic() >= self._next_trim:
                self._next_trim = time.monotonic() + _TRIM_EVERY_S
                self._mailbox.trim_pictures()
        waiting, self._not_stored = self._not_stored, []
        for incoming in waiting:
            self._take_command(incoming)
        silent_s = max(_FLIGHT_SILENT_S, 3 * self._config.status.interval_s)
        status = compose_status(
            StatusState.ONLINE,
            self._mailbox,
            self._clocks.utc_ns(),
            self._mailbox.flight_status(silent_s),
            self._session,
            is_resume=self._tell_resume,
        )
        status = replace(status, commands_refused=self._commands_refused.total())
        message = Message(self._status_topic, self._encoded(status), True)
        if self._session.publish(message) is not None:
            self._tell_resume = False
        with contextlib.suppress(MailboxFullError):
            self._mailbox.set_uplink_health(uplink_health_bytes(self.health()))


def run_uplink(
    config: PatrolConfig,
    stop: threading.Event,
    utc_ns: Callable[[], UtcNs | None],
    watchdog: Watchdog | None = None,
) -> None:
    """Hold the role `uplink` on the mailbox and deliver until stopped.

    Raises:
        RoleTakenError: Another uplink works on this mailbox.
        MailboxError: The mailbox cannot be opened.
        ConfigError: A credential file cannot be used.
    """
    clocks = Clocks(utc_ns=utc_ns)
    pictures = config.evidence.folder if config.evidence.enabled else None
    key_file = config.signing.key_file
    key = None if key_file is None else read_signing_key(key_file, "signing.key_file")
    with RoleLock(config.mailbox.path, "uplink"):
        while not stop.is_set():
            with Mailbox(config.mailbox, clocks, pictures, key) as mailbox:
                try:
                    Uplink(config, mailbox, clocks, watchdog).run(stop)
                except MailboxError as error:
                    if mailbox.is_current():
                        raise
                    log.warning("mailbox_replaced reason=%s", error)
