"""Terrain that is not flat: a grid of heights that everything in a district is draped over.

Buildings and finds are moved up with the ground under each of their corners.  Slopes stay under
about five per cent, so that a wall leans by less than a picture from the air can show.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sim.world.finds import Find, Smoke
from sim.world.layout import BANK_M, HALF_M, Layout
from sim.world.textures import Layer, fractal

FloatArray = NDArray[np.float64]
CELL_M = 6.0  # divides the ground's chunks, so that their edges meet without cracks
N_NODES = int(2 * HALF_M / CELL_M) + 1
MOST_RELIEF_M = 12.0  # from valley to top; more would make walls lean visibly
_SKIRT_M = 0.6  # walls reach so far into the ground, since the ground bends between their corners
_DRIFTING = ("smoke", "chimney_steam")  # their column rises from one spot


@dataclass(frozen=True)
class Terrain:
    """Heights over the streets' zero level.

    Attributes:
        nodes_m: Shape (N_NODES, N_NODES); first row in the south, first column in the west.
    """

    nodes_m: FloatArray

    def up_m(
        self, east_m: NDArray[np.floating], north_m: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """Return the height at points, any equal shapes; beyond the district that of its edge."""
        col = np.clip((np.asarray(east_m, np.float64) + HALF_M) / CELL_M, 0, N_NODES - 1)
        row = np.clip((np.asarray(north_m, np.float64) + HALF_M) / CELL_M, 0, N_NODES - 1)
        west = np.minimum(col.astype(int), N_NODES - 2)
        south = np.minimum(row.astype(int), N_NODES - 2)
        x, y = col - west, row - south
        low = self.nodes_m[south, west] * (1 - x) + self.nodes_m[south, west + 1] * x
        high = self.nodes_m[south + 1, west] * (1 - x) + self.nodes_m[south + 1, west + 1] * x
        return np.asarray(low * (1 - y) + high * y)

    @property
    def is_flat(self) -> bool:
        """Say whether every height is zero."""
        return not self.nodes_m.any()


FLAT = Terrain(np.zeros((N_NODES, N_NODES)))


def draw_terrain(seed: int, layout: Layout, relief_m: float) -> Terrain:
    """Draw slopes and mounds; the river's banks and the district's edge stay at zero.

    Args:
        seed: Of the district.
        layout: Its plan.
        relief_m: From the lowest to the highest point, 0 for flat ground.

    Raises:
        ValueError: `relief_m` is not in [0, MOST_RELIEF_M].
    """
    if not 0.0 <= relief_m <= MOST_RELIEF_M:
        raise ValueError(f"relief_m must be in [0, {MOST_RELIEF_M:g}], got {relief_m}")
    if relief_m == 0.0:
        return FLAT
    rng = np.random.default_rng([seed, 4])
    wide = fractal(rng, 256, 2, 2, 0.35).astype(np.float64)
    step = np.linspace(0, 255, N_NODES).astype(int)
    shape = wide[np.ix_(step, step)]
    for _ in range(3):  # a mean over neighbours takes the last corners off
        padded = np.pad(shape, 1, mode="edge")
        shape = (
            padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        ) / 8 + shape / 2
    at = np.linspace(-HALF_M, HALF_M, N_NODES)
    east, north = np.meshgrid(at, at)
    beside = (layout.river.distance_m(east, north) - BANK_M) / 70.0
    edge = (HALF_M - np.maximum(np.abs(east), np.abs(north))) / 60.0
    keep = np.clip(np.minimum(beside, edge), 0, 1)
    shape *= keep * keep * (3 - 2 * keep)
    return Terrain(shape * relief_m / max(float(np.ptp(shape)), 1e-9))


def drape(terrain: Terrain, triangles: NDArray[np.float32]) -> NDArray[np.float32]:
    """Lay rows of triangles over the terrain; ground that is too coarse to bend is split."""
    if terrain.is_flat:
        return triangles
    rows = triangles.reshape(-1, 3, triangles.shape[1])
    is_ground = rows[:, 0, 8] == Layer.GROUND
    rows = np.concatenate([rows[~is_ground], _fine(rows[is_ground])])
    out = rows.copy()
    foot = (np.abs(rows[..., 5]) < 0.1) & (np.abs(rows[..., 2]) < 0.02) & (rows[..., 8] >= 0)
    out[..., 2] += terrain.up_m(rows[..., 0], rows[..., 1]).astype(np.float32)
    out[..., 2] -= np.float32(_SKIRT_M) * foot
    _tilt_normals(terrain, out)
    return np.asarray(out.reshape(-1, triangles.shape[1]), np.float32)


def _fine(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Split triangles, shape (N, 3, floats), into four until no side spans more than a cell."""
    done = []
    while len(rows):
        span = np.ptp(rows[..., :2], axis=1).max(axis=1)
        done.append(rows[span <= CELL_M + 1e-3])
        a, b, c = np.moveaxis(rows[span > CELL_M + 1e-3], 1, 0)
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        quarters = ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))
        rows = np.concatenate([np.stack(q, axis=1) for q in quarters])
    return np.concatenate(done)


def _tilt_normals(terrain: Terrain, rows: NDArray[np.float32]) -> None:
    """Turn the ground's normals, where it was level, with its slope."""
    chosen = (rows[..., 8] == Layer.GROUND) & (rows[..., 5] > 0.999)
    east, north = rows[chosen, 0].astype(np.float64), rows[chosen, 1].astype(np.float64)
    reach = CELL_M
    slope_e = (terrain.up_m(east + reach, north) - terrain.up_m(east - reach, north)) / (2 * reach)
    slope_n = (terrain.up_m(east, north + reach) - terrain.up_m(east, north - reach)) / (2 * reach)
    normal = np.column_stack([-slope_e, -slope_n, np.ones(len(slope_e))])
    rows[chosen, 3:6] = normal / np.linalg.norm(normal, axis=1, keepdims=True)


def lift_find(terrain: Terrain, find: Find) -> Find:
    """Move a find's samples up with the ground below them."""
    if terrain.is_flat:
        return find
    points = find.points_m.copy()
    at = points[:, :2]
    if find.name in _DRIFTING:
        at = np.broadcast_to(np.array(find.reference_m), at.shape)
    points[:, 2] += terrain.up_m(at[:, 0], at[:, 1])
    return replace(find, points_m=points)


def lift_smoke(terrain: Terrain, smoke: Smoke) -> Smoke:
    """Move a column's foot up with the ground below it."""
    east, north, up = smoke.base_m
    lifted = up + float(terrain.up_m(np.array(east), np.array(north)))
    return smoke if terrain.is_flat else replace(smoke, base_m=(east, north, lifted))
