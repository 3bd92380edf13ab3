"""Where the search for a lens starts: a focal length, and each board's pose for a known lens."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from calibration.board import BoardView
from calibration.lens_fit import N_PINHOLE, Guess, Observations, Poses, intrinsics_of
from edge.geo.camera import Intrinsics
from edge.geo.lenses import coefficient_names
from edge.records import FloatArray

FOCALS: FloatArray = np.geomspace(0.15, 5.0, 30)  # of the picture's width, tried at the start
STARTING_VIEWS = 10


def first_guess(views: Sequence[BoardView], model: str) -> FloatArray:
    """Try focal lengths for a lens without distortion; return the values that fit best."""
    chosen = views[:: max(1, len(views) // STARTING_VIEWS)]
    seen, size_px = Observations(tuple(chosen)), views[0].size_px
    best, best_px = np.empty(0), np.inf
    for share in FOCALS:
        focal_px = share * size_px[0]
        values = np.zeros(N_PINHOLE + len(coefficient_names(model)))
        values[:N_PINHOLE] = focal_px, focal_px, (size_px[0] - 1) / 2, (size_px[1] - 1) / 2
        camera = intrinsics_of(model, size_px, values)
        left = seen.pixels_uv - camera.pixels_from_rays(poses_seen(camera, seen).rays(seen))
        error_px = float(np.median(np.hypot(*left.T)))
        if error_px < best_px:  # NaN is not
            best, best_px = values, error_px
    if not np.isfinite(best_px):
        raise ValueError("no focal length explains the views")
    return best


def poses_seen(camera: Intrinsics, seen: Observations) -> Poses:
    """Find each board's pose for a known lens, each through a plane that faces it."""
    turns, places = [], []
    for view in seen.views:
        rays, is_inside = camera.rays_from_pixels(view.pixels_uv)
        rays = rays / np.linalg.norm(rays, axis=1, keepdims=True)
        facing = _facing(rays[is_inside].sum(axis=0)) if is_inside.any() else np.eye(3)
        turned = rays @ facing.T
        usable = is_inside & (turned[:, 2] > 0.1)
        turn: FloatArray = np.eye(3)
        place: FloatArray = np.array([0.0, 0.0, 1.0])
        if np.count_nonzero(usable) >= N_PINHOLE:
            plane_xy = turned[usable, :2] / turned[usable, 2:]
            is_found, turn_vector, shift = cv2.solvePnP(
                view.board_m[usable], plane_xy, np.eye(3), np.zeros(0), flags=cv2.SOLVEPNP_IPPE
            )
            if is_found:
                turn = np.asarray(cv2.Rodrigues(turn_vector)[0], np.float64)
                place = np.asarray(shift, np.float64).ravel()
        turns.append(facing.T @ turn)
        places.append(facing.T @ place)
    return Poses(np.array(turns), np.array(places))


def _facing(axis: FloatArray) -> FloatArray:
    """Return the turn, shape (3, 3), that brings an axis to straight ahead."""
    z = axis / max(float(np.linalg.norm(axis)), 1e-12)
    x = np.cross((0.0, 1.0, 0.0) if abs(z[1]) < 0.9 else (1.0, 0.0, 0.0), z)
    x = x / np.linalg.norm(x)
    return np.array([x, np.cross(z, x), z])


def start(views: Sequence[BoardView], model: str, values: FloatArray) -> Guess:
    """Make a guess of values and of the poses that they give."""
    seen, size_px = Observations(tuple(views)), views[0].size_px
    return Guess(model, size_px, values, poses_seen(intrinsics_of(model, size_px, values), seen))
