"""Least squares of a lens and of every board's pose, for any lens model, with sigmas.

The projection is the aircraft's own (`edge.geo`), so what is solved is what is flown, and it is the
same in every version of OpenCV.  Pixels are (u, v); camera axes x right, y down, z forward.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calibration.board import BoardView
from edge.geo.camera import Intrinsics
from edge.geo.lenses import lens_of
from edge.geo.rotations import matrices_from_rotation_vectors
from edge.records import FloatArray

N_PINHOLE = 4  # fx, fy, cx, cy come before the lens's coefficients
STEP = 1e-6  # of central differences, relative: rounding and curvature both stay below 1e-9
MAX_ROUNDS = 60
SETTLED = 1e-6  # of the cost, relative, twice running: a millionth of the RMS error
LEAST_DAMPING, MOST_DAMPING = 1e-9, 1e8
UNHELD = 1e-13  # eigenvalue, of values scaled alike: rounding errors only
# Beyond so many robust sigmas an error counts in proportion only (Huber).
HUBER = 2.5
HUBER_FLOOR_PX = 0.1


@dataclass(frozen=True)
class Observations:
    """Corners of V views, P in all."""

    views: tuple[BoardView, ...]

    @cached_property
    def board_m(self) -> FloatArray:
        """Shape (P, 3)."""
        return np.concatenate([view.board_m for view in self.views])

    @cached_property
    def pixels_uv(self) -> FloatArray:
        """Shape (P, 2)."""
        return np.concatenate([view.pixels_uv for view in self.views])

    @cached_property
    def starts(self) -> NDArray[np.intp]:
        """Where each view's corners begin, shape (V,)."""
        return np.cumsum([0] + [len(view.pixels_uv) for view in self.views[:-1]])

    @cached_property
    def of_view(self) -> NDArray[np.intp]:
        """Whose each corner is, shape (P,)."""
        return np.repeat(np.arange(len(self.views)), [len(v.pixels_uv) for v in self.views])


@dataclass(frozen=True)
class Poses:
    """Where V boards were, seen from the camera."""

    camera_from_board: FloatArray  # (V, 3, 3)
    board_in_camera_m: FloatArray  # (V, 3)

    def moved(self, steps: FloatArray) -> Poses:
        """Turn and shift each by a step, shape (V, 6): radians about x y z, then metres."""
        turns = matrices_from_rotation_vectors(steps[:, :3])
        return Poses(turns @ self.camera_from_board, self.board_in_camera_m + steps[:, 3:])

    def rays(self, seen: Observations) -> FloatArray:
        """Return the corners in camera axes, shape (P, 3)."""
        turns = self.camera_from_board[seen.of_view]
        rays: FloatArray = np.einsum("pij,pj->pi", turns, seen.board_m)
        return rays + self.board_in_camera_m[seen.of_view]


@dataclass(frozen=True)
class Fit:
    """A lens, the boards' poses, and what is left."""

    model: str
    size_px: tuple[int, int]
    values: FloatArray  # fx, fy, cx, cy, coefficients
    free: NDArray[np.bool_]  # which of the values were solved
    poses: Poses
    seen: Observations
    weights: FloatArray  # (P,)
    residuals_px: FloatArray  # (P, 2), seen less projected
    covariance: FloatArray  # of the values; zero where one was not solved

    @property
    def sigmas(self) -> FloatArray:
        """One sigma of each value."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    @property
    def rms_px(self) -> float:
        """Root of the mean squared distance between corners seen and projected."""
        return float(np.sqrt((self.residuals_px**2).sum(axis=1).mean()))

    @property
    def view_rms_px(self) -> FloatArray:
        """The same view by view, shape (V,)."""
        squares = np.add.reduceat((self.residuals_px**2).sum(axis=1), self.seen.starts)
        rms: FloatArray = np.sqrt(squares / np.bincount(self.seen.of_view))
        return rms

    @property
    def tilts_deg(self) -> FloatArray:
        """How far each board is turned from facing the camera squarely, shape (V,)."""
        facing = np.abs(self.poses.camera_from_board[:, 2, 2])
        tilts: FloatArray = np.degrees(np.arccos(np.minimum(facing, 1.0)))
        return tilts

    def intrinsics(self, camera_id: str) -> Intrinsics:
        """Make the intrinsics that fly."""
        return intrinsics_of(self.model, self.size_px, self.values, camera_id, self.rms_px)


def intrinsics_of(
    model: str, size_px: tuple[int, int], values: FloatArray, camera_id: str = "", rms_px: float = 0
) -> Intrinsics:
    """Make intrinsics of fx, fy, cx, cy and a lens's coefficients."""
    fx_px, fy_px, cx_px, cy_px, *coefficients = (float(value) for value in values)
    return Intrinsics(
        camera_id, *size_px, fx_px, fy_px, cx_px, cy_px, lens_of(model, coefficients), rms_px
    )


@dataclass(frozen=True)
class Guess:
    """Where the search is."""

    model: str
    size_px: tuple[int, int]
    values: FloatArray
    poses: Poses

    def residuals(self, seen: Observations) -> FloatArray:
        """Return seen less projected, shape (P, 2); NaN where the lens sees nothing."""
        camera = intrinsics_of(self.model, self.size_px, self.values)
        return seen.pixels_uv - camera.pixels_from_rays(self.poses.rays(seen))

    def moved(self, free: NDArray[np.bool_], lens_step: FloatArray, steps: FloatArray) -> Guess:
        values = self.values.copy()
        values[free] += lens_step
        return replace(self, values=values, poses=self.poses.moved(steps))

    def slopes(self, seen: Observations, free: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
        """Return how projections move, (P, 2, n) by free values and (P, 2, 6) by each pose."""
        n_views = len(seen.views)
        none, still = np.zeros(np.count_nonzero(free)), np.zeros((n_views, 6))
        by_lens, by_pose = [], []
        for i, value in enumerate(self.values[free]):
            step = np.zeros_like(none)
            step[i] = STEP * max(1.0, abs(value))
            ends = [self.moved(free, s, still).residuals(seen) for s in (-step, step)]
            by_lens.append((ends[0] - ends[1]) / (2.0 * step[i]))
        reach = np.linalg.norm(self.poses.board_in_camera_m, axis=1)
        for j in range(6):
            steps = still.copy()
            steps[:, j] = STEP * (reach if j >= 3 else 1.0)
            ends = [self.moved(free, none, s).residuals(seen) for s in (-steps, steps)]
            by_pose.append((ends[0] - ends[1]) / (2.0 * steps[seen.of_view, j, None]))
        lens = np.stack(by_lens, axis=-1) if by_lens else np.zeros((*seen.pixels_uv.shape, 0))
        return lens, np.stack(by_pose, axis=-1)


@dataclass(frozen=True)
class _Normal:
    """Normal equations, the poses' blocks apart: A over values, B between, C over each pose."""

    a: FloatArray  # (n, n)
    b: FloatArray  # (V, n, 6)
    c: FloatArray  # (V, 6, 6)
    of_lens: FloatArray  # (n,), right-hand sides
    of_poses: FloatArray  # (V, 6)

    @classmethod
    def of(cls, state: Guess, seen: Observations, fit: tuple[FloatArray, FloatArray],
           free: NDArray[np.bool_]) -> _Normal:  # fmt: skip
        residuals, weights = fit
        lens, pose = state.slopes(seen, free)
        weighted = pose * weights[:, None, None]
        per_view = seen.starts
        return cls(
            np.einsum("pki,pkj->ij", lens * weights[:, None, None], lens),
            np.add.reduceat(np.einsum("pki,pkj->pij", lens, weighted), per_view),
            np.add.reduceat(np.einsum("pki,pkj->pij", pose, weighted), per_view),
            np.einsum("pki,pk->i", lens * weights[:, None, None], residuals),
            np.add.reduceat(np.einsum("pki,pk->pi", weighted, residuals), per_view),
        )

    def step(self, damping: float) -> tuple[FloatArray, FloatArray]:
        """Solve for a step of values, (n,), and poses, (V, 6), by Schur's complement."""
        a = self.a + damping * np.diag(np.diag(self.a))
        c = self.c + damping * np.einsum("vij,ij->vij", self.c, np.eye(6))
        b_by_c = self.b @ np.linalg.inv(c)
        schur = a - np.einsum("vij,vkj->ik", b_by_c, self.b)
        right = self.of_lens - np.einsum("vij,vj->i", b_by_c, self.of_poses)
        of_lens = np.linalg.solve(schur, right) if len(right) else right
        back = self.of_poses - np.einsum("vij,i->vj", self.b, of_lens)
        return of_lens, np.linalg.solve(c, back[..., None])[..., 0]

    def covariance(self) -> FloatArray:
        """Return the values' covariance for errors of one pixel, shape (n, n)."""
        schur = self.a - np.einsum("vij,vkj->ik", self.b @ np.linalg.inv(self.c), self.b)
        scale = np.sqrt(np.diag(schur))
        if not (np.isfinite(schur).all() and (scale > 0.0).all()):
            return np.full_like(schur, np.inf)
        sizes, axes = np.linalg.eigh(schur / np.outer(scale, scale))
        # What the views do not hold at all is uncertain, not certain: no pseudo-inverse.
        inverse = (axes / np.maximum(sizes, UNHELD)) @ axes.T
        covariance: FloatArray = inverse / np.outer(scale, scale)
        return covariance


def huber_weights(residuals: FloatArray) -> FloatArray:
    """Return weights, shape (P,): 1 near the fit, less for what is far from it."""
    error = np.hypot(*residuals.T)
    # The median of a circular Gaussian's length is 1.177 sigma.
    reach = max(HUBER * float(np.median(error)) / 1.177, HUBER_FLOOR_PX)
    weights: FloatArray = np.minimum(1.0, reach / np.maximum(error, 1e-12))
    return weights


def refine(
    guess: Fit | Guess, seen: Observations, free: NDArray[np.bool_], *, robust: bool = True
) -> Fit:
    """Search the least squares from a guess by Levenberg's and Marquardt's method.

    Args:
        guess: Where to start.
        seen: The corners.
        free: Which of fx, fy, cx, cy, coefficients to solve; none: the boards' poses only.
        robust: Weigh corners that stand out less.
    """
    state = Guess(guess.model, guess.size_px, guess.values, guess.poses)
    left, damping, n_settled = state.residuals(seen), 1e-3, 0
    normal: _Normal | None = None  # where the search is; None: it has moved
    for _ in range(MAX_ROUNDS):
        weights = huber_weights(left) if robust else np.ones(len(left))
        cost = _cost(left, weights)
        normal = normal or _Normal.of(state, seen, (left, weights), free)
        moved = _tried(normal, state, free, damping)
        further = None if moved is None else moved.residuals(seen)
        if moved is None or further is None or not _cost(further, weights) <= cost:
            damping *= 10.0
            if damping > MOST_DAMPING:
                break
            continue
        n_settled = n_settled + 1 if cost - _cost(further, weights) < SETTLED * cost else 0
        state, left, normal, damping = moved, further, None, max(damping / 10.0, LEAST_DAMPING)
        if n_settled == 2:
            break
    weights = huber_weights(left) if robust else np.ones(len(left))
    return _fit(state, seen, free, left, weights)


def _tried(normal: _Normal, state: Guess, free: NDArray[np.bool_], damping: float) -> Guess | None:
    try:
        return state.moved(free, *normal.step(damping))
    except np.linalg.LinAlgError:  # singular: more damping makes it regular
        return None


def _cost(residuals: FloatArray, weights: FloatArray) -> float:
    return float((weights * (residuals**2).sum(axis=1)).sum())


def _fit(
    state: Guess,
    seen: Observations,
    free: NDArray[np.bool_],
    left: FloatArray,
    weights: FloatArray,
) -> Fit:
    normal = _Normal.of(state, seen, (left, weights), free)
    n_free = np.count_nonzero(free) + 6 * len(seen.views)
    variance = _cost(left, weights) / max(2 * len(left) - n_free, 1)
    covariance = np.zeros((len(free), len(free)))
    covariance[np.ix_(free, free)] = normal.covariance() * variance
    return Fit(
        state.model, state.size_px, state.values, free, state.poses, seen, weights, left, covariance
    )
