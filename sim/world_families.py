"""Families of districts: which kind of town a seed draws.  Training and demo never share one."""

from __future__ import annotations

from dataclasses import dataclass

Rgb = tuple[int, int, int]


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
    )
}
