"""The ground picture: materials painted from the plan, markings, stains, finds that lie flat."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.textures import fractal
from sim.world_families import Family
from sim.world_layout import BANK_M, HALF_M, Layout, Lot, Street

ImageArray = NDArray[np.uint8]
Outline = NDArray[np.float64]  # shape (N, 2), east north, metres
GROUND_PX = 4096
PX_PER_M = GROUND_PX / (2 * HALF_M)
RIVER_DROP_M = 1.2  # the water lies this much lower than the streets


class Material(IntEnum):
    """What the ground is made of."""

    GRASS = 0
    ASPHALT = 1
    SIDEWALK = 2
    PAVING = 3
    SOIL = 4
    FIELD = 5
    WATER = 6
    BANK = 7
    QUAY = 8
    GRAVEL = 9
    MEADOW = 10


# Contrast of slow, middle and fine noise in each material, per cent of its colour.
_CONTRAST = {
    Material.GRASS: (10, 7, 10),
    Material.ASPHALT: (5, 3, 5),
    Material.SIDEWALK: (3, 3, 5),
    Material.PAVING: (6, 4, 5),
    Material.SOIL: (9, 8, 8),
    Material.FIELD: (8, 6, 9),
    Material.WATER: (5, 2, 1),
    Material.BANK: (11, 9, 11),
    Material.QUAY: (5, 4, 5),
    Material.GRAVEL: (7, 6, 9),
    Material.MEADOW: (12, 8, 11),
}


def pixels(points_m: NDArray[np.floating]) -> NDArray[np.int32]:
    """Turn east north metres, shape (N, 2), into ground-picture pixels with row 0 in the north."""
    points = np.asarray(points_m, np.float64)
    scaled = np.column_stack([points[:, 0] + HALF_M, HALF_M - points[:, 1]]) * PX_PER_M
    return np.asarray(np.rint(scaled - 0.5), np.int32)


@dataclass
class Ground:
    """The picture while it is painted; rgb shape (GROUND_PX, GROUND_PX, 3)."""

    material: ImageArray
    rgb: ImageArray
    slow: NDArray[np.float32]
    middle: NDArray[np.float32]

    def polygon(self, outline_m: NDArray[np.floating], rgb: tuple[int, int, int]) -> None:
        """Fill an outline with one colour, keeping none of the ground's own shades."""
        cv2.fillPoly(self.rgb, [pixels(outline_m)], rgb, cv2.LINE_AA)

    def line(self, ends_m: NDArray[np.floating], rgb: tuple[int, int, int], thick_px: int) -> None:
        """Draw a line between two points, shape (2, 2)."""
        (x0, y0), (x1, y1) = pixels(ends_m).tolist()
        cv2.line(self.rgb, (x0, y0), (x1, y1), rgb, thick_px, cv2.LINE_AA)

    def wash(
        self,
        outline_m: NDArray[np.floating],
        rgb: tuple[int, int, int],
        strength: float,
        blur_m: float,
    ) -> None:
        """Tint the ground under an outline with a soft edge and uneven strength, 0 to 1."""
        spots = pixels(outline_m)
        pad = int(3 * blur_m * PX_PER_M) + 4
        low = np.maximum(spots.min(axis=0) - pad, 0)
        high = np.minimum(spots.max(axis=0) + pad, GROUND_PX - 1)
        if np.any(high - low < 3):
            return
        mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.float32)
        cv2.fillPoly(mask, [spots - low], 1.0)
        mask = cv2.GaussianBlur(mask, (0, 0), blur_m * PX_PER_M)
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        mask = np.clip(mask * strength * (1 + 0.28 * self.middle[window]), 0, 1)[..., None]
        mixed = self.rgb[window] * (1 - mask) + mask * np.array(rgb, np.float32)
        self.rgb[window] = mixed.astype(np.uint8)


def _rect(west: float, south: float, east: float, north: float) -> NDArray[np.float64]:
    return np.array([[west, south], [east, south], [east, north], [west, north]])


def _street_rect(street: Street, half_m: float) -> NDArray[np.float64]:
    if street.along_east:
        return _rect(-HALF_M - 1, street.at_m - half_m, HALF_M + 1, street.at_m + half_m)
    return _rect(street.at_m - half_m, -HALF_M - 1, street.at_m + half_m, HALF_M + 1)


_LOT_MATERIAL = {
    "house": Material.PAVING,
    "block": Material.PAVING,
    "hall": Material.PAVING,
    "yard": Material.GRAVEL,
    "park": Material.MEADOW,
    "field": Material.FIELD,
    "parking": Material.ASPHALT,
}


def _fill(material: ImageArray, outline_m: NDArray[np.floating], what: Material) -> None:
    cv2.fillPoly(material, [pixels(outline_m)], int(what))


def _materials(rng: np.random.Generator, layout: Layout) -> ImageArray:
    material = np.full((GROUND_PX, GROUND_PX), int(Material.GRASS), np.uint8)
    for lot in layout.lots:
        _fill(material, lot.foot.corners(-0.2), _LOT_MATERIAL[lot.kind])
        if lot.kind == "house" and rng.random() < 0.6:  # a garden behind the yard
            turn = lot.foot.corners()
            split = turn[0] + (turn[3] - turn[0]) * rng.uniform(0.25, 0.5)
            _fill(
                material,
                np.array([turn[0], turn[1], [turn[1][0], split[1]], split]),
                Material.GRASS,
            )
        if lot.kind == "yard" and rng.random() < 0.5:
            what = Material.SOIL if rng.random() < 0.5 else Material.MEADOW
            _fill(material, lot.foot.corners(-rng.uniform(1.0, 3.0)), what)
    for street in layout.streets:
        _fill(material, _street_rect(street, street.width_m / 2 + 2.2), Material.SIDEWALK)
    for street in layout.streets:
        _fill(material, _street_rect(street, street.width_m / 2), Material.ASPHALT)
    river = layout.river
    _fill(material, river.band(BANK_M), Material.BANK)
    _fill(
        material, river.band(BANK_M * 0.45), Material.QUAY if rng.random() < 0.5 else Material.BANK
    )
    _fill(material, river.band(0.6), Material.QUAY)
    for street in (s for s in layout.streets if s.has_bridge):
        middle, reach = float(river.centre_m(street.at_m)), river.width_m / 2 + BANK_M + 3
        for grow, what in ((2.2, Material.SIDEWALK), (0.0, Material.ASPHALT)):
            half = street.width_m / 2 + grow
            _fill(
                material,
                _rect(middle - reach, street.at_m - half, middle + reach, street.at_m + half),
                what,
            )
    _fill(material, river.band(0.0), Material.WATER)
    return material


def _colours(rng: np.random.Generator, family: Family) -> NDArray[np.float32]:
    base = {
        Material.GRASS: family.grass_rgb,
        Material.ASPHALT: family.asphalt_rgb,
        Material.SIDEWALK: tuple(int(c * 1.03) for c in family.paving_rgb),
        Material.PAVING: family.paving_rgb,
        Material.SOIL: family.soil_rgb,
        Material.FIELD: (118, 116, 62),
        Material.WATER: family.water_rgb,
        Material.BANK: tuple(int(c * 0.92) for c in family.grass_rgb),
        Material.QUAY: (158, 155, 148),
        Material.GRAVEL: (160, 152, 140),
        Material.MEADOW: tuple(int(c * 1.06) for c in family.grass_rgb),
    }
    table = np.array([base[m] for m in Material], np.float32)
    return np.asarray(
        table * rng.uniform(0.9, 1.1, (len(table), 1)) * rng.uniform(0.96, 1.04, table.shape),
        np.float32,
    )


def _start(rng: np.random.Generator, family: Family, layout: Layout) -> Ground:
    material = _materials(rng, layout)
    slow = fractal(rng, GROUND_PX, 16, 4, 0.6)
    middle = fractal(rng, GROUND_PX, 128, 3, 0.7)
    fine = np.tile(fractal(rng, 1024, 256, 3, 0.8), (4, 4))
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
    _dry_patches(ground)
    return ground


def _dry_patches(ground: Ground) -> None:
    """Let grass run to straw and bare earth where the slow noise is high."""
    grassy = np.isin(ground.material, [Material.GRASS, Material.BANK, Material.MEADOW])
    weight = np.clip((ground.slow + 0.5 * ground.middle - 1.1) * 0.7, 0, 0.75) * grassy
    rows, cols = np.nonzero(weight > 0.02)
    share = weight[rows, cols][:, None]
    straw = np.array([152, 138, 92], np.float32)
    ground.rgb[rows, cols] = (ground.rgb[rows, cols] * (1 - share) + straw * share).astype(np.uint8)


def _strip(street: Street, along_m: float, across_m: float, size_m: tuple[float, float]) -> Outline:
    """Return a rectangle on a street: from a point along and across it, so long and so wide."""
    ends = np.array([[0, 0], [size_m[0], 0], [size_m[0], size_m[1]], [0, size_m[1]]])
    spots = ends + np.array([along_m, street.at_m + across_m])
    return np.asarray(spots if street.along_east else spots[:, ::-1])


def _mark_street(
    rng: np.random.Generator, ground: Ground, street: Street, crossings: list[Street]
) -> None:
    """Paint kerbs, a dashed centre line, zebra crossings and patches."""
    half = street.width_m / 2
    blocked = [(s.at_m - s.width_m / 2 - 5, s.at_m + s.width_m / 2 + 5) for s in crossings]
    for side in (-half, half):
        ground.polygon(_strip(street, -HALF_M, side - 0.08, (2 * HALF_M, 0.16)), (196, 194, 188))
    for along in np.arange(-HALF_M, HALF_M, 7.0):
        if not any(low < along + 3 and along < high for low, high in blocked):
            ground.polygon(_strip(street, float(along), -0.09, (3.0, 0.18)), (214, 212, 200))
    for low, high in [ends for ends in blocked if rng.random() < 0.45]:
        for start in (low + 1.2, high - 4.2):
            for across in np.arange(-half + 0.5, half - 0.5, 0.95):
                ground.polygon(_strip(street, start, float(across), (3.0, 0.5)), (212, 211, 204))
    for _ in range(int(rng.integers(5, 11))):
        spot, across = rng.uniform(-HALF_M, HALF_M), rng.uniform(-half * 0.7, half * 0.7)
        patch = _strip(street, spot, across, (rng.uniform(1.0, 5.0), 1.4))
        ground.wash(patch, (58, 58, 60), float(rng.uniform(0.2, 0.6)), 0.15)


def _mark_lot(rng: np.random.Generator, ground: Ground, lot: Lot) -> None:
    foot = lot.foot
    long, wide = foot.length_m, foot.width_m
    if lot.kind == "field":
        _mark_field(rng, ground, lot)
    elif lot.kind == "parking":
        for east in np.arange(-long / 2 + 1, long / 2 - 1, 2.6):
            for sign in (-1, 1):
                edge = sign * wide / 2 * 0.9
                bay = foot.place(np.array([[east, edge], [east, edge - 5 * sign]]))
                ground.line(bay, (215, 214, 208), 1)
    elif lot.kind == "yard":
        for _ in range(int(rng.integers(1, 4))):  # wheel tracks
            ends = foot.place(rng.uniform(-0.45, 0.45, (2, 2)) * [long, wide])
            for side in (-0.8, 0.8):
                ground.line(ends + side, (126, 112, 94), 4)
    elif lot.kind in ("house", "block", "hall"):
        for east in np.arange(-long / 2, long / 2, 4.0):  # joints between slabs
            ends = foot.place(np.array([[east, -wide / 2], [east, wide / 2]]))
            col, row = np.clip(pixels(ends)[0], 0, GROUND_PX - 1)
            red, green, blue = (ground.rgb[row, col].astype(int) * 0.88).astype(int).tolist()
            ground.line(ends, (red, green, blue), 1)


def _mark_field(rng: np.random.Generator, ground: Ground, lot: Lot) -> None:
    greens = ((96, 122, 52), (78, 108, 46), (140, 132, 74), (126, 98, 68), (104, 128, 66))
    red, green, blue = greens[int(rng.integers(len(greens)))]
    foot = lot.foot
    ground.wash(foot.corners(-1.0), (red, green, blue), 0.85, 0.4)
    furrow = (int(red * 0.7), int(green * 0.7), int(blue * 0.7))
    reach = foot.length_m / 2 - 1
    for north in np.arange(-foot.width_m / 2 + 1.2, foot.width_m / 2 - 1, 0.85):
        ground.line(foot.place(np.array([[-reach, north], [reach, north]])), furrow, 2)


def paint(rng: np.random.Generator, family: Family, layout: Layout) -> Ground:
    """Paint the whole ground of a plan; flat finds are washed over it later."""
    ground = _start(rng, family, layout)
    for lot in layout.lots:
        _mark_lot(rng, ground, lot)
    rivers = {
        True: ground.material == Material.WATER,
        False: np.zeros(ground.material.shape, np.uint8),
    }
    cv2.fillPoly(rivers[False], [pixels(layout.river.band(BANK_M))], 1)
    rivers[False] = rivers[False] > 0
    for street in layout.streets:
        crossings = [s for s in layout.streets if s.along_east != street.along_east]
        if not street.along_east:
            _mark_street(rng, ground, street, crossings)
            continue
        kept = rivers[street.has_bridge]
        before = ground.rgb[kept]
        _mark_street(rng, ground, street, crossings)
        ground.rgb[kept] = before
    return ground


def height_m(
    layout: Layout, east_m: NDArray[np.floating], north_m: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the ground's height over the streets: flat, and lower in the river's bed."""
    distance = layout.river.distance_m(east_m, north_m)
    return np.asarray(-RIVER_DROP_M * np.clip(1 - distance / 2.4, 0, 1))
