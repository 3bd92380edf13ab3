"""The ground that a whole frame shows."""

from __future__ import annotations

import math

import numpy as np

from edge.geo.ground import FlatSurface
from edge.geo.view import View
from edge.records import FloatArray, NoGeotag

# Where the lens model gives out before the picture's corner, the footprint ends there.
PULLS: FloatArray = np.linspace(1.0, 0.5, 11)


def footprint_of(view: View, max_slant_m: float) -> FloatArray | NoGeotag:
    """Return the frame's corners on the ground, shape (4, 2), in the plane, picture order.

    A corner that looks above the horizon or farther than `max_slant_m` is clipped to that slant in
    its own direction.  All four above the horizon: there is no footprint.
    """
    camera = view.intrinsics
    right, bottom = camera.width_px - 0.5, camera.height_px - 0.5  # the picture's very edge
    edge_uv = np.array([[-0.5, -0.5], [right, -0.5], [right, bottom], [-0.5, bottom]])
    rays = _innermost_rays(view, edge_uv)
    if rays is None:
        return NoGeotag.OUTSIDE_LENS
    directions = view.ned_from_rays(rays)
    if not (directions[:, 2] > 0.0).any():
        return NoGeotag.RAY_ABOVE_HORIZON
    origins = view.origins(np.zeros(4))
    points, slant_m = view.cut(origins, directions)
    height_m = view.ground.agl_m - float(view.camera_ned_m[2])
    # Where the terrain is not known, the ground that is seen is taken for level.
    level_m = FlatSurface(view.ground.agl_m).slant_m(origins, directions)
    is_void = np.isnan(slant_m) & ~np.isnan(level_m)
    slant_m = np.where(is_void, level_m, slant_m)
    points = np.where(
        is_void[:, None], origins[:, :2] + level_m[:, None] * directions[:, :2], points
    )
    range_m = math.sqrt(max(max_slant_m**2 - height_m**2, 0.0))
    level = directions[:, :2] / np.maximum(np.linalg.norm(directions[:, :2], axis=1), 1e-9)[:, None]
    clipped = view.camera_ned_m[:2] + range_m * level
    with np.errstate(invalid="ignore"):
        is_seen = slant_m <= max_slant_m
    return view.enu_from_ned(np.where(is_seen[:, None], points, clipped))


def _innermost_rays(view: View, edge_uv: FloatArray) -> FloatArray | None:
    """Return the corners' rays, pulled towards the centre until the lens model inverts."""
    camera = view.intrinsics
    centre_uv = np.array([camera.cx_px, camera.cy_px])
    tries_uv = centre_uv + PULLS[:, None, None] * (edge_uv - centre_uv)  # (11, 4, 2)
    rays, in_lens = camera.rays_from_pixels(tries_uv.reshape(-1, 2))
    in_lens = in_lens.reshape(len(PULLS), 4)
    if not in_lens.any(axis=0).all():
        return None
    outermost: FloatArray = rays.reshape(len(PULLS), 4, 3)[in_lens.argmax(axis=0), np.arange(4)]
    return outermost
