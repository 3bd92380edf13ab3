"""Rotations: quaternions (w, x, y, z), 3×3 matrices and roll, pitch, yaw (ZYX, intrinsic).

A matrix named `a_from_b` turns a vector in axes b into axes a; like names touch in a product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edge.records import FloatArray

# A unit quaternion sent as four float32 is off by 1e-7; more than this is no rotation.
UNIT_TOLERANCE = 0.01


def is_unit(wxyz: Sequence[float]) -> bool:
    """Tell whether four numbers are a rotation; (0, 0, 0, 0) and NaN are not."""
    return len(wxyz) == 4 and abs(math.hypot(*wxyz) - 1.0) <= UNIT_TOLERANCE


def matrix_from_quaternion(wxyz: Sequence[float]) -> FloatArray:
    """Turn `a_from_b_wxyz` into the matrix `a_from_b`; the length is divided out.

    Raises:
        ValueError: Not four finite numbers, or all zero.
    """
    w, x, y, z = map(float, wxyz)
    n = w * w + x * x + y * y + z * z
    if not 0.0 < n < math.inf:
        raise ValueError(f"a quaternion must be finite and not zero, got {tuple(wxyz)}")
    s = 2.0 / n
    return np.array(
        [
            [1.0 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)],
            [s * (x * y + z * w), 1.0 - s * (x * x + z * z), s * (y * z - x * w)],
            [s * (x * z - y * w), s * (y * z + x * w), 1.0 - s * (x * x + y * y)],
        ]
    )


def quaternion_from_euler(
    roll_rad: float, pitch_rad: float, yaw_rad: float
) -> tuple[float, float, float, float]:
    """Compose yaw, then pitch, then roll about the moving axes: MAVLink's ATTITUDE."""
    cr, sr = math.cos(roll_rad / 2.0), math.sin(roll_rad / 2.0)
    cp, sp = math.cos(pitch_rad / 2.0), math.sin(pitch_rad / 2.0)
    cy, sy = math.cos(yaw_rad / 2.0), math.sin(yaw_rad / 2.0)
    return (
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    )


def matrix_from_euler(roll_rad: float, pitch_rad: float, yaw_rad: float) -> FloatArray:
    """Return Rz(yaw) Ry(pitch) Rx(roll): `ned_from_body` for an attitude."""
    return matrix_from_quaternion(quaternion_from_euler(roll_rad, pitch_rad, yaw_rad))


def matrix_from_yaw(yaw_rad: float) -> FloatArray:
    """Return Rz(yaw): level, turned about down."""
    cos, sin = math.cos(yaw_rad), math.sin(yaw_rad)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def euler_from_matrix(a_from_b: FloatArray) -> tuple[float, float, float]:
    """Return roll, pitch, yaw in radians; straight up or down the yaw is taken as zero."""
    sin_pitch = min(1.0, max(-1.0, -float(a_from_b[2, 0])))
    pitch_rad = math.asin(sin_pitch)
    if abs(sin_pitch) > 1.0 - 1e-12:  # gimbal lock: only roll ∓ yaw is known
        return math.atan2(-a_from_b[1, 2], a_from_b[1, 1]), pitch_rad, 0.0
    roll_rad = math.atan2(a_from_b[2, 1], a_from_b[2, 2])
    return roll_rad, pitch_rad, math.atan2(a_from_b[1, 0], a_from_b[0, 0])


def matrices_from_rotation_vectors(vectors_rad: FloatArray) -> FloatArray:
    """Turn axis-times-angle vectors, shape (N, 3), into matrices, shape (N, 3, 3) (Rodrigues)."""
    angles = np.linalg.norm(vectors_rad, axis=1)
    axes = vectors_rad / np.where(angles > 0.0, angles, 1.0)[:, None]
    x, y, z = axes.T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    sin, one_less_cos = np.sin(angles)[:, None, None], (1.0 - np.cos(angles))[:, None, None]
    matrices: FloatArray = np.eye(3) + sin * cross + one_less_cos * (cross @ cross)
    return matrices
