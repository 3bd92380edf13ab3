"""The live MAVLink link: one thread that listens, asks for what is missing, and says little.

It is read-only towards the vehicle: all that it can ever send is listed in `SENDABLE` and
`COMMANDS`, and nothing there moves anything.
"""

from __future__ import annotations

import dataclasses
import errno
import logging
import random
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any, ClassVar

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from edge.capture.dispatch import WANTED
from edge.capture.link_frames import MESSAGE_NAMES, FrameCutter
from edge.capture.link_signing import (
    LinkSigning,
    keep_stamp,
    read_signing_secret,
    read_stamp,
)
from edge.capture.link_wire import UdpWire, Wire, check_url, open_wire
from edge.capture.rates import IntervalRequest, RateAsker, StreamRequest
from edge.capture.streams import MessageRequest, VideoStream
from edge.capture.telemetry import LinkHealth, Telemetry
from edge.config import AutopilotConfig
from edge.errors import TelemetryError

log = logging.getLogger(__name__)

_HEARTBEAT_S = 1.0
_TIMESYNC_S = 1.0
_TEND_S = 0.1
# A stream-like wire that is silent this long is stuck, not idle: open it again.
_STUCK_S = 15.0
_FIRST_BACK_OFF_S, _LONGEST_BACK_OFF_S = 0.5, 15.0
_STATUSTEXT_BYTES = 50
_STATUSTEXTS_WAITING = 4
_SET_MESSAGE_INTERVAL = mavlink.MAV_CMD_SET_MESSAGE_INTERVAL  # 511
_REQUEST_MESSAGE = mavlink.MAV_CMD_REQUEST_MESSAGE  # 512


class MavlinkLink:
    """Keeps the link to one autopilot alive for ever and feeds what arrives to the telemetry."""

    # The complete list of what can leave this computer towards the vehicle.
    SENDABLE: ClassVar[frozenset[str]] = frozenset(
        {"HEARTBEAT", "COMMAND_LONG", "REQUEST_DATA_STREAM", "TIMESYNC", "STATUSTEXT"}
    )
    COMMANDS: ClassVar[frozenset[int]] = frozenset({_SET_MESSAGE_INTERVAL, _REQUEST_MESSAGE})

    def __init__(
        self, config: AutopilotConfig, telemetry: Telemetry, state_dir: Path | None = None
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            config: The link.
            telemetry: Gets what arrives.
            state_dir: Where the newest signed time is kept over a restart.

        Raises:
            TelemetryConfigError: The address, a message's name or the key cannot be meant.
        """
        check_url(config.url)
        self._config = config
        self._telemetry = telemetry
        self._asker = RateAsker(config.rates_hz)
        self._encoder = mavlink.MAVLink(None, config.system_id, config.own_component_id)
        self._state_dir = state_dir
        self._signing = self._signing_by(config)
        signing = self._signing
        is_believed = None if signing is None else lambda frame: signing.fault(frame) is None
        self._cutter = FrameCutter(WANTED, is_believed)
        self._wire: Wire | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._random = random.Random()
        self._back_off_s = _FIRST_BACK_OFF_S
        self._reopened = 0
        self._is_connected = False
        self._reboots = 0
        self._texts: deque[tuple[str, int]] = deque(maxlen=_STATUSTEXTS_WAITING)
        self._texts_dropped = 0
        self._received_mono_ns = self._tended_mono_ns = 0
        self._heartbeat_due_ns = self._timesync_due_ns = self._text_due_ns = 0

    def _signing_by(self, config: AutopilotConfig) -> LinkSigning | None:
        """Set up signing, where the config has a key."""
        if config.signing_key_file is None:
            return None
        key = read_signing_secret(config.signing_key_file)
        self._encoder.signing.secret_key = key
        self._encoder.signing.link_id = config.signing_link_id
        self._encoder.signing.sign_outgoing = True
        kept = read_stamp(self._state_dir)
        return LinkSigning(key, kept)

    # --- what others call ---------------------------------------------------------------------

    def start(self) -> None:
        """Open the wire and listen in a thread of its own.

        Raises:
            TelemetryError: A UDP port that cannot be had.  TCP and serial are tried for ever.
        """
        try:
            self._open()
        except OSError as error:
            if self._config.url.startswith("udp"):
                mend = (
                    "is another program using the port?"
                    if error.errno == errno.EADDRINUSE
                    else "check the host's name and that it is this computer's"
                )
                raise TelemetryError(
                    f"autopilot.url = {self._config.url!r} cannot be opened: {error}; {mend}"
                ) from error
            log.warning("link_closed url=%s error=%s", self._config.url, error)
        self._thread = threading.Thread(target=self._run, name="mavlink", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and close the wire."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)
        self._shut()

    def health(self) -> LinkHealth:
        """Return the telemetry's health with what only the link knows."""
        counts = self._cutter.counts
        now_ns = time.monotonic_ns()
        heard = self._telemetry.health(now_ns, self._config.silent_after_s)
        return dataclasses.replace(
            heard,
            messages=counts.messages,
            bad_crc=counts.bad_crc,
            unknown=heard.unknown + counts.unknown,
            not_believed=counts.not_believed,
            reopened=self._reopened,
            statustexts_dropped=self._texts_dropped,
        )

    def asked_hz(self) -> dict[str, float]:
        """Return the rates that the vehicle is asked for."""
        return self._asker.asked_hz

    def video_streams(self) -> tuple[VideoStream, ...]:
        """Return the video streams that the autopilot and its cameras have announced."""
        return self._telemetry.video_streams()

    @property
    def port(self) -> int | None:
        """The local UDP port, where the wire is UDP and open."""
        return self._wire.port if isinstance(self._wire, UdpWire) else None

    def say(self, text: str, severity: int = mavlink.MAV_SEVERITY_NOTICE) -> bool:
        """Queue a STATUSTEXT; the oldest waiting one is dropped and counted when there are many.

        Returns:
            False where the config does not want any.
        """
        if not self._config.statustext:
            return False
        self._texts_dropped += len(self._texts) == _STATUSTEXTS_WAITING
        self._texts.append((text, severity))
        return True

    # --- the thread ---------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                if self._wire is None:
                    self._open()
                    self._reopened += 1
                    self._is_connected = False  # the other end has forgotten what we asked for
                self._listen()
            except OSError as error:
                self._shut()
                log.warning("link_broken url=%s error=%s", self._config.url, error)
                self._stop.wait(self._back_off_s * self._random.uniform(0.5, 1.5))
                self._back_off_s = min(_LONGEST_BACK_OFF_S, self._back_off_s * 2.0)

    def _open(self) -> None:
        self._wire = open_wire(self._config.url, self._config.baud)
        self._cutter.clear()
        self._received_mono_ns = time.monotonic_ns()
        log.info("link_open url=%s", self._config.url)

    def _shut(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    def _listen(self) -> None:
        """Receive once, and tend what is due."""
        wire = self._wire
        assert wire is not None
        data = wire.receive(_TEND_S)
        now_ns = time.monotonic_ns()
        if data:
            self._received_mono_ns = now_ns
            self._take(wire, data, now_ns)
        elif not wire.is_datagram and now_ns - self._received_mono_ns > _STUCK_S * 1e9:
            raise TimeoutError(f"nothing received for {_STUCK_S:.0f} s")
        if now_ns - self._tended_mono_ns >= _TEND_S * 1e9:
            self._tended_mono_ns = now_ns
            self._tend(now_ns)

    def _take(self, wire: Wire, data: bytes, received_mono_ns: int) -> None:
        config, feed, note = self._config, self._telemetry.feed, self._telemetry.note
        for header, message in self._cutter.cut(data, wire.is_datagram):
            if message is None:
                note(MESSAGE_NAMES[header.message_id], header, received_mono_ns)
            else:
                feed(message, received_mono_ns)
            is_ours = header.system_id == config.system_id
            if is_ours and header.component_id == config.component_id:
                wire.confirm_peer()
                self._back_off_s = _FIRST_BACK_OFF_S

    def _tend(self, now_ns: int) -> None:
        self._watch(now_ns)
        if now_ns >= self._heartbeat_due_ns:
            self._heartbeat_due_ns = now_ns + int(_HEARTBEAT_S * 1e9)
            self._send(_heartbeat())
        if not self._is_connected:
            return
        if now_ns >= self._timesync_due_ns:
            self._timesync_due_ns = now_ns + int(_TIMESYNC_S * 1e9)
            ts1_ns = time.monotonic_ns()
            self._telemetry.timesync_asked(ts1_ns)
            self._send(mavlink.MAVLink_timesync_message(0, ts1_ns))
        for request in self._telemetry.requests_due(self._asker, now_ns):
            self._send(self._message_of(request))
        if self._texts and now_ns >= self._text_due_ns:
            self._text_due_ns = now_ns + int(self._config.statustext_min_interval_s * 1e9)
            text, severity = self._texts.popleft()
            whole = text.encode("utf-8", "replace")[:_STATUSTEXT_BYTES].decode("utf-8", "ignore")
            self._send(mavlink.MAVLink_statustext_message(severity, whole.encode()))

    def _watch(self, now_ns: int) -> None:
        """Notice loss, return and reboot; whoever comes back has forgotten what we asked for."""
        if self._signing is not None:
            stamp = self._signing.newest_worth_keeping()
            if stamp is not None:
                keep_stamp(self._state_dir, stamp)
        was, reboots = self._is_connected, self._telemetry.reboots
        self._is_connected = self._telemetry.is_connected(now_ns, self._config.silent_after_s)
        if was != self._is_connected:
            level = logging.INFO if self._is_connected else logging.WARNING
            log.log(level, "autopilot_%s", "heard" if self._is_connected else "silent")
        if (self._is_connected and not was) or reboots != self._reboots:
            self._reboots = reboots
            self._asker.start_over()
            self._telemetry.ask_again()

    # --- what leaves --------------------------------------------------------------------------

    def _message_of(self, request: IntervalRequest | StreamRequest | MessageRequest) -> Any:
        """Turn a wish into the message that asks for it."""
        config = self._config
        if isinstance(request, StreamRequest):
            return mavlink.MAVLink_request_data_stream_message(
                config.system_id, config.component_id, request.stream_id, request.rate_hz, 1
            )
        if isinstance(request, IntervalRequest):
            is_gimbal = request.name == "GIMBAL_DEVICE_ATTITUDE_STATUS"
            component_id = config.gimbal_component_id if is_gimbal else config.component_id
            parameters = (request.message_id, request.interval_us, 0, 0, 0, 0, 0)
            command = _SET_MESSAGE_INTERVAL
        else:
            component_id = request.component_id
            parameters = (request.message_id, 0, 0, 0, 0, 0, 0)  # param2 0: all of them
            command = _REQUEST_MESSAGE
        return mavlink.MAVLink_command_long_message(
            config.system_id, component_id, command, 0, *map(float, parameters)
        )

    def _send(self, message: Any) -> None:
        """Send one of the few messages that may leave.

        Raises:
            TelemetryError: It is none of them: a mistake in the code, not of the flight.
        """
        name = message.get_type()
        if name not in self.SENDABLE or (
            name == "COMMAND_LONG" and message.command not in self.COMMANDS
        ):
            raise TelemetryError(f"{name} is not among the messages this link may send")
        if self._signing is not None:
            self._encoder.signing.timestamp = self._signing.next_stamp()
        if self._wire is not None:
            self._wire.send(message.pack(self._encoder))
            self._encoder.seq = (self._encoder.seq + 1) % 256


def _heartbeat() -> Any:
    return mavlink.MAVLink_heartbeat_message(
        mavlink.MAV_TYPE_ONBOARD_CONTROLLER,
        mavlink.MAV_AUTOPILOT_INVALID,
        0,
        0,
        mavlink.MAV_STATE_ACTIVE,
        3,
    )
