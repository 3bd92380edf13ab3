"""Where things go: river, streets, blocks and lots, in metres east and north of the centre."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim.world.families import Family
from sim.world.mesh import Footprint

HALF_M = 192.0  # the district is a square, twice this long
BANK_M = 7.0  # width of the bank on each side of the water
WALK_M = 2.2  # of the pavement beside a street
DUAL_M = (18.0, 28.0)  # range of the width of a dual carriageway
MEDIAN_M = 3.0  # of its central reservation
_VERGE_M = (6.5, 12.0)


@dataclass(frozen=True)
class River:
    """A river from south to north that meanders gently."""

    east_m: float
    swing_m: float
    wave_m: float
    phase_rad: float
    width_m: float
    flows_north: bool
    is_canal: bool = False  # walled banks, no meadow beside the water

    def centre_m(self, north_m: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Return how far east the middle of the river is, at each northing."""
        turn = 2 * np.pi * np.asarray(north_m) / self.wave_m + self.phase_rad
        return np.asarray(self.east_m + self.swing_m * np.sin(turn))

    def distance_m(
        self, east_m: NDArray[np.floating], north_m: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Return the distance from the water's edge, negative in the water."""
        return np.asarray(np.abs(east_m - self.centre_m(north_m)) - self.width_m / 2)

    def band(self, grow_m: float) -> NDArray[np.float64]:
        """Return the outline of the water grown by `grow_m`, shape (N, 2)."""
        north = np.linspace(-HALF_M - 5, HALF_M + 5, 160)
        centre, half = self.centre_m(north), self.width_m / 2 + grow_m
        left, right = (
            np.column_stack([centre - half, north]),
            np.column_stack([centre + half, north]),
        )
        return np.concatenate([left, right[::-1]])


@dataclass(frozen=True)
class Street:
    """A straight street along east or north."""

    along_east: bool
    at_m: float  # northing of an east-west street, easting of a north-south one
    width_m: float
    has_bridge: bool
    surface: str = "asphalt"  # or concrete, or earth: an unpaved track
    verge_m: float = 0.0  # land kept free beside it, to its north or its east

    @property
    def is_dual(self) -> bool:
        """Whether a central reservation parts its carriageways."""
        return self.width_m >= DUAL_M[0]

    def place(self, local_m: NDArray[np.floating]) -> NDArray[np.float64]:
        """Turn metres along and across, shape (N, 2), into east north."""
        spots = np.asarray(local_m, np.float64) + np.array([0.0, self.at_m])
        return np.asarray(spots if self.along_east else spots[:, ::-1])


@dataclass(frozen=True)
class Lot:
    """A piece of a block with one use."""

    kind: str
    foot: Footprint


@dataclass(frozen=True)
class Layout:
    """The plan of a district."""

    river: River
    streets: tuple[Street, ...]
    lots: tuple[Lot, ...]


def _cuts(rng: np.random.Generator, block_m: tuple[float, float]) -> list[float]:
    at, cuts = -HALF_M + float(rng.uniform(10, 40)), []
    while at < HALF_M - 8:
        cuts.append(at)
        at += float(rng.uniform(*block_m))
    return cuts


def _streets(rng: np.random.Generator, family: Family, river: River) -> list[Street]:
    streets = []
    for at in _cuts(rng, family.block_m):
        reach = river.width_m / 2 + river.swing_m + BANK_M + 6
        if abs(at - river.east_m) > reach:
            streets.append(Street(False, at, float(rng.uniform(*family.street_m)), False))
    crossings = _cuts(rng, family.block_m)
    for i, at in enumerate(crossings):
        width = float(rng.uniform(*family.street_m))
        streets.append(Street(True, at, width, has_bridge=i % 3 == 1))
    return _surfaced(rng, family, _widened(rng, family, river, streets))


def _widened(
    rng: np.random.Generator, family: Family, river: River, streets: list[Street]
) -> list[Street]:
    """Make one street a dual carriageway in so many of a family's districts."""
    draw, width, verge = rng.random(), float(rng.uniform(*DUAL_M)), float(rng.uniform(*_VERGE_M))
    reach = river.width_m / 2 + river.swing_m + BANK_M + 30
    fit = [
        i
        for i, street in enumerate(streets)
        if abs(street.at_m) < HALF_M - 60
        and (street.has_bridge if street.along_east else abs(street.at_m - river.east_m) > reach)
    ]
    if draw >= family.dual or not fit:
        return streets
    chosen = fit[int(rng.integers(len(fit)))]
    wide = replace(streets[chosen], width_m=width, verge_m=verge)
    return [*streets[:chosen], wide, *streets[chosen + 1 :]]


def _surfaced(rng: np.random.Generator, family: Family, streets: list[Street]) -> list[Street]:
    """Lay each street in asphalt or concrete, or leave it as a track where no bridge needs it."""
    weights = np.array(list(family.roads.values()))
    drawn = rng.choice(list(family.roads), len(streets), p=weights / weights.sum())
    return [
        replace(street, surface="asphalt" if what == "earth" and street.has_bridge else str(what))
        for street, what in zip(streets, drawn, strict=True)
    ]


def clear_spans(
    street: Street, streets: tuple[Street, ...], margin_m: float
) -> list[tuple[float, float]]:
    """Return the stretches of a street between its junctions, from and to along it."""
    edges = [-HALF_M]
    for other in sorted(
        (s for s in streets if s.along_east != street.along_east), key=lambda s: s.at_m
    ):
        half = other.width_m / 2 + margin_m
        edges += [other.at_m - half, other.at_m + half]
    edges.append(HALF_M)
    pairs = zip(edges[::2], edges[1::2], strict=True)
    return [(start, stop) for start, stop in pairs if stop - start > 1.0]


def _split(
    rng: np.random.Generator, foot: tuple[float, float, float, float], lot_m: float
) -> list[tuple[float, float, float, float]]:
    west, south, east, north = foot
    wide, tall = east - west, north - south
    if max(wide, tall) < lot_m * 1.5 or (max(wide, tall) < lot_m * 2.4 and rng.random() < 0.15):
        return [foot]
    share = float(rng.uniform(0.4, 0.6))
    if wide >= tall:
        cut = west + share * wide
        halves = [(west, south, cut, north), (cut, south, east, north)]
    else:
        cut = south + share * tall
        halves = [(west, south, east, cut), (west, cut, east, north)]
    return [lot for half in halves for lot in _split(rng, half, lot_m)]


def _spans(streets: list[Street], along_east: bool) -> list[tuple[float, float]]:
    ordered = sorted((s for s in streets if s.along_east == along_east), key=lambda s: s.at_m)
    edges = [(-HALF_M, -HALF_M)]
    for street in ordered:
        half = street.width_m / 2 + WALK_M
        edges.append((street.at_m - half, street.at_m + half + street.verge_m))
    edges += [(HALF_M, HALF_M)]
    return [(a[1], b[0]) for a, b in pairwise(edges) if b[0] - a[1] > 9]


def _touches_river(river: River, lot: tuple[float, float, float, float]) -> bool:
    norths = np.linspace(lot[1], lot[3], 5)
    near = [river.distance_m(np.array(e), norths).min() for e in (lot[0], lot[2])]
    middle = river.centre_m(norths)
    inside = bool(np.any((middle > lot[0]) & (middle < lot[2])))
    return inside or min(near) < BANK_M + 1.0


def _river(rng: np.random.Generator, family: Family) -> River:
    side = 1 if rng.random() < 0.5 else -1
    is_canal = bool(rng.random() < family.canal)
    return River(
        east_m=side * float(rng.uniform(15, 80)),
        swing_m=float(rng.uniform(0.0, 1.0) if is_canal else rng.uniform(4, 13)),
        wave_m=float(rng.uniform(240, 420)),
        phase_rad=float(rng.uniform(0, 6.28)),
        width_m=float(rng.uniform(*family.river_m)),
        flows_north=bool(rng.random() < 0.5),
        is_canal=is_canal,
    )


def pond_outline(lot: Lot) -> NDArray[np.float64]:
    """Return the water's edge of a lot with a pond, shape (48, 2), counter-clockwise."""
    foot = lot.foot
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    phase = foot.east_m + 1.7 * foot.north_m  # its shape hangs on where it is, and on no generator
    lumpy = 0.8 + 0.1 * np.sin(2 * angles + phase) + 0.06 * np.sin(5 * angles + 2 * phase)
    half = np.array([foot.length_m, foot.width_m]) / 2 - 2.0
    return foot.place(
        np.column_stack([lumpy * np.cos(angles) * half[0], lumpy * np.sin(angles) * half[1]])
    )


def plan(rng: np.random.Generator, family: Family) -> Layout:
    """Draw the plan of a district."""
    river = _river(rng, family)
    streets = _streets(rng, family, river)
    kinds = list(family.shares)
    weights = np.array([family.shares[k] for k in kinds])
    lots = []
    for west, east in _spans(streets, along_east=False):
        for south, north in _spans(streets, along_east=True):
            for lot in _split(rng, (west, south, east, north), family.lot_m):
                if not _touches_river(river, lot):
                    kind = str(rng.choice(kinds, p=weights / weights.sum()))
                    if rng.random() < family.ponds and min(lot[2] - lot[0], lot[3] - lot[1]) > 14:
                        kind = "pond"
                    foot = Footprint(
                        (lot[0] + lot[2]) / 2,
                        (lot[1] + lot[3]) / 2,
                        lot[2] - lot[0],
                        lot[3] - lot[1],
                    )
                    lots.append(Lot(kind, foot))
    return Layout(river, tuple(streets), tuple(lots))
