"""One camera at one instant over one ground: cuts view rays with it.

Points are in NED metres from the vehicle's position until they are put into the plane.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.config import AccuracyConfig, GroundConfig
from edge.geo.camera import Intrinsics
from edge.geo.ground import Ground, Known, ground_beneath
from edge.geo.mount import Mount
from edge.geo.plane import LocalPlane
from edge.geo.rotations import is_unit, matrices_from_rotation_vectors, matrix_from_quaternion
from edge.geo.terrain import TerrainTile
from edge.records import FloatArray, NoGeotag, Pose

# Steps of the central differences: small against any curvature, large against rounding.
ROTATION_STEP_RAD = 1e-3
SHIFT_STEP_M = 0.1
PIXEL_STEP_PX = 0.5

# Rows: +north, -north, +east, -east, +down, -down.
_AXES: FloatArray = np.repeat(np.eye(3), 2, axis=0) * np.tile([1.0, -1.0], 3)[:, None]
_TURNS: FloatArray = matrices_from_rotation_vectors(_AXES * ROTATION_STEP_RAD)
_SHIFTS: FloatArray = _AXES * SHIFT_STEP_M
# Pixels to either side of an anchor, in the order that `slopes` takes.
PIXEL_STEPS_UV: FloatArray = PIXEL_STEP_PX * np.array([[1, 0], [-1, 0], [0, 1], [0, -1]])


@dataclass(frozen=True, slots=True)
class Slopes:
    """How N ground places move with what is uncertain; east, north of the plane."""

    rotation: FloatArray  # (N, 2, 3), m per rad about north, east, down
    shift: FloatArray  # (N, 2, 3), m per m of the camera north, east, down
    pixel: FloatArray  # (N, 2, 2), m per px right, down

    @property
    def is_finite(self) -> NDArray[np.bool_]:
        """Shape (N,): False where a step of the differences met no ground."""
        steps = np.concatenate((self.rotation, self.shift, self.pixel), axis=2)
        return np.asarray(np.isfinite(steps).all(axis=(1, 2)))

    @property
    def gsd_m_per_px(self) -> FloatArray:
        """Shape (N,): the root of the ground area that a pixel covers."""
        (right_e, down_e), (right_n, down_n) = self.pixel.transpose(1, 2, 0)
        gsd: FloatArray = np.sqrt(np.abs(right_e * down_n - down_e * right_n))
        return gsd


@dataclass(frozen=True, slots=True)
class View:
    """The whole chain of one frame, ready to cut rays."""

    intrinsics: Intrinsics
    ned_from_camera: FloatArray  # (3, 3)
    ned_from_body: FloatArray  # (3, 3)
    camera_ned_m: FloatArray  # (3,), the lever arm in NED
    ground: Ground
    vehicle_enu_m: FloatArray  # (2,), in the plane
    enu_from_ne: FloatArray  # (2, 2), turns true north, east into the plane's east, north

    def ned_from_rays(self, rays_camera: FloatArray) -> FloatArray:
        """Turn rays, shape (..., 3), into unit NED directions of the same shape."""
        rays_ned = rays_camera @ self.ned_from_camera.T
        unit: FloatArray = rays_ned / np.sqrt((rays_ned * rays_ned).sum(axis=-1, keepdims=True))
        return unit

    def origins(self, heights_m: FloatArray) -> FloatArray:
        """Return ray origins, shape heights_m.shape + (3,), for cuts that high over the ground.

        Cutting at h above the ground is cutting the ground from a camera h lower.
        """
        origins = np.empty((*heights_m.shape, 3))
        origins[...] = self.camera_ned_m
        origins[..., 2] += heights_m
        return origins

    def cut(self, origins_m: FloatArray, directions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (north, east) from the vehicle, shape (..., 2), and slant, shape (...); or NaN."""
        slant_m = self.ground.surface.slant_m(origins_m, directions)
        return origins_m[..., :2] + slant_m[..., None] * directions[..., :2], slant_m

    def enu_from_ned(self, north_east_m: FloatArray) -> FloatArray:
        """Put points, shape (..., 2), into the plane as (east, north)."""
        points: FloatArray = self.vehicle_enu_m + north_east_m @ self.enu_from_ne.T
        return points

    def slopes(
        self,
        directions: FloatArray,
        nudged: FloatArray,
        heights_m: FloatArray,
        slant_m: FloatArray,
    ) -> Slopes:
        """Differentiate N cuts by attitude, position and pixel, all in one batch.

        Each cut moves on the plane that touches the ground where its ray met it.

        Args:
            directions: Shape (N, 3), unit, NED.
            nudged: Shape (4, N, 3), the same for the pixels at `PIXEL_STEPS_UV` aside.
            heights_m: Shape (N,), of the cuts over the ground.
            slant_m: Shape (N,), of the cuts.
        """
        origins, rays = np.empty((2, 16, *directions.shape))
        origins[:] = self.origins(heights_m)
        hits = origins[0] + slant_m[:, None] * directions
        origins[6:12] += _SHIFTS[:, None, :]
        rays[0:6] = directions @ _TURNS.transpose(0, 2, 1)
        rays[6:12] = directions
        rays[12:16] = nudged
        normals = np.ones((len(directions), 3))  # into the ground
        normals[:, :2] = self.ground.surface.gradients(hits[:, :2])
        into = (rays * normals).sum(axis=-1)
        slants = ((hits - origins) * normals).sum(axis=-1) / np.where(into > 0.0, into, np.nan)
        points = origins[..., :2] + slants[..., None] * rays[..., :2]
        differences = (points[0::2] - points[1::2]) @ (0.5 * self.enu_from_ne.T)  # (8, N, 2)
        columns = differences.transpose(1, 2, 0)
        return Slopes(
            rotation=columns[:, :, 0:3] / ROTATION_STEP_RAD,
            shift=columns[:, :, 3:6] / SHIFT_STEP_M,
            pixel=columns[:, :, 6:8] / PIXEL_STEP_PX,
        )


@dataclass(frozen=True, slots=True)
class Rig:
    """What a camera's views have in common from frame to frame."""

    intrinsics: Intrinsics
    mount: Mount
    plane: LocalPlane
    ground: GroundConfig
    accuracy: AccuracyConfig
    terrain: TerrainTile | None = None

    def view(self, intrinsics: Intrinsics, pose: Pose) -> View | NoGeotag:
        """Set up the chain for one pose, or say what it lacks."""
        if not is_unit(pose.ned_from_body_wxyz):
            return NoGeotag.NO_ATTITUDE
        ned_from_body = matrix_from_quaternion(pose.ned_from_body_wxyz)
        ned_from_camera = self.mount.ned_from_camera(pose, ned_from_body)
        if isinstance(ned_from_camera, NoGeotag):
            return ned_from_camera
        ground = self._ground(pose, ned_from_body)
        if isinstance(ground, NoGeotag):
            return ground
        camera_ned_m = ned_from_body @ np.array(self.mount.lever_arm_m)
        if not ground.agl_m - camera_ned_m[2] > 0.0:  # also refuses NaN
            return NoGeotag.BELOW_GROUND
        turn_rad = self.plane.convergence_rad(pose.lat_deg, pose.lon_deg)
        sin, cos = math.sin(turn_rad), math.cos(turn_rad)
        return View(
            intrinsics=intrinsics,
            ned_from_camera=ned_from_camera,
            ned_from_body=ned_from_body,
            camera_ned_m=camera_ned_m,
            ground=ground,
            vehicle_enu_m=np.array(self.plane.enu_from_geodetic(pose.lat_deg, pose.lon_deg)),
            enu_from_ne=np.array([[sin, cos], [cos, -sin]]),
        )

    def _ground(self, pose: Pose, ned_from_body: FloatArray) -> Ground | NoGeotag:
        known = Known(pose, ned_from_body, self.accuracy, self.terrain)
        return ground_beneath(known, self.ground)
