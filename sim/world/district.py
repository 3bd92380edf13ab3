"""A district from a seed: its plan, triangles and ground picture, and the truth about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.world.boats import whiten_water
from sim.world.buildings import Building, Site, build_town
from sim.world.country import NO_COUNTRY, Country
from sim.world.distractors import DISTRACTORS
from sim.world.families import FAMILIES, in_season
from sim.world.finds import Find, Finds, Smoke
from sim.world.floor import lay_ground
from sim.world.furnish import furnish
from sim.world.ground import Material, settle
from sim.world.horizon import lay_country
from sim.world.layout import Layout, plan
from sim.world.light import Daylight, draw_daylight
from sim.world.paint import paint
from sim.world.signs import hang_signs
from sim.world.sites import clear_blocks
from sim.world.street import furnish_streets, people, riders
from sim.world.terrain import FLAT, Terrain, drape, draw_terrain, lift_find, lift_smoke
from sim.world.textures import paint_atlas
from sim.world.traffic import park_cars
from sim.world.trees import plant, wood_lots
from sim.world.violations import VIOLATIONS

DEFAULT_COUNTS = {
    "structure": 12,
    "discharge": 8,
    "floating_waste": 8,
    "smoke": 6,
    "waste_pile": 12,
    "bare_soil": 7,
    "open_pit": 8,
    "lorry": 6,
    "plant": 3,
    "billboard": 3,
    "container": 5,
    "tarpaulin": 6,
    "netted_soil": 5,
    "pool": 4,
    "solar_panels": 4,
    "algae": 3,
    "permitted_structure": 4,
    "guarded_pit": 4,
    "bare_lot": 4,
    "ploughed_field": 3,
    "sand_play": 3,
    "sports_court": 3,
    "awning": 5,
    "sun_glint": 2,
    "chimney_steam": 3,
    "mist": 2,
    "boat": 2,
}
_ROOMY = {"bare_soil", "netted_soil", "bare_lot", "ploughed_field", "sports_court"}  # go first
_CLEARED_BLOCKS = 14  # whole blocks without houses, for sites, fields and courts
_WOODED_BLOCKS = 3  # of these


@dataclass(frozen=True)
class District:
    """A finished district.

    Axes are east, north, up in metres from its centre; the streets lie at height zero.

    Attributes:
        triangles: Shape (3 * triangles, VERTEX_FLOATS): position 3, normal 3, uv 2, layer, tint 3.
        ground_rgba: Shape (px, px, 4), row 0 in the north; alpha 0 is water.
        atlas_rgb: Shape (layers, px, px, 3).
    """

    seed: int
    family: str
    layout: Layout
    daylight: Daylight
    triangles: NDArray[np.float32]
    ground_rgba: NDArray[np.uint8]
    atlas_rgb: NDArray[np.uint8]
    finds: tuple[Find, ...]
    smokes: tuple[Smoke, ...]
    buildings: tuple[Building, ...] = ()
    terrain: Terrain = FLAT
    country: Country = NO_COUNTRY

    @classmethod
    def from_seed(
        cls,
        seed: int,
        family: str,
        counts: Mapping[str, int] | None = None,
        relief_m: float = 0.0,
    ) -> District:
        """Draw a district; the same arguments always give the same one.

        Args:
            seed: Any non-negative whole number.
            family: A name in FAMILIES.
            counts: How many of each find to try to place; DEFAULT_COUNTS if None.
            relief_m: From the lowest to the highest ground; 0 for a flat district.

        Raises:
            ValueError: The family, a violation or a distractor is not known; or too much relief.
        """
        if family not in FAMILIES:
            raise ValueError(f"family must be one of {', '.join(FAMILIES)}, got {family!r}")
        wanted = dict(DEFAULT_COUNTS if counts is None else counts)
        unknown = set(wanted) - set(VIOLATIONS) - set(DISTRACTORS)
        if unknown:
            known = ", ".join([*VIOLATIONS, *DISTRACTORS])
            raise ValueError(f"counts names {sorted(unknown)[0]!r}; known are {known}")
        rng = np.random.default_rng([seed, sorted(FAMILIES).index(family)])
        cleared = clear_blocks(rng, plan(rng, FAMILIES[family]), _CLEARED_BLOCKS)
        layout = wood_lots(rng, cleared, _WOODED_BLOCKS)
        terrain = draw_terrain(seed, layout, relief_m)
        home = in_season(rng, FAMILIES[family])
        ground = paint(rng, home, layout)
        site = Site(rng, home, layout)
        build_town(site)
        furnish(site)
        hang_signs(site)
        finds = Finds(site, ground, [], [])
        _place(finds, wanted)
        whiten_water(finds)
        _bustle(finds)
        settle(ground, site.mesh.rows())
        lay_ground(site.mesh, layout, finds.holes)
        country = lay_country(site.mesh, rng, home, layout)
        water = (ground.material != Material.WATER).astype(np.uint8) * 255
        return cls(
            seed,
            family,
            layout,
            draw_daylight(rng),
            drape(terrain, site.mesh.rows()),
            np.dstack([ground.rgb, water]),
            paint_atlas(rng, home.look),
            tuple(lift_find(terrain, find) for find in finds.found),
            tuple(lift_smoke(terrain, smoke) for smoke in finds.smokes),
            tuple(site.buildings),
            terrain,
            country,
        )


def _place(finds: Finds, wanted: Mapping[str, int]) -> None:
    """Name the furniture that the truth must name, and place what was asked for."""
    finds.name_furniture()
    makers = VIOLATIONS | DISTRACTORS
    for group in (_ROOMY, set(makers) - _ROOMY):
        for name in _interleaved({n: c for n, c in wanted.items() if n in group}):
            makers[name](finds)


def _bustle(finds: Finds) -> None:
    """Fill what is still free: lamps and signs, vehicles, people, and then trees."""
    site = finds.site
    furnish_streets(site)
    park_cars(site)
    riders(site)
    people(site, finds.found)
    plant(site)


def _interleaved(wanted: Mapping[str, int]) -> list[str]:
    """Take turns between the kinds, so that when room runs out no kind is left without any."""
    rounds = max(wanted.values(), default=0)
    return [name for i in range(rounds) for name, count in wanted.items() if i < count]
