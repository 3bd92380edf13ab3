"""What stands about in a town and breaks no rule: rows of houses, orchards, walls, boats."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.world.boats import moor
from sim.world.buildings import FLOOR_M, Named, Site
from sim.world.layout import Lot
from sim.world.mesh import (
    VERTEX_FLOATS,
    Footprint,
    Rgb,
    Skin,
    Template,
    at_height,
    blob,
    box,
    gable_roof,
    walls,
)
from sim.world.textures import Layer

_STACK_RGB: tuple[Rgb, ...] = (
    (0.72, 0.28, 0.2),
    (0.22, 0.36, 0.6),
    (0.24, 0.5, 0.36),
    (0.8, 0.5, 0.22),
    (0.62, 0.63, 0.64),
    (0.4, 0.24, 0.2),
)


def _tone(rng: np.random.Generator, rgb: tuple[int, int, int]) -> Rgb:
    lit = np.clip(np.array(rgb) / 255 * 1.15 * rng.uniform(0.88, 1.08), 0, 1)
    return float(lit[0]), float(lit[1]), float(lit[2])


def _row_of_houses(site: Site, lot: Lot) -> None:
    """Build houses wall to wall, each with its own roof, stepped in height."""
    rng, family, foot = site.rng, site.family, lot.foot
    long, wide, turn = foot.length_m, foot.width_m, 0.0
    if wide > long:
        long, wide, turn = wide, long, np.pi / 2
    deep = float(np.clip(wide - rng.uniform(4.5, 7), 5.5, 10.5))
    n_houses = max(1, int((long - 3) / rng.uniform(5.2, 7.5)))
    front = (long - 3) / n_houses
    axis = Footprint(foot.east_m, foot.north_m, long, wide, turn)
    back = float(rng.uniform(-0.5, 0.5)) * max(0.0, wide - deep - 2)
    floors = int(rng.integers(family.floors[0], family.floors[1] + 1))
    tint = _tone(rng, family.roof_rgb[int(rng.integers(len(family.roof_rgb)))])
    for i in range(n_houses):
        along = -long / 2 + 1.5 + front * (i + 0.5)
        east, north = axis.place(np.array([[along, back]]))[0]
        body = Footprint(float(east), float(north), front, deep, turn)
        high = floors * FLOOR_M + float(rng.uniform(-0.7, 0.9))
        plaster = _tone(rng, family.wall_rgb[int(rng.integers(len(family.wall_rgb)))])
        walls(site.mesh, body.corners(), (0.0, high), Skin(Layer.FACADE, plaster, 2 * FLOOR_M))
        if rng.random() < 0.3:
            tint = _tone(rng, family.roof_rgb[int(rng.integers(len(family.roof_rgb)))])
        roof = Skin(Layer.TILE_ROOF, tint, float(rng.uniform(4.0, 5.2)))
        rise = deep * float(rng.uniform(0.24, 0.34))
        gable_roof(site.mesh, body, (high, high + rise), roof, Skin(Layer.PLAIN, plaster, 4.0))
        _chimney(site, body, high + rise)
        site.take(body, 0.7)


def _chimney(site: Site, body: Footprint, ridge_m: float) -> None:
    rng = site.rng
    if rng.random() < 0.55:
        spot = body.place(rng.uniform(-0.3, 0.3, (1, 2)) * [body.length_m, 0.3])[0]
        brick = Skin(Layer.PLAIN, (0.5, 0.34, 0.3), 2.0)
        foot = Footprint(float(spot[0]), float(spot[1]), 0.8, 0.6, body.turn_rad)
        box(site.mesh, foot, (ridge_m - 1.2, ridge_m + 0.9), brick, brick)


def _small_tree(rng: np.random.Generator) -> Template:
    """Build a tree of few triangles: an orchard has hundreds."""
    vertices, faces = blob(rng, 1, 0.3)
    corner = vertices[faces] * np.array([0.95, 0.95, 0.5]) + np.array([0.0, 0.0, 0.5])
    rows = np.zeros((len(faces), 3, VERTEX_FLOATS), np.float32)
    rows[..., 0:3] = corner
    rows[..., 3:6] = vertices[faces] / np.linalg.norm(vertices[faces], axis=2, keepdims=True)
    rows[..., 6:8] = corner[..., :2] * 0.9 + rng.uniform(0, 1, 2) + corner[..., 2:3] * 0.45
    rows[..., 8] = float(Layer.LEAVES)
    rows[..., 9:12] = np.clip(0.4 + 0.8 * (corner[..., 2:3] - 0.2), 0.3, 1.0)
    return Template(rows.reshape(-1, VERTEX_FLOATS))


def _orchard(site: Site, lot: Lot) -> None:
    """Plant small trees in rows."""
    rng, foot, step = site.rng, lot.foot, float(site.rng.uniform(3.0, 4.6))
    radius, spots = float(rng.uniform(0.8, 1.5)), []
    for x in np.arange(-foot.length_m / 2 + 2, foot.length_m / 2 - 1.5, step):
        for y in np.arange(-foot.width_m / 2 + 2, foot.width_m / 2 - 1.5, step * 0.85):
            if rng.random() < 0.06:
                continue
            east, north = foot.place(np.array([[x, y]]) + rng.normal(0, 0.15, (1, 2)))[0]
            size = radius * rng.uniform(0.75, 1.2)
            spots.append((east, north, 0.0, rng.uniform(0, 6.28), size, size * 1.7))
            site.taken.append((float(east), float(north), size))
    base = np.array(site.family.grass_rgb) / 255 * 1.2
    tints = base * rng.uniform(0.8, 1.15, (len(spots), 1)) * rng.uniform(0.9, 1.1, (len(spots), 3))
    _small_tree(rng).place(site.mesh, np.array(spots).reshape(-1, 6), tints)


def _named_stack(placed: list[tuple[NDArray[np.float64], float]]) -> Named:
    """Name a block of containers, given each one's corners and the height of its top."""
    low = np.min([corners.min(axis=0) for corners, _ in placed], axis=0)
    high = np.max([corners.max(axis=0) for corners, _ in placed], axis=0)
    outline = np.array([low, [high[0], low[1]], high, [low[0], high[1]]])
    tops = [at_height(corners, top) for corners, top in placed]
    return Named("container", outline, np.concatenate([at_height(outline, 0.0), *tops]))


def _stacks(site: Site, lot: Lot) -> None:
    """Stack containers in straight blocks, as a port does."""
    rng, foot = site.rng, lot.foot
    placed: dict[int, list[tuple[NDArray[np.float64], float]]] = {}  # by block
    for x in np.arange(-foot.length_m / 2 + 5, foot.length_m / 2 - 4, 6.5):
        for y in np.arange(-foot.width_m / 2 + 3, foot.width_m / 2 - 2, 2.7):
            gap = abs(y % 16.2) < 5.4  # lanes for the carriers
            if gap or rng.random() < 0.25:
                continue
            east, north = foot.place(np.array([[x, y]]))[0]
            at = Footprint(float(east), float(north), 6.06, 2.44, foot.turn_rad)
            for floor in range(int(rng.integers(1, 4))):
                skin = Skin(Layer.RIBBED, _STACK_RGB[int(rng.integers(len(_STACK_RGB)))], 3.2)
                box(site.mesh, at, (2.6 * floor, 2.6 * floor + 2.58), skin, skin)
                placed.setdefault(int(y // 16.2), []).append((at.corners(), 2.6 * floor + 2.6))
    for stack in placed.values():
        site.named.append(_named_stack(stack))
    site.take(foot)


def _enclose(site: Site, lot: Lot) -> None:
    """Set a wall, a fence or a hedge along some sides of a lot."""
    rng, draw = site.rng, site.rng.random()
    grey = float(rng.uniform(0.55, 0.9))
    green = np.array(site.family.grass_rgb) / 255 * 1.0
    skin, thick, high = Skin(Layer.PLAIN, (grey, grey * 0.97, grey * 0.92), 3.0), 0.25, 1.9
    if draw < 0.4:
        skin = Skin(Layer.LEAVES, (float(green[0]), float(green[1]), float(green[2])), 2.0)
        thick, high = float(rng.uniform(0.7, 1.3)), float(rng.uniform(0.9, 2.2))
    elif draw < 0.6:
        skin, thick, high = Skin(Layer.PLAIN, (0.4, 0.33, 0.27), 3.0), 0.12, 1.4
    corners = lot.foot.corners(-0.3)
    for i in range(4):
        if rng.random() < 0.35:
            continue
        start, end = corners[i], corners[(i + 1) % 4]
        middle, along = (start + end) / 2, end - start
        side = Footprint(
            float(middle[0]),
            float(middle[1]),
            float(np.hypot(*along)) * float(rng.uniform(0.7, 1.0)),
            thick,
            float(np.arctan2(along[1], along[0])),
        )
        box(site.mesh, side, (0.0, high), skin, skin)


_MAKERS = {"row": _row_of_houses, "orchard": _orchard, "containers": _stacks}
_ENCLOSED = {"house": 0.6, "row": 0.5, "block": 0.35, "hall": 0.5, "orchard": 0.5, "yard": 0.25}


def furnish(site: Site) -> None:
    """Build what the lots' kinds ask for, walls and hedges between them, and moor boats."""
    for lot in site.layout.lots:
        small = min(lot.foot.length_m, lot.foot.width_m) < 10
        if lot.kind in _MAKERS and not small:
            _MAKERS[lot.kind](site, lot)
        if site.rng.random() < _ENCLOSED.get(lot.kind, 0.0):
            _enclose(site, lot)
        if lot.kind == "pond":
            foot = lot.foot
            long, wide = foot.length_m - 4, foot.width_m - 4
            site.take(Footprint(foot.east_m, foot.north_m, long, wide))
    if site.layout.river.width_m > 22:
        moor(site, int(site.layout.river.width_m / 2))
