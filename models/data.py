"""The rendered set in memory, and the changes that make each picture new every time it is shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

ImageArray = NDArray[np.uint8]
INPUT_WH = (448, 256)


@dataclass
class ShardSet:
    """Pictures and boxes of every shard in a folder; `refresh` takes in what is new there."""

    folder: Path
    part: str  # train or held
    images: list[ImageArray] = field(default_factory=list)
    rows: list[NDArray[np.float32]] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    _shares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def refresh(self) -> None:
        """Load shards that are new."""
        for path in sorted(self.folder.glob(f"{self.part}-*.npz")):
            if path.name in self.taken or path.name.endswith(".part.npz"):
                continue
            with np.load(path) as shard:
                ends = np.cumsum(shard["counts"])[:-1]
                self.images += list(shard["images"])
                self.rows += np.split(shard["rows"], ends)
            self.taken.add(path.name)

    def shares(self) -> NDArray[np.float64]:
        """Return how often each picture is shown: those with the rarer classes more often."""
        if len(self._shares) != len(self.images):
            per_label = np.bincount(
                [int(v) for rows in self.rows for v in rows[:, 0] if v >= 0], minlength=1
            )
            worth = per_label.max() / np.maximum(per_label, 1)
            best = [max((worth[int(v)] for v in r[:, 0] if v >= 0), default=0.7) for r in self.rows]
            weights = np.sqrt(np.array(best))
            self._shares = weights / weights.sum()
        return self._shares


def _warp(
    rng: np.random.Generator, image: ImageArray, rows: NDArray[np.float32]
) -> tuple[ImageArray, NDArray[np.float32]]:
    """Scale, shift and flip; boxes that end mostly outside teach nothing."""
    width, height = INPUT_WH
    base = width / image.shape[1]
    scale = base * float(np.exp(rng.uniform(np.log(0.72), np.log(1.55))))
    room = np.array([width - image.shape[1] * scale, height - image.shape[0] * scale])
    shift = rng.uniform(np.minimum(room, 0), np.maximum(room, 0))
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    flat = rows.copy()
    flat[:, 1:] = flat[:, 1:] * scale + np.tile(shift, 2)
    if rng.random() < 0.5:
        matrix[0] = [-matrix[0, 0], 0, width - 1 - matrix[0, 2]]
        flat[:, [1, 3]] = width - 1 - flat[:, [3, 1]]
    if rng.random() < 0.2:
        matrix[1] = [0, -matrix[1, 1], height - 1 - matrix[1, 2]]
        flat[:, [2, 4]] = height - 1 - flat[:, [4, 2]]
    out = cv2.warpAffine(
        image, matrix, INPUT_WH, flags=cv2.INTER_LINEAR, borderValue=(114, 114, 114)
    )
    return np.asarray(out, np.uint8), _cut(flat)


def _cut(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut boxes at the edge, in corner coordinates; ignore those that lost most of themselves."""
    width, height = INPUT_WH
    area = np.maximum((rows[:, 3] - rows[:, 1]) * (rows[:, 4] - rows[:, 2]), 1e-3)
    cut = rows.copy()
    cut[:, 1:] += 0.5  # pixel centres to pixel corners, which the net speaks
    cut[:, [1, 3]] = cut[:, [1, 3]].clip(0, width)
    cut[:, [2, 4]] = cut[:, [2, 4]].clip(0, height)
    sides = cut[:, 3:5] - cut[:, 1:3]
    left = sides.prod(axis=1) / area
    cut[(left < 0.4) | (sides.max(axis=1) < 6), 0] = -1
    return np.asarray(cut[(sides.min(axis=1) > 2) & (left > 0.05)], np.float32)


def _repaint(rng: np.random.Generator, image: ImageArray) -> ImageArray:
    """Change light, colour, sharpness and grain."""
    picture = image.astype(np.float32)
    gains = rng.uniform(0.9, 1.1, 3) * rng.uniform(0.7, 1.3)
    picture = (picture - 128) * rng.uniform(0.75, 1.25) + 128
    picture *= gains.astype(np.float32)
    grey = picture.mean(axis=2, keepdims=True)
    picture = grey + (picture - grey) * rng.uniform(0.55, 1.35)
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.4, 1.1)))
    if rng.random() < 0.4:
        picture += rng.normal(0, rng.uniform(1, 7), (*picture.shape[:2], 1))
    return np.asarray(np.clip(picture, 0, 255), np.uint8)


def teach_sample(
    rng: np.random.Generator, image: ImageArray, rows: NDArray[np.float32]
) -> tuple[ImageArray, NDArray[np.float32]]:
    """Return one changed picture, BGR at INPUT_WH, and its boxes in corner coordinates."""
    warped, boxes = _warp(rng, image, rows)
    return _repaint(rng, warped), boxes
