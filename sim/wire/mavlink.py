"""A recorded flight's autopilot on the wire: an ArduPilot-like vehicle in real time."""

from __future__ import annotations

import logging
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from edge.errors import SkywhistleError
from sim.faults.timeline import Timeline
from sim.faults.wire import VehicleFaults
from sim.wire import camera as wire_camera
from sim.wire.answers import AUTOPILOT, answer
from sim.wire.camera import FIRST_CAMERA_COMPONENT, StreamInfo
from sim.wire.clock import BootClock, FlightClock
from sim.wire.link import GroundLink
from sim.wire.log import LogSurvey, Packet, decode, read_packets
from sim.wire.stamps import restamp

log = logging.getLogger(__name__)

_m = mavlink2

HEARTBEAT_NS = 1_000_000_000
TIMESYNC_NS = 10_000_000_000  # how often ArduPilot itself asks
WAKE_S = 0.02  # longest wait for what comes in
TEXTS_KEPT = 100

# Sent when asked for, whatever else the log does: they change once a flight or never.
_STANDING = frozenset({_m.MAVLINK_MSG_ID_HOME_POSITION, _m.MAVLINK_MSG_ID_GPS_GLOBAL_ORIGIN})
# Never sent from the log: the vehicle makes its own.
_OWN = frozenset(
    {
        _m.MAVLINK_MSG_ID_HEARTBEAT,
        _m.MAVLINK_MSG_ID_COMMAND_ACK,
        _m.MAVLINK_MSG_ID_TIMESYNC,
        _m.MAVLINK_MSG_ID_CAMERA_INFORMATION,
        _m.MAVLINK_MSG_ID_VIDEO_STREAM_INFORMATION,
        _m.MAVLINK_MSG_ID_PARAM_VALUE,
    }
)


@dataclass(frozen=True)
class VehicleOptions:
    """How the vehicle behaves.

    `wait_for_ground`: the flight begins `start_delay_s` after a link first asks for data.
    `early_ack`: intervals asked for in the first second after boot are acked and forgotten.
    """

    links: tuple[str, ...]
    start_delay_s: float = 0.0
    wait_for_ground: bool = False
    early_ack: bool = False
    drift_ppm: float = 20.0  # an ordinary crystal
    reboot_s: float = 1.0  # how long a reboot keeps it silent
    faults: Timeline = field(default_factory=Timeline)


class WireVehicle:
    """Replays a log on its links at the rates they ask for.  One thread."""

    def __init__(
        self,
        log_survey: LogSurvey,
        clock: FlightClock,
        options: VehicleOptions,
        utc_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """Open the links.

        Raises:
            ScenarioError: A link's address is not usable.
        """
        self.system_id = log_survey.system_id
        self.early_ack = options.early_ack
        self.texts_heard: deque[str] = deque(maxlen=TEXTS_KEPT)
        self.failure: SkywhistleError | None = None
        self._clock, self._options, self._utc_ns = clock, options, utc_ns
        self._survey = log_survey
        self._newest: dict[int, Packet] = dict(self._survey.first)
        self._newest_mono_ns: dict[int, int] = {}
        self._cameras: dict[int, StreamInfo] = {}
        self._stop, self._reboot = threading.Event(), threading.Event()
        self._due_mono_ns = {HEARTBEAT_NS: 0, TIMESYNC_NS: 0}
        self._down_until_ns = 0
        self._faults = VehicleFaults(options.faults, clock)
        self._links = tuple(GroundLink(url) for url in options.links)
        self._thread = threading.Thread(target=self._run, name="wire-vehicle", daemon=True)

    def start(self, cameras: tuple[StreamInfo, ...] = ()) -> None:
        """Boot: the autopilot's clock starts at 0, heartbeats begin."""
        now = time.monotonic_ns()
        self._cameras = {FIRST_CAMERA_COMPONENT + i: info for i, info in enumerate(cameras)}
        self.boot = BootClock(now, self._options.drift_ppm)
        if not self._options.wait_for_ground:
            self._begin(now)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread and close the links."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for link in self._links:
            link.close()

    def reboot(self) -> None:
        """Reboot in flight: silence, a new boot clock, intervals and UDP source port lost."""
        self._reboot.set()

    @property
    def sent(self) -> int:
        """How many messages have been sent on all links."""
        return sum(link.sent for link in self._links)

    def cameras(self) -> tuple[tuple[int, StreamInfo], ...]:
        """Return the camera components with their streams."""
        return tuple(self._cameras.items())

    def was_asked(self, mono_ns: int) -> None:
        """Note that a ground link wants data: a waiting flight begins."""
        if not self._clock.is_set:
            self._begin(mono_ns)

    def newest(self, message_id: int, mono_ns: int) -> Any | None:
        """Return the autopilot's newest message of a type, stamped for its instant."""
        packet = None if message_id in _OWN else self._newest.get(message_id)
        if packet is None:
            return None
        return self._stamped(packet, self._newest_mono_ns.get(message_id, mono_ns))

    # --- the thread -----------------------------------------------------------------------------

    def _begin(self, mono_ns: int) -> None:
        self._clock.begin(mono_ns + round(self._options.start_delay_s * 1e9))

    def _run(self) -> None:
        try:
            self._fly()
        except SkywhistleError as error:  # the log went bad, or a link did not reopen
            self.failure = error

    def _fly(self) -> None:
        player = self._player()
        due = next(player, None)
        while not self._stop.is_set():
            now = time.monotonic_ns()
            self._faults.spoil(self._links, now)
            self._reboot_if_due(now)
            self._listen(now)
            self._beat(now)
            self._stand(now)
            while due is not None and self._is_due(due, now) and not self._stop.is_set():
                self._play(*due)
                due = next(player, None)
            self._wait(due)

    def _is_due(self, due: tuple[Packet, int], now: int) -> bool:
        return self._clock.is_set and self._clock.mono_ns(due[0].record_us, due[1]) <= now

    def _wait(self, due: tuple[Packet, int] | None) -> None:
        timeout_s = WAKE_S
        if due is not None and self._clock.is_set:
            ahead_ns = self._clock.mono_ns(due[0].record_us, due[1]) - time.monotonic_ns()
            timeout_s = min(max(ahead_ns / 1e9, 0.0), WAKE_S)
        fds = [] if self._is_down() else [fd for link in self._links if (fd := link.fileno())]
        if fds:
            select.select(fds, [], [], timeout_s)
        else:
            self._stop.wait(timeout_s)

    def _player(self) -> Iterator[tuple[Packet, int]]:
        """Yield the system's packets with their lap, for ever if the flight loops."""
        lap = 0
        while lap == 0 or self._clock.loop:
            for packet in read_packets(self._survey.path):
                in_flight = self._clock.start_us <= packet.record_us <= self._clock.end_us
                if packet.system_id == self.system_id and in_flight:
                    yield packet, lap
            lap += 1

    def _is_down(self) -> bool:
        return time.monotonic_ns() < self._down_until_ns

    def _reboot_if_due(self, now: int) -> None:
        silent_s = self._faults.reboot_due_s(now)
        if silent_s is None and self._reboot.is_set():
            silent_s = self._options.reboot_s
        if silent_s is None:
            return
        self._reboot.clear()
        self._down_until_ns = now + round(silent_s * 1e9)
        self.boot = BootClock(self._down_until_ns, self._options.drift_ppm)
        for link in self._links:
            link.reboot()
        log.info("vehicle_rebooted silent_s=%.1f", silent_s)

    def _listen(self, now: int) -> None:
        for link in self._links:
            for message in link.receive():
                if not self._is_down():  # what comes while it boots is lost
                    answer(self, link, message, now)

    def _beat(self, now: int) -> None:
        if self._is_down():
            return
        if self._passed(HEARTBEAT_NS, now):
            packet = self._newest.get(_m.MAVLINK_MSG_ID_HEARTBEAT)
            recorded = packet and decode(packet)
            self._send(recorded or _standby(), AUTOPILOT)
            for component_id in self._cameras:
                self._send(wire_camera.heartbeat(), component_id)
        if self._passed(TIMESYNC_NS, now):
            self._send(_m.MAVLink_timesync_message(0, self.boot.boot_ns(now)), AUTOPILOT)

    def _passed(self, period_ns: int, now: int) -> bool:
        if now < self._due_mono_ns[period_ns]:
            return False
        self._due_mono_ns[period_ns] = now + period_ns
        return True

    def _stand(self, now: int) -> None:
        """Send what does not come from the log's flow: all before take-off, the lasting after."""
        if self._is_down():
            return
        begun = self._clock.has_begun(now)
        for link in self._links:
            for message_id in link.intervals.asked:
                if begun and message_id not in _STANDING:
                    continue
                packet = None if message_id in _OWN else self._newest.get(message_id)
                if packet is not None and link.intervals.takes(message_id, now):
                    self._send_on(link, self._stamped(packet, now), AUTOPILOT)

    def _play(self, packet: Packet, lap: int) -> None:
        at_ns = self._clock.mono_ns(packet.record_us, lap)
        message_id = packet.message_id
        if packet.component_id != AUTOPILOT:
            if packet.component_id not in self._cameras and not self._is_down():
                self._send(self._stamped(packet, at_ns), packet.component_id)
            return
        self._newest[message_id] = packet
        self._newest_mono_ns[message_id] = at_ns
        if message_id in _OWN or message_id in _STANDING or self._is_down():
            return
        to_all = message_id == _m.MAVLINK_MSG_ID_STATUSTEXT  # nobody asks for texts
        takers = [link for link in self._links if to_all or link.intervals.takes(message_id, at_ns)]
        message = self._stamped(packet, at_ns) if takers else None
        for link in takers:
            self._send_on(link, message, AUTOPILOT)

    def _stamped(self, packet: Packet, at_ns: int) -> Any | None:
        message = decode(packet)
        if message is not None:
            utc_us = (self._utc_ns() - time.monotonic_ns() + at_ns) // 1000
            utc_us += self._faults.utc_off_us(at_ns)
            boot_us = self.boot.boot_ns(at_ns) // 1000
            at_us = (packet.record_us, packet.record_us + self._survey.boot_minus_record_us)
            restamp(message, at_us, utc_us, boot_us)
            self._faults.sicken(message, at_ns)
        return message

    def _send(self, message: Any | None, component_id: int) -> None:
        for link in self._links:
            self._send_on(link, message, component_id)

    def _send_on(self, link: GroundLink, message: Any | None, component_id: int) -> None:
        if message is not None:
            link.send(message, self.system_id, component_id)


def _standby() -> Any:
    return _m.MAVLink_heartbeat_message(
        _m.MAV_TYPE_QUADROTOR,
        _m.MAV_AUTOPILOT_ARDUPILOTMEGA,
        _m.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED,
        0,
        _m.MAV_STATE_STANDBY,
        3,
    )
