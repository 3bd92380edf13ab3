"""The changes that make each picture new every time it is shown.

They are wider than what the simulator draws, so that unseen districts, other cameras and other
codecs lie inside what was taught.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from models.data import FloatArray, ImageArray, Sample, ShardSet
from models.furnish import ADDED
from models.split import LABELS

IGNORED = -1  # class of a box that teaches nothing either way
_GREY = (114, 114, 114)  # what a letterbox is filled with
_LEAST_LEFT = 0.4  # a box that keeps less of itself than this is no longer taught
# But any large part of these is one: they have no shape, and close by they fill the picture.
SPREADING = frozenset({"discharge", "smoke", "bare_soil"})
SPREAD_SHARE = 0.12  # of the picture
_SPREADING = [LABELS.index(name) for name in sorted(SPREADING)]
_LEAST_PX = 7.0
_AIMED = 0.65  # share of the windows that are cut round a box; the others teach what is none


def turned(rng: np.random.Generator, sample: Sample) -> Sample:
    """Mirror half of the time; now and then turn by a quarter: from above there is no upright."""
    image, rows = sample.image_bgr, sample.rows.copy()
    height, width = image.shape[:2]
    if rng.random() < 0.5:
        image = image[:, ::-1]
        rows[:, [1, 3]] = width - 1 - rows[:, [3, 1]]
    if rng.random() < 0.15:
        image = image[::-1]
        rows[:, [2, 4]] = height - 1 - rows[:, [4, 2]]
    if rng.random() < 0.15:
        image = image.transpose(1, 0, 2)
        rows = rows[:, [0, 2, 1, 4, 3]]
    return Sample(np.ascontiguousarray(image), rows)


def cropped(
    rng: np.random.Generator, sample: Sample, size_wh: tuple[int, int], scales: tuple[float, float]
) -> Sample:
    """Scale a picture and cut a window out of it, mostly one with a box in it.

    Args:
        rng: Draws.
        sample: Boxes in pixel centres, as rendered.
        size_wh: Of the window; what the picture does not cover is grey.
        scales: Smallest and largest, of the rendered pixels.
    """
    image, rows = sample.image_bgr, sample.rows
    scale = float(np.exp(rng.uniform(*np.log(scales))))
    size = np.array(size_wh, float)
    room = size - np.array(image.shape[1::-1]) * scale
    shift = rng.uniform(np.minimum(room, 0), np.maximum(room, 0))
    taught = rows[rows[:, 0] >= 0]
    if len(taught) and rng.random() < _AIMED:
        box = taught[int(rng.integers(len(taught)))]
        middle = (box[1:3] + box[3:5]) / 2 * scale
        wanted = size * rng.uniform(0.15, 0.85, 2) - middle
        shift = np.clip(wanted, np.minimum(room, 0), np.maximum(room, 0))
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    flags = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR
    out = cv2.warpAffine(image, matrix, size_wh, flags=flags, borderValue=_GREY)
    flat = rows.copy()
    flat[:, 1:] = flat[:, 1:] * scale + np.tile(shift, 2)
    return Sample(np.asarray(out, np.uint8), _cut(flat, size_wh))


def _cut(rows: FloatArray, size_wh: tuple[int, int]) -> FloatArray:
    """Cut boxes at the edge, in corner coordinates; ignore those that lost most of themselves."""
    width, height = size_wh
    area = np.maximum((rows[:, 3] - rows[:, 1]) * (rows[:, 4] - rows[:, 2]), 1e-3)
    cut = rows.copy()
    cut[:, 1:] += 0.5  # pixel centres to pixel corners, which the net speaks
    cut[:, [1, 3]] = cut[:, [1, 3]].clip(0, width)
    cut[:, [2, 4]] = cut[:, [2, 4]].clip(0, height)
    sides = cut[:, 3:5] - cut[:, 1:3]
    left = sides.prod(axis=1) / area
    spreads = np.isin(cut[:, 0], _SPREADING) & (sides.prod(axis=1) > SPREAD_SHARE * width * height)
    cut[((left < _LEAST_LEFT) & ~spreads) | (sides.max(axis=1) < _LEAST_PX), 0] = IGNORED
    return np.asarray(cut[(sides.min(axis=1) > 2) & ((left > 0.05) | spreads)], np.float32)


def mosaic(
    rng: np.random.Generator,
    samples: list[Sample],
    size_wh: tuple[int, int],
    scales: tuple[float, float],
) -> Sample:
    """Put windows of four pictures around a random point: more to learn from one step."""
    width, height = size_wh
    col, row = int(width * rng.uniform(0.3, 0.7)), int(height * rng.uniform(0.3, 0.7))
    corners = ((0, 0, col, row), (col, 0, width, row), (0, row, col, height))
    image = np.empty((height, width, 3), np.uint8)
    kept = []
    for sample, (left, top, right, bottom) in zip(
        samples, (*corners, (col, row, width, height)), strict=True
    ):
        part = cropped(rng, sample, (right - left, bottom - top), scales)
        image[top:bottom, left:right] = part.image_bgr
        kept.append(part.rows + np.array([0, left, top, left, top], np.float32))
    return Sample(image, np.concatenate(kept))


def _toned(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Change exposure, contrast, gamma and the balance of the channels, by one table each."""
    values = np.arange(256, dtype=np.float32) / 255
    gains = rng.uniform(0.88, 1.12, 3) * rng.uniform(0.7, 1.25)
    toned = values[:, None] ** float(np.exp(rng.normal(0, 0.22))) * gains
    toned = (toned - 0.5) * rng.uniform(0.7, 1.3) + 0.5 + rng.normal(0, 0.04)
    table = np.clip(toned * 255, 0, 255).astype(np.uint8).reshape(1, 256, 3)
    return np.asarray(cv2.LUT(image, table), np.uint8)


def _coloured(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Turn the hues a little, and change how vivid they are."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    steps = np.arange(256)
    hue = ((steps + rng.normal(0, 5.0)) % 180).astype(np.uint8)
    vivid = np.clip(steps * rng.uniform(0.35, 1.6), 0, 255).astype(np.uint8)
    table = np.dstack([hue, vivid, steps.astype(np.uint8)]).reshape(1, 256, 3)
    return np.asarray(cv2.cvtColor(cv2.LUT(hsv, table), cv2.COLOR_HSV2BGR), np.uint8)


def _veiled(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Lay haze over the picture, more of it towards one side, as towards the horizon."""
    height = image.shape[0]
    top, bottom = rng.uniform(0, 0.5, 2)
    veil = np.linspace(top, bottom, height, dtype=np.float32)[:, None, None]
    air = np.array(rng.uniform(150, 235) + rng.normal(0, 6, 3), np.float32)
    return np.asarray(image * (1 - veil) + air * veil, np.uint8)


def _grained(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Add a sensor's noise, of brightness mostly."""
    height, width = image.shape[:2]
    shape = (height, width, 1 if rng.random() < 0.7 else 3)
    grain = rng.standard_normal(shape, np.float32) * float(rng.uniform(1, 7))
    grain = np.broadcast_to(grain, (height, width, 3)).astype(np.int16)
    return np.asarray(cv2.add(image, grain, dtype=cv2.CV_8U), np.uint8)


def _focused(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Blur or sharpen: real cameras do the latter inside."""
    soft = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 1.3)))
    if rng.random() < 0.5:
        return np.asarray(soft, np.uint8)
    return np.asarray(cv2.addWeighted(image, 1 + (k := rng.uniform(0.3, 1.5)), soft, -k, 0))


def _coded(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Squeeze through a codec."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(14, 75))]
    coded = cv2.imencode(".jpg", image, quality)[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)


def _overlaid(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Draw what ground stations draw into pictures: frames, text, a cross."""
    out: ImageArray = image.copy()
    height, width = out.shape[:2]
    for _ in range(int(rng.integers(1, 5))):
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        at = (int(rng.integers(0, width)), int(rng.integers(0, height)))
        to = (at[0] + int(rng.integers(6, 90)), at[1] + int(rng.integers(6, 60)))
        if rng.random() < 0.6:
            cv2.rectangle(out, at, to, colour, 1)
        else:
            text = "".join(chr(int(c)) for c in rng.integers(48, 91, int(rng.integers(2, 14))))
            size = float(rng.uniform(0.3, 0.9))
            cv2.putText(out, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1)
    return out


def _holed(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Hide a few small patches."""
    out: ImageArray = image.copy()
    height, width = out.shape[:2]
    for _ in range(int(rng.integers(1, 5))):
        left, top = int(rng.integers(0, width)), int(rng.integers(0, height))
        side = rng.integers(6, 40, 2)
        patch = out[top : top + int(side[1]), left : left + int(side[0])]
        patch[:] = rng.integers(0, 256, 3)
    return out


_CHANGES = (
    (0.8, _toned),
    (0.7, _coloured),
    (0.15, _veiled),
    (0.1, _holed),
    (0.3, _focused),
    (0.35, _grained),
    (0.07, _overlaid),
    (0.25, _coded),
)
_AS_DRAWN = 0.25  # share of the pictures whose colours stay: the simulator's own skies vary too


def repainted(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Change light, colour, sharpness, grain and codec of a picture; shape and boxes stay."""
    if rng.random() < _AS_DRAWN:
        return image
    for chance, change in _CHANGES:
        if rng.random() < chance:
            image = change(rng, image)
    if rng.random() < 0.02:
        image = np.repeat(image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    return image


@dataclass(frozen=True)
class Lesson:
    """How pictures are shown.

    Attributes:
        size_wh: Of the net's input.
        scales: Smallest and largest zoom, of the rendered pixels.
        mosaic_share: How often four pictures are put into one.
    """

    size_wh: tuple[int, int]
    scales: tuple[float, float] = (0.6, 1.6)
    mosaic_share: float = 0.3


def teach_sample(rng: np.random.Generator, shards: ShardSet, lesson: Lesson) -> Sample:
    """Draw one changed picture at the lesson's size, its boxes in corner coordinates."""

    def drawn(count: int) -> list[Sample]:
        picks = shards.draw(rng, count)
        return [turned(rng, Sample(shards.images[i], shards.rows[i])) for i in picks]

    if rng.random() < lesson.mosaic_share:
        shown = mosaic(rng, drawn(4), lesson.size_wh, lesson.scales)
    else:
        shown = cropped(rng, drawn(1)[0], lesson.size_wh, lesson.scales)
    for chance, add in ADDED:
        if rng.random() < chance:
            shown = add(rng, shown)
    return Sample(repainted(rng, shown.image_bgr), shown.rows)
