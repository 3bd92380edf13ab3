"""Heaps that somebody has dumped: rubbish, builders' rubble, spoil."""

from __future__ import annotations

import cv2
import numpy as np

from sim.world.earth import (
    EARTH_TONES,
    Tones,
    blanket,
    blots,
    heap,
    lay_patch,
    lumpy_outline,
    mesa,
    roll_tracks,
)
from sim.world.finds import Finds, FloatArray, free_plot, tint_of
from sim.world.ground import pixels
from sim.world.lorries import roller, tipper
from sim.world.mesh import Footprint, Skin
from sim.world.props import MACHINE_RGB, TIPPER_RGB, drum, stand, strew
from sim.world.sites import CLOSE_LOTS
from sim.world.textures import Layer
from sim.world.trees import SPECIES

_DUMPS = ("yard", "park", "field", "yard", "site", "farm", "parking")
_RUBBISH_RGB = np.array(
    [
        (0.9, 0.9, 0.88),
        (0.3, 0.45, 0.72),
        (0.75, 0.22, 0.2),
        (0.86, 0.76, 0.4),
        (0.12, 0.12, 0.13),
        (0.62, 0.5, 0.38),
        (0.35, 0.55, 0.38),
        (0.85, 0.8, 0.72),
        (0.5, 0.36, 0.28),
    ]
)
_RUBBLE_RGB = np.array(
    [
        (0.8, 0.78, 0.74),
        (0.68, 0.66, 0.64),
        (0.74, 0.44, 0.36),
        (0.66, 0.36, 0.3),
        (0.88, 0.86, 0.84),
        (0.52, 0.42, 0.34),
    ]
)
_SHEET_RGB = ((46, 110, 196), (60, 140, 96), (224, 224, 218), (196, 96, 50), (40, 42, 46))


def _litter(finds: Finds, spot: tuple[float, float], spread_m: float, count: int) -> None:
    """Paint flat scraps round a heap."""
    rng = finds.site.rng
    at = pixels(np.array(spot) + rng.normal(0, spread_m, (count, 2)))
    shades = (_RUBBISH_RGB[rng.integers(0, len(_RUBBISH_RGB), count)] * 225).astype(int)
    for (col, row), shade in zip(at.tolist(), shades.tolist(), strict=True):
        end = (col + int(rng.integers(1, 4)), row + int(rng.integers(1, 4)))
        cv2.rectangle(finds.ground.rgb, (col, row), end, shade, -1)


def _pieces_on(
    finds: Finds, points: FloatArray, sizes_m: tuple[float, float], rgb: FloatArray
) -> None:
    """Strew pieces over a heap's surface, samples of which have shape (K, 3)."""
    rng = finds.site.rng
    count = int(np.clip(len(points) * rng.uniform(0.6, 2.4), 14, 300))
    first, second = points[rng.integers(0, len(points), (2, count))]
    near = np.linalg.norm(first - second, axis=1, keepdims=True) < 3.0
    spots = np.where(near, (first + second) / 2, first)
    spots[:, :2] += rng.normal(0, 0.25, (count, 2))
    spots[:, 2] = np.maximum(spots[:, 2] - 0.1, 0.0)
    strew(rng, finds.site.mesh, spots, sizes_m, rgb)


def _rubbish(finds: Finds, foot: Footprint) -> tuple[FloatArray, FloatArray]:
    """Dump household rubbish: all colours, bags, sheets, tyres."""
    rng = finds.site.rng
    spot, size = (foot.east_m, foot.north_m), foot.length_m
    finds.ground.wash(foot.corners(0.6), (104, 94, 82), 0.6, 0.7)
    _litter(finds, spot, size * 0.42, int(size * 22))
    tint = ((255, 250, 240), (225, 215, 200), (200, 190, 180), (240, 225, 205))[rng.integers(4)]
    skin = Skin(Layer.RUBBISH, tint_of(tint, rng), float(rng.uniform(2.6, 4.8)))
    high = float(rng.uniform(0.5, min(2.6, size * 0.32)))
    outline, points = heap(finds, foot, high, skin, float(rng.uniform(0.5, 1.1)))
    _pieces_on(finds, points, (0.12, 0.85), _RUBBISH_RGB)
    if rng.random() < 0.5:
        _sheets(finds, points)
    if rng.random() < 0.4:
        _tyres(finds, points)
    return outline, points


def _sheets(finds: Finds, points: FloatArray) -> None:
    """Throw scraps of tarpaulin over a heap."""
    rng = finds.site.rng
    for _ in range(int(rng.integers(1, 4))):
        east, north, up = points[int(rng.integers(len(points)))]
        wide = float(rng.uniform(0.9, 2.6))
        foot = Footprint(float(east), float(north), wide, wide * 0.7, float(rng.uniform(0, 3)))
        tint = tint_of(_SHEET_RGB[int(rng.integers(len(_SHEET_RGB)))], rng)
        lift = float(up) + 0.12 + rng.uniform(0, 0.3, (5, 6))
        blanket(finds, foot, lift, Skin(Layer.CREASED, tint, 3.0))


def _tyres(finds: Finds, points: FloatArray) -> None:
    """Throw worn tyres on and beside a heap."""
    rng, mesh = finds.site.rng, finds.site.mesh
    rubber = Skin(Layer.PLAIN, (0.1, 0.1, 0.1), 4.0)
    hollow = Skin(Layer.PLAIN, (0.36, 0.33, 0.3), 4.0)
    for _ in range(int(rng.integers(3, 12))):
        east, north, up = points[int(rng.integers(len(points)))] + rng.normal(0, 0.4, 3)
        base, radius = max(float(up), 0.0), float(rng.uniform(0.3, 0.55))
        drum(mesh, (float(east), float(north)), radius, (base, base + 0.3), rubber)
        drum(mesh, (float(east), float(north)), radius * 0.5, (base, base + 0.32), hollow)


def _rubble(finds: Finds, foot: Footprint) -> tuple[FloatArray, FloatArray]:
    """Dump what a demolition leaves: brick, plaster, slabs, some timber, torn white plastic."""
    rng = finds.site.rng
    grey = rng.random() < 0.4
    dust = (172, 166, 156) if grey else (178, 146, 136)
    finds.ground.wash(foot.corners(1.0), dust, 0.55, 0.9)
    tint = (215, 210, 202) if grey else (222, 190, 178)
    skin = Skin(Layer.SOIL, tint_of(tint, rng), float(rng.uniform(2.5, 4.0)))
    high = float(rng.uniform(0.5, min(2.8, foot.length_m * 0.26)))
    outline, points = heap(finds, foot, high, skin, float(rng.uniform(0.5, 1.0)))
    _pieces_on(finds, points, (0.15, 1.3), _RUBBLE_RGB)
    around = points.copy()
    around[:, :2] += rng.normal(0, 0.16 * foot.length_m, (len(points), 2))
    around[:, 2] = 0.0
    _pieces_on(finds, around, (0.1, 0.5), _RUBBLE_RGB)
    if rng.random() < 0.6:
        _plastic(finds, points)
    if foot.length_m > 6 and rng.random() < 0.4:
        _trees_about(finds, foot)
    return outline, points


def _plastic(finds: Finds, points: FloatArray) -> None:
    """Blow torn plastic, white mostly, over a heap."""
    rng = finds.site.rng
    for _ in range(int(rng.integers(3, 10))):
        east, north, up = points[int(rng.integers(len(points)))]
        size = float(rng.uniform(0.5, 1.7))
        foot = Footprint(float(east), float(north), size, size * 0.6, float(rng.uniform(0, 3)))
        lift = max(float(up), 0.0) + 0.1 + rng.uniform(0, 0.25, (4, 4))
        tint = (0.96, 0.96, 0.97) if rng.random() < 0.8 else (0.5, 0.66, 0.85)
        blanket(finds, foot, lift, Skin(Layer.CREASED, tint, 2.5))


def _trees_about(finds: Finds, foot: Footprint) -> None:
    """Let trees stand round a heap that was dumped among them."""
    rng, site, spots = finds.site.rng, finds.site, []
    for angle in rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))):
        radius = float(rng.uniform(1.5, 2.8))
        local = np.array([[np.cos(angle) * foot.length_m, np.sin(angle) * foot.width_m]])
        east, north = foot.place(local * float(rng.uniform(0.56, 0.7)))[0]
        spots.append((east, north, 0.0, rng.uniform(0, 6.28), radius, radius * 2.2))
        site.taken.append((float(east), float(north), radius * 0.6))
    leaf = np.array([0.36, 0.46, 0.26]) + np.array(site.family.grass_rgb) / 255 * 0.5
    tints = leaf * rng.uniform(0.75, 1.15, (len(spots), 1))
    SPECIES["round"].build(rng).place(site.mesh, np.array(spots), tints)


_MOUND_M = (11.0, 30.0)  # length of a big spoil mound
_SPOIL_TONES: tuple[Tones, ...] = (
    *EARTH_TONES,
    ((58, 56, 56), (92, 88, 86)),  # slag, coal dirt
    ((176, 172, 164), (206, 202, 194)),  # stone dust
)


def _spoil(finds: Finds, foot: Footprint) -> tuple[FloatArray, FloatArray]:
    """Tip spoil: cones side by side or one rolled mound, with tracks leading up to it."""
    rng, mesh = finds.site.rng, finds.site.mesh
    tones = _SPOIL_TONES[int(rng.integers(len(_SPOIL_TONES)))]
    wide = Footprint(
        foot.east_m, foot.north_m, foot.length_m + 1.6, foot.width_m + 1.6, foot.turn_rad
    )
    patch = lay_patch(finds, lumpy_outline(rng, wide, 0.04), tones, 0.8)
    roll_tracks(patch, wide, 2, 0.25)
    skin = Skin(Layer.SOIL, tint_of(tones[int(rng.integers(2))], rng), float(rng.uniform(3, 6)))
    size = min(foot.length_m, foot.width_m)
    if size > 8 or rng.random() < 0.25:  # rolled into a mound, with a way up it
        high = float(np.clip(size * rng.uniform(0.16, 0.34), 1.2, 7.0))
        grown = float(rng.uniform(0.1, 0.75)) if rng.random() < 0.45 else 0.0
        outline, points = mesa(finds, foot, high, skin, grown)
    else:
        high = size * float(rng.uniform(0.16, 0.34))
        outline, points = heap(finds, foot, high, skin, float(rng.uniform(0.75, 1.35)))
    if rng.random() < 0.4:  # weeds about one that has lain for a while
        green = finds.site.family.grass_rgb
        blots(patch, wide, 14, (0.3, 1.0), (green, 0.8))
    if size > 7 and rng.random() < 0.35:
        tint = MACHINE_RGB[int(rng.integers(len(MACHINE_RGB)))]
        thing, turn = roller(), float(rng.uniform(0, 6))
        if rng.random() < 0.5:
            thing, tint = tipper("earth"), TIPPER_RGB[int(rng.integers(len(TIPPER_RGB)))]
        local = np.array([[foot.length_m * 0.5 + 3.0, rng.uniform(-0.3, 0.3) * foot.width_m]])
        spot = foot.place(local)[0]
        if finds.site.is_free(float(spot[0]), float(spot[1]), 1.0):
            stand(mesh, thing, spot, turn, tint)
    return outline, points


def add_waste_pile(finds: Finds) -> None:
    """Dump rubbish, rubble or spoil."""
    rng = finds.site.rng
    kind = (_rubbish, _rubble, _spoil)[int(rng.choice(3, p=(0.4, 0.25, 0.35)))]
    least, largest = (3.0, 13.0)
    if kind is _spoil:  # a lorry's load or two, or what a site has thrown up in months
        least, largest = _MOUND_M if rng.random() < 0.5 else (4.0, 12.0)
    long = float(least * (largest / least) ** rng.random())
    wide = max(2.4, long * float(rng.uniform(0.55, 1.0)))
    plot = free_plot(finds, _DUMPS, (long + 1.0, wide + 1.0), 0.7)
    for _ in range(2):  # a smaller one, where that fits
        if plot is None and long > 9.0:
            long, wide = long * 0.72, max(2.4, wide * 0.72)
            plot = free_plot(finds, _DUMPS, (long + 1.0, wide + 1.0), 0.7)
    if plot is None:  # a smaller one between houses
        long, wide = min(long, 4.0), min(wide, 3.4)
        plot = free_plot(finds, (*_DUMPS, *CLOSE_LOTS), (long + 1.0, wide + 1.0), 0.7)
    if plot is None:
        return
    foot = Footprint(
        plot.east_m,
        plot.north_m,
        plot.length_m - 1.0,
        plot.width_m - 1.0,
        plot.turn_rad + float(rng.normal(0, 0.1)),
    )
    outline, points = kind(finds, foot)
    finds.add(("violation", "waste_pile"), outline, points)
