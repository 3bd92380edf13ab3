"""Named patches of ground that rules refer to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import shapely

from edge.config import ZoneConfig
from edge.patrol.geojson import EnuFromGeodetic, read_polygons


class Zones:
    """Answers whether a place is in a zone, and how far from it.

    A place is a point: the fused one.  Its error is not considered, so a thing on a zone's border
    may fall on either side; draw zones with that margin, or use `near`.  The border is inside.
    """

    def __init__(self, geometries: Mapping[str, Any]) -> None:
        """Take shapely polygons by zone name, east and north in metres."""
        self._geometries = dict(geometries)
        for geometry in self._geometries.values():
            shapely.prepare(geometry)

    @classmethod
    def read(cls, zones: Sequence[ZoneConfig], enu_from_geodetic: EnuFromGeodetic) -> Zones:
        """Read the files of all zones.

        Raises:
            ConfigError: A file is missing or not polygons in WGS 84.
        """
        return cls(
            {
                zone.name: shapely.union_all(
                    [feature.geometry for feature in read_polygons(zone.file, enu_from_geodetic)]
                )
                for zone in zones
            }
        )

    @property
    def names(self) -> frozenset[str]:
        """The zones there are."""
        return frozenset(self._geometries)

    def contains(self, name: str, east_m: float, north_m: float) -> bool:
        """Tell whether a place lies in a zone or on its border; an unknown name is a KeyError."""
        return bool(shapely.intersects_xy(self._geometries[name], east_m, north_m))

    def distance_m(self, name: str, east_m: float, north_m: float) -> float:
        """Return the distance to a zone, 0 inside; an unknown name is a KeyError."""
        return float(shapely.distance(self._geometries[name], shapely.Point(east_m, north_m)))
