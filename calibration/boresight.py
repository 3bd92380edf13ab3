"""Solves how a camera sits on its mount from ground that its pictures have in common.

Every matched point should have one place, whichever picture it is geotagged from; every surveyed
point its own.  What is left between them is told apart by how each unknown moves the places: the
mount's three angles, the compass's constant error, the pictures' delay, and (drift.py) what every
single pose is wrong by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.drift import N_PER_LOOK, LookErrors, information, look_errors
from calibration.tied import HEADING, N_SHARED, TIME, Problem, Rows, State, equations
from edge.errors import UnconstrainedError
from edge.geo.mount import MOUNT_FROM_CAMERA, Mount
from edge.geo.plane import LocalPlane
from edge.geo.rotations import (
    euler_from_matrix,
    matrices_from_rotation_vectors,
    matrix_from_quaternion,
)
from edge.records import FloatArray, NoGeotag, Pose

# How far off a mount may be built, one sigma: holds what a flight says nothing of.
BUILT_SIGMA_RAD = math.radians(5.0)
HEADING_SIGMA_RAD = math.radians(20.0)
OFFSET_SIGMA_S = 1.0
MAX_OFFSET_STEP_S = 0.25  # the slopes by time are good for that long
HUBER_SIGMAS = 2.0
MAX_ROUNDS = 15
DONE_RAD = math.radians(0.002)
DONE_S = 1e-4


@dataclass(frozen=True)
class Wanted:
    """What is solved beside the three angles."""

    heading: bool = False
    time: bool = False


@dataclass(frozen=True)
class Gaps:
    """Where each tied point lies by either picture; east and north, metres."""

    first_m: FloatArray  # (N, 2)
    second_m: FloatArray  # (N, 2); of surveyed points the survey

    @property
    def lengths_m(self) -> FloatArray:
        """Shape (N,)."""
        lengths: FloatArray = np.linalg.norm(self.first_m - self.second_m, axis=1)
        return lengths

    @property
    def median_m(self) -> float:
        """NaN of nothing."""
        return float(np.median(self.lengths_m)) if len(self.first_m) else math.nan


@dataclass(frozen=True)
class Solution:
    """How the camera sits, how sure that is, and what it mends.

    Heading is what the compass reads too much, offset what is to be added to the pictures' times.
    """

    mount: Mount
    sigmas_rad: FloatArray  # (3,), about the mount's forward (roll), right (pitch), down (yaw)
    heading_rad: float
    heading_sigma_rad: float
    offset_s: float
    offset_sigma_s: float
    before: Gaps
    after: Gaps
    poses: Sequence[Pose]

    @property
    def boresight_deg(self) -> tuple[float, float, float]:
        """Roll, pitch, yaw, as in a mount's file."""
        return boresight_deg(self.mount)


def boresight_deg(mount: Mount) -> tuple[float, float, float]:
    """Return a mount's boresight angles as its file has them: roll, pitch, yaw."""
    roll, pitch, yaw = euler_from_matrix(mount.mount_from_camera @ MOUNT_FROM_CAMERA.T)
    return math.degrees(roll), math.degrees(pitch), math.degrees(yaw)


@dataclass(frozen=True)
class _Round:
    """One round's outcome."""

    step: FloatArray  # (5,), of what the whole flight shares
    own: FloatArray  # (5 + 7 × looks,), the step and what each look is wrong by
    covariance: FloatArray  # (5, 5)


def solve(problem: Problem, wanted: Wanted = Wanted()) -> Solution:
    """Solve by robust least squares, the chain taken anew in every round.

    Raises:
        UnconstrainedError: Nothing ties the pictures.
    """
    state = State(problem.mount, np.zeros(3))
    poses = problem.poses_at(0.0)
    if not problem.ties or not poses:
        raise UnconstrainedError(
            "no two pictures show the same ground: fly lines that cross, in daylight, over ground "
            "with texture"
        )
    plane = LocalPlane(poses[0].lat_deg, poses[0].lon_deg)
    rows = equations(problem, state, poses, plane)
    if not rows:
        raise UnconstrainedError(
            "no tied point has a place: does the flight have attitudes, and the mount its kind?"
        )
    before = _gaps(rows)
    own = np.zeros(N_SHARED + N_PER_LOOK * len(poses))
    for _ in range(MAX_ROUNDS):
        done = _round(problem, wanted, state, (rows, poses, own))
        own = done.own
        state, poses = _moved(problem, wanted, state, done.step, poses)
        rows = equations(problem, state, poses, plane)
        if np.abs(done.step[:4]).max() < DONE_RAD and abs(done.step[TIME]) < DONE_S:
            break
    sigmas = np.sqrt(np.diag(done.covariance))
    return Solution(
        mount=state.mount,
        sigmas_rad=sigmas[:3],
        heading_rad=state.heading_rad,
        heading_sigma_rad=float(sigmas[HEADING]),
        offset_s=state.offset_s,
        offset_sigma_s=float(sigmas[TIME]),
        before=before,
        after=_gaps(rows),
        poses=poses,
    )


def _moved(
    problem: Problem, wanted: Wanted, state: State, step: FloatArray, poses: Sequence[Pose]
) -> tuple[State, Sequence[Pose]]:
    """Take a step of what was asked for."""
    turn = matrices_from_rotation_vectors(step[None, :3])[0]
    moved = State(
        replace(state.mount, mount_from_camera=turn @ state.mount.mount_from_camera),
        state.turned_rad + step[:3],
        state.heading_rad + float(step[HEADING]),
        state.offset_s + float(step[TIME]),
    )
    return moved, problem.poses_at(moved.offset_s) if wanted.time else poses


def _round(
    problem: Problem,
    wanted: Wanted,
    state: State,
    flown: tuple[Sequence[Rows], Sequence[Pose], FloatArray],
) -> _Round:
    """Solve the linear equations of one round.

    Args:
        problem: Whose ties they are.
        wanted: What is moved by it.
        state: At which they were written down.
        flown: The equations, the poses, and what the last round found of each look.
    """
    rows, poses, known = flown
    normal, right = _prior(problem, wanted, state, poses)
    squares, n_points = 0.0, 0
    for row in rows:
        at = _columns(row, len(poses))
        jacobian = row.whitener @ row.jacobian
        residual = (row.whitener @ row.residual_m[:, :, None])[:, :, 0]
        # What the shared unknowns moved by last is in the residual already.
        left = np.linalg.norm(residual + jacobian[:, :, N_SHARED:] @ known[at[N_SHARED:]], axis=1)
        weight = np.minimum(1.0, HUBER_SIGMAS / np.maximum(left, 1e-12))
        flat = jacobian.reshape(-1, len(at))
        weighted = flat * np.repeat(weight, 2)[:, None]
        normal[np.ix_(at, at)] += weighted.T @ flat
        right[at] -= weighted.T @ residual.reshape(-1)
        squares += float((weight * left**2).sum())
        n_points += len(left)
    covariance = np.asarray(np.linalg.inv(normal), np.float64)
    own = np.asarray(covariance @ right, np.float64)
    step = own[:N_SHARED].copy()
    step[HEADING] *= wanted.heading
    step[TIME] = np.clip(step[TIME], -MAX_OFFSET_STEP_S, MAX_OFFSET_STEP_S) * wanted.time
    worse = max(1.0, squares / (2.0 * n_points))  # than the sigmas that the weights are made of
    return _Round(step, own, covariance[:N_SHARED, :N_SHARED] * worse)


def _columns(row: Rows, n_looks: int) -> list[int]:
    """Return which unknowns a tie's Jacobian is of: shared ones, then seven of each look."""
    ways = range(N_PER_LOOK)
    own = [N_SHARED + way * n_looks + look for look in row.looks for way in ways]
    return [*range(N_SHARED), *own]


def _prior(
    problem: Problem, wanted: Wanted, state: State, poses: Sequence[Pose]
) -> tuple[FloatArray, FloatArray]:
    """Return the normal equations of what is known without any tie."""
    n_looks = len(poses)
    normal = np.zeros((N_SHARED + N_PER_LOOK * n_looks,) * 2)
    right = np.zeros(len(normal))
    built = 1.0 / BUILT_SIGMA_RAD**2
    # Not asked for, the compass is taken at its word; the time at its sigma's.
    heading = 1.0 / HEADING_SIGMA_RAD**2 if wanted.heading else 1e12
    time = 1.0 / (OFFSET_SIGMA_S if wanted.time else max(problem.offset_sigma_s, 1e-4)) ** 2
    weights = np.array([built, built, built, heading, time])
    values = np.array([*state.turned_rad, state.heading_rad, state.offset_s])
    normal[range(N_SHARED), range(N_SHARED)] = weights
    right[:N_SHARED] = -weights * values
    errors = [_errors(problem, state, pose) for pose in poses]
    times_s = np.array([pose.mono_ns for pose in poses]) * 1e-9
    for way, matrix in enumerate(information(errors, times_s - times_s[0], state.mount.kind)):
        at = slice(N_SHARED + way * n_looks, N_SHARED + (way + 1) * n_looks)
        normal[at, at] = matrix
    return normal, right


def _errors(problem: Problem, state: State, pose: Pose) -> LookErrors:
    ned_from_body = matrix_from_quaternion(pose.ned_from_body_wxyz)
    ned_from_camera = state.mount.ned_from_camera(pose, ned_from_body)
    if isinstance(ned_from_camera, NoGeotag):  # then no tie has it either
        ned_from_camera = ned_from_body @ state.mount.mount_from_camera
    ned_from_mount = ned_from_camera @ state.mount.mount_from_camera.T
    return look_errors(pose, ned_from_mount, state.mount, problem.accuracy, problem.jitter_s)


def _gaps(rows: Sequence[Rows]) -> Gaps:
    second_m = np.concatenate([row.second_m for row in rows])
    return Gaps(second_m + np.concatenate([row.residual_m for row in rows]), second_m)
