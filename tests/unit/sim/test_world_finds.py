"""Laws of single finds: pits are holes, barriers close, permits are listed, plots keep apart."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from shapely.geometry import Polygon

from sim.camera import CameraModel
from sim.truth_files import TruthLog
from sim.vehicle.vehicle import Origin
from sim.world.buildings import Site
from sim.world.distractors import DISTRACTORS, LOOKS_LIKE
from sim.world.district import District
from sim.world.families import FAMILIES
from sim.world.finds import Finds, free_plot
from sim.world.floor import lay_ground
from sim.world.ground import GROUND_PX, Ground, pixels
from sim.world.layout import Layout
from sim.world.mesh import MeshBuilder
from sim.world.pits import add_guarded_pit, add_open_pit
from sim.world.sheds import add_permitted_structure, add_structure
from sim.world.sites import OPEN_LOTS, clear_blocks
from sim.world.textures import Layer
from sim.world.violations import VIOLATIONS

Rows = NDArray[np.float32]


@pytest.fixture
def open_town(layout: Layout) -> Finds:
    """A plan with room on it, nothing built, the ground grey."""
    rng = np.random.default_rng(8)
    cleared = clear_blocks(rng, layout, 12)
    empty = np.zeros((GROUND_PX, GROUND_PX), np.float32)
    picture = np.full((GROUND_PX, GROUND_PX, 3), 120, np.uint8)
    ground = Ground(np.zeros((GROUND_PX, GROUND_PX), np.uint8), picture, empty, empty)
    return Finds(Site(rng, FAMILIES["dense_town"], cleared), ground, [], [])


def _covers(rows: Rows, east_m: float, north_m: float) -> NDArray[np.bool_]:
    """Say of each triangle whether it lies over or under a spot."""
    a, b, c = np.moveaxis(rows.reshape(-1, 3, rows.shape[1])[:, :, :2].astype(np.float64), 1, 0)
    spot = np.array([east_m, north_m])

    def side(p: NDArray[np.float64], q: NDArray[np.float64]) -> NDArray[np.float64]:
        edge, away = q - p, spot - p
        return np.asarray(edge[:, 0] * away[:, 1] - edge[:, 1] * away[:, 0])

    turns = np.stack([side(a, b), side(b, c), side(c, a)])
    return np.asarray((turns > 0).all(axis=0) | (turns < 0).all(axis=0))


def test_a_pit_is_a_hole_in_the_ground_with_a_bottom(open_town: Finds) -> None:
    """Over a pit's middle there is no ground, below it a floor as deep as the truth says."""
    for _ in range(6):
        add_open_pit(open_town)
    floor = MeshBuilder()
    lay_ground(floor, open_town.site.layout, open_town.holes)
    ground, solid = floor.rows(), open_town.site.mesh.rows()
    assert len(open_town.found) >= 4
    for pit in open_town.found:
        east, north = pit.outline_m.mean(axis=0)
        assert not _covers(ground, east, north).any(), pit.id
        under = solid.reshape(-1, 3, solid.shape[1])[_covers(solid, east, north)][:, :, 2]
        assert under.min() == pytest.approx(pit.height_m, abs=0.01)
        beyond = pit.outline_m[:, 0].max() + 1.5
        assert _covers(ground, beyond, north + 0.013).any(), f"{pit.id}: the ground ends too soon"


def test_the_ground_has_no_gap_but_the_pits(layout: Layout) -> None:
    """Cutting holes takes their area away and next to nothing else."""
    square = np.array([[3.1, 4.2], [9.7, 4.2], [9.7, 8.9], [3.1, 8.9]]) + np.array([60.0, -40.0])
    whole, cut = MeshBuilder(), MeshBuilder()
    lay_ground(whole, layout, [])
    lay_ground(cut, layout, [square])
    lost = _area(whole.rows()) - _area(cut.rows())
    lip = 2 * (6.6 + 4.7) * 0.75  # what the trodden lip round the pit covers
    assert 6.6 * 4.7 < lost < 6.6 * 4.7 + lip


def _area(rows: Rows) -> float:
    a, b, c = np.moveaxis(rows.reshape(-1, 3, rows.shape[1])[:, :, :2].astype(np.float64), 1, 0)
    u, v = b - a, c - a
    return float(np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).sum() / 2)


def test_a_guarded_pit_has_a_barrier_on_every_side(open_town: Finds) -> None:
    """Walk round the truth's outline: within a step something stands breast-high, all the way."""
    for _ in range(5):
        add_guarded_pit(open_town)
    rows = open_town.site.mesh.rows()
    tops = rows[(rows[:, 2] > 0.8) & (rows[:, 2] < 1.3)][:, :2]
    assert len(open_town.found) >= 3
    for pit in open_town.found:
        line = pit.outline_m
        for start, end in zip(line, np.roll(line, -1, axis=0), strict=True):
            for share in np.linspace(0, 1, 12):
                spot = start + share * (end - start)
                assert np.hypot(*(tops - spot).T).min() < 0.9, pit.id
        assert pit.kind == "distractor"


def test_what_is_permitted_looks_like_what_is_not(open_town: Finds, layout: Layout) -> None:
    """From the same draw a permitted shed is the same triangles: only the register tells."""
    other = Finds(
        Site(np.random.default_rng(3), FAMILIES["village"], open_town.site.layout),
        open_town.ground,
        [],
        [],
    )
    open_town.site.rng = np.random.default_rng(3)
    open_town.site.family = FAMILIES["village"]
    add_structure(open_town)
    add_permitted_structure(other)
    assert np.array_equal(open_town.site.mesh.rows(), other.site.mesh.rows())
    assert open_town.found[0].kind == "violation"
    assert LOOKS_LIKE[other.found[0].name] == open_town.found[0].name


def test_look_alikes_name_a_distractor_and_a_label() -> None:
    """Whatever a detector may rightly take for a violation is a known pair."""
    for cause, label in LOOKS_LIKE.items():
        assert cause in DISTRACTORS
        assert label in VIOLATIONS


def test_the_register_lists_permitted_sheds_and_roofed_buildings(
    district: District, camera: CameraModel, tmp_path: Path
) -> None:
    """permitted.geojson holds the permitted sheds and every building whose roof is not flat."""
    TruthLog(district, Origin(31.5, 120.3, 4.0, 10.0), camera).write(tmp_path)
    truth = json.loads((tmp_path / "truth.geojson").read_text("utf-8"))["features"]
    register = json.loads((tmp_path / "permitted.geojson").read_text("utf-8"))["features"]
    sheds = [f for f in truth if f["properties"].get("cause") == "permitted_structure"]
    roofed = [one for one in district.buildings if not one.has_flat_roof]
    assert len(sheds) > 0
    assert 0 < len(roofed) < len(district.buildings)
    assert len(register) == len(sheds) + len(roofed)
    assert [f["geometry"] for f in register[: len(sheds)]] == [f["geometry"] for f in sheds]
    for feature in truth:
        assert feature["properties"]["stands_from_s"] == 0.0
        assert feature["properties"]["stands_to_s"] is None


def test_no_violation_stands_on_or_in_a_building_of_the_register(district: District) -> None:
    """A shed on a roof stands on a flat one, so that the register hides no violation."""
    for find in district.finds:
        if find.kind != "violation" or find.name != "structure":
            continue
        shed = Polygon(find.outline_m)
        for one in district.buildings:
            if not one.has_flat_roof:
                assert shed.intersection(Polygon(one.body.corners())).area < 0.01, find.id


def test_plots_lie_on_one_lot_and_keep_apart(open_town: Finds) -> None:
    """A plot stays on its lot, so no site lies on a street, and two plots never overlap."""
    plots = [p for _ in range(14) if (p := free_plot(open_town, OPEN_LOTS, (16.0, 9.0)))]
    assert len(plots) >= 6
    lots = [lot.foot for lot in open_town.site.layout.lots if lot.kind in OPEN_LOTS]
    for i, plot in enumerate(plots):
        away = [np.abs(plot.corners() - [f.east_m, f.north_m]) for f in lots]
        halves = [np.array([f.length_m, f.width_m]) / 2 for f in lots]
        assert any(np.all(a < h) for a, h in zip(away, halves, strict=True))
        for other in plots[:i]:
            mine, theirs = (p.corners().astype(np.float32) for p in (plot, other))
            shared, _ = cv2.intersectConvexConvex(mine, theirs)
            assert shared < 0.5


def test_cleared_blocks_keep_the_plan_s_area(layout: Layout) -> None:
    """Clearing joins the lots of a block; it neither takes land from streets nor gives any."""
    cleared = clear_blocks(np.random.default_rng(2), layout, 6)
    areas = [sum(t.foot.length_m * t.foot.width_m for t in p.lots) for p in (layout, cleared)]
    assert areas[1] == pytest.approx(areas[0], rel=0.01)
    assert len(cleared.lots) < len(layout.lots)
    assert cleared.streets == layout.streets


def test_bare_soil_is_earth_and_netted_soil_is_green(district: District) -> None:
    """In the ground picture a bare site is redder than blue; a net's triangles wear the net."""
    for find in district.finds:
        if find.name == "bare_soil":
            mask = np.zeros((GROUND_PX, GROUND_PX), np.uint8)
            cv2.fillPoly(mask, [pixels(find.outline_m)], 1)
            red, _, blue = np.median(district.ground_rgba[mask > 0][:, :3], axis=0)
            assert red > 1.12 * blue, find.id
    assert (district.triangles[:, 8] == float(Layer.NET)).any()
