"""What a gimbal says of itself, when, and which of two languages it speaks.

A MAVLink gimbal reports roll and pitch against the horizon; ArduPilot's servo mount sends the
same message, with the same flags, but the angles of its servos in body axes.  Read wrong, that
is 35 m on the ground from 60 m.  The mount's kind is a config choice; the estimator here is what
`skywhistle check` compares that choice with.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass
from enum import Enum

from edge.capture.pose_buffer_math import (
    UNKNOWN_ROTATION,
    Quaternion,
    Vector3,
    multiply,
    quaternion_from_euler,
    slerp,
)
from edge.capture.pose_buffer_track import Track
from edge.records import GimbalAttitude, YawReference

# GIMBAL_DEVICE_FLAGS of GIMBAL_DEVICE_ATTITUDE_STATUS.
FLAG_YAW_LOCK = 16
FLAG_YAW_IN_VEHICLE_FRAME = 32
FLAG_YAW_IN_EARTH_FRAME = 64

# A gimbal reports at 5 to 50 Hz; what is older than this says nothing of now.
STALE_S = 1.0

_TILTED_RAD = math.radians(1.0)
_PAIRS_KEPT = 64
_PAIRS_NEEDED = 8
_CLEARLY_STEADIER = 0.5


class GimbalKind(Enum):
    """What the reports look like; to be compared with the configured mount."""

    NONE = "none"  # no gimbal has reported
    UNKNOWN = "unknown"  # it reports, but the vehicle has not tilted enough to tell
    STABILISED = "stabilised"  # angles against the horizon
    SERVO = "servo"  # servo angles in body axes


@dataclass(frozen=True, slots=True)
class GimbalSample:
    """One report."""

    quaternion_wxyz: Quaternion
    yaw_reference: YawReference

    @property
    def is_known(self) -> bool:
        """Whether it is an attitude at all, and not the word that none is known."""
        return self.quaternion_wxyz != UNKNOWN_ROTATION


def yaw_reference_from_flags(flags: int) -> YawReference:
    """Tell what yaw is measured from: 32 and 64 say it outright, only then 16 implies it."""
    if flags & FLAG_YAW_IN_VEHICLE_FRAME:
        return YawReference.VEHICLE
    if flags & FLAG_YAW_IN_EARTH_FRAME:
        return YawReference.NORTH
    return YawReference.NORTH if flags & FLAG_YAW_LOCK else YawReference.VEHICLE


def sample_from_mount_status(pitch_cdeg: int, roll_cdeg: int, yaw_cdeg: int) -> GimbalSample:
    """Read MOUNT_STATUS of older ArduPilot: hundredths of a degree, yaw from the vehicle."""
    roll, pitch, yaw = (math.radians(cdeg / 100.0) for cdeg in (roll_cdeg, pitch_cdeg, yaw_cdeg))
    return GimbalSample(quaternion_from_euler(roll, pitch, yaw), YawReference.VEHICLE)


def gimbal_at(track: Track[GimbalSample], time_ns: int) -> GimbalAttitude | None:
    """Slerp between two reports, or take the nearest; None where none is within `STALE_S`.

    Args:
        track: Reports in their own clock.
        time_ns: The instant in that clock.
    """
    bracket = track.bracket(time_ns)
    if isinstance(bracket, tuple) and any(not track.values[i].is_known for i in bracket):
        return None
    if not isinstance(bracket, tuple):  # past the newest, or in a hole: the last one, with its age
        index = track.index_before(time_ns, STALE_S)
        is_known = index is not None and track.values[index].is_known
        return _held(track, index, time_ns) if index is not None and is_known else None
    first, second = bracket
    start, end = track.values[first], track.values[second]
    if first == second or start.yaw_reference is not end.yaw_reference:
        return _held(track, first, time_ns)
    age_s = track.reach_s(time_ns, bracket)
    step_ns = track.times_ns[second] - track.times_ns[first]
    if age_s > STALE_S:
        return None
    fraction = (time_ns - track.times_ns[first]) / step_ns
    q = slerp(start.quaternion_wxyz, end.quaternion_wxyz, fraction)
    return GimbalAttitude(q, start.yaw_reference, age_s)


def _held(track: Track[GimbalSample], index: int, time_ns: int) -> GimbalAttitude:
    sample = track.values[index]
    age_s = (time_ns - track.times_ns[index]) * 1e-9
    return GimbalAttitude(sample.quaternion_wxyz, sample.yaw_reference, age_s)


class GimbalKindEstimator:
    """Tells a stabilised gimbal from a servo mount by whose reports hold still.

    While the vehicle tilts, the true direction of gravity in a stabilised camera does not move.
    Each pair of reports is read both ways; the reading under which gravity holds stiller is the
    right one.  Gravity does not depend on yaw, so neither does the verdict.  A servo that is held
    fixed (no stabilisation) reports a constant and looks like a gimbal: nothing on the wire
    tells those two apart.
    """

    def __init__(self) -> None:
        self._last: tuple[Vector3, Vector3, Vector3] | None = None
        self._moved_rad: deque[tuple[float, float]] = deque(maxlen=_PAIRS_KEPT)
        self._told = GimbalKind.UNKNOWN
        self.has_reports = False

    def add(self, ned_from_body_wxyz: Quaternion, gimbal_wxyz: Quaternion) -> None:
        """Take the vehicle's and the gimbal's attitude of one instant, about twice a second."""
        self.has_reports = True
        now = (
            _down_seen_from(ned_from_body_wxyz),
            _down_seen_from(gimbal_wxyz),
            _down_seen_from(multiply(ned_from_body_wxyz, gimbal_wxyz)),
        )
        last, self._last = self._last, now
        if last is not None and _angle_rad(last[0], now[0]) > _TILTED_RAD:
            self._moved_rad.append((_angle_rad(last[1], now[1]), _angle_rad(last[2], now[2])))
            newest = self._newest()
            self._told = self._told if newest is GimbalKind.UNKNOWN else newest

    def kind(self) -> GimbalKind:
        """Return the verdict so far; a clear one stands until the other is clear."""
        return self._told if self.has_reports else GimbalKind.NONE

    def _newest(self) -> GimbalKind:
        if len(self._moved_rad) < _PAIRS_NEEDED:
            return GimbalKind.UNKNOWN
        as_stabilised = statistics.median(moved for moved, _ in self._moved_rad)
        as_servo = statistics.median(moved for _, moved in self._moved_rad)
        if as_stabilised < _CLEARLY_STEADIER * as_servo:
            return GimbalKind.STABILISED
        if as_servo < _CLEARLY_STEADIER * as_stabilised:
            return GimbalKind.SERVO
        return GimbalKind.UNKNOWN


def _down_seen_from(ned_from_frame: Quaternion) -> Vector3:
    """Return NED's down axis in the axes of a frame: the last row of its rotation matrix."""
    w, x, y, z = ned_from_frame
    return (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y))


def _angle_rad(a: Vector3, b: Vector3) -> float:
    return math.acos(max(-1.0, min(1.0, sum(p * q for p, q in zip(a, b, strict=True)))))
