"""How a camera sits on the vehicle: the chain from camera axes to NED.

Mount axes are those of a camera that looks along x with y to its right and z below it.  With all
angles zero they are the body's axes, and the camera looks forward with the picture upright.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
from pydantic import Field, model_validator

from edge.geo.calibration_file import CalibrationTable, read_table
from edge.geo.rotations import (
    euler_from_matrix,
    is_unit,
    matrix_from_euler,
    matrix_from_quaternion,
    matrix_from_yaw,
)
from edge.records import FloatArray, NoGeotag, Pose, YawReference

Triple = tuple[float, float, float]

# Camera right is mount right, camera down is mount down, camera forward is mount forward.
MOUNT_FROM_CAMERA: FloatArray = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


class MountKind(Enum):
    """What the gimbal's attitude, if any, is relative to."""

    FIXED = "fixed"  # no gimbal: the camera turns with the body
    STABILISED_GIMBAL = "stabilised_gimbal"  # roll and pitch from the horizon
    SERVO_GIMBAL = "servo_gimbal"  # ArduPilot's servo mount: angles in body axes


class MountFile(CalibrationTable):
    """`calibration/mounts/<id>.toml`."""

    id: str = Field(min_length=1)
    kind: MountKind
    boresight_deg: Triple = (0.0, 0.0, 0.0)
    boresight_sigma_deg: float = Field(0.0, ge=0.0, le=45.0)
    lever_arm_m: Triple = (0.0, 0.0, 0.0)
    body_from_camera_deg: Triple | None = None

    @model_validator(mode="after")
    def _fixed_means_angles(self) -> MountFile:
        if (self.kind is MountKind.FIXED) != (self.body_from_camera_deg is not None):
            raise ValueError(
                'body_from_camera_deg = [roll, pitch, yaw] belongs to kind = "fixed", and only '
                "there: a gimbal tells its own angles"
            )
        return self


@dataclass(frozen=True)
class Mount:
    """Extrinsics of one camera.

    `body_from_mount` is what a fixed mount is turned by, None for a gimbal; `mount_from_camera`
    holds the boresight and the change of axes; `lever_arm_m` is the camera (or the gimbal's
    pivot) from the autopilot's position, forward, right, down.
    """

    mount_id: str
    kind: MountKind
    mount_from_camera: FloatArray
    lever_arm_m: Triple
    body_from_mount: FloatArray | None = None
    boresight_sigma_rad: float = 0.0

    def ned_from_camera(self, pose: Pose, ned_from_body: FloatArray) -> FloatArray | NoGeotag:
        """Chain attitude, gimbal and boresight into one matrix, shape (3, 3)."""
        if self.body_from_mount is not None:
            return ned_from_body @ self.body_from_mount @ self.mount_from_camera
        gimbal = pose.gimbal
        if gimbal is None or not is_unit(gimbal.quaternion_wxyz):
            return NoGeotag.NO_ATTITUDE
        gimbal_matrix = matrix_from_quaternion(gimbal.quaternion_wxyz)
        if self.kind is MountKind.SERVO_GIMBAL:
            return ned_from_body @ gimbal_matrix @ self.mount_from_camera
        if gimbal.yaw_reference is YawReference.NORTH:
            return gimbal_matrix @ self.mount_from_camera
        # Roll and pitch are from the horizon already: only the vehicle's yaw is missing.
        _, _, yaw_rad = euler_from_matrix(ned_from_body)
        return matrix_from_yaw(yaw_rad) @ gimbal_matrix @ self.mount_from_camera

    def ned_rates_radps(self, pose: Pose, ned_from_body: FloatArray) -> FloatArray | None:
        """Tell how fast the camera turns, shape (3,), NED; None where the pose has no rates."""
        if self.kind is MountKind.STABILISED_GIMBAL and (
            pose.gimbal is not None and pose.gimbal.yaw_reference is YawReference.NORTH
        ):
            return np.zeros(3)
        if pose.rates_body_radps is None:
            return None
        rates: FloatArray = ned_from_body @ np.array(pose.rates_body_radps)
        if self.kind is MountKind.STABILISED_GIMBAL:  # follows the vehicle in yaw only
            rates[:2] = 0.0
        return rates


def make_mount(file: MountFile) -> Mount:
    """Turn the angles of a mount's file into matrices."""
    boresight = _matrix_from_deg(file.boresight_deg)
    fixed = file.body_from_camera_deg
    return Mount(
        mount_id=file.id,
        kind=file.kind,
        mount_from_camera=boresight @ MOUNT_FROM_CAMERA,
        lever_arm_m=file.lever_arm_m,
        body_from_mount=None if fixed is None else _matrix_from_deg(fixed),
        boresight_sigma_rad=math.radians(file.boresight_sigma_deg),
    )


def read_mount(path: Path) -> Mount:
    """Read `calibration/mounts/<id>.toml`.

    Raises:
        CalibrationError: The file is not usable; the message names file and key.
    """
    return make_mount(read_table(path, MountFile))


def _matrix_from_deg(roll_pitch_yaw_deg: Triple) -> FloatArray:
    roll_rad, pitch_rad, yaw_rad = (math.radians(angle) for angle in roll_pitch_yaw_deg)
    return matrix_from_euler(roll_rad, pitch_rad, yaw_rad)
