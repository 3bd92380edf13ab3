"""What lies on and in the river: plumes, floating rubbish, and what resembles them."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.world.finds import Finds, FloatArray, bank_spot
from sim.world.ground import PX_PER_M, RIVER_DROP_M, pixels
from sim.world.mesh import Footprint, Skin, at_height, box
from sim.world.props import drum
from sim.world.textures import Layer

_STEPS = 18
_LEAST_CONTRAST = 55.0  # between a plume and the water around it, RGB levels

_PLUME_RGB = (
    (204, 206, 200),  # milky
    (186, 196, 188),
    (150, 88, 44),  # rusty
    (168, 120, 66),
    (112, 84, 56),  # brown
    (138, 112, 84),
    (34, 32, 34),  # black
    (56, 60, 66),
    (126, 58, 62),  # dye
    (58, 132, 82),  # green
    (92, 150, 60),
    (196, 180, 92),  # sulphur
)


def _water_tint(
    finds: Finds, outline_m: FloatArray, rgb: tuple[int, int, int], strength: NDArray[np.float32]
) -> None:
    """Tint water under an outline by a strength that runs along the river, shape (steps,)."""
    spots = pixels(outline_m)
    pad = int(1.2 * PX_PER_M)
    low, high = spots.min(axis=0) - pad, spots.max(axis=0) + pad
    low, high = np.maximum(low, 0), np.minimum(high, finds.ground.rgb.shape[0] - 1)
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.float32)
    half = len(outline_m) // 2
    right = spots[half:][::-1]
    for step in range(half - 1):
        quad = np.array([spots[step], spots[step + 1], right[step + 1], right[step]]) - low
        cv2.fillConvexPoly(mask, quad.astype(np.int32), float(strength[step]))
    mask = cv2.GaussianBlur(mask, (0, 0), 0.45 * PX_PER_M)
    window = (slice(low[1], high[1]), slice(low[0], high[0]))
    streaky = 1 + 0.22 * finds.ground.middle[window]
    weight = np.clip(mask * streaky, 0, 0.96)[..., None]
    picture = finds.ground.rgb[window]
    finds.ground.rgb[window] = (picture * (1 - weight) + weight * np.array(rgb)).astype(np.uint8)


def _unlike(rng: np.random.Generator, water_rgb: tuple[int, int, int]) -> tuple[int, int, int]:
    """Draw a plume's colour that differs from the river's: brown water as such is no plume."""
    away = np.linalg.norm(np.array(_PLUME_RGB) - np.array(water_rgb), axis=1)
    seen = np.flatnonzero(away > _LEAST_CONTRAST)
    return _PLUME_RGB[int(rng.choice(seen))]


def add_discharge(finds: Finds) -> None:
    """Let an outfall in the quay colour the river downstream."""
    rng, river = finds.site.rng, finds.site.layout.river
    length = float(9.0 * (34.0 / 9.0) ** rng.random())
    spot = bank_spot(finds, length)
    if spot is None:  # a shorter one may still fit
        length = float(rng.uniform(7.0, 10.0))
        spot = bank_spot(finds, length)
    if spot is None:
        return
    north, side = spot
    sign = 1.0 if river.flows_north else -1.0
    share = np.linspace(0, 1, _STEPS)
    norths = north + sign * (share * length - 0.8)
    edge = river.centre_m(norths) + side * (river.width_m / 2 - 0.15)
    widest = min(river.width_m * float(rng.uniform(0.3, 0.6)), 3.0 + length * 0.32)
    reach = 1.4 + (widest - 1.4) * share ** float(rng.uniform(0.45, 0.9))
    reach *= 1 + 0.12 * np.sin(share * rng.uniform(5, 14) + rng.uniform(0, 6)) * share
    reach *= 1 - 0.4 * np.clip(share - 0.75, 0, 1) / 0.25
    inner = edge - side * reach
    outline = np.concatenate(
        [np.column_stack([edge, norths]), np.column_stack([inner, norths])[::-1]]
    )
    colour = _unlike(rng, finds.site.family.water_rgb)
    fresh = float(rng.uniform(0.75, 0.98))
    strength = (fresh * (1 - share) ** float(rng.uniform(0.25, 0.6)) * 0.9 + 0.1).astype(np.float32)
    _water_tint(finds, outline, colour, strength)
    core = outline.copy()  # a denser thread along the quay
    core[_STEPS:, 0] = (edge - side * reach * 0.45)[::-1]
    _water_tint(finds, core, colour, strength * 0.7)
    _outfall(finds, north, side)
    if rng.random() < 0.4:
        _foam(finds, np.array([edge[1] - side * 1.0, norths[1]]), float(rng.uniform(0.8, 2.0)))
    points = at_height(
        np.concatenate([outline, (outline[:_STEPS] + outline[_STEPS:][::-1]) / 2]),
        -RIVER_DROP_M + 0.1,
    )
    finds.add(("violation", "discharge"), outline, points)


def _foam(finds: Finds, spot: FloatArray, reach_m: float) -> None:
    rng = finds.site.rng
    for col, row in pixels(spot + rng.normal(0, reach_m, (40, 2)) * [0.5, 1.0]).tolist():
        shade = int(rng.integers(215, 250))
        cv2.circle(finds.ground.rgb, (col, row), int(rng.integers(1, 4)), (shade,) * 3, -1)


def _outfall(finds: Finds, north: float, side: float) -> None:
    """Build a headwall with a round or a square mouth, or leave just a pipe."""
    rng, mesh, river = finds.site.rng, finds.site.mesh, finds.site.layout.river
    east = float(river.centre_m(north)) + side * (river.width_m / 2 + 0.7)
    grey = float(rng.uniform(0.55, 0.75))
    stone = Skin(Layer.PLAIN, (grey, grey * 0.98, grey * 0.94), 3.0)
    hole = Skin(Layer.PLAIN, (0.06, 0.06, 0.06), 3.0)
    if rng.random() < 0.7:
        box(mesh, Footprint(east, north, 2.2, 2.6), (-RIVER_DROP_M, 0.35), stone, stone)
        mouth = Footprint(east - side * 0.95, north, 0.6, 1.3)
        box(mesh, mouth, (-RIVER_DROP_M, -0.15), hole, hole)
        return
    pipe = Footprint(east - side * 0.6, north, 3.4, float(rng.uniform(0.6, 1.2)))
    box(mesh, pipe, (-RIVER_DROP_M * 0.8, 0.1), stone, stone)
    end = Footprint(east - side * 2.2, north, 0.3, pipe.width_m * 0.8)
    box(mesh, end, (-RIVER_DROP_M * 0.8, 0.02), hole, hole)


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
    (70, 92, 150),
)
_SCUM_RGB = ((146, 138, 118), (168, 164, 148), (110, 104, 82), (128, 118, 90), (196, 192, 178))


def _scatter(finds: Finds, centre_m: FloatArray, size_m: FloatArray, per_m2: float) -> None:
    """Strew flotsam over an ellipse of water, a few pieces beyond its edge."""
    rng = finds.site.rng
    for _ in range(int(size_m.prod() * per_m2)):
        angle, out = rng.uniform(0, 6.28), np.sqrt(rng.uniform(0, 1.15))
        spot = centre_m + out * size_m / 2 * np.array([np.cos(angle), np.sin(angle)])
        col, row = pixels(spot[None])[0].tolist()
        colour = _FLOTSAM_RGB[int(rng.integers(len(_FLOTSAM_RGB)))]
        axes = (int(rng.integers(1, 5)), int(rng.integers(1, 3)))
        cv2.ellipse(
            finds.ground.rgb, (col, row), axes, float(rng.uniform(0, 180)), 0, 360, colour, -1
        )


def _drift(rng: np.random.Generator, centre: FloatArray, size: FloatArray) -> FloatArray:
    """Draw the outline of something that drifts, shape (28, 2)."""
    angles = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    lumpy = 1 + 0.15 * np.sin(3 * angles + rng.uniform(0, 6))
    lumpy += 0.09 * np.sin(7 * angles + rng.uniform(0, 6))
    ring = np.column_stack([np.cos(angles), np.sin(angles)]) * size / 2
    return np.asarray(centre + ring * lumpy[:, None])


def add_floating_waste(finds: Finds) -> None:
    """Let a mat of rubbish or scum drift along the quay."""
    rng, river = finds.site.rng, finds.site.layout.river
    length = float(3.5 * (15.0 / 3.5) ** rng.random())
    spot = bank_spot(finds, length)
    if spot is None:
        return
    north, side = spot
    sign = 1.0 if river.flows_north else -1.0
    wide = float(rng.uniform(2.4, 6.0))
    middle = north + sign * length / 2
    off = float(rng.uniform(0.3, 0.5 if rng.random() < 0.7 else 3.0))
    east = float(river.centre_m(middle)) + side * (river.width_m / 2 - wide / 2 - off)
    centre, size = np.array([east, middle]), np.array([wide, length])
    outline = _drift(rng, centre, size)
    scum = _SCUM_RGB[int(rng.integers(len(_SCUM_RGB)))]
    thick = float(rng.uniform(0.35, 0.85))
    finds.ground.wash(outline, scum, thick, 0.25)
    for _ in range(int(rng.integers(0, 4))):  # streaks and islands of it
        apart = centre + rng.normal(0, 0.3, 2) * size
        finds.ground.wash(_drift(rng, apart, size * rng.uniform(0.15, 0.4)), scum, 0.8, 0.15)
    _scatter(finds, centre, size, float(rng.uniform(3, 13)))
    if rng.random() < 0.5:
        _bulky(finds, centre, size)
    points = at_height(np.concatenate([outline, (outline + centre) / 2]), -RIVER_DROP_M + 0.1)
    finds.add(("violation", "floating_waste"), outline, points)


def _bulky(finds: Finds, centre: FloatArray, size: FloatArray) -> None:
    """Let foam boxes, drums and boards swim among the rest."""
    rng, mesh = finds.site.rng, finds.site.mesh
    for _ in range(int(rng.integers(3, 12))):
        east, north = centre + rng.uniform(-0.4, 0.4, 2) * size
        tint = np.array(_FLOTSAM_RGB[int(rng.integers(len(_FLOTSAM_RGB)))]) / 255
        skin = Skin(Layer.PLAIN, (float(tint[0]), float(tint[1]), float(tint[2])), 3.0)
        base = -RIVER_DROP_M
        if rng.random() < 0.3:
            drum(mesh, (float(east), float(north)), 0.3, (base, base + 0.4), skin)
            continue
        foot = Footprint(
            float(east), float(north), float(rng.uniform(0.4, 1.4)), 0.45, float(rng.uniform(0, 3))
        )
        box(mesh, foot, (base, base + 0.25), skin, skin)


_ALGAE_RGB = ((92, 126, 52), (112, 146, 60), (76, 112, 62), (136, 150, 70))


def add_algae(finds: Finds) -> None:
    """Let algae bloom or duckweed drift in the river, away from the quays, with no outfall."""
    rng, river = finds.site.rng, finds.site.layout.river
    spot = bank_spot(finds, 10.0)
    if spot is None:
        return
    north = spot[0]
    east = float(river.centre_m(north)) + rng.uniform(-0.15, 0.15) * river.width_m
    size = float(rng.uniform(4.0, 10.0))
    wide = min(size, river.width_m * 0.7)
    outline = _drift(rng, np.array([east, north]), np.array([wide, size * rng.uniform(1.2, 2.0)]))
    colour = _ALGAE_RGB[int(rng.integers(len(_ALGAE_RGB)))]
    finds.ground.wash(outline, colour, float(rng.uniform(0.45, 0.85)), float(rng.uniform(0.3, 1)))
    finds.add(("distractor", "algae"), outline, at_height(outline, -RIVER_DROP_M + 0.1))


def add_sun_glint(finds: Finds) -> None:
    """Let the sun glitter on a stretch of water: small white flecks along the ripples."""
    rng, river = finds.site.rng, finds.site.layout.river
    length = float(rng.uniform(7, 16))
    spot = bank_spot(finds, length)
    if spot is None:
        return
    north, side = spot
    middle = north + (1.0 if river.flows_north else -1.0) * length / 2
    east = float(river.centre_m(middle)) + side * river.width_m * float(rng.uniform(0.1, 0.25))
    size = np.array([min(length * 0.6, river.width_m * 0.45), length])
    outline = _drift(rng, np.array([east, middle]), size)
    finds.ground.wash(outline, (222, 228, 228), float(rng.uniform(0.3, 0.65)), 1.2)
    turn = float(rng.uniform(0, np.pi))
    along = np.array([np.cos(turn), np.sin(turn)])
    for _ in range(int(size.prod() * 9)):
        away = np.clip(rng.normal(0, 0.2, 2), -0.48, 0.48) * size
        middle_m = np.array([east, middle]) + away
        half = along * float(rng.uniform(0.02, 0.22))
        ends = pixels(np.stack([middle_m - half, middle_m + half])).tolist()
        shade = int(rng.integers(200, 256))
        cv2.line(finds.ground.rgb, ends[0], ends[1], (shade,) * 3, 1, cv2.LINE_AA)
    finds.add(("distractor", "sun_glint"), outline, at_height(outline, -RIVER_DROP_M + 0.1))
