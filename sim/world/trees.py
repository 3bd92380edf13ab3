"""Trees, bushes and woods: several kinds in several seasons, in rows, singly and in stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.world.buildings import Site
from sim.world.crowns import (
    bare_tree,
    bush_tree,
    conifer_tree,
    poplar_tree,
    round_tree,
    spreading_tree,
    stand_conifer_tree,
    stand_round_tree,
)
from sim.world.layout import BANK_M, HALF_M, Layout, Lot
from sim.world.mesh import Template

FloatArray = NDArray[np.float64]
_WOOD_LEAST_M = 14.0  # a lot with a shorter side is no wood


@dataclass(frozen=True)
class _Species:
    """A kind of tree.

    Attributes:
        build: Makes a template of about unit crown radius and unit height.
        slender: Range of height over crown radius.
        rgb: Its leaves in summer; None: the district's own green.
        sheds: Whether the seasons change it.
    """

    build: Callable[[np.random.Generator], Template]
    slender: tuple[float, float]
    rgb: tuple[float, float, float] | None = None
    sheds: bool = True


_DARK_GREEN = (0.42, 0.56, 0.38)
SPECIES = {
    "round": _Species(round_tree, (1.7, 2.6)),
    "spreading": _Species(spreading_tree, (1.3, 1.9), (0.5, 0.68, 0.38)),
    "poplar": _Species(poplar_tree, (4.5, 6.5), (0.52, 0.64, 0.38)),
    "conifer": _Species(conifer_tree, (2.8, 4.2), _DARK_GREEN, sheds=False),
    "bush": _Species(bush_tree, (0.9, 1.5)),
    "bare": _Species(bare_tree, (1.9, 2.8), (0.8, 0.72, 0.66), sheds=False),
    "stand_round": _Species(stand_round_tree, (1.7, 2.9), (0.52, 0.68, 0.38)),
    "stand_conifer": _Species(stand_conifer_tree, (2.8, 4.4), _DARK_GREEN, sheds=False),
}
_NAMES = tuple(SPECIES)
_LOOKS = 4  # trees of each species
_CROWN_M = {"poplar": (0.8, 1.3), "conifer": (1.2, 2.4), "bush": (0.6, 1.5)}
_AUTUMN_RGB = ((0.8, 0.62, 0.28), (0.78, 0.46, 0.24), (0.6, 0.42, 0.28), (0.5, 0.6, 0.34))
_WINTER_RGB = ((0.56, 0.46, 0.38), (0.62, 0.54, 0.46), (0.46, 0.48, 0.34))


def wood_lots(rng: np.random.Generator, layout: Layout, blocks: int) -> Layout:
    """Let some parks and fields, and up to `blocks` of the largest open lots, be woods."""
    sides = [min(lot.foot.length_m, lot.foot.width_m) for lot in layout.lots]
    open_lots = [i for i, lot in enumerate(layout.lots) if lot.kind == "yard" and sides[i] > 24]
    chosen = set(rng.permutation(np.array(open_lots, np.int64))[:blocks].tolist())
    for i, lot in enumerate(layout.lots):
        if lot.kind in ("park", "field") and sides[i] > _WOOD_LEAST_M and rng.random() < 0.22:
            chosen.add(i)
    lots = [Lot("wood", lot.foot) if i in chosen else lot for i, lot in enumerate(layout.lots)]
    return Layout(layout.river, layout.streets, tuple(lots))


@dataclass(frozen=True)
class _Wishes:
    """Where trees would like to stand.

    Attributes:
        spots: Shape (N, 3): east, north, crown radius.
        species: Shape (N,), numbers into SPECIES.
        closed: They stand crown in crown, so only other things are in their way.
    """

    spots: FloatArray
    species: NDArray[np.int64]
    closed: bool = False


def _mix(rng: np.random.Generator) -> FloatArray:
    """Draw how common each species is in this district, shape (len(SPECIES),)."""
    usual = {"round": 3.0, "spreading": 3.0, "poplar": 0.9, "conifer": 1.6, "bush": 2.4}
    share = np.array([usual.get(name, 0.0) for name in _NAMES]) * rng.uniform(0.2, 1.8, len(_NAMES))
    return np.asarray(share / share.sum())


def _crown_m(
    rng: np.random.Generator, species: NDArray[np.int64], usual_m: tuple[float, float]
) -> FloatArray:
    ranges = np.array([_CROWN_M.get(name, usual_m) for name in _NAMES])[species]
    return np.asarray(ranges[:, 0] + (ranges[:, 1] - ranges[:, 0]) * rng.random(len(species)))


def _loose(rng: np.random.Generator, site: Site, mix: FloatArray) -> _Wishes:
    count = int(site.family.trees_per_ha * (2 * HALF_M / 100) ** 2 * 1.3)
    species = rng.choice(len(_NAMES), count, p=mix)
    spots = rng.uniform(-HALF_M, HALF_M, (count, 2))
    return _Wishes(np.column_stack([spots, _crown_m(rng, species, (1.3, 3.4))]), species)


def _avenues(rng: np.random.Generator, site: Site, mix: FloatArray) -> list[_Wishes]:
    """Line streets with trees of one kind, or with a hedge."""
    out = []
    for street in site.layout.streets:
        for side in (-1, 1):
            if rng.random() < 0.35:
                continue
            kind = int(rng.choice(len(_NAMES), p=mix))
            is_hedge = _NAMES[kind] == "bush"
            along = np.arange(
                -HALF_M, HALF_M, rng.uniform(1.5, 2.6) if is_hedge else rng.uniform(6, 12)
            )
            along = along + rng.normal(0, 0.3, len(along))
            across = np.full(len(along), street.at_m + side * (street.width_m / 2 + 1.4))
            pair = [along, across] if street.along_east else [across, along]
            species = np.full(len(along), kind)
            crown = np.full(len(along), 0.9) if is_hedge else _crown_m(rng, species, (1.6, 3.0))
            out.append(_Wishes(np.column_stack([*pair, crown]), species, is_hedge))
    return out


def _banks(rng: np.random.Generator, site: Site) -> _Wishes:
    """Grow scrub in clumps along the river, little of it where the banks are walled."""
    river, clumps = site.layout.river, 16 if site.layout.river.is_canal else 48
    north = np.repeat(rng.uniform(-HALF_M, HALF_M, clumps), 5) + rng.normal(0, 2.2, 5 * clumps)
    side = np.repeat(rng.choice([-1, 1], clumps), 5)
    out = (river.width_m / 2 + rng.uniform(2.6, BANK_M, len(north))) * side
    names = rng.choice(["bush", "stand_round"], len(north), p=(0.75, 0.25))
    species = np.array([_NAMES.index(name) for name in names])
    crown = _crown_m(rng, species, (1.0, 2.4))
    return _Wishes(np.column_stack([river.centre_m(north) + out, north, crown]), species, True)


def _stand(rng: np.random.Generator, lot: Lot) -> _Wishes:
    """Fill a lot with trees crown in crown, of one kind or two, with bushes along its edge."""
    step = float(rng.uniform(3.6, 5.4))
    half = np.array([lot.foot.length_m, lot.foot.width_m]) / 2 - 1.2
    x, y = np.meshgrid(
        np.arange(-half[0], half[0], step), np.arange(-half[1], half[1], step * 0.87)
    )
    x = x + step / 2 * (np.arange(len(x)) % 2)[:, None]
    local = np.column_stack([x.ravel(), y.ravel()]) + rng.normal(0, 0.22 * step, (x.size, 2))
    local = local[np.all(np.abs(local) < half, axis=1) & (rng.random(len(local)) > 0.05)]
    of_conifers = float(rng.choice([0.0, 0.15, 1.0], p=(0.45, 0.3, 0.25)))
    names = np.where(rng.random(len(local)) < of_conifers, "stand_conifer", "stand_round")
    names[np.any(np.abs(local) > half - 1.6, axis=1) & (rng.random(len(local)) < 0.5)] = "bush"
    species = np.array([_NAMES.index(name) for name in names], np.int64)
    crown = step * rng.uniform(0.5, 0.8, len(local))
    return _Wishes(np.column_stack([lot.foot.place(local), crown]), species, True)


def _groves(rng: np.random.Generator, site: Site, mix: FloatArray) -> list[_Wishes]:
    """Plant what single lots hold: woods, parks, hedgerows along fields."""
    out = []
    for lot in site.layout.lots:
        foot = lot.foot
        if lot.kind == "wood":
            out.append(_stand(rng, lot))
        elif lot.kind == "park":
            species = rng.choice(len(_NAMES), int(foot.length_m * foot.width_m / 30), p=mix)
            local = rng.uniform(-0.47, 0.47, (len(species), 2)) * [foot.length_m, foot.width_m]
            crown = _crown_m(rng, species, (1.5, 3.8))
            out.append(_Wishes(np.column_stack([foot.place(local), crown]), species))
        elif lot.kind in ("field", "orchard") and rng.random() < 0.5:
            along = np.arange(-foot.length_m / 2, foot.length_m / 2, 1.7)
            local = np.column_stack([along, np.full(len(along), foot.width_m / 2 - 0.8)])
            species = np.full(len(along), _NAMES.index("bush"))
            crown = rng.uniform(0.9, 1.6, len(along))
            out.append(_Wishes(np.column_stack([foot.place(local), crown]), species, True))
    return out


def _on_road(layout: Layout, east_m: float, north_m: float, margin_m: float) -> bool:
    for street in layout.streets:
        across = north_m if street.along_east else east_m
        if abs(across - street.at_m) < street.width_m / 2 + margin_m:
            return True
    return float(layout.river.distance_m(np.array(east_m), np.array(north_m))) < 2.2


def _rooted(site: Site, wishes: _Wishes) -> NDArray[np.bool_]:
    """Say which wishes come true, and take their ground."""
    true = np.zeros(len(wishes.spots), bool)
    roots = []
    for i, (east, north, radius) in enumerate(wishes.spots.tolist()):
        if not site.is_free(east, north, radius * (0.55 if wishes.closed else 0.85)):
            continue
        if _on_road(site.layout, east, north, 0.6 if wishes.closed else 0.9):
            continue
        true[i] = True
        if wishes.closed:
            roots.append((east, north, radius * 0.6))
        else:
            site.taken.append((east, north, radius * 0.6))
    site.taken += roots
    return true


def _tints(
    rng: np.random.Generator, site: Site, species: NDArray[np.int64]
) -> tuple[NDArray[np.int64], FloatArray]:
    """Colour each tree by its kind and season; in winter some lose their leaves.

    Returns:
        The species, shape (N,), and the tints, shape (N, 3).
    """
    count, season = len(species), site.family.season
    grass = np.array(site.family.grass_rgb) / 255
    own = np.array([0.62, 0.78, 0.46]) * 0.6 + grass * 0.5
    table = np.array([own if s.rgb is None else s.rgb for s in SPECIES.values()])
    table = 0.7 * table + 0.3 * own * (table.mean(axis=1, keepdims=True) / own.mean())
    tints = table[species]
    sheds = np.array([s.sheds for s in SPECIES.values()])[species]
    palette = {"autumn": _AUTUMN_RGB, "winter": _WINTER_RGB}.get(season)
    if palette is not None:
        turned = np.array(palette)[rng.integers(0, len(palette), count)]
        share = rng.uniform(0.3, 1.0, count) * sheds
        tints = tints + (turned - tints) * share[:, None]
    elif season == "fresh":
        tints = tints * np.where(sheds[:, None], [1.12, 1.1, 0.9], 1.0)
    is_bare = sheds & (rng.random(count) < {"winter": 0.4, "autumn": 0.06}.get(season, 0.004))
    is_bare &= species != _NAMES.index("bush")
    bare = _NAMES.index("bare")
    tints[is_bare] = table[bare]
    hue = rng.normal(0, 0.07, (count, 1)) * np.array([1.0, 0.1, -0.6])  # yellower or bluer
    tints = tints * (1 + hue) * rng.uniform(0.68, 1.24, (count, 1))
    return np.where(is_bare, bare, species), tints * rng.uniform(0.94, 1.06, (count, 3))


def plant(site: Site) -> None:
    """Plant trees, bushes and woods where nothing else stands."""
    rng = site.rng
    mix = _mix(rng)
    groups = [*_avenues(rng, site, mix), *_groves(rng, site, mix)]
    groups += [_banks(rng, site), _loose(rng, site, mix)]
    kept = [(g.spots[true], g.species[true]) for g in groups if (true := _rooted(site, g)).any()]
    if not kept:
        return
    spots = np.concatenate([spot for spot, _ in kept])
    species, tints = _tints(rng, site, np.concatenate([kind for _, kind in kept]))
    slender = np.array([s.slender for s in SPECIES.values()])[species]
    tall = spots[:, 2] * (slender[:, 0] + np.ptp(slender, axis=1) * rng.random(len(spots)))
    turn = rng.uniform(0, 6.28, len(spots))
    rows = np.column_stack([spots[:, :2], np.zeros(len(spots)), turn, spots[:, 2], tall])
    variant = rng.integers(0, _LOOKS, len(spots))
    for number, name in enumerate(_NAMES):
        for look in range(_LOOKS):
            chosen = (species == number) & (variant == look)
            SPECIES[name].build(rng).place(site.mesh, rows[chosen], tints[chosen])
