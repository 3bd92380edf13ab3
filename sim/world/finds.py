"""What is placed in a district for the patrol to judge: its truth, and where there is room."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.world.buildings import Site
from sim.world.ground import Ground
from sim.world.layout import HALF_M, Lot
from sim.world.mesh import (
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
        height_m: Of its top over the ground; below zero for a pit: how deep it is.
        reference_m: Where it "is": the middle of its outline; of smoke, the foot of the column.
        from_s: Seconds into the flight from which it is there; zero: it was there before.
        to_s: When it is gone again; infinite: it outlasts the flight.
    """

    id: str
    kind: str  # violation or distractor
    name: str  # label of a violation, cause of a distractor
    outline_m: FloatArray
    points_m: FloatArray
    height_m: float
    reference_m: tuple[float, float]
    from_s: float = 0.0
    to_s: float = math.inf


@dataclass(frozen=True)
class Smoke:
    """A column of smoke, flame, steam or mist: puffs rise from a base and drift with the wind."""

    base_m: tuple[float, float, float]
    wind_mps: tuple[float, float]
    rise_mps: float
    life_s: float
    radius_m: tuple[float, float]  # at birth, at the end
    rgb: Rgb
    seed: int
    n_puffs: int = 90
    density: float = 0.5  # opacity of a fresh puff
    spread: float = 0.62  # how far puffs stray from the axis, in radii
    front_m: tuple[float, float] = (0.0, 0.0)  # half of the line on the ground that it rises from
    seen_share: float = 0.55  # of a puff's life, after which it is too thin to outline

    def puffs(self, time_s: float) -> FloatArray:
        """Return the puffs at a time, shape (n_puffs, 5): east, north, up, radius, opacity."""
        rng = np.random.default_rng(self.seed)
        phase = (np.arange(self.n_puffs) + rng.uniform(0, 1, self.n_puffs)) / self.n_puffs
        wobble = rng.normal(0, 1, (self.n_puffs, 3))
        share = (phase + time_s / self.life_s) % 1.0
        puffs = self.shape_at(share, wobble)
        if self.front_m != (0.0, 0.0):
            puffs[:, :2] += rng.uniform(-1, 1, (self.n_puffs, 1)) * np.array(self.front_m)
        return puffs

    def shape_at(self, share: FloatArray, wobble: FloatArray) -> FloatArray:
        """Return puffs of a given share of their life, 0 to 1."""
        age = share * self.life_s
        grown = self.radius_m[0] + (self.radius_m[1] - self.radius_m[0]) * share**0.8
        radius = grown * np.clip(1 + 0.22 * wobble[:, 2], 0.5, 1.5)
        stray = self.spread * grown
        carried = age * (0.5 + 0.5 * share)
        meander = 0.7 * grown * share * np.sin(9.0 * share + self.seed % 7)
        speed = max(float(np.hypot(*self.wind_mps)), 1e-6)
        across = (-self.wind_mps[1] / speed, self.wind_mps[0] / speed)
        east = self.base_m[0] + self.wind_mps[0] * carried + across[0] * meander
        north = self.base_m[1] + self.wind_mps[1] * carried + across[1] * meander
        up = self.base_m[2] + 0.4 + self.rise_mps * age * (1 - 0.3 * share)
        up += 0.3 * stray * wobble[:, 2]
        opacity = self.density * np.clip(share * 12, 0.3, 1) * (1 - share) ** 1.3
        opacity = np.minimum(opacity, 0.96)
        return np.column_stack(
            [east + stray * wobble[:, 0], north + stray * wobble[:, 1], up, radius, opacity]
        )

    def core(self) -> FloatArray:
        """Return samples of the part that is dense enough to see, shape (K, 3)."""
        share = np.linspace(0.02, self.seen_share, 13)
        puffs = self.shape_at(share, np.zeros((13, 3)))
        around = np.array([(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -0.6)])
        points = puffs[:, None, :3] + around[None] * (puffs[:, 3] * 1.4)[:, None, None]
        points[..., 2] = np.maximum(points[..., 2], self.base_m[2])
        if self.front_m != (0.0, 0.0):
            end = np.array([0.9 * self.front_m[0], 0.9 * self.front_m[1], 0.0])
            points = np.concatenate([points - end, points + end])
        return np.asarray(points.reshape(-1, 3))


@dataclass
class Finds:
    """The finds of a district while they are placed."""

    site: Site
    ground: Ground
    found: list[Find]
    smokes: list[Smoke]
    holes: list[FloatArray] = field(default_factory=list)  # outlines the ground is cut out of
    shrouds: list[FloatArray] = field(default_factory=list)  # convex; smoke hides what lies there
    corners: list[Footprint] = field(default_factory=list)  # of building sites, kept for a pit

    def is_shrouded(self, points_m: FloatArray) -> bool:
        """Say whether a bank of smoke hides any of these points, shape (N, 2)."""
        return any(
            cv2.pointPolygonTest(shroud.astype(np.float32), (float(e), float(n)), False) >= 0
            for shroud in self.shrouds
            for e, n in points_m
        )

    def name_furniture(self) -> None:
        """Record what the town's furniture holds that looks like something to be found."""
        for thing in self.site.named:
            self.add(("distractor", thing.cause), thing.outline_m, thing.points_m)

    def add(
        self,
        find: tuple[str, str],
        outline_m: FloatArray,
        points_m: FloatArray,
        reference_m: FloatArray | None = None,
        depth_m: float | None = None,
    ) -> None:
        """Record one find: (kind, name), its outline, its surface, and of a pit its depth."""
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
                max(high, 0.0) if depth_m is None else -depth_m,
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
        hidden = finds.is_shrouded(np.array([[east, north]]))
        if inside and not hidden and site.is_free(east, north, radius_m):
            site.taken.append((east, north, radius_m + 0.6))
            return float(east), float(north)
    return None


def free_plot(
    finds: Finds,
    kinds: tuple[str, ...],
    size_m: tuple[float, float],
    least: float = 0.55,
) -> Footprint | None:
    """Draw a free rectangle that lies wholly on one lot, shrunk to fit, or None without room.

    Args:
        finds: What stands already; the rectangle is marked as taken.
        kinds: Of lots.
        size_m: Wanted length and width.
        least: It may shrink to this share of what is wanted.
    """
    site, rng = finds.site, finds.site.rng
    lots = [lot for lot in site.layout.lots if lot.kind in kinds]
    if not lots:
        return None
    areas = np.array([lot.foot.length_m * lot.foot.width_m for lot in lots])
    for pick in rng.choice(len(lots), 40, p=areas / areas.sum()):
        room = np.array([lots[pick].foot.length_m, lots[pick].foot.width_m]) - 1.2
        size = np.array(size_m if room[0] >= room[1] else size_m[::-1])
        fits = np.minimum(size, room)
        if np.any(fits < least * size):
            continue
        shift = rng.uniform(-0.5, 0.5, (1, 2)) * (room - fits)
        east, north = lots[pick].foot.place(shift)[0]
        foot = Footprint(
            float(east), float(north), float(fits[0]), float(fits[1]), lots[pick].foot.turn_rad
        )
        inside = np.abs(foot.corners()).max() < HALF_M - EDGE_M
        hidden = finds.is_shrouded(foot.corners())
        if inside and not hidden and site.all_free(inside_points(foot, 2.2), 1.6):
            site.take(foot, -0.8)
            return foot
    return None


def inside_points(foot: Footprint, step_m: float) -> FloatArray:
    """Cover a rectangle with points about a step apart, its edges too, shape (N, 2)."""
    along = np.linspace(-0.5, 0.5, max(2, int(foot.length_m / step_m) + 1)) * foot.length_m
    across = np.linspace(-0.5, 0.5, max(2, int(foot.width_m / step_m) + 1)) * foot.width_m
    x, y = np.meshgrid(along, across)
    return foot.place(np.column_stack([x.ravel(), y.ravel()]))


def flat_points(foot: Footprint, up_m: float = 0.05) -> FloatArray:
    """Sample something flat on the ground, shape (25, 3)."""
    steps = np.linspace(-0.5, 0.5, 5)
    grid = np.array([[x * foot.length_m, y * foot.width_m] for x in steps for y in steps])
    return at_height(foot.place(grid), up_m)


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
    bridges = [(s.at_m, s.width_m / 2 + 4.0) for s in site.layout.streets if s.has_bridge]
    for _ in range(300):
        north, side = float(rng.uniform(-HALF_M + 30, HALF_M - 30)), float(rng.choice([-1, 1]))
        steps = north + sign * np.linspace(-2, length_m + 2, max(4, int(length_m / 3)))
        clear = all(abs(steps - at).min() > reach for at, reach in bridges)
        easts = river.centre_m(steps) + side * river.width_m * 0.3
        spots = np.column_stack([easts, steps])
        clear = clear and not finds.is_shrouded(spots)
        if clear and np.abs(steps).max() < HALF_M - 8 and site.all_free(spots, 3.6):
            site.taken += [(float(e), float(n), 3.2) for e, n in spots]
            return north, side
    return None
