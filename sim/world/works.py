"""Bare soil in each of its shapes: a plot, a strip along something, a wide field of earthworks."""

from __future__ import annotations

import numpy as np

from sim.world.earth import (
    EARTH_TONES,
    Patch,
    Tones,
    bent_line,
    blots,
    lay_patch,
    lumpy_outline,
    mesa,
    roll_tracks,
    tread_road,
)
from sim.world.finds import Finds, FloatArray, flat_points, free_plot, tint_of
from sim.world.mesh import Footprint, Skin, at_height, box
from sim.world.sites import OPEN_LOTS, earthworks, open_plot
from sim.world.strips import lay_strip
from sim.world.textures import Layer

WIDE_SITE_M = (30.0, 70.0)
_CORNER_M = 13.0  # of a wide site, kept for a foundation pit


def add_bare_soil(finds: Finds) -> None:
    """Leave earth uncovered: on a strip, over a wide site or on a plot, as there is room."""
    draw = finds.site.rng.random()
    if draw < 0.42 and lay_strip(finds):
        return
    if 0.42 <= draw < 0.6 and _open_wide(finds):
        return
    open_plot(finds)


def _open_wide(finds: Finds) -> bool:
    """Turn a field's worth of land into earthworks; False, and nothing done, without room."""
    rng = finds.site.rng
    long = float(rng.uniform(*WIDE_SITE_M))
    foot = free_plot(finds, OPEN_LOTS, (long, long * float(rng.uniform(0.5, 0.9))), 0.55)
    if foot is None:
        return False
    tones = EARTH_TONES[int(rng.integers(len(EARTH_TONES)))]
    outline = lumpy_outline(rng, foot, 0.06)
    patch = lay_patch(finds, outline, tones, 1.0)
    working = _keep_corner(finds, foot)
    _shade(patch, foot, tones)
    if rng.random() < 0.75:
        _terraces(finds, working, tones)
    for _ in range(int(rng.integers(1, 3))):
        line = bent_line(rng, foot, 0.35)
        tread_road(patch, line, float(rng.uniform(2.8, 4.2)), float(rng.uniform(0.35, 0.8)))
    roll_tracks(patch, foot, int(rng.integers(5, 12)), float(rng.uniform(0.3, 0.6)))
    earthworks(finds, working, tones)
    if rng.random() < 0.6:
        _pallets(finds, working)
    inner = Footprint(
        foot.east_m, foot.north_m, foot.length_m * 0.8, foot.width_m * 0.8, foot.turn_rad
    )
    points = np.concatenate([at_height(outline, 0.05), flat_points(inner)])
    finds.add(("violation", "bare_soil"), outline, points)
    return True


def _keep_corner(finds: Finds, foot: Footprint) -> Footprint:
    """Keep one end of a site free for a pit, and return the rest."""
    if foot.length_m < 2 * _CORNER_M and foot.width_m < 2 * _CORNER_M:
        return foot
    rng, along = finds.site.rng, foot.length_m >= foot.width_m
    long, wide = foot.length_m, foot.width_m
    sign, cut = float(rng.choice([-1, 1])), _CORNER_M * float(rng.uniform(0.75, 1.05))
    far = sign * ((long if along else wide) / 2 - cut / 2 - 2.5)
    near = -sign * (cut + 2.5) / 2
    spots = np.array([[far, 0.0], [near, 0.0]])
    (east, north), (rest_e, rest_n) = foot.place(spots if along else spots[:, ::-1]).tolist()
    square = min(cut, (wide if along else long) - 4.0)
    finds.corners.append(Footprint(east, north, cut, square, foot.turn_rad))
    size = (long - cut - 2.5, wide) if along else (long, wide - cut - 2.5)
    return Footprint(rest_e, rest_n, size[0], size[1], foot.turn_rad)


def _shade(patch: Patch, foot: Footprint, tones: Tones) -> None:
    """Leave damp and dry earth, clods, puddles and islands of weeds all over a site."""
    rng, area = patch.finds.site.rng, foot.length_m * foot.width_m
    moist = (int(tones[0][0] * 0.8), int(tones[0][1] * 0.8), int(tones[0][2] * 0.82))
    blots(patch, foot, int(area / 70), (1.0, 5.0), (moist, 0.5))
    blots(patch, foot, int(area / 16), (0.12, 0.5), (tones[1], 0.7))
    if rng.random() < 0.7:
        green = patch.finds.site.family.grass_rgb
        blots(patch, foot, int(area / rng.uniform(120, 400)) + 1, (1.0, 4.5), (green, 0.8))
        blots(patch, foot, int(area / rng.uniform(30, 90)), (0.3, 1.1), (green, 0.7))
    if rng.random() < 0.6:
        mud = ((126, 106, 88), (146, 134, 116), (98, 104, 96))[int(rng.integers(3))]
        blots(patch, foot, int(rng.integers(2, 9)), (0.8, 3.2), (mud, 0.85))
    if rng.random() < 0.4:  # where lime or stone has been spread
        blots(patch, foot, int(rng.integers(1, 5)), (2.0, 5.0), ((206, 200, 190), 0.5))


def _terraces(finds: Finds, foot: Footprint, tones: Tones) -> None:
    """Raise part of a site by a step or two, as cut and fill leave it."""
    rng = finds.site.rng
    size = np.array([foot.length_m, foot.width_m]) * rng.uniform(0.4, 0.7, 2)
    shift = rng.uniform(-0.5, 0.5, (1, 2)) * (np.array([foot.length_m, foot.width_m]) - size) * 0.8
    (east, north), high = (
        foot.place(shift)[0].tolist(),
        float(rng.uniform(0.3, 0.8)),
    )  # low: machines drive over it
    skin = Skin(Layer.SOIL, tint_of(tones[int(rng.integers(2))], rng), 6.0)
    step = Footprint(east, north, float(size[0]), float(size[1]), foot.turn_rad)
    mesa(finds, step, high, skin, float(rng.choice([0.0, 0.0, 0.15, 0.3])))


def _pallets(finds: Finds, foot: Footprint) -> None:
    """Set concrete parts down in rows: rings, slabs, kerbs."""
    rng, mesh = finds.site.rng, finds.site.mesh
    grey = float(rng.uniform(0.72, 0.95))
    skin = Skin(Layer.PLAIN, (grey, grey * 0.99, grey * 0.96), 4.0)
    size: FloatArray = rng.uniform(0.8, 2.0, 2)
    turn = foot.turn_rad + float(rng.normal(0, 0.1))
    spot = foot.place(rng.uniform(-0.3, 0.3, (1, 2)) * [foot.length_m, foot.width_m])[0]
    field = Footprint(float(spot[0]), float(spot[1]), 1.0, 1.0, turn)
    for row in range(int(rng.integers(1, 4))):
        for number in range(int(rng.integers(2, 10))):
            if rng.random() < 0.12:
                continue
            local = np.array([[number * size[0] * 1.12, row * size[1] * 1.25]])
            east, north = field.place(local)[0]
            slab = Footprint(float(east), float(north), float(size[0]), float(size[1]), turn)
            box(mesh, slab, (0.0, float(rng.uniform(0.4, 1.0))), skin, skin)
