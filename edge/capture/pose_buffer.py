"""The last seconds of attitude and position, and the pose at any instant among them.

Time here is the autopilot's boot clock, unwrapped, in ns: samples carry the instant at which they
were taken, not the one at which they arrived.  Feeding only appends to lists; all arithmetic
waits until `at` is asked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.capture.pose_buffer_math import (
    UNKNOWN_ROTATION,
    Quaternion,
    Vector3,
    hermite,
    metres_per_degree,
    quaternion_from_euler,
    slerp,
    turned,
    wrapped_deg,
)
from edge.capture.pose_buffer_track import Track
from edge.records import NoPose

_NS = 1e-9
# A fix this far from where the velocities of its neighbours lead is a jump: more than an estimator
# corrects in one step, and what a hard manoeuvre between two samples may add.
JUMP_M = 10.0
JUMP_MPS2 = 20.0
JUMP_WITHIN_S = 3.0  # over a longer hole velocities say nothing


@dataclass(frozen=True, slots=True)
class Turn:
    """An attitude sample: a quaternion, or the Euler angles it will be made of when asked."""

    ned_from_body_wxyz: Quaternion | None
    euler_rad: Vector3
    rates_body_radps: Vector3

    @property
    def is_known(self) -> bool:
        """Whether it is an attitude at all, and not the word that none is known."""
        return self.ned_from_body_wxyz != UNKNOWN_ROTATION

    def quaternion(self) -> Quaternion:
        return self.ned_from_body_wxyz or quaternion_from_euler(*self.euler_rad)


@dataclass(frozen=True, slots=True)
class Fix:
    """A position sample of the estimator; (0, 0) stands for "no origin yet"."""

    lat_deg: float
    lon_deg: float
    amsl_m: float
    above_home_m: float
    velocity_ned_mps: Vector3

    @property
    def is_nowhere(self) -> bool:
        return self.lat_deg == 0.0 and self.lon_deg == 0.0


@dataclass(frozen=True, slots=True)
class Motion:
    """The vehicle between its samples."""

    fix: Fix
    turn: Turn
    reach_s: float


class PoseBuffer:
    """Attitude and position of the last `KEEP_S` seconds of the boot clock."""

    def __init__(self) -> None:
        self.turns: Track[Turn] = Track()
        self.fixes: Track[Fix] = Track()

    def clear(self) -> None:
        """Forget all: the autopilot has rebooted."""
        self.turns.clear()
        self.fixes.clear()

    def at(self, boot_ns: int) -> Motion | NoPose:
        """Interpolate the vehicle's motion, or say why that cannot be done."""
        turn_at = self.turns.bracket(boot_ns)
        fix_at = self.fixes.bracket(boot_ns)
        if isinstance(turn_at, NoPose) or isinstance(fix_at, NoPose):
            return _worse(turn_at, fix_at)
        fix = _fix_between(self.fixes, fix_at, boot_ns)
        if fix is None:
            return NoPose.NO_FIX
        reach_s = max(self.turns.reach_s(boot_ns, turn_at), self.fixes.reach_s(boot_ns, fix_at))
        return Motion(fix, turn_between(self.turns, turn_at, boot_ns), reach_s)


_WORST_FIRST = (NoPose.NO_DATA, NoPose.TOO_OLD, NoPose.STALE_POSE, NoPose.GAP)


def _worse(a: tuple[int, int] | NoPose, b: tuple[int, int] | NoPose) -> NoPose:
    return next(reason for reason in _WORST_FIRST if reason in (a, b))


def turn_between(track: Track[Turn], bracket: tuple[int, int], boot_ns: int) -> Turn:
    """Slerp between two attitudes, or go on turning from the newest."""
    first, second = bracket
    start, end = track.values[first], track.values[second]
    since_s = (boot_ns - track.times_ns[first]) * _NS
    if not (start.is_known and end.is_known):  # between a known and an unknown lies no known one
        return Turn(UNKNOWN_ROTATION, start.euler_rad, start.rates_body_radps)
    if first == second:
        q = turned(start.quaternion(), start.rates_body_radps, since_s)
        return Turn(q, start.euler_rad, start.rates_body_radps)
    fraction = since_s / ((track.times_ns[second] - track.times_ns[first]) * _NS)
    rates = _blend(start.rates_body_radps, end.rates_body_radps, fraction)
    return Turn(slerp(start.quaternion(), end.quaternion(), fraction), start.euler_rad, rates)


def _fix_between(track: Track[Fix], bracket: tuple[int, int], boot_ns: int) -> Fix | None:
    first, second = bracket
    start, end = track.values[first], track.values[second]
    if start.is_nowhere or end.is_nowhere:
        return None
    since_s = (boot_ns - track.times_ns[first]) * _NS
    if _jumps(track, first) or (second != first and _jumps(track, second)):
        return None
    if first == second:
        north_m, east_m, up_m = _travelled(start.velocity_ned_mps, since_s)
        moved = (north_m, east_m, start.amsl_m + up_m, start.above_home_m + up_m)
        return _displaced(start, moved, start.velocity_ned_mps)
    dt_s = (track.times_ns[second] - track.times_ns[first]) * _NS
    fraction = since_s / dt_s
    m_north, m_east = metres_per_degree(start.lat_deg)
    v0, v1 = start.velocity_ned_mps, end.velocity_ned_mps
    # In metres around the earlier sample: degrees of longitude are not degrees of latitude.
    ends_m = (
        (0.0, (end.lat_deg - start.lat_deg) * m_north, v0[0], v1[0]),
        (0.0, wrapped_deg(end.lon_deg - start.lon_deg) * m_east, v0[1], v1[1]),
        (start.amsl_m, end.amsl_m, -v0[2], -v1[2]),
        (start.above_home_m, end.above_home_m, -v0[2], -v1[2]),
    )
    north, east, amsl, home = (
        hermite((a, b), (rate_a, rate_b), dt_s, fraction) for a, b, rate_a, rate_b in ends_m
    )
    return _displaced(start, (north, east, amsl, home), _blend(v0, v1, fraction))


def _jumps(track: Track[Fix], index: int) -> bool:
    """Tell whether a fix lies where its own velocities cannot have brought the vehicle.

    A receiver that jumps, or an estimator that is reset, puts one sample far from the last; which
    of the two is right cannot be told, so nothing is vouched for on either side of the jump.
    """
    if index == 0:
        return False
    start, end = track.values[index - 1], track.values[index]
    if start.is_nowhere or end.is_nowhere:
        return False
    dt_s = (track.times_ns[index] - track.times_ns[index - 1]) * _NS
    if dt_s > JUMP_WITHIN_S:
        return False
    m_north, m_east = metres_per_degree(start.lat_deg)
    north_mps = 0.5 * (start.velocity_ned_mps[0] + end.velocity_ned_mps[0])
    east_mps = 0.5 * (start.velocity_ned_mps[1] + end.velocity_ned_mps[1])
    off_m = math.hypot(
        (end.lat_deg - start.lat_deg) * m_north - north_mps * dt_s,
        wrapped_deg(end.lon_deg - start.lon_deg) * m_east - east_mps * dt_s,
    )
    return off_m > JUMP_M + 0.5 * JUMP_MPS2 * dt_s * dt_s


def _travelled(velocity_ned_mps: Vector3, dt_s: float) -> Vector3:
    north, east, down = velocity_ned_mps
    return north * dt_s, east * dt_s, -down * dt_s


def _displaced(
    start: Fix, moved_m: tuple[float, float, float, float], velocity_ned_mps: Vector3
) -> Fix:
    """Go north and east of `start`; the two heights come as they are."""
    north_m, east_m, amsl_m, above_home_m = moved_m
    m_north, m_east = metres_per_degree(start.lat_deg)
    return Fix(
        lat_deg=max(-90.0, min(90.0, start.lat_deg + north_m / m_north)),
        lon_deg=wrapped_deg(start.lon_deg + east_m / m_east),
        amsl_m=amsl_m,
        above_home_m=above_home_m,
        velocity_ned_mps=velocity_ned_mps,
    )


def _blend(a: Vector3, b: Vector3, fraction: float) -> Vector3:
    (x, y, z), (to_x, to_y, to_z) = a, b
    return (x + (to_x - x) * fraction, y + (to_y - y) * fraction, z + (to_z - z) * fraction)


def is_finite(values: Vector3) -> bool:
    """Tell whether all three are numbers; MAVLink says "unknown" by NaN."""
    return math.isfinite(values[0] + values[1] + values[2])
