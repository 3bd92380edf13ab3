"""Sending a signed command to a drone, and waiting for its answer."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Final

from edge.config_delivery import MqttConfig
from edge.errors import BrokerError, ProtocolError
from edge.protocol.command import (
    NONCE_BYTES,
    Command,
    CommandResult,
    Verb,
    decode_result,
    encode_command,
)
from edge.protocol.messages import MessageKind, open_envelope
from edge.protocol.mqtt import MqttSession
from edge.protocol.mqtt_events import Incoming, Linked, Message, Published, Unlinked
from edge.protocol.signing import SigningKey
from edge.protocol.topics import command_topic, up_topic
from edge.records import UtcNs

_LINK_WAIT_S: Final = 12.0
_NOBODY_LISTENS: Final = 0x10  # reason code of MQTT 5: no matching subscribers


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked, before it is signed."""

    drone_id: str
    verb: Verb
    valid_s: int
    incident_id: bytes = b""
    case: str = ""

    def command(self, utc_ns: UtcNs) -> Command:
        """Make the command of it, issued now."""
        return Command(
            drone_id=self.drone_id,
            verb=self.verb,
            nonce=secrets.token_bytes(NONCE_BYTES),
            issued_utc_ms=utc_ns // 1_000_000,
            valid_s=self.valid_s,
            incident_id=self.incident_id,
            case=self.case,
        )


def send_order(
    mqtt: MqttConfig, command: Command, key: SigningKey, wait_s: float
) -> CommandResult | None:
    """Publish a command and wait for the drone's answer.

    The answer is heard beside the desk, which commits it as it does every message.

    Args:
        mqtt: The broker, as the desk reaches it.
        command: What is asked.
        key: That the drone knows.
        wait_s: For the answer; the command stays with the broker as long as it is valid.

    Returns:
        The answer; None: none has come yet.

    Raises:
        BrokerError: The broker is not there, or refuses the command.
    """
    topic = up_topic(command.drone_id, MessageKind.RESULT)
    client_id = f"sw-order-{command.nonce.hex()[:12]}"
    session = MqttSession(mqtt, client_id, (topic,), is_durable=False)
    session.start()
    payload = encode_command(command, key)
    message = Message(command_topic(command.drone_id), payload, expiry_s=command.valid_s)
    deadline = time.monotonic() + _LINK_WAIT_S
    is_sent = False
    try:
        while (left_s := deadline - time.monotonic()) > 0:
            event = session.next_event(left_s)
            if isinstance(event, Linked) and not is_sent:
                session.publish(message)
            elif isinstance(event, Unlinked):
                raise BrokerError(f"{mqtt.host}:{mqtt.port}: {event.reason}")
            elif isinstance(event, Published):
                if event.is_refused:
                    raise BrokerError(f"the broker refuses the command: {event.reason}")
                if event.code == _NOBODY_LISTENS:
                    raise BrokerError(
                        f"{command.drone_id} has never been at this broker, so nobody keeps the "
                        "command for it; is that its name?"
                    )
                is_sent, deadline = True, time.monotonic() + wait_s
            elif isinstance(event, Incoming):
                session.acknowledge(event)
                answer = _answer_in(event.payload)
                if answer is not None and answer.nonce == command.nonce:
                    return answer
    finally:
        session.close()
    if not is_sent:
        raise BrokerError(f"{mqtt.host}:{mqtt.port}: no answer within {_LINK_WAIT_S:.0f} s")
    return None


def _answer_in(payload: bytes) -> CommandResult | None:
    try:
        return decode_result(open_envelope(payload).body)
    except ProtocolError:
        return None
