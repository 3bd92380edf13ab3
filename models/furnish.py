"""Things laid over a picture that are none of the classes, and that the simulator does not draw.

Streets of the simulator are straight and marked, and its signs stand on shops: without these a
detector takes a plain pale surface for smoke, a kerb's curve for a plume's edge and a signboard
for a shed.  Nothing is laid where a box is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from models.data import ImageArray, Sample

Mask = NDArray[np.uint8]
_TRIES = 4  # places that are looked at before a picture stays as it is


def _is_free(mask: Mask, sample: Sample) -> bool:
    rows = sample.rows[:, 1:].clip(0).astype(int).tolist()
    return not any(
        mask[top : bottom + 1, left : right + 1].any() for left, top, right, bottom in rows
    )


def _round(rng: np.random.Generator, width: int, height: int) -> Mask:
    """Draw where a round surface lies: a disc, or a ring as of what goes round a roundabout."""
    mask = np.zeros((height, width), np.uint8)
    middle = (int(rng.integers(0, width)), int(rng.integers(0, height)))
    axes = rng.uniform(0.06, 0.55, 2) * width
    turn = float(rng.uniform(0, 180))
    cv2.ellipse(mask, (middle, (float(axes[0]), float(axes[1])), turn), 255, -1)
    if rng.random() < 0.5:
        inner = axes * rng.uniform(0.4, 0.8)
        cv2.ellipse(mask, (middle, (float(inner[0]), float(inner[1])), turn), 0, -1)
    return mask


def paved(rng: np.random.Generator, sample: Sample) -> Sample:
    """Lay a plain, mostly curved surface: forecourts, bends, roundabouts."""
    height, width = sample.image_bgr.shape[:2]
    masks = (_round(rng, width, height) for _ in range(_TRIES))
    mask = next((mask for mask in masks if _is_free(mask, sample)), None)
    if mask is None:
        return sample
    grey = rng.uniform(60, 225) + rng.normal(0, 6, 3)
    slope = np.linspace(-1, 1, width, dtype=np.float32)[None, :, None] * rng.uniform(-18, 18)
    grain = rng.standard_normal((height, width, 1), np.float32) * rng.uniform(0, 5)
    plain = np.clip(grey + slope + grain, 0, 255)
    soft = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.4, 1.2)))[..., None]
    edge = soft / 255.0  # nothing shows through: what does is smoke
    image = np.asarray(sample.image_bgr * (1 - edge) + plain * edge, np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    if rng.random() < 0.5:
        kerb = tuple(int(v) for v in np.clip(grey + rng.uniform(-70, 90), 0, 255))
        cv2.drawContours(image, outlines, -1, kerb, int(rng.integers(1, 3)), cv2.LINE_AA)
    if rng.random() < 0.3:
        _mark_lanes(rng, image, outlines)
    return Sample(image, sample.rows)


def _mark_lanes(rng: np.random.Generator, image: ImageArray, outlines: Sequence[Any]) -> None:
    """Draw white dashes along curves."""
    dash, gap = int(rng.integers(4, 16)), int(rng.integers(3, 14))
    white, thick = int(rng.integers(190, 256)), int(rng.integers(1, 3))
    for outline in outlines:
        for start in range(0, len(outline) - dash, dash + gap):
            stroke = [outline[start : start + dash]]
            cv2.polylines(image, stroke, False, (white, white, white), thick, cv2.LINE_AA)


def signposted(rng: np.random.Generator, sample: Sample) -> Sample:
    """Put up signboards on posts, one of them or a few in a row, as they stand along roads."""
    height, width = sample.image_bgr.shape[:2]
    image: ImageArray = sample.image_bgr.copy()
    side = float(np.exp(rng.uniform(np.log(7), np.log(60))))
    left, top = rng.uniform(0, width), rng.uniform(0, height)
    for _ in range(int(rng.integers(1, 4))):
        wide, tall = side * rng.uniform(0.5, 1.6), side * rng.uniform(0.4, 1.8)
        skew = rng.uniform(-0.35, 0.35) * tall
        far = skew + tall * rng.uniform(0.85, 1.15)
        upright = np.array([[0, 0], [wide, skew], [wide, far], [0, tall]])
        corners = upright + np.array([left, top])
        left += wide * rng.uniform(1.1, 3.0)
        foot = tall * rng.uniform(0.1, 1.5)
        _put_board(rng, image, sample, (corners, foot))
    return Sample(image, sample.rows)


def _put_board(
    rng: np.random.Generator,
    image: ImageArray,
    sample: Sample,
    board: tuple[NDArray[np.float64], float],
) -> None:
    """Draw one board where no box is.

    Args:
        rng: Draws.
        image: Drawn on.
        sample: Whose boxes are kept clear.
        board: Corners from the upper left clockwise, shape (4, 2), and how long its posts are, px.
    """
    corners, foot = board
    mask = np.zeros(image.shape[:2], np.uint8)
    outline = np.rint(corners).astype(np.int32)
    posts = outline[[2, 3]]
    cv2.fillConvexPoly(mask, outline, 255)
    for post in posts:
        cv2.line(mask, post.tolist(), [int(post[0]), int(post[1] + foot)], 255, 1)
    if not _is_free(mask, sample):
        return
    ground, ink = rng.uniform(20, 235) + rng.normal(0, 35, (2, 3))
    if rng.random() < 0.7:  # most boards are white or dark
        ground = rng.choice([rng.uniform(180, 255), rng.uniform(10, 60)]) + rng.normal(0, 8, 3)
    image[mask > 0] = np.clip(ground * 0.5, 0, 255)  # posts, and the board's frame
    cv2.fillConvexPoly(image, outline, np.clip(ground, 0, 255).tolist(), cv2.LINE_AA)
    low, high = corners[0], corners[2]
    for share in np.arange(0.15, 0.85, rng.uniform(0.15, 0.4)):  # lines of writing, or a stripe
        start = corners[0] + (corners[3] - corners[0]) * share + (high - low) * [0.1, 0]
        end = start + (corners[1] - corners[0]) * rng.uniform(0.3, 0.8)
        thick = max(1, int((high - low)[1] * rng.uniform(0.04, 0.2)))
        ends = np.rint([start, end]).astype(int).tolist()
        cv2.line(image, ends[0], ends[1], np.clip(ink, 0, 255).tolist(), thick, cv2.LINE_AA)


ADDED: tuple[tuple[float, Callable[[np.random.Generator, Sample], Sample]], ...] = (
    (0.25, paved),
    (0.15, signposted),
)
