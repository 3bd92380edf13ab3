"""Shapes of trees and bushes: each of about unit crown radius and unit height, made few times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.world.mesh import VERTEX_FLOATS, MeshBuilder, Template, blob
from sim.world.textures import Layer

FloatArray = NDArray[np.float64]
Profile = tuple[tuple[float, float], ...]  # height and radius of each ring, bottom first


def _leaf_rows(
    corner_m: FloatArray, normal: FloatArray, mottle: FloatArray, shade: tuple[float, float]
) -> FloatArray:
    """Dress triangles, shape (M, 3, 3), in leaves: dark at the foot, light at the top.

    Args:
        corner_m: Counter-clockwise from outside.
        normal: Shape (M, 3, 3), of any length.
        mottle: Shape (M, 3, 1), brightness of each corner.
        shade: Brightness at the foot, and what the top has more.
    """
    rows = np.zeros((len(corner_m), 3, VERTEX_FLOATS))
    rows[..., 0:3] = corner_m
    rows[..., 3:6] = normal / (np.linalg.norm(normal, axis=2, keepdims=True) + 1e-9)
    rows[..., 6:8] = corner_m[..., :2] * 0.9 + corner_m[..., 2:3] * np.array([0.45, 1.7])
    rows[..., 8] = float(Layer.LEAVES)
    rows[..., 9:12] = mottle * np.clip(shade[0] + shade[1] * corner_m[..., 2:3], 0.3, 1.0)
    return rows


def _lathe(rng: np.random.Generator, profile: Profile, spokes: int, rough: float) -> FloatArray:
    """Turn a profile about the vertical, unevenly; shape (M, 3, VERTEX_FLOATS)."""
    up, out = np.array(profile).T
    angles = np.linspace(0, 2 * np.pi, spokes, endpoint=False) + rng.uniform(0, 6.28)
    reach = out[:, None] * (1 + rough * rng.uniform(-1, 1, (len(up), spokes)))
    high = up[:, None] + 0.12 * rough * rng.uniform(-1, 1, reach.shape) * (out[:, None] > 0)
    cos, sin = np.cos(angles), np.sin(angles)
    lean = (
        np.cumsum(rng.normal(0, 0.25 * rough, (len(up), 2)), axis=0)[:, None] * out[:, None, None]
    )
    grid = np.stack([reach * cos + lean[..., 0], reach * sin + lean[..., 1], high], axis=2)
    steep = np.clip(-np.gradient(out, up), -1.2, 1.6)[:, None] * np.ones(spokes)
    face = np.stack([np.tile(cos, (len(up), 1)), np.tile(sin, (len(up), 1)), steep], axis=2)
    tables = []
    mottle = np.repeat(rng.uniform(0.84, 1.16, (len(up), spokes, 1)), 3, axis=2)
    for table in (grid, face, mottle):
        low, top = table[:-1], table[1:]
        low_next, top_next = np.roll(low, -1, axis=1), np.roll(top, -1, axis=1)
        first = np.stack([low, low_next, top_next], axis=2).reshape(-1, 3, 3)
        tables.append(
            np.concatenate([first, np.stack([low, top_next, top], axis=2).reshape(-1, 3, 3)])
        )
    corner, normal, mottle = tables
    area = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    kept = np.linalg.norm(area, axis=1) > 1e-6
    return _leaf_rows(corner[kept], normal[kept], mottle[kept][..., :1], (0.42, 0.62))


def _trunk(high: float, thick: float) -> FloatArray:
    """Stand a three-sided trunk from the ground into the crown; bark takes the leaves' tint."""
    angles = np.array([0.3, 2.4, 4.5])
    ring = thick * np.column_stack([np.cos(angles), np.sin(angles)])
    mesh = MeshBuilder()
    low, top = np.column_stack([ring, np.zeros(3)]), np.column_stack([ring, np.full(3, high)])
    quads = np.stack([low, np.roll(low, -1, 0), np.roll(top, -1, 0), top], axis=1)
    mesh.quads(quads, quads[..., [0, 2]], Layer.PLAIN, (0.42, 0.3, 0.34))
    return mesh.rows().astype(np.float64).reshape(-1, 3, VERTEX_FLOATS)


def _template(*pieces: FloatArray) -> Template:
    rows = np.concatenate(pieces).astype(np.float32)
    return Template(rows.reshape(-1, VERTEX_FLOATS))


@dataclass(frozen=True)
class _Lobe:
    centre: FloatArray  # shape (3,)
    size: FloatArray  # shape (3,): half axes
    subdivisions: int

    def holds(self, points: FloatArray) -> NDArray[np.bool_]:
        """Say of points, shape (..., 3), whether they lie well inside."""
        away = (points - self.centre) / self.size
        return np.asarray((away * away).sum(axis=-1) < 0.72)


def _crown(rng: np.random.Generator, lobes: list[_Lobe], floor: float) -> FloatArray:
    """Join lobes to one crown, without what lies inside another lobe or under its floor."""
    pieces = []
    for lobe in lobes:
        vertices, faces = blob(rng, lobe.subdivisions, 0.22)
        vertices = vertices * rng.normal(1, 0.05, (len(vertices), 1))  # twigs stand out of it
        placed = vertices * lobe.size + lobe.centre
        placed[:, 2] = np.maximum(placed[:, 2], 0.0)
        corner = placed[faces]
        middle = corner.mean(axis=1)
        hidden = np.zeros(len(faces), bool)
        for other in lobes:
            hidden |= other.holds(middle) & (other is not lobe)
        kept = ~hidden & (corner[..., 2].max(axis=1) > floor)
        mottle = rng.uniform(0.86, 1.14, (len(vertices), 1))[faces]
        pieces.append(_leaf_rows(corner[kept], vertices[faces][kept], mottle[kept], (0.34, 0.74)))
    return np.concatenate(pieces)


def _ring_of_lobes(
    rng: np.random.Generator, count: int, out: tuple[float, float], size: tuple[float, float]
) -> list[_Lobe]:
    lobes = []
    for i in range(count):
        angle = i * 2 * np.pi / count + rng.uniform(-0.35, 0.35)
        away, wide = rng.uniform(*out), rng.uniform(*size)
        centre = np.array([away * np.cos(angle), away * np.sin(angle), rng.uniform(0.46, 0.68)])
        lobes.append(_Lobe(centre, np.array([wide, wide, wide * rng.uniform(0.5, 0.66)]), 1))
    return lobes


def round_tree(rng: np.random.Generator) -> Template:
    """Build a tree with one full crown."""
    core = _Lobe(np.array([0.0, 0.0, 0.63]), np.array([0.72, 0.72, 0.38]), 2)
    lobes = [core, *_ring_of_lobes(rng, int(rng.integers(3, 5)), (0.4, 0.58), (0.36, 0.5))]
    return _template(_crown(rng, lobes, 0.24), _trunk(0.4, 0.07))


def spreading_tree(rng: np.random.Generator) -> Template:
    """Build a wide tree whose boughs part."""
    lobes = _ring_of_lobes(rng, int(rng.integers(5, 8)), (0.46, 0.66), (0.3, 0.48))
    top = np.array([rng.uniform(-0.15, 0.15), rng.uniform(-0.15, 0.15), 0.74])
    lobes.append(_Lobe(top, np.array([0.46, 0.46, 0.26]), 1))
    return _template(_crown(rng, lobes, 0.3), _trunk(0.55, 0.06))


def poplar_tree(rng: np.random.Generator) -> Template:
    """Build a tall narrow tree."""
    shape = ((0.08, 0.25), (0.2, 0.85), (0.42, 1.0), (0.65, 0.8), (0.85, 0.45), (1.0, 0.0))
    return _template(_lathe(rng, shape, 9, 0.2), _trunk(0.12, 0.12))


def _tiers(rng: np.random.Generator, count: int, spokes: int) -> FloatArray:
    pieces = []
    for tier in range(count):
        foot = 0.1 + 0.78 * tier / count
        reach = 1.0 - 0.62 * tier / count
        tip = 1.0 if tier == count - 1 else min(foot + 1.25 / count, 0.97)
        pieces.append(
            _lathe(rng, ((foot + 0.06, 0.0), (foot + 0.0601, reach), (tip, 0.0)), spokes, 0.2)
        )
    rows = np.concatenate(pieces)
    rows[..., 5] = np.where(rows[..., 5] < -0.5, 0.2, 0.55)
    rows[..., 3:6] /= np.linalg.norm(rows[..., 3:6], axis=2, keepdims=True)
    return rows


def conifer_tree(rng: np.random.Generator) -> Template:
    """Build a fir in three tiers."""
    return _template(_tiers(rng, 3, 10), _trunk(0.2, 0.08))


def bush_tree(rng: np.random.Generator) -> Template:
    """Build a bush that reaches the ground."""
    body = _Lobe(np.array([0.0, 0.0, 0.4]), np.array([0.85, 0.85, 0.58]), 1)
    side = _Lobe(np.array([0.5, 0.25, 0.3]), np.array([0.5, 0.5, 0.42]), 1)
    return _template(_crown(rng, [body, side], 0.05))


def bare_tree(rng: np.random.Generator) -> Template:
    """Build a leafless tree: branches, each a thin blade, about a trunk."""
    mesh = MeshBuilder()
    grey = float(rng.uniform(0.42, 0.6))
    for i in range(26):
        angle, start = i * 2.4 + rng.uniform(-0.4, 0.4), rng.uniform(0.2, 0.75)
        reach, thick = rng.uniform(0.35, 1.0) * (1.15 - 0.6 * start), 0.022
        foot = np.array([0.0, 0.0, start])
        tip = np.array(
            [reach * np.cos(angle), reach * np.sin(angle), start + rng.uniform(0.1, 0.3)]
        )
        knee = (foot + tip) / 2 + rng.normal(0, 0.07, 3)
        side = thick * np.array([-np.sin(angle), np.cos(angle), 0.6])
        fork = tip + rng.normal(0, 0.22, 3) * np.array([1, 1, 0.5])
        blades = [
            np.stack([foot - side, foot + side, knee + side * 0.7, knee - side * 0.7]),
            np.stack([knee - side * 0.7, knee + side * 0.7, tip, tip]),
            np.stack([knee - side * 0.6, knee + side * 0.6, fork, fork]),
        ]
        mesh.quads(np.stack(blades), np.zeros((3, 4, 2)), Layer.PLAIN, (grey, grey, grey))
    rows = mesh.rows().astype(np.float64).reshape(-1, 3, VERTEX_FLOATS)
    return _template(rows, _trunk(0.95, 0.045))


def stand_round_tree(rng: np.random.Generator) -> Template:
    """Build a crown of few triangles, for the inside of a wood."""
    shape = ((0.1, 0.5), (0.48, 1.0), (0.84, float(rng.uniform(0.5, 0.7))), (1.0, 0.0))
    return _template(_lathe(rng, shape, 7, 0.3))


def stand_conifer_tree(rng: np.random.Generator) -> Template:
    """Build a fir of few triangles, for the inside of a wood."""
    return _template(_tiers(rng, 2, 8))
