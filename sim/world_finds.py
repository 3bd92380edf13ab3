"""What is placed in a district for the patrol to judge: its truth, and where there is room."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.world_buildings import Site
from sim.world_ground import Ground
from sim.world_layout import HALF_M, Lot
from sim.world_mesh import (
    Footprint,
    Rgb,
    Skin,
    at_height,
)

FloatArray = NDArray[np.float64]
EDGE_M = 16.0  # nothing is placed nearer to the district's edge


@dataclass(frozen=True)
class Find:
    """One violation or distractor as it truly is.

    Attributes:
        outline_m: Shape (N, 2), on the ground, east north.
        points_m: Shape (K, 3), samples of its surface, east north up, for boxes and occlusion.
        reference_m: Where it "is": the middle of its outline; of smoke, the foot of the column.
    """

    id: str
    kind: str  # violation or distractor
    name: str  # label of a violation, cause of a distractor
    outline_m: FloatArray
    points_m: FloatArray
    height_m: float
    reference_m: tuple[float, float]


@dataclass(frozen=True)
class Smoke:
    """A column of smoke: puffs rise from a base and drift with the wind."""

    base_m: tuple[float, float, float]
    wind_mps: tuple[float, float]
    rise_mps: float
    life_s: float
    radius_m: tuple[float, float]  # at birth, at the end
    rgb: Rgb
    seed: int
    n_puffs: int = 90

    def puffs(self, time_s: float) -> FloatArray:
        """Return the puffs at a time, shape (n_puffs, 5): east, north, up, radius, opacity."""
        rng = np.random.default_rng(self.seed)
        phase = (np.arange(self.n_puffs) + rng.uniform(0, 1, self.n_puffs)) / self.n_puffs
        wobble = rng.normal(0, 1, (self.n_puffs, 3))
        share = (phase + time_s / self.life_s) % 1.0
        return self.shape_at(share, wobble)

    def shape_at(self, share: FloatArray, wobble: FloatArray) -> FloatArray:
        """Return puffs of a given share of their life, 0 to 1."""
        age = share * self.life_s
        radius = self.radius_m[0] + (self.radius_m[1] - self.radius_m[0]) * share**0.8
        spread = 0.62 * radius
        east = self.base_m[0] + self.wind_mps[0] * age * (0.5 + 0.5 * share) + spread * wobble[:, 0]
        north = (
            self.base_m[1] + self.wind_mps[1] * age * (0.5 + 0.5 * share) + spread * wobble[:, 1]
        )
        up = (
            self.base_m[2]
            + 0.4
            + self.rise_mps * age * (1 - 0.3 * share)
            + 0.3 * spread * wobble[:, 2]
        )
        opacity = 0.5 * np.clip(share * 12, 0.3, 1) * (1 - share) ** 1.3
        return np.column_stack([east, north, up, radius, opacity])

    def core(self) -> FloatArray:
        """Return samples of the part that is dense enough to see, shape (K, 3)."""
        share = np.linspace(0.02, 0.55, 13)
        puffs = self.shape_at(share, np.zeros((13, 3)))
        around = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -0.6)])
        points = puffs[:, None, :3] + around[None] * (puffs[:, 3] * 1.4)[:, None, None]
        points[..., 2] = np.maximum(points[..., 2], self.base_m[2])
        return np.asarray(points.reshape(-1, 3))


@dataclass
class Finds:
    """The finds of a district while they are placed."""

    site: Site
    ground: Ground
    found: list[Find]
    smokes: list[Smoke]

    def add(
        self,
        find: tuple[str, str],
        outline_m: FloatArray,
        points_m: FloatArray,
        reference_m: FloatArray | None = None,
    ) -> None:
        """Record one find: (kind, name), its outline and its surface."""
        kind, name = find
        number = sum(1 for f in self.found if f.name == name) + 1
        middle = _area_centre(outline_m) if reference_m is None else reference_m
        high = float(points_m[:, 2].max() - max(points_m[:, 2].min(), 0.0))
        self.found.append(
            Find(
                f"{name}-{number:02d}",
                kind,
                name,
                outline_m,
                points_m,
                max(high, 0.0),
                (float(middle[0]), float(middle[1])),
            )
        )


def _area_centre(outline_m: FloatArray) -> FloatArray:
    moments = cv2.moments(((outline_m + HALF_M) * 100).astype(np.int32).reshape(-1, 1, 2))
    return np.array([moments["m10"], moments["m01"]]) / max(moments["m00"], 1e-9) / 100 - HALF_M


def solid_points(foot: Footprint, heights_m: tuple[float, float]) -> FloatArray:
    """Sample a box: its base's corners and a grid over its top."""
    steps = np.linspace(-0.5, 0.5, 5)
    grid = np.array([[x * foot.length_m, y * foot.width_m] for x in steps for y in steps])
    return np.concatenate(
        [at_height(foot.corners(), heights_m[0]), at_height(foot.place(grid), heights_m[1])]
    )


def free_spot(finds: Finds, kinds: tuple[str, ...], radius_m: float) -> tuple[float, float] | None:
    """Draw a free place on a lot of one of these kinds, or None when there is no room left."""
    site = finds.site
    lots = [lot for lot in site.layout.lots if lot.kind in kinds]
    for _ in range(60):
        if not lots:
            return None
        lot: Lot = lots[int(site.rng.integers(len(lots)))]
        room = np.maximum(np.array([lot.foot.length_m, lot.foot.width_m]) / 2 - radius_m * 0.9, 0.2)
        east, north = lot.foot.place(site.rng.uniform(-1, 1, (1, 2)) * room)[0]
        inside = max(abs(east), abs(north)) < HALF_M - EDGE_M
        if inside and site.is_free(east, north, radius_m):
            site.taken.append((east, north, radius_m + 0.6))
            return float(east), float(north)
    return None


def tint_of(rgb: tuple[int, int, int], rng: np.random.Generator) -> Rgb:
    """Turn a wanted colour, 0 to 255, into a tint for the light grey textures."""
    values = np.clip(np.array(rgb) / 255 * 1.15 * rng.uniform(0.9, 1.08), 0, 1)
    return float(values[0]), float(values[1]), float(values[2])


def mound(
    finds: Finds, spot: tuple[float, float], size_m: tuple[float, float, float], skin: Skin
) -> tuple[FloatArray, FloatArray]:
    """Heap something up; returns its outline (N, 2) and surface samples (K, 3)."""
    rng, rings, spokes = finds.site.rng, 7, 22
    angles = np.linspace(0, 2 * np.pi, spokes, endpoint=False)
    lobes = (
        1
        + 0.16 * np.sin(2 * angles + rng.uniform(0, 6))
        + 0.1 * np.sin(5 * angles + rng.uniform(0, 6))
    )
    share = np.linspace(0, 1, rings)[:, None]
    turn = rng.uniform(0, 6.28)
    x = share * lobes * np.cos(angles) * size_m[0] / 2
    y = share * lobes * np.sin(angles) * size_m[1] / 2
    up = size_m[2] * np.clip(1 - share**1.5, 0, 1) * (1 + rng.normal(0, 0.16, (rings, spokes)))
    up[0], up[-1] = up[0].mean(), -0.05
    east = spot[0] + np.cos(turn) * x - np.sin(turn) * y
    north = spot[1] + np.sin(turn) * x + np.cos(turn) * y
    grid = np.stack([east, north, up], axis=2)
    nxt = np.roll(grid, -1, axis=1)
    quads = np.stack([grid[:-1], grid[1:], nxt[1:], nxt[:-1]], axis=2).reshape(-1, 4, 3)
    finds.site.mesh.quads(quads, quads[..., :2] / skin.tile_m, skin.layer, skin.rgb)
    return grid[-1, :, :2].copy(), np.concatenate([grid[0, :1], *grid[2:]]).reshape(-1, 3)


def disc(spot: tuple[float, float], radius_m: float) -> FloatArray:
    """Return the outline of a disc, shape (20, 2)."""
    angles = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    return np.column_stack(
        [spot[0] + radius_m * np.cos(angles), spot[1] + radius_m * np.sin(angles)]
    )


def bank_spot(finds: Finds, length_m: float) -> tuple[float, float] | None:
    """Draw a northing with free water for `length_m` downstream, and a side: (north, side)."""
    site = finds.site
    river, rng = site.layout.river, site.rng
    sign = 1.0 if river.flows_north else -1.0
    for _ in range(60):
        north, side = float(rng.uniform(-HALF_M + 30, HALF_M - 30)), float(rng.choice([-1, 1]))
        steps = north + sign * np.linspace(-3, length_m + 3, 8)
        bridges = [s.at_m for s in site.layout.streets if s.has_bridge]
        clear = all(abs(steps - at).min() > 9 for at in bridges)
        easts = river.centre_m(steps) + side * river.width_m * 0.3
        if clear and all(
            site.is_free(float(e), float(n), 4.5) for e, n in zip(easts, steps, strict=True)
        ):
            site.taken += [(float(e), float(n), 3.5) for e, n in zip(easts, steps, strict=True)]
            return north, side
    return None
