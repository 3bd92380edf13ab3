"""Houses, flats, halls and bridges: the town before anything is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.world.families import Family
from sim.world.layout import Layout, Lot, River, Street
from sim.world.mesh import (
    Footprint,
    MeshBuilder,
    Rgb,
    Skin,
    at_height,
    box,
    gable_roof,
    hip_roof,
    walls,
)
from sim.world.roads import furnish_roads
from sim.world.roofs import dormers, hall_roof, membrane, ridge_cap
from sim.world.textures import Layer

FLOOR_M = 3.1


_HIPPED_TO = 0.7  # of the houses have a pitched roof, the others a flat one
_PITCHED_RGB = ((150, 70, 52), (96, 108, 124), (112, 136, 122), (188, 106, 76))  # anywhere


@dataclass(frozen=True)
class Named:
    """Furniture that looks like something to be found, so that the truth names it.

    Attributes:
        cause: Of false alarms, a distractor's name.
        outline_m: Shape (N, 2), east north.
        points_m: Shape (K, 3), samples of its surface.
    """

    cause: str
    outline_m: NDArray[np.float64]
    points_m: NDArray[np.float64]


@dataclass(frozen=True)
class Building:
    """A house, block of flats or hall: it stands with leave, and the city's register has it.

    Attributes:
        body: Its walls.
        high_m: How high they are.
        has_flat_roof: Things may stand on it.
    """

    body: Footprint
    high_m: float
    has_flat_roof: bool


@dataclass
class Site:
    """A district while it is built: its triangles, and who already stands where."""

    rng: np.random.Generator
    family: Family
    layout: Layout
    mesh: MeshBuilder = field(default_factory=MeshBuilder)
    taken: list[tuple[float, float, float]] = field(default_factory=list)  # east, north, radius
    flat_roofs: list[tuple[Footprint, float]] = field(default_factory=list)  # and how high
    fronts: list[tuple[Footprint, float]] = field(default_factory=list)  # walls for signs
    named: list[Named] = field(default_factory=list)  # furniture that the truth must name
    buildings: list[Building] = field(default_factory=list)
    _discs: NDArray[np.float64] = field(default_factory=lambda: np.zeros((256, 3)), repr=False)
    _n_discs: int = 0

    def _standing(self) -> NDArray[np.float64]:
        """Return what stands as an array, shape (N, 3); only what is new is converted."""
        new = self.taken[self._n_discs :]
        while len(self.taken) > len(self._discs):
            self._discs = np.concatenate([self._discs, np.zeros_like(self._discs)])
        if new:
            self._discs[self._n_discs : len(self.taken)] = new
            self._n_discs = len(self.taken)
        return self._discs[: self._n_discs]

    def is_free(self, east_m: float, north_m: float, radius_m: float) -> bool:
        """Say whether a disc touches nothing that stands."""
        spots = self._standing()
        gap = np.hypot(spots[:, 0] - east_m, spots[:, 1] - north_m) - spots[:, 2]
        return bool(gap.min(initial=np.inf) > radius_m)

    def all_free(self, points_m: NDArray[np.float64], radius_m: float) -> bool:
        """Say whether discs about points, shape (N, 2), touch nothing that stands."""
        spots = self._standing()
        offset = points_m[:, None] - spots[None, :, :2]
        gap = np.hypot(offset[..., 0], offset[..., 1]) - spots[:, 2]
        return bool(gap.min(initial=np.inf) > radius_m)

    def take(self, foot: Footprint, margin_m: float = 0.0) -> None:
        """Mark a rectangle as built on, as a row of discs along its longer side."""
        long, short = max(foot.length_m, foot.width_m), min(foot.length_m, foot.width_m)
        n_discs = max(1, int(np.ceil(long / max(short, 1.0))))
        steps = (np.arange(n_discs) + 0.5) / n_discs - 0.5
        local = np.column_stack([steps * foot.length_m, np.zeros(n_discs)])
        if foot.width_m > foot.length_m:
            local = np.column_stack([np.zeros(n_discs), steps * foot.width_m])
        radius = 0.5 * float(np.hypot(short, long / n_discs)) + margin_m
        self.taken += [(float(e), float(n), radius) for e, n in foot.place(local)]


def _tint(rng: np.random.Generator, choices: tuple[tuple[int, int, int], ...]) -> Rgb:
    rgb = np.array(choices[int(rng.integers(len(choices)))]) / 255 * rng.uniform(0.88, 1.1)
    # The textures are light grey, so tints are lifted to keep the colour that was asked for.
    lifted = np.clip(rgb * 1.15, 0, 1)
    return (float(lifted[0]), float(lifted[1]), float(lifted[2]))


def _flat_top(site: Site, foot: Footprint, high_m: float, wall: Skin) -> None:
    rng = site.rng
    roof = membrane(rng)
    site.mesh.metric_quad(at_height(foot.corners(), high_m), roof.tile_m, roof.layer, roof.rgb)
    inner = Footprint(
        foot.east_m, foot.north_m, foot.length_m - 0.5, foot.width_m - 0.5, foot.turn_rad
    )
    walls(site.mesh, foot.corners(), (high_m, high_m + 0.7), wall)
    walls(site.mesh, inner.corners()[::-1], (high_m, high_m + 0.7), wall)
    rim_out, rim_in = (
        at_height(foot.corners(), high_m + 0.7),
        at_height(inner.corners(), high_m + 0.7),
    )
    for i in range(4):
        j = (i + 1) % 4
        site.mesh.metric_quad(
            np.stack([rim_out[i], rim_out[j], rim_in[j], rim_in[i]]), 4.0, Layer.PLAIN, wall.rgb
        )
    site.flat_roofs.append((foot, high_m))


def roof_clutter(site: Site, foot: Footprint, high_m: float) -> None:
    """Put a stair head, air conditioners and water heaters on a flat roof."""
    rng = site.rng
    grey = Skin(Layer.PLAIN, (0.72, 0.72, 0.7), 3.0)
    for _ in range(int(rng.integers(2, 6))):
        local = rng.uniform(-0.4, 0.4, (1, 2)) * [foot.length_m - 2, foot.width_m - 2]
        east, north = foot.place(local)[0]
        size = rng.uniform(0.7, 1.3)
        box(
            site.mesh,
            Footprint(east, north, size, size * 0.8, foot.turn_rad),
            (high_m, high_m + 0.8),
            grey,
            grey,
        )
    if min(foot.length_m, foot.width_m) > 8 and rng.random() < 0.6:
        local = np.array(
            [[foot.length_m * 0.3 * rng.choice([-1, 1]), foot.width_m * 0.18 * rng.choice([-1, 1])]]
        )
        east, north = foot.place(local)[0]
        wall = Skin(Layer.PLAIN, (0.8, 0.78, 0.74), 3.0)
        top = Skin(Layer.FLAT_ROOF, (0.66, 0.65, 0.63), 8.0)
        box(
            site.mesh,
            Footprint(east, north, 3.2, 2.8, foot.turn_rad),
            (high_m, high_m + 2.6),
            wall,
            top,
        )


def _house(site: Site, lot: Lot) -> None:
    rng, family, foot = site.rng, site.family, lot.foot
    long = float(np.clip(foot.length_m - rng.uniform(5, 8), 6.5, 15))
    wide = float(np.clip(foot.width_m - rng.uniform(5, 8), 6.0, 11))
    turn = float(rng.normal(0, 0.03))
    east = foot.east_m + rng.uniform(-0.5, 0.5) * max(0, foot.length_m - long - 3)
    north = foot.north_m + rng.uniform(-0.5, 0.5) * max(0, foot.width_m - wide - 3)
    if wide > long:
        long, wide, turn = wide, long, turn + np.pi / 2
    body = Footprint(east, north, long, wide, turn)
    floors = int(rng.integers(family.floors[0], family.floors[1] + 1))
    high = floors * FLOOR_M + 0.3
    wall = Skin(Layer.FACADE, _tint(rng, family.wall_rgb), 2 * FLOOR_M)
    walls(site.mesh, body.corners(), (0.0, high), wall)
    site.take(body, 0.8)
    style = rng.random()
    site.buildings.append(Building(body, high, has_flat_roof=style >= _HIPPED_TO))
    roof = Skin(Layer.TILE_ROOF, _tint(rng, (*family.roof_rgb * 2, *_PITCHED_RGB)), 4.6)
    plain = Skin(Layer.PLAIN, wall.rgb, 4.0)
    if style < 0.45:
        heights = (high, high + wide * float(rng.uniform(0.22, 0.36)))
        gable_roof(site.mesh, body, heights, roof, plain)
        if rng.random() < 0.4:
            dormers(rng, site.mesh, body, heights, roof)
        if rng.random() < 0.5:
            ridge_cap(site.mesh, body, heights, roof.rgb)
    elif style < _HIPPED_TO:
        hip_roof(site.mesh, body, (high, high + wide * rng.uniform(0.2, 0.3)), roof)
    else:
        _flat_top(site, body, high, plain)
        roof_clutter(site, body, high)


def _block(site: Site, lot: Lot) -> None:
    rng, foot = site.rng, lot.foot
    body = Footprint(
        foot.east_m,
        foot.north_m,
        max(8.0, foot.length_m - rng.uniform(5, 9)),
        float(np.clip(foot.width_m - rng.uniform(6, 10), 8.0, 15.0)),
    )
    floors = int(rng.integers(site.family.floors[0] + 1, site.family.floors[1] + 2))
    high = floors * FLOOR_M
    tint = _tint(rng, site.family.wall_rgb)
    walls(site.mesh, body.corners(), (0.0, high), Skin(Layer.FACADE, tint, 2 * FLOOR_M))
    site.take(body, 0.8)
    site.fronts.append((body, high))
    is_pitched = rng.random() < 0.14 and body.length_m > body.width_m
    site.buildings.append(Building(body, high, has_flat_roof=not is_pitched))
    if is_pitched:
        roof = Skin(Layer.TILE_ROOF, _tint(rng, (*site.family.roof_rgb, *_PITCHED_RGB)), 4.6)
        hip_roof(site.mesh, body, (high, high + body.width_m * float(rng.uniform(0.2, 0.3))), roof)
        return
    _flat_top(site, body, high, Skin(Layer.PLAIN, tint, 4.0))
    roof_clutter(site, body, high)


def _hall(site: Site, lot: Lot) -> None:
    """Raise a permitted workshop: its size sets it apart from a shed, not the sheet it wears."""
    rng, foot = site.rng, lot.foot
    long, wide = (
        max(12.0, foot.length_m - rng.uniform(5, 10)),
        max(10.0, foot.width_m - rng.uniform(5, 10)),
    )
    turn = 0.0
    if wide > long:
        long, wide, turn = wide, long, np.pi / 2
    body = Footprint(foot.east_m, foot.north_m, long, wide, turn)
    high = float(rng.uniform(5.0, 8.5))
    wall = Skin(Layer.PLAIN, _tint(rng, site.family.wall_rgb), 5.0)
    walls(site.mesh, body.corners(), (0.0, high), wall)
    is_flat = rng.random() < 0.16
    site.buildings.append(Building(body, high, is_flat))
    if is_flat:
        _flat_top(site, body, high, wall)
        roof_clutter(site, body, high)
    else:
        hall_roof(rng, site.mesh, body, high, wall)
    site.fronts.append((body, high))
    site.take(body, 1.0)


def _bridge(site: Site, street: Street, river: River) -> None:
    middle = float(river.centre_m(street.at_m))
    half = river.width_m / 2 + 4.5
    paved = (190, 185, 174) if street.surface == "concrete" else site.family.asphalt_rgb
    asphalt = tuple(c / 255 * 1.12 for c in paved)
    deck = Skin(Layer.PLAIN, (asphalt[0], asphalt[1], asphalt[2]), 6.0)
    rail = Skin(Layer.PLAIN, (0.8, 0.79, 0.76), 4.0)
    box(
        site.mesh,
        Footprint(middle, street.at_m, 2 * half, street.width_m + 1.0),
        (-0.5, 0.06),
        rail,
        deck,
    )
    white = Skin(Layer.PLAIN, (0.92, 0.91, 0.87), 4.0)
    quarter = street.width_m / 4
    for line in (-quarter, quarter) if street.is_dual else (0.0,):
        for east in np.arange(middle - half + 1.0, middle + half - 3.0, 7.0):
            dash = Footprint(float(east) + 1.5, street.at_m + line, 3.0, 0.2)
            box(site.mesh, dash, (0.05, 0.09), white, white)
    if street.is_dual:
        box(site.mesh, Footprint(middle, street.at_m, 2 * half, 0.6), (0.05, 0.9), rail, rail)
    for side in (-1, 1):
        edge = street.at_m + side * (street.width_m / 2 - 0.1)
        box(site.mesh, Footprint(middle, edge, 2 * half, 0.18), (0.05, 0.09), white, white)
        north = street.at_m + side * (street.width_m / 2 + 0.6)
        box(site.mesh, Footprint(middle, north, 2 * half, 0.5), (-0.5, 0.95), rail, rail)


def build_town(site: Site) -> None:
    """Raise the buildings of every lot, and the bridges."""
    makers = {"house": _house, "block": _block, "hall": _hall}
    for lot in site.layout.lots:
        maker = makers.get(lot.kind)
        if maker is not None and min(lot.foot.length_m, lot.foot.width_m) > 11:
            maker(site, lot)
    for street in site.layout.streets:
        if street.has_bridge:
            _bridge(site, street, site.layout.river)
    furnish_roads(site.rng, site.mesh, site.layout)
