"""Outline and size on the ground of what a box shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.geo.place import Anchors
from edge.geo.view import View
from edge.records import FloatArray

# A box that is all wall has no depth; at most this share of its ground depth is taken for height.
MOST_HEIGHT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Extents:
    """Of N things, in the plane."""

    outline_enu_m: FloatArray  # (N, 4, 2), far left, far right, near right, near left
    has_outline: NDArray[np.bool_]  # False: a corner lies beyond the ground that is seen
    width_m: FloatArray  # (N,), across the line of sight
    depth_m: FloatArray  # (N,), along it; the width where a depth cannot be seen


def limit_height(view: View, corners: FloatArray, top_m: FloatArray) -> FloatArray:
    """Return the height (N,) that boxes leave room for, given the usual one.

    The far corners' rays pass over a thing of height h and meet the ground h·cot(depression)
    behind it: no thing is taken for so high that this would be more than half of the box.

    Args:
        view: Of the frame.
        corners: Shape (4, N, 3), unit, NED, picture order.
        top_m: Shape (N,), usual heights.
    """
    if not top_m.any():
        return top_m
    points, _ = view.cut(view.origins(np.zeros(corners.shape[:2])), corners)
    gap = points[0] + points[1] - points[2] - points[3]
    depth_m = 0.5 * np.hypot(gap[:, 0], gap[:, 1])
    down = (corners[0, :, 2] + corners[1, :, 2]) / 2.0
    tangent = down / np.sqrt(np.maximum(1.0 - down * down, 1e-12))
    room_m = MOST_HEIGHT_SHARE * depth_m * np.maximum(tangent, 0.0)
    height_m: FloatArray = np.fmin(top_m, room_m)  # a far corner in the sky leaves any room
    return height_m


def corner_heights_m(corners: FloatArray, anchors: Anchors) -> FloatArray:
    """Return how high over the ground the corners' rays are cut, shape (4, N).

    Args:
        corners: Shape (4, N, 3), unit, NED, picture order.
        anchors: Which of the things stand on their boxes' bottom edge.
    """
    down = corners[..., 2]
    is_far = down < down.mean(axis=0)  # the shallower corners look over the top of the thing
    heights_m: FloatArray = np.where(is_far & ~anchors.is_base, anchors.top_m, 0.0)
    return heights_m


def extents_of(
    view: View, points_ne_m: FloatArray, is_seen: NDArray[np.bool_], anchors: Anchors
) -> Extents:
    """Make outlines of the corners of N boxes on the ground.

    Args:
        view: Of the frame.
        points_ne_m: Shape (4, N, 2), north and east, picture order.
        is_seen: Shape (4, N): a corner met ground that is near enough.
        anchors: Which of the things stand on their boxes' bottom edge.
    """
    outline = view.enu_from_ned(points_ne_m).transpose(1, 0, 2)  # (N, 4, 2)
    width_m = _mean_side(outline, (0, 3), (1, 2))
    depth_m = _mean_side(outline, (0, 1), (3, 2))
    if anchors.is_base.any():
        width_m = np.where(anchors.is_base, _mean_side(outline, (3, 3), (2, 2)), width_m)
        squares = _squares_behind(outline, view.enu_from_ned(view.camera_ned_m[:2]), width_m)
        outline = np.where(anchors.is_base[:, None, None], squares, outline)
        depth_m = np.where(anchors.is_base, width_m, depth_m)
    has_outline = is_seen[2:].all(axis=0) & (anchors.is_base | is_seen[:2].all(axis=0))
    return Extents(outline, has_outline, width_m, depth_m)


def width_by_slope(metres_per_px: FloatArray, width_px: float) -> float:
    """Return the width of a box whose corners meet no ground, by the scale (2, 2) at its place."""
    return width_px * math.hypot(float(metres_per_px[0, 0]), float(metres_per_px[1, 0]))


def _mean_side(outline: FloatArray, starts: tuple[int, int], ends: tuple[int, int]) -> FloatArray:
    """Return the distance (N,) between the middles of two opposite sides."""
    gap = outline[:, ends[0]] + outline[:, ends[1]] - outline[:, starts[0]] - outline[:, starts[1]]
    return 0.5 * np.hypot(gap[:, 0], gap[:, 1])


def _squares_behind(
    outline: FloatArray, camera_enu_m: FloatArray, side_m: FloatArray
) -> FloatArray:
    """Return squares (N, 4, 2) that stand on the near side and reach away from the camera."""
    near_left, near_right = outline[:, 3], outline[:, 2]
    away = (near_left + near_right) / 2.0 - camera_enu_m
    away = away / np.maximum(np.linalg.norm(away, axis=1), 1e-9)[:, None] * side_m[:, None]
    return np.stack((near_left + away, near_right + away, near_right, near_left), axis=1)
