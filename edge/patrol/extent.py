"""The ground that a thing covers, and how far two of them are the same ground."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from edge.records import Sighting

Point: TypeAlias = tuple[float, float]  # east, north, m
Bounds: TypeAlias = tuple[float, float, float, float]  # west, south, east, north, m


class Extent:
    """A convex patch of ground; its hull is worked out only where it is needed."""

    __slots__ = ("_area_m2", "_hull", "bounds", "corners")

    def __init__(self, corners: tuple[Point, ...]) -> None:
        if not corners:
            raise ValueError("an extent needs at least one corner, got none")
        self.corners = corners
        easts = [east for east, _ in corners]
        norths = [north for _, north in corners]
        self.bounds: Bounds = (min(easts), min(norths), max(easts), max(norths))
        self._hull: list[Point] | None = None
        self._area_m2: float | None = None

    @property
    def hull(self) -> list[Point]:
        """The corners of the convex hull, anticlockwise; fewer than three of a flat patch."""
        if self._hull is None:
            self._hull = _convex_hull(self.corners)
        return self._hull

    @property
    def area_m2(self) -> float:
        if self._area_m2 is None:
            self._area_m2 = _area_m2(self.hull)
        return self._area_m2

    def joined(self, other: Extent) -> Extent:
        """Return the smallest convex patch that holds both."""
        return Extent(tuple(_convex_hull(self.corners + other.corners)))


def extent_of(sighting: Sighting) -> Extent:
    """Return the box on the ground; where it has no outline, a rectangle around the place."""
    if sighting.outline_enu_m:
        return Extent(sighting.outline_enu_m)
    bearing_rad = math.radians(sighting.bearing_deg)
    along = (
        math.sin(bearing_rad) * sighting.depth_m / 2,
        math.cos(bearing_rad) * sighting.depth_m / 2,
    )
    across = (
        math.cos(bearing_rad) * sighting.width_m / 2,
        -math.sin(bearing_rad) * sighting.width_m / 2,
    )
    return Extent(
        tuple(
            (
                sighting.east_m + a * along[0] + b * across[0],
                sighting.north_m + a * along[1] + b * across[1],
            )
            for a, b in ((1, 1), (1, -1), (-1, -1), (-1, 1))
        )
    )


def touch(a: Bounds, b: Bounds) -> bool:
    """Tell whether two upright rectangles have a point in common."""
    return a[0] <= b[2] and b[0] <= a[2] and a[1] <= b[3] and b[1] <= a[3]


def overlap(a: Extent, b: Extent) -> tuple[float, float]:
    """Compare two extents.

    Returns:
        Intersection over union, and intersection over the smaller of the two; both 0 to 1.
    """
    if not touch(a.bounds, b.bounds):
        return (0.0, 0.0)
    area_a_m2, area_b_m2 = a.area_m2, b.area_m2
    smaller_m2 = min(area_a_m2, area_b_m2)
    if smaller_m2 <= 0.0:
        return (0.0, 0.0)
    common_m2 = min(_area_m2(_common_ground(a.hull, b.hull)), smaller_m2)
    return (common_m2 / (area_a_m2 + area_b_m2 - common_m2), common_m2 / smaller_m2)


# Patches have four corners or a few more: in plain floats the three below take a quarter of the
# time of a geometry library's calls.


def _convex_hull(points: Iterable[Point]) -> list[Point]:
    """Return the hull's corners, anticlockwise (Andrew's monotone chain)."""
    upwards = sorted(set(points))
    if len(upwards) < 3:
        return upwards
    lower, upper = _right_turns_removed(upwards), _right_turns_removed(upwards[::-1])
    return lower[:-1] + upper[:-1]


def _right_turns_removed(points: Sequence[Point]) -> list[Point]:
    chain: list[Point] = []
    for x, y in points:
        while len(chain) > 1:
            (x0, y0), (x1, y1) = chain[-2], chain[-1]
            if (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0.0:
                break
            chain.pop()
        chain.append((x, y))
    return chain


def _area_m2(hull: Sequence[Point]) -> float:
    """Return the area within anticlockwise corners; from the first, so far from the origin too."""
    if len(hull) < 3:
        return 0.0
    east_m, north_m = hull[0]
    x0 = y0 = twice_m2 = 0.0
    for east, north in hull[1:]:
        x, y = east - east_m, north - north_m
        twice_m2 += x0 * y - x * y0
        x0, y0 = x, y
    return max(twice_m2 / 2.0, 0.0)


def _common_ground(a: Sequence[Point], b: Sequence[Point]) -> Sequence[Point]:
    """Return what two hulls have in common: one cut by each side of the other (Sutherland)."""
    x0, y0 = b[-1]
    for x1, y1 in b:
        if not a:
            break
        east, north = x1 - x0, y1 - y0
        kept: list[Point] = []
        px, py = a[-1]
        p_left = east * (py - y0) - north * (px - x0)
        for qx, qy in a:
            q_left = east * (qy - y0) - north * (qx - x0)
            if (p_left < 0.0) != (q_left < 0.0):
                share = p_left / (p_left - q_left)
                kept.append((px + share * (qx - px), py + share * (qy - py)))
            if q_left >= 0.0:
                kept.append((qx, qy))
            px, py, p_left = qx, qy, q_left
        a = kept
        x0, y0 = x1, y1
    return a
