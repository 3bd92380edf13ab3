"""Points that pictures have in common: where each lies by either picture, and what moves it.

The chain from pixel to place is the flight's own, from `edge/geo`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np

from edge.capture.pose_buffer_math import multiply, quaternion_from_euler
from edge.config import AccuracyConfig, GroundConfig
from edge.geo.camera import Intrinsics
from edge.geo.mount import Mount
from edge.geo.plane import LocalPlane
from edge.geo.view import PIXEL_STEPS_UV, Rig, View
from edge.records import FloatArray, NoGeotag, Pose, YawReference

PosesAt: TypeAlias = "Callable[[float], Sequence[Pose]]"

# Unknowns of the whole flight: about the mount's forward, right, down; heading; time.
N_SHARED = 5
HEADING, TIME = 3, 4
# A feature is found to a fraction of a pixel; the lens is known to about one.
TIE_SIGMA_PX = 1.0
# Matched things stand above the ground or lie below: kerbs, bushes, cars, what RANSAC let pass.
RELIEF_SIGMA_M = 1.0


@dataclass(frozen=True)
class Tie:
    """Points that two pictures show, or whose places are surveyed.

    Attributes:
        first: Index of a look.
        first_uv: Shape (N, 2), px.
        second: Index of the other look; None: surveyed.
        second_uv: Shape (N, 2), px; of surveyed points empty.
        surveyed: Shape (N, 3), lat_deg, lon_deg, amsl_m; else empty.
    """

    first: int
    first_uv: FloatArray
    second: int | None
    second_uv: FloatArray = field(default_factory=lambda: np.empty((0, 2)))
    surveyed: FloatArray = field(default_factory=lambda: np.empty((0, 3)))


@dataclass(frozen=True)
class Problem:
    """A flight's ties and what its pictures were geotagged with.

    Attributes:
        intrinsics: At the pictures' size.
        mount: As it is believed to be.
        poses_at: Returns every look's pose, with all pictures so many seconds later.
        jitter_s: One sigma of a picture's time, as it differs from picture to picture.
        offset_sigma_s: One sigma of what all pictures' times share.
    """

    intrinsics: Intrinsics
    mount: Mount
    poses_at: PosesAt
    ties: Sequence[Tie]
    accuracy: AccuracyConfig = field(default_factory=AccuracyConfig)
    ground: GroundConfig = field(default_factory=GroundConfig)
    jitter_s: float = 0.0
    offset_sigma_s: float = 0.02


@dataclass(frozen=True)
class State:
    """Where the solution stands."""

    mount: Mount
    turned_rad: FloatArray  # (3,), by which the mount was turned so far
    heading_rad: float = 0.0
    offset_s: float = 0.0


@dataclass(frozen=True)
class _Side:
    """N points by one look: places, and how they move with shared and own unknowns."""

    places_m: FloatArray  # (N, 2), east, north
    shared: FloatArray  # (N, 2, 5)
    own: FloatArray  # (N, 2, 7)
    pixel: FloatArray  # (N, 2, 2)
    lift: FloatArray  # (N, 2): per metre that the point stands above the ground


@dataclass(frozen=True)
class Rows:
    """One tie's equations: residual + shared·x + own·y = noise, by 2 for each point."""

    looks: tuple[int, ...]
    residual_m: FloatArray  # (N, 2)
    jacobian: FloatArray  # (N, 2, 5 + 7 × looks)
    whitener: FloatArray  # (N, 2, 2)
    second_m: FloatArray  # (N, 2): east and north by the second look, or the survey


def equations(
    problem: Problem, state: State, poses: Sequence[Pose], plane: LocalPlane
) -> list[Rows]:
    """Write down every tie at the present state."""
    rig = Rig(problem.intrinsics, state.mount, plane, problem.ground, problem.accuracy)
    views = {}
    for look in {look for tie in problem.ties for look in _looks_of(tie)}:
        view = rig.view(problem.intrinsics, _true_to(poses[look], state.heading_rad))
        if not isinstance(view, NoGeotag):  # it has no attitude, or is below the ground
            views[look] = view
    return [
        rows
        for tie in problem.ties
        if all(look in views for look in _looks_of(tie))
        and (rows := _rows(tie, views, poses, (state.mount, plane))) is not None
    ]


def _looks_of(tie: Tie) -> tuple[int, ...]:
    return (tie.first,) if tie.second is None else (tie.first, tie.second)


def _true_to(pose: Pose, heading_rad: float) -> Pose:
    """Take the compass's error out of a pose."""
    if heading_rad == 0.0:
        return pose
    back = quaternion_from_euler(0.0, 0.0, -heading_rad)
    gimbal = pose.gimbal
    if gimbal is not None and gimbal.yaw_reference is YawReference.NORTH:
        gimbal = replace(gimbal, quaternion_wxyz=multiply(back, gimbal.quaternion_wxyz))
    return replace(pose, ned_from_body_wxyz=multiply(back, pose.ned_from_body_wxyz), gimbal=gimbal)


def _rows(
    tie: Tie,
    views: dict[int, View],
    poses: Sequence[Pose],
    mount_and_plane: tuple[Mount, LocalPlane],
) -> Rows | None:
    """Write one tie's equations; None where no point of it has a place twice."""
    mount, plane = mount_and_plane
    view = views[tie.first]
    if tie.second is None:
        heights_m = tie.surveyed[:, 2] - view.ground.ground_amsl_m
        one = _side(view, tie.first_uv, heights_m, poses[tie.first], mount)
        known_m = np.array([plane.enu_from_geodetic(lat, lon) for lat, lon, _ in tie.surveyed])
        residual_m, noise = one.places_m - known_m, one.pixel * TIE_SIGMA_PX
        jacobian = np.concatenate((one.shared, one.own), axis=2)
    else:
        level = np.zeros(len(tie.first_uv))
        one = _side(view, tie.first_uv, level, poses[tie.first], mount)
        two = _side(views[tie.second], tie.second_uv, level, poses[tie.second], mount)
        residual_m = one.places_m - two.places_m
        relief = (one.lift - two.lift)[:, :, None] * RELIEF_SIGMA_M
        noise = np.concatenate((one.pixel * TIE_SIGMA_PX, two.pixel * TIE_SIGMA_PX, relief), axis=2)
        jacobian = np.concatenate((one.shared - two.shared, one.own, -two.own), axis=2)
        known_m = two.places_m
    good = np.isfinite(residual_m).all(axis=1) & np.isfinite(jacobian).all(axis=(1, 2))
    good &= np.isfinite(noise).all(axis=(1, 2))
    if not good.any():
        return None
    covariance = noise[good] @ noise[good].transpose(0, 2, 1)
    whitener = np.linalg.inv(np.linalg.cholesky(covariance))
    return Rows(_looks_of(tie), residual_m[good], jacobian[good], whitener, known_m[good])


def _side(
    view: View, pixels_uv: FloatArray, heights_m: FloatArray, pose: Pose, mount: Mount
) -> _Side:
    """Place N pixels of one look, and differentiate by all that may be wrong."""
    around = np.concatenate([pixels_uv[None], pixels_uv + PIXEL_STEPS_UV[:, None]])  # (5, N, 2)
    rays, in_lens = view.intrinsics.rays_from_pixels(around.reshape(-1, 2))
    rays[~in_lens] = np.nan
    directions = view.ned_from_rays(rays).reshape(5, -1, 3)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        north_east_m, slant_m = view.cut(view.origins(heights_m), directions[0])
        slopes = view.slopes(directions[0], directions[1:], heights_m, slant_m)
    ned_from_mount = view.ned_from_camera @ mount.mount_from_camera.T
    rates = mount.ned_rates_radps(pose, view.ned_from_body)
    turned = slopes.rotation @ ned_from_mount
    per_second = slopes.shift @ np.array(pose.velocity_ned_mps)
    if rates is not None:
        per_second = per_second + slopes.rotation @ rates
    about_down = slopes.rotation[:, :, 2:]
    return _Side(
        places_m=view.enu_from_ned(north_east_m),
        shared=np.concatenate((turned, -about_down, per_second[:, :, None]), axis=2),
        own=np.concatenate((slopes.shift, turned, about_down), axis=2),
        pixel=slopes.pixel,
        lift=slopes.shift[:, :, 2],
    )
