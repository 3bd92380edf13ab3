"""Houses, flats, halls, bridges, trees and cars: the town before anything is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.world.families import Family
from sim.world.layout import BANK_M, HALF_M, Layout, Lot, River, Street
from sim.world.mesh import (
    Footprint,
    MeshBuilder,
    Rgb,
    Skin,
    at_height,
    box,
    car_template,
    gable_roof,
    hip_roof,
    tree_template,
    walls,
)
from sim.world.textures import Layer

FLOOR_M = 3.1
_CAR_RGB = (
    (0.93, 0.93, 0.93),
    (0.9, 0.9, 0.92),
    (0.1, 0.1, 0.11),
    (0.55, 0.57, 0.6),
    (0.35, 0.37, 0.4),
    (0.6, 0.1, 0.1),
    (0.13, 0.22, 0.42),
    (0.8, 0.76, 0.66),
)


@dataclass
class Site:
    """A district while it is built: its triangles, and who already stands where."""

    rng: np.random.Generator
    family: Family
    layout: Layout
    mesh: MeshBuilder = field(default_factory=MeshBuilder)
    taken: list[tuple[float, float, float]] = field(default_factory=list)  # east, north, radius
    flat_roofs: list[tuple[Footprint, float]] = field(default_factory=list)  # and how high
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
    roof = Skin(
        Layer.FLAT_ROOF,
        _tint(rng, ((176, 174, 168), (150, 148, 144), (196, 190, 180), (132, 140, 136))),
        8.0,
    )
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
    roof = Skin(Layer.TILE_ROOF, _tint(rng, family.roof_rgb), 4.6)
    plain = Skin(Layer.PLAIN, wall.rgb, 4.0)
    if style < 0.45:
        gable_roof(site.mesh, body, (high, high + wide * rng.uniform(0.22, 0.36)), roof, plain)
    elif style < 0.7:
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
    _flat_top(site, body, high, Skin(Layer.PLAIN, tint, 4.0))
    roof_clutter(site, body, high)
    site.take(body, 0.8)


def _hall(site: Site, lot: Lot) -> None:
    """Raise a permitted workshop: large and grey, which sets it apart from a colour-steel shed."""
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
    tint = _tint(rng, ((146, 148, 146), (120, 124, 126), (130, 116, 104), (104, 112, 108)))
    wall = Skin(Layer.PLAIN, _tint(rng, site.family.wall_rgb), 5.0)
    walls(site.mesh, body.corners(), (0.0, high), wall)
    gable_roof(site.mesh, body, (high, high + wide * 0.09), Skin(Layer.RIBBED, tint, 9.0), wall)
    light = Skin(Layer.PLAIN, (0.8, 0.84, 0.82), 4.0)
    for along in np.arange(-long / 2 + 4, long / 2 - 3, 7.5):  # roof lights beside the ridge
        east, north = body.place(np.array([[along, 0.0]]))[0]
        box(
            site.mesh,
            Footprint(east, north, 1.1, wide * 0.3, turn),
            (high, high + wide * 0.09 + 0.12),
            light,
            light,
        )
    site.take(body, 1.0)


def _bridge(site: Site, street: Street, river: River) -> None:
    middle = float(river.centre_m(street.at_m))
    half = river.width_m / 2 + 4.5
    asphalt = tuple(c / 255 * 1.12 for c in site.family.asphalt_rgb)
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
    for east in np.arange(middle - half + 1.0, middle + half - 3.0, 7.0):
        dash = Footprint(float(east) + 1.5, street.at_m, 3.0, 0.2)
        box(site.mesh, dash, (0.05, 0.09), white, white)
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


def _tree_wishes(site: Site) -> NDArray[np.float64]:
    """Return where trees would like to stand, shape (N, 3): east, north, crown radius."""
    rng, wishes = site.rng, []
    n_loose = int(site.family.trees_per_ha * (2 * HALF_M / 100) ** 2 * 1.6)
    wishes.append(
        np.column_stack(
            [rng.uniform(-HALF_M, HALF_M, (n_loose, 2)), rng.uniform(1.2, 3.2, n_loose)]
        )
    )
    for street in site.layout.streets:
        along = np.arange(-HALF_M, HALF_M, rng.uniform(8, 13)) + rng.uniform(-1, 1)
        for side in (-1, 1):
            if rng.random() < 0.35:
                continue
            across = np.full(len(along), street.at_m + side * (street.width_m / 2 + 1.4))
            pair = [along, across] if street.along_east else [across, along]
            wishes.append(np.column_stack([*pair, rng.uniform(1.3, 2.4, len(along))]))
    river = site.layout.river
    north = rng.uniform(-HALF_M, HALF_M, 150)
    out = (river.width_m / 2 + rng.uniform(2.6, BANK_M, 150)) * rng.choice([-1, 1], 150)
    wishes.append(np.column_stack([river.centre_m(north) + out, north, rng.uniform(1.0, 2.4, 150)]))
    for lot in site.layout.lots:
        if lot.kind == "park":
            n_trees = int(lot.foot.length_m * lot.foot.width_m / 24)
            local = rng.uniform(-0.47, 0.47, (n_trees, 2)) * [lot.foot.length_m, lot.foot.width_m]
            wishes.append(np.column_stack([lot.foot.place(local), rng.uniform(1.2, 3.6, n_trees)]))
    return np.concatenate(wishes)


def _on_road(layout: Layout, east_m: float, north_m: float, margin_m: float) -> bool:
    for street in layout.streets:
        across = north_m if street.along_east else east_m
        if abs(across - street.at_m) < street.width_m / 2 + margin_m:
            return True
    return float(layout.river.distance_m(np.array(east_m), np.array(north_m))) < 2.2


def plant(site: Site) -> None:
    """Plant trees and shrubs where nothing else stands."""
    rng = site.rng
    spots = []
    for east, north, radius in _tree_wishes(site):
        if site.is_free(east, north, radius * 0.85) and not _on_road(site.layout, east, north, 0.9):
            site.taken.append((east, north, radius * 0.6))
            tall = radius * rng.uniform(1.7, 2.6)
            spots.append((east, north, 0.0, rng.uniform(0, 6.28), radius, tall))
    placed = np.array(spots).reshape(-1, 6)
    kinds = rng.integers(0, 4, len(placed))
    base = np.array(site.family.grass_rgb) / 255
    leaf = np.array([0.62, 0.78, 0.46]) * 0.6 + base * 0.5
    for kind in range(4):
        chosen = placed[kinds == kind]
        tints = (
            leaf
            * rng.uniform(0.72, 1.2, (len(chosen), 1))
            * rng.uniform(0.86, 1.14, (len(chosen), 3))
        )
        tree_template(rng).place(site.mesh, chosen, tints)


def park_cars(site: Site) -> None:
    """Put cars on the streets and in the car parks."""
    rng, spots = site.rng, []
    for street in site.layout.streets:
        for along in np.arange(-HALF_M, HALF_M, 6.4):
            draw = rng.random()
            if draw > 0.3:
                continue
            lane = street.width_m / 2 - 1.15 if draw < 0.2 else street.width_m / 4
            side = rng.choice([-1, 1])
            across, at = street.at_m + side * lane, along + rng.uniform(-1, 1)
            turn = (
                (0.0 if side < 0 else np.pi)
                if street.along_east
                else (np.pi / 2 if side > 0 else -np.pi / 2)
            )
            spots.append((at, across, turn) if street.along_east else (across, at, turn))
    for lot in site.layout.lots:
        if lot.kind == "parking":
            for east in np.arange(-lot.foot.length_m / 2 + 2.3, lot.foot.length_m / 2 - 2, 2.6):
                for sign in (-1, 1):
                    if rng.random() < 0.65:
                        at = lot.foot.place(
                            np.array([[east, sign * (lot.foot.width_m * 0.45 - 2.5)]])
                        )[0]
                        spots.append((at[0], at[1], np.pi / 2 * sign))
    clear = [s for s in spots if site.is_free(s[0], s[1], 0.6) and _dry(site, s[0], s[1])]
    table = np.array(clear).reshape(-1, 3)
    n_cars = len(table)
    jitter = rng.normal(0, 0.02, n_cars)
    full = np.column_stack(
        [table[:, :2], np.zeros(n_cars), table[:, 2] + jitter, np.ones((n_cars, 2))]
    )
    tints = np.array(_CAR_RGB)[rng.integers(0, len(_CAR_RGB), n_cars)]
    car_template().place(site.mesh, full, tints)


def _dry(site: Site, east_m: float, north_m: float) -> bool:
    return float(site.layout.river.distance_m(np.array(east_m), np.array(north_m))) > BANK_M + 1
