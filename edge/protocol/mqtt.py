"""One durable MQTT 5 session, for the uplink and for the desk: the only place that knows paho.

What paho leaves undone is done here.  A new client for each connection, so that nothing queued in
its memory is sent behind our back; back-off with jitter; reason codes checked; callbacks that
only put into a queue and so cannot end the network thread; messages acknowledged by hand, after
they are on the disk.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import random
import socket
import threading
import time
from collections.abc import Sequence
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.config_delivery import MqttConfig
from edge.protocol.credentials import read_password, tls_context
from edge.protocol.mqtt_events import (
    Event,
    Incoming,
    Linked,
    Message,
    Published,
    Unlinked,
    Will,
)
from edge.protocol.mqtt_reasons import CONNECTION_LOST, why_not_answered, why_not_reached

log = logging.getLogger(__name__)

_FIRST_WAIT_S: Final = 0.25
_LONGEST_WAIT_S: Final = 30.0
_CONNACK_WAIT_S: Final = 10.0
_FAILURE: Final = 0x80  # reason codes from here on refuse
_UNSPECIFIED: Final = 0x80
_QUEUE_MAX: Final = 10_000  # events not yet taken; one more is dropped and counted
_OUTGOING_MAX: Final = 2_000  # messages that the broker has not taken; one more is refused, counted
_PACKET_MAX_BYTES: Final = 64 << 10  # of what the broker may send us: no message is a fourth of it
# A connection that broke before was none: a link that flaps is met with growing waits, too.
_HELD_S: Final = 10.0
_CLOSE_WAIT_S: Final = 2.0


class MqttSession:
    """Keep one session alive for ever, in threads of its own.

    Args:
        config: Broker, credentials, keep-alive and session expiry.
        client_id: Names the session at the broker; two of the same name push each other out.
        subscriptions: Topic filters, QoS 1.
        will: Published by the broker, retained, when we vanish.
        receive_max: Messages that the broker may send ahead of our acknowledgements.
        is_durable: Whether the broker keeps the session, and what it could not deliver, meanwhile.

    Raises:
        ConfigError: A credential file is missing, not readable, or readable by others.
    """

    def __init__(
        self,
        config: MqttConfig,
        client_id: str,
        subscriptions: Sequence[str],
        will: Will | None = None,
        *,
        receive_max: int = 100,
        is_durable: bool = True,
    ) -> None:
        self._config = config
        self._client_id = client_id
        self._subscriptions = tuple(subscriptions)
        self._will = will
        self._receive_max = receive_max
        self._is_durable = is_durable
        self._password = read_password(config)
        self._tls = tls_context(config)
        self._events: queue.Queue[Event] = queue.Queue(_QUEUE_MAX)
        self._closing = threading.Event()
        self._ended = threading.Event()
        self._client: Client | None = None
        self._generation = 0
        self._end_reason = ""
        self._max_packet_bytes: int | None = None
        self._thread = threading.Thread(target=self._keep, name=f"mqtt-{client_id}", daemon=True)
        self.is_up = False
        self.connections = 0
        self.events_dropped = 0
        self.publishes_refused = 0  # for want of room or of a connection; whoever asked tries again

    def start(self) -> None:
        """Begin to connect; `next_event` tells how it goes."""
        self._thread.start()

    def next_event(self, timeout_s: float) -> Event | None:
        """Wait for what happens next; None after the timeout."""
        try:
            return self._events.get(timeout=timeout_s) if timeout_s > 0 else self._events.get(False)
        except queue.Empty:
            return None

    def publish(self, message: Message) -> tuple[int, int] | None:
        """Send with QoS 1.

        Returns:
            The token that `Published` will carry; None if there is no connection: nothing was
            queued, the caller tries again after `Linked`.
        """
        client, generation = self._client, self._generation
        if client is None or not self.is_up:
            return None
        properties = _properties(PacketTypes.PUBLISH)
        if message.expiry_s is not None:
            properties.MessageExpiryInterval = message.expiry_s
        if message.user_properties:
            properties.UserProperty = list(message.user_properties)
        try:
            info = client.publish(
                message.topic, message.payload, 1, message.is_retained, properties=properties
            )
        except (ValueError, OSError) as error:  # a full queue or a dying socket
            log.warning("publish_failed topic=%s error=%s", message.topic, error)
            self.publishes_refused += 1
            return None
        # NO_CONN with QoS 1 has queued it in this client, which is thrown away at the reconnect.
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self.publishes_refused += 1
            return None
        return (generation, info.mid)

    def acknowledge(self, incoming: Incoming) -> None:
        """Tell the broker that a message is safe here; one of an old connection comes again."""
        client = self._client
        if client is not None and incoming.token[0] == self._generation and incoming.qos > 0:
            client.ack(incoming.token[1], incoming.qos)

    def reconnect(self, reason: str) -> None:
        """Give this connection up: it is up, but does not answer."""
        log.warning("connection_given_up client=%s reason=%s", self._client_id, reason)
        self._end(self._generation, reason)

    def close(self, farewell: Message | None = None) -> None:
        """Say farewell, disconnect (no will is sent then) and end the threads."""
        client = self._client
        if client is not None and self.is_up and farewell is not None:
            with contextlib.suppress(ValueError, RuntimeError, OSError):
                client.publish(
                    farewell.topic, farewell.payload, 1, farewell.is_retained
                ).wait_for_publish(_CLOSE_WAIT_S)
        self._closing.set()
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_WAIT_S + _CONNACK_WAIT_S)

    # --- the keeper's thread ----------------------------------------------------------------------

    def _keep(self) -> None:
        failures = 0
        while not self._closing.is_set():
            began_s = time.monotonic()
            has_held = self._connect_once() and time.monotonic() - began_s > _HELD_S
            failures = 0 if has_held else failures + 1
            wait_s = min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2.0 ** min(failures, 10))
            self._closing.wait(wait_s * random.uniform(0.5, 1.5))

    def _connect_once(self) -> bool:
        """Live through one connection; returns whether it ever was up."""
        self._generation += 1
        self._ended.clear()
        if self._closing.is_set():  # between the keeper's look at it and the line above
            return False
        client = self._new_client(self._generation)
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = self._config.session_expiry_s if self._is_durable else 0
        properties.ReceiveMaximum = self._receive_max
        properties.MaximumPacketSize = _PACKET_MAX_BYTES
        connections = self.connections
        try:
            client.connect(
                self._config.host,
                self._config.port,
                self._config.keepalive_s,
                clean_start=not self._is_durable,
                properties=properties,
            )
            self._client = client
            client.loop_start()
            self._wait_for_end(connections)
        except (OSError, ValueError) as error:  # ssl errors are OSErrors
            self._end_reason = why_not_reached(error, self._config)
        finally:
            self._teardown(client)
        if not self._closing.is_set():
            reason = self._end_reason or CONNECTION_LOST
            if reason == CONNECTION_LOST and self.connections == connections:
                reason = why_not_answered(self._config)
            self._put(Unlinked(reason))
        return self.connections > connections

    def _wait_for_end(self, connections: int) -> None:
        if not self._ended.wait(_CONNACK_WAIT_S) and self.connections == connections:
            self._end_reason = "the broker does not answer"
            return
        self._ended.wait()

    def _teardown(self, client: Client) -> None:
        self.is_up = False
        self._client = None
        if self._closing.is_set():
            with contextlib.suppress(OSError, ValueError):
                client.disconnect()
        else:
            sock: Any = client.socket()
            if sock is not None:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)  # no DISCONNECT: session and will stay
        client.loop_stop()

    def _new_client(self, generation: int) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        if self._config.username is not None:
            client.username_pw_set(self._config.username, self._password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if self._will is not None:
            properties = _properties(PacketTypes.WILLMESSAGE)
            properties.WillDelayInterval = self._will.delay_s
            client.will_set(self._will.topic, self._will.payload, 1, True, properties)
        client.max_inflight_messages_set(self._config.in_flight + 10)  # status, acks, will
        client.max_queued_messages_set(_OUTGOING_MAX)
        _Callbacks(self, generation).attach(client)
        return client

    def _end(self, generation: int, reason: str) -> None:
        if generation == self._generation and not self._ended.is_set():
            self._end_reason = reason
            self.is_up = False
            self._ended.set()

    def _put(self, event: Event) -> None:
        try:
            self._events.put_nowait(event)
        except queue.Full:
            self.events_dropped += 1


class _Callbacks:
    """What paho calls, in its network thread.  None of them may raise: that would end it."""

    def __init__(self, session: MqttSession, generation: int) -> None:
        self._session = session
        self._generation = generation

    def attach(self, client: Client) -> None:
        client.on_socket_open = self.opened
        client.on_connect = self.connected
        client.on_disconnect = self.disconnected
        client.on_subscribe = self.subscribed
        client.on_publish = self.published
        client.on_message = self.arrived

    def opened(self, _client: Client, _data: Any, sock: Any) -> None:
        with contextlib.suppress(OSError, AttributeError):  # small messages must not wait
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connected(
        self, client: Client, _data: Any, _flags: Any, code: ReasonCode, properties: Any
    ) -> None:
        if code.value >= _FAILURE:
            self._session._end(self._generation, f"the broker refuses us: {code}")
            return
        limit = getattr(properties, "MaximumPacketSize", None)
        self._session._max_packet_bytes = limit
        filters = [(name, SubscribeOptions(qos=1)) for name in self._session._subscriptions]
        if filters:
            client.subscribe(filters)
        else:
            self._linked()

    def subscribed(
        self, _client: Client, _data: Any, _mid: int, codes: list[ReasonCode], _properties: Any
    ) -> None:
        for name, code in zip(self._session._subscriptions, codes, strict=False):
            if code.value >= _FAILURE:
                reason = f"the broker refuses the subscription to {name}: {code}"
                self._session._end(self._generation, reason)
                return
        self._linked()

    def _linked(self) -> None:
        if self._generation == self._session._generation:
            self._session.connections += 1
            self._session.is_up = True
            self._session._put(Linked(self._session._max_packet_bytes))

    def disconnected(
        self, _client: Client, _data: Any, _flags: Any, code: ReasonCode, _properties: Any
    ) -> None:
        # 0x80 with no reason from the broker is paho's word for a connection that just went.
        reason = CONNECTION_LOST if code.value == _UNSPECIFIED else str(code)
        self._session._end(self._generation, reason)

    def published(
        self, _client: Client, _data: Any, mid: int, code: ReasonCode, _properties: Any
    ) -> None:
        token = (self._generation, mid)
        self._session._put(Published(token, str(code), code.value))

    def arrived(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = ""
        pairs = getattr(message.properties, "UserProperty", None) or ()
        token = (self._generation, message.mid)
        payload = bytes(message.payload)
        self._session._put(Incoming(topic, payload, token, message.qos, tuple(pairs)))


def _properties(packet_type: int) -> Any:
    return Properties(packet_type)  # type: ignore[no-untyped-call]
