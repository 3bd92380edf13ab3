"""Triangles of the district: a builder, primitives, and templates that are placed many times."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.world.textures import Layer

FloatArray = NDArray[np.float32]
Rgb = tuple[float, float, float]

VERTEX_FLOATS = 12  # position 3, normal 3, uv 2, layer 1, colour 3


def _cross(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return cross products of rows; numpy's own is several times slower on a few rows."""
    x = a[:, 1] * b[:, 2] - a[:, 2] * b[:, 1]
    y = a[:, 2] * b[:, 0] - a[:, 0] * b[:, 2]
    return np.stack([x, y, a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]], axis=1)


@dataclass
class MeshBuilder:
    """Collects triangles as rows of floats; shape of each piece (3 * triangles, VERTEX_FLOATS)."""

    pieces: list[FloatArray] = field(default_factory=list)

    def quads(
        self, corners_m: NDArray[np.floating], uv: NDArray[np.floating], layer: Layer, rgb: Rgb
    ) -> None:
        """Add quads.

        Args:
            corners_m: Shape (N, 4, 3), east north up, counter-clockwise seen from outside.
            uv: Shape (N, 4, 2), texture repeats.
            layer: Which texture.
            rgb: Tint, 0 to 1.
        """
        corners = np.asarray(corners_m, np.float32).reshape(-1, 4, 3)
        edges = corners[:, 1:] - corners[:, :1]
        normals = _cross(edges[:, 0], edges[:, 1])
        flat = np.einsum("ij,ij->i", normals, normals) < 1e-12
        if flat.any():
            normals[flat] = _cross(edges[flat, 1], edges[flat, 2])
        normals /= np.sqrt(np.einsum("ij,ij->i", normals, normals))[:, None] + np.float32(1e-9)
        rows = np.zeros((len(corners), 6, VERTEX_FLOATS), np.float32)
        order = [0, 1, 2, 0, 2, 3]
        rows[:, :, 0:3] = corners[:, order]
        rows[:, :, 3:6] = normals[:, None]
        rows[:, :, 6:8] = np.asarray(uv, np.float32).reshape(-1, 4, 2)[:, order]
        rows[:, :, 8] = float(layer)
        rows[:, :, 9:12] = rgb
        self.pieces.append(rows.reshape(-1, VERTEX_FLOATS))

    def metric_quad(
        self, corners_m: NDArray[np.floating], tile_m: float, layer: Layer, rgb: Rgb
    ) -> None:
        """Add one quad whose texture repeats every `tile_m` metres along its first two edges."""
        corners = np.asarray(corners_m, np.float32)
        wide = float(np.linalg.norm(corners[1] - corners[0])) / tile_m
        tall = float(np.linalg.norm(corners[3] - corners[0])) / tile_m
        self.quads(
            corners[None], np.array([[[0, 0], [wide, 0], [wide, tall], [0, tall]]]), layer, rgb
        )

    def rows(self) -> FloatArray:
        """Return all triangles, shape (3 * triangles, VERTEX_FLOATS)."""
        if not self.pieces:
            return np.zeros((0, VERTEX_FLOATS), np.float32)
        return np.concatenate(self.pieces)


@dataclass(frozen=True)
class Footprint:
    """An oriented rectangle on the ground."""

    east_m: float
    north_m: float
    length_m: float  # along its own x
    width_m: float  # along its own y
    turn_rad: float = 0.0  # counter-clockwise from east

    def corners(self, grow_m: float = 0.0) -> NDArray[np.float64]:
        """Return the four corners, shape (4, 2), counter-clockwise, east north."""
        half_l, half_w = self.length_m / 2 + grow_m, self.width_m / 2 + grow_m
        local = np.array(
            [[-half_l, -half_w], [half_l, -half_w], [half_l, half_w], [-half_l, half_w]]
        )
        return self.place(local)

    def place(self, local_m: NDArray[np.floating]) -> NDArray[np.float64]:
        """Turn own coordinates, shape (N, 2), into east north."""
        cos, sin = np.cos(self.turn_rad), np.sin(self.turn_rad)
        turned = np.asarray(local_m, np.float64) @ np.array([[cos, sin], [-sin, cos]])
        return np.asarray(turned + np.array([self.east_m, self.north_m]))


def at_height(plane_m: NDArray[np.floating], up_m: float) -> NDArray[np.float64]:
    """Lift points, shape (N, 2), to (N, 3)."""
    return np.column_stack([plane_m, np.full(len(plane_m), up_m)])


@dataclass(frozen=True)
class Skin:
    """A texture with its tint and its size in metres."""

    layer: Layer
    rgb: Rgb
    tile_m: float


def walls(
    mesh: MeshBuilder, base_m: NDArray[np.floating], heights_m: tuple[float, float], skin: Skin
) -> None:
    """Raise walls on a counter-clockwise outline, shape (N, 2), between two heights."""
    low, high = at_height(base_m, heights_m[0]), at_height(base_m, heights_m[1])
    for i in range(len(base_m)):
        j = (i + 1) % len(base_m)
        quad = np.stack([low[i], low[j], high[j], high[i]])
        mesh.metric_quad(quad, skin.tile_m, skin.layer, skin.rgb)


def box(
    mesh: MeshBuilder, foot: Footprint, heights_m: tuple[float, float], wall: Skin, top: Skin
) -> None:
    """Add a box with a flat top."""
    corners = foot.corners()
    walls(mesh, corners, heights_m, wall)
    mesh.metric_quad(at_height(corners, heights_m[1]), top.tile_m, top.layer, top.rgb)


def gable_slopes(
    foot: Footprint, heights_m: tuple[float, float], over_m: float = 0.35, hip_m: float = 0.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both slopes of a roof whose ridge runs along the length, shape (4, 3) each.

    Args:
        foot: Of the walls.
        heights_m: Of the eaves and of the ridge.
        over_m: How far the eaves hang over the walls.
        hip_m: How far the ridge's ends lie inside the eaves; 0 for a gable.
    """
    eave = at_height(foot.corners(over_m), heights_m[0])
    half = max(foot.length_m / 2 + over_m - hip_m, 0.2)
    ridge = at_height(foot.place(np.array([[-half, 0.0], [half, 0.0]])), heights_m[1])
    # Each slope's first edge runs along the eave, so ribs and tile courses run down the slope.
    return (
        np.stack([eave[0], eave[1], ridge[1], ridge[0]]),
        np.stack([eave[2], eave[3], ridge[0], ridge[1]]),
    )


def _close_ends(
    mesh: MeshBuilder, slopes: tuple[NDArray[np.float64], NDArray[np.float64]], skin: Skin
) -> None:
    """Fill the triangles at both ends of a roof: its gables, or its hips."""
    for one, other in (slopes, slopes[::-1]):
        end = np.stack([one[1], other[0], one[2], one[2]])
        mesh.metric_quad(end, skin.tile_m, skin.layer, skin.rgb)


def gable_roof(
    mesh: MeshBuilder, foot: Footprint, heights_m: tuple[float, float], roof: Skin, wall: Skin
) -> None:
    """Add a two-sided roof, ridge along the length, between eaves and ridge heights."""
    slopes = gable_slopes(foot, heights_m)
    for slope in slopes:
        mesh.metric_quad(slope, roof.tile_m, roof.layer, roof.rgb)
    _close_ends(mesh, slopes, wall)


def hip_roof(
    mesh: MeshBuilder, foot: Footprint, heights_m: tuple[float, float], roof: Skin
) -> None:
    """Add a four-sided roof with a short ridge along the length."""
    slopes = gable_slopes(foot, heights_m, 0.45, foot.width_m / 2 + 0.45)
    for slope in slopes:
        mesh.metric_quad(slope, roof.tile_m, roof.layer, roof.rgb)
    _close_ends(mesh, slopes, roof)


def on_slope(slope_m: NDArray[np.floating], shares: NDArray[np.floating]) -> NDArray[np.float64]:
    """Place points given in shares of a slope, shape (N, 2), 0 to 1, just above it: (N, 3)."""
    u, v = shares[:, :1], shares[:, 1:]
    low = slope_m[0] + u * (slope_m[1] - slope_m[0])
    high = slope_m[3] + u * (slope_m[2] - slope_m[3])
    return np.asarray(low + v * (high - low) + np.array([0.0, 0.0, 0.05]))


_GOLD = (1 + 5**0.5) / 2
_PLANE = [(a, b * _GOLD) for b in (1, -1) for a in (-1, 1)]  # corners of one golden rectangle
_ICOSAHEDRON_VERTICES = [
    *((a, b, 0.0) for a, b in _PLANE),
    *((0.0, a, b) for a, b in _PLANE),
    *((b, 0.0, a) for a, b in _PLANE),
]
# Corner numbers of the twenty faces, three by three, counter-clockwise from outside.
_ICOSAHEDRON_FACES = (
    "0 11 5 0 5 1 0 1 7 0 7 10 0 10 11 1 5 9 5 11 4 11 10 2 10 7 6 7 1 8 "
    "3 9 4 3 4 2 3 2 6 3 6 8 3 8 9 4 9 5 2 4 11 6 2 10 8 6 7 9 8 1"
)


def icosphere(subdivisions: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return unit-sphere vertices (N, 3) and faces (M, 3)."""
    vertices = np.array(_ICOSAHEDRON_VERTICES)
    faces = np.array(_ICOSAHEDRON_FACES.split(), np.int64).reshape(-1, 3)
    for _ in range(subdivisions):
        tri = vertices[faces]
        mids = np.stack(
            [tri[:, 0] + tri[:, 1], tri[:, 1] + tri[:, 2], tri[:, 2] + tri[:, 0]], axis=1
        )
        n = len(vertices)
        mid_at = n + np.arange(len(faces) * 3).reshape(-1, 3)
        vertices = np.concatenate([vertices, mids.reshape(-1, 3)])
        a, b, c = faces.T
        ab, bc, ca = mid_at.T
        faces = np.concatenate(
            [np.stack(t, 1) for t in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))]
        )
        vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    rounded, inverse = np.unique(vertices.round(6), axis=0, return_inverse=True)
    return rounded / np.linalg.norm(rounded, axis=1, keepdims=True), inverse.reshape(-1)[faces]


@dataclass(frozen=True)
class Template:
    """A small mesh about its own origin, stamped many times."""

    rows: FloatArray

    def place(
        self, mesh: MeshBuilder, spots: NDArray[np.floating], tints: NDArray[np.floating]
    ) -> None:
        """Stamp copies.

        Args:
            mesh: Where to.
            spots: Shape (N, 6): east, north, up, turn in radians, horizontal scale, vertical scale.
            tints: Shape (N, 3), multiplied into the template's colours.
        """
        spots, tints = np.asarray(spots, np.float32), np.asarray(tints, np.float32)
        if not len(spots):
            return
        out = np.repeat(self.rows[None], len(spots), axis=0)
        cos, sin = np.cos(spots[:, 3])[:, None], np.sin(spots[:, 3])[:, None]
        for at, scale in ((0, spots[:, 4:5]), (3, np.float32(1.0))):
            x, y = self.rows[None, :, at] * scale, self.rows[None, :, at + 1] * scale
            out[:, :, at], out[:, :, at + 1] = cos * x - sin * y, sin * x + cos * y
        out[:, :, 2] *= spots[:, 5:6]
        out[:, :, 0:3] += spots[:, None, 0:3]
        out[:, :, 9:12] *= tints[:, None]
        mesh.pieces.append(out.reshape(-1, VERTEX_FLOATS))


def blob(
    rng: np.random.Generator, subdivisions: int, roughness: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return a unit sphere with lumps: vertices (N, 3) and faces (M, 3)."""
    vertices, faces = icosphere(subdivisions)
    directions = rng.standard_normal((14, 3))
    phases = rng.uniform(0, 6.28, 14)
    lumps = np.sin(3.2 * vertices @ directions.T + phases).mean(axis=1)
    return vertices * (1 + roughness * 2.2 * lumps)[:, None], faces
