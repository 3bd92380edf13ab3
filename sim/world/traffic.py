"""Cars, buses and lorries where traffic leaves them: along kerbs, on lanes, in rows of bays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sim.world.buildings import Site
from sim.world.layout import BANK_M, HALF_M, MEDIAN_M, Layout, Lot, Street
from sim.world.lorries import LOADS, LORRIES, lorry, tipper
from sim.world.mesh import Template
from sim.world.vehicles import bus, car

FloatArray = NDArray[np.float64]
Place = tuple[float, float, float]  # east, north, turn

KERB_GAP_M = 1.05  # from the kerb to the middle of a parked car
_ROOM_M = 0.88  # half of the widest car, about its nose, middle and tail
_CAR_RGB = np.array(
    [
        *((0.95, 0.95, 0.95),) * 7,
        *((0.72, 0.73, 0.75),) * 4,
        *((0.4, 0.42, 0.45),) * 3,
        *((0.12, 0.12, 0.13),) * 4,
        (0.62, 0.09, 0.09),
        (0.72, 0.08, 0.12),
        (0.12, 0.22, 0.45),
        (0.2, 0.4, 0.62),
        (0.8, 0.74, 0.62),
        (0.3, 0.22, 0.18),
    ]
)
_BUS_RGB = np.array([(0.3, 0.68, 0.25), (0.9, 0.9, 0.9), (0.2, 0.42, 0.75), (0.85, 0.3, 0.2)])
CAB_RGB = np.array(
    [
        (0.25, 0.78, 0.22),
        (0.78, 0.14, 0.12),
        (0.92, 0.92, 0.92),
        (0.2, 0.35, 0.78),
        (0.95, 0.7, 0.15),
        (0.95, 0.52, 0.12),
    ]
)
_KINDS = ("saloon", "hatchback", "suv", "van", "pickup")
_SHARES = (0.33, 0.22, 0.26, 0.13, 0.06)


def on_bridge(layout: Layout, east_m: float, north_m: float) -> bool:
    """Say whether a spot is over water or too near to it."""
    gap = float(layout.river.distance_m(np.array(east_m), np.array(north_m)))
    return gap < BANK_M + 1


def at_crossing(layout: Layout, street: Street, along_m: float, margin_m: float) -> bool:
    """Say whether a place along a street is nearer than a margin to one that crosses it."""
    return any(
        abs(other.at_m - along_m) < other.width_m / 2 + margin_m
        for other in layout.streets
        if other.along_east != street.along_east
    )


def street_place(street: Street, along_m: float, right_m: float, is_forward: bool) -> Place:
    """Stand on a street to the right of its middle, as one drives there.

    Args:
        street: The street.
        along_m: Easting or northing, as the street runs.
        right_m: To the right of the street's middle as the driver sees it.
        is_forward: Driving east or north, else west or south.
    """
    turn = (0.0 if street.along_east else np.pi / 2) + (0.0 if is_forward else np.pi)
    across = (-right_m if is_forward else right_m) * (1.0 if street.along_east else -1.0)
    if street.along_east:
        return along_m, street.at_m + across, float(turn)
    return street.at_m + across, along_m, float(turn)


def _claim(site: Site, place: Place, half_m: float) -> bool:
    """Take the ground under a vehicle if it is free, dry and in the district."""
    east, north, turn = place
    reach = np.array([[s * half_m * 0.75] for s in (-1.0, 0.0, 1.0)])
    spots = np.array([east, north]) + reach * np.array([np.cos(turn), np.sin(turn)])
    is_in = float(np.abs(spots).max()) < HALF_M - 4.0
    if not is_in or on_bridge(site.layout, east, north) or not site.all_free(spots, _ROOM_M):
        return False
    site.taken += [(float(e), float(n), _ROOM_M) for e, n in spots]
    return True


def _along_kerbs(site: Site, street: Street) -> list[Place]:
    """Park cars nose to tail; how densely changes from side to side and from block to block."""
    rng = site.rng
    places: list[Place] = []
    if street.is_dual or street.surface == "earth":
        return places
    for is_forward in (True, False):
        if street.width_m < 7.2 and not is_forward:
            continue
        along, share = -HALF_M, 0.0
        while along < HALF_M:
            if at_crossing(site.layout, street, along, 7.0):
                share = float(rng.choice([0.0, 0.25, 0.6, 0.92], p=[0.3, 0.2, 0.25, 0.25]))
            elif rng.random() < share:
                right = street.width_m / 2 - KERB_GAP_M + rng.normal(0, 0.08)
                east, north, turn = street_place(street, along, right, is_forward)
                place = (east, north, turn + rng.normal(0, 0.015))
                if _claim(site, place, 2.4):
                    places.append(place)
            along += float(rng.uniform(5.3, 6.0))
    return places


def _on_lanes(site: Site, street: Street) -> list[Place]:
    rng, places = site.rng, []
    half = street.width_m / 2
    lanes = [max(half - 2 * KERB_GAP_M, 1.4) / 2]
    if street.is_dual:  # two carriageways of two lanes
        lanes = [(MEDIAN_M / 2 + half / 2) / 2, half * 0.75]
    ways = [(lane, is_forward) for lane in lanes for is_forward in (True, False)]
    rare = 3.0 if street.surface == "earth" else 1.0
    for lane, is_forward in ways:
        along = -HALF_M + float(rng.uniform(0, 20))
        while along < HALF_M:
            place = street_place(street, along, lane + rng.normal(0, 0.12), is_forward)
            if not at_crossing(site.layout, street, along, 1.0) and _claim(site, place, 3.0):
                places.append(place)
            along += 9.0 + rare * float(rng.exponential(26.0))
    return places


def _in_bays(site: Site, lot: Lot, share: float) -> list[Place]:
    """Fill a car park: rows along its longer side, two rows to an aisle."""
    rng, foot, places = site.rng, lot.foot, []
    long, wide, is_turned = foot.length_m, foot.width_m, False
    if wide > long * 1.3:
        long, wide, is_turned = wide, long, True
    rows: list[tuple[float, float]] = []
    across = wide * 0.45 - 2.5
    while across > -wide * 0.45 + 2.4:
        rows.append((across, np.pi / 2 if len(rows) % 2 == 0 else -np.pi / 2))
        across -= 11.2 if len(rows) % 2 else 5.2
    for across, turn in rows:
        for along in np.arange(-long / 2 + 2.3, long / 2 - 2, 2.6):
            if rng.random() > share:
                continue
            local = np.array([[along + rng.normal(0, 0.08), across + rng.normal(0, 0.15)]])
            east, north = foot.place(local[:, ::-1] if is_turned else local)[0]
            facing = turn + (np.pi if rng.random() < 0.3 else 0.0) + rng.normal(0, 0.03)
            if is_turned:
                facing = np.pi / 2 - facing
            place = (float(east), float(north), float(facing + foot.turn_rad))
            if _claim(site, place, 2.2):
                places.append(place)
    return places


def _beside_building(site: Site, lot: Lot) -> list[Place]:
    """Stand a row of cars along one edge of a yard or before a hall, noses to the edge."""
    rng, foot, places = site.rng, lot.foot, []
    side, share = float(rng.choice([-1, 1])), float(rng.uniform(0.5, 1.0))
    first = float(rng.uniform(-0.45, 0.0)) * foot.length_m
    for along in np.arange(first, first + rng.uniform(12, 40), float(rng.uniform(2.5, 2.9))):
        if rng.random() > share or along > foot.length_m / 2 - 2:
            continue
        local = np.array([[along, side * (foot.width_m / 2 - 3.0) + rng.normal(0, 0.15)]])
        east, north = foot.place(local)[0]
        turn = side * np.pi / 2 + rng.normal(0, 0.05) + np.pi * (rng.random() < 0.3)
        place = (float(east), float(north), float(turn + foot.turn_rad))
        if _claim(site, place, 2.2):
            places.append(place)
    return places


def place_all(site: Site, thing: Template, places: list[Place], tints: FloatArray) -> None:
    """Put one thing at many places, a tint to each; tints have shape (len(places), 3)."""
    table = np.array(places).reshape(-1, 3)
    spots = np.column_stack(
        [table[:, :2], np.zeros(len(table)), table[:, 2], np.ones((len(table), 2))]
    )
    thing.place(site.mesh, spots, tints)


def _put_cars(site: Site, places: list[Place]) -> None:
    rng, count = site.rng, len(places)
    kinds = rng.choice(len(_KINDS), count, p=_SHARES)
    tints = _CAR_RGB[rng.integers(0, len(_CAR_RGB), count)] * rng.uniform(0.92, 1.05, (count, 1))
    tints[(kinds == 3) & (rng.random(count) < 0.6)] = 0.94  # most vans are white
    for number, kind in enumerate(_KINDS):
        chosen = np.flatnonzero(kinds == number)
        place_all(site, car(kind), [places[i] for i in chosen], tints[chosen])


def draw_lorry(rng: np.random.Generator) -> Template:
    """Draw a lorry: tippers first, with any load and skip, then all other kinds."""
    if rng.random() < 0.6:
        skips = ("same", "same", "same", "grey", "rust", "pale", "yellow")
        return tipper(LOADS[int(rng.integers(len(LOADS)))], skips[int(rng.integers(len(skips)))])
    return lorry(LORRIES[int(rng.integers(len(LORRIES)))])


def park_cars(site: Site) -> None:
    """Put cars along kerbs, in car parks and yards; cars, buses and lorries on the lanes."""
    rng = site.rng
    parked: list[Place] = []
    for lot in site.layout.lots:
        if lot.kind == "parking":
            parked += _in_bays(site, lot, float(rng.uniform(0.5, 0.97)))
        elif lot.kind in ("yard", "hall", "block") and rng.random() < 0.3:
            parked += _beside_building(site, lot)
    moving: list[Place] = []
    for street in site.layout.streets:
        moving += _on_lanes(site, street)
        parked += _along_kerbs(site, street)
    draw = rng.random(len(moving))
    _put_cars(site, parked + [p for p, d in zip(moving, draw, strict=True) if d < 0.88])
    buses = [p for p, d in zip(moving, draw, strict=True) if d > 0.95]
    place_all(site, bus(), buses, _BUS_RGB[rng.integers(0, len(_BUS_RGB), len(buses))])
    for place, share in zip(moving, draw, strict=True):
        if 0.88 <= share <= 0.95:
            tint = CAB_RGB[[int(rng.integers(len(CAB_RGB)))]]
            place_all(site, draw_lorry(rng), [place], tint)
