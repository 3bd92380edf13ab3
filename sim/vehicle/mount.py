"""How the simulated camera sits on the vehicle, and what its mount says of itself."""

from __future__ import annotations

import math
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from sim.camera import ned_from_frame

FloatArray = NDArray[np.float64]


class MountKind(Enum):
    """The mounts that aircraft of this kind carry."""

    FIXED = "fixed"  # bolted to the body, turns with it, says nothing
    STABILISED_GIMBAL = "stabilised_gimbal"  # holds the horizon, reports against it
    SERVO_GIMBAL = "servo_gimbal"  # ArduPilot's servos: holds the horizon, reports body axes


def ned_from_gimbal(
    kind: MountKind, body_rpy_rad: FloatArray, gimbal_rpy_rad: FloatArray, pitch_rad: float
) -> FloatArray:
    """Return the true direction of the camera's mount, shape (3, 3).

    Args:
        kind: Of the mount.
        body_rpy_rad: The vehicle's roll, pitch and yaw.
        gimbal_rpy_rad: The gimbal's, against the horizon and north; a fixed mount has none.
        pitch_rad: How a fixed mount looks down from the vehicle's nose, negative.
    """
    if kind is MountKind.FIXED:
        return np.asarray(ned_from_frame(*body_rpy_rad) @ ned_from_frame(0.0, pitch_rad, 0.0))
    return ned_from_frame(*gimbal_rpy_rad)


def reported_quaternion(
    kind: MountKind, body_rpy_rad: FloatArray, gimbal_rpy_rad: FloatArray
) -> list[float]:
    """Return w, x, y, z of GIMBAL_DEVICE_ATTITUDE_STATUS with flags 44.

    A true MAVLink gimbal's roll and pitch are from the horizon and its yaw is from the nose.
    ArduPilot's servo mount sends the servos' angles in body axes under the same flags.
    """
    if kind is MountKind.SERVO_GIMBAL:
        body, gimbal = ned_from_frame(*body_rpy_rad), ned_from_frame(*gimbal_rpy_rad)
        return quaternion_from_matrix(body.T @ gimbal)
    roll, pitch, yaw = (float(angle) for angle in gimbal_rpy_rad)
    return quaternion_wxyz(roll, pitch, yaw - float(body_rpy_rad[2]))


def quaternion_wxyz(roll_rad: float, pitch_rad: float, yaw_rad: float) -> list[float]:
    """Return the quaternion of yaw, then pitch, then roll."""
    cr, sr = math.cos(roll_rad / 2), math.sin(roll_rad / 2)
    cp, sp = math.cos(pitch_rad / 2), math.sin(pitch_rad / 2)
    cy, sy = math.cos(yaw_rad / 2), math.sin(yaw_rad / 2)
    return [
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    ]


def matrix_from_quaternion(wxyz: FloatArray) -> FloatArray:
    """Return the rotation of a unit quaternion w, x, y, z, shape (3, 3)."""
    w, x, y, z = (float(v) for v in wxyz)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_from_matrix(matrix: FloatArray) -> list[float]:
    """Return w, x, y, z, w >= 0, of a rotation, shape (3, 3).

    The four products are taken from the largest of them, so that nothing is divided by zero.
    """
    m = matrix
    squares = np.array(
        [
            1 + m[0, 0] + m[1, 1] + m[2, 2],
            1 + m[0, 0] - m[1, 1] - m[2, 2],
            1 - m[0, 0] + m[1, 1] - m[2, 2],
            1 - m[0, 0] - m[1, 1] + m[2, 2],
        ]
    )
    rows = [
        [squares[0], m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
        [m[2, 1] - m[1, 2], squares[1], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]],
        [m[0, 2] - m[2, 0], m[0, 1] + m[1, 0], squares[2], m[1, 2] + m[2, 1]],
        [m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], squares[3]],
    ]
    row = np.array(rows[int(np.argmax(squares))])
    out = row / np.linalg.norm(row)
    return [float(v) for v in (out if out[0] >= 0 else -out)]
