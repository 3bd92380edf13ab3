"""The ground as triangles: coarse where it is flat, finer in the river's bed, cut out over pits."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.world.ground import height_m
from sim.world.layout import HALF_M, Layout
from sim.world.mesh import MeshBuilder
from sim.world.textures import Layer

FloatArray = NDArray[np.float64]
_CHUNK_M = 24.0
_FINEST_M = (
    0.4  # size of the cells along a pit's rim; its trodden lip is wider and covers their steps
)
_UNDER_LIP_M = 0.3  # the ground ends this far outside the rim


def lay_ground(mesh: MeshBuilder, layout: Layout, holes: list[FloatArray]) -> None:
    """Lay the district's ground.

    Args:
        mesh: Where to.
        layout: The plan, for the river.
        holes: Outlines of pits, shape (N, 2) each, that the ground must leave open.
    """
    cells = _cells(layout)
    for hole in holes:
        cells = _cut(cells, hole)
    west, south, size = cells.T
    e = np.stack([west, west + size, west + size, west], axis=1)
    n = np.stack([south, south, south + size, south + size], axis=1)
    quads = np.stack([e, n, height_m(layout, e, n)], axis=2)
    uv = np.stack([e + HALF_M, HALF_M - n], axis=2) / (2 * HALF_M)
    mesh.quads(quads, uv, Layer.GROUND, (1.0, 1.0, 1.0))


def _cells(layout: Layout) -> FloatArray:
    """Return square cells over the whole district, shape (N, 3): west, south, size."""
    out = []
    for west in np.arange(-HALF_M, HALF_M, _CHUNK_M):
        for south in np.arange(-HALF_M, HALF_M, _CHUNK_M):
            corner_e, corner_n = np.meshgrid(
                [west, west + _CHUNK_M], np.linspace(south, south + _CHUNK_M, 9)
            )
            middle = layout.river.centre_m(corner_n)
            near = np.abs(corner_e - middle).min() < layout.river.width_m / 2 + _CHUNK_M
            count = 20 if near else 1
            size = _CHUNK_M / count
            e, n = np.meshgrid(west + size * np.arange(count), south + size * np.arange(count))
            out.append(np.column_stack([e.ravel(), n.ravel(), np.full(count * count, size)]))
    return np.concatenate(out)


def _cut(cells: FloatArray, hole: FloatArray) -> FloatArray:
    """Take the cells over a hole away, and quarter those along its rim until they are small."""
    low, high = hole.min(axis=0) - 1.0, hole.max(axis=0) + 1.0
    ends = cells[:, :2] + cells[:, 2:]
    touched = np.all((ends > low) & (cells[:, :2] < high), axis=1)
    rim, open_cells, kept = hole.astype(np.float32).reshape(-1, 1, 2), cells[touched], []
    while len(open_cells):
        middles = open_cells[:, :2] + open_cells[:, 2:] / 2
        inside = np.array(
            [cv2.pointPolygonTest(rim, (float(e), float(n)), True) for e, n in middles]
        )
        inside += _UNDER_LIP_M
        reach = open_cells[:, 2] * 0.7072
        small = open_cells[:, 2] <= _FINEST_M
        kept.append(open_cells[(inside < -reach) | (small & (inside <= 0))])
        split = open_cells[~small & (np.abs(inside) <= reach)]
        half = split[:, 2:] / 2
        corners = [split[:, :2] + half * np.array([a, b]) for a in (0, 1) for b in (0, 1)]
        open_cells = np.concatenate([np.column_stack([corner, half]) for corner in corners])
    return np.concatenate([cells[~touched], *kept])
