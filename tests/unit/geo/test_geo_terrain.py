"""Laws of terrain tiles: heights, first hits, files, and what elevation models become."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points

from edge.errors import TerrainError
from edge.geo.terrain import (
    TerrainSurface,
    TerrainTile,
    metres_per_degree,
    read_tile,
    write_tile,
)
from edge.geo.terrain_import import Around, datum_of, import_tile

LAT, LON = 31.5, 120.3
CELL_M = 5.0
HALF = 160  # nodes to each side


def tile_of(heights_m: np.ndarray, lon_deg: float = LON) -> TerrainTile:
    """Lay heights around the place, row 0 in the north."""
    north_m, east_m = metres_per_degree(LAT)
    rows, cols = heights_m.shape
    step_lat, step_lon = CELL_M / north_m, CELL_M / east_m
    return TerrainTile(
        heights_m,
        LAT + step_lat * (rows - 1) / 2,
        lon_deg - step_lon * (cols - 1) / 2,
        step_lat,
        step_lon,
        "egm96",
        "test",
    )


def hills(seed: int = 0, steep_m: float = 20.0) -> TerrainTile:
    """Smooth hills of some tens of metres."""
    rng = np.random.default_rng(seed)
    north, east = np.mgrid[HALF : -HALF - 1 : -1, -HALF : HALF + 1] * CELL_M
    heights = np.full(north.shape, 40.0)
    for _ in range(6):
        kx, ky = rng.normal(0, 1 / 60.0, 2)
        heights += steep_m / 3 * np.sin(kx * east + ky * north + rng.uniform(0, 6))
    return tile_of(heights)


HILLS = hills()
NO_ORIGIN = np.zeros((1, 3))


def ray(bearing_deg: float, depression_deg: float) -> np.ndarray:
    """Return one unit ray, NED, shape (1, 3)."""
    bearing, down = math.radians(bearing_deg), math.radians(depression_deg)
    flat = math.cos(down)
    return np.array([[flat * math.cos(bearing), flat * math.sin(bearing), math.sin(down)]])


@given(
    row=st.floats(0, 2 * HALF),
    col=st.floats(0, 2 * HALF),
    slopes=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
)
def test_a_plane_s_heights_come_back_anywhere(
    row: float, col: float, slopes: tuple[float, float]
) -> None:
    """Bilinear interpolation is exact on a tilted plane, at nodes and between them."""
    rows, cols = np.mgrid[0 : 2 * HALF + 1, 0 : 2 * HALF + 1]
    tile = tile_of(slopes[0] * rows + slopes[1] * cols)
    lat = tile.first_lat_deg - row * tile.step_lat_deg
    lon = tile.first_lon_deg + col * tile.step_lon_deg
    got = tile.height_m(np.array([lat]), np.array([lon]))
    edge = min(row, col, 2 * HALF - row, 2 * HALF - col) < 1e-6  # rounding may put it outside
    assert edge or got == pytest.approx(slopes[0] * row + slopes[1] * col, abs=1e-5)


@given(
    bearing_deg=st.floats(0, 360),
    depression_deg=st.floats(15, 90),  # ends within the tile
    height_m=st.floats(90, 200),
    seed=st.integers(0, 3),
)
def test_a_ray_ends_where_it_first_meets_the_ground(
    bearing_deg: float, depression_deg: float, height_m: float, seed: int
) -> None:
    """The hit lies on the ground, and no earlier point of the ray is below it."""
    surface = TerrainSurface(hills(seed), LAT, LON, height_m)
    direction = ray(bearing_deg, depression_deg)
    slant = float(surface.slant_m(NO_ORIGIN, direction)[0])
    way = np.linspace(0.0, 1.0, 4000)[:, None] * slant * direction
    up = height_m - way[:, 2] + (way[:, :2] ** 2).sum(axis=1) / (2 * 6.37e6)
    north_m, east_m = metres_per_degree(LAT, height_m)
    ground = surface.tile.height_m(LAT + way[:, 0] / north_m, LON + way[:, 1] / east_m)
    assert abs(up[-1] - ground[-1]) < 1e-3
    assert (up[:-1] - ground[:-1]).min() > -1e-3


def test_a_ridge_hides_what_lies_behind_it() -> None:
    """Of two crossings the first counts."""
    heights = np.zeros((2 * HALF + 1, 2 * HALF + 1))
    heights[HALF - 22 : HALF - 19] = 30.0  # 100 m north
    surface = TerrainSurface(tile_of(heights), LAT, LON, 40.0)
    assert surface.slant_m(NO_ORIGIN, ray(0, 15))[0] * math.cos(math.radians(15)) < 105.0
    assert surface.slant_m(NO_ORIGIN, ray(180, 15))[0] == pytest.approx(
        40.0 / math.sin(math.radians(15)), rel=1e-3
    )


@pytest.mark.parametrize("depression_deg", [10.0, 3.0])
def test_ground_that_nobody_knows_is_no_place(depression_deg: float) -> None:
    """A ray that passes over a void, or leaves the tile, before it meets ground ends nowhere."""
    heights = np.zeros((2 * HALF + 1, 2 * HALF + 1))
    heights[HALF - 20, :] = np.nan
    heights[0, 0] = 60.0  # hills may be higher than the ray
    surface = TerrainSurface(tile_of(heights), LAT, LON, 40.0)
    assert math.isnan(surface.slant_m(NO_ORIGIN, ray(0, depression_deg))[0])
    assert np.isfinite(surface.slant_m(NO_ORIGIN, ray(0, 60))[0])
    assert np.isnan(surface.slant_m(NO_ORIGIN, ray(90, 1))[0])
    far_off = replace(surface, lat_deg=LAT + 1.0)
    assert math.isnan(far_off.clearance_m())
    assert math.isnan(far_off.slant_m(NO_ORIGIN, ray(0, 60))[0])


def test_a_camera_below_the_ground_sees_none() -> None:
    """Whoever starts below the ground has the wrong datum, and gets no place from it."""
    surface = TerrainSurface(HILLS, LAT, LON, 5.0)
    assert surface.clearance_m() < 0.0
    assert math.isnan(surface.slant_m(NO_ORIGIN, ray(30, 60))[0])


def test_a_slope_is_hit_by_a_ray_that_points_up() -> None:
    """A hillside above the camera is ground, too."""
    north = np.mgrid[HALF : -HALF - 1 : -1, 0 : 2 * HALF + 1][0] * CELL_M
    surface = TerrainSurface(tile_of(np.maximum(north, 0.0) * 0.5), LAT, LON, 20.0)
    slant = surface.slant_m(NO_ORIGIN, ray(0, -10))[0]
    # 20 + s sin 10 = 0.5 s cos 10
    ten = math.radians(10)
    assert slant == pytest.approx(20 / (0.5 * math.cos(ten) - math.sin(ten)), rel=1e-3)


def test_the_date_line_is_no_edge() -> None:
    """A tile across it gives the same hits as anywhere else."""
    direction = ray(70, 25)
    here = TerrainSurface(HILLS, LAT, LON, 100.0).slant_m(NO_ORIGIN, direction)
    across = tile_of(HILLS.heights_m, lon_deg=180.0)
    for lon_deg in (180.0, -180.0):
        there = TerrainSurface(across, LAT, lon_deg, 100.0).slant_m(NO_ORIGIN, direction)
        assert there == pytest.approx(here, abs=1e-3)


def test_a_tile_comes_back_from_its_file(tmp_path: Path) -> None:
    """Heights to half a centimetre, voids, place, datum and source survive."""
    heights = HILLS.heights_m.copy()
    heights[3, 4] = np.nan
    kept = replace(HILLS, heights_m=heights)
    write_tile(kept, tmp_path / "a.npz")
    read = read_tile(tmp_path / "a.npz")
    assert np.isnan(read.heights_m[3, 4])
    assert np.nanmax(np.abs(read.heights_m - heights)) <= 0.005 + 1e-9
    assert replace(read, heights_m=heights) == replace(kept, heights_m=heights)
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "format 2, this version reads 1"),
        ({"heights_cm": np.zeros(4, np.int32)}, "heights of shape"),
        ({"heights_cm": np.zeros((4, 4))}, "type float64"),
        ({"step_deg": [0.0, 1e-5]}, "cannot be"),
        ({"first_node_deg": [float("nan"), 1.0]}, "cannot be"),
        ({"datum": ""}, "cannot be"),
        ({"heights_cm": np.full((4, 4), np.iinfo(np.int32).min)}, "every height is void"),
        ({"heights_cm": None}, "no terrain tile"),
    ],
)
def test_a_tile_that_cannot_be_is_named(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    """A file with other contents is refused with its name and what to do."""
    path = tmp_path / "a.npz"
    write_tile(HILLS, path)
    with np.load(path) as kept:
        fields = {name: kept[name] for name in kept.files} | change
    np.savez(path, **{name: value for name, value in fields.items() if value is not None})
    with pytest.raises(TerrainError, match=says) as caught:
        read_tile(path)
    assert str(path) in str(caught.value)


@given(cut=st.integers(0, 200), flip=st.integers(0, 255))
def test_a_damaged_tile_is_refused_or_whole(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: int
) -> None:
    """Truncated or changed bytes are a named error, never another exception."""
    path = tmp_path_factory.mktemp("tile") / "a.npz"
    write_tile(replace(HILLS, heights_m=HILLS.heights_m[:20, :20]), path)
    data = bytearray(path.read_bytes())
    data[len(data) * cut // 201] ^= flip
    path.write_bytes(data if cut % 2 else data[: len(data) * cut // 201])
    try:
        read_tile(path)
    except TerrainError as error:
        assert str(path) in str(error)


def test_a_missing_tile_says_how_to_make_one(tmp_path: Path) -> None:
    """The message names the command; a name that is no tile's is refused when writing."""
    with pytest.raises(TerrainError, match="terrain import"):
        read_tile(tmp_path / "none.npz")
    with pytest.raises(TerrainError, match="ends in"):
        write_tile(HILLS, tmp_path / "a.tif")


def write_model(path: Path, heights: np.ndarray, crs: str | None, transform: Any) -> Path:
    """Write a GeoTIFF whose voids are -32768."""
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=heights.shape[0],
        width=heights.shape[1],
        count=1,
        dtype="float32",
        crs=None if crs is None else CRS.from_string(crs),
        transform=transform,
        nodata=-32768,
    ) as model:
        model.write(heights.astype(np.float32), 1)
    return path


DEGREES = Affine(5e-5, 0.0, LON, 0.0, -5e-5, LAT)  # its corner; the first height is half a step in


def test_a_model_in_degrees_keeps_its_nodes(tmp_path: Path) -> None:
    """Heights stay where the model has them, in the middles of its pixels; voids stay voids."""
    heights = np.arange(60.0).reshape(6, 10)
    heights[2, 3] = -32768
    heights[4, 4] = 1e30  # a void that the file does not name
    tile = import_tile(write_model(tmp_path / "m.tif", heights, "EPSG:4326", DEGREES), "egm2008")
    assert tile.datum == "egm2008"
    assert tile.first_lat_deg == pytest.approx(LAT - 2.5e-5, abs=1e-12)
    assert tile.first_lon_deg == pytest.approx(LON + 2.5e-5, abs=1e-12)
    assert np.isnan(tile.heights_m).sum() == 2
    assert tile.heights_m[5, 9] == 59.0


def test_a_model_in_metres_is_put_into_degrees(tmp_path: Path) -> None:
    """A tilted plane in UTM keeps its heights at their places to a few centimetres."""
    east0, north0 = 240_000.0, 3_490_000.0
    rows, cols = np.mgrid[0:200, 0:240]
    heights = 20.0 + 0.05 * rows * 5 + 0.02 * cols * 5
    path = write_model(
        tmp_path / "utm.tif", heights, "EPSG:32651", Affine(5.0, 0.0, east0, 0.0, -5.0, north0)
    )
    tile = import_tile(path, "egm96")
    east, north = np.array([east0 + 402.5, east0 + 777.5]), np.array([north0 - 302.5, north0 - 600])
    lon, lat = warp_points("EPSG:32651", "EPSG:4326", east, north)
    down, right = north0 - north - 2.5, east - east0 - 2.5
    wanted = 20.0 + 0.05 * down + 0.02 * right
    assert tile.height_m(np.array(lat), np.array(lon)) == pytest.approx(wanted, abs=0.05)


def test_only_what_is_asked_for_is_kept(tmp_path: Path) -> None:
    """`--around` cuts a part out without moving a height."""
    heights = np.add.outer(np.arange(300.0), np.arange(400.0))
    path = write_model(tmp_path / "m.tif", heights, "EPSG:4490", DEGREES)
    whole = import_tile(path, "egm96")
    part = import_tile(path, "egm96", Around(LAT - 0.007, LON + 0.01, 0.2))
    assert part.heights_m.size < whole.heights_m.size / 10
    place = np.array([LAT - 0.007]), np.array([LON + 0.01])
    assert part.height_m(*place) == pytest.approx(whole.height_m(*place))


@pytest.mark.parametrize(
    ("crs", "datum", "around", "says"),
    [
        (None, "egm96", None, "in which coordinates"),
        ("EPSG:4326", None, None, "say it with --datum"),
        ("EPSG:4326", "egm96", Around(0.0, 0.0, 1.0), "does not lie in it"),
    ],
)
def test_a_model_that_says_too_little_is_refused(
    tmp_path: Path, crs: str | None, datum: str | None, around: Around | None, says: str
) -> None:
    """Without coordinates, datum or the place asked for there is no tile, and the message helps."""
    path = write_model(tmp_path / "m.tif", np.ones((6, 10)), crs, DEGREES)
    with pytest.raises(TerrainError, match=says) as caught:
        import_tile(path, datum, around)
    assert "m.tif" in str(caught.value)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    """Text, voids alone, and files that are not there are named errors."""
    text = tmp_path / "a.tif"
    text.write_text("no heights here")
    for path in (text, tmp_path / "none.tif"):
        with pytest.raises(TerrainError, match="cannot be read as an elevation model"):
            import_tile(path, "egm96")
    void = write_model(tmp_path / "v.tif", np.full((6, 10), -32768.0), "EPSG:4326", DEGREES)
    with pytest.raises(TerrainError, match="holds no height"):
        import_tile(void, "egm96")


def test_a_compound_system_names_its_datum() -> None:
    """EPSG's compound systems say what heights are above; a plain one does not."""
    assert datum_of(CRS.from_string("EPSG:4326+5773").to_wkt()) == "egm96"
    assert datum_of(CRS.from_string("EPSG:4326+3855").to_wkt()) == "egm2008"
    assert datum_of(CRS.from_epsg(4326).to_wkt()) is None
