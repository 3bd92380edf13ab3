"""Earth: patches painted into the ground picture, wheel tracks on them, heaps, sheets laid over."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.world.finds import Finds, FloatArray
from sim.world.ground import GROUND_PX, PX_PER_M, pixels
from sim.world.mesh import Footprint, MeshBuilder, Rgb, Skin
from sim.world.textures import Layer, fractal

Tones = tuple[tuple[int, int, int], tuple[int, int, int]]  # moist and dry, or low and high

EARTH_TONES: tuple[Tones, ...] = (
    ((132, 90, 76), (172, 126, 106)),  # red
    ((160, 116, 90), (196, 154, 124)),  # orange
    ((100, 80, 66), (138, 114, 96)),  # dark brown
    ((124, 110, 98), (164, 150, 134)),  # grey brown
    ((156, 134, 104), (196, 176, 144)),  # loam
    ((118, 82, 70), (176, 144, 128)),  # clay, dried pale
)
_NOISE_PX = 512


@dataclass
class Patch:
    """A painted piece of ground: its window in the picture, and how much of each pixel it is."""

    finds: Finds
    low: NDArray[np.int32]  # first column and row
    mask: NDArray[np.float32]  # shape (rows, columns), 0 to 1
    noise: NDArray[np.float32]  # of the same shape, unit deviation

    @property
    def _window(self) -> tuple[slice, slice]:
        rows, cols = self.mask.shape
        return slice(self.low[1], self.low[1] + rows), slice(self.low[0], self.low[0] + cols)

    def mix(self, rgb: NDArray[np.floating], share: NDArray[np.floating]) -> None:
        """Mix a colour, shape (3,) or (rows, columns, 3), in; share has shape (rows, columns)."""
        picture = self.finds.ground.rgb
        weight = np.clip(share * self.mask, 0, 1)[..., None]
        mixed = picture[self._window] * (1 - weight) + np.asarray(rgb, np.float32) * weight
        picture[self._window] = np.clip(mixed, 0, 255).astype(np.uint8)

    def canvas(self) -> NDArray[np.float32]:
        """Return an empty canvas of the patch's size, to draw on and then mix in."""
        return np.zeros(self.mask.shape, np.float32)

    def local(self, points_m: FloatArray) -> NDArray[np.int32]:
        """Turn east north metres, shape (N, 2), into the canvas's pixels."""
        return np.asarray(pixels(points_m) - self.low, np.int32)


def lay_patch(finds: Finds, outline_m: FloatArray, tones: Tones, ragged_m: float = 0.6) -> Patch:
    """Paint an outline in tones that run into each other, with a ragged edge."""
    rng = finds.site.rng
    spots, pad = pixels(outline_m), int(3 * ragged_m * PX_PER_M) + 3
    low = np.clip(spots.min(axis=0) - pad, 0, GROUND_PX - 2).astype(np.int32)
    high = np.clip(spots.max(axis=0) + pad, low + 2, GROUND_PX)
    shape = (int(high[1] - low[1]), int(high[0] - low[0]))
    tile = fractal(rng, _NOISE_PX, 8, 6, 0.62)
    noise = np.take(
        np.take(tile, np.arange(shape[0]) % _NOISE_PX, 0), np.arange(shape[1]) % _NOISE_PX, 1
    )
    flat = np.zeros(shape, np.float32)
    cv2.fillPoly(flat, [spots - low], 1.0)
    soft = cv2.GaussianBlur(flat, (0, 0), max(ragged_m * PX_PER_M, 0.8))
    mask = np.clip((soft - 0.5 + 0.16 * noise) * 5 + 0.5, 0, 1).astype(np.float32)
    patch = Patch(finds, low, mask, noise)
    share = np.clip(0.5 + 0.36 * noise, 0, 1)[..., None]
    grain = 1 + 0.05 * rng.standard_normal(shape).astype(np.float32)[..., None]
    first, second = (np.array(tone, np.float32) for tone in tones)
    patch.mix((first * (1 - share) + second * share) * grain, np.full(shape, 0.97, np.float32))
    return patch


def bent_line(rng: np.random.Generator, foot: Footprint, bend: float = 0.18) -> FloatArray:
    """Draw a smooth line through a rectangle, shape (24, 2)."""
    ends = rng.uniform(-0.5, 0.5, (2, 2)) * [foot.length_m, foot.width_m]
    share = np.linspace(0, 1, 24)[:, None]
    along = ends[1] - ends[0]
    across = np.array([-along[1], along[0]])
    curve = bend * rng.normal() * np.sin(np.pi * share) + 0.4 * bend * rng.normal() * np.sin(
        2 * np.pi * share
    )
    return foot.place(ends[0] + share * along + curve * across)


def roll_tracks(patch: Patch, foot: Footprint, count: int, tread: float = 0.3) -> None:
    """Let machines and lorries leave their tracks, darker in the rut and paler beside it."""
    rng = patch.finds.site.rng
    ruts, berms = patch.canvas(), patch.canvas()
    for _ in range(count):
        line = bent_line(rng, foot)
        along = np.gradient(line, axis=0)
        across = np.column_stack([-along[:, 1], along[:, 0]])
        across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
        gauge, thick = float(rng.uniform(0.9, 1.2)), int(rng.integers(3, 6))
        for side in (-gauge, gauge):
            points = patch.local(line + side * across)
            cv2.polylines(berms, [points], False, 0.6, thick + 4, cv2.LINE_AA)
            cv2.polylines(ruts, [points], False, float(rng.uniform(0.5, 1)), thick, cv2.LINE_AA)
    rut, berm = cv2.GaussianBlur(ruts, (0, 0), 1.0), cv2.GaussianBlur(berms, (0, 0), 1.6)
    broken = np.clip(0.75 + 0.5 * patch.noise, 0, 1)
    patch.mix(np.array([214, 196, 172]), 0.35 * tread * np.clip(berm - rut, 0, 1) * broken)
    patch.mix(np.array([62, 46, 36]), tread * rut * broken)


def blots(
    patch: Patch,
    foot: Footprint,
    count: int,
    size_m: tuple[float, float],
    shade: tuple[tuple[int, int, int], float],
) -> None:
    """Drop soft-edged uneven spots of a colour and a strength: puddles, weeds, stains, dust."""
    rng, canvas = patch.finds.site.rng, patch.canvas()
    for _ in range(count):
        spot = foot.place(rng.uniform(-0.48, 0.48, (1, 2)) * [foot.length_m, foot.width_m])
        size = rng.uniform(*size_m) * PX_PER_M * np.array([1.0, rng.uniform(0.4, 1.0)])
        axes = (max(1, int(size[0])), max(1, int(size[1])))
        centre = patch.local(spot)[0].tolist()
        cv2.ellipse(canvas, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    blurred = cv2.GaussianBlur(canvas, (0, 0), max(1.0, 0.25 * size_m[0] * PX_PER_M))
    ragged = np.clip((blurred - 0.45 + 0.2 * patch.noise) * 5, 0, 1)
    patch.mix(np.array(shade[0]), shade[1] * ragged)


def lumpy_outline(rng: np.random.Generator, foot: Footprint, rough: float = 0.1) -> FloatArray:
    """Draw a rounded, uneven outline that fills a rectangle, shape (28, 2)."""
    angles = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    cos, sin = np.cos(angles), np.sin(angles)
    power = float(rng.uniform(0.45, 0.95))  # 1 is an ellipse, 0 a rectangle
    lobes = 1 - rough * (1 + np.sin(3 * angles + rng.uniform(0, 6)) * 0.6)
    lobes -= rough * 0.5 * rng.random(28)
    x = np.sign(cos) * np.abs(cos) ** power * foot.length_m / 2 * lobes
    y = np.sign(sin) * np.abs(sin) ** power * foot.width_m / 2 * lobes
    return foot.place(np.column_stack([x, y]))


def heap(
    finds: Finds, foot: Footprint, high_m: float, skin: Skin, steep: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Heap something up with one or more tops.

    Args:
        finds: Where to.
        foot: The rectangle it fills.
        high_m: Of the highest top.
        skin: What it is of.
        steep: Below 1 round like a dome, 1 a cone, above 1 hollow like a spoil cone with a foot.

    Returns:
        Its outline (N, 2) and surface samples (K, 3).
    """
    rng, rings, spokes = finds.site.rng, 10, 28
    outline = lumpy_outline(rng, foot, 0.08)
    middle = foot.place(rng.uniform(-0.08, 0.08, (1, 2)) * [foot.length_m, foot.width_m])[0]
    share = np.linspace(0, 1, rings)[:, None]
    plane = middle + share[..., None] * (outline - middle)
    local = (plane - middle) / max(foot.length_m, foot.width_m) * 2
    up = np.clip(1 - share, 0, 1) ** steep * np.ones((1, spokes))
    for _ in range(int(rng.integers(0, 4))):  # further tops, where other loads were tipped
        top = rng.uniform(-0.5, 0.5, 2)
        away = np.hypot(local[..., 0] - top[0], local[..., 1] - top[1])
        up = np.maximum(up, rng.uniform(0.5, 0.9) * np.clip(1 - away / 0.55, 0, 1) ** steep)
    up *= high_m * (1 + rng.normal(0, 0.09, (rings, spokes)))
    up[0], up[-1] = up[0].mean(), -0.05
    grid = np.concatenate([plane, up[..., None]], axis=2)
    nxt = np.roll(grid, -1, axis=1)
    quads = np.stack([grid[:-1], grid[1:], nxt[1:], nxt[:-1]], axis=2).reshape(-1, 4, 3)
    finds.site.mesh.quads(quads, quads[..., :2] / skin.tile_m, skin.layer, skin.rgb)
    return outline, np.concatenate([grid[0, :1], *grid[2::2], grid[-1]]).reshape(-1, 3)


def mesa(
    finds: Finds, foot: Footprint, high_m: float, skin: Skin, overgrown: float = 0.0
) -> tuple[FloatArray, FloatArray]:
    """Pile earth into a dome or a flat-topped hill, with a ramp that lorries have driven up.

    Args:
        finds: Where to.
        foot: The rectangle it fills.
        high_m: Of its top.
        skin: Of the bare earth.
        overgrown: The share of it that weeds have taken, 0 to 1.

    Returns:
        Its outline (N, 2) and surface samples (K, 3).
    """
    rng, rings, spokes = finds.site.rng, 11, 40
    outline = lumpy_outline(rng, foot, 0.07)
    fine = np.linspace(0, 1, 40, endpoint=False) * len(outline)
    east, north = (np.interp(fine, np.arange(29), np.append(c, c[0])) for c in outline.T)
    edge, share = np.column_stack([east, north]), np.linspace(0, 1, rings)[:, None]
    middle = foot.place(rng.uniform(-0.06, 0.06, (1, 2)) * [foot.length_m, foot.width_m])[0]
    plane = middle + share[..., None] * (edge - middle)
    turn = np.linspace(0, 2 * np.pi, spokes, endpoint=False)[None]
    phase, slope = rng.uniform(0, 6.28, 4), float(rng.uniform(0.3, 0.95))  # share that slopes
    lumps = np.sin(3 * turn + phase[0] + 5 * share) + np.sin(5 * turn + phase[1] - 7 * share)
    rise = np.clip((1 - share) / slope, 0, 1)
    up = high_m * np.sin(rise * np.pi / 2) ** float(rng.uniform(0.8, 1.4)) * (1 + 0.05 * lumps)
    ramp = np.abs((turn - phase[2] + np.pi) % (2 * np.pi) - np.pi) < rng.uniform(0.16, 0.3)
    up = np.where(ramp, high_m * (1 - share) ** 0.9, up)
    up *= 1 + rng.normal(0, 0.025, (rings, spokes))
    up[0], up[-1] = up[0].mean(), -0.05
    grid = np.concatenate([plane, up[..., None]], axis=2)
    weeds = np.sin(2 * turn + phase[3] + 4 * share) + 0.5 * lumps + rng.normal(0, 0.5, up.shape)
    level = np.quantile(weeds, 1 - overgrown) if overgrown > 0 else np.inf
    zone = np.where(ramp, 2, np.where(weeds > level, 3, (lumps > 0).astype(int)))
    _paint_zones(finds.site.mesh, grid, zone[:-1], (skin, finds.site.family.grass_rgb))
    return edge, np.concatenate([grid[0, :1], *grid[2::2], grid[-1]]).reshape(-1, 3)


def _paint_zones(
    mesh: MeshBuilder, grid: FloatArray, zone: NDArray[np.integer],
    wears: tuple[Skin, tuple[int, int, int]],
) -> None:  # fmt: skip
    """Cover a round grid: 0 and 1 are two shades of earth, 2 trodden pale, 3 overgrown."""
    skin, green = wears
    nxt = np.roll(grid, -1, axis=1)
    quads = np.stack([grid[:-1], grid[1:], nxt[1:], nxt[:-1]], axis=2)
    leaf = (green[0] / 255 * 1.1, green[1] / 255 * 1.25, green[2] / 255 * 1.0)
    for number, gain in enumerate((1.0, 0.9, 1.16, 1.0)):
        part = quads[zone == number]
        tint: Rgb = leaf if number == 3 else (
            min(skin.rgb[0] * gain, 1.0), min(skin.rgb[1] * gain, 1.0), min(skin.rgb[2] * gain, 1.0)
        )  # fmt: skip
        layer = Layer.LEAVES if number == 3 else skin.layer
        if len(part):
            mesh.quads(part, part[..., :2] / skin.tile_m, layer, tint)


def tread_road(patch: Patch, line_m: FloatArray, wide_m: float, strength: float = 0.6) -> None:
    """Tread a haul road along a line, shape (N, 2): pale and hard, with darker ruts."""
    road, ruts = patch.canvas(), patch.canvas()
    along = np.gradient(line_m, axis=0)
    across = np.column_stack([-along[:, 1], along[:, 0]])
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    cv2.polylines(road, [patch.local(line_m)], False, 1.0, max(2, int(wide_m * PX_PER_M)))
    for side in (-1.0, 1.0):
        points = patch.local(line_m + side * across * wide_m * 0.27)
        cv2.polylines(ruts, [points], False, 1.0, 5, cv2.LINE_AA)
    soft = cv2.GaussianBlur(road, (0, 0), 3.0)
    ragged = np.clip((soft - 0.5 + 0.14 * patch.noise) * 4 + 0.5, 0, 1)
    patch.mix(np.array([208, 190, 166]), strength * ragged)
    patch.mix(np.array([96, 78, 64]), 0.4 * cv2.GaussianBlur(ruts, (0, 0), 1.5))


def blanket(finds: Finds, foot: Footprint, up_m: FloatArray, skin: Skin) -> FloatArray:
    """Lay a sheet over a rectangle.

    Args:
        finds: Where to.
        foot: The rectangle.
        up_m: Shape (rows, columns): heights of the sheet's grid points.
        skin: What it is of.

    Returns:
        The grid, shape (rows, columns, 3).
    """
    rows, cols = up_m.shape
    x, y = np.meshgrid(
        np.linspace(-0.5, 0.5, cols) * foot.length_m, np.linspace(-0.5, 0.5, rows) * foot.width_m
    )
    plane = foot.place(np.column_stack([x.ravel(), y.ravel()])).reshape(rows, cols, 2)
    grid = np.concatenate([plane, up_m[..., None]], axis=2)
    quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=2)
    quads = quads.reshape(-1, 4, 3)
    local = np.stack([x, y], axis=2)
    uv = np.stack([local[:-1, :-1], local[:-1, 1:], local[1:, 1:], local[1:, :-1]], axis=2)
    finds.site.mesh.quads(quads, uv.reshape(-1, 4, 2) / skin.tile_m, skin.layer, skin.rgb)
    return grid
