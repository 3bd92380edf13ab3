"""Laws of what grows, flows and burns: trees, woods, water, boats, fronts of fire."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from sim.world.boats import moor, whiten_water
from sim.world.buildings import Site
from sim.world.distractors import DISTRACTORS, add_awning
from sim.world.families import FAMILIES, in_season
from sim.world.finds import Finds
from sim.world.furnish import furnish
from sim.world.ground import GROUND_PX, RIVER_DROP_M, Ground, Material, pixels
from sim.world.layout import HALF_M, Layout, Lot, River, plan
from sim.world.mesh import Footprint
from sim.world.pits import add_open_pit
from sim.world.smoke import add_smoke
from sim.world.textures import Layer
from sim.world.trees import SPECIES, plant, wood_lots
from sim.world.water import add_discharge


def _site(layout: Layout, family: str = "harbour", seed: int = 5) -> Site:
    return Site(np.random.default_rng(seed), FAMILIES[family], layout)


def _finds(site: Site, material: Material = Material.WATER) -> Finds:
    """Put a site on an even ground that is all of one material."""
    even = np.zeros((GROUND_PX, GROUND_PX), np.float32)
    made_of = np.full((GROUND_PX, GROUND_PX), int(material), np.uint8)
    picture = np.full((GROUND_PX, GROUND_PX, 3), 90, np.uint8)
    return Finds(site, Ground(made_of, picture, even, even), [], [])


@pytest.fixture(scope="module")
def wide_river() -> Layout:
    """A plan with a canal wide enough for a marina and one large lot."""
    river = River(0.0, 0.0, 300.0, 0.0, 44.0, flows_north=True, is_canal=True)
    return Layout(river, (), (Lot("wood", Footprint(90.0, 10.0, 60.0, 50.0)),))


@pytest.mark.parametrize("name", SPECIES)
def test_a_tree_is_about_as_wide_and_high_as_asked(name: str) -> None:
    """Of unit crown and height every kind stays near both, and begins near its ground."""
    for seed in range(3):
        rows = SPECIES[name].build(np.random.default_rng(seed)).rows
        reach = np.hypot(rows[:, 0], rows[:, 1]).max()
        assert 0.7 < reach < 1.45, seed
        assert 0.85 < rows[:, 2].max() < 1.25, seed
        assert -0.05 <= rows[:, 2].min() < 0.2, seed


@pytest.mark.parametrize("name", SPECIES)
def test_leaves_face_outwards(name: str) -> None:
    """A crown's far side is not drawn, so each leaf triangle must turn away from the trunk."""
    rows = SPECIES[name].build(np.random.default_rng(4)).rows.reshape(-1, 3, 12)
    leaves = rows[rows[:, 0, 8] == float(Layer.LEAVES), :, :6].astype(np.float64)
    if not len(leaves):
        return
    a, b, c = np.moveaxis(leaves[..., :3], 1, 0)
    turned = (np.cross(b - a, c - a) * leaves[..., 3:].mean(axis=1)).sum(axis=1)
    under = np.cross(b - a, c - a)[:, 2] < 0  # a tier's flat underside is lit as its top is
    assert (turned[~under] > 0).mean() > 0.97


def test_a_wood_is_closed_and_cheap(wide_river: Layout) -> None:
    """Seen from above a wood hides its floor, and its trees have at most sixty triangles."""
    for name in ("stand_round", "stand_conifer"):
        assert len(SPECIES[name].build(np.random.default_rng(1)).rows) // 3 <= 60
    site = _site(wide_river)
    plant(site)
    lot = wide_river.lots[0].foot
    discs = np.array(site.taken)
    rng = np.random.default_rng(2)
    spots = lot.place(rng.uniform(-0.42, 0.42, (400, 2)) * [lot.length_m, lot.width_m])
    gaps = np.hypot(*(spots[:, None] - discs[None, :, :2]).transpose(2, 0, 1))
    covered = (gaps < discs[:, 2] / 0.6).any(axis=1)  # a trunk takes 0.6 of its crown
    assert covered.mean() > 0.85


def test_trees_keep_off_streets_and_out_of_the_water(layout: Layout) -> None:
    """No trunk stands on a carriageway or in the river."""
    site = _site(layout, "village")
    plant(site)
    for east, north, _ in site.taken:
        assert layout.river.distance_m(np.array(east), np.array(north)) > 2.0
        for street in layout.streets:
            across = north if street.along_east else east
            assert abs(across - street.at_m) > street.width_m / 2


def test_trees_of_one_district_differ_in_hue_and_brightness(layout: Layout) -> None:
    """Crowns of one summer's district span a third in brightness, and some in hue."""
    site = _site(layout, "village")
    plant(site)
    rows = site.mesh.rows().reshape(-1, 3, 12)
    tint = rows[rows[:, 0, 8] == float(Layer.LEAVES)][:, 0, 9:12]
    low, high = np.percentile(tint.mean(axis=1), [5, 95])
    assert high > 1.35 * low
    hue = tint[:, 0] / tint[:, 1]
    assert np.ptp(np.percentile(hue, [5, 95])) > 0.08


def test_woods_take_only_open_lots(layout: Layout) -> None:
    """Making woods moves no street and takes no lot but parks, fields and open yards."""
    wooded = wood_lots(np.random.default_rng(1), layout, 2)
    assert wooded.streets == layout.streets
    for old, new in zip(layout.lots, wooded.lots, strict=True):
        assert old.foot == new.foot
        assert old.kind == new.kind or (
            old.kind in ("park", "field", "yard") and new.kind == "wood"
        )
    assert sum(lot.kind == "wood" for lot in wooded.lots) >= 1


def test_a_season_is_named_and_drawn_from_all(layout: Layout) -> None:
    """The seasons come round, and each family in season says which one it is in."""
    drawn = {in_season(np.random.default_rng(i), FAMILIES["village"]).season for i in range(60)}
    assert {"summer", "autumn", "winter"} <= drawn


def test_boats_float_on_the_river_and_are_named(wide_river: Layout) -> None:
    """Every moored boat lies on the water and is handed to the truth with its outline."""
    named = []
    for seed in range(3):
        site = _site(wide_river, seed=seed)
        moor(site, 6)
        named += site.named
    assert len(named) > 20
    for thing in named:
        assert thing.cause == "boat"
        inside = wide_river.river.distance_m(thing.outline_m[:, 0], thing.outline_m[:, 1])
        assert inside.max() < 0.5
        assert thing.points_m[:, 2].min() == pytest.approx(-RIVER_DROP_M)


def test_container_stacks_are_named_block_by_block() -> None:
    """A port's stacks are distractors: every container's top lies in some named outline."""
    lot = Lot("containers", Footprint(80.0, 0.0, 50.0, 40.0))
    river = River(-100.0, 0.0, 300.0, 0.0, 20.0, flows_north=True)
    site = _site(Layout(river, (), (lot,)))
    furnish(site)
    stacks = [thing for thing in site.named if thing.cause == "container"]
    assert stacks
    rows = site.mesh.rows()
    ribbed = rows[(rows[:, 8] == float(Layer.RIBBED)) & (rows[:, 2] > 2.0)]
    for east, north in ribbed[:, :2]:
        boxes = [(t.outline_m.min(axis=0) - 0.01, t.outline_m.max(axis=0) + 0.01) for t in stacks]
        assert any(np.all((low <= (east, north)) & ((east, north) <= high)) for low, high in boxes)


def test_what_furniture_is_named_is_in_the_truth(wide_river: Layout) -> None:
    """The truth lists every moored boat and container stack as a distractor, even uncounted."""
    lots = (Lot("containers", Footprint(80.0, 0.0, 50.0, 40.0)),)
    site = _site(replace(wide_river, lots=lots))
    furnish(site)
    finds = _finds(site)
    finds.name_furniture()
    assert [find.name for find in finds.found] == [thing.cause for thing in site.named]
    assert {find.name for find in finds.found} == {"boat", "container"} <= set(DISTRACTORS)
    assert all(find.kind == "distractor" for find in finds.found)


def test_white_water_stays_on_the_water(wide_river: Layout) -> None:
    """Weirs and surf change nothing that is not water."""
    dry = _finds(_site(wide_river), Material.GRASS)
    whiten_water(dry)
    assert (dry.ground.rgb == 90).all()
    wet = _finds(_site(wide_river, seed=5))
    for _ in range(4):
        whiten_water(wet)
    assert (wet.ground.rgb[..., 0] > 150).sum() > 500


def test_a_plume_is_never_of_the_river_s_own_colour(wide_river: Layout) -> None:
    """Whatever the river's colour, a plume's thickest part stands out from it."""
    for rgb in ((150, 128, 98), (176, 160, 132), (40, 58, 70), (112, 142, 124)):
        finds = _finds(_site(wide_river))
        finds.site.family = replace(FAMILIES["harbour"], water_rgb=rgb)
        finds.ground.rgb[:] = rgb
        add_discharge(finds)
        low, high = finds.found[0].outline_m.min(axis=0), finds.found[0].outline_m.max(axis=0)
        (left, top), (right, bottom) = pixels(np.array([[low[0], high[1]], [high[0], low[1]]]))
        seen = finds.ground.rgb[top:bottom, left:right].astype(int)
        assert (np.abs(seen - np.array(rgb)).max(axis=2) > 25).sum() > 200, rgb


def _fronts(count: int) -> tuple[Finds, list[int]]:
    layout = plan(np.random.default_rng(9), FAMILIES["village"])
    finds = _finds(_site(wood_lots(np.random.default_rng(1), layout, 3), "village"), Material.GRASS)
    large = []
    for _ in range(count):
        before = len(finds.smokes)
        add_smoke(finds)
        if any(smoke.front_m != (0.0, 0.0) for smoke in finds.smokes[before:]):
            large.append(len(finds.found) - 1)
    return finds, large


def test_some_smokes_are_broad_banks_over_a_front_of_fires() -> None:
    """About a quarter of the smokes rise from a front; these are several times as wide."""
    finds, large = _fronts(30)
    assert 3 <= len(large) <= 14
    widths = [float(np.ptp(find.outline_m, axis=0).max()) for find in finds.found]
    small = [w for i, w in enumerate(widths) if i not in large]
    assert min(widths[i] for i in large) > 22.0
    assert np.median([widths[i] for i in large]) > 2.5 * np.median(small)
    for find in finds.found:
        assert find.name == "smoke"
        assert np.abs(find.outline_m).max() < HALF_M


def test_a_bank_of_smoke_is_cheap_to_draw_and_covers_its_outline() -> None:
    """A front's smoke has at most 60 puffs, and most of them hang over the outline's extent."""
    finds, large = _fronts(30)
    banks = [smoke for smoke in finds.smokes if smoke.front_m != (0.0, 0.0)]
    by_foot: dict[tuple[float, float, float], int] = {}
    for smoke in banks:
        by_foot[smoke.base_m] = by_foot.get(smoke.base_m, 0) + smoke.n_puffs
    assert len(by_foot) == len(large)
    assert max(by_foot.values()) <= 60
    for smoke in banks:
        core = smoke.core()[:, :2]
        puffs = smoke.puffs(20.0)
        dense = puffs[puffs[:, 4] > 0.25 * smoke.density][:, :2]
        within = np.all((dense > core.min(axis=0) - 4) & (dense < core.max(axis=0) + 4), axis=1)
        assert within.mean() > 0.85


def test_a_bank_of_smoke_hides_no_other_find() -> None:
    """Nothing that the truth calls visible is placed under a bank, before it or after it."""
    finds, large = _fronts(24)
    assert large
    for _ in range(12):
        add_open_pit(finds)
        add_awning(finds)
    banks = [finds.found[i].outline_m for i in large]
    for find in finds.found:
        for bank in banks:
            if find.outline_m is not bank:
                spot = find.reference_m
                depth = cv2.pointPolygonTest(bank.astype(np.float32), spot, True)
                assert depth < 1.0, find.id
