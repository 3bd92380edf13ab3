"""Laws of the ground, the families, the light and the terrain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.geo.terrain import read_tile
from sim.render.geometry import indexed
from sim.vehicle.vehicle import Origin
from sim.world.dem import write_dem, write_tile
from sim.world.district import District
from sim.world.families import FAMILIES, in_season
from sim.world.finds import Find
from sim.world.ground import height_m
from sim.world.layout import HALF_M, Layout, plan, pond_outline
from sim.world.light import draw_daylight
from sim.world.mesh import MeshBuilder
from sim.world.terrain import FLAT, Terrain, drape, draw_terrain, lift_find
from sim.world.textures import Layer, paint_atlas, paint_detail


@pytest.fixture(scope="module")
def hills(layout: Layout) -> Terrain:
    """Ground with eight metres between valley and top."""
    return draw_terrain(3, layout, 8.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 30))
def test_every_day_is_lit_and_its_sun_stands_in_the_stated_range(seed: int) -> None:
    """No seed draws a night, and light on level ground is near what an exposure is set for."""
    day = draw_daylight(np.random.default_rng(seed))
    assert np.deg2rad(15) <= day.elevation_rad <= np.deg2rad(75)
    level = np.array(day.sky_rgb) + np.array(day.sun_rgb) * np.sin(day.elevation_rad)
    assert 0.8 < level.mean() < 1.5
    assert min(day.sky_rgb) > 0.1
    assert 0.0 <= day.wet <= 1.0


def test_seeds_draw_days_with_hard_shadows_and_days_without() -> None:
    """The light of many seeds is not the light of one afternoon."""
    days = [draw_daylight(np.random.default_rng(seed)) for seed in range(60)]
    share = [np.mean(d.sky_rgb) / (np.mean(d.sky_rgb) + np.mean(d.sun_rgb)) for d in days]
    assert min(share) < 0.3
    assert max(share) > 0.9
    assert any(d.wet > 0 for d in days)
    assert max(d.haze_per_m for d in days) > 5 * min(d.haze_per_m for d in days)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_has_a_plan_inside_its_square(name: str) -> None:
    """Lots lie in the district, off the water, and ponds inside their lots."""
    made = plan(np.random.default_rng(8), FAMILIES[name])
    assert len(made.lots) > 20
    for lot in made.lots:
        corners = lot.foot.corners()
        assert np.abs(corners).max() <= HALF_M + 1e-6
        assert made.river.distance_m(corners[:, 0], corners[:, 1]).min() > 0
        if lot.kind == "pond":
            inside = np.abs(pond_outline(lot) - [lot.foot.east_m, lot.foot.north_m])
            assert (inside < np.array([lot.foot.length_m, lot.foot.width_m]) / 2).all()


def test_seasons_change_the_growth_and_not_the_plan() -> None:
    """Two seasons of one family share its layout's figures and differ in colour."""
    family = FAMILIES["village"]
    drawn = [in_season(np.random.default_rng(seed), family) for seed in range(8)]
    assert len({f.grass_rgb for f in drawn}) > 4
    assert {(f.block_m, f.lot_m) for f in drawn} == {(family.block_m, family.lot_m)}


def test_examined_looks_wear_patterns_of_their_own() -> None:
    """Roofs and walls of the looks differ by far more than one draw of a pattern from another."""
    roof, wall = int(Layer.TILE_ROOF), int(Layer.FACADE)
    looks = [paint_atlas(np.random.default_rng(1), look) for look in ("common", "brick", "pantile")]
    for layer in (roof, wall):
        for a, b in ((0, 1), (0, 2), (1, 2)):
            gap = np.abs(looks[a][layer].astype(int) - looks[b][layer].astype(int)).mean()
            assert gap > 12.0


def test_the_ground_s_detail_leaves_its_mean_alone() -> None:
    """Detail is about middle grey in every channel, so that it lightens no material."""
    detail = paint_detail(np.random.default_rng(2))
    assert detail.reshape(-1, 4).mean(axis=0) == pytest.approx([128] * 4, abs=3)
    assert detail.reshape(-1, 4).std(axis=0).min() > 20


def test_shared_vertices_are_the_same_triangles() -> None:
    """Looking each row up again gives every row back, with fewer of them kept."""
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(40, 12)).astype(np.float32)[rng.integers(0, 40, 600)]
    kept, number = indexed(rows)
    assert np.array_equal(kept[number], rows)
    assert len(kept) <= 40


def test_flat_ground_stays_to_the_last_bit() -> None:
    """Without relief nothing is moved."""
    rows = np.random.default_rng(0).normal(size=(30, 12)).astype(np.float32)
    assert drape(FLAT, rows) is rows


def test_terrain_has_its_relief_and_leaves_water_and_edge_at_zero(
    hills: Terrain, layout: Layout
) -> None:
    """Heights span what was asked for; the river's banks and the border are level."""
    assert np.ptp(hills.nodes_m) == pytest.approx(8.0)
    north = np.linspace(-HALF_M, HALF_M, 50)
    for side in (-1, 1):
        bank = layout.river.centre_m(north) + side * (layout.river.width_m / 2)
        assert np.abs(hills.up_m(bank, north)).max() < 0.05
    assert np.abs(hills.up_m(north, np.full(50, HALF_M))).max() < 1e-9
    slopes = np.abs(np.diff(hills.nodes_m)) / 6.0
    assert np.percentile(slopes, 99) < 0.2


def test_draped_ground_meets_the_terrain_at_every_corner(hills: Terrain) -> None:
    """A coarse square becomes triangles no larger than a cell, all of them on the terrain."""
    mesh = MeshBuilder()
    quad = np.array([[[0, 0, 0], [48, 0, 0], [48, 48, 0], [0, 48, 0]]], float) - [90, 90, 0]
    mesh.quads(quad, np.zeros((1, 4, 2)), Layer.GROUND, (1.0, 1.0, 1.0))
    rows = drape(hills, mesh.rows()).reshape(-1, 3, 12).astype(float)
    assert len(rows) == 2 * 8 * 8
    assert rows[..., 2] == pytest.approx(hills.up_m(rows[..., 0], rows[..., 1]), abs=1e-4)
    assert (rows[..., 5] > 0.9).all()


def test_a_find_rises_with_its_ground(hills: Terrain) -> None:
    """Its samples go up by the height below each of them; its height over ground stays."""
    row, col = np.unravel_index(np.argmax(np.abs(hills.nodes_m)), hills.nodes_m.shape)
    east, north = float(col) * 6 - HALF_M, float(row) * 6 - HALF_M
    points = np.array([[east, north, 0.0], [east + 2, north, 3.0]])
    find = Find("x-01", "violation", "structure", points[:, :2], points, 3.0, (east, north))
    up = lift_find(hills, find).points_m[:, 2] - points[:, 2]
    assert up == pytest.approx(hills.up_m(points[:, 0], points[:, 1]))
    smoke = lift_find(hills, replace(find, name="smoke")).points_m[:, 2] - points[:, 2]
    assert smoke[0] == pytest.approx(smoke[1], abs=1e-9)
    assert abs(smoke[0]) > 1.0


def test_too_much_relief_is_refused(layout: Layout) -> None:
    """The message names the range."""
    with pytest.raises(ValueError, match="relief_m"):
        draw_terrain(1, layout, 99.0)


def test_the_dem_holds_the_ground_that_is_drawn(
    plain: District, hills: Terrain, tmp_path: Path
) -> None:
    """What is read back is the terrain with the river's bed, above mean sea level."""
    path = tmp_path / "dem.txt"
    origin = Origin(30.0, 104.0, 500.0, -40.0)
    write_dem(replace(plain, terrain=hills), origin, path)
    read = np.loadtxt(path)
    assert read.shape == (193, 193)
    east, north = np.array(-100.0), np.array(80.0)
    row, col = int((HALF_M - 80) / 2), int((HALF_M - 100) / 2)
    true = hills.up_m(east, north) + height_m(plain.layout, east, north) + 500.0
    assert read[row, col] == pytest.approx(float(true), abs=0.011)
    assert "first_node_lat_lon_deg 30.0017" in path.read_text()


def test_the_tile_is_the_same_ground(plain: District, hills: Terrain, tmp_path: Path) -> None:
    """The flight program reads of the tile what was drawn, a little beyond the district, too."""
    origin = Origin(30.0, 104.0, 500.0, -40.0)
    write_tile(replace(plain, terrain=hills), origin, tmp_path / "dem.npz")
    tile = read_tile(tmp_path / "dem.npz")
    assert tile.is_sea_level
    rng = np.random.default_rng(2)
    for east, north in rng.uniform(-HALF_M, HALF_M, (200, 2)):
        if float(plain.layout.river.distance_m(np.array(east), np.array(north))) < 6.0:
            continue  # a bank is steeper than two metres can show
        lat, lon = origin.geodetic(east, north)
        true = hills.up_m(np.array(east), np.array(north)) + 500.0
        got = float(tile.height_m(np.array(lat), np.array(lon)))
        assert got == pytest.approx(float(true), abs=0.1)
    beyond = origin.geodetic(HALF_M + 100.0, 0.0)
    assert np.isfinite(tile.height_m(np.array(beyond[0]), np.array(beyond[1])))
