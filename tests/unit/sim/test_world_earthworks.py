"""Laws of earthworks, roads and roofs: strips, wide sites, mounds, trenches, dual carriageways."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from sim.world.buildings import Site
from sim.world.earth import EARTH_TONES, mesa
from sim.world.families import FAMILIES
from sim.world.finds import Finds, FloatArray
from sim.world.floor import lay_ground
from sim.world.ground import GROUND_PX, Ground, pixels
from sim.world.heaps import add_waste_pile
from sim.world.layout import (
    BANK_M,
    DUAL_M,
    HALF_M,
    MEDIAN_M,
    WALK_M,
    Layout,
    Street,
    clear_spans,
    plan,
)
from sim.world.mesh import Footprint, MeshBuilder, Skin, gable_roof, gable_slopes, hip_roof
from sim.world.paint import paint
from sim.world.pits import add_open_pit, open_trench
from sim.world.roads import furnish_roads
from sim.world.roofs import hall_roof
from sim.world.sites import clear_blocks
from sim.world.strips import LONG_M, WIDE_M, free_strip, lay_strip
from sim.world.textures import Layer
from sim.world.works import add_bare_soil

SOIL = Skin(Layer.SOIL, (0.7, 0.5, 0.4), 4.0)
WALL = Skin(Layer.PLAIN, (0.8, 0.8, 0.8), 4.0)


@lru_cache
def dual_plan(along_east: bool) -> tuple[Layout, Street]:
    """Draw plans until one has a dual carriageway that runs this way."""
    for seed in range(200):
        drawn = plan(np.random.default_rng(seed), FAMILIES["industrial"])
        for street in drawn.streets:
            if street.is_dual and street.along_east == along_east:
                return drawn, street
    raise AssertionError("no seed draws such a street")


def finds_on(layout: Layout, seed: int = 8) -> Finds:
    """Return a plan with room on it, nothing built, the ground grey."""
    rng = np.random.default_rng(seed)
    empty = np.zeros((GROUND_PX, GROUND_PX), np.float32)
    picture = np.full((GROUND_PX, GROUND_PX, 3), 120, np.uint8)
    ground = Ground(np.zeros((GROUND_PX, GROUND_PX), np.uint8), picture, empty, empty)
    return Finds(Site(rng, FAMILIES["industrial"], clear_blocks(rng, layout, 12)), ground, [], [])


@pytest.fixture
def open_town() -> Finds:
    """A plan with a dual carriageway and room on it."""
    return finds_on(dual_plan(along_east=True)[0])


def area_m2(outline_m: FloatArray) -> float:
    """Return the area of an outline, positive if it runs counter-clockwise."""
    east, north = outline_m.T
    return float((east * np.roll(north, -1) - np.roll(east, -1) * north).sum() / 2)


def is_inside(outline_m: FloatArray, spot: FloatArray) -> bool:
    """Say whether a spot lies inside an outline."""
    rim = outline_m.astype(np.float32).reshape(-1, 1, 2)
    return cv2.pointPolygonTest(rim, (float(spot[0]), float(spot[1])), False) > 0


def test_a_strip_is_long_and_narrow_and_on_no_carriageway(open_town: Finds) -> None:
    """Every strip keeps its stated width and length, and off streets and water."""
    layout, strips = open_town.site.layout, []
    while (strip := free_strip(open_town)) is not None:
        strips.append(strip)
    assert len(strips) >= 4
    for strip in strips:
        long = np.linalg.norm(np.diff(strip.line_m, axis=0), axis=1).sum()
        assert 0.7 * LONG_M[0] < long <= LONG_M[1] * 1.05
        assert 0.5 * WIDE_M[0] < strip.wide_m.min() <= strip.wide_m.max() <= WIDE_M[1]
        outline = strip.outline()
        assert layout.river.distance_m(*outline.T).min() > 0.5
        for street in layout.streets:
            across = outline[:, 1] if street.along_east else outline[:, 0]
            assert np.abs(across - street.at_m).min() > street.width_m / 2


def test_strips_lie_along_streets_and_along_rivers(open_town: Finds) -> None:
    """Of many strips some lie on a wide street's verge and some on the river's bank."""
    layout = open_town.site.layout
    street = next(s for s in layout.streets if s.verge_m > 0)
    on_verge = on_bank = 0
    for _ in range(40):
        open_town.site.taken.clear()
        open_town.site._n_discs = 0
        strip = free_strip(open_town)
        assert strip is not None
        across = strip.line_m[:, 1] if street.along_east else strip.line_m[:, 0]
        off = across - street.at_m - street.width_m / 2
        on_verge += bool(np.all((off > 0) & (off < street.verge_m + WALK_M)))
        on_bank += bool(np.all(layout.river.distance_m(*strip.line_m.T) < BANK_M))
    assert on_verge >= 3
    assert on_bank >= 3


def test_the_truth_of_a_strip_follows_the_strip(open_town: Finds) -> None:
    """Painted earth lies inside the outline, the old ground outside it, points all along it."""
    assert lay_strip(open_town)
    (find,) = open_town.found
    assert (find.kind, find.name) == ("violation", "bare_soil")
    picture = open_town.ground.rgb
    cols, rows = pixels(find.points_m[:, :2]).T
    painted = np.ptp(picture[rows, cols].astype(int), axis=1) > 4  # the ground was grey
    assert painted.mean() > 0.8
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [pixels(find.outline_m).reshape(-1, 1, 2)], 1)
    cv2.polylines(mask, [pixels(find.outline_m).reshape(-1, 1, 2)], True, 1, 41)
    strays = np.count_nonzero((picture[..., 2] != 120) & (mask == 0))
    assert strays < 0.02 * np.count_nonzero(mask)  # crumbs of a ragged edge
    box_area = float(np.prod(np.ptp(find.outline_m, axis=0)))
    assert 0 < area_m2(find.outline_m) <= box_area
    assert is_inside(find.outline_m, np.array(find.reference_m))


def test_a_trench_is_a_slit_in_the_ground_with_a_floor(layout: Layout) -> None:
    """Over its middle there is no ground, and at its depth there is a floor."""
    finds = finds_on(layout)
    along = np.column_stack([np.linspace(30.0, 54.0, 9), np.full(9, 40.0)])
    half = np.array([0.0, 0.6])
    open_trench(finds, np.concatenate([along - half, (along + half)[::-1]]), 1.3, EARTH_TONES[0])
    floor = MeshBuilder()
    lay_ground(floor, layout, finds.holes)
    spot = np.array([43.3, 40.05])
    assert not _heights_over(floor.rows(), spot).size
    assert _heights_over(floor.rows(), spot + np.array([0.0, 2.2])).size
    assert _heights_over(finds.site.mesh.rows(), spot).min() == pytest.approx(-1.3, abs=0.01)


def _heights_over(rows: NDArray[np.float32], spot: FloatArray) -> FloatArray:
    """Return the lowest corner of each triangle over or under a spot."""
    triangles = rows.reshape(-1, 3, rows.shape[1])[:, :, :3].astype(np.float64)
    low, high = triangles[:, :, :2].min(axis=1), triangles[:, :, :2].max(axis=1)
    near = triangles[np.all((low <= spot) & (high >= spot), axis=1)]
    return np.array(
        [
            float(tri[:, 2].min())
            for tri in near
            if abs(area_m2(tri[:, :2])) > 1e-6 and is_inside(tri[:, :2], spot)
        ]
    )


def test_spoil_lies_in_loads_and_in_mounds(open_town: Finds) -> None:
    """With room, dumped heaps reach from a barrow's load to a mound as high as a house."""
    for _ in range(40):
        open_town.site.taken.clear()
        open_town.site._n_discs = 0
        add_waste_pile(open_town)
    wide = np.array([np.ptp(f.outline_m, axis=0).max() for f in open_town.found])
    high = np.array([f.height_m for f in open_town.found])
    assert {f.name for f in open_town.found} == {"waste_pile"}
    assert np.count_nonzero((wide > 10) & (high > 1.5)) >= 3
    assert np.count_nonzero(wide < 6) >= 3
    assert high.max() < 8.5
    assert wide.max() < 36


@pytest.mark.parametrize("seed", range(4))
def test_a_mound_stands_inside_its_outline_and_is_as_high_as_asked(
    layout: Layout, seed: int
) -> None:
    """Its samples reach the height, none leaves the outline, and its rim meets the ground."""
    finds = finds_on(layout, seed)
    foot = Footprint(10.0, -20.0, 24.0, 18.0, 0.4)
    outline, points = mesa(finds, foot, 5.0, SOIL, 0.4 if seed % 2 else 0.0)
    assert points[:, 2].max() == pytest.approx(5.0, rel=0.2)
    shrunk = outline.mean(axis=0) + (points[:, :2] - outline.mean(axis=0)) * 0.98
    assert all(is_inside(outline, spot) for spot in shrunk)
    rows = finds.site.mesh.rows()
    assert rows[:, 2].min() == pytest.approx(-0.05)
    assert rows[:, 5].min() > -0.2, "a face looks down"
    assert bool((rows[:, 8] == Layer.LEAVES).any()) == bool(seed % 2)


def test_a_wide_site_keeps_room_for_a_pit(open_town: Finds) -> None:
    """A corner of a building site is free until a pit is dug in it, inside the site's outline."""
    for _ in range(60):
        add_bare_soil(open_town)
        if open_town.corners:
            break
    corner, before = open_town.corners[-1], len(open_town.found)
    add_open_pit(open_town)
    pit, site = open_town.found[-1], open_town.found[before - 1]
    assert (pit.name, site.name) == ("open_pit", "bare_soil")
    away = np.hypot(pit.reference_m[0] - corner.east_m, pit.reference_m[1] - corner.north_m)
    assert away < 2.0
    assert is_inside(site.outline_m, np.array(pit.reference_m))
    assert min(np.ptp(site.outline_m, axis=0)) > 12.0


def test_bare_soil_comes_in_plots_strips_and_wide_sites(open_town: Finds) -> None:
    """From one maker come slender outlines, large ones and small ones."""
    for _ in range(30):
        open_town.site.taken.clear()
        open_town.site._n_discs = 0
        add_bare_soil(open_town)
    rects = [cv2.minAreaRect(f.outline_m.astype(np.float32))[1] for f in open_town.found]
    sides = np.sort(np.array(rects), axis=1)
    assert np.count_nonzero(sides[:, 1] > 4 * sides[:, 0]) >= 5
    assert np.count_nonzero(sides[:, 0] > 18) >= 2
    assert np.count_nonzero(sides[:, 1] < 20) >= 2


@pytest.mark.parametrize("family", ["suburb", "harbour"])
def test_about_a_third_of_the_districts_has_one_dual_carriageway(family: str) -> None:
    """One at most, of the stated width, well inside; villages have none."""
    duals = []
    for seed in range(36):
        drawn = plan(np.random.default_rng(seed), FAMILIES[family])
        here = [s for s in drawn.streets if s.is_dual]
        assert len(here) <= 1
        duals += here
    assert 0.1 < len(duals) / 36 < 0.6
    assert all(DUAL_M[0] <= s.width_m <= DUAL_M[1] and abs(s.at_m) < HALF_M - 50 for s in duals)
    village = [plan(np.random.default_rng(s), FAMILIES["village"]).streets for s in range(8)]
    assert not any(s.is_dual for streets in village for s in streets)
    assert {s.surface for streets in village for s in streets} == {"asphalt", "concrete", "earth"}


@pytest.mark.parametrize("along_east", [True, False])
def test_no_lot_lies_on_a_street_or_on_its_verge(along_east: bool) -> None:
    """Land beside a wide street is kept free on the side that its plan says."""
    layout, _ = dual_plan(along_east)
    for street in layout.streets:
        for lot in layout.lots:
            low, high = (lot.foot.corners()[[0, 2], int(street.along_east)]) - street.at_m
            half = street.width_m / 2 + WALK_M
            assert high <= -half + 1e-6 or low >= half + street.verge_m - 1e-6


def test_a_dual_carriageway_is_marked_and_its_crossings_stay_open() -> None:
    """Its reservation is no asphalt, its lanes bear paint, and a side street runs through."""
    layout, street = dual_plan(along_east=False)
    ground = paint(np.random.default_rng(5), FAMILIES["industrial"], layout)
    start, stop = max(clear_spans(street, layout.streets, 8.0), key=lambda span: span[1] - span[0])
    along = np.linspace(start + 1, stop - 1, 40)
    median = pixels(street.place(np.column_stack([along, np.zeros(40)])))
    lanes = pixels(street.place(np.column_stack([along, np.full(40, street.width_m / 4)])))
    materials = ground.material
    assert set(materials[median[:, 1], median[:, 0]]).isdisjoint(
        materials[lanes[:, 1], lanes[:, 0]]
    )
    inner = MEDIAN_M / 2 + 0.5 + 0.09
    line = pixels(street.place(np.column_stack([along, np.full(40, inner)])))
    bed = ground.rgb[lanes[:, 1], lanes[:, 0]].mean()
    assert ground.rgb[line[:, 1], line[:, 0]].mean() > bed + 12
    other = next(s for s in layout.streets if s.along_east)
    crossing = pixels(np.array([[street.at_m, other.at_m]]))[0]
    assert materials[crossing[1], crossing[0]] == materials[lanes[0, 1], lanes[0, 0]]


@pytest.mark.parametrize("along_east", [True, False])
def test_what_stands_along_a_wide_road_leaves_its_lanes_and_junctions_free(
    along_east: bool,
) -> None:
    """Under four metres nothing stands on a lane, on a side street or in the river."""
    layout, street = dual_plan(along_east)
    mesh = MeshBuilder()
    furnish_roads(np.random.default_rng(2), mesh, layout)
    rows = mesh.rows().astype(np.float64)
    low = rows[rows[:, 2] < 4.0]
    across = np.abs((low[:, 1] if street.along_east else low[:, 0]) - street.at_m)
    assert len(low) > 100
    assert np.all((across < MEDIAN_M / 2 + 0.1) | (across > street.width_m / 2))
    for other in (s for s in layout.streets if s.along_east != street.along_east):
        along = low[:, 0] if street.along_east else low[:, 1]
        assert np.abs(along - other.at_m).min() > other.width_m / 2
    assert layout.river.distance_m(low[:, 0], low[:, 1]).min() > 0


def test_an_unpaved_track_has_no_bridge_and_no_paint() -> None:
    """What needs a bridge is paved, whatever surface was drawn."""
    family = replace(FAMILIES["village"], roads={"earth": 1.0})
    streets = plan(np.random.default_rng(4), family).streets
    assert {s.surface for s in streets if not s.has_bridge} == {"earth"}
    assert {s.surface for s in streets if s.has_bridge} == {"asphalt"}


def test_a_roofs_slopes_meet_at_the_ridge_and_look_up() -> None:
    """Both slopes share the ridge's ends; gable and hip close without a face that looks down."""
    foot = Footprint(3.0, -5.0, 14.0, 9.0, 0.7)
    one, other = gable_slopes(foot, (4.0, 6.5))
    assert np.allclose(one[[2, 3]], other[[3, 2]])
    gabled, hipped = MeshBuilder(), MeshBuilder()
    gable_roof(gabled, foot, (4.0, 6.5), SOIL, WALL)
    hip_roof(hipped, foot, (4.0, 6.5), SOIL)
    for mesh in (gabled, hipped):
        rows = mesh.rows()
        assert rows[:, 2].max() == pytest.approx(6.5)
        assert rows[:, 2].min() == pytest.approx(4.0)
        assert rows[:, 5].min() > -1e-3


def test_halls_wear_many_roofs_and_are_covered_whole() -> None:
    """Over every spot of a hall lies a roof, and many draws give many colours and shapes."""
    foot, tones, tops = Footprint(0.0, 0.0, 40.0, 24.0), set(), set()
    spots = np.random.default_rng(0).uniform(-0.47, 0.47, (12, 2)) * [40.0, 24.0]
    for seed in range(30):
        mesh = MeshBuilder()
        hall_roof(np.random.default_rng(seed), mesh, foot, 6.0, WALL)
        rows = mesh.rows()
        assert all(_heights_over(rows, spot).size for spot in spots), seed
        sheet = rows[rows[:, 8] == Layer.RIBBED]
        tones.add(tuple((sheet[0, 9:12] * 8).astype(int)))
        tops.add(round(float(rows[:, 2].max()), 1))
    assert len(tones) >= 8
    assert len(tops) >= 8
