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


def _wind(rng: np.random.Generator, low_mps: float, high_mps: float) -> tuple[float, float]:
    heading, speed = rng.uniform(0, 6.28), rng.uniform(low_mps, high_mps)
    return float(speed * np.cos(heading)), float(speed * np.sin(heading))


def _fire(
    finds: Finds, spot: tuple[float, float], size_m: float, wind: tuple[float, float]
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
            n_puffs=26,
            density=0.85,
            spread=0.75,
        )
        finds.smokes.append(flame)


def add_smoke(finds: Finds) -> None:
    """Burn something: embers, a scorched patch and a column that drifts with the wind."""
    rng = finds.site.rng
    spot = free_spot(finds, ("yard", "field", "park", "site", "farm"), 2.5)
    if spot is None:
        return
    size = float(0.6 * (2.2 / 0.6) ** rng.random())  # 1 is a burning heap two metres across
    char = disc(spot, 1.6 * size + 0.4) + rng.normal(0, 0.2, (20, 2))
    finds.ground.wash(char, (30, 28, 27), float(rng.uniform(0.6, 0.95)), 0.4)
    ash = Skin(Layer.RUBBISH, (0.26, 0.24, 0.22), 3.0)
    under = Footprint(*spot, 2.0 * size, 1.7 * size, float(rng.uniform(0, 3)))
    heap(finds, under, 0.5 * size, ash, 0.8)
    wind = _wind(rng, 0.3, 3.2)
    if rng.random() < 0.6:
        _fire(finds, spot, size, wind)
    smoke = Smoke(
        base_m=(*spot, 0.0),
        wind_mps=wind,
        rise_mps=float(rng.uniform(0.9, 2.2)),
        life_s=float(rng.uniform(7, 12)),
        radius_m=(0.5 * size, float(rng.uniform(1.6, 3.4)) * size**0.6),
        rgb=_SMOKE_RGB[int(rng.choice(len(_SMOKE_RGB), p=_SMOKE_SHARE))],
        seed=int(rng.integers(1 << 30)),
        n_puffs=int(rng.integers(110, 190)),
        density=float(rng.uniform(0.2, 0.62)),
        spread=float(rng.uniform(0.55, 0.85)),
    )
    _record(finds, ("violation", "smoke"), smoke)


def _record(finds: Finds, find: tuple[str, str], smoke: Smoke) -> None:
    finds.smokes.append(smoke)
    core = smoke.core()
    hull = cv2.convexHull(core[:, :2].astype(np.float32)).reshape(-1, 2).astype(np.float64)
    finds.add(find, hull, core, np.array(smoke.base_m[:2]))
    if smoke.base_m[2] < 1.0:
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
