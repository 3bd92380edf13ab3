"""How two pictures of the ground lie on each other: the camera's turn between them, and its shift.

Points are followed from one to the other, and a turn and a shift over flat ground are fitted to
them; what stands up from the ground, or drives, is left out as it disagrees.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.geo.camera import Intrinsics
from edge.geo.rotations import matrices_from_rotation_vectors
from edge.records import FloatArray, ImageArray

GreyArray = NDArray[np.uint8]

MIN_POINTS = 12  # six unknowns, twice over
MIN_SHARE = 0.4  # of the points must move as one piece of ground would
# A point that moves otherwise than the ground by more than this is a roof, a car or a mistake.
FLOW_SIGMA_PX = 0.25
MAX_FLOW_SIGMA_PX = 1.0  # the points' own scatter; beyond, nothing was followed at all
HORIZON_COS = 0.17  # rays flatter than 10° meet the ground too far away to matter
_FIT_STEPS = 5
_TUKEY = 4.685  # the usual biweight: 95 % as efficient as least squares


class Unseen(Enum):
    """Why no turn can be seen between two pictures."""

    NO_POSE = "no_pose"
    NO_ATTITUDE = "no_attitude"
    DARK = "dark"  # black, or without any contrast
    NO_FEATURES = "no_features"  # open water, fog: nothing to follow
    NO_FIT = "no_fit"  # what was followed does not move as ground does
    NOT_IN_ORDER = "not_in_order"  # the later picture is not later, by more than jitter
    FRAME_SIZE = "frame_size"


@dataclass(frozen=True, slots=True)
class Told:
    """What the telemetry says of two pictures; camera axes of the first."""

    ned_from_camera: FloatArray  # (3, 3), of the first
    turn_rad: FloatArray  # (3,)
    shift: FloatArray  # (3,), how far the camera went, in heights over the ground
    shift_sigma: float
    down: FloatArray  # (3,), unit


@dataclass(frozen=True, slots=True)
class Guess:
    """Where the telemetry expects what a picture shows in the next one."""

    camera: Intrinsics
    told: Told

    def pixels(self, from_px: FloatArray) -> FloatArray:
        """Move pixels, (N, 2), of ground; what is no ground stays where it is."""
        rays, is_inside = self.camera.rays_from_pixels(from_px)
        is_ground = is_inside & (rays @ self.told.down > HORIZON_COS)
        rays[~is_ground] = self.told.down
        ahead = _moved(rays, self.told.down, self.told.turn_rad, self.told.shift)
        is_ground &= ahead[:, 2] > 0.1
        to_px = from_px.copy()
        to_px[is_ground] = self.camera.pixels_from_rays(ahead[is_ground])
        return np.asarray(to_px)


class Follow(Protocol):
    """Finds again in a second grey picture what a first one shows."""

    def __call__(
        self, first: GreyArray, second: GreyArray, guess: Guess
    ) -> tuple[FloatArray, FloatArray] | Unseen:
        """Return pixels of the same things in both pictures, each (N, 2)."""
        ...


def reduced(image_bgr: ImageArray, width_px: int) -> GreyArray:
    """Return a grey picture of about that width; narrower ones keep their size."""
    height, width = image_bgr.shape[:2]
    if width > width_px:
        size = width_px, round(height * width_px / width)
        image_bgr = np.asarray(cv2.resize(image_bgr, size, interpolation=cv2.INTER_AREA), np.uint8)
    return np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), np.uint8)


def rotation_vector(matrix: FloatArray) -> FloatArray:
    """Return axis times angle, shape (3,), of a rotation by less than half a turn."""
    axis = np.array(
        [matrix[2, 1] - matrix[1, 2], matrix[0, 2] - matrix[2, 0], matrix[1, 0] - matrix[0, 1]]
    )
    sin, cos = float(np.linalg.norm(axis)) / 2.0, (float(np.trace(matrix)) - 1.0) / 2.0
    angle = float(np.arctan2(sin, cos))
    vector: FloatArray = axis * (0.5 if sin < 1e-9 else angle / (2.0 * sin))
    return vector


@dataclass(frozen=True, slots=True)
class CornerFlow:
    """Follows corners from one picture to the next by optical flow: for videos."""

    n_points: int = 150

    def __call__(
        self, first: GreyArray, second: GreyArray, guess: Guess
    ) -> tuple[FloatArray, FloatArray] | Unseen:
        apart_px = max(5.0, first.shape[1] / 40.0)
        corners = cv2.goodFeaturesToTrack(first, self.n_points, 0.01, apart_px)
        if corners is None or len(corners) < MIN_POINTS:
            return Unseen.NO_FEATURES
        from_px = corners.reshape(-1, 2).astype(np.float64)
        to_px, status, _ = cv2.calcOpticalFlowPyrLK(
            first,
            second,
            _as_points(from_px),
            _as_points(guess.pixels(from_px)),
            winSize=(15, 15),
            maxLevel=3,
            criteria=(cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 20, 0.02),
            flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
            minEigThreshold=1e-3,
        )
        kept = status[:, 0] == 1
        return from_px[kept], to_px[kept, 0].astype(np.float64)


def _as_points(pixels_uv: FloatArray) -> NDArray[np.float32]:
    return np.ascontiguousarray(pixels_uv, np.float32).reshape(-1, 1, 2)


def _moved(
    rays: FloatArray, down: FloatArray, turn_rad: FloatArray, shift: FloatArray
) -> FloatArray:
    """Return where ground points seen along rays, (N, 3), lie after a turn and a shift, (N, 3)."""
    camera_from_next = matrices_from_rotation_vectors(turn_rad[None])[0]
    points: FloatArray = (rays / (rays @ down)[:, None] - shift) @ camera_from_next
    return points


def fit_turn(
    camera: Intrinsics, matched: tuple[FloatArray, FloatArray], told: Told, max_sigma_px: float
) -> tuple[FloatArray, float, int] | Unseen:
    """Take matched pixels to rays, those of the ground alone, and solve for the turn.

    Args:
        camera: At the size of the pictures.
        matched: Pixels of the same things in the first and the second, each (N, 2).
        told: What to expect.
        max_sigma_px: The points' scatter, at most.

    Returns:
        The turn, rotation vector in the first picture's camera axes, shape (3,); its sigma; how
        many points agree.
    """
    rays, is_inside = camera.rays_from_pixels(matched[0])
    to_rays, to_is_inside = camera.rays_from_pixels(matched[1])
    kept = is_inside & to_is_inside & (rays @ told.down > HORIZON_COS)
    if int(kept.sum()) < MIN_POINTS:
        return Unseen.NO_FEATURES
    px = 1.0 / camera.fx_px
    turn_rad, sigma_rad, is_good, scatter = _solve(rays[kept], to_rays[kept, :2], told, px)
    n_points = int(is_good.sum())
    is_ground = n_points >= MIN_POINTS and n_points >= MIN_SHARE * len(is_good)
    if not is_ground or not scatter <= max_sigma_px * px:
        return Unseen.NO_FIT
    return turn_rad, sigma_rad, n_points


def _solve(
    rays: FloatArray, to_xy: FloatArray, told: Told, px: float
) -> tuple[FloatArray, float, NDArray[np.bool_], float]:
    """Solve for turn and shift by robust Gauss-Newton.

    Returns:
        The turn, its sigma, which points agree, shape (N,), and their scatter, infinite where
        there is no solution.

    The shift, in heights over the ground, is held to what height and speed allow: seen from
    straight above, a shift and a tilt look nearly the same.
    """
    turn, shift = told.turn_rad.copy(), told.shift.copy()
    tight = 1.0 / told.shift_sigma**2
    scale = MAX_FLOW_SIGMA_PX * 4.0 * px
    for step_no in range(_FIT_STEPS):
        points = _moved(rays, told.down, turn, shift)
        depth = points[:, 2]
        if not bool((depth > 0.05).all()):
            return turn, math.inf, np.zeros(len(rays), np.bool_), math.inf
        miss = to_xy - points[:, :2] / depth[:, None]
        norms = np.linalg.norm(miss, axis=1)
        if step_no:
            scale = max(FLOW_SIGMA_PX * px, 1.4826 * float(np.median(norms)) / 1.1774)
        else:  # a guess may be off by several pixels, all points alike
            scale = max(scale, 2.0 * float(np.median(norms)))
        weights = np.maximum(0.0, 1.0 - (norms / (_TUKEY * scale)) ** 2) ** 2
        jacobian = _jacobian(points, turn)
        weighted = jacobian * (weights / scale**2)[:, None, None]
        normal = np.einsum("nia,nib->ab", weighted, jacobian)
        right = np.einsum("nia,ni->a", weighted, miss)
        normal[range(3, 6), range(3, 6)] += tight
        right[3:] += tight * (told.shift - shift)
        change = np.linalg.solve(normal, right)
        turn, shift = _turned_on(turn, change[:3]), shift + change[3:]
    sigma = float(np.sqrt(np.linalg.inv(normal)[:3, :3].trace() / 3.0))
    return turn, sigma, np.asarray(norms < _TUKEY * scale, np.bool_), scale


def _turned_on(turn_rad: FloatArray, more_rad: FloatArray) -> FloatArray:
    """Chain a turn and a small one in the axes after it."""
    one, other = matrices_from_rotation_vectors(np.stack([turn_rad, more_rad]))
    return rotation_vector(one @ other)


def _jacobian(points: FloatArray, turn_rad: FloatArray) -> FloatArray:
    """Differentiate projections of points, (N, 3), by turn and shift: (N, 2, 6)."""
    x, y, z = points.T
    zero = np.zeros_like(x)
    project = np.stack(
        [np.stack([1 / z, zero, -x / z**2], 1), np.stack([zero, 1 / z, -y / z**2], 1)], 1
    )
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    next_from_camera = matrices_from_rotation_vectors(turn_rad[None])[0].T
    by_shift = np.broadcast_to(-next_from_camera, cross.shape)
    jacobian: FloatArray = project @ np.concatenate([cross, by_shift], axis=2)
    return jacobian
