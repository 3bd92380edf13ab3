"""Laws of vehicles, people and signs: they stand on the ground, on the right side, and apart."""

from __future__ import annotations

import numpy as np
import pytest

from sim.world.buildings import Site
from sim.world.distractors import add_lorry, add_plant
from sim.world.district import District
from sim.world.families import FAMILIES
from sim.world.finds import Finds
from sim.world.floor import lay_ground
from sim.world.ground import GROUND_PX, Ground
from sim.world.layout import Layout, Street
from sim.world.lorries import LOADS, LORRIES, SKIPS, excavator, lorry, roller, tipper
from sim.world.mesh import VERTEX_FLOATS, Footprint, MeshBuilder
from sim.world.signs import add_billboard, lettered
from sim.world.sites import clear_blocks
from sim.world.street import cyclist, furnish_streets, people, person
from sim.world.terrain import drape, draw_terrain
from sim.world.textures import SIGN_RGB, SIGN_ROWS, Layer, paint_atlas
from sim.world.traffic import on_bridge, park_cars, street_place
from sim.world.vehicles import CARS, Painted, bus, car

VEHICLES = {
    **{kind: car(kind) for kind in CARS},
    **{kind: lorry(kind) for kind in LORRIES},
    **{f"tipper {load} {skip}": tipper(load, skip) for load in LOADS for skip in SKIPS},
    "bus": bus(),
    "excavator": excavator(),
    "parked excavator": excavator("park"),
    "loader": roller(),
}


@pytest.fixture
def town(layout: Layout) -> Finds:
    """A plan with room on it and nothing built."""
    rng = np.random.default_rng(8)
    cleared = clear_blocks(rng, layout, 10)
    empty = np.zeros((GROUND_PX, GROUND_PX), np.float32)
    picture = np.full((GROUND_PX, GROUND_PX, 3), 120, np.uint8)
    ground = Ground(np.zeros((GROUND_PX, GROUND_PX), np.uint8), picture, empty, empty)
    return Finds(Site(rng, FAMILIES["dense_town"], cleared), ground, [], [])


def _stamped(thing: Painted, tint: tuple[float, float, float]) -> np.ndarray:
    mesh = MeshBuilder()
    thing.place(mesh, np.array([[0.0, 0.0, 0.0, 0.0, 1.0, 1.0]]), np.array([tint]))
    return mesh.rows()


@pytest.mark.parametrize("name", VEHICLES)
def test_a_vehicle_stands_on_the_ground_and_is_of_a_vehicle_s_size(name: str) -> None:
    """Wheels touch the ground and go no deeper; no vehicle outgrows what a road carries."""
    rows = _stamped(VEHICLES[name], (1.0, 1.0, 1.0))
    low, high = rows[:, :3].min(axis=0), rows[:, :3].max(axis=0)
    assert 0.0 < low[2] < 0.1
    assert high[2] < 4.7
    assert 3.5 < high[0] - low[0] < 11.5
    assert 1.6 < high[1] - low[1] < 2.85
    assert len(rows) // 3 < 230


@pytest.mark.parametrize("name", VEHICLES)
def test_paint_takes_the_tint_and_glass_does_not(name: str) -> None:
    """A red car has red bodywork, and the same dark panes, tyres and lamps as a white one."""
    white = _stamped(VEHICLES[name], (1.0, 1.0, 1.0))[:, 9:12]
    red = _stamped(VEHICLES[name], (0.8, 0.1, 0.1))[:, 9:12]
    kept = np.all(white == red, axis=1)
    assert kept.any()
    assert np.allclose(red[~kept], white[~kept] * np.array([0.8, 0.1, 0.1]), atol=1e-6)
    assert (~kept).any()
    assert (red[kept].max(axis=1) < 0.2).any(), "nothing is dark glass"


def test_every_kind_of_car_has_a_cabin_narrower_than_its_body() -> None:
    """Seen from above or ahead a car is no box: its roof is narrower and shorter than its body."""
    for kind in CARS:
        rows = car(kind).rows
        roof = rows[rows[:, 2] > rows[:, 2].max() - 0.01]
        for axis in (0, 1):
            assert np.ptp(roof[:, axis]) < 0.85 * np.ptp(rows[:, axis]), kind


def test_traffic_keeps_to_the_right() -> None:
    """Seen along its nose, a vehicle stands to the right of the street's middle, on any street."""
    for along_east in (True, False):
        street = Street(along_east, 30.0, 9.0, has_bridge=False)
        for is_forward in (True, False):
            east, north, turn = street_place(street, -12.0, 2.0, is_forward)
            right = np.array([np.sin(turn), -np.cos(turn)])
            middle = np.array([-12.0, 30.0] if along_east else [30.0, -12.0])
            assert (np.array([east, north]) - middle) @ right == pytest.approx(2.0)


def test_cars_are_many_stand_apart_and_keep_off_the_water(town: Finds) -> None:
    """A town holds hundreds of cars; their middles keep apart, and none is in the river."""
    site = town.site
    park_cars(site)
    discs = np.array(site.taken)
    assert len(discs) > 300  # three discs to a vehicle
    pairs = discs.reshape(-1, 3, 3)[:, :, :2]
    middles = pairs.mean(axis=1)
    gaps = np.hypot(*(middles[:, None] - middles[None]).transpose(2, 0, 1)) + 99 * np.eye(
        len(middles)
    )
    assert gaps.min() > 1.7
    assert not any(on_bridge(site.layout, e, n) for e, n in middles)


def test_what_stands_in_streets_keeps_off_cars_and_water(town: Finds) -> None:
    """People, lamps and signs stand where nothing else does, at street level, on dry land."""
    site = town.site
    park_cars(site)
    cars = len(site.mesh.rows())
    furnish_streets(site)
    people(site, [])
    rows = site.mesh.rows()[cars:]
    assert len(rows) > 5000
    assert 0.0 < rows[:, 2].min() < 0.1
    feet = rows[rows[:, 2] < 0.1][:, :2].astype(np.float64)
    assert float(site.layout.river.distance_m(feet[:, 0], feet[:, 1]).min()) > 5.0


def test_on_hills_all_of_it_stands_on_the_slope(town: Finds) -> None:
    """Draped over relief, vehicles, people and masts neither float nor sink."""
    site = town.site
    park_cars(site)
    furnish_streets(site)
    people(site, [])
    terrain = draw_terrain(4, site.layout, 10.0)
    flat = site.mesh.rows()
    lay_ground(site.mesh, site.layout, [])
    hilly = drape(terrain, site.mesh.rows())[: len(flat)]  # the ground's triangles come last
    over = hilly[:, 2] - terrain.up_m(hilly[:, 0], hilly[:, 1])
    assert np.ptp(hilly[:, 2]) > np.ptp(flat[:, 2]) + 4.0
    assert np.abs(over - flat[:, 2]).max() < 1e-3
    assert 0.0 < over.min() < 0.1


def test_a_person_is_as_tall_as_a_person() -> None:
    """Feet on the ground, head at about 1.7 m, and a helmet shows from above."""
    for somebody in (person(), person((1.0, 0.85, 0.1)), cyclist()):
        rows = _stamped(somebody, (0.2, 0.2, 0.2))
        assert 0.0 < rows[:, 2].min() < 0.1
        assert 1.5 < rows[:, 2].max() < 1.8
        assert len(rows) // 3 < 90
    crown = _stamped(person((1.0, 0.85, 0.1)), (0.2, 0.2, 0.2))
    assert np.allclose(crown[crown[:, 2] > 1.7][:, 9:12], (1.0, 0.85, 0.1))


def test_parked_lorries_and_machines_are_distractors_each_with_its_outline(town: Finds) -> None:
    """Each vehicle of a row has its own truth; their outlines never overlap."""
    for _ in range(4):
        add_lorry(town)
        add_plant(town)
    assert {f.name for f in town.found} == {"lorry", "plant"}
    assert all(f.kind == "distractor" for f in town.found)
    assert len(town.found) > 8, "no row was parked"
    spots = np.array([f.reference_m for f in town.found])
    gaps = np.linalg.norm(spots[:, None] - spots[None], axis=2) + 99.0 * np.eye(len(spots))
    assert gaps.min() > 2.9
    rows = town.site.mesh.rows()
    for find in town.found:
        over = rows[np.hypot(*(rows[:, :2] - find.reference_m).T) < 3.0]
        assert over[:, 2].max() > 1.5, f"nothing stands on {find.id}"


def test_a_billboard_wears_lettering_on_both_faces(town: Finds) -> None:
    """A billboard's truth encloses its posts and its board, and it can be read from both sides."""
    for _ in range(5):
        add_billboard(town)
    rows = town.site.mesh.rows()
    text = rows[rows[:, 8] == float(Layer.SIGNS)]
    assert [f.name for f in town.found] == ["billboard"] * len(town.found)
    assert len(town.found) >= 3
    for find in town.found:
        near = text[np.hypot(*(text[:, :2] - find.reference_m).T) < 8.0]
        assert find.height_m > 2.0
        facing = near[:, 3:5] @ near[0, 3:5]
        assert facing.min() < -0.9 or len(near) == 0
        if len(near):
            assert facing.max() > 0.9
    assert len(text) > 0


def test_lettering_stays_on_its_line_of_the_sheet() -> None:
    """However long a sign is, it shows one line of the sheet of letters and no other."""
    for row in range(SIGN_ROWS):
        mesh = MeshBuilder()
        lettered(mesh, Footprint(3.0, 4.0, 9.0, 0.2, 1.0), (2.0, 3.0), row)
        v = mesh.rows()[:, 7]
        assert v.min() > row / SIGN_ROWS
        assert v.max() < (row + 1) / SIGN_ROWS


def test_the_sheet_of_letters_has_each_board_s_colours() -> None:
    """Every line is mostly its board's colour, with letters on it in the other."""
    sheet = paint_atlas(np.random.default_rng(1))[Layer.SIGNS]
    cell = len(sheet) // SIGN_ROWS
    for row, (board, letters) in enumerate(SIGN_RGB):
        line = sheet[row * cell : (row + 1) * cell].reshape(-1, 3).astype(int)
        is_board = np.abs(line - board).max(axis=1) < 3
        is_letter = np.abs(line - letters).max(axis=1) < 30
        assert 0.5 < is_board.mean() < 0.95
        assert is_letter.mean() > 0.03


def test_a_whole_district_shows_vehicles_people_and_signs(district: District) -> None:
    """A drawn district has rows of lorries, machines, billboards, and signs on its walls."""
    names = [f.name for f in district.finds]
    assert names.count("lorry") >= 6
    assert names.count("plant") >= 3
    assert "billboard" in names
    assert district.triangles.shape[1] == VERTEX_FLOATS
    assert (district.triangles[:, 8] == float(Layer.SIGNS)).sum() > 60
