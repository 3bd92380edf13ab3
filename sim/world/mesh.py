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


def gable_roof(
    mesh: MeshBuilder, foot: Footprint, heights_m: tuple[float, float], roof: Skin, wall: Skin
) -> None:
    """Add a two-sided roof, ridge along the length, between eaves and ridge heights."""
    eave = at_height(foot.corners(0.35), heights_m[0])
    half = foot.length_m / 2 + 0.35
    ridge = at_height(foot.place(np.array([[-half, 0.0], [half, 0.0]])), heights_m[1])
    # Each slope's first edge runs along the eave, so ribs and tile courses run down the slope.
    mesh.metric_quad(
        np.stack([eave[0], eave[1], ridge[1], ridge[0]]), roof.tile_m, roof.layer, roof.rgb
    )
    mesh.metric_quad(
        np.stack([eave[2], eave[3], ridge[0], ridge[1]]), roof.tile_m, roof.layer, roof.rgb
    )
    for low, right, top in ((eave[1], eave[2], ridge[1]), (eave[3], eave[0], ridge[0])):
        mesh.metric_quad(np.stack([low, right, top, top]), wall.tile_m, wall.layer, wall.rgb)


def hip_roof(
    mesh: MeshBuilder, foot: Footprint, heights_m: tuple[float, float], roof: Skin
) -> None:
    """Add a four-sided roof with a short ridge along the length."""
    eave = at_height(foot.corners(0.45), heights_m[0])
    half = max(foot.length_m / 2 - foot.width_m / 2, 0.2)
    ridge = at_height(foot.place(np.array([[-half, 0.0], [half, 0.0]])), heights_m[1])
    mesh.metric_quad(
        np.stack([eave[0], eave[1], ridge[1], ridge[0]]), roof.tile_m, roof.layer, roof.rgb
    )
    mesh.metric_quad(
        np.stack([eave[2], eave[3], ridge[0], ridge[1]]), roof.tile_m, roof.layer, roof.rgb
    )
    for low, right, top in ((eave[1], eave[2], ridge[1]), (eave[3], eave[0], ridge[0])):
        mesh.metric_quad(np.stack([low, right, top, top]), roof.tile_m, roof.layer, roof.rgb)


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


def tree_template(rng: np.random.Generator) -> Template:
    """Build one tree of about unit crown radius and unit height, trunk hidden by its crown."""
    mesh = MeshBuilder()
    n_lobes = int(rng.integers(4, 7))
    for lobe in range(n_lobes):
        vertices, faces = blob(rng, 2 if lobe == 0 else 1, 0.25)
        angle = lobe * 2 * np.pi / max(n_lobes - 1, 1) + rng.uniform(-0.3, 0.3)
        out = 0.0 if lobe == 0 else rng.uniform(0.42, 0.6)
        size = 0.66 if lobe == 0 else rng.uniform(0.36, 0.52)
        centre = np.array(
            [
                out * np.cos(angle),
                out * np.sin(angle),
                0.64 if lobe == 0 else rng.uniform(0.42, 0.62),
            ]
        )
        points = vertices * np.array([size, size, size * 0.55]) + centre
        corner = points[faces]
        normal = vertices[faces] / np.linalg.norm(vertices[faces], axis=2, keepdims=True)
        rows = np.zeros((len(faces), 3, VERTEX_FLOATS), np.float32)
        rows[..., 0:3], rows[..., 3:6] = corner, normal
        rows[..., 6:8] = corner[..., :2] * 0.9 + rng.uniform(0, 1, 2) + corner[..., 2:3] * 0.45
        rows[..., 8] = float(Layer.LEAVES)
        # Light reaches the crown's top; its inside and underside stay dark.
        rows[..., 9:12] = np.clip(0.45 + 0.75 * (corner[..., 2:3] - 0.25), 0.3, 1.0)
        rows = rows[corner[..., 2].max(axis=1) > 0.22]
        mesh.pieces.append(rows.reshape(-1, VERTEX_FLOATS))
    return Template(mesh.rows())


def car_template() -> Template:
    """Build a car about its centre, nose to +x; white bodywork takes the tint."""
    mesh = MeshBuilder()
    paint, glass = (
        Skin(Layer.PLAIN, (1.0, 1.0, 1.0), 4.0),
        Skin(Layer.PLAIN, (0.11, 0.13, 0.16), 4.0),
    )
    dark = Skin(Layer.PLAIN, (0.08, 0.08, 0.08), 4.0)
    box(mesh, Footprint(0, 0, 4.1, 1.6), (0.12, 0.4), dark, dark)
    box(mesh, Footprint(0, 0, 4.4, 1.78), (0.38, 0.88), paint, paint)
    low = at_height(Footprint(-0.25, 0, 2.7, 1.66).corners(), 0.88)
    high = at_height(Footprint(-0.35, 0, 1.55, 1.36).corners(), 1.42)
    for i in range(4):
        j = (i + 1) % 4
        mesh.metric_quad(np.stack([low[i], low[j], high[j], high[i]]), 4.0, Layer.PLAIN, glass.rgb)
    mesh.metric_quad(high, 4.0, Layer.PLAIN, paint.rgb)
    return Template(mesh.rows())


def lorry_template() -> Template:
    """Build a box lorry about its centre, nose to +x; the box takes the tint."""
    mesh = MeshBuilder()
    load, cab = Skin(Layer.PLAIN, (1.0, 1.0, 1.0), 5.0), Skin(Layer.PLAIN, (0.8, 0.8, 0.85), 5.0)
    dark = Skin(Layer.PLAIN, (0.1, 0.1, 0.1), 5.0)
    box(mesh, Footprint(0, 0, 8.2, 2.1), (0.3, 0.9), dark, dark)
    box(mesh, Footprint(-0.9, 0, 6.2, 2.45), (0.9, 3.3), load, load)
    box(mesh, Footprint(3.3, 0, 1.9, 2.3), (0.6, 2.5), cab, cab)
    glass = Skin(Layer.PLAIN, (0.12, 0.14, 0.18), 5.0)
    box(mesh, Footprint(4.0, 0, 0.55, 2.1), (1.6, 2.53), glass, glass)
    return Template(mesh.rows())
