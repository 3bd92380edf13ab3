"""The ground that a thing covers, and how far two of them are the same ground."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import shapely

from edge.records import Sighting

Point: TypeAlias = tuple[float, float]  # east, north, m
Bounds: TypeAlias = tuple[float, float, float, float]  # west, south, east, north, m


class Extent:
    """A convex patch of ground; its polygon is built only where one is needed."""

    __slots__ = ("_area_m2", "_polygon", "bounds", "corners")

    def __init__(self, corners: tuple[Point, ...]) -> None:
        if not corners:
            raise ValueError("an extent needs at least one corner, got none")
        self.corners = corners
        easts = [east for east, _ in corners]
        norths = [north for _, north in corners]
        self.bounds: Bounds = (min(easts), min(norths), max(easts), max(norths))
        self._polygon: Any = None
        self._area_m2: float | None = None

    @property
    def polygon(self) -> Any:
        """The convex hull of the corners, a shapely geometry (a point or line when flat)."""
        if self._polygon is None:
            # A line's hull is that of its corners, and five times quicker made than MultiPoint's.
            line = self.corners if len(self.corners) > 1 else self.corners * 2
            self._polygon = shapely.convex_hull(shapely.linestrings(line))
        return self._polygon

    @property
    def area_m2(self) -> float:
        if self._area_m2 is None:
            self._area_m2 = float(self.polygon.area)
        return self._area_m2

    def joined(self, other: Extent) -> Extent:
        """Return the smallest convex patch that holds both."""
        hull = shapely.union(self.polygon, other.polygon).convex_hull
        return Extent(tuple(map(tuple, shapely.get_coordinates(hull).tolist())))


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
    areas = (a.area_m2, b.area_m2)
    if min(areas) <= 0.0:
        return (0.0, 0.0)
    common = float(shapely.intersection(a.polygon, b.polygon).area)
    return (common / (areas[0] + areas[1] - common), min(common / min(areas), 1.0))
