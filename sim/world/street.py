"""What stands along streets: people, riders, lamps, flags and road signs."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from sim.world.buildings import Site
from sim.world.finds import Find
from sim.world.layout import HALF_M, Street
from sim.world.mesh import MeshBuilder, Rgb, Template
from sim.world.signs import traffic_sign
from sim.world.traffic import at_crossing, on_bridge
from sim.world.vehicles import Painted, hull, plain

FloatArray = NDArray[np.float64]

_CLOTHES_RGB = np.array(
    [
        (0.12, 0.13, 0.16),
        (0.9, 0.9, 0.88),
        (0.2, 0.28, 0.5),
        (0.62, 0.14, 0.14),
        (0.45, 0.46, 0.48),
        (0.85, 0.7, 0.3),
        (0.3, 0.42, 0.3),
        (0.8, 0.5, 0.55),
    ]
)
_VEST_RGB = np.array([(1.0, 0.5, 0.1), (0.85, 0.95, 0.2), (0.2, 0.3, 0.55)])
_HELMET_RGB: tuple[Rgb, ...] = ((1.0, 0.85, 0.1), (0.95, 0.95, 0.95), (0.85, 0.15, 0.1))


@cache
def person(hat: Rgb | None = None) -> Painted:
    """Build somebody 1.7 m tall in mid-step; the coat takes the tint, a helmet its own colour."""
    coat, rest = MeshBuilder(), MeshBuilder()
    hull(rest, ((-0.24, 0.26, 0.12, 0.03), (-0.1, 0.12, 0.15, 0.85)), plain((0.16, 0.17, 0.21)))
    hull(coat, ((-0.12, 0.13, 0.2, 0.78), (-0.12, 0.13, 0.26, 1.4)), plain((1.0, 1.0, 1.0)))
    skin: Rgb = (0.75, 0.55, 0.42) if hat is None else hat
    hull(rest, ((-0.06, 0.09, 0.08, 1.38), (-0.11, 0.11, 0.1, 1.58)), plain((0.75, 0.55, 0.42)))
    crown = plain((0.1, 0.08, 0.07) if hat is None else skin)
    hull(rest, ((-0.14, 0.13, 0.12, 1.56), (-0.08, 0.08, 0.08, 1.72)), crown)
    return Painted(coat.rows(), Template(rest.rows()))


@cache
def cyclist() -> Painted:
    """Build somebody on a scooter, facing +x; the coat takes the tint."""
    coat, rest = MeshBuilder(), MeshBuilder()
    dark, body = plain((0.1, 0.1, 0.11)), plain((0.5, 0.14, 0.14))
    for at in (-0.6, 0.62):
        hull(rest, ((at - 0.15, at + 0.15, 0.05, 0.03), (at - 0.25, at + 0.25, 0.05, 0.5)), dark)
    hull(rest, ((-0.75, 0.3, 0.15, 0.35), (-0.75, 0.1, 0.15, 0.78)), body)
    hull(rest, ((0.45, 0.65, 0.2, 0.4), (0.35, 0.5, 0.3, 1.05)), body)
    hull(coat, ((-0.4, -0.05, 0.2, 0.75), (-0.25, 0.08, 0.25, 1.32)), plain((1.0, 1.0, 1.0)))
    hull(rest, ((-0.15, 0.1, 0.12, 1.32), (-0.12, 0.1, 0.1, 1.6)), plain((0.12, 0.12, 0.14)))
    return Painted(coat.rows(), Template(rest.rows()))


def _pavement(street: Street, along_m: float, side: float, out_m: float) -> tuple[float, float]:
    across = street.at_m + side * (street.width_m / 2 + out_m)
    return (along_m, across) if street.along_east else (across, along_m)


def _walk(site: Site, spots: FloatArray, out: list[FloatArray]) -> None:
    """Keep those of some spots, shape (N, 2), where a person can stand."""
    for east, north in spots:
        is_in = max(abs(east), abs(north)) < HALF_M - 2
        if is_in and not on_bridge(site.layout, east, north) and site.is_free(east, north, 0.3):
            out.append(np.array([east, north]))


def _crowd(site: Site) -> FloatArray:
    """Return where people are, shape (N, 2): on pavements, at crossings, in yards and parks."""
    rng = site.rng
    out: list[FloatArray] = []
    for street in site.layout.streets:
        for along in np.arange(-HALF_M + 6, HALF_M - 6, 17.0):
            if rng.random() < 0.4:
                side = float(rng.choice([-1, 1]))
                middle = _pavement(street, along + rng.uniform(-7, 7), side, 0.9)
                group = 1 if rng.random() < 0.6 else int(rng.integers(2, 6))
                _walk(site, np.array(middle) + rng.normal(0, 0.55, (group, 2)), out)
        for other in site.layout.streets:
            if other.along_east != street.along_east and rng.random() < 0.5:
                reach = other.width_m / 2 + 2.4
                along = other.at_m + float(rng.choice([-1, 1])) * reach
                count = int(rng.integers(1, 7))
                across = rng.uniform(-0.9, 0.9, count) * street.width_m / 2 + street.at_m
                spots = np.column_stack([along + rng.normal(0, 0.8, count), across])
                _walk(site, spots if street.along_east else spots[:, ::-1], out)
    for lot in site.layout.lots:
        if lot.kind in ("yard", "parking", "park", "hall", "block") and rng.random() < 0.6:
            local = rng.uniform(-0.45, 0.45, (1, 2)) * [lot.foot.length_m, lot.foot.width_m]
            middle = lot.foot.place(local)[0]
            _walk(site, middle + rng.normal(0, 1.2, (int(rng.integers(1, 6)), 2)), out)
    return np.array(out).reshape(-1, 2)


def _stand(
    site: Site, thing: Template, spots: FloatArray, turns: FloatArray, tints: FloatArray
) -> None:
    count = len(spots)
    tall = site.rng.uniform(0.93, 1.06, count)
    rows = np.column_stack([spots, np.zeros(count), turns, tall, tall])
    thing.place(site.mesh, rows, tints)


def people(site: Site, finds: list[Find]) -> None:
    """Put people in the streets, and workers in helmets on building sites."""
    rng, spots = site.rng, _crowd(site)
    count = len(spots)
    tints = _CLOTHES_RGB[rng.integers(0, len(_CLOTHES_RGB), count)]
    _stand(site, person(), spots, rng.uniform(0, 6.28, count), tints)
    workers = []
    for find in finds:
        if find.name not in {"bare_soil", "netted_soil", "open_pit", "guarded_pit"}:
            continue
        middle = find.outline_m.mean(axis=0)
        for _ in range(int(rng.integers(0, 4))):
            corner = find.outline_m[int(rng.integers(len(find.outline_m)))]
            away = corner - middle
            step = away / max(float(np.hypot(*away)), 1e-6)
            workers.append(corner + step * rng.uniform(1.0, 2.0) + rng.normal(0, 0.2, 2))
    kept: list[FloatArray] = []
    _walk(site, np.array(workers).reshape(-1, 2), kept)
    table = np.array(kept).reshape(-1, 2)
    pick = rng.integers(0, len(_HELMET_RGB), len(table))
    for number, helmet in enumerate(_HELMET_RGB):
        chosen = table[pick == number]
        vests = _VEST_RGB[rng.integers(0, len(_VEST_RGB), len(chosen))]
        _stand(site, person(helmet), chosen, rng.uniform(0, 6.28, len(chosen)), vests)


def riders(site: Site) -> None:
    """Put scooters on the outer edge of the lanes, riding on the right."""
    rng, spots, turns = site.rng, [], []
    for street in site.layout.streets:
        for along in rng.uniform(-HALF_M + 8, HALF_M - 8, int(rng.integers(0, 9))):
            side = float(rng.choice([-1, 1]))
            east, north = _pavement(street, float(along), side, -2.6)
            if site.is_free(east, north, 0.7) and not on_bridge(site.layout, east, north):
                site.taken.append((east, north, 0.5))
                spots.append((east, north))
                ahead = 0.0 if street.along_east else np.pi / 2
                forward = (side < 0) == street.along_east  # traffic keeps to the right
                turns.append(ahead if forward else ahead + np.pi)
    tints = _CLOTHES_RGB[rng.integers(0, len(_CLOTHES_RGB), len(spots))]
    _stand(site, cyclist(), np.array(spots).reshape(-1, 2), np.array(turns), tints)


@cache
def lamp() -> Template:
    """Build a street lamp 8 m tall whose arm reaches to +x."""
    mesh, grey = MeshBuilder(), plain((0.66, 0.68, 0.7))
    hull(mesh, ((-0.12, 0.12, 0.12, 0.03), (-0.06, 0.06, 0.06, 7.6)), grey, has_top=False)
    hull(mesh, ((-0.06, 0.9, 0.05, 7.6), (1.0, 2.2, 0.05, 8.1)), grey)
    hull(mesh, ((1.3, 2.3, 0.14, 7.98), (1.3, 2.3, 0.16, 8.14)), plain((0.92, 0.92, 0.9)))
    return Template(mesh.rows())


@cache
def flag() -> Painted:
    """Build a flag pole 9 m tall; its cloth, to +x, takes the tint."""
    cloth, pole = MeshBuilder(), MeshBuilder()
    hull(pole, ((-0.07, 0.07, 0.07, 0.03), (-0.05, 0.05, 0.05, 9.0)), plain((0.88, 0.88, 0.9)))
    hull(cloth, ((0.06, 1.1, 0.02, 5.6), (0.06, 1.25, 0.03, 8.8)), plain((1.0, 1.0, 1.0)))
    return Painted(cloth.rows(), Template(pole.rows()))


def furnish_streets(site: Site) -> None:
    """Stand lamps along the streets, signs at crossings and flags before large buildings."""
    rng = site.rng
    lamps: list[tuple[float, float, float]] = []
    signs: dict[str, list[tuple[float, float, float]]] = {"way": [], "round": [], "light": []}
    for street in site.layout.streets:
        if street.surface == "earth":
            continue
        side, gap = float(rng.choice([-1, 1])), float(rng.uniform(22, 32))
        for along in np.arange(-HALF_M + rng.uniform(4, 20), HALF_M - 4, gap):
            inward = -side * np.pi / 2 if street.along_east else (np.pi if side > 0 else 0.0)
            kind = str(rng.choice(["way", "round", "light"], p=[0.3, 0.5, 0.2]))
            is_near = at_crossing(site.layout, street, float(along), 9.0)
            where = signs[kind] if is_near else lamps
            turn = inward if not is_near else inward + np.pi / 2
            east, north = _pavement(street, float(along), side, 0.55)
            is_clear = not at_crossing(site.layout, street, float(along), 1.5)
            if (
                is_clear
                and not on_bridge(site.layout, east, north)
                and site.is_free(east, north, 0.3)
            ):
                where.append((east, north, turn))
                site.taken.append((east, north, 0.25))
            side = -side
    for thing, table in ((lamp(), lamps), *((traffic_sign(k), t) for k, t in signs.items())):
        rows = np.array(table).reshape(-1, 3)
        _stand(site, thing, rows[:, :2], rows[:, 2], np.ones((len(rows), 3)))
    _raise_flags(site)


_FLAG_RGB = np.array([(0.85, 0.12, 0.12), (0.95, 0.95, 0.95), (0.15, 0.35, 0.75), (0.95, 0.8, 0.1)])


def _raise_flags(site: Site) -> None:
    rng, spots = site.rng, []
    for lot in site.layout.lots:
        if lot.kind not in ("hall", "block", "park") or rng.random() > 0.2:
            continue
        start = float(rng.uniform(-0.4, 0.1)) * lot.foot.length_m
        for number in range(int(rng.integers(3, 7))):
            local = np.array([[start + 2.2 * number, -lot.foot.width_m / 2 + 1.2]])
            east, north = (float(v) for v in lot.foot.place(local)[0])
            if site.is_free(east, north, 0.3) and max(abs(east), abs(north)) < HALF_M - 3:
                site.taken.append((east, north, 0.25))
                spots.append((east, north))
    table = np.array(spots).reshape(-1, 2)
    tints = _FLAG_RGB[rng.integers(0, len(_FLAG_RGB), len(table))]
    _stand(site, flag(), table, np.full(len(table), float(rng.uniform(0, 6.28))), tints)
