"""What is known of one vehicle: filled by `dispatch`, read by `Telemetry`."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

from edge.capture.clock import BOOT_WRAP_MS, BootClock, ClockEvent
from edge.capture.clock_utc import UtcOffset
from edge.capture.gimbal import GimbalKindEstimator, GimbalSample, gimbal_at
from edge.capture.pose_buffer import PoseBuffer, turn_between
from edge.capture.pose_buffer_track import Track
from edge.capture.rates import RateMeter
from edge.capture.streams import MessageRequest, StreamCatalogue
from edge.records import Home

log = logging.getLogger(__name__)

_MS = 1_000_000
# The gimbal's kind shows in slow tilting: twice a second is enough, a moment in the past so that
# both attitudes are there.
_COMPARE_EVERY_NS = 500 * _MS
_COMPARE_BACK_NS = 300 * _MS
_AUTOPILOT_VERSION_ID, _HOME_POSITION_ID = 148, 242
_ONCE_EVERY_NS = 10_000 * _MS


class Senders(Protocol):
    """Whose messages count; `AutopilotConfig` and a recorded flight's telemetry both fit."""

    @property
    def system_id(self) -> int: ...

    @property
    def component_id(self) -> int: ...

    @property
    def gimbal_component_id(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Gnss:
    """What GPS_RAW_INT says of the receiver; None: not given."""

    fix_type: int
    h_acc_m: float | None
    v_acc_m: float | None


class TelemetryState:
    """Mutable; guarded by the lock of the `Telemetry` that owns it."""

    def __init__(self, senders: Senders, clock: BootClock | None = None) -> None:
        self.clock = clock or BootClock()
        # A gimbal that speaks for itself has its own boot clock.
        is_relayed = senders.gimbal_component_id == senders.component_id
        self.gimbal_clock = self.clock if is_relayed else BootClock()
        self.utc = UtcOffset()
        self.poses = PoseBuffer()
        self.gimbal: Track[GimbalSample] = Track()
        self.gimbal_kind = GimbalKindEstimator()
        # These messages carry no usable boot time: by arrival.
        self.gnss: Track[Gnss] = Track()
        self.vouched: Track[bool] = Track()
        self.ranges_m: Track[float] = Track()
        self.terrain_m: Track[float] = Track()
        self.rates = RateMeter()
        self.streams = StreamCatalogue(senders.component_id)
        self.heartbeat_mono_ns: int | None = None
        self.vehicle_type: int | None = None
        self.autopilot: int | None = None
        self.firmware_version: int | None = None
        self.home: Home | None = None  # one that moves under way comes at once, with its heights
        self.euler_boot_ns = -(1 << 62)
        self.has_gimbal_device = False
        self._compared_mono_ns = 0
        self._once_due_ns = 0

    def boot_ns(self, boot_ms: int, received_mono_ns: int) -> int | None:
        """Return the autopilot's time of a message; None where it does not fit its clock."""
        boot_ns, event = self.clock.hear(boot_ms, received_mono_ns)
        if event is ClockEvent.RESTARTED:
            self._restart(boot_ms)
        return boot_ns

    def gimbal_ns(self, boot_ms: int, received_mono_ns: int) -> int | None:
        """Return the time of a gimbal's message in the gimbal's clock."""
        if self.gimbal_clock is self.clock:
            return self.boot_ns(boot_ms, received_mono_ns)
        if boot_ms == 0:  # a gimbal without a clock: its messages are as old as their arrival
            boot_ms = received_mono_ns // _MS % BOOT_WRAP_MS
        time_ns, event = self.gimbal_clock.hear(boot_ms, received_mono_ns)
        if event is ClockEvent.RESTARTED:
            self.gimbal.clear()
        return time_ns

    def _restart(self, boot_ms: int) -> None:
        log.warning(
            "autopilot_clock_restarted boot_ms=%d restarts=%d", boot_ms, self.clock.restarts
        )
        self.poses.clear()
        self.utc.clear()
        self.rates.clear()
        self.streams.start_over()
        self.vouched.clear()
        self.gnss.clear()
        self.home = None
        self.euler_boot_ns = -(1 << 62)
        if self.gimbal_clock is self.clock:
            self.gimbal.clear()

    def requests_once(self, component_id: int, now_mono_ns: int) -> list[MessageRequest]:
        """Ask, now and then until they are known, for the firmware's number and for home."""
        wanted = [
            message_id
            for message_id, known in (
                (_AUTOPILOT_VERSION_ID, self.firmware_version),
                (_HOME_POSITION_ID, self.home),
            )
            if known is None
        ]
        if not wanted or now_mono_ns < self._once_due_ns:
            return []
        self._once_due_ns = now_mono_ns + _ONCE_EVERY_NS
        return [MessageRequest(component_id, message_id) for message_id in wanted]

    def compare_gimbal(self, received_mono_ns: int) -> None:
        """Show the gimbal's attitude with the vehicle's to the estimator, now and then."""
        self.gimbal_kind.has_reports = True
        if received_mono_ns - self._compared_mono_ns < _COMPARE_EVERY_NS:
            return
        self._compared_mono_ns = received_mono_ns
        at_mono_ns = received_mono_ns - _COMPARE_BACK_NS
        boot_ns = self.clock.boot_from_mono(at_mono_ns)
        gimbal_ns = self.gimbal_clock.boot_from_mono(at_mono_ns)
        if boot_ns is None or gimbal_ns is None:
            return
        bracket = self.poses.turns.bracket(boot_ns)
        gimbal = gimbal_at(self.gimbal, gimbal_ns)
        if isinstance(bracket, tuple) and gimbal is not None:
            turn = turn_between(self.poses.turns, bracket, boot_ns)
            if turn.is_known:
                self.gimbal_kind.add(turn.quaternion(), gimbal.quaternion_wxyz)
