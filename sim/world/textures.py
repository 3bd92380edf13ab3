"""Tileable surface textures and noise from a seeded generator; no picture files are shipped."""

from __future__ import annotations

from enum import IntEnum

import cv2
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
ImageArray = NDArray[np.uint8]

LAYER_PX = 256  # edge of one square layer of the atlas
SIGN_ROWS = 8  # lines of lettering on the sheet of signs, each with colours of its own


class Layer(IntEnum):
    """Which layer of the texture array a triangle wears."""

    COUNTRY = -2  # not in the atlas: the picture of the country around
    GROUND = -1  # not in the atlas: the district's own ground picture
    PLAIN = 0
    TILE_ROOF = 1
    RIBBED = 2
    FLAT_ROOF = 3
    FACADE = 4
    LEAVES = 5
    RUBBISH = 6
    SOIL = 7
    SOLAR = 8
    NET = 9
    CREASED = 10
    CLOUD = 11
    SIGNS = 12


def fractal(
    rng: np.random.Generator, size_px: int, coarse: int, octaves: int, gain: float = 0.5
) -> FloatArray:
    """Paint smooth random relief.

    Returns:
        Shape (size_px, size_px), about zero mean, unit standard deviation, tileable.
    """
    if size_px % coarse or size_px & (size_px - 1):
        raise ValueError(
            f"size_px must be a power of two that coarse divides, got {size_px}, {coarse}"
        )
    total = np.zeros((size_px, size_px), np.float32)
    amplitude = 1.0
    for octave in range(octaves):
        cells = coarse << octave
        if cells > size_px:
            break
        grid = rng.standard_normal((cells, cells)).astype(np.float32)
        wrapped = np.pad(grid, 2, mode="wrap")
        step = size_px // cells
        big = cv2.resize(
            wrapped, ((cells + 4) * step, (cells + 4) * step), interpolation=cv2.INTER_CUBIC
        )
        total += amplitude * big[2 * step : -2 * step, 2 * step : -2 * step]
        amplitude *= gain
    return np.asarray((total - total.mean()) / (total.std() + 1e-6), np.float32)


def _grey(values: FloatArray) -> ImageArray:
    return np.repeat(np.clip(values, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def _plain(rng: np.random.Generator) -> ImageArray:
    return _grey(np.float32(215) + 14 * fractal(rng, LAYER_PX, 4, 7, 0.8))


def _slates(rng: np.random.Generator) -> ImageArray:
    """Lay flat slates in courses, every one of its own grey, joints staggered."""
    image = np.zeros((LAYER_PX, LAYER_PX), np.float32)
    for course in range(LAYER_PX // 12 + 1):
        shades = np.repeat(rng.normal(196, 16, LAYER_PX // 16), 16)
        row = np.roll(shades, 8 * (course % 2)).astype(np.float32)
        row[(np.arange(LAYER_PX) + 8 * (course % 2)) % 16 == 0] -= 45
        image[course * 12 : course * 12 + 12] = row
        image[course * 12 : course * 12 + 2] -= 55
    return _grey(np.asarray(image + 7 * fractal(rng, LAYER_PX, 4, 5, 0.7), np.float32))


def _pantiles(rng: np.random.Generator) -> ImageArray:
    """Lay deep round tiles whose rows run down the slope."""
    rows = np.arange(LAYER_PX, dtype=np.float32)[:, None]
    cols = np.arange(LAYER_PX, dtype=np.float32)[None, :]
    wave = np.abs(np.sin(cols * np.pi / 12))
    value = 140 + 90 * wave - 40 * ((rows % 26) > 22)
    blotch = rng.standard_normal((11, 22)).astype(np.float32)
    spots = cv2.resize(blotch, (LAYER_PX, LAYER_PX), interpolation=cv2.INTER_NEAREST)
    grown = fractal(rng, LAYER_PX, 4, 5, 0.7)
    return _grey(np.asarray(value + 13 * spots + 9 * grown, np.float32))


def _brick_wall(rng: np.random.Generator) -> ImageArray:
    """Lay bricks about tall windows with bars."""
    rows, cols = np.mgrid[0:LAYER_PX, 0:LAYER_PX]
    mortar = (rows % 8 < 1) | ((cols + 8 * (rows // 8 % 2)) % 16 < 1)
    tone = cv2.resize(rng.normal(0, 15, (32, 16)).astype(np.float32), (LAYER_PX, LAYER_PX))
    image = _grey(np.asarray(204 + tone + 18 * mortar, np.float32))
    for col in range(3):
        left = 18 + 85 * col
        for top in (26, 154):
            cv2.rectangle(image, (left, top), (left + 42, top + 84), (46, 54, 58), -1)
            cv2.rectangle(image, (left - 3, top + 84), (left + 45, top + 90), (226, 222, 214), -1)
            for bar in range(top, top + 84, 21):
                cv2.line(image, (left, bar), (left + 42, bar), (170, 170, 166), 1)
    return image


def _shuttered_wall(rng: np.random.Generator) -> ImageArray:
    """Plaster a wall about small windows with open shutters, stained below them."""
    image = _grey(np.asarray(222 + 8 * fractal(rng, LAYER_PX, 4, 6, 0.7), np.float32))
    for col in range(2):
        for top in (40, 168):
            left, shade = 44 + 128 * col, int(rng.integers(70, 130))
            cv2.rectangle(image, (left, top), (left + 36, top + 52), (42, 46, 50), -1)
            for side in (left - 19, left + 37):
                leaf = (shade // 2, shade, shade - 20)
                cv2.rectangle(image, (side, top), (side + 17, top + 52), leaf, -1)
            cv2.line(image, (left + 18, top + 56), (left + 18, top + 90), (196, 192, 184), 5)
    return image


def _tile_roof(rng: np.random.Generator) -> ImageArray:
    rows = np.arange(LAYER_PX, dtype=np.float32)[:, None]
    cols = np.arange(LAYER_PX, dtype=np.float32)[None, :]
    course = (rows % 16) / 16  # a lap shadow under each course of tiles
    wave = np.cos(cols * 2 * np.pi / 16)
    blotch = cv2.resize(
        rng.standard_normal((16, 16)).astype(np.float32), (LAYER_PX, LAYER_PX), interpolation=0
    )
    value = 205 - 75 * (course > 0.8) + 22 * wave + 10 * blotch
    return _grey(np.asarray(value + 10 * fractal(rng, LAYER_PX, 4, 5, 0.7), np.float32))


def _ribbed(rng: np.random.Generator) -> ImageArray:
    cols = np.arange(LAYER_PX, dtype=np.float32)[None, :]
    phase = (cols % 32) / 32
    rib = np.where(phase < 0.18, 245.0, np.where(phase < 0.36, 130.0, 215.0))
    dirt = fractal(rng, LAYER_PX, 2, 5, 0.6)
    return _grey(np.asarray(rib + 7 * dirt, np.float32))


def _flat_roof(rng: np.random.Generator) -> ImageArray:
    value = 205 + 16 * fractal(rng, LAYER_PX, 2, 7, 0.7)
    image = _grey(np.asarray(value, np.float32))
    for at in range(0, LAYER_PX, 64):
        cv2.line(image, (at, 0), (at, LAYER_PX), (165, 165, 165), 1)
        cv2.line(image, (0, at), (LAYER_PX, at), (172, 172, 172), 1)
    return image


def _facade(rng: np.random.Generator) -> ImageArray:
    image = _grey(np.asarray(222 + 6 * fractal(rng, LAYER_PX, 4, 5), np.float32))
    for row in range(2):
        for col in range(2):
            x, y = col * 128 + 34, row * 128 + 30
            shade = int(rng.integers(40, 85))
            cv2.rectangle(image, (x, y), (x + 60, y + 66), (shade, shade + 10, shade + 16), -1)
            cv2.rectangle(image, (x, y), (x + 60, y + 66), (235, 235, 235), 3)
            cv2.line(image, (x + 30, y), (x + 30, y + 66), (225, 225, 225), 3)
    return image


def _leaves(rng: np.random.Generator) -> ImageArray:
    value = 128 + 38 * fractal(rng, LAYER_PX, 8, 5, 0.9)
    image = _grey(np.asarray(value, np.float32))
    for _ in range(1400):
        x, y = (int(v) for v in rng.integers(0, LAYER_PX, 2))
        shade = int(np.clip(rng.normal(150, 55), 25, 255))
        axes = (int(rng.integers(2, 6)), int(rng.integers(1, 4)))
        cv2.ellipse(image, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, (shade,) * 3, -1)
    return image


_LITTER_RGB = (
    (228, 226, 220),
    (84, 112, 152),
    (156, 84, 76),
    (188, 172, 112),
    (60, 60, 62),
    (214, 210, 202),
    (150, 126, 100),
    (200, 198, 194),
    (92, 122, 98),
    (120, 98, 80),
    (170, 164, 154),
    (134, 122, 108),
)


def _rubbish(rng: np.random.Generator) -> ImageArray:
    value = 112 + 26 * fractal(rng, LAYER_PX, 4, 6, 0.8)
    image = np.asarray(_grey(np.asarray(value, np.float32)) * np.array([1.0, 0.93, 0.84])).astype(
        np.uint8
    )
    for _ in range(900):
        centre = rng.uniform(0, LAYER_PX, 2)
        colour = _LITTER_RGB[int(rng.integers(len(_LITTER_RGB)))]
        corners = centre + rng.normal(0, rng.uniform(2.5, 9), (4, 2))
        shade = float(rng.uniform(0.7, 1.05))
        fill = tuple(int(min(255, c * shade)) for c in colour)
        cv2.fillConvexPoly(image, cv2.convexHull(corners.astype(np.int32)), fill)
    return image


def _soil(rng: np.random.Generator) -> ImageArray:
    image = _grey(np.asarray(185 + 28 * fractal(rng, LAYER_PX, 4, 7, 0.8), np.float32))
    for _ in range(350):
        x, y = (int(v) for v in rng.integers(0, LAYER_PX, 2))
        shade = int(rng.integers(95, 245))
        cv2.circle(image, (x, y), int(rng.integers(1, 5)), (shade,) * 3, -1)
    return image


def _solar(rng: np.random.Generator) -> ImageArray:
    image = _grey(np.asarray(52 + 4 * fractal(rng, LAYER_PX, 4, 4), np.float32))
    image = np.asarray(image * np.array([0.62, 0.8, 1.45])).clip(0, 255).astype(np.uint8)
    for at in range(0, LAYER_PX, 32):
        cv2.line(image, (at, 0), (at, LAYER_PX), (90, 104, 130), 1)
        cv2.line(image, (0, at), (LAYER_PX, at), (90, 104, 130), 1)
    for at in range(0, LAYER_PX, 128):
        cv2.line(image, (at, 0), (at, LAYER_PX), (205, 208, 212), 4)
        cv2.line(image, (0, at), (LAYER_PX, at), (205, 208, 212), 4)
    return image


def _net(rng: np.random.Generator) -> ImageArray:
    image = _grey(np.asarray(150 + 20 * fractal(rng, LAYER_PX, 4, 6, 0.7), np.float32))
    for at in range(0, LAYER_PX, 64):
        cv2.line(image, (at, 0), (at + 9, LAYER_PX), (110, 110, 110), 3)
    return np.asarray(image * np.array([0.42, 0.92, 0.5])).astype(np.uint8)


def _creased(rng: np.random.Generator) -> ImageArray:
    relief = fractal(rng, LAYER_PX, 4, 5, 0.6)
    slope = cv2.Sobel(relief, cv2.CV_32F, 1, 1, ksize=5)
    slope = slope / (np.abs(slope).max() + 1e-6)
    return _grey(np.asarray(205 + 12 * relief + 90 * slope, np.float32))


def _cloud(rng: np.random.Generator) -> ImageArray:
    return _grey(np.asarray(128 + 46 * fractal(rng, LAYER_PX, 4, 6, 0.6), np.float32))


# Board and letters of each line.
SIGN_RGB = (
    ((208, 24, 30), (250, 246, 236)),
    ((26, 84, 192), (246, 248, 250)),
    ((206, 20, 120), (252, 226, 60)),
    ((238, 236, 230), (200, 26, 30)),
    ((244, 204, 32), (196, 28, 26)),
    ((24, 122, 70), (246, 246, 240)),
    ((30, 32, 42), (244, 214, 120)),
    ((236, 238, 240), (30, 76, 160)),
)


def _signs(rng: np.random.Generator) -> ImageArray:
    """Letter boards with strokes that look like writing and say nothing, a line to each board."""
    image = np.zeros((LAYER_PX, LAYER_PX, 3), np.uint8)
    cell = LAYER_PX // SIGN_ROWS
    for row, (board, letters) in enumerate(SIGN_RGB):
        image[row * cell : (row + 1) * cell] = board
        for col in range(LAYER_PX // cell):
            if rng.random() < 0.08:
                continue
            corner = np.array([col * cell, row * cell])
            for _ in range(int(rng.integers(6, 10))):
                start = rng.integers(5, cell - 5, 2)
                end = start.copy()
                axis = int(rng.integers(3))
                if axis < 2:  # a stroke along or down; it spans most of its cell
                    start[axis], end[axis] = rng.integers(4, 11), rng.integers(cell - 13, cell - 4)
                else:
                    end = np.clip(start + rng.integers(-8, 9, 2), 4, cell - 5)
                ends = (corner + start).tolist(), (corner + end).tolist()
                cv2.line(image, *ends, letters, 2, cv2.LINE_AA)
    return image


_PAINTERS = {
    Layer.PLAIN: _plain,
    Layer.TILE_ROOF: _tile_roof,
    Layer.RIBBED: _ribbed,
    Layer.FLAT_ROOF: _flat_roof,
    Layer.FACADE: _facade,
    Layer.LEAVES: _leaves,
    Layer.RUBBISH: _rubbish,
    Layer.SOIL: _soil,
    Layer.SOLAR: _solar,
    Layer.NET: _net,
    Layer.CREASED: _creased,
    Layer.CLOUD: _cloud,
    Layer.SIGNS: _signs,
}


# Patterns that only one look wears: what an examined family shows was never trained on.
_LOOKS = {
    "common": _PAINTERS,
    "brick": _PAINTERS | {Layer.TILE_ROOF: _slates, Layer.FACADE: _brick_wall},
    "pantile": _PAINTERS | {Layer.TILE_ROOF: _pantiles, Layer.FACADE: _shuttered_wall},
}


def paint_atlas(rng: np.random.Generator, look: str = "common") -> ImageArray:
    """Paint every atlas layer in a family's look; shape (layers, LAYER_PX, LAYER_PX, 3), RGB."""
    layers = [layer for layer in Layer if layer >= 0]
    return np.stack([_LOOKS[look][layer](rng) for layer in layers])


def paint_detail(rng: np.random.Generator, size_px: int = 512) -> ImageArray:
    """Paint the ground's fine detail, tileable; shape (size_px, size_px, 4), mean about 128.

    Channels: grains of asphalt and concrete, blades and clumps of grass, stones and clods, and
    broad unevenness in which water gathers.
    """
    grains = 0.6 * fractal(rng, size_px, 64, 3, 1.0) + 0.4 * fractal(rng, size_px, 8, 3, 0.7)
    clumps = 0.55 * fractal(rng, size_px, 32, 4, 1.0) + 0.5 * fractal(rng, size_px, 8, 3, 0.9)
    clods = 0.4 * fractal(rng, size_px, 16, 4, 0.9) + 0.5 * _stones(rng, size_px)
    broad = fractal(rng, size_px, 4, 4, 0.55)
    planes = [128 + 44 * plane for plane in (grains, clumps, clods, broad)]
    return np.asarray(np.clip(np.dstack(planes), 0, 255), np.uint8)


def _stones(rng: np.random.Generator, size_px: int) -> FloatArray:
    """Strew stones, each lit from one side; zero mean, unit deviation, tileable."""
    relief = np.zeros((size_px, size_px), np.float32)
    spots = rng.integers(0, size_px, (size_px * 4, 2))
    for (col, row), radius in zip(spots.tolist(), rng.gamma(2.0, 1.1, len(spots)), strict=True):
        size = max(1, round(radius))
        shade = float(rng.uniform(0.4, 1.2)) * (1 if rng.random() < 0.7 else -1)
        for shift in ((0, 0), (size_px, 0), (0, size_px), (-size_px, 0), (0, -size_px)):
            cv2.circle(relief, (col + shift[0], row + shift[1]), size, shade, -1)
    return np.asarray((relief - relief.mean()) / (relief.std() + 1e-6), np.float32)
