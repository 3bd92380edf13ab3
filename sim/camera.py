"""The simulator's own camera, written apart from `edge/geo` so that the errors of either show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from edge.errors import CalibrationError
from edge.toml_file import read_toml

FloatArray = NDArray[np.float64]


class _CameraTable(BaseModel):
    """What of a camera file is the simulator's; the rest is the aircraft's."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    id: str
    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    distortion: tuple[float, float, float, float, float]


@dataclass(frozen=True)
class CameraModel:
    """Intrinsics, px; (0, 0) is the centre of the top-left pixel; distortion k1 k2 p1 p2 k3."""

    id: str
    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    distortion: tuple[float, float, float, float, float]

    @classmethod
    def load(cls, path: Path) -> CameraModel:
        """Read a camera file.

        Raises:
            CalibrationError: The file is missing, is no TOML, or lacks a key.
        """
        advice = "compare it with calibration/cameras/sim-720p.toml"
        table = read_toml(path, CalibrationError, advice).into(_CameraTable)
        return cls(**table.model_dump())

    def scaled(self, factor: float) -> CameraModel:
        """Return the same lens on a sensor with `factor` times the pixels along each side."""
        return CameraModel(
            self.id,
            round(self.width_px * factor),
            round(self.height_px * factor),
            self.fx_px * factor,
            self.fy_px * factor,
            (self.cx_px + 0.5) * factor - 0.5,
            (self.cy_px + 0.5) * factor - 0.5,
            self.distortion,
        )

    def bend(self, flat_xy: FloatArray) -> FloatArray:
        """Apply the lens to ideal image-plane points, shape (N, 2), x/z and y/z."""
        k1, k2, p1, p2, k3 = self.distortion
        x, y = flat_xy[:, 0], flat_xy[:, 1]
        r2 = x * x + y * y
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        bent_x = x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
        bent_y = y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
        return np.column_stack([bent_x, bent_y])

    def unbend(self, bent_xy: FloatArray) -> FloatArray:
        """Take the lens off again by fixed-point steps, shape (N, 2); 1e-9 for a mild lens."""
        flat = bent_xy.copy()
        for _ in range(60):
            miss = bent_xy - self.bend(flat)
            flat = flat + miss
            if float(np.abs(miss).max()) < 1e-10:
                break
        return np.asarray(flat)

    def pixels(self, camera_points_m: FloatArray) -> FloatArray:
        """Project points in camera axes (right, down, forward), shape (N, 3), to pixels (N, 2)."""
        bent = self.bend(camera_points_m[:, :2] / camera_points_m[:, 2:3])
        return np.asarray(bent * [self.fx_px, self.fy_px] + [self.cx_px, self.cy_px])


@dataclass(frozen=True)
class CameraPose:
    """Where the camera is and how it is turned.

    Attributes:
        position_m: Shape (3,), east north up.
        enu_from_camera: Shape (3, 3); camera axes right, down, forward.
    """

    position_m: FloatArray
    enu_from_camera: FloatArray

    def camera_points(self, points_m: FloatArray) -> FloatArray:
        """Turn points, shape (N, 3), east north up, into camera axes."""
        return np.asarray((points_m - self.position_m) @ self.enu_from_camera)


def project(
    camera: CameraModel, pose: CameraPose, points_m: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Project world points.

    Args:
        camera: The lens and the sensor.
        pose: Where it is and how it is turned.
        points_m: Shape (N, 3), east north up.

    Returns:
        Pixels, shape (N, 2), and depth along the optical axis in metres, shape (N,).  Where the
        depth is not positive, or the lens model would fold, the pixel is NaN.
    """
    local = pose.camera_points(points_m)
    depth = local[:, 2]
    ahead = depth > 0.1
    safe = np.where(ahead[:, None], local, [0.0, 0.0, 1.0])
    # Far outside the picture the polynomial folds back; 1.6 focal lengths is beyond any corner.
    ahead &= np.hypot(safe[:, 0], safe[:, 1]) < 1.6 * safe[:, 2]
    uv = camera.pixels(np.where(ahead[:, None], safe, [0.0, 0.0, 1.0]))
    uv[~ahead] = np.nan
    return uv, depth


def enu_from_ned(vector_ned: FloatArray) -> FloatArray:
    """Swap north-east-down to east-north-up along the last axis."""
    return np.asarray(vector_ned[..., [1, 0, 2]] * [1.0, 1.0, -1.0])


def ned_from_frame(roll_rad: float, pitch_rad: float, yaw_rad: float) -> FloatArray:
    """Build the rotation of axes (forward, right, down) turned by yaw, then pitch, then roll."""
    cr, sr, cp, sp = np.cos(roll_rad), np.sin(roll_rad), np.cos(pitch_rad), np.sin(pitch_rad)
    cy, sy = np.cos(yaw_rad), np.sin(yaw_rad)
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    return np.asarray(about_z @ about_y @ about_x)


# Camera axes (right, down, forward) seen from gimbal axes (forward, right, down).
GIMBAL_FROM_CAMERA: FloatArray = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
# East-north-up rows from north-east-down.
ENU_FROM_NED: FloatArray = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])


def camera_pose(position_m: FloatArray, gimbal_rpy_rad: tuple[float, float, float]) -> CameraPose:
    """Point a camera by its gimbal's true roll, pitch and yaw against north and the horizon."""
    ned_from_gimbal = ned_from_frame(*gimbal_rpy_rad)
    return CameraPose(position_m, ENU_FROM_NED @ ned_from_gimbal @ GIMBAL_FROM_CAMERA)
