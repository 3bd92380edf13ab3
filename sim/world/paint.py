"""Paints the ground of a plan: materials with ragged or straight edges, in their own shades."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.world.families import Family
from sim.world.ground import GROUND_PX, Ground, ImageArray, Material, pixels
from sim.world.layout import (
    BANK_M,
    HALF_M,
    MEDIAN_M,
    WALK_M,
    Layout,
    Lot,
    Street,
    pond_outline,
)
from sim.world.marks import mark_lot, mark_streets
from sim.world.textures import fractal

# Contrast of slow, middle and fine noise in each material, per cent of its colour.
_CONTRAST = {
    Material.GRASS: (11, 8, 8),
    Material.ASPHALT: (6, 5, 4),
    Material.SIDEWALK: (4, 5, 4),
    Material.PAVING: (7, 7, 4),
    Material.SOIL: (10, 9, 7),
    Material.FIELD: (8, 6, 8),
    Material.WATER: (6, 3, 1),
    Material.BANK: (12, 10, 10),
    Material.QUAY: (6, 6, 5),
    Material.GRAVEL: (8, 8, 7),
    Material.MEADOW: (13, 10, 9),
    Material.BRICK: (7, 6, 6),
    Material.SETTS: (7, 6, 7),
    Material.VERGE: (12, 10, 9),
    Material.WOOD: (10, 14, 12),
}
_YARD = {
    "concrete": Material.PAVING,
    "asphalt": Material.ASPHALT,
    "brick": Material.BRICK,
    "setts": Material.SETTS,
    "gravel": Material.GRAVEL,
    "soil": Material.SOIL,
    "grass": Material.GRASS,
}
_OPEN = {
    "yard": Material.GRAVEL,
    "park": Material.MEADOW,
    "field": Material.FIELD,
    "orchard": Material.MEADOW,
    "pond": Material.MEADOW,
    "wood": Material.WOOD,
    "parking": Material.ASPHALT,
}
_LITTER_RGB = ((84, 68, 50), (44, 52, 32))  # a wood's floor: in other seasons, in summer
_STREET_ALL_M = HALF_M + 1.0


def _rect(west: float, south: float, east: float, north: float) -> NDArray[np.float64]:
    return np.array([[west, south], [east, south], [east, north], [west, north]])


def _street_rect(street: Street, half_m: float) -> NDArray[np.float64]:
    if street.along_east:
        return _rect(-_STREET_ALL_M, street.at_m - half_m, _STREET_ALL_M, street.at_m + half_m)
    return _rect(street.at_m - half_m, -_STREET_ALL_M, street.at_m + half_m, _STREET_ALL_M)


def _fill(material: ImageArray, outline_m: NDArray[np.floating], what: Material) -> None:
    cv2.fillPoly(material, [pixels(outline_m)], int(what))


def _lay_lot(rng: np.random.Generator, family: Family, material: ImageArray, lot: Lot) -> None:
    weights = np.array(list(family.yards.values()))
    drawn = _YARD[str(rng.choice(list(family.yards), p=weights / weights.sum()))]
    what = _OPEN.get(lot.kind, drawn)
    if lot.kind == "yard":
        what = drawn if rng.random() < 0.5 else Material.GRAVEL
    elif lot.kind == "containers":
        what = Material.ASPHALT if rng.random() < 0.5 else Material.PAVING
    _fill(material, lot.foot.corners(-0.2), what)
    if lot.kind in ("house", "row") and rng.random() < 0.7:  # a garden behind the yard
        low, high = lot.foot.corners(-0.2)[[0, 2]]
        cut = low + (high - low) * rng.uniform(0.25, 0.6, 2)
        garden = _rect(low[0], low[1], high[0], cut[1])
        if rng.random() < 0.5:
            garden = _rect(cut[0], low[1], high[0], high[1])
        _fill(material, garden, Material.GRASS if rng.random() < 0.8 else Material.GRAVEL)
    if lot.kind == "yard" and rng.random() < 0.5:
        _fill(
            material,
            lot.foot.corners(-float(rng.uniform(1.0, 3.0))),
            drawn if rng.random() < 0.5 else Material.MEADOW,  # bare earth is a find, not a yard
        )
    if lot.kind == "pond":
        _fill(material, pond_outline(lot), Material.WATER)


def _ragged(
    material: ImageArray, middle: NDArray[np.float32], fine: NDArray[np.float32]
) -> ImageArray:
    """Push the edges about by some decimetres: nothing that grows or is trodden ends straight."""
    cols, rows = np.meshgrid(
        np.arange(GROUND_PX, dtype=np.float32), np.arange(GROUND_PX, dtype=np.float32)
    )
    cols += 2.6 * middle + 1.2 * fine
    rows += 2.6 * np.roll(middle, 301, axis=0) + 1.2 * np.roll(fine, 67, axis=0)
    return np.asarray(
        cv2.remap(material, cols, rows, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE),
        np.uint8,
    )


def _lay_streets(rng: np.random.Generator, material: ImageArray, layout: Layout) -> None:
    beside = {}
    for street in layout.streets:
        draw = rng.random()
        grows = draw >= 0.6 or street.surface == "earth"
        beside[street] = Material.VERGE if grows else Material.SIDEWALK
        _fill(material, _street_rect(street, street.width_m / 2 + WALK_M), beside[street])
        if draw > 0.82 and street.surface != "earth":
            _fill(material, _street_rect(street, street.width_m / 2 + 0.9), Material.SIDEWALK)
    for street in sorted(layout.streets, key=lambda s: (s.surface != "earth", not s.is_dual)):
        bed = Material.GRAVEL if street.surface == "earth" else Material.ASPHALT
        _fill(material, _street_rect(street, street.width_m / 2), bed)
        if street.is_dual:  # the streets across it are laid over its reservation
            planted = Material.VERGE if rng.random() < 0.75 else Material.PAVING
            _fill(material, _street_rect(street, MEDIAN_M / 2), planted)


def _lay_river(
    rng: np.random.Generator, family: Family, material: ImageArray, layout: Layout
) -> None:
    river = layout.river
    _fill(material, river.band(BANK_M), Material.BANK)
    inner = Material.BANK
    if river.is_canal or rng.random() < 0.4:
        inner = Material.QUAY if rng.random() < 0.6 else Material.SETTS
    _fill(material, river.band(BANK_M if family.canal == 1.0 else BANK_M * 0.45), inner)
    if river.is_canal or rng.random() < 0.5:
        _fill(material, river.band(0.7), Material.QUAY)
    for street in (s for s in layout.streets if s.has_bridge):
        middle, reach = float(river.centre_m(street.at_m)), river.width_m / 2 + BANK_M + 3
        for grow, what in ((WALK_M, Material.SIDEWALK), (0.0, Material.ASPHALT)):
            half = street.width_m / 2 + grow
            west, east = middle - reach, middle + reach
            _fill(material, _rect(west, street.at_m - half, east, street.at_m + half), what)
    _fill(material, river.band(0.0), Material.WATER)


def _mixed(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
    return (one[0] + other[0]) // 2, (one[1] + other[1]) // 2, (one[2] + other[2]) // 2


def _colours(rng: np.random.Generator, family: Family) -> NDArray[np.float32]:
    def scaled(rgb: tuple[int, int, int], gain: float) -> tuple[int, int, int]:
        return int(rgb[0] * gain), int(rgb[1] * gain), int(rgb[2] * gain)

    base = {
        Material.GRASS: family.grass_rgb,
        Material.ASPHALT: family.asphalt_rgb,
        Material.SIDEWALK: scaled(family.paving_rgb, 0.95),
        Material.PAVING: family.paving_rgb,
        Material.SOIL: family.soil_rgb,
        Material.FIELD: (118, 116, 62),
        Material.WATER: family.water_rgb,
        Material.BANK: scaled(family.grass_rgb, 0.92),
        Material.QUAY: (148, 145, 138),
        Material.GRAVEL: (156, 147, 134),
        Material.MEADOW: scaled(family.grass_rgb, 1.06),
        Material.BRICK: (164, 116, 98) if rng.random() < 0.6 else (158, 140, 124),
        Material.SETTS: (124, 119, 114),
        Material.VERGE: scaled(family.grass_rgb, 0.98),
        Material.WOOD: _mixed(family.grass_rgb, _LITTER_RGB[family.season == "summer"]),
    }
    table = np.array([base[m] for m in Material], np.float32)
    return np.asarray(
        table * rng.uniform(0.88, 1.1, (len(table), 1)) * rng.uniform(0.96, 1.04, table.shape),
        np.float32,
    )


def _vary_lots(rng: np.random.Generator, ground: Ground, layout: Layout) -> None:
    """Give every lot a shade of its own, as each was laid by someone else in another year."""
    for lot in layout.lots:
        spots = np.clip(pixels(lot.foot.corners()), 0, GROUND_PX - 1)
        low, high = spots.min(axis=0), spots.max(axis=0)
        window = ground.rgb[low[1] : high[1], low[0] : high[0]]
        gain = rng.uniform(0.84, 1.1) * rng.uniform(0.96, 1.04, 3)
        hard = ~np.isin(
            ground.material[low[1] : high[1], low[0] : high[0]], [Material.WATER, Material.BANK]
        )
        toned = np.clip(window.astype(np.float32) * gain.astype(np.float32), 0, 255)
        window[hard] = toned.astype(np.uint8)[hard]


def _start(rng: np.random.Generator, family: Family, layout: Layout) -> Ground:
    slow = fractal(rng, GROUND_PX, 16, 4, 0.6)
    middle = fractal(rng, GROUND_PX, 128, 3, 0.7)
    fine = np.tile(fractal(rng, 1024, 256, 3, 0.8), (4, 4))
    material = np.full((GROUND_PX, GROUND_PX), int(Material.GRASS), np.uint8)
    for lot in layout.lots:
        _lay_lot(rng, family, material, lot)
    material = _ragged(material, middle, fine)
    _lay_streets(rng, material, layout)
    _lay_river(rng, family, material, layout)
    contrast = np.array([_CONTRAST[m] for m in Material], np.float32) / 100
    shade = 1 + contrast[:, 0][material] * slow
    shade += contrast[:, 1][material] * middle
    shade += contrast[:, 2][material] * fine
    table = _colours(rng, family)
    rgb = np.empty((GROUND_PX, GROUND_PX, 3), np.uint8)
    for channel in range(3):
        plane = table[:, channel][material] * shade
        rgb[..., channel] = np.clip(plane, 0, 255).astype(np.uint8)
    ground = Ground(material, rgb, slow, middle)
    _vary_lots(rng, ground, layout)
    _wither(rng, ground)
    return ground


def _wither(rng: np.random.Generator, ground: Ground) -> None:
    """Let what grows run to straw and bare earth in places, and weeds into what is paved."""
    grassy = np.isin(
        ground.material, [Material.GRASS, Material.BANK, Material.MEADOW, Material.VERGE]
    )
    straw, bare = np.array([152, 138, 92]), np.array([146, 120, 92])
    for start, rgb, noise in (
        (float(rng.uniform(0.7, 1.3)), straw, ground.slow + 0.5 * ground.middle),
        (float(rng.uniform(1.2, 1.9)), bare, 0.5 * ground.slow - ground.middle),
    ):
        _blend(ground, np.clip((noise - start) * 0.7, 0, 0.75) * grassy, rgb)
    paved = np.isin(
        ground.material, [Material.PAVING, Material.GRAVEL, Material.BRICK, Material.SETTS]
    )
    weeds = np.clip((0.7 * ground.middle - ground.slow - rng.uniform(1.0, 1.6)) * 0.6, 0, 0.7)
    _blend(ground, weeds * paved, np.array([98, 104, 66]))


def _blend(ground: Ground, weight: NDArray[np.floating], rgb: NDArray[np.int64]) -> None:
    rows, cols = np.nonzero(weight > 0.02)
    share = weight[rows, cols][:, None]
    ground.rgb[rows, cols] = (ground.rgb[rows, cols] * (1 - share) + rgb * share).astype(np.uint8)


def paint(rng: np.random.Generator, family: Family, layout: Layout) -> Ground:
    """Paint the whole ground of a plan; flat finds are washed over it later."""
    ground = _start(rng, family, layout)
    for lot in layout.lots:
        mark_lot(rng, ground, lot)
    mark_streets(rng, ground, layout)
    return ground
