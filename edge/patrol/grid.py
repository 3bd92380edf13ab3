"""The city's management grid: which cell a place is in (单元网格)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import shapely

from edge.errors import ConfigError
from edge.patrol.geojson import EnuFromGeodetic, PolygonFeature, read_polygons

MAX_ID_CHARACTERS = 20


class Grid:
    """Finds the cell of a place.  Ids are text: digits whose leading zeros count."""

    def __init__(self, cells: Sequence[tuple[str, Any]] = ()) -> None:
        """Take (id, shapely polygon) pairs; an id may come with several polygons."""
        self._ids = [cell_id for cell_id, _ in cells]
        self._tree = shapely.STRtree([polygon for _, polygon in cells])

    @classmethod
    def read(cls, path: Path | None, id_property: str, enu_from_geodetic: EnuFromGeodetic) -> Grid:
        """Read the cells of a GeoJSON file; no file makes a grid without cells.

        Raises:
            ConfigError: The file is not polygons in WGS 84, or one has no usable id.
        """
        if path is None:
            return cls()
        features = read_polygons(path, enu_from_geodetic)
        return cls([(_id_of(path, feature, id_property), feature.geometry) for feature in features])

    def __len__(self) -> int:
        return len(self._ids)

    def cell_at(self, east_m: float, north_m: float) -> str:
        """Return the id of the cell of a place, "" where there is none.

        On a border shared by cells the lowest id wins, so that the answer never depends on the
        order of the file.
        """
        hits = self._tree.query(shapely.Point(east_m, north_m), predicate="intersects")
        return min((self._ids[index] for index in hits.tolist()), default="")

    def is_in_one_cell(self, rim_m: Sequence[tuple[float, float]]) -> bool:
        """Tell whether an area, by the points of its rim, lies within a single cell."""
        return bool(self._tree.query(shapely.Polygon(rim_m), predicate="covered_by").size)


def _id_of(path: Path, feature: PolygonFeature, id_property: str) -> str:
    where = f"{path}: feature {feature.index}"
    if id_property not in feature.properties:
        known = ", ".join(sorted(feature.properties)) or "none"
        raise ConfigError(
            f"{where} has no property {id_property!r} (it has: {known}); "
            f"set district.grid_id_property"
        )
    value = feature.properties[id_property]
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)  # many GIS exports write digits as a number
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID_CHARACTERS:
        raise ConfigError(
            f"{where}: {id_property} = {value!r} must be text of 1 to {MAX_ID_CHARACTERS} "
            f"characters"
        )
    return value
