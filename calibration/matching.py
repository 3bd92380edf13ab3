"""Features of pictures laid flat on the ground, and which of them two pictures share.

Every picture is first drawn as seen from straight above, north up, with the chain as it is: so
pictures of other headings and other pitches look alike, and false matches lie far apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from calibration.overlap import Pair, Seen, inside
from calibration.tied import Tie
from edge.geo.view import View
from edge.records import FloatArray, ImageArray

CHART_PX = 900  # the longer side of the ground as it is drawn
MAX_RANGE_SHARE = 2.0  # ground farther from the camera's foot than so many heights is not drawn
N_FEATURES = 1800
CONTRAST = 0.02  # pictures of shade, of dusk and of haze have little
RATIO = 0.75
RANSAC_PX = 3.0
MIN_MATCHES = 12
TIES_PER_PAIR = 40
# How far apart the places of one thing may be before anything is calibrated.
SEARCH_M, SEARCH_SHARE = 15.0, 0.3
_EVEN = cv2.createCLAHE(4.0, (8, 8))  # some pictures are dark
_MARGIN = np.ones((15, 15), np.uint8)  # px of a picture's edge, where a feature would be its own


@dataclass(frozen=True)
class Features:
    """Features of one picture.

    Attributes:
        pixels_uv: Shape (N, 2), of the picture.
        places_m: Shape (N, 2), east and north in the plane, by the chain as it is.
        looks: Shape (N, 128), descriptors.
        m_per_px: Of the chart that they were found on.
        agl_m: Of the camera.
    """

    pixels_uv: FloatArray
    places_m: FloatArray
    looks: NDArray[np.float32]
    m_per_px: float
    agl_m: float


def features_of(image_bgr: ImageArray, view: View, seen: Seen) -> Features:
    """Find features on the ground that a picture shows.

    Args:
        image_bgr: The picture.
        view: Its chain, at its size.
        seen: What it shows of the ground.
    """
    low, size_m = _extent(view, seen)
    # Finer than the picture itself would show nothing more.
    m_per_px = max(float(size_m.max()) / CHART_PX, view.ground.agl_m / view.intrinsics.fx_px)
    width, height = (max(1, math.ceil(side / m_per_px)) for side in size_m.tolist())
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    places = _places(np.stack([columns.ravel(), rows.ravel()], axis=1), low, size_m, m_per_px)
    uv = _pixels(view, places).reshape(height, width, 2)
    grey = np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), np.uint8)
    grey = _softened(np.asarray(_EVEN.apply(grey), np.uint8), view, m_per_px)
    chart = _drawn(grey, uv, cv2.INTER_LINEAR)
    mask = cv2.erode(_drawn(np.full_like(grey, 255), uv, cv2.INTER_NEAREST), _MARGIN)
    sift: Any = cv2
    points, looks = sift.SIFT_create(N_FEATURES, contrastThreshold=CONTRAST).detectAndCompute(
        chart, mask
    )
    found = np.array([point.pt for point in points], dtype=np.float64).reshape(-1, 2)
    places = _places(found, low, size_m, m_per_px)
    # Beyond the picture's corners a lens model may fold back into the picture.
    is_own = inside(places, seen.corners_m)
    if looks is None:
        looks = np.empty((0, 128), np.float32)
    uv = _pixels(view, places[is_own])
    return Features(uv, places[is_own], looks[is_own], m_per_px, view.ground.agl_m)


def _drawn(grey: NDArray[np.uint8], uv: FloatArray, how: int) -> NDArray[np.uint8]:
    """Draw a picture by where each pixel of the chart lies in it; black where it does not."""
    at = np.ascontiguousarray(np.nan_to_num(uv, nan=-1e4).transpose(2, 0, 1), dtype=np.float32)
    drawn = cv2.remap(grey, at[0], at[1], how, borderMode=cv2.BORDER_CONSTANT)
    return np.asarray(drawn, np.uint8)


def match(pair: Pair, one: Features, two: Features, seen: tuple[Seen, Seen]) -> Tie | None:
    """Match two pictures' features; None where too few agree.

    Args:
        pair: Which looks they are of.
        one: Of the first.
        two: Of the second.
        seen: What either shows.
    """
    first = np.flatnonzero(inside(one.places_m, seen[1].corners_m))
    second = np.flatnonzero(inside(two.places_m, seen[0].corners_m))
    if min(len(first), len(second)) < MIN_MATCHES:
        return None
    both = cv2.BFMatcher().knnMatch(one.looks[first], two.looks[second], k=2)
    good = [best for best, other in both if best.distance < RATIO * other.distance]
    a = first[[pair.queryIdx for pair in good]] if good else first[:0]
    b = second[[pair.trainIdx for pair in good]] if good else second[:0]
    reach_m = max(SEARCH_M, SEARCH_SHARE * one.agl_m)
    near = np.linalg.norm(one.places_m[a] - two.places_m[b], axis=1) < reach_m
    a, b = a[near], b[near]
    if len(a) < MIN_MATCHES:
        return None
    limit_m = RANSAC_PX * max(one.m_per_px, two.m_per_px)
    middle = one.places_m[a].mean(axis=0)
    homography, is_true = cv2.findHomography(
        one.places_m[a] - middle, two.places_m[b] - middle, cv2.RANSAC, limit_m
    )
    if homography is None or int(is_true.sum()) < MIN_MATCHES:
        return None
    kept = np.flatnonzero(is_true.ravel())
    kept = np.random.default_rng([pair.first, pair.second]).permutation(kept)[:TIES_PER_PAIR]
    return Tie(pair.first, one.pixels_uv[a[kept]], pair.second, two.pixels_uv[b[kept]])


def _extent(view: View, seen: Seen) -> tuple[FloatArray, FloatArray]:
    """Return the least east and north of what is drawn, and its size: (2,) each."""
    foot_m = view.enu_from_ned(view.camera_ned_m[:2])
    reach_m = MAX_RANGE_SHARE * view.ground.agl_m
    low = np.maximum(seen.corners_m.min(axis=0), foot_m - reach_m)
    high = np.minimum(seen.corners_m.max(axis=0), foot_m + reach_m)
    return low, np.maximum(high - low, 1.0)


def _places(
    chart_xy: FloatArray, low_m: FloatArray, size_m: FloatArray, m_per_px: float
) -> FloatArray:
    """Turn chart pixels, shape (N, 2), into east and north; the chart's top is north."""
    across, down = chart_xy.T * m_per_px
    places: FloatArray = np.stack([low_m[0] + across, low_m[1] + size_m[1] - down], axis=1)
    return places


def _pixels(view: View, places_m: FloatArray) -> FloatArray:
    """Return where the picture shows level ground at (east, north), shape (N, 2)."""
    north_east = (places_m - view.vehicle_enu_m) @ np.linalg.inv(view.enu_from_ne).T
    rays_ned = np.column_stack([north_east, np.full(len(places_m), view.ground.agl_m)])
    rays = (rays_ned - view.camera_ned_m) @ view.ned_from_camera
    rays[rays[:, 2] <= 1e-3] = np.nan  # behind the camera
    return view.intrinsics.pixels_from_rays(rays)


def _softened(grey: NDArray[np.uint8], view: View, m_per_px: float) -> NDArray[np.uint8]:
    """Blur away what the chart is too coarse for: it would come out as noise."""
    finer = m_per_px * view.intrinsics.fx_px / max(view.ground.agl_m, 1.0)
    if finer <= 1.2:
        return grey
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 0.5 * finer), np.uint8)
