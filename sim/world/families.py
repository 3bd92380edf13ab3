"""Families of districts: which kind of town a seed draws, and the season it is drawn in.

Training and exam never share a family.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

Rgb = tuple[int, int, int]

_YARDS: dict[str, float] = {
    "concrete": 4.0,
    "asphalt": 1.6,
    "brick": 1.2,
    "gravel": 1.6,
    "grass": 1.4,
}
_ROADS: dict[str, float] = {"asphalt": 5.0, "concrete": 1.2}
_COUNTRY_ROADS: dict[str, float] = {"asphalt": 2.0, "concrete": 2.0, "earth": 1.6}


@dataclass(frozen=True)
class Family:
    """What the districts of one family have in common."""

    name: str
    block_m: tuple[float, float]  # range of street spacing
    lot_m: float  # lots are split until about this long
    street_m: tuple[float, float]
    shares: dict[
        str, float
    ]  # kind of lot -> weight: house, block, hall, yard, park, field, parking
    floors: tuple[int, int]  # lowest and highest
    roof_rgb: tuple[Rgb, ...]
    wall_rgb: tuple[Rgb, ...]
    grass_rgb: Rgb
    soil_rgb: Rgb
    paving_rgb: Rgb
    asphalt_rgb: Rgb
    water_rgb: Rgb
    trees_per_ha: float
    yards: dict[str, float] = field(default_factory=lambda: dict(_YARDS))  # surface -> weight
    river_m: tuple[float, float] = (14.0, 30.0)  # range of its width
    canal: float = 0.3  # how often the river is a straight canal with walled banks
    ponds: float = 0.04  # share of the lots that hold a pond
    look: str = "common"  # which patterns its roofs and walls wear
    season: str = "summer"
    dual: float = 0.34  # how often one of its streets is a dual carriageway
    roads: dict[str, float] = field(default_factory=lambda: dict(_ROADS))  # surface -> weight


_GREYS: tuple[Rgb, ...] = ((168, 165, 160), (190, 186, 178), (140, 138, 136))
_REDS: tuple[Rgb, ...] = ((172, 82, 58), (150, 70, 52), (186, 104, 76), (122, 66, 54))
_SLATES: tuple[Rgb, ...] = ((92, 98, 108), (112, 112, 116), (78, 82, 92))
_PLASTERS: tuple[Rgb, ...] = ((222, 214, 198), (206, 196, 178), (232, 228, 220), (190, 170, 150))

FAMILIES = {
    family.name: family
    for family in (
        Family(
            "dense_town",
            (44, 62),
            17,
            (7.0, 10.0),
            {"house": 5, "block": 2.4, "yard": 1.4, "park": 0.7, "parking": 0.6},
            (2, 5),
            _REDS + _GREYS,
            _PLASTERS,
            (88, 104, 58),
            (142, 118, 88),
            (176, 170, 160),
            (92, 93, 95),
            (74, 92, 84),
            26,
        ),
        Family(
            "industrial",
            (62, 88),
            32,
            (8.0, 12.0),
            {"hall": 3.4, "yard": 3.2, "block": 0.8, "parking": 1.3, "park": 0.6},
            (1, 3),
            _GREYS + _SLATES,
            ((200, 200, 198), (178, 184, 186), (214, 208, 196)),
            (98, 106, 66),
            (158, 132, 104),
            (186, 184, 178),
            (104, 104, 104),
            (82, 90, 80),
            15,
        ),
        Family(
            "village",
            (56, 84),
            22,
            (5.0, 7.0),
            {"house": 3.6, "yard": 1.6, "field": 2.6, "park": 1.1},
            (1, 3),
            _SLATES + _REDS,
            ((230, 226, 218), (214, 204, 186), (198, 186, 170)),
            (76, 108, 50),
            (134, 106, 74),
            (168, 160, 146),
            (118, 116, 112),
            (84, 104, 86),
            46,
            dual=0.0,
            roads=_COUNTRY_ROADS,
        ),
        Family(
            "suburb",
            (52, 74),
            24,
            (7.0, 9.0),
            {"house": 3.2, "block": 1.4, "hall": 0.6, "yard": 1.6, "park": 1.6, "parking": 0.8},
            (2, 4),
            _REDS + _SLATES + _GREYS,
            _PLASTERS,
            (96, 118, 62),
            (150, 116, 82),
            (184, 178, 168),
            (84, 86, 90),
            (66, 92, 94),
            38,
        ),
        Family(
            "riverside",
            (50, 70),
            20,
            (7.0, 9.0),
            {"house": 3.4, "block": 1.4, "hall": 0.7, "yard": 2.0, "park": 1.0, "parking": 0.7},
            (2, 4),
            ((160, 92, 70), (104, 106, 112), (182, 178, 170), (138, 78, 60)),
            ((226, 220, 206), (204, 190, 172), (216, 212, 208)),
            (86, 112, 60),
            (146, 122, 94),
            (180, 175, 166),
            (96, 97, 100),
            (78, 98, 88),
            34,
        ),
        Family(
            "harbour",
            (70, 104),
            38,
            (9.0, 13.0),
            {"hall": 3.0, "yard": 2.6, "containers": 2.0, "block": 1.0, "row": 0.8, "parking": 1.0},
            (2, 5),
            ((118, 62, 50), (96, 98, 100), (152, 150, 146), (84, 74, 70)),
            ((146, 78, 60), (168, 104, 80), (188, 176, 158), (120, 68, 56)),
            (104, 112, 76),
            (136, 124, 106),
            (150, 146, 140),
            (78, 78, 80),
            (46, 72, 78),
            9,
            {"concrete": 4.0, "asphalt": 2.4, "setts": 2.6, "gravel": 1.4},
            (38.0, 58.0),
            1.0,
            0.0,
            "brick",
        ),
        Family(
            "terraces",
            (46, 66),
            19,
            (5.0, 7.5),
            {"row": 4.0, "orchard": 2.2, "field": 1.6, "yard": 1.6, "park": 0.7, "house": 0.6},
            (1, 3),
            ((196, 122, 84), (178, 96, 66), (204, 146, 104), (150, 128, 112)),
            ((236, 226, 204), (226, 198, 160), (214, 182, 150), (240, 236, 228)),
            (112, 118, 62),
            (168, 124, 84),
            (196, 182, 158),
            (116, 112, 106),
            (92, 104, 80),
            22,
            {"concrete": 1.6, "brick": 2.4, "setts": 1.6, "gravel": 1.2, "grass": 1.0},
            (13.0, 19.0),
            0.8,
            0.1,
            "pantile",
            roads=_COUNTRY_ROADS,
        ),
    )
}

# Season -> weight, the colour that growth turns to, how far it turns.
_SEASONS: dict[str, tuple[float, Rgb, tuple[float, float]]] = {
    "summer": (0.34, (86, 112, 52), (0.0, 0.3)),
    "fresh": (0.2, (104, 142, 56), (0.2, 0.6)),
    "drought": (0.2, (174, 156, 104), (0.25, 0.75)),
    "autumn": (0.14, (146, 120, 66), (0.2, 0.55)),
    "winter": (0.12, (134, 124, 98), (0.4, 0.8)),
}
_SOILS: tuple[Rgb, ...] = ((170, 106, 80), (140, 128, 112), (98, 80, 64), (182, 154, 112))
_WATERS: tuple[Rgb, ...] = (
    (48, 92, 70),
    (122, 108, 80),
    (40, 58, 70),
    (90, 112, 114),
    (150, 128, 98),  # in flood, full of silt
    (176, 160, 132),
    (112, 142, 124),  # milky green, of glaciers and quarries
    (30, 44, 46),  # dark harbour water
)
_PALE_ROADS: tuple[Rgb, ...] = ((178, 174, 166), (192, 186, 174), (170, 158, 138))
_PALE_SHARE = 0.34  # of the districts: concrete roads, or gravel tracks


def _towards(rgb: Rgb, other: Rgb, share: float) -> Rgb:
    mixed = [round(a + (b - a) * share) for a, b in zip(rgb, other, strict=True)]
    return mixed[0], mixed[1], mixed[2]


def _scaled(rgb: Rgb, gain: float) -> Rgb:
    lifted = [min(235, round(c * gain)) for c in rgb]
    return lifted[0], lifted[1], lifted[2]


def in_season(rng: np.random.Generator, family: Family) -> Family:
    """Draw a season, a soil, a water and a wear of the roads, and return the family in them."""
    weights = np.array([season[0] for season in _SEASONS.values()])
    name = str(rng.choice(list(_SEASONS), p=weights / weights.sum()))
    _, turned, reach = _SEASONS[name]
    soil = _SOILS[int(rng.integers(len(_SOILS)))]
    water = _WATERS[int(rng.integers(len(_WATERS)))]
    asphalt = _scaled(family.asphalt_rgb, float(rng.uniform(0.72, 1.45)))
    if rng.random() < _PALE_SHARE:
        pale = _PALE_ROADS[int(rng.integers(len(_PALE_ROADS)))]
        asphalt = _scaled(pale, float(rng.uniform(0.85, 1.08)))
    return replace(
        family,
        season=name,
        grass_rgb=_towards(family.grass_rgb, turned, float(rng.uniform(*reach))),
        soil_rgb=_towards(family.soil_rgb, soil, float(rng.uniform(0, 0.8))),
        water_rgb=_towards(family.water_rgb, water, float(rng.uniform(0, 0.95))),
        asphalt_rgb=asphalt,
        paving_rgb=_scaled(family.paving_rgb, float(rng.uniform(0.82, 1.1))),
        trees_per_ha=family.trees_per_ha * float(rng.uniform(0.6, 1.5)),
    )
