"""The ground picture: what it is made of, and how things that lie flat are put into it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.world.layout import HALF_M, Layout
from sim.world.textures import Layer

ImageArray = NDArray[np.uint8]
Outline = NDArray[np.float64]  # shape (N, 2), east north, metres
GROUND_PX = 4096
PX_PER_M = GROUND_PX / (2 * HALF_M)
RIVER_DROP_M = 1.2  # the water lies this much lower than the streets


class Material(IntEnum):
    """What the ground is made of."""

    GRASS = 0
    ASPHALT = 1
    SIDEWALK = 2
    PAVING = 3
    SOIL = 4
    FIELD = 5
    WATER = 6
    BANK = 7
    QUAY = 8
    GRAVEL = 9
    MEADOW = 10
    BRICK = 11
    SETTS = 12
    VERGE = 13
    WOOD = 14


def pixels(points_m: NDArray[np.floating]) -> NDArray[np.int32]:
    """Turn east north metres, shape (N, 2), into ground-picture pixels with row 0 in the north."""
    points = np.asarray(points_m, np.float64)
    scaled = np.column_stack([points[:, 0] + HALF_M, HALF_M - points[:, 1]]) * PX_PER_M
    return np.asarray(np.rint(scaled - 0.5), np.int32)


@dataclass
class Ground:
    """The picture while it is painted; rgb shape (GROUND_PX, GROUND_PX, 3)."""

    material: ImageArray
    rgb: ImageArray
    slow: NDArray[np.float32]
    middle: NDArray[np.float32]

    def polygon(self, outline_m: NDArray[np.floating], rgb: tuple[int, int, int]) -> None:
        """Fill an outline with one colour, keeping none of the ground's own shades."""
        cv2.fillPoly(self.rgb, [pixels(outline_m)], rgb, cv2.LINE_AA)

    def line(self, ends_m: NDArray[np.floating], rgb: tuple[int, int, int], thick_px: int) -> None:
        """Draw a line between two points, shape (2, 2)."""
        (x0, y0), (x1, y1) = pixels(ends_m).tolist()
        cv2.line(self.rgb, (x0, y0), (x1, y1), rgb, thick_px, cv2.LINE_AA)

    def wash(
        self,
        outline_m: NDArray[np.floating],
        rgb: tuple[int, int, int],
        strength: float,
        blur_m: float,
    ) -> None:
        """Tint the ground under an outline with a soft edge and uneven strength, 0 to 1."""
        spots = pixels(outline_m)
        pad = int(3 * blur_m * PX_PER_M) + 4
        low = np.maximum(spots.min(axis=0) - pad, 0)
        high = np.minimum(spots.max(axis=0) + pad, GROUND_PX - 1)
        if np.any(high - low < 3):
            return
        mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.float32)
        cv2.fillPoly(mask, [spots - low], 1.0)
        mask = cv2.GaussianBlur(mask, (0, 0), blur_m * PX_PER_M)
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        mask = np.clip(mask * strength * (1 + 0.28 * self.middle[window]), 0, 1)[..., None]
        mixed = self.rgb[window] * (1 - mask) + mask * np.array(rgb, np.float32)
        self.rgb[window] = mixed.astype(np.uint8)


def settle(ground: Ground, triangles: NDArray[np.float32]) -> None:
    """Darken and soil the ground where things stand on it: shade of the sky, dirt along walls.

    Args:
        ground: The picture.
        triangles: Rows of the district's triangles, position first, ground not among them.
    """
    half = GROUND_PX // 2  # drawn at half size: it is blurred anyway
    rows = triangles.reshape(-1, 3, triangles.shape[1])
    leaves = rows[:, 0, 8] == Layer.LEAVES
    stands = np.concatenate([rows[~leaves], rows[leaves][::5]])[:, :, :3]  # crowns overlap anyway
    stands = stands[stands[:, :, 2].max(axis=1) > 0.3]
    spots = pixels(stands[:, :, :2].reshape(-1, 2)).reshape(-1, 3, 2) // 2
    mask = np.zeros((half, half), np.uint8)
    for triangle in spots:
        cv2.fillConvexPoly(mask, triangle, 255)
    near = cv2.GaussianBlur(mask, (0, 0), 0.5 * PX_PER_M / 2)
    wide = cv2.GaussianBlur(mask, (0, 0), 1.6 * PX_PER_M / 2)
    shade = cv2.addWeighted(near, 0.22, wide, 0.26, 0)
    shade = cv2.resize(shade, (GROUND_PX, GROUND_PX), interpolation=cv2.INTER_LINEAR)
    dirt = np.array([1.0, 1.04, 1.12], np.float32)  # blue goes first: dirt is brown
    for channel in range(3):
        plane = cv2.convertScaleAbs(shade, alpha=float(dirt[channel]))
        kept = cv2.multiply(ground.rgb[..., channel], 255 - plane, scale=1 / 255)
        ground.rgb[..., channel] = kept


def height_m(
    layout: Layout, east_m: NDArray[np.floating], north_m: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return the ground's height over the streets: flat, and lower in the river's bed."""
    distance = layout.river.distance_m(east_m, north_m)
    return np.asarray(-RIVER_DROP_M * np.clip(1 - distance / 2.4, 0, 1))
