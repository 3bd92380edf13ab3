"""Between two samples: slerp, Hermite, and the metres of a degree.  Plain floats, no arrays.

Quaternions are wxyz and unit.  For one pose the arithmetic of tuples is several times cheaper
than arrays of four.
"""

from __future__ import annotations

import math
from typing import TypeAlias

Quaternion: TypeAlias = tuple[float, float, float, float]
Vector3: TypeAlias = tuple[float, float, float]

# Stands for an attitude that nobody tells, as MAVLink's gimbals do; no unit quaternion is it.
UNKNOWN_ROTATION: Quaternion = (0.0, 0.0, 0.0, 0.0)

_WGS84_A_M = 6378137.0
_WGS84_E2 = 6.69437999014e-3
# Below this angle between two quaternions sin() cancels and the chord is as good as the arc.
_SMALL_ANGLE_RAD = 1e-6


def quaternion_from_euler(roll_rad: float, pitch_rad: float, yaw_rad: float) -> Quaternion:
    """Turn roll, pitch, yaw (ZYX: yaw first, as in ATTITUDE) into `ned_from_body_wxyz`."""
    sr, cr = math.sin(roll_rad / 2), math.cos(roll_rad / 2)
    sp, cp = math.sin(pitch_rad / 2), math.cos(pitch_rad / 2)
    sy, cy = math.sin(yaw_rad / 2), math.cos(yaw_rad / 2)
    return (
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    )


def multiply(a_from_b: Quaternion, b_from_c: Quaternion) -> Quaternion:
    """Chain two rotations; like names touch."""
    w1, x1, y1, z1 = a_from_b
    w2, x2, y2, z2 = b_from_c
    return (
        w1 * w2 - x1 * x2 - y1 * y2 - z1 * z2,
        w1 * x2 + x1 * w2 + y1 * z2 - z1 * y2,
        w1 * y2 - x1 * z2 + y1 * w2 + z1 * x2,
        w1 * z2 + x1 * y2 - y1 * x2 + z1 * w2,
    )


def normalised(q_wxyz: Quaternion) -> Quaternion | None:
    """Scale to unit length; None for (0, 0, 0, 0), NaN or infinity: no rotation at all."""
    w, x, y, z = q_wxyz
    norm = math.sqrt(w * w + x * x + y * y + z * z)
    # A rotation that came over the wire as float32 is unit to 1e-6; half is not a rotation.
    if not 0.5 < norm < 2.0:
        return None
    return (w / norm, x / norm, y / norm, z / norm)


def slerp(start: Quaternion, end: Quaternion, fraction: float) -> Quaternion:
    """Turn from `start` to `end` at constant rate, the short way round."""
    w1, x1, y1, z1 = start
    w2, x2, y2, z2 = end
    dot = w1 * w2 + x1 * x2 + y1 * y2 + z1 * z2
    sign = -1.0 if dot < 0.0 else 1.0  # q and -q are the same rotation: take the near one
    angle = math.acos(min(1.0, abs(dot)))
    if angle < _SMALL_ANGLE_RAD:
        a, b = 1.0 - fraction, sign * fraction
    else:
        sine = math.sin(angle)
        a = math.sin((1.0 - fraction) * angle) / sine
        b = sign * math.sin(fraction * angle) / sine
    w, x, y, z = a * w1 + b * w2, a * x1 + b * x2, a * y1 + b * y2, a * z1 + b * z2
    norm = math.sqrt(w * w + x * x + y * y + z * z)
    return (w / norm, x / norm, y / norm, z / norm)


def turned(ned_from_body: Quaternion, rates_body_radps: Vector3, dt_s: float) -> Quaternion:
    """Go on turning at constant body rates for `dt_s`."""
    p, q, r = rates_body_radps
    rate = math.sqrt(p * p + q * q + r * r)
    half = rate * dt_s / 2
    # sin(half) ÷ rate, which has no value at rest and this limit near it.
    scale = dt_s / 2 if abs(half) < _SMALL_ANGLE_RAD else math.sin(half) / rate
    return multiply(ned_from_body, (math.cos(half), p * scale, q * scale, r * scale))


def angle_between_rad(a_wxyz: Quaternion, b_wxyz: Quaternion) -> float:
    """Return the angle of the rotation from one to the other, 0 to π."""
    dot = abs(sum(a * b for a, b in zip(a_wxyz, b_wxyz, strict=True)))
    return 2.0 * math.acos(min(1.0, dot))


def hermite(
    span: tuple[float, float], slopes: tuple[float, float], dt_s: float, fraction: float
) -> float:
    """Cubic through two values with their rates of change.

    Args:
        span: Value at the start and at the end.
        slopes: Rate of change there, per second.
        dt_s: Seconds between them.
        fraction: 0 at the start, 1 at the end.
    """
    t, t2 = fraction, fraction * fraction
    t3 = t2 * t
    return (
        (2 * t3 - 3 * t2 + 1) * span[0]
        + (t3 - 2 * t2 + t) * dt_s * slopes[0]
        + (3 * t2 - 2 * t3) * span[1]
        + (t3 - t2) * dt_s * slopes[1]
    )


def metres_per_degree(lat_deg: float) -> tuple[float, float]:
    """Return metres to the north and to the east for one degree, on the WGS 84 ellipsoid."""
    sine = math.sin(math.radians(lat_deg))
    w2 = 1.0 - _WGS84_E2 * sine * sine
    prime_vertical_m = _WGS84_A_M / math.sqrt(w2)
    meridian_m = prime_vertical_m * (1.0 - _WGS84_E2) / w2
    # At the pole a degree of longitude has no length; a centimetre keeps the division alive.
    east_m = max(prime_vertical_m * math.cos(math.radians(lat_deg)), 0.01)
    return math.radians(1.0) * meridian_m, math.radians(1.0) * east_m


def wrapped_deg(angle_deg: float) -> float:
    """Bring a longitude or a difference of two into [-180, 180)."""
    return (angle_deg + 180.0) % 360.0 - 180.0
