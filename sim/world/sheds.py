"""Colour-steel sheds and rooftop additions, unauthorised or permitted: both look alike."""

from __future__ import annotations

import numpy as np

from sim.world.finds import EDGE_M, Finds, FloatArray, free_spot, solid_points, tint_of
from sim.world.layout import HALF_M
from sim.world.mesh import (
    Footprint,
    MeshBuilder,
    Rgb,
    Skin,
    at_height,
    box,
    gable_roof,
    gable_slopes,
    on_slope,
    walls,
)
from sim.world.props import crate, strew
from sim.world.textures import Layer

_ROOF_RGB = (
    (38, 104, 196),
    (52, 118, 184),
    (30, 86, 172),
    (70, 128, 190),  # blue, bleached
    (44, 70, 108),  # dark blue
    (226, 230, 232),
    (206, 214, 220),
    (172, 178, 182),
    (146, 152, 156),
    (170, 62, 62),
    (190, 100, 112),  # red gone pink
    (150, 62, 48),
    (60, 124, 96),
    (138, 96, 70),  # rust all over
)
_WALL_RGB = ((222, 226, 228), (196, 204, 210), (214, 206, 190), (120, 150, 186), (160, 150, 140))
_RUST: tuple[Rgb, ...] = ((0.62, 0.36, 0.22), (0.5, 0.32, 0.22), (0.7, 0.48, 0.32))


def _roof_plane(foot: Footprint, up_m: FloatArray) -> FloatArray:
    """Return a roof's corners, shape (4, 3), from its corner heights, overhanging a little."""
    return np.column_stack([foot.corners(0.3), up_m])


def _patches(rng: np.random.Generator, mesh: MeshBuilder, planes: list[FloatArray]) -> None:
    """Rust, sheets of another colour, roof lights, weights: what years leave on a roof."""
    wear = rng.random()
    for plane in planes:
        for _ in range(int(rng.poisson(3.0 * wear))):
            u, v = rng.uniform(0.02, 0.85), rng.uniform(0.02, 0.7)
            wide, tall = rng.uniform(0.04, 0.14), rng.uniform(0.15, 0.6)
            shares = np.array([[u, v], [u + wide, v], [u + wide, v + tall], [u, v + tall]])
            draw = rng.random()
            rgb: Rgb = _RUST[int(rng.integers(3))]
            if draw < 0.25:
                rgb = tint_of(_ROOF_RGB[int(rng.integers(len(_ROOF_RGB)))], rng)
            elif draw < 0.4:
                rgb = (0.12, 0.12, 0.13)  # a sheet has blown off
            quad = on_slope(plane, np.minimum(shares, 0.99))
            mesh.metric_quad(quad, 6.4, Layer.RIBBED, rgb)
        if rng.random() < 0.25:  # a row of roof lights
            for u in np.arange(0.12, 0.9, 0.26):
                shares = np.array([[u, 0.2], [u + 0.07, 0.2], [u + 0.07, 0.85], [u, 0.85]])
                mesh.metric_quad(on_slope(plane, shares), 6.4, Layer.RIBBED, (0.86, 0.9, 0.86))
        if rng.random() < 0.2 * wear + 0.08:  # tyres, bricks, junk against the wind
            spots = on_slope(plane, rng.uniform(0.08, 0.92, (int(rng.integers(4, 14)), 2)))
            junk = np.array([(0.12, 0.12, 0.12), (0.6, 0.35, 0.28), (0.75, 0.72, 0.66)])
            strew(rng, mesh, spots, (0.25, 0.7), junk)


def _shell(
    rng: np.random.Generator, mesh: MeshBuilder, foot: Footprint, heights_m: tuple[float, float]
) -> float:
    """Raise one shed between base and eaves; returns the height of its ridge."""
    base, eave = heights_m
    roof = Skin(Layer.RIBBED, tint_of(_ROOF_RGB[int(rng.integers(len(_ROOF_RGB)))], rng), 6.4)
    wall = Skin(Layer.RIBBED, tint_of(_WALL_RGB[int(rng.integers(len(_WALL_RGB)))], rng), 6.4)
    if rng.random() < 0.12:  # open sides: a roof on posts
        posts = at_height(foot.corners(-0.2), base)
        rows = np.column_stack([posts, np.zeros(4), np.full(4, 0.18), np.full(4, eave - base)])
        crate().place(mesh, rows, np.full((4, 3), 0.5))
    else:
        walls(mesh, foot.corners(), (base, eave), wall)
        _door(rng, mesh, foot, base)
    rise = foot.width_m * float(rng.uniform(0.05, 0.17))
    if rng.random() < 0.62:
        gable_roof(mesh, foot, (eave, eave + rise), roof, wall)
        _patches(rng, mesh, list(gable_slopes(foot, (eave, eave + rise), 0.3)))
    else:  # one slope, as against a wall
        up = np.array([eave, eave, eave + rise, eave + rise])
        plane = _roof_plane(foot, up)
        mesh.metric_quad(plane, roof.tile_m, roof.layer, roof.rgb)
        back = np.vstack(
            [
                at_height(foot.corners()[[3, 2]], eave),
                at_height(foot.corners()[[2, 3]], eave + rise),
            ]
        )
        mesh.metric_quad(back, wall.tile_m, wall.layer, wall.rgb)
        _patches(rng, mesh, [plane])
    return eave + rise


def _door(rng: np.random.Generator, mesh: MeshBuilder, foot: Footprint, base_m: float) -> None:
    dark = Skin(Layer.PLAIN, (0.2, 0.22, 0.26), 4.0)
    for _ in range(int(rng.integers(1, 4))):
        along = float(rng.uniform(-0.4, 0.4)) * foot.length_m
        side = float(rng.choice([-1, 1])) * foot.width_m / 2
        east, north = foot.place(np.array([[along, side]]))[0]
        hole = Footprint(
            float(east), float(north), float(rng.uniform(0.8, 2.4)), 0.1, foot.turn_rad
        )
        box(mesh, hole, (base_m, base_m + float(rng.uniform(1.4, 2.1))), dark, dark)


def _raise_shed(finds: Finds, foot: Footprint, base_m: float, high_m: float) -> FloatArray:
    """Raise a shed, sometimes with a lower one against it, sometimes out of true."""
    rng, own = finds.site.rng, MeshBuilder()
    body, annexe = foot, None
    if foot.width_m > 4.5 and rng.random() < 0.25:
        share = float(rng.uniform(0.55, 0.75))
        shifts = np.array([[share - 1, 0.0], [share, 0.0]]) * foot.length_m / 2
        (east, north), rest = foot.place(shifts).tolist()
        body = Footprint(east, north, foot.length_m * share, foot.width_m, foot.turn_rad)
        narrow = foot.width_m * float(rng.uniform(0.6, 1))
        annexe = Footprint(rest[0], rest[1], foot.length_m * (1 - share), narrow, foot.turn_rad)
    top = _shell(rng, own, body, (base_m, base_m + high_m))
    if annexe is not None:
        _shell(rng, own, annexe, (base_m, base_m + high_m * float(rng.uniform(0.7, 0.95))))
    rows = own.rows()
    if rng.random() < 0.2:  # it leans
        lean = rng.normal(0, 0.06, 2).astype(np.float32)
        rows[:, 0:2] += (rows[:, 2:3] - np.float32(base_m)) * lean
    finds.site.mesh.pieces.append(rows)
    return solid_points(foot, (base_m, (base_m + high_m + top) / 2))


def _on_roof(finds: Finds, long_m: float, wide_m: float) -> tuple[Footprint, float] | None:
    """Choose a flat roof that a shed fits on: where on it, and how high it is."""
    site, rng = finds.site, finds.site.rng
    roofs = [
        (f, h)
        for f, h in site.flat_roofs
        if min(f.length_m, f.width_m) > 6.5
        and h < 17
        and max(abs(f.east_m), abs(f.north_m)) < HALF_M - EDGE_M
    ]
    if not roofs:
        return None
    under, base = roofs[int(rng.integers(len(roofs)))]
    site.flat_roofs.remove((under, base))
    long, wide = min(long_m, under.length_m - 1.8), min(wide_m, under.width_m - 1.8)
    room = np.array([under.length_m - long - 1.6, under.width_m - wide - 1.6]) / 2
    east, north = under.place(rng.uniform(-1, 1, (1, 2)) * np.maximum(room, 0))[0]
    return Footprint(float(east), float(north), long, wide, under.turn_rad), base


def _build(finds: Finds, find: tuple[str, str]) -> None:
    """Put a shed on a yard or on a flat roof, and record it as what it is."""
    rng = finds.site.rng
    long = float(4.0 * (20.0 / 4.0) ** rng.random())
    wide = float(np.clip(long * rng.uniform(0.35, 0.8), 2.6, 9.0))
    high = float(rng.uniform(2.2, 4.2))
    placed = _on_roof(finds, long, wide) if rng.random() < 0.22 else None
    spot = None
    if placed is None:
        spot = free_spot(finds, ("yard", "field", "park", "site"), np.hypot(long, wide) / 2)
        placed = _on_roof(finds, long, wide) if spot is None else None
    if placed is not None:
        foot, base = placed
        points = _raise_shed(finds, foot, base, min(high, 2.9))
    elif spot is not None:
        turn = rng.uniform(0, np.pi) if rng.random() < 0.4 else rng.normal(0, 0.05)
        foot = Footprint(*spot, long, wide, float(turn))
        points = _raise_shed(finds, foot, 0.0, high)
        _clutter(finds, foot)
    else:
        return
    finds.add(find, foot.corners(), points)


def _clutter(finds: Finds, foot: Footprint) -> None:
    """Leave this and that along a shed's walls."""
    rng = finds.site.rng
    if rng.random() < 0.5:
        return
    count = int(rng.integers(4, 16))
    side = rng.choice([-1, 1]) * (foot.width_m / 2 + 0.7)
    local = np.column_stack(
        [rng.uniform(-0.5, 0.5, count) * foot.length_m, side + rng.normal(0, 0.3, count)]
    )
    tones = np.array([(0.8, 0.76, 0.7), (0.4, 0.3, 0.24), (0.3, 0.45, 0.65), (0.2, 0.2, 0.2)])
    strew(rng, finds.site.mesh, at_height(foot.place(local), 0.0), (0.3, 1.3), tones)


def add_structure(finds: Finds) -> None:
    """Put up a shed that nobody has permitted, on a yard or on a flat roof."""
    _build(finds, ("violation", "structure"))


def add_permitted_structure(finds: Finds) -> None:
    """Put up a shed that looks like any other and stands in the register."""
    _build(finds, ("distractor", "permitted_structure"))
