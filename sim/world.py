"""A district from a seed: its plan, triangles and ground picture, and the truth about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.textures import Layer, paint_atlas
from sim.world_buildings import Site, build_town, park_cars, plant
from sim.world_distractors import DISTRACTORS
from sim.world_families import FAMILIES
from sim.world_finds import Find, Finds, Smoke
from sim.world_ground import Material, height_m, paint
from sim.world_layout import HALF_M, Layout, plan
from sim.world_light import Daylight, draw_daylight
from sim.world_mesh import MeshBuilder
from sim.world_violations import VIOLATIONS

DEFAULT_COUNTS = {
    "structure": 14,
    "discharge": 5,
    "floating_waste": 5,
    "smoke": 7,
    "waste_pile": 14,
    "lorry": 9,
    "container": 6,
    "tarpaulin": 7,
    "netted_soil": 5,
    "pool": 5,
    "solar_panels": 6,
    "algae": 3,
}
_CHUNK_M = 24.0


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

    @classmethod
    def from_seed(cls, seed: int, family: str, counts: Mapping[str, int] | None = None) -> District:
        """Draw a district; the same arguments always give the same one.

        Args:
            seed: Any non-negative whole number.
            family: A name in FAMILIES.
            counts: How many of each find to try to place; DEFAULT_COUNTS if None.

        Raises:
            ValueError: The family, a violation or a distractor is not known.
        """
        if family not in FAMILIES:
            raise ValueError(f"family must be one of {', '.join(FAMILIES)}, got {family!r}")
        wanted = dict(DEFAULT_COUNTS if counts is None else counts)
        unknown = set(wanted) - set(VIOLATIONS) - set(DISTRACTORS)
        if unknown:
            known = ", ".join([*VIOLATIONS, *DISTRACTORS])
            raise ValueError(f"counts names {sorted(unknown)[0]!r}; known are {known}")
        rng = np.random.default_rng([seed, sorted(FAMILIES).index(family)])
        layout = plan(rng, FAMILIES[family])
        ground = paint(rng, FAMILIES[family], layout)
        site = Site(rng, FAMILIES[family], layout)
        build_town(site)
        finds = Finds(site, ground, [], [])
        makers = VIOLATIONS | DISTRACTORS
        for name in _interleaved(wanted):
            makers[name](finds)
        park_cars(site)
        plant(site)
        _ground_mesh(site.mesh, layout)
        _apron(site.mesh, FAMILIES[family].grass_rgb)
        water = (ground.material != Material.WATER).astype(np.uint8) * 255
        return cls(
            seed,
            family,
            layout,
            draw_daylight(rng),
            site.mesh.rows(),
            np.dstack([ground.rgb, water]),
            paint_atlas(rng),
            tuple(finds.found),
            tuple(finds.smokes),
        )


def _interleaved(wanted: Mapping[str, int]) -> list[str]:
    """Take turns between the kinds, so that when room runs out no kind is left without any."""
    rounds = max(wanted.values(), default=0)
    return [name for i in range(rounds) for name, count in wanted.items() if i < count]


def _apron(mesh: MeshBuilder, grass_rgb: tuple[int, int, int]) -> None:
    """Lay plain meadow around the district, so that its edge is no cliff."""
    rgb = (grass_rgb[0] / 230, grass_rgb[1] / 230, grass_rgb[2] / 230)
    far, near = HALF_M + 400.0, HALF_M
    for west, south, east, north in (
        (-far, near, far, far),
        (-far, -far, far, -near),
        (-far, -near, -near, near),
        (near, -near, far, near),
    ):
        corners = np.array(
            [[west, south, 0.0], [east, south, 0.0], [east, north, 0.0], [west, north, 0.0]]
        )
        mesh.metric_quad(corners, 11.0, Layer.LEAVES, (rgb[0] * 1.3, rgb[1] * 1.3, rgb[2] * 1.3))


def _ground_mesh(mesh: MeshBuilder, layout: Layout) -> None:
    """Lay the ground: one quad a chunk, and fine quads where the river cuts in."""
    for west in np.arange(-HALF_M, HALF_M, _CHUNK_M):
        for south in np.arange(-HALF_M, HALF_M, _CHUNK_M):
            corner_e, corner_n = np.meshgrid(
                [west, west + _CHUNK_M], np.linspace(south, south + _CHUNK_M, 9)
            )
            middle = layout.river.centre_m(corner_n)
            near = np.abs(corner_e - middle).min() < layout.river.width_m / 2 + _CHUNK_M
            cells = 20 if near else 1
            east = np.linspace(west, west + _CHUNK_M, cells + 1)
            north = np.linspace(south, south + _CHUNK_M, cells + 1)
            e, n = np.meshgrid(east, north)
            grid = np.stack([e, n, height_m(layout, e, n)], axis=2)
            quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=2)
            quads = quads.reshape(-1, 4, 3)
            uv = np.stack([quads[..., 0] + HALF_M, HALF_M - quads[..., 1]], axis=2) / (2 * HALF_M)
            mesh.quads(quads, uv, Layer.GROUND, (1.0, 1.0, 1.0))
