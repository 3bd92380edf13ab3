"""The district's triangles on the graphics driver, in tiles, so that only what is seen is drawn."""

from __future__ import annotations

from dataclasses import dataclass

import moderngl
import numpy as np
from numpy.typing import NDArray

from sim.world.country import COUNTRY_HALF_M
from sim.world.layout import HALF_M
from sim.world.textures import Layer

FloatArray = NDArray[np.float64]
NEAR_M, FAR_M = 2.0, 900.0
# Edges of the tiles, either way: fine over the district, coarse over the country about it.
_NEAR_EDGES_M = np.arange(-HALF_M, HALF_M + 1.0, 24.0)
_FAR_EDGES_M = np.arange(HALF_M + 96.0, COUNTRY_HALF_M + 1.0, 96.0)
_TILE_EDGES_M = np.concatenate([-_FAR_EDGES_M[::-1], _NEAR_EDGES_M, _FAR_EDGES_M])


def indexed(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.uint32]]:
    """Merge equal rows: a software driver's time goes into vertices, and most are shared.

    Returns:
        The rows in the order of their first use, and for each old row its number.
    """
    exact = np.ascontiguousarray(rows, np.float32)
    words = exact.view(np.uint32).astype(np.uint64)
    odd = np.random.default_rng(0).integers(1 << 62, size=words.shape[1], dtype=np.uint64) * 2 + 1
    mixed = np.zeros(len(words), np.uint64)
    for column, factor in zip(words.T, odd, strict=True):
        mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15) + column * factor
    _, first, number = np.unique(mixed, return_index=True, return_inverse=True)
    number = number.reshape(-1)
    if not np.array_equal(exact[first][number].view(np.uint32), exact.view(np.uint32)):
        return exact, np.arange(len(exact), dtype=np.uint32)  # two rows share a hash: keep all
    order = np.argsort(first)
    place = np.empty(len(order), np.uint32)
    place[order] = np.arange(len(order), dtype=np.uint32)
    return exact[first[order]], place[number]


def _tile_corners(sorted_m: NDArray[np.float32], counts: NDArray[np.int64]) -> FloatArray:
    """Return the eight corners of the box around each tile's triangles, shape (tiles, 8, 3)."""
    corners = np.zeros((len(counts), 8, 3))
    used = np.flatnonzero(counts)
    starts = np.concatenate([[0], np.cumsum(counts[used])])[:-1]
    low = np.minimum.reduceat(sorted_m.min(axis=1), starts)
    high = np.maximum.reduceat(sorted_m.max(axis=1), starts)
    pick = np.array([[i & 1, i >> 1 & 1, i >> 2 & 1] for i in range(8)], bool)
    corners[used] = np.where(pick[None], high[:, None], low[:, None])
    return corners


@dataclass(frozen=True)
class Programs:
    """The shaders: of the ground, the country, everything else, and of depth alone."""

    ground: moderngl.Program
    country: moderngl.Program
    solid: moderngl.Program
    depth: moderngl.Program


@dataclass(frozen=True)
class _Part:
    """Triangles of one shader, sorted by tile."""

    lit: moderngl.VertexArray
    depth: moderngl.VertexArray
    firsts: NDArray[np.int64]
    counts: NDArray[np.int64]
    corners_m: FloatArray
    is_closed: bool  # closed bodies: their far side need not be drawn

    def runs(self, clip_from_world: FloatArray) -> list[tuple[int, int]]:
        """Return (first, count) of the tiles that may be in view, near ones first."""
        corners = np.concatenate([self.corners_m, np.ones((*self.corners_m.shape[:2], 1))], axis=2)
        clip = corners @ clip_from_world.T
        w = clip[..., 3:4]
        outside = np.concatenate([clip[..., :2] > w, clip[..., :2] < -w, w < NEAR_M], axis=2)
        seen = ~np.any(np.all(outside, axis=1), axis=1) & (self.counts > 0)
        order = np.flatnonzero(seen)[np.argsort(w[seen, :, 0].mean(axis=1), kind="stable")]
        return [(int(self.firsts[i]), int(self.counts[i])) for i in order]


class Geometry:
    """All triangles of a district; the ground is drawn last, where nothing hides it."""

    def __init__(
        self, ctx: moderngl.Context, programs: Programs, triangles: NDArray[np.float32]
    ) -> None:
        self._ctx, self._programs = ctx, programs
        self._held: list[moderngl.Buffer | moderngl.VertexArray] = []
        rows = triangles.reshape(-1, 3, triangles.shape[1])
        layer = rows[:, 0, 8]
        ground, leaves = layer == Layer.GROUND, layer == Layer.LEAVES
        country = layer == Layer.COUNTRY
        self._parts = [
            self._load(rows[chosen], program, is_closed)
            for chosen, program, is_closed in (
                (~(ground | leaves | country), programs.solid, False),
                (leaves, programs.solid, True),
                (ground, programs.ground, False),
                (country, programs.country, False),
            )
            if chosen.any()
        ]

    def _load(self, rows: NDArray[np.float32], program: moderngl.Program, is_closed: bool) -> _Part:
        middle = rows[:, :, :2].mean(axis=1)
        n_side = len(_TILE_EDGES_M) - 1
        tile = np.clip(np.searchsorted(_TILE_EDGES_M, middle, "right") - 1, 0, n_side - 1)
        number = tile[:, 1] * n_side + tile[:, 0]
        order = np.argsort(number, kind="stable")
        counts = np.bincount(number, minlength=n_side * n_side)
        placed = rows[order]
        vertices, corners = indexed(placed.reshape(-1, rows.shape[2]))
        buffer, index = self._ctx.buffer(vertices.tobytes()), self._ctx.buffer(corners.tobytes())
        full = (
            buffer,
            "3f 3f 2f 1f 3f",
            "in_position",
            "in_normal",
            "in_uv",
            "in_layer",
            "in_tint",
        )
        bare = (buffer, "3f 3f 24x", "in_position", "in_normal")
        is_ground = program in (self._programs.ground, self._programs.country)
        lit = self._ctx.vertex_array(program, [bare if is_ground else full], index)
        depth = self._ctx.vertex_array(
            self._programs.depth, [(buffer, "3f 36x", "in_position")], index
        )
        self._held += [buffer, index, lit, depth]
        firsts = np.concatenate([[0], np.cumsum(counts)])[:-1] * 3
        return _Part(
            lit, depth, firsts, counts * 3, _tile_corners(placed[:, :, :3], counts), is_closed
        )

    def draw(self, clip_from_world: FloatArray) -> None:
        """Draw what may be in view, lit, into the framebuffer in use."""
        self._ctx.front_face = "cw"  # the picture's first row is at the top, which mirrors it
        for part in self._parts:
            cull = moderngl.CULL_FACE if part.is_closed else 0
            self._ctx.enable_only(moderngl.DEPTH_TEST | cull)
            for first, count in part.runs(clip_from_world):
                part.lit.render(vertices=count, first=first)
        self._ctx.enable_only(moderngl.DEPTH_TEST)

    def draw_depth(self, clip_from_world: FloatArray | None = None) -> None:
        """Draw depth alone of what may be in view, or of everything."""
        self._ctx.enable_only(moderngl.DEPTH_TEST)
        for part in self._parts:
            if clip_from_world is None:
                part.depth.render()
                continue
            for first, count in part.runs(clip_from_world):
                part.depth.render(vertices=count, first=first)

    def release(self) -> None:
        """Free what the driver holds."""
        for thing in self._held:
            thing.release()
        self._held.clear()
