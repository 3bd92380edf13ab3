"""Things that stand about on works and yards: machines, pipes, fences, barriers, loose pieces."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sim.world.mesh import Footprint, MeshBuilder, Rgb, Skin, Template, at_height, box, walls
from sim.world.textures import Layer

FloatArray = NDArray[np.float64]

_WHITE = Skin(Layer.PLAIN, (1.0, 1.0, 1.0), 4.0)
_DARK = Skin(Layer.PLAIN, (0.09, 0.09, 0.09), 4.0)
_GLASS = Skin(Layer.PLAIN, (0.13, 0.16, 0.2), 4.0)
MACHINE_RGB: tuple[Rgb, ...] = (  # yellow, orange and green, as the makers paint them
    (1.0, 0.78, 0.16),
    (0.98, 0.68, 0.1),
    (1.0, 0.52, 0.14),
    (0.2, 0.62, 0.6),
    (0.9, 0.84, 0.3),
)
TIPPER_RGB: tuple[Rgb, ...] = (
    (0.25, 0.78, 0.22),
    (0.95, 0.55, 0.12),
    (0.78, 0.16, 0.14),
    (0.2, 0.35, 0.75),
)


def beam(mesh: MeshBuilder, start_m: FloatArray, end_m: FloatArray, skin: Skin) -> None:
    """Lay a square bar 0.35 m thick between two points, shape (3,) each."""
    along = end_m - start_m
    side = np.cross(along, [0.0, 0.0, 1.0])
    norm = float(np.linalg.norm(side))
    side = np.array([1.0, 0.0, 0.0]) if norm < 1e-6 else side / norm
    over = np.cross(side, along / (np.linalg.norm(along) + 1e-9))
    ring = [0.175 * (a * side + b * over) for a, b in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    for i in range(4):
        near, far = ring[i], ring[(i + 1) % 4]
        quad = np.stack([start_m + near, end_m + near, end_m + far, start_m + far])
        mesh.metric_quad(quad, skin.tile_m, skin.layer, skin.rgb)


def drum(
    mesh: MeshBuilder,
    spot: tuple[float, float],
    radius_m: float,
    heights_m: tuple[float, float],
    skin: Skin,
) -> None:
    """Stand a ten-sided cylinder upright."""
    angles = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    ring = np.column_stack(
        [spot[0] + radius_m * np.cos(angles), spot[1] + radius_m * np.sin(angles)]
    )
    walls(mesh, ring, heights_m, skin)
    top, middle = at_height(ring, heights_m[1]), np.array([*spot, heights_m[1]])
    quads = np.stack(
        [np.tile(middle, (10, 1)), top, np.roll(top, -1, axis=0), np.tile(middle, (10, 1))], 1
    )
    mesh.quads(quads, quads[..., :2] / skin.tile_m, skin.layer, skin.rgb)


@lru_cache(maxsize=1)
def crate() -> Template:
    """Build a unit cube on the ground, for scattering."""
    mesh = MeshBuilder()
    box(mesh, Footprint(0, 0, 1.0, 1.0), (0.0, 1.0), _WHITE, _WHITE)
    return Template(mesh.rows())


@lru_cache(maxsize=1)
def plank() -> Template:
    """Build a unit plank on the ground, seven times as long as wide."""
    mesh = MeshBuilder()
    box(mesh, Footprint(0, 0, 1.0, 0.14), (0.0, 1.0), _WHITE, _WHITE)
    return Template(mesh.rows())


def stand(mesh: MeshBuilder, thing: Template, spot: FloatArray, turn_rad: float, tint: Rgb) -> None:
    """Put one thing on the ground; spot has shape (2,)."""
    thing.place(mesh, np.array([[*spot, 0.0, turn_rad, 1.0, 1.0]]), np.array([tint]))


def strew(
    rng: np.random.Generator,
    mesh: MeshBuilder,
    spots_m: FloatArray,
    sizes_m: tuple[float, float],
    rgb: FloatArray,
) -> None:
    """Strew loose pieces.

    Args:
        rng: Draws their sizes and turns.
        mesh: Where to.
        spots_m: Shape (N, 3), east north up, of the undersides.
        sizes_m: The smallest and the largest edge.
        rgb: Shape (K, 3), 0 to 1; each piece takes one.
    """
    count = len(spots_m)
    size = sizes_m[0] + (sizes_m[1] - sizes_m[0]) * rng.random(count) ** 2
    rows = np.column_stack(
        [spots_m, rng.uniform(0, 6.28, count), size, size * rng.uniform(0.25, 0.8, count)]
    )
    tints = rgb[rng.integers(0, len(rgb), count)] * rng.uniform(0.8, 1.1, (count, 1))
    long = rng.random(count) < 0.3
    crate().place(mesh, rows[~long], tints[~long])
    rows[long, 4] *= 2.6
    rows[long, 5] *= 0.3
    plank().place(mesh, rows[long], tints[long])


def pipes(mesh: MeshBuilder, foot: Footprint, bore_m: float, rgb: Rgb) -> None:
    """Lay a row of pipes side by side across a rectangle."""
    skin, count = Skin(Layer.PLAIN, rgb, 5.0), max(1, int(foot.width_m / bore_m))
    angles = np.linspace(0, np.pi, 6)
    for row in range(count):
        across = (row + 0.5) * bore_m - foot.width_m / 2
        arc = np.column_stack([across + bore_m * 0.48 * np.cos(angles), bore_m * np.sin(angles)])
        ends = [
            np.column_stack([foot.place(np.column_stack([np.full(6, x), arc[:, 0]])), arc[:, 1]])
            for x in (-foot.length_m / 2, foot.length_m / 2)
        ]
        quads = np.stack([ends[0][:-1], ends[1][:-1], ends[1][1:], ends[0][1:]], axis=1)
        mesh.quads(quads, quads[..., :2] / skin.tile_m, skin.layer, skin.rgb)


def _edges(outline_m: FloatArray, step_m: float) -> list[tuple[Footprint, int]]:
    """Cut an outline into straight pieces of about a length, each as a line with its number."""
    out: list[tuple[Footprint, int]] = []
    for start, end in zip(outline_m, np.roll(outline_m, -1, axis=0), strict=True):
        along = end - start
        length = float(np.hypot(*along))
        pieces = max(1, round(length / step_m))
        turn = float(np.arctan2(along[1], along[0]))
        for piece in range(pieces):
            middle = start + along * (piece + 0.5) / pieces
            foot = Footprint(float(middle[0]), float(middle[1]), length / pieces, 0.1, turn)
            out.append((foot, len(out)))
    return out


def fence(
    mesh: MeshBuilder,
    outline_m: FloatArray,
    skin: Skin,
    high_m: float = 2.0,
    sides: tuple[int, ...] | None = None,
) -> None:
    """Run a hoarding along an outline, or along some of its sides only."""
    for i in range(len(outline_m)):
        if sides is not None and i not in sides:
            continue
        pair = outline_m[[i, (i + 1) % len(outline_m)]]
        along = pair[1] - pair[0]
        middle = pair.mean(axis=0)
        foot = Footprint(
            float(middle[0]),
            float(middle[1]),
            float(np.hypot(*along)),
            0.12,
            float(np.arctan2(along[1], along[0])),
        )
        box(mesh, foot, (0.0, high_m), skin, Skin(Layer.PLAIN, (0.85, 0.85, 0.83), 4.0))


BARRIERS: dict[str, tuple[Rgb, Rgb, float, float]] = {  # two colours, thickness, height in metres
    "red_white": ((0.92, 0.16, 0.12), (1.0, 1.0, 1.0), 0.3, 1.1),
    "yellow_black": ((1.0, 0.82, 0.08), (0.12, 0.12, 0.12), 0.22, 1.2),
    "water_filled": ((0.98, 0.42, 0.1), (1.0, 0.98, 0.94), 0.5, 0.9),
    "yellow_mesh": ((1.0, 0.85, 0.12), (0.95, 0.75, 0.1), 0.16, 1.25),
}


def barrier(mesh: MeshBuilder, outline_m: FloatArray, style: str) -> None:
    """Close an outline with barrier pieces in two colours, by turns."""
    first, second, thick, high = BARRIERS[style]
    for foot, number in _edges(outline_m, 1.1):
        skin = Skin(Layer.PLAIN, first if number % 2 == 0 else second, 4.0)
        piece = Footprint(foot.east_m, foot.north_m, foot.length_m * 0.94, thick, foot.turn_rad)
        box(mesh, piece, (0.05, high), skin, skin)
