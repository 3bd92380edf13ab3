"""Smoke with and without open fire, and what resembles it: chimney steam, mist."""

from __future__ import annotations

import cv2
import numpy as np

from sim.world.earth import heap
from sim.world.finds import (
    EDGE_M,
    Finds,
    FloatArray,
    Smoke,
    disc,
    free_spot,
)
from sim.world.layout import HALF_M
from sim.world.mesh import Footprint, Rgb, Skin, at_height
from sim.world.props import drum
from sim.world.textures import Layer

_SMOKE_RGB: tuple[Rgb, ...] = (
    (0.9, 0.9, 0.91),
    (0.8, 0.81, 0.83),
    (0.68, 0.69, 0.71),
    (0.52, 0.52, 0.54),
    (0.3, 0.3, 0.31),
    (0.14, 0.14, 0.15),
    (0.62, 0.56, 0.48),  # brownish, of wet straw
)
_SMOKE_SHARE = (0.24, 0.2, 0.18, 0.12, 0.1, 0.08, 0.08)
_LARGE_SHARE = 0.25  # of the smokes: a front of fires in a wood, on a field or a yard
_OPEN_SHARE = 0.18  # of the others: a bright open fire with little smoke
_LARGE_PUFFS = 60  # a front's smoke has no more: large puffs cost much to draw
_DRIFT_M = 75.0  # no front's smoke is seen farther from its middle
_LARGE_LOTS = ("wood", "field", "park", "yard", "orchard")


def _wind(rng: np.random.Generator, low_mps: float, high_mps: float) -> tuple[float, float]:
    heading, speed = rng.uniform(0, 6.28), rng.uniform(low_mps, high_mps)
    return float(speed * np.cos(heading)), float(speed * np.sin(heading))


def _fire(
    finds: Finds,
    spot: tuple[float, float],
    size_m: float,
    wind: tuple[float, float],
    puffs: int = 26,
) -> None:
    """Let flames stand over the embers."""
    rng = finds.site.rng
    for rgb, wide, high in (((1.0, 0.36, 0.06), 1.0, 1.0), ((1.0, 0.78, 0.2), 0.55, 0.6)):
        flame = Smoke(
            base_m=(*spot, 0.1),
            wind_mps=(wind[0] * 0.5, wind[1] * 0.5),
            rise_mps=float(rng.uniform(1.6, 2.6)) * high,
            life_s=0.45 + 0.3 * size_m,
            radius_m=(0.42 * size_m * wide, 0.16 * size_m * wide),
            rgb=rgb,
            seed=int(rng.integers(1 << 30)),
            n_puffs=puffs,
            density=0.85,
            spread=0.75,
        )
        finds.smokes.append(flame)


def add_smoke(finds: Finds) -> None:
    """Burn something: a heap with its column of smoke, at times a whole front of fires."""
    rng = finds.site.rng
    if rng.random() < _LARGE_SHARE and _add_front(finds):
        return
    spot = free_spot(finds, ("yard", "field", "park", "site", "farm"), 2.5)
    if spot is None:
        return
    size = float(0.6 * (2.2 / 0.6) ** rng.random())  # 1 is a burning heap two metres across
    is_open = rng.random() < _OPEN_SHARE
    char = disc(spot, 1.6 * size + 0.4) + rng.normal(0, 0.2, (20, 2))
    finds.ground.wash(char, (30, 28, 27), float(rng.uniform(0.6, 0.95)), 0.4)
    ash = Skin(Layer.RUBBISH, (0.26, 0.24, 0.22), 3.0)
    under = Footprint(*spot, 2.0 * size, 1.7 * size, float(rng.uniform(0, 3)))
    heap(finds, under, 0.5 * size, ash, 0.8)
    wind = _wind(rng, 0.3, 3.2)
    if is_open:
        _fire(finds, spot, size * float(rng.uniform(1.2, 2.0)), wind)
    elif rng.random() < 0.6:
        _fire(finds, spot, size, wind)
    smoke = Smoke(
        base_m=(*spot, 0.0),
        wind_mps=wind,
        rise_mps=float(rng.uniform(0.9, 2.2)),
        life_s=float(rng.uniform(2.5, 4.5) if is_open else rng.uniform(7, 12)),
        radius_m=(0.5 * size, float(rng.uniform(1.6, 3.4)) * size**0.6),
        rgb=_SMOKE_RGB[int(rng.choice(len(_SMOKE_RGB), p=_SMOKE_SHARE))],
        seed=int(rng.integers(1 << 30)),
        n_puffs=int(rng.integers(30, 60) if is_open else rng.integers(110, 190)),
        density=float(rng.uniform(0.1, 0.3) if is_open else rng.uniform(0.2, 0.62)),
        spread=float(rng.uniform(0.55, 0.85)),
    )
    _record(finds, ("violation", "smoke"), smoke)


def _front_spots(
    finds: Finds, middle: tuple[float, float], along_m: FloatArray
) -> list[tuple[float, float]]:
    """Draw where a front burns: its middle and spots along it on free ground; takes them."""
    rng, site = finds.site.rng, finds.site
    spots = [middle]
    for share in np.linspace(-1, 1, int(rng.integers(5, 10))):
        east, north = (np.array(middle) + share * along_m + rng.normal(0, 1.2, 2)).tolist()
        if site.is_free(east, north, 1.6):
            site.taken.append((east, north, 1.4))
            spots.append((east, north))
    return spots


def _inner_spot(finds: Finds) -> tuple[float, float] | None:
    """Draw a free place from which a bank of smoke does not drift out of the district."""
    in_wood = finds.site.rng.random() < 0.55
    for attempt in range(8):
        kinds = ("wood",) if in_wood and attempt < 4 else _LARGE_LOTS
        spot = free_spot(finds, kinds, 3.0)
        if spot is not None and max(abs(spot[0]), abs(spot[1])) < HALF_M - _DRIFT_M:
            return spot
    return None


def _clear_wind(
    finds: Finds, spot: tuple[float, float], reach_m: float
) -> tuple[float, float] | None:
    """Draw a wind that drives a front's smoke over no other find, nor the river: it hides them."""
    north = np.arange(-HALF_M, HALF_M, 6.0)
    river = np.column_stack([finds.site.layout.river.centre_m(north), north])
    kept_clear = np.array([find.reference_m for find in finds.found] + river.tolist())
    for _ in range(12):
        wind = _wind(finds.site.rng, 1.6, 4.2)
        along = np.array(wind) / np.hypot(*wind)
        across = np.array([-along[1], along[0]]) * (reach_m + 10.0)
        end = along * (12.0 + 9.0 * float(np.hypot(*wind)))
        corners = np.array(
            [-across - 8.0 * along, across - 8.0 * along, across + end, end - across]
        )
        swept = Finds(finds.site, finds.ground, [], [], shrouds=[corners + np.array(spot)])
        if not swept.is_shrouded(kept_clear):
            return wind
    return None


def _burn(
    finds: Finds, spot: tuple[float, float], along_m: FloatArray, wind: tuple[float, float]
) -> None:
    """Char the ground along a front, and let most of its spots stand in flames."""
    rng = finds.site.rng
    for east, north in _front_spots(finds, spot, along_m):
        size = float(rng.uniform(0.8, 2.6))
        char = disc((east, north), 2.2 * size) + rng.normal(0, 0.4, (20, 2))
        finds.ground.wash(char, (30, 28, 27), float(rng.uniform(0.6, 0.95)), 0.6)
        if rng.random() < 0.8:
            _fire(finds, (east, north), size, wind, 9)


def _add_front(finds: Finds) -> bool:
    """Burn a front of several fires under one broad bank of smoke; False without room."""
    rng = finds.site.rng
    reach = float(rng.uniform(6, 15))
    spot = _inner_spot(finds)
    if spot is None:
        return False
    wind = _clear_wind(finds, spot, reach)
    if wind is None:
        return False
    across = np.array([-wind[1], wind[0]]) / np.hypot(*wind)
    _burn(finds, spot, across * reach, wind)
    front = (float(across[0] * reach), float(across[1] * reach))
    base = np.array(_SMOKE_RGB[int(rng.choice(len(_SMOKE_RGB), p=_SMOKE_SHARE))])
    wide, life, rise = rng.uniform(8, 14), rng.uniform(13, 19), rng.uniform(0.5, 1.1)
    parts = []
    for share, gain in ((0.4, 0.9), (0.35, 1.04), (0.25, float(rng.uniform(0.5, 0.8)))):
        tone = np.clip(base * gain, 0.06, 0.97)
        parts.append(
            Smoke(
                base_m=(*spot, 0.0),
                wind_mps=wind,
                rise_mps=float(rise),
                life_s=float(life),
                radius_m=(float(rng.uniform(1.8, 3.0)), float(wide)),
                rgb=(float(tone[0]), float(tone[1]), float(tone[2])),
                seed=int(rng.integers(1 << 30)),
                n_puffs=int(_LARGE_PUFFS * share),
                density=float(rng.uniform(1.0, 1.6)),  # it stays dense long after it is fresh
                spread=0.9,
                front_m=front,
                seen_share=0.6,
            )
        )
    finds.smokes.extend(parts[1:])
    _record(finds, ("violation", "smoke"), parts[0])
    finds.shrouds.append(finds.found[-1].outline_m)
    return True


def _record(finds: Finds, find: tuple[str, str], smoke: Smoke) -> None:
    finds.smokes.append(smoke)
    core = smoke.core()
    hull = cv2.convexHull(core[:, :2].astype(np.float32)).reshape(-1, 2).astype(np.float64)
    finds.add(find, hull, core, np.array(smoke.base_m[:2]))
    if smoke.base_m[2] < 1.0 and smoke.front_m == (0.0, 0.0):  # a bank hangs over what grows
        finds.site.taken += [(float(p[0]), float(p[1]), 2.0) for p in core[::6]]


def add_chimney_steam(finds: Finds) -> None:
    """Let a chimney give off steam: white, thin, gone after a few metres, no fire."""
    rng, site = finds.site.rng, finds.site
    roofs = [
        (f, h)
        for f, h in site.flat_roofs
        if max(abs(f.east_m), abs(f.north_m)) < HALF_M - EDGE_M - 6
    ]
    if roofs:
        under, base = roofs[int(rng.integers(len(roofs)))]
        local = rng.uniform(-0.35, 0.35, (1, 2)) * [under.length_m, under.width_m]
        east, north = (float(v) for v in under.place(local)[0])
        high, bore = float(rng.uniform(1.5, 5.0)), float(rng.uniform(0.25, 0.7))
    else:  # a boiler house's own, on the ground
        spot = free_spot(finds, ("yard", "hall", "parking"), 1.2)
        if spot is None:
            return
        (east, north), base = spot, 0.0
        high, bore = float(rng.uniform(7.0, 13.0)), float(rng.uniform(0.5, 0.9))
    steel = Skin(Layer.PLAIN, ((0.7, 0.7, 0.72), (0.62, 0.4, 0.34))[int(rng.integers(2))], 3.0)
    drum(site.mesh, (east, north), bore, (base, base + high), steel)
    steam = Smoke(
        base_m=(east, north, base + high - 0.4),
        wind_mps=_wind(rng, 0.4, 1.5),
        rise_mps=float(rng.uniform(0.8, 1.6)),
        life_s=float(rng.uniform(3.0, 4.5)),
        radius_m=(bore * 0.8, float(rng.uniform(0.9, 1.6))),
        rgb=(0.97, 0.97, 0.98),
        seed=int(rng.integers(1 << 30)),
        n_puffs=50,
        density=float(rng.uniform(0.25, 0.4)),
    )
    _record(finds, ("distractor", "chimney_steam"), steam)


def add_mist(finds: Finds) -> None:
    """Let mist lie over the river: wide, low, thin, without a foot."""
    rng, river = finds.site.rng, finds.site.layout.river
    north = float(rng.uniform(-0.75, 0.75)) * HALF_M
    east = float(river.centre_m(north))
    mist = Smoke(
        base_m=(east, north, 4.0),  # lower, the water would cut the puffs in two
        wind_mps=_wind(rng, 0.02, 0.12),
        rise_mps=0.03,
        life_s=90.0,
        radius_m=(float(rng.uniform(4.0, 6.0)), float(rng.uniform(6.0, 9.0))),
        rgb=(0.86, 0.88, 0.9),
        seed=int(rng.integers(1 << 30)),
        n_puffs=22,
        density=float(rng.uniform(0.14, 0.26)),
        spread=1.1,
    )
    finds.smokes.append(mist)
    outline = disc((east, north), mist.radius_m[1] * 1.5)
    inner = disc((east, north), mist.radius_m[1] * 0.7)
    points: FloatArray = np.concatenate([at_height(outline, 4.0), at_height(inner, 6.0)])
    finds.add(("distractor", "mist"), outline, points)
