"""The vehicle's telemetry: fed by a live link or by a log, asked for the pose at an instant."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock
from typing import Any

from edge.capture.clock import BOOT_WRAP_MS, BootClock, TimeSource, utc_by_os_clock
from edge.capture.dispatch import DISPATCH, FROM_CAMERA, FROM_GIMBAL, Reader
from edge.capture.gimbal import GimbalKind, gimbal_at
from edge.capture.link_frames import Header
from edge.capture.pose_buffer import Motion
from edge.capture.rates import IntervalRequest, RateAsker, StreamRequest
from edge.capture.streams import CAMERA_COMPONENTS, MessageRequest, VideoStream
from edge.capture.telemetry_state import Gnss, Senders, TelemetryState
from edge.records import MonoNs, NoPose, Pose, TimeQuality, UtcNs, UtcTime

log = logging.getLogger(__name__)

_MS = 1_000_000
_FIX_3D = 3
_ARDUPILOT = 3  # MAV_AUTOPILOT_ARDUPILOTMEGA
# Range, terrain and accuracy older than this say nothing of the instant.
AUXILIARY_STALE_S = 1.5
DEFAULT_SILENT_AFTER_S = 3.0
# What a reader raises on content that cannot be: an infinity, a place off the earth, a text where
# numbers should be.  The message is lost and counted; the loop goes on.
BAD_CONTENT = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class LinkHealth:
    """How the link or the log is doing."""

    connected: bool = False  # a heartbeat of the autopilot within `silent_after_s`
    messages: int = 0  # good ones, of all senders
    bad_crc: int = 0
    unknown: int = 0  # not in the dialect, or not in the dispatch table
    bad_content: int = 0  # decoded, and impossible
    other_vehicle: int = 0  # messages of other systems, ground stations included
    reboots: int = 0
    reopened: int = 0  # times a broken link was opened again
    not_believed: int = 0  # frames that the link's key does not vouch for
    rates_hz: dict[str, float] = field(default_factory=dict)
    time_source: TimeSource = TimeSource.NONE
    sync_sigma_s: float = math.inf
    gimbal_kind: GimbalKind = GimbalKind.NONE
    vehicle_type: int | None = None  # MAV_TYPE
    autopilot: int | None = None  # MAV_AUTOPILOT
    firmware: str = ""
    statustexts_dropped: int = 0


class Telemetry:
    """Takes MAVLink messages and gives poses and times; safe to feed and ask from two threads."""

    def __init__(
        self,
        senders: Senders,
        last_resort_utc: Callable[[int], UtcNs] = utc_by_os_clock,
        clock: BootClock | None = None,
    ) -> None:
        """Args:
        senders: Whose messages count.
        last_resort_utc: `mono_ns` to UTC where the autopilot does not know the time.
        clock: Of the autopilot, where something is known of it beforehand.
        """
        self._senders = senders
        self._last_resort_utc = last_resort_utc
        self._lock = RLock()
        self._state = TelemetryState(senders, clock)
        self._newest_mono_ns = 0
        self._messages = self._unknown = self._bad_content = self._other_vehicle = 0
        self._warned: set[str] = set()

    # --- what arrives -----------------------------------------------------------------------

    def feed(self, msg: Any, received_mono_ns: int) -> None:
        """Take one decoded message of any sender, and the instant of its arrival."""
        name: str = msg.get_type()
        with self._lock:
            read = self._admit(name, msg.get_srcSystem(), msg.get_srcComponent(), received_mono_ns)
            if read is None:
                return
            try:
                read(self._state, msg, received_mono_ns)
            except BAD_CONTENT as error:
                self._bad_content += 1
                self._warn_once(f"{name} content", "mavlink_bad_content type=%s %s", name, error)

    def note(self, name: str, header: Header, received_mono_ns: int) -> None:
        """Count a message that nobody reads, without decoding it."""
        with self._lock:
            self._admit(name, header.system_id, header.component_id, received_mono_ns)

    def _admit(
        self, name: str, system_id: int, component_id: int, received_mono_ns: int
    ) -> Reader | None:
        """Count a message by its sender; return its reader if the sender's word counts."""
        self._newest_mono_ns = max(self._newest_mono_ns, received_mono_ns)
        read = DISPATCH.get(name)
        if read is None:
            self._unknown += 1
            self._warn_once(name, "mavlink_unknown_type type=%s", name)
            return None
        self._messages += 1
        senders, state = self._senders, self._state
        if system_id != senders.system_id:
            self._other_vehicle += 1
            return None
        if name in FROM_GIMBAL:
            is_ours = component_id == senders.gimbal_component_id
        elif component_id == senders.component_id:
            is_ours = True
        else:
            state.streams.saw(component_id)
            is_ours = name in FROM_CAMERA and component_id in CAMERA_COMPONENTS
        if not is_ours:
            return None
        state.rates.count(name, received_mono_ns)
        return read

    def _warn_once(self, key: str, text: str, *fields: object) -> None:
        if key not in self._warned and len(self._warned) < 1000:
            self._warned.add(key)
            log.warning(text, *fields)

    # --- what is asked ------------------------------------------------------------------------

    def at(self, mono_ns: int) -> Pose | NoPose:
        """Return the vehicle's pose at an instant, or the reason why there is none."""
        with self._lock:
            boot_ns = self._state.clock.boot_from_mono(mono_ns)
            if boot_ns is None:
                return NoPose.NO_DATA
            motion = self._state.poses.at(boot_ns)
            if isinstance(motion, NoPose):
                return motion
            if not self._is_vouched(mono_ns):
                return NoPose.NO_FIX
            return self._pose(mono_ns, motion)

    def _is_vouched(self, mono_ns: int) -> bool:
        """Ask the receiver and the estimator; one that has never spoken is not held against it."""
        gnss = self._state.gnss.latest(mono_ns, math.inf)
        vouched = self._state.vouched.latest(mono_ns, math.inf)
        return (gnss is None or gnss.fix_type >= _FIX_3D) and vouched is not False

    def _pose(self, mono_ns: int, motion: Motion) -> Pose:
        state, fix = self._state, motion.fix
        gimbal_ns = state.gimbal_clock.boot_from_mono(mono_ns)
        gnss = state.gnss.latest(mono_ns, AUXILIARY_STALE_S) or Gnss(0, None, None)
        return Pose(
            mono_ns=MonoNs(mono_ns),
            lat_deg=fix.lat_deg,
            lon_deg=fix.lon_deg,
            amsl_m=fix.amsl_m,
            above_home_m=fix.above_home_m,
            velocity_ned_mps=fix.velocity_ned_mps,
            ned_from_body_wxyz=motion.turn.quaternion(),
            gimbal=None if gimbal_ns is None else gimbal_at(state.gimbal, gimbal_ns),
            h_acc_m=gnss.h_acc_m,
            v_acc_m=gnss.v_acc_m,
            rangefinder_slant_m=state.ranges_m.latest(mono_ns, AUXILIARY_STALE_S),
            terrain_agl_m=state.terrain_m.latest(mono_ns, AUXILIARY_STALE_S),
            reach_s=motion.reach_s,
            sync_sigma_s=state.clock.sigma_s,
            rates_body_radps=motion.turn.rates_body_radps,
            home=state.home,
        )

    def utc(self, mono_ns: int) -> UtcTime:
        """Return the world's time of an instant, and how it is known."""
        with self._lock:
            state = self._state
            boot_ns = state.clock.boot_from_mono(mono_ns)
            boot_ms = None if boot_ns is None or boot_ns < 0 else boot_ns // _MS % BOOT_WRAP_MS
            if boot_ns is None or state.utc.offset_ns is None:
                return UtcTime(self._last_resort_utc(mono_ns), TimeQuality.OS_CLOCK, boot_ms)
            is_synced = state.clock.source is TimeSource.TIMESYNC
            quality = TimeQuality.GNSS_SYNCED if is_synced else TimeQuality.GNSS
            return UtcTime(UtcNs(boot_ns + state.utc.offset_ns), quality, boot_ms)

    def mono_from_boot_ms(self, boot_ms: float) -> MonoNs | None:
        """Map the autopilot's boot time onto this computer's clock; None before it is known."""
        with self._lock:
            return self._state.clock.mono_from_boot(round(boot_ms * _MS))

    @property
    def reboots(self) -> int:
        """How often the autopilot's clock has started again."""
        return self._state.clock.restarts

    def rates_hz(self, now_mono_ns: int | None = None) -> dict[str, float]:
        """Return how often each message of the vehicle arrives; by default at the newest."""
        with self._lock:
            return self._state.rates.rates_hz(now_mono_ns or self._newest_mono_ns)

    def video_streams(self) -> tuple[VideoStream, ...]:
        """Return the video streams that were announced."""
        with self._lock:
            return self._state.streams.streams()

    def is_connected(
        self, now_mono_ns: int | None = None, silent_after_s: float = DEFAULT_SILENT_AFTER_S
    ) -> bool:
        """Tell whether the autopilot's heartbeat is heard."""
        heartbeat_mono_ns = self._state.heartbeat_mono_ns
        now_mono_ns = now_mono_ns or self._newest_mono_ns
        return (
            heartbeat_mono_ns is not None
            and now_mono_ns - heartbeat_mono_ns <= silent_after_s * 1e9
        )

    def health(
        self, now_mono_ns: int | None = None, silent_after_s: float = DEFAULT_SILENT_AFTER_S
    ) -> LinkHealth:
        """Return counts, rates and the state of the clock; by default as of the newest message."""
        with self._lock:
            state = self._state
            return LinkHealth(
                connected=self.is_connected(now_mono_ns, silent_after_s),
                messages=self._messages,
                unknown=self._unknown,
                bad_content=self._bad_content,
                other_vehicle=self._other_vehicle,
                reboots=state.clock.restarts,
                rates_hz=self.rates_hz(now_mono_ns),
                time_source=state.clock.source,
                sync_sigma_s=state.clock.sigma_s,
                gimbal_kind=state.gimbal_kind.kind(),
                vehicle_type=state.vehicle_type,
                autopilot=state.autopilot,
                firmware=_version(state.firmware_version),
            )

    # --- what the link sends ------------------------------------------------------------------

    def timesync_asked(self, ts1_ns: int) -> None:
        """Remember a TIMESYNC request of ours, so that its answer counts."""
        with self._lock:
            self._state.clock.asked(ts1_ns)

    def requests_due(
        self, asker: RateAsker, now_mono_ns: int
    ) -> list[IntervalRequest | StreamRequest | MessageRequest]:
        """Return what to ask of the vehicle now: rates that are missing, streams unannounced."""
        with self._lock:
            state = self._state
            has_streams = state.autopilot == _ARDUPILOT
            rates = asker.due(state.rates, now_mono_ns, has_streams)
            told_once = state.requests_once(self._senders.component_id, now_mono_ns)
            return [*rates, *told_once, *state.streams.due(now_mono_ns)]

    def ask_again(self) -> None:
        """Ask cameras for their streams anew: the link came back, or the autopilot did."""
        with self._lock:
            self._state.streams.start_over()


def _version(number: int | None) -> str:
    """Write AUTOPILOT_VERSION's flight_sw_version: major, minor, patch, one byte each."""
    if number is None:
        return ""
    return f"{number >> 24 & 255}.{number >> 16 & 255}.{number >> 8 & 255}"
