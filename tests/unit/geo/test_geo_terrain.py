"""Laws of terrain tiles: heights, first hits, files, and what elevation models become."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pymap3d
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import transform as warp_points

from edge.errors import TerrainError
from edge.geo.terrain import TerrainTile, metres_per_degree, read_tile, write_tile
from edge.geo.terrain import tile_of as kept_tile
from edge.geo.terrain_import import Around, datum_of, import_tile
from edge.geo.terrain_surface import TerrainSurface

LAT, LON = 31.5, 120.3
CELL_M = 5.0
HALF = 160  # nodes to each side


def tile_of(heights_m: np.ndarray, lon_deg: float = LON, cell_m: float = CELL_M) -> TerrainTile:
    """Lay heights around the place, row 0 in the north."""
    north_m, east_m = metres_per_degree(LAT)
    rows, cols = heights_m.shape
    step_lat, step_lon = cell_m / north_m, cell_m / east_m
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


def heights_by_hand(tile: TerrainTile, lat_deg: np.ndarray, lon_deg: np.ndarray) -> np.ndarray:
    """Bilinear heights by weights, in the test's own way; NaN outside."""
    rows, cols = tile.heights_m.shape
    row = (tile.first_lat_deg - lat_deg) / tile.step_lat_deg
    col = (lon_deg - tile.first_lon_deg + 180.0) % 360.0 - 180.0
    col = np.where(col < -1e-9, col + 360.0, np.maximum(col, 0.0)) / tile.step_lon_deg
    outside = (row < -1e-6) | (row > rows - 1 + 1e-6) | (col > cols - 1)
    r = np.clip(np.floor(row), 0, rows - 2).astype(int)
    c = np.clip(np.floor(col), 0, cols - 2).astype(int)
    total = np.zeros(row.shape)
    for down in (0, 1):
        for right in (0, 1):
            weight = np.abs(1 - down - (row - r)) * np.abs(1 - right - (col - c))
            total += weight * tile.heights_m[r + down, c + right]
    return np.where(outside, np.nan, total)


def clearances_by_hand(
    surface: TerrainSurface, direction: np.ndarray, slants_m: np.ndarray
) -> np.ndarray:
    """How high points of a ray are over the ground, by pymap3d."""
    way = slants_m[:, None] * direction
    at = (surface.lat_deg, surface.lon_deg, surface.height_m)
    with np.errstate(invalid="ignore"):  # on the Earth's axis it has no latitude
        lat, lon, up = (np.asarray(one) for one in pymap3d.ned2geodetic(*way.T, *at))
    up = np.where(np.isnan(lat), surface.height_m - way[:, 2], up)
    lat = np.where(np.isnan(lat), surface.lat_deg, lat)
    return np.asarray(up - heights_by_hand(surface.tile, lat, np.nan_to_num(lon)))


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
    over = clearances_by_hand(surface, direction, np.linspace(0.0, slant, 4000))
    assert abs(over[-1]) < 1e-3
    assert over[:-1].min() > -1e-3


@given(
    bearing_deg=st.floats(0, 360),
    depression_deg=st.floats(-5, 60),
    seed=st.integers(0, 1000),
    cell_m=st.floats(0.5, 30.0),
    spiky=st.floats(0.0, 20.0),
)
def test_no_ridge_is_too_thin_to_be_met_first(
    bearing_deg: float, depression_deg: float, seed: int, cell_m: float, spiky: float
) -> None:
    """Over noise, a hundred times finer samples find no point below ground before the hit."""
    rng = np.random.default_rng(seed)
    heights = np.where(rng.random((61, 61)) < 0.1, spiky, 0.0) + rng.normal(0, 0.3, (61, 61))
    rays = ray(bearing_deg, depression_deg)
    tile = tile_of(heights, cell_m=cell_m)
    surface = TerrainSurface(tile, LAT + 1e-7, LON + 2e-7, max(2.0, heights[29:32, 29:32].max()))
    slant = float(surface.slant_m(NO_ORIGIN, rays)[0])
    edge_m = 31 * cell_m / max(math.cos(math.radians(depression_deg)), 1e-6) * 1.5
    samples = np.linspace(0.0, edge_m if math.isnan(slant) else min(slant, edge_m), 2500)
    over = clearances_by_hand(surface, rays, samples)
    if math.isfinite(slant):
        assert abs(over[-1]) < 2e-3
        over = over[:-1]
    assert np.nanmin(over) > -2e-3


@given(
    lat_deg=st.one_of(st.floats(-90.0, 90.0), st.floats(89.9, 90.0), st.floats(-90.0, -89.9)),
    lon_deg=st.floats(-180.0, 180.0),
    bearing_deg=st.floats(0, 360),
    depression_deg=st.floats(20, 90),
)
def test_where_on_earth_it_is_does_not_matter_to_a_ray(
    lat_deg: float, lon_deg: float, bearing_deg: float, depression_deg: float
) -> None:
    """At the poles and across the date line hits lie on the ground of tiles as they lie there."""
    rng = np.random.default_rng(5)
    near_pole = abs(lat_deg) > 89.5
    rows = 81
    step_lat = 5.0 / 111_000.0
    first = min(90.0, lat_deg + 40 * step_lat) if lat_deg > 0 else lat_deg + 40 * step_lat
    first = max(first, -90.0 + (rows - 1) * step_lat)
    cos = max(math.cos(math.radians(lat_deg)), 1e-9)
    cols = 361 if near_pole else 81
    step_lon = 1.0 if near_pole else 5.0 / 111_000.0 / cos
    heights = rng.normal(0, 1.0, (rows, cols))
    heights[:, -1] = heights[:, 0]
    heights[0 if lat_deg > 0 else -1] = 0.0 if near_pole else heights[0]
    start = -180.0 if near_pole else (lon_deg - 40 * step_lon + 180.0) % 360.0 - 180.0
    tile = TerrainTile(heights, first, start, step_lat, step_lon, "egm96")
    surface = TerrainSurface(tile, lat_deg, lon_deg, 60.0)
    direction = ray(bearing_deg, depression_deg)
    slant = float(surface.slant_m(NO_ORIGIN, direction)[0])
    over = clearances_by_hand(surface, direction, np.linspace(0.0, slant, 500))
    assert abs(over[-1]) < (0.3 if near_pole else 0.02)
    assert near_pole or over[:-1].min() > -0.02


@given(cut=st.integers(2, 2 * HALF - 2), bearing_deg=st.floats(0, 360), by_row=st.booleans())
def test_a_part_of_a_tile_gives_the_same_hit_or_none(
    cut: int, bearing_deg: float, by_row: bool
) -> None:
    """Splitting a tile moves no hit: each half has it where the whole has it, or knows none."""
    direction = ray(bearing_deg, 35.0)
    whole = float(TerrainSurface(HILLS, LAT, LON, 120.0).slant_m(NO_ORIGIN, direction)[0])
    heights = HILLS.heights_m
    if by_row:
        halves = (
            replace(HILLS, heights_m=np.ascontiguousarray(heights[: cut + 1])),
            replace(
                HILLS,
                heights_m=np.ascontiguousarray(heights[cut:]),
                first_lat_deg=HILLS.first_lat_deg - cut * HILLS.step_lat_deg,
            ),
        )
    else:
        halves = (
            replace(HILLS, heights_m=np.ascontiguousarray(heights[:, : cut + 1])),
            replace(
                HILLS,
                heights_m=np.ascontiguousarray(heights[:, cut:]),
                first_lon_deg=HILLS.first_lon_deg + cut * HILLS.step_lon_deg,
            ),
        )
    found = [
        float(TerrainSurface(half, LAT, LON, 120.0).slant_m(NO_ORIGIN, direction)[0])
        for half in halves
    ]
    known = [slant for slant in found if not math.isnan(slant)]
    assert known or abs(cut - HALF) < 40  # a ray that passes the cut is known by neither
    for slant in known:
        assert slant == pytest.approx(whole, abs=1e-3)


@pytest.mark.parametrize("bearing_deg", [0.0, 90.0, 180.0, 270.0, 45.0])
def test_a_void_on_the_other_side_of_a_line_hides_nothing(bearing_deg: float) -> None:
    """A ray that starts on a node sees what it looks at, not what lies behind it."""
    heights = np.zeros((21, 21))
    back = {0.0: (11, 10), 90.0: (10, 9), 180.0: (9, 10), 270.0: (10, 11), 45.0: (11, 9)}
    heights[back[bearing_deg]] = np.nan
    tile = replace(tile_of(heights), first_lat_deg=10.0, step_lat_deg=2**-14, step_lon_deg=2**-14)
    tile = replace(tile, first_lon_deg=20.0)
    at = 10.0 - 10 * 2**-14, 20.0 + 10 * 2**-14
    surface = TerrainSurface(tile, *at, 2.0)
    # Not exactly along a line, where rounding decides which side counts.
    slant = surface.slant_m(NO_ORIGIN, ray(bearing_deg + 2.0, 45.0))[0]
    assert slant == pytest.approx(2.0 * math.sqrt(2.0), rel=1e-3)


def test_many_rays_at_once_are_as_each_alone() -> None:
    """A batch of rays, some of which end nowhere, changes none of them."""
    rng = np.random.default_rng(8)
    rays = np.concatenate(
        [ray(*at) for at in zip(rng.uniform(0, 360, 60), rng.uniform(-20, 90, 60), strict=True)]
    )
    surface = TerrainSurface(HILLS, LAT, LON, 90.0)
    together = surface.slant_m(np.zeros((60, 3)), rays)
    alone = [float(surface.slant_m(NO_ORIGIN, one[None])[0]) for one in rays]
    assert together == pytest.approx(np.array(alone), nan_ok=True, abs=1e-3)


def test_no_ground_within_reach_is_not_no_ground() -> None:
    """A ray over known ground that meets none so near is infinite, not unknown."""
    surface = TerrainSurface(HILLS, LAT, LON, 120.0, reach_m=100.0)
    assert surface.slant_m(NO_ORIGIN, ray(0, 30))[0] == math.inf
    assert np.isfinite(surface.slant_m(NO_ORIGIN, ray(0, 85))[0])


@given(slopes=st.tuples(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6)))
def test_a_plane_has_its_slope_everywhere(slopes: tuple[float, float]) -> None:
    """Gradients are metres up per metre north and east."""
    north, east = np.mgrid[HALF : -HALF - 1 : -1, -HALF : HALF + 1] * CELL_M
    surface = TerrainSurface(tile_of(slopes[0] * north + slopes[1] * east), LAT, LON, 400.0)
    got = surface.gradients(np.array([[0.0, 0.0], [30.0, -70.0]]))
    assert got == pytest.approx(np.array([slopes, slopes]), abs=2e-3)


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
    assert datum_of(CRS.from_string("EPSG:4326+5703").to_wkt()) == "navd88"
    assert datum_of(CRS.from_epsg(4326).to_wkt()) is None
    horizontal = 'COMPD_CS["EGM96 city grid",PROJCS["1985",ELLIPSOID["a"]],VERT_CS["city zero"]]'
    assert datum_of(horizontal) is None


def test_heights_in_feet_are_refused(tmp_path: Path) -> None:
    """A model whose heights say that they are in feet is named, with how to make metres."""
    feet = write_model(tmp_path / "ft.tif", np.ones((6, 10)), "EPSG:4326", DEGREES)
    with rasterio.open(feet, "r+") as model:
        model.units = ("ft",)
    with pytest.raises(TerrainError, match="in ft"):
        import_tile(feet, "navd88")


def test_voids_that_a_model_does_not_name_are_voids_when_it_is_warped(tmp_path: Path) -> None:
    """-9999 is not mixed with its neighbours into a valley."""
    heights = np.full((60, 60), 30.0, np.float32)
    heights[20:24, 20:24] = -9999.0
    path = tmp_path / "utm.tif"
    transform = Affine(5.0, 0.0, 240_000.0, 0.0, -5.0, 3_490_000.0)
    with rasterio.open(
        path, "w", driver="GTiff", height=60, width=60, count=1, dtype="float32",
        crs="EPSG:32651", transform=transform,
    ) as model:  # fmt: skip
        model.write(heights, 1)
    tile = import_tile(path, "egm96")
    assert np.nanmin(tile.heights_m) == pytest.approx(30.0, abs=0.01)
    assert np.isnan(tile.heights_m).any()


def test_heights_with_a_scale_are_scaled(tmp_path: Path) -> None:
    """Decimetres with an offset become the metres that they stand for."""
    path = write_model(tmp_path / "dm.tif", np.full((6, 10), 423.0), "EPSG:4326", DEGREES)
    with rasterio.open(path, "r+") as model:
        model.scales, model.offsets = (0.1,), (100.0,)
    assert import_tile(path, "egm96").heights_m == pytest.approx(np.full((6, 10), 142.3))


def test_a_part_across_the_date_line_is_cut_out(tmp_path: Path) -> None:
    """A model from 179.99° on to 180.01° holds -179.995°."""
    across = Affine(5e-5, 0.0, 179.99, 0.0, -5e-5, LAT)
    path = write_model(tmp_path / "m.tif", np.ones((400, 400)), "EPSG:4326", across)
    tile = import_tile(path, "egm96", Around(LAT - 0.01, -179.995, 0.2))
    assert tile.height_m(np.array(LAT - 0.01), np.array(-179.995)) == 1.0


def test_a_tile_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    """A folder that is not there is a named error."""
    with pytest.raises(TerrainError, match="cannot be written"):
        write_tile(HILLS, tmp_path / "none" / "a.npz")


def test_a_tile_is_read_once_until_its_file_changes(tmp_path: Path) -> None:
    """Every camera's locator shares one tile; a new import is taken up."""
    path = tmp_path / "a.npz"
    write_tile(HILLS, path)
    first = kept_tile(path)
    assert kept_tile(path) is first
    write_tile(replace(HILLS, datum="ellipsoid"), path)
    again = kept_tile(path)
    assert again is not None
    assert again.datum == "ellipsoid"
    assert kept_tile(None) is None
    with pytest.raises(TerrainError, match="no such file"):
        kept_tile(tmp_path / "b.npz")
