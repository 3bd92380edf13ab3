"""How far a camera turned between two instants: seen in its pictures, and told by the telemetry.

Both are rotation vectors in NED, so that small ones add up and "down" is the turn in yaw.  The two
differ in when: that difference is the video's delay (`delay.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge.geo.camera import Intrinsics
from edge.geo.flow import (
    MAX_FLOW_SIGMA_PX,
    CornerFlow,
    Follow,
    GreyArray,
    Guess,
    Told,
    Unseen,
    fit_turn,
    reduced,
    rotation_vector,
)
from edge.geo.mount import Mount
from edge.geo.rotations import (
    is_unit,
    matrices_from_rotation_vectors,
    matrix_from_quaternion,
)
from edge.records import FloatArray, Frame, NoGeotag, NoPose, Pose

DARK_GREYS = 6.0  # a picture with a standard deviation below this shows nothing to follow
MIN_AGL_M = 3.0
# How well height and speed over the ground are known, beside the turn.
SHIFT_SHARE, SHIFT_FLOOR = 0.1, 0.002
GYRO_REACH_S = 0.08  # from an instant to the nearest sample: messages at 6 Hz and more
JITTER_S = 0.03  # how far one frame's time may be off, beside the delay of all


@dataclass(frozen=True, slots=True)
class SeenTurn:
    """The camera's turn between two pictures; times as the pictures carry them, mono_ns.

    Attributes:
        turn_ned_rad: Shape (3,), rotation vector.
        sigma_rad: Of it, as the points' scatter has it.
    """

    start_ns: int
    end_ns: int
    turn_ned_rad: FloatArray
    sigma_rad: float
    n_points: int


@dataclass(frozen=True, slots=True)
class Still:
    """One reduced grey picture, ready to be followed into the next; it keeps no full frame."""

    grey: GreyArray
    mono_ns: int
    pose: Pose


@dataclass(frozen=True)
class TurnWatcher:
    """Sees how a camera turns, in pictures reduced to `width_px`."""

    intrinsics: Intrinsics
    mount: Mount
    width_px: int = 480
    follow: Follow | None = None  # None: corners by optical flow
    dark_greys: float = DARK_GREYS
    max_flow_sigma_px: float = MAX_FLOW_SIGMA_PX

    def still(self, frame: Frame, pose: Pose | NoPose) -> Still | Unseen:
        """Reduce a frame; dark ones and those without a pose are named."""
        if isinstance(pose, NoPose):
            return Unseen.NO_POSE
        if not is_unit(pose.ned_from_body_wxyz):
            return Unseen.NO_ATTITUDE
        grey = reduced(frame.image_bgr, self.width_px)
        if float(cv2.meanStdDev(grey)[1][0, 0]) < self.dark_greys:
            return Unseen.DARK
        return Still(grey, frame.captured_mono_ns, pose)

    def turn(self, first: Still, second: Still) -> SeenTurn | Unseen:
        """See the turn from one picture to the next.

        Their times may jitter past each other: leaving such out would favour late frames.
        """
        if first.grey.shape != second.grey.shape:
            return Unseen.FRAME_SIZE
        if second.mono_ns - first.mono_ns <= -JITTER_S * 1e9:
            return Unseen.NOT_IN_ORDER
        told = self._told(first.pose, second.pose)
        if isinstance(told, Unseen):
            return told
        camera = self._scaled(first.grey)
        if camera is None:
            return Unseen.FRAME_SIZE
        follow = self.follow or CornerFlow()
        matched = follow(first.grey, second.grey, Guess(camera, told))
        if isinstance(matched, Unseen):
            return matched
        fit = fit_turn(camera, matched, told, self.max_flow_sigma_px)
        if isinstance(fit, Unseen):
            return fit
        turn_rad, sigma_rad, n_points = fit
        return SeenTurn(
            first.mono_ns, second.mono_ns, told.ned_from_camera @ turn_rad, sigma_rad, n_points
        )

    def _told(self, first: Pose, second: Pose) -> Told | Unseen:
        """Take from the telemetry where the ground is and what to expect."""
        ned_from_body = matrix_from_quaternion(first.ned_from_body_wxyz)
        before = self.mount.ned_from_camera(first, ned_from_body)
        after = self.mount.ned_from_camera(
            second, matrix_from_quaternion(second.ned_from_body_wxyz)
        )
        if isinstance(before, NoGeotag) or isinstance(after, NoGeotag):
            return Unseen.NO_ATTITUDE
        agl_m = first.above_home_m if first.terrain_agl_m is None else first.terrain_agl_m
        dt_s = (second.mono_ns - first.mono_ns) * 1e-9
        height_m = max(MIN_AGL_M, agl_m)
        shift_ned_m = np.array(first.velocity_ned_mps) * dt_s
        return Told(
            ned_from_camera=before,
            turn_rad=rotation_vector(before.T @ after),
            shift=before.T @ shift_ned_m / height_m,
            shift_sigma=SHIFT_SHARE * float(np.linalg.norm(shift_ned_m)) / height_m
            + JITTER_S * float(np.linalg.norm(first.velocity_ned_mps)) / height_m
            + SHIFT_FLOOR,
            down=before[2],
        )

    def _scaled(self, grey: GreyArray) -> Intrinsics | None:
        height, width = grey.shape
        aspect = self.intrinsics.width_px / self.intrinsics.height_px
        # Rows are rounded to whole ones: a percent of the aspect, as for any frame.
        if not abs(width / height / aspect - 1.0) <= 0.01:
            return None
        return self.intrinsics.scaled_to(width, height)


def told_turns(poses: Sequence[Pose | NoPose], mount: Mount) -> FloatArray:
    """Add up how the telemetry says that the camera turned, pose by pose, in NED.

    The vehicle's part comes from its turn rates (the gyro is prompt where an attitude may be
    filtered), the gimbal's from its reports.  Rates of a slow log say little of what happened
    between them: there the attitudes are taken.  Poses follow each other closely, 0.05 s or less.

    Returns:
        Shape (N, 3), the turn from the first pose; NaN where there is no pose, and the sum goes on
        behind it.
    """
    turned = np.full((len(poses), 3), np.nan)
    total, last = np.zeros(3), None
    reaches_s = [pose.reach_s for pose in poses if isinstance(pose, Pose)]
    by_gyro = bool(reaches_s) and float(np.quantile(reaches_s, 0.9)) <= GYRO_REACH_S
    for i, pose in enumerate(poses):
        usable = isinstance(pose, Pose) and is_unit(pose.ned_from_body_wxyz)
        if usable and last is not None:
            step = _told_step((last, pose), mount, by_gyro)  # type: ignore[arg-type]
            usable = step is not None
            total = total if step is None else total + step
        last = pose if usable and isinstance(pose, Pose) else None
        if last is not None:
            turned[i] = total
    return turned


def _told_step(pair: tuple[Pose, Pose], mount: Mount, by_gyro: bool) -> FloatArray | None:
    first, second = pair
    ned_from_body = matrix_from_quaternion(first.ned_from_body_wxyz)
    if by_gyro and first.rates_body_radps is not None and second.rates_body_radps is not None:
        rates = 0.5 * (np.array(first.rates_body_radps) + np.array(second.rates_body_radps))
        dt_s = (second.mono_ns - first.mono_ns) * 1e-9
        later = ned_from_body @ matrices_from_rotation_vectors(rates[None] * dt_s)[0]
    else:
        later = matrix_from_quaternion(second.ned_from_body_wxyz)
    before, after = (
        mount.ned_from_camera(first, ned_from_body),
        mount.ned_from_camera(second, later),
    )
    if isinstance(before, NoGeotag) or isinstance(after, NoGeotag):
        return None
    return rotation_vector(after @ before.T)
