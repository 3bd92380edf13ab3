"""What only looks like a violation: each maker places one distractor and records its truth."""

from __future__ import annotations

import cv2
import numpy as np

from sim.world.boats import add_boat
from sim.world.earth import blanket, lay_patch
from sim.world.finds import (
    EDGE_M,
    Finds,
    FloatArray,
    disc,
    flat_points,
    free_plot,
    free_spot,
    solid_points,
    tint_of,
)
from sim.world.ground import PX_PER_M, pixels
from sim.world.layout import HALF_M
from sim.world.lorries import excavator, roller
from sim.world.mesh import Footprint, Rgb, Skin, at_height, box
from sim.world.pits import add_guarded_pit
from sim.world.props import MACHINE_RGB, beam, crate, fence, stand, strew
from sim.world.sheds import add_permitted_structure
from sim.world.signs import add_billboard
from sim.world.sites import OPEN_LOTS, add_bare_lot, add_netted_soil, add_ploughed_field
from sim.world.smoke import add_chimney_steam, add_mist
from sim.world.textures import Layer
from sim.world.traffic import CAB_RGB, draw_lorry
from sim.world.water import add_algae, add_sun_glint

_SHEET_RGB = (
    (48, 110, 190),
    (44, 104, 176),
    (36, 92, 200),
    (70, 130, 190),
    (60, 130, 84),
    (176, 120, 60),
    (226, 226, 220),
)


_ROW_LOTS = ("yard", "parking", "hall")


def _row_plot(finds: Finds, count: int, step_m: float, long_m: float) -> list[FloatArray]:
    """Find room for a row of vehicles side by side; returns rows of east, north, turn."""
    rng = finds.site.rng
    plot = free_plot(finds, _ROW_LOTS, (count * step_m, long_m), 0.94) if count > 1 else None
    if plot is None:
        spot = free_spot(finds, (*_ROW_LOTS, "park"), long_m / 2)
        turn = float(rng.choice([0, np.pi / 2]) + rng.normal(0, 0.08))
        return [] if spot is None else [np.array([*spot, turn])]
    is_tall = plot.width_m > plot.length_m
    along = (np.arange(count) + 0.5) / count - 0.5
    local = np.zeros((count, 2))
    local[:, 1 if is_tall else 0] = along * max(plot.length_m, plot.width_m)
    local[:, 0 if is_tall else 1] = rng.normal(0, 0.12, count)
    turn = plot.turn_rad + (0.0 if is_tall else np.pi / 2) + np.pi * (rng.random() < 0.5)
    turns = turn + rng.normal(0, 0.025, count)
    return list(np.column_stack([plot.place(local), turns]))


def add_lorry(finds: Finds) -> None:
    """Park a lorry, or a row of three to eight side by side; each is a distractor of its own."""
    rng = finds.site.rng
    count = 1 if rng.random() < 0.35 else int(rng.integers(3, 9))
    fleet = draw_lorry(rng)
    tint = CAB_RGB[int(rng.integers(len(CAB_RGB)))]
    is_fleet = rng.random() < 0.6  # one owner, one colour
    for east, north, turn in _row_plot(finds, count, 3.5, 9.6):
        thing = fleet if is_fleet else draw_lorry(rng)
        rgb = tint if is_fleet else CAB_RGB[int(rng.integers(len(CAB_RGB)))]
        stand(finds.site.mesh, thing, np.array([east, north]), float(turn), _rgb_of(rgb))
        foot = Footprint(float(east), float(north), 8.6, 2.55, float(turn))
        finds.add(("distractor", "lorry"), foot.corners(), solid_points(foot, (0.0, 2.9)))


def _rgb_of(row: FloatArray) -> Rgb:
    return float(row[0]), float(row[1]), float(row[2])


def add_plant(finds: Finds) -> None:
    """Park excavators or loaders on a paved yard, one or a row, their arms drawn in."""
    rng = finds.site.rng
    count = 1 if rng.random() < 0.3 else int(rng.integers(3, 7))
    tint = MACHINE_RGB[int(rng.integers(len(MACHINE_RGB)))]
    kinds = (excavator("park"), roller())
    first = int(rng.integers(2))
    for east, north, turn in _row_plot(finds, count, 3.9, 8.4):
        thing = kinds[first if rng.random() < 0.75 else 1 - first]
        stand(finds.site.mesh, thing, np.array([east, north]), float(turn), tint)
        foot = Footprint(float(east), float(north), 7.0, 2.8, float(turn))
        finds.add(("distractor", "plant"), foot.corners(), solid_points(foot, (0.0, 3.4)))


_CONTAINER_RGB = (
    (170, 62, 40),
    (196, 110, 44),
    (58, 112, 74),
    (120, 70, 52),
    (40, 66, 110),
    (150, 154, 156),
)


def add_container(finds: Finds) -> None:
    """Set down shipping containers of 20 or 40 feet, at times two in a stack."""
    rng = finds.site.rng
    long = 6.06 if rng.random() < 0.65 else 12.19
    spot = free_spot(finds, ("yard", "parking"), long / 2 + 0.4)
    if spot is None:
        return
    foot = Footprint(*spot, long, 2.44, float(rng.uniform(0, np.pi)))
    levels = 2 if rng.random() < 0.2 else 1
    for level in range(levels):
        tint = tint_of(_CONTAINER_RGB[int(rng.integers(len(_CONTAINER_RGB)))], rng)
        skin = Skin(Layer.RIBBED, tint, 3.2)
        box(finds.site.mesh, foot, (2.6 * level, 2.6 * level + 2.55), skin, skin)
    points = solid_points(foot, (0.0, 2.6 * levels))
    finds.add(("distractor", "container"), foot.corners(), points)


def add_tarpaulin(finds: Finds) -> None:
    """Spread a sheet on the ground or over goods: mostly blue, some green, striped or white."""
    rng = finds.site.rng
    spot = free_spot(finds, ("yard", "field", "park", "parking"), 3.6)
    if spot is None:
        return
    long, wide = float(rng.uniform(2.5, 7.0)), float(rng.uniform(2.0, 4.5))
    foot = Footprint(*spot, long, wide, float(rng.uniform(0, 3.1)))
    tint = tint_of(_SHEET_RGB[int(rng.integers(len(_SHEET_RGB)))], rng)
    rows, cols = max(5, int(wide * 2)), max(5, int(long * 2))
    up = 0.2 + rng.uniform(0, 0.22, (rows, cols))
    if rng.random() < 0.45:  # over a stack of goods
        up[rows // 4 : -rows // 4, cols // 5 : -cols // 5] += float(rng.uniform(0.5, 1.6))
    up[[0, -1]], up[:, [0, -1]] = 0.05, 0.05
    grid = blanket(finds, foot, up, Skin(Layer.CREASED, tint, 5.0))
    weights = np.array([(0.6, 0.35, 0.28), (0.15, 0.15, 0.15), (0.7, 0.68, 0.64)])
    strew(rng, finds.site.mesh, grid[::3, [0, -1]].reshape(-1, 3), (0.2, 0.45), weights)
    finds.add(("distractor", "tarpaulin"), foot.corners(), grid.reshape(-1, 3))


def add_awning(finds: Finds) -> None:
    """Stretch a white awning on posts beside a house, or put up a peaked tent."""
    rng, mesh = finds.site.rng, finds.site.mesh
    spot = free_spot(finds, ("yard", "house", "parking", "park", "block"), 2.8)
    if spot is None:
        return
    long, wide = float(rng.uniform(2.6, 7.0)), float(rng.uniform(2.2, 4.0))
    foot = Footprint(*spot, long, wide, float(rng.choice([0, np.pi / 2]) + rng.normal(0, 0.05)))
    high, rise = float(rng.uniform(2.2, 3.0)), float(rng.uniform(0.2, 1.2))
    white = Skin(Layer.PLAIN, tint_of(((246, 246, 244), (232, 230, 222))[rng.integers(2)], rng), 6)
    peaked = rng.random() < 0.4
    x, y = np.meshgrid(np.linspace(-1, 1, 9), np.linspace(-1, 1, 9))
    up = high + rise * ((1 - np.maximum(np.abs(x), np.abs(y))) ** 1.4 if peaked else (1 - y**2))
    grid = blanket(finds, foot, up, white)
    if not peaked and rng.random() < 0.35:  # striped
        stripe = ((200, 70, 60), (60, 110, 180), (70, 140, 90))[int(rng.integers(3))]
        rgb = tint_of(stripe, rng)
        raised = grid + np.array([0.0, 0.0, 0.02])
        for at in range(0, 8, 2):
            quads = np.stack(
                [raised[:-1, at], raised[:-1, at + 1], raised[1:, at + 1], raised[1:, at]], axis=1
            )
            mesh.quads(quads, quads[..., :2] / 4.0, Layer.PLAIN, rgb)
    posts = np.column_stack(
        [at_height(foot.corners(-0.1), 0.0), np.zeros(4), np.full(4, 0.1), np.full(4, high)]
    )
    crate().place(mesh, posts, np.full((4, 3), 0.6))
    finds.add(("distractor", "awning"), foot.corners(), solid_points(foot, (high - 0.2, high)))


_COURT_RGB = (
    (58, 122, 88),
    (48, 98, 150),
    (172, 84, 66),
    (96, 110, 78),
    (164, 120, 92),  # clay
)


def add_sports_court(finds: Finds) -> None:
    """Lay out a court for basketball, tennis or badminton, with its lines and posts."""
    rng, ground = finds.site.rng, finds.ground
    sizes = ((28.0, 15.0), (23.8, 11.0), (13.4, 6.1), (18.0, 9.0))
    long, wide = sizes[int(rng.integers(len(sizes)))]
    foot = free_plot(finds, (*OPEN_LOTS, "parking"), (long + 3, wide + 3), 0.45)
    if foot is None:
        return
    inner, outer = rng.permutation(len(_COURT_RGB))[:2]
    ground.polygon(foot.corners(), _COURT_RGB[outer])
    field = _grown(foot, -1.5)
    ground.polygon(field.corners(), _COURT_RGB[inner])
    ground.wash(foot.corners(), _COURT_RGB[inner], 0.12, 0.8)
    for share in (0.5, 0.0, 0.25):
        _lines(finds, field, share)
    for end in (-1, 1):
        east, north = foot.place(np.array([[end * (field.length_m / 2 + 0.3), 0.0]]))[0].tolist()
        skin = Skin(Layer.PLAIN, (0.3, 0.32, 0.36), 3.0)
        turn = foot.turn_rad
        box(finds.site.mesh, Footprint(east, north, 0.3, 1.8, turn), (2.4, 3.5), skin, skin)
    finds.add(("distractor", "sports_court"), foot.corners(), flat_points(foot))


def _grown(foot: Footprint, by_m: float) -> Footprint:
    return Footprint(
        foot.east_m,
        foot.north_m,
        foot.length_m + 2 * by_m,
        foot.width_m + 2 * by_m,
        foot.turn_rad,
    )


def _lines(finds: Finds, field: Footprint, share: float) -> None:
    """Paint a court's outline, halfway line and boxes, by what share of its length is cut off."""
    white, half_w = (236, 236, 232), field.width_m / 2
    for end in (-1, 1):
        at = end * field.length_m * (0.5 - share)
        line = field.place(np.array([[at, -half_w], [at, half_w]]))
        finds.ground.line(line, white, 1)
        side = field.place(
            np.array([[-field.length_m / 2, end * half_w], [field.length_m / 2, end * half_w]])
        )
        finds.ground.line(side, white, 1)
    middle = pixels(np.array([[field.east_m, field.north_m]]))[0].tolist()
    cv2.circle(finds.ground.rgb, middle, int(1.8 * PX_PER_M), white, 1, cv2.LINE_AA)


def add_sand_play(finds: Finds) -> None:
    """Fill a kerbed pit with pale sand and set swings and slides in it."""
    rng, mesh = finds.site.rng, finds.site.mesh
    long = float(rng.uniform(4.0, 12.0))
    foot = free_plot(finds, ("park", "yard", "house", "block"), (long, long * 0.75), 0.7)
    if foot is None:
        return
    foot = _grown(foot, -0.5)
    sand = ((204, 186, 142), (228, 212, 172))
    if rng.random() < 0.4:
        small = min(foot.length_m, foot.width_m)
        foot = Footprint(foot.east_m, foot.north_m, small, small, foot.turn_rad)
        rim = disc((foot.east_m, foot.north_m), small / 2)
    else:
        rim = foot.corners()
    kerb = Skin(Layer.PLAIN, ((0.6, 0.45, 0.3), (0.75, 0.74, 0.72))[int(rng.integers(2))], 4.0)
    lay_patch(finds, rim, sand, 0.1)
    fence(mesh, rim, kerb, 0.25)
    bright = ((0.9, 0.2, 0.15), (0.15, 0.4, 0.85), (0.98, 0.8, 0.1), (0.2, 0.65, 0.3))
    for _ in range(int(rng.integers(1, 4))):
        spot = foot.place(rng.uniform(-0.3, 0.3, (1, 2)) * [foot.length_m, foot.width_m])[0]
        turn = float(rng.uniform(0, 3))
        first, second = rng.permutation(4)[:2]
        tower = Skin(Layer.PLAIN, bright[first], 3.0)
        slide = Skin(Layer.PLAIN, bright[second], 3.0)
        under = Footprint(float(spot[0]), float(spot[1]), 1.2, 1.2, turn)
        box(mesh, under, (1.0, 2.2), tower, slide)
        reach = np.array([np.cos(turn), np.sin(turn)])
        beam(mesh, np.array([*spot, 1.3]), np.array([*(spot + 2.4 * reach), 0.1]), slide)
    finds.add(("distractor", "sand_play"), rim, flat_points(foot))


def add_pool(finds: Finds) -> None:
    """Sink a swimming pool into a garden or yard."""
    rng = finds.site.rng
    spot = free_spot(finds, ("house", "park", "yard"), 3.8)
    if spot is None:
        return
    foot = Footprint(
        *spot,
        float(rng.uniform(5, 7.5)),
        float(rng.uniform(3, 4)),
        float(rng.choice([0, np.pi / 2])),
    )
    finds.ground.polygon(foot.corners(0.45), (222, 218, 208))
    finds.ground.polygon(foot.corners(), (76, 176, 196))
    finds.ground.wash(foot.corners(-0.6), (58, 156, 186), 0.6, 0.4)
    finds.add(("distractor", "pool"), foot.corners(0.4), at_height(foot.corners(0.4), 0.05))


def add_solar_panels(finds: Finds) -> None:
    """Lay solar panels on a flat roof."""
    rng, site = finds.site.rng, finds.site
    roofs = [
        (f, h)
        for f, h in site.flat_roofs
        if max(abs(f.east_m), abs(f.north_m)) < HALF_M - EDGE_M and f.length_m > 8
    ]
    if not roofs:
        return
    under, base = roofs[int(rng.integers(len(roofs)))]
    site.flat_roofs.remove((under, base))
    foot = Footprint(
        under.east_m, under.north_m, under.length_m * 0.62, under.width_m * 0.6, under.turn_rad
    )
    rim = Skin(Layer.PLAIN, (0.6, 0.6, 0.62), 3.0)
    box(site.mesh, foot, (base, base + 0.9), rim, Skin(Layer.SOLAR, (1.0, 1.0, 1.0), 4.2))
    finds.add(
        ("distractor", "solar_panels"), foot.corners(), solid_points(foot, (base, base + 0.9))
    )


DISTRACTORS = {
    "lorry": add_lorry,
    "plant": add_plant,
    "billboard": add_billboard,
    "container": add_container,
    "tarpaulin": add_tarpaulin,
    "netted_soil": add_netted_soil,
    "pool": add_pool,
    "solar_panels": add_solar_panels,
    "algae": add_algae,
    "permitted_structure": add_permitted_structure,
    "guarded_pit": add_guarded_pit,
    "bare_lot": add_bare_lot,
    "ploughed_field": add_ploughed_field,
    "sand_play": add_sand_play,
    "sports_court": add_sports_court,
    "awning": add_awning,
    "sun_glint": add_sun_glint,
    "chimney_steam": add_chimney_steam,
    "mist": add_mist,
    "boat": add_boat,
}
# A detector cannot know what is permitted: it is right to name these, and the rules drop them.
LOOKS_LIKE = {"permitted_structure": "structure"}
