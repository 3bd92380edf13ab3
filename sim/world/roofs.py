"""Roofs of legal buildings: ribbed sheet, membranes, saw teeth, dormers, roof lights.

Workshops wear every colour that sheds wear, so that what tells them apart is what they are.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from sim.world.mesh import (
    FloatArray,
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
from sim.world.textures import Layer

Tint = tuple[int, int, int]

_SHEET_RGB: tuple[tuple[Tint, float], ...] = (  # of a hall's roof, and how often
    ((146, 148, 146), 3.0),
    ((120, 124, 126), 2.5),
    ((186, 190, 190), 2.0),  # zinc, new
    ((112, 130, 148), 2.5),  # blue-grey
    ((92, 112, 136), 1.2),
    ((214, 218, 216), 1.8),  # white
    ((128, 66, 56), 1.2),  # dark red
    ((110, 138, 124), 1.0),  # green patina
    ((130, 116, 104), 1.2),
    ((98, 138, 184), 0.9),  # bleached blue
    ((44, 104, 178), 0.5),  # blue as new
    ((164, 84, 72), 0.5),
    ((74, 78, 82), 0.8),
)
_MEMBRANE_RGB: tuple[Tint, ...] = (
    (228, 230, 228),
    (206, 208, 204),
    (176, 174, 168),
    (150, 148, 144),
    (196, 190, 180),
    (132, 140, 136),
    (98, 100, 104),  # bitumen
    (112, 134, 124),  # painted green
    (160, 108, 88),  # red waterproofing
)
_LIGHT = Skin(Layer.PLAIN, (0.82, 0.87, 0.86), 4.0)
_GLASS = Skin(Layer.PLAIN, (0.5, 0.6, 0.66), 4.0)


def roof_tint(rng: np.random.Generator, rgb: Tint) -> Rgb:
    """Turn a wanted colour, 0 to 255, into a tint for the light grey textures."""
    lit = np.clip(np.array(rgb) / 255 * 1.15 * rng.uniform(0.88, 1.1), 0, 1)
    return float(lit[0]), float(lit[1]), float(lit[2])


def membrane(rng: np.random.Generator) -> Skin:
    """Draw what a flat roof is sealed with: concrete, white sheet, bitumen, green or red paint."""
    tint = _MEMBRANE_RGB[int(rng.integers(len(_MEMBRANE_RGB)))]
    return Skin(Layer.FLAT_ROOF, roof_tint(rng, tint), float(rng.uniform(6.0, 10.0)))


def _sheet(rng: np.random.Generator) -> Skin:
    weights = np.array([weight for _, weight in _SHEET_RGB])
    tint, _ = _SHEET_RGB[int(rng.choice(len(_SHEET_RGB), p=weights / weights.sum()))]
    return Skin(Layer.RIBBED, roof_tint(rng, tint), float(rng.uniform(6.4, 10.0)))


def _strips(
    rng: np.random.Generator, mesh: MeshBuilder, slope_m: FloatArray, step_m: float
) -> None:
    """Let clear strips into a slope from near the eave to near the ridge, evenly spaced."""
    long = float(np.linalg.norm(slope_m[1] - slope_m[0]))
    low, high = float(rng.uniform(0.06, 0.3)), float(rng.uniform(0.6, 0.94))
    half = 0.5 * float(rng.uniform(0.8, 1.3)) / long
    for u in np.arange(step_m / 2, long, step_m) / long:
        shares = np.array([[u - half, low], [u + half, low], [u + half, high], [u - half, high]])
        mesh.metric_quad(on_slope(slope_m, shares), 4.0, Layer.PLAIN, _LIGHT.rgb)


def _ridge_lights(
    rng: np.random.Generator, mesh: MeshBuilder, foot: Footprint, heights_m: tuple[float, float]
) -> None:
    """Set roof lights across the ridge, or one long ventilator along it."""
    top = heights_m[1] + 0.12
    if rng.random() < 0.35:
        grey = Skin(Layer.RIBBED, (0.7, 0.72, 0.73), 6.4)
        along = Footprint(
            foot.east_m, foot.north_m, foot.length_m * 0.86, float(rng.uniform(1.2, 2.4)),
            foot.turn_rad,
        )  # fmt: skip
        box(mesh, along, (heights_m[0], heights_m[1] + float(rng.uniform(0.5, 1.1))), grey, grey)
        return
    for along_m in np.arange(-foot.length_m / 2 + 4, foot.length_m / 2 - 3, 7.5):
        east, north = foot.place(np.array([[along_m, 0.0]]))[0]
        light = Footprint(float(east), float(north), 1.1, foot.width_m * 0.3, foot.turn_rad)
        box(mesh, light, (heights_m[0], top), _LIGHT, _LIGHT)


def _bays(rng: np.random.Generator, foot: Footprint) -> list[Footprint]:
    """Cut a hall into parallel bays, each to bear a roof of its own."""
    most = max(1, int(foot.width_m / 9.0))
    count = int(rng.integers(1, min(most, 4) + 1)) if rng.random() < 0.55 else 1
    wide = foot.width_m / count
    middles = (np.arange(count) + 0.5) * wide - foot.width_m / 2
    spots = foot.place(np.column_stack([np.zeros(count), middles]))
    return [Footprint(float(e), float(n), foot.length_m, wide, foot.turn_rad) for e, n in spots]


def _saw(
    mesh: MeshBuilder, foot: Footprint, heights_m: tuple[float, float], roof: Skin, wall: Skin
) -> None:
    """Set saw teeth along the length: slopes of sheet, their upright faces of glass."""
    edges = np.linspace(-0.5, 0.5, max(2, round(foot.length_m / 6.5)) + 1) * foot.length_m
    half = foot.width_m / 2
    for start, end in pairwise(edges):
        near = foot.place(np.array([[start, -half], [start, half]]))
        far = foot.place(np.array([[end, -half], [end, half]]))
        low, foot_of = at_height(near, heights_m[0]), at_height(far, heights_m[0])
        top = at_height(far, heights_m[1])
        slope = np.stack([low[1], low[0], top[0], top[1]])
        mesh.metric_quad(slope, roof.tile_m, roof.layer, roof.rgb)
        face = np.stack([foot_of[0], foot_of[1], top[1], top[0]])
        mesh.metric_quad(face, _GLASS.tile_m, _GLASS.layer, _GLASS.rgb)
        for a, b, c in ((low[0], foot_of[0], top[0]), (foot_of[1], low[1], top[1])):
            mesh.metric_quad(np.stack([a, b, c, c]), wall.tile_m, wall.layer, wall.rgb)


def hall_roof(
    rng: np.random.Generator, mesh: MeshBuilder, foot: Footprint, high_m: float, wall: Skin
) -> None:
    """Roof a workshop: saw teeth, or one to four bays of ribbed sheet with roof lights."""
    roof = _sheet(rng)
    if rng.random() < 0.16:
        _saw(mesh, foot, (high_m, high_m + float(rng.uniform(1.2, 2.2))), roof, wall)
        return
    bays, lights = _bays(rng, foot), str(rng.choice(["strips", "ridge", "none"], p=(0.5, 0.35, 0.15)))  # fmt: skip  # noqa: E501
    step = float(rng.uniform(5.0, 11.0))
    for bay in bays:
        heights = (high_m, high_m + bay.width_m * float(rng.uniform(0.07, 0.11)))
        gable_roof(mesh, bay, heights, roof, wall)
        if lights == "strips":
            for slope in gable_slopes(bay, heights):
                _strips(rng, mesh, slope.astype(np.float32), step)
        elif lights == "ridge":
            _ridge_lights(rng, mesh, bay, heights)


def dormers(
    rng: np.random.Generator, mesh: MeshBuilder, foot: Footprint, heights_m: tuple[float, float],
    roof: Skin,
) -> None:  # fmt: skip
    """Set dormers, or windows lying in the slope, in a tiled gable roof."""
    plaster = Skin(Layer.PLAIN, (0.9, 0.88, 0.84), 4.0)
    count, lying = max(1, int(foot.length_m / 4.0)), rng.random() < 0.45
    eave, ridge = heights_m
    for side, slope in zip((-1, 1), gable_slopes(foot, heights_m), strict=True):
        if rng.random() < 0.3:
            continue
        for i in range(count):
            u = (i + 0.5) / count
            if lying:
                half = 0.45 / foot.length_m
                shares = np.array([[u - half, 0.4], [u + half, 0.4], [u + half, 0.62], [u - half, 0.62]])  # fmt: skip  # noqa: E501
                mesh.metric_quad(on_slope(slope, shares), 4.0, Layer.PLAIN, (0.24, 0.29, 0.35))
                continue
            spot = foot.place(np.array([[(u - 0.5) * foot.length_m, side * foot.width_m * 0.27]]))
            (east, north), turn = spot[0].tolist(), foot.turn_rad + side * np.pi / 2
            body = Footprint(east, north, foot.width_m * 0.3, 1.5, turn)
            up = eave + (ridge - eave) * 0.72
            walls(mesh, body.corners(), (eave, up), plaster)
            gable_roof(mesh, body, (up, min(up + 0.6, ridge)), roof, plaster)


def ridge_cap(mesh: MeshBuilder, foot: Footprint, heights_m: tuple[float, float], rgb: Rgb) -> None:
    """Lay a paler course along the ridge and the verges, as tilers do against the wind."""
    pale = (min(rgb[0] * 1.18, 1.0), min(rgb[1] * 1.18, 1.0), min(rgb[2] * 1.18, 1.0))
    edge = 0.35 / max(foot.length_m, 1.0)
    for slope in gable_slopes(foot, heights_m):
        for low, high in (((0.0, 0.94), (1.0, 1.0)), ((0.0, 0.0), (edge, 1.0)), ((1 - edge, 0.0), (1.0, 1.0))):  # fmt: skip  # noqa: E501
            shares = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
            mesh.metric_quad(on_slope(slope, shares), 4.0, Layer.PLAIN, pale)
