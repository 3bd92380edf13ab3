"""Zones, grid cells and event codes come from files that people draw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from edge.config import ZoneConfig
from edge.errors import ConfigError
from edge.patrol.codes import DEFAULT_EVENT_CODES, read_event_codes
from edge.patrol.geojson import read_polygons
from edge.patrol.grid import Grid
from edge.patrol.zones import Zones
from edge.records import CLASS_NUMBERS


def enu_from_geodetic(lat_deg: float, lon_deg: float) -> tuple[float, float]:
    """A plane for tests: metres from (31.5, 120.3), good enough over a district."""
    return ((lon_deg - 120.3) * 95_000.0, (lat_deg - 31.5) * 111_000.0)


def ring(west: float, south: float, east: float, north: float) -> list[list[float]]:
    """A closed ring in degrees around a box in metres."""
    corners = [(west, south), (east, south), (east, north), (west, north), (west, south)]
    return [[120.3 + e / 95_000.0, 31.5 + n / 111_000.0] for e, n in corners]


def polygon(*box: float, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": "Polygon", "coordinates": [ring(*box)]},
    }


def write(path: Path, *features: dict[str, Any]) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_a_zone_is_every_polygon_of_its_file(tmp_path: Path) -> None:
    """Several polygons, holes too, make one zone; its border is inside."""
    hollow = polygon(100, 0, 200, 100)
    hollow["geometry"]["coordinates"].append(ring(140, 40, 160, 60))
    file = write(tmp_path / "port.geojson", polygon(0, 0, 50, 50), hollow)
    zones = Zones.read([ZoneConfig(name="port", file=file)], enu_from_geodetic)
    assert zones.contains("port", 25, 25)
    assert zones.contains("port", 120, 20)
    assert not zones.contains("port", 150, 50)
    assert not zones.contains("port", 75, 25)
    assert zones.distance_m("port", 75, 25) == pytest.approx(25.0, abs=1e-3)
    assert zones.distance_m("port", 25, 25) == 0.0


@pytest.mark.parametrize("bare", ["Polygon", "MultiPolygon", "Feature"])
def test_a_file_may_be_one_bare_geometry(tmp_path: Path, bare: str) -> None:
    """What drawing tools export is taken, collection or not."""
    feature = polygon(0, 0, 50, 50)
    geometry = feature["geometry"]
    if bare == "MultiPolygon":
        geometry = {"type": bare, "coordinates": [geometry["coordinates"]]}
    document = feature if bare == "Feature" else geometry
    path = tmp_path / "zone.json"
    path.write_text(json.dumps(document))
    (found,) = read_polygons(path, enu_from_geodetic)
    assert found.geometry.area == pytest.approx(2500.0, rel=1e-6)


east_or_north = st.integers(-2000, 2000).map(lambda tenths: tenths / 10)


@given(east=east_or_north, north=east_or_north)
def test_inside_is_distance_zero(east: float, north: float) -> None:
    """A place is in a zone exactly when it is no distance from it."""
    zones = Zones({"zone": shapely.Polygon([(0, 0), (100, 10), (80, 90), (20, 60)])})
    assert zones.contains("zone", east, north) == (zones.distance_m("zone", east, north) == 0.0)


BOW_TIE = [[120.3, 31.5], [120.301, 31.501], [120.301, 31.5], [120.3, 31.501], [120.3, 31.5]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "line 1: not JSON"),
        ("[]", "holds an object, not list"),
        ('{"type": "FeatureCollection"}', "'features' must be a list"),
        ('{"type": "FeatureCollection", "features": []}', "no polygon in it"),
        ('{"type": "FeatureCollection", "features": [3]}', "feature 0 is not a GeoJSON Feature"),
        ('{"type": "Point", "coordinates": [1, 2]}', "feature 0: geometry is Point"),
        ('{"type": "Feature", "geometry": null}', "feature 0: geometry is nothing"),
        ('{"type": "Polygon", "coordinates": []}', "feature 0: a polygon has no ring"),
        ('{"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}', "four positions"),
        ('{"type": "Polygon", "coordinates": [[[0,0],[1,0],[1,1],[0,1]]]}', "not closed"),
        ('{"type": "Polygon", "coordinates": [[[0,0],[1,0],["a",1],[0,0]]]}', "not \\[longitude"),
        ('{"type": "Polygon", "coordinates": [[[31,120],[31,121],[32,121],[31,120]]]}', "order is"),
        (json.dumps({"type": "Polygon", "coordinates": [BOW_TIE]}), "Self-intersection"),
        ('{"type": "Polygon", "crs": {"properties": {"name": "EPSG:3857"}}}', "export it in WGS"),
        ('{"type": "Polygon", "coordinates": [[[NaN,0],[1,0],[1,1],[NaN,0]]]}', "not \\[longitude"),
    ],
)
def test_a_file_that_is_no_zone_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    """Each fault names the file and, where there is one, the feature."""
    path = tmp_path / "zone.geojson"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_polygons(path, enu_from_geodetic)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    """The message says which path is wrong."""
    with pytest.raises(ConfigError, match=r"nowhere\.geojson: cannot be read"):
        read_polygons(tmp_path / "nowhere.geojson", enu_from_geodetic)


def test_a_place_on_a_border_is_in_the_cell_with_the_lowest_id(tmp_path: Path) -> None:
    """The answer does not depend on the order of the file."""
    cells = [polygon(100, 0, 200, 100, id="020"), polygon(0, 0, 100, 100, id="010")]
    for order in (cells, cells[::-1]):
        grid = Grid.read(write(tmp_path / "grid.geojson", *order), "id", enu_from_geodetic)
        assert grid.cell_at(50, 50) == "010"
        assert grid.cell_at(150, 50) == "020"
        assert grid.cell_at(500, 50) == ""
    both = Grid([("020", shapely.box(100, 0, 200, 100)), ("010", shapely.box(0, 0, 100, 100))])
    assert both.cell_at(100, 50) == "010"


def test_no_grid_has_no_cells() -> None:
    """Without a grid file every place is in no cell."""
    assert Grid.read(None, "id", enu_from_geodetic).cell_at(0, 0) == ""


@pytest.mark.parametrize("value", ["", "1" * 21, 1.5, None, True])
def test_a_cell_id_is_text_of_1_to_20_characters(tmp_path: Path, value: object) -> None:
    """Anything else is refused with the feature's index."""
    file = write(
        tmp_path / "g.geojson", polygon(0, 0, 9, 9, id="1"), polygon(9, 0, 18, 9, id=value)
    )
    with pytest.raises(ConfigError, match="feature 1: id ="):
        Grid.read(file, "id", enu_from_geodetic)


def test_a_missing_id_lists_what_there_is(tmp_path: Path) -> None:
    """The message names the properties that could have been meant."""
    file = write(tmp_path / "g.geojson", polygon(0, 0, 9, 9, code="1"))
    with pytest.raises(ConfigError, match=r"no property 'id' \(it has: code\)"):
        Grid.read(file, "id", enu_from_geodetic)
    assert Grid.read(file, "code", enu_from_geodetic).cell_at(5, 5) == "1"


def test_the_shipped_codes_are_of_known_labels() -> None:
    """The default mapping is readable and names no label that does not exist."""
    codes = read_event_codes()
    assert set(codes) <= set(CLASS_NUMBERS)
    assert codes["structure"] == "0101"
    assert "DIFFERS BETWEEN CITIES" in DEFAULT_EVENT_CODES.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("structure = 101", r"codes\.toml:1: structure = 101: must be text"),
        ('a = "1"\n\nb = ""', r"codes\.toml:3: b = '': must be text"),
        ('a = "123456789"', "1 to 8 characters"),
        ('[structure]\ncode = "1"', r"codes\.toml:1: structure"),
        ("a = '1'\n'open pit. deep' = 2", r"codes\.toml:2: open pit\. deep = 2: must be text"),
        ("structure 0101", "not TOML"),
    ],
)
def test_a_bad_code_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    """The message says file, line, label and what a code is."""
    path = tmp_path / "codes.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_event_codes(path)
