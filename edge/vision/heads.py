"""Output heads: from a model's raw numbers to candidate boxes in the input's pixels.

Every head filters by score before it decodes a box: of thousands of rows, a handful survive.
Scores that are NaN fail the comparison and are counted; boxes that are not finite are dropped by
the detector, after decoding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What a head found in one picture, before NMS.

    Attributes:
        boxes_xyxy: Shape (N, 4), input pixels from the corner of the first one, not clipped.
        scores: Shape (N,), at least the minimum asked for.
        classes: Shape (N,), index of the best class.
        n_not_a_number: Rows whose score was NaN.
    """

    boxes_xyxy: Array
    scores: Array
    classes: Array
    n_not_a_number: int = 0


class Head(Protocol):
    """Reads one layout.  Holds no state between calls."""

    needs_nms: bool
    n_classes: int | None  # None: the layout does not say

    def decode(self, outputs: Sequence[Array], min_score: float) -> Candidates: ...


class AnchorFirstHead:
    """`yolov5`: [1, N, 5 + classes]; cx, cy, w, h px, objectness, class scores."""

    needs_nms = True

    def __init__(self, n_classes: int) -> None:
        self.n_classes: int | None = n_classes

    def decode(self, outputs: Sequence[Array], min_score: float) -> Candidates:
        raw = outputs[0][0]
        best = _best_rows(raw, min_score)
        boxes = _xyxy_from_centres(raw[best.indices, :4])
        return Candidates(boxes, best.scores, best.classes, best.n_not_a_number)


class ClassFirstHead:
    """`yolov8`: [1, 4 + classes, N], or [1, N, 4 + classes]; cx, cy, w, h px, class scores."""

    needs_nms = True

    def __init__(self, n_classes: int, is_rows_first: bool) -> None:
        self.n_classes: int | None = n_classes
        self._is_rows_first = is_rows_first

    def decode(self, outputs: Sequence[Array], min_score: float) -> Candidates:
        columns = outputs[0][0].T if self._is_rows_first else outputs[0][0]
        best = columns[4:].max(axis=0)
        chosen = (best >= min_score).nonzero()[0]
        kept = columns[:, chosen]
        boxes = _xyxy_from_centres(kept[:4].T)
        return Candidates(boxes, best[chosen], kept[4:].argmax(axis=0), _n_nan(best))


class EndToEndHead:
    """`end2end`: [1, N, 6]; x1, y1, x2, y2 px, score, class; duplicates are already gone."""

    needs_nms = False
    n_classes: int | None = None

    def decode(self, outputs: Sequence[Array], min_score: float) -> Candidates:
        rows = outputs[0][0]
        kept = rows[rows[:, 4] >= min_score]
        # A class that is NaN becomes -1, which no label has.
        classes = np.rint(np.nan_to_num(kept[:, 5], nan=-1.0, posinf=-1.0, neginf=-1.0))
        n_bad = _n_nan(rows[:, 4])
        return Candidates(kept[:, :4], kept[:, 4], classes.astype(np.int64), n_bad)


class RawGridHead:
    """`yolox`: [1, N, 5 + classes] on a raw grid; objectness × class.

    xy = (p + cell) · stride, wh = exp(p) · stride (YOLOX, `demo_postprocess`).
    """

    needs_nms = True

    def __init__(
        self, n_classes: int, input_wh_px: tuple[int, int], strides: Sequence[int]
    ) -> None:
        self.n_classes: int | None = n_classes
        self._cells, self._strides = grid_cells(input_wh_px, strides)

    def decode(self, outputs: Sequence[Array], min_score: float) -> Candidates:
        raw = outputs[0][0]
        best = _best_rows(raw, min_score)
        boxes = raw[best.indices, :4].astype(np.float64)
        strides = self._strides[best.indices]
        centres = (boxes[:, :2] + self._cells[best.indices]) * strides
        with np.errstate(over="ignore"):  # inf: dropped as not finite, and counted
            sizes = np.exp(boxes[:, 2:]) * strides
        boxes = _xyxy_from_centres(np.hstack([centres, sizes]))
        return Candidates(boxes, best.scores, best.classes, best.n_not_a_number)


@dataclass(frozen=True, slots=True)
class LevelOutputs:
    """Where one stride's numbers are among a model's outputs."""

    stride: int
    scores_index: int
    sides_index: int


class FocalHead:
    """`gfl`, `nanodet`: for each stride [(1,) N, classes] and [(1,) N, 4 · bins].

    Generalised focal loss (Li et al. 2020): each side's distance is the mean of a softmax over
    bins, in strides from the cell's centre; left, top, right, bottom.
    """

    needs_nms = True

    def __init__(
        self, n_classes: int, input_wh_px: tuple[int, int], levels: Sequence[LevelOutputs]
    ) -> None:
        self.n_classes: int | None = n_classes
        self._levels = [(level, grid_cells(input_wh_px, [level.stride])[0]) for level in levels]

    def decode(self, outputs: Sequence[Array], min_score: float) -> Candidates:
        parts = [
            self._decode_level(level, cells, outputs, min_score) for level, cells in self._levels
        ]
        return Candidates(
            np.concatenate([part.boxes_xyxy for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.classes for part in parts]),
            sum(part.n_not_a_number for part in parts),
        )

    @staticmethod
    def _decode_level(
        level: LevelOutputs, cells: Array, outputs: Sequence[Array], min_score: float
    ) -> Candidates:
        scores = outputs[level.scores_index]
        scores = scores.reshape(scores.shape[-2:])
        best = scores.max(axis=1)
        chosen = np.flatnonzero(best >= min_score)
        sides = outputs[level.sides_index]
        sides = sides.reshape(sides.shape[-2:])[chosen].astype(np.float64)
        distances = (
            _expected_bins(sides.reshape(len(chosen), 4, sides.shape[-1] // 4)) * level.stride
        )
        centres = (cells[chosen] + 0.5) * level.stride
        boxes = np.hstack([centres - distances[:, :2], centres + distances[:, 2:]])
        return Candidates(boxes, best[chosen], scores[chosen].argmax(axis=1), _n_nan(best))


def grid_cells(input_wh_px: tuple[int, int], strides: Sequence[int]) -> tuple[Array, Array]:
    """List every cell of every stride, row by row, as the heads do.

    Returns:
        Cells, shape (N, 2), x then y, in strides; strides, shape (N, 1), px.
    """
    cells, sizes = [], []
    for stride in strides:
        columns, rows = (-(-side // stride) for side in input_wh_px)  # the last cell may be cut
        y, x = np.mgrid[0:rows, 0:columns]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64))
        sizes.append(np.full((rows * columns, 1), stride, np.float64))
    return np.concatenate(cells), np.concatenate(sizes)


@dataclass(frozen=True, slots=True)
class _BestRows:
    indices: Array
    scores: Array
    classes: Array
    n_not_a_number: int


def _best_rows(raw: Array, min_score: float) -> _BestRows:
    """Choose the rows [x, x, x, x, objectness, class scores…] whose product is good enough.

    A product is never above its factor, so objectness alone throws out nearly all of them first.
    """
    objectness = raw[:, 4]
    likely = np.flatnonzero(~(objectness < min_score))  # NaN goes on, to be counted
    by_class = raw[likely, 5:] * objectness[likely, None]
    scores = by_class.max(axis=1, initial=-np.inf)
    kept = np.flatnonzero(scores >= min_score)
    return _BestRows(likely[kept], scores[kept], by_class[kept].argmax(axis=1), _n_nan(scores))


def _xyxy_from_centres(boxes_cxcywh: Array) -> Array:
    half = boxes_cxcywh[:, 2:4] * 0.5
    centres = boxes_cxcywh[:, :2]
    boxes: Array = np.concatenate((centres - half, centres + half), axis=1)
    return boxes


def _expected_bins(logits: Array) -> Array:
    """Mean bin of a softmax over the last axis; shape (N, 4, bins) → (N, 4)."""
    with np.errstate(invalid="ignore"):  # inf - inf: NaN, dropped as not finite, and counted
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    mean: Array = weights @ np.arange(logits.shape[-1]) / weights.sum(axis=-1)
    return mean


def _n_nan(scores: Array) -> int:
    if len(scores) and not np.isnan(scores.max()):  # NaN wins every maximum; mostly there is none
        return 0
    return int(np.count_nonzero(np.isnan(scores)))
