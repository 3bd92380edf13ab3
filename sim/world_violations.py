"""What a patrol looks for: each maker places one violation and records its truth."""

from __future__ import annotations

import cv2
import numpy as np

from sim.textures import Layer
from sim.world_finds import (
    EDGE_M,
    Finds,
    FloatArray,
    Smoke,
    bank_spot,
    disc,
    free_spot,
    mound,
    solid_points,
    tint_of,
)
from sim.world_ground import RIVER_DROP_M, pixels
from sim.world_layout import HALF_M
from sim.world_mesh import (
    Footprint,
    Skin,
    at_height,
    box,
    gable_roof,
    walls,
)

_SHED_RGB = ((38, 104, 196), (52, 118, 184), (30, 86, 172), (226, 230, 232), (214, 220, 224))


def _raise_shed(finds: Finds, foot: Footprint, base_m: float, high_m: float) -> FloatArray:
    rng, mesh = finds.site.rng, finds.site.mesh
    roof = Skin(Layer.RIBBED, tint_of(_SHED_RGB[int(rng.integers(len(_SHED_RGB)))], rng), 6.4)
    wall = Skin(
        Layer.RIBBED, tint_of(((222, 226, 228), (196, 204, 210))[int(rng.integers(2))], rng), 6.4
    )
    rise = foot.width_m * float(rng.uniform(0.08, 0.16))
    walls(mesh, foot.corners(), (base_m, base_m + high_m), wall)
    gable_roof(mesh, foot, (base_m + high_m, base_m + high_m + rise), roof, wall)
    return solid_points(foot, (base_m, base_m + high_m + rise * 0.5))


def add_structure(finds: Finds) -> None:
    """Put a colour-steel shed on a yard, or now and then on a flat roof."""
    rng, site = finds.site.rng, finds.site
    roofs = [
        (f, h)
        for f, h in site.flat_roofs
        if min(f.length_m, f.width_m) > 9
        and h < 8
        and max(abs(f.east_m), abs(f.north_m)) < HALF_M - EDGE_M
    ]
    long, wide, high = (
        float(rng.uniform(6, 12.5)),
        float(rng.uniform(4, 7)),
        float(rng.uniform(2.5, 3.8)),
    )
    if roofs and rng.random() < 0.18:
        under, base = roofs[int(rng.integers(len(roofs)))]
        site.flat_roofs.remove((under, base))
        long, wide = min(long, under.length_m - 2.4), min(wide, under.width_m - 2.4)
        foot = Footprint(under.east_m, under.north_m, long, wide, under.turn_rad)
        points = _raise_shed(finds, foot, base, min(high, 2.8))
    else:
        spot = free_spot(finds, ("yard", "field", "park"), np.hypot(long, wide) / 2)
        if spot is None:
            return
        foot = Footprint(
            *spot,
            long,
            wide,
            float(rng.uniform(0, np.pi) if rng.random() < 0.4 else rng.normal(0, 0.05)),
        )
        points = _raise_shed(finds, foot, 0.0, high)
    finds.add(("violation", "structure"), foot.corners(), points)


def _litter(finds: Finds, spot: tuple[float, float], spread_m: float, count: int) -> None:
    rng = finds.site.rng
    colours = (
        (220, 218, 212),
        (92, 116, 150),
        (150, 92, 84),
        (190, 178, 128),
        (78, 76, 74),
        (150, 132, 108),
        (196, 190, 180),
    )
    at = pixels(np.array(spot) + rng.normal(0, spread_m, (count, 2)))
    for (col, row), pick in zip(at, rng.integers(0, len(colours), count), strict=True):
        size = int(rng.integers(1, 4))
        cv2.rectangle(
            finds.ground.rgb,
            (int(col), int(row)),
            (int(col) + size, int(row) + int(rng.integers(1, 4))),
            colours[pick],
            -1,
        )


def add_waste_pile(finds: Finds) -> None:
    """Heap up rubbish, or rubble mixed with it, with litter around."""
    rng = finds.site.rng
    size = float(rng.uniform(3.6, 8.5))
    spot = free_spot(finds, ("yard", "park", "field", "yard"), size / 2 + 0.5)
    if spot is None:
        return
    finds.ground.wash(disc(spot, size * 0.62), (112, 100, 86), 0.6, 0.6)
    _litter(finds, spot, size * 0.42, int(size * 26))
    tint = ((255, 250, 240), (225, 215, 200), (240, 225, 205))[int(rng.integers(3))]
    skin = Skin(Layer.RUBBISH, tint_of(tint, rng), float(rng.uniform(3.2, 4.6)))
    dims = (size, size * float(rng.uniform(0.65, 1.0)), float(rng.uniform(0.8, 2.0)))
    outline, points = mound(finds, spot, dims, skin)
    finds.add(("violation", "waste_pile"), outline, points)


_PLUME_RGB = ((150, 88, 44), (34, 32, 34), (204, 206, 200), (126, 58, 62), (168, 120, 66))


def add_discharge(finds: Finds) -> None:
    """Let an outfall in the quay colour the river downstream."""
    rng, river = finds.site.rng, finds.site.layout.river
    length = float(rng.uniform(11, 22))
    spot = bank_spot(finds, length)
    if spot is None:
        return
    north, side = spot
    sign = 1.0 if river.flows_north else -1.0
    share = np.linspace(0, 1, 14)
    norths = north + sign * (share * length - 0.8)
    edge = river.centre_m(norths) + side * (river.width_m / 2 - 0.15)
    reach = 1.6 + (min(river.width_m * 0.55, 9.0) - 1.6) * share**0.6
    reach *= 1 - 0.45 * np.clip(share - 0.75, 0, 1) / 0.25 * 0.9
    inner = edge - side * reach
    outline = np.concatenate(
        [np.column_stack([edge, norths]), np.column_stack([inner, norths])[::-1]]
    )
    colour = _PLUME_RGB[int(rng.integers(len(_PLUME_RGB)))]
    for cut, strength in ((14, 0.62), (10, 0.55), (6, 0.6)):
        part = np.concatenate(
            [np.column_stack([edge, norths])[:cut], np.column_stack([inner, norths])[:cut][::-1]]
        )
        finds.ground.wash(part, colour, strength, 0.45)
    _outfall(finds, north, side)
    points = at_height(
        np.concatenate([outline, (outline[:14] + outline[14:][::-1]) / 2]), -RIVER_DROP_M + 0.1
    )
    finds.add(("violation", "discharge"), outline, points)


def _outfall(finds: Finds, north: float, side: float) -> None:
    river = finds.site.layout.river
    east = float(river.centre_m(north)) + side * (river.width_m / 2 + 0.7)
    stone, hole = (
        Skin(Layer.PLAIN, (0.68, 0.67, 0.64), 3.0),
        Skin(Layer.PLAIN, (0.06, 0.06, 0.06), 3.0),
    )
    box(finds.site.mesh, Footprint(east, north, 2.2, 2.6), (-RIVER_DROP_M, 0.35), stone, stone)
    box(
        finds.site.mesh,
        Footprint(east - side * 0.95, north, 0.6, 1.3),
        (-RIVER_DROP_M, -0.15),
        hole,
        hole,
    )


_FLOTSAM_RGB = (
    (228, 228, 222),
    (190, 186, 172),
    (96, 124, 156),
    (156, 92, 82),
    (120, 100, 72),
    (96, 110, 72),
    (206, 202, 190),
    (140, 122, 92),
    (88, 76, 60),
)


def _scatter(finds: Finds, centre_m: FloatArray, size_m: FloatArray) -> None:
    """Strew flotsam over an ellipse of water, a few pieces beyond its edge."""
    rng = finds.site.rng
    for _ in range(int(size_m.prod() * 11)):
        angle, out = rng.uniform(0, 6.28), np.sqrt(rng.uniform(0, 1.15))
        spot = centre_m + out * size_m / 2 * np.array([np.cos(angle), np.sin(angle)])
        col, row = pixels(spot[None])[0].tolist()
        colour = _FLOTSAM_RGB[int(rng.integers(len(_FLOTSAM_RGB)))]
        axes = (int(rng.integers(1, 4)), int(rng.integers(1, 3)))
        cv2.ellipse(
            finds.ground.rgb, (col, row), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1
        )


def add_floating_waste(finds: Finds) -> None:
    """Let a mat of rubbish drift along the quay."""
    rng, river = finds.site.rng, finds.site.layout.river
    length = float(rng.uniform(5, 11))
    spot = bank_spot(finds, length)
    if spot is None:
        return
    north, side = spot
    sign = 1.0 if river.flows_north else -1.0
    wide = float(rng.uniform(3.0, 5.0))
    middle = north + sign * length / 2
    east = float(river.centre_m(middle)) + side * (river.width_m / 2 - wide / 2 - 0.5)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    lumpy = (
        1
        + 0.15 * np.sin(3 * angles + rng.uniform(0, 6))
        + 0.08 * np.sin(7 * angles + rng.uniform(0, 6))
    )
    outline = np.column_stack(
        [east + wide / 2 * lumpy * np.cos(angles), middle + length / 2 * lumpy * np.sin(angles)]
    )
    finds.ground.wash(outline, (146, 138, 118), 0.8, 0.25)
    _scatter(finds, np.array([east, middle]), np.array([wide, length]))
    points = at_height(
        np.concatenate([outline, (outline + np.array([[east, middle]])) / 2]), -RIVER_DROP_M + 0.1
    )
    finds.add(("violation", "floating_waste"), outline, points)


def add_smoke(finds: Finds) -> None:
    """Burn something: embers, a scorched patch and a column that drifts with the wind."""
    rng = finds.site.rng
    spot = free_spot(finds, ("yard", "field", "park"), 2.5)
    if spot is None:
        return
    finds.ground.wash(disc(spot, 1.9), (30, 28, 27), 0.9, 0.4)
    mound(finds, spot, (1.9, 1.7, 0.5), Skin(Layer.RUBBISH, (0.22, 0.2, 0.19), 3.0))
    mound(finds, spot, (0.9, 0.8, 0.7), Skin(Layer.PLAIN, (1.0, 0.45, 0.12), 3.0))
    heading, speed = rng.uniform(0, 6.28), rng.uniform(0.4, 1.1)
    shade = float(rng.choice([0.86, 0.72, 0.5, 0.3], p=[0.35, 0.3, 0.2, 0.15]))
    smoke = Smoke(
        base_m=(*spot, 0.0),
        wind_mps=(float(speed * np.cos(heading)), float(speed * np.sin(heading))),
        rise_mps=float(rng.uniform(1.4, 2.1)),
        life_s=float(rng.uniform(8, 11)),
        radius_m=(float(rng.uniform(0.6, 0.9)), float(rng.uniform(2.3, 3.6))),
        rgb=(shade, shade, shade * 1.02),
        seed=int(rng.integers(1 << 30)),
    )
    finds.smokes.append(smoke)
    core = smoke.core()
    hull = cv2.convexHull(core[:, :2].astype(np.float32)).reshape(-1, 2).astype(np.float64)
    finds.add(("violation", "smoke"), hull, core, np.array(spot))
    finds.site.taken += [(float(p[0]), float(p[1]), 2.0) for p in core[::6]]


VIOLATIONS = {
    "structure": add_structure,
    "discharge": add_discharge,
    "floating_waste": add_floating_waste,
    "smoke": add_smoke,
    "waste_pile": add_waste_pile,
}
