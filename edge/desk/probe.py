"""Asking a broker what this drone may do there: what `skywhistle check` says of it."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Final

from edge.config_delivery import MqttConfig
from edge.protocol.messages import MessageKind
from edge.protocol.mqtt import MqttSession
from edge.protocol.mqtt_events import Event, Linked, Message, Published, Unlinked
from edge.protocol.status import check_status_payload
from edge.protocol.topics import all_down, up_topic

_WAIT_S: Final = 12.0


@dataclass(frozen=True, slots=True)
class BrokerProbe:
    """What the broker grants.

    `may_subscribe` is the broker's SUBACK; some (mosquitto with an ACL file) grant every
    subscription and then deliver nothing.
    """

    connected: bool
    tls: bool
    may_publish: bool
    may_subscribe: bool
    error: str  # "" where all is well; else the first thing refused


def probe_broker(mqtt: MqttConfig, drone_id: str, wait_s: float = _WAIT_S) -> BrokerProbe:
    """Connect, publish a status that nobody heeds, subscribe to the way down, and leave.

    Raises:
        ConfigError: A credential file cannot be used.
        ProtocolError: A bad drone id.
    """
    client_id = f"sw-{drone_id}-check-{secrets.token_hex(4)}"
    session = MqttSession(mqtt, client_id, (), is_durable=False)
    topic = up_topic(drone_id, MessageKind.STATUS)
    session.start()
    try:
        event = _wait_for(session, wait_s, Linked, Unlinked)
        if not isinstance(event, Linked):
            reason = event.reason if isinstance(event, Unlinked) else "no answer"
            return BrokerProbe(False, mqtt.tls, False, False, _at(mqtt, reason))
        session.publish(Message(topic, check_status_payload(1)))
        answer = _wait_for(session, wait_s, Published, Unlinked)
    finally:
        session.close()
    may_publish = isinstance(answer, Published) and not answer.is_refused
    refused = "" if may_publish else f"publish to {topic}: {getattr(answer, 'reason', 'no answer')}"
    subscribe_error = _probe_subscription(mqtt, client_id, drone_id, wait_s)
    error = refused or subscribe_error
    return BrokerProbe(True, mqtt.tls, may_publish, not subscribe_error, error and _at(mqtt, error))


def _probe_subscription(mqtt: MqttConfig, client_id: str, drone_id: str, wait_s: float) -> str:
    session = MqttSession(mqtt, client_id, (all_down(drone_id),), is_durable=False)
    session.start()
    try:
        event = _wait_for(session, wait_s, Linked, Unlinked)
    finally:
        session.close()
    if isinstance(event, Linked):
        return ""
    return event.reason if isinstance(event, Unlinked) else "the subscription was not answered"


def _wait_for(session: MqttSession, wait_s: float, *kinds: type[Event]) -> Event | None:
    deadline = time.monotonic() + wait_s
    while (left_s := deadline - time.monotonic()) > 0:
        event = session.next_event(left_s)
        if isinstance(event, kinds):
            return event
    return None


def _at(mqtt: MqttConfig, reason: str) -> str:
    return f"{mqtt.host}:{mqtt.port}: {reason}"
