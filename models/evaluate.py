"""Scores a detector on rendered pictures: average precision, recall and precision by class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.config import InferenceConfig
from edge.records import Detection
from edge.vision.detector import OnnxDetector
from edge.vision.manifest import read_manifest
from models.data import ImageArray, ShardSet
from models.split import LABELS

FloatArray = NDArray[np.float64]
Finder = Callable[[ImageArray], FloatArray]  # rows of label, score, left, top, right, bottom
MATCH_IOU = 0.5
FLOOR = 0.05  # scores below it are not looked at
NMS_IOU = 0.4
# Of violations in the simulator's frames one in thousands lies so far within another of its class.
NMS_CONTAINED = 0.8
# Half of the simulator's law for frames twice as wide (`sim.truth.SEEN_MIN_PX`): a flight's score
# asks for nothing smaller either.
SEEN_PX = 12.0
_FREE_IOU = 0.2  # a detection that overlaps ignored ground this much is neither right nor wrong


@dataclass(frozen=True)
class LabelScore:
    """How well one class is found."""

    ap50: float
    recall: float
    precision: float
    n_true: int


@dataclass(frozen=True)
class Scores:
    """How well a detector does; recall and precision are at each label's own score."""

    map50: float
    by_label: dict[str, LabelScore]


def flying(folder: Path) -> Finder:
    """Return the detector of a folder as it flies."""
    detector = OnnxDetector(read_manifest(folder), InferenceConfig(), min_score=FLOOR)
    return lambda image: _rows(detector.detect(image))


def _rows(found: Sequence[Detection]) -> FloatArray:
    rows = [(LABELS.index(d.label), d.score, *d.box_xyxy_px) for d in found if d.label in LABELS]
    return np.array(rows, np.float64).reshape(-1, 6)


def _iou(box: FloatArray, others: FloatArray) -> FloatArray:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    both = np.clip(high - low, 0, None).prod(axis=1)
    areas = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1)
    return np.asarray(both / (areas - both + 1e-9))


def judge(found: FloatArray, truth: NDArray[np.float32], label: int) -> list[tuple[float, bool]]:
    """Say of each detection of a class whether it is right, leaving out ignored ground.

    Args:
        found: Rows of label, score, box; best score first within a label.
        truth: Rows of label or -1, box.
        label: The class.

    Returns:
        Score and whether it hit a true box of its class that nothing better had hit.
    """
    true = truth[truth[:, 0] == label, 1:].astype(np.float64)
    free = truth[truth[:, 0] < 0, 1:].astype(np.float64)
    taken = np.zeros(len(true), bool)
    out = []
    for row in found[found[:, 0] == label]:
        overlaps = _iou(row[2:], true) * ~taken if len(true) else np.zeros(0)
        if len(overlaps) and overlaps.max() >= MATCH_IOU:
            taken[overlaps.argmax()] = True
            out.append((float(row[1]), True))
        elif not (len(free) and _iou(row[2:], free).max() > _FREE_IOU):
            out.append((float(row[1]), False))
    return out


def _curve(judged: list[tuple[float, bool]], n_true: int) -> tuple[FloatArray, ...]:
    """Return scores, recall and precision, best score first."""
    ordered = sorted(judged, key=lambda pair: -pair[0])
    scores = np.array([s for s, _ in ordered])
    right = np.cumsum([ok for _, ok in ordered]) if ordered else np.zeros(0)
    return scores, right / max(n_true, 1), right / np.arange(1, len(right) + 1)


def label_score(judged: list[tuple[float, bool]], n_true: int, at_score: float) -> LabelScore:
    """Score one class from its judged detections."""
    scores, recall, precision = _curve(judged, n_true)
    if not len(scores):
        return LabelScore(0.0, 0.0, 0.0, n_true)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    ap = float(np.sum(np.diff(recall, prepend=0.0) * envelope))
    hot = int((scores >= at_score).sum())
    if not hot:
        return LabelScore(ap, 0.0, 0.0, n_true)
    return LabelScore(ap, float(recall[hot - 1]), float(precision[hot - 1]), n_true)


def best_threshold(judged: list[tuple[float, bool]], n_true: int) -> float:
    """Return the score at which precision and recall of a class together (F1) are best."""
    scores, recall, precision = _curve(judged, n_true)
    if not len(scores) or not recall.any():
        return 0.5
    f1 = 2 * recall * precision / np.maximum(recall + precision, 1e-9)
    return float(scores[f1.argmax()])


@dataclass(frozen=True)
class Judged:
    """Every detection on a set of pictures, judged, by class."""

    by_label: tuple[list[tuple[float, bool]], ...]
    n_true: tuple[int, ...]

    def scores(self, at_scores: Sequence[float]) -> Scores:
        """Score every class that the pictures hold; recall and precision at its own score."""
        by_label = {
            name: label_score(self.by_label[i], self.n_true[i], at_scores[i])
            for i, name in enumerate(LABELS)
            if self.n_true[i]
        }
        mean = float(np.mean([s.ap50 for s in by_label.values()])) if by_label else 0.0
        return Scores(mean, by_label)

    def thresholds(self) -> tuple[float, ...]:
        """Return each class's best score, for choosing on pictures that nothing is scored on."""
        return tuple(best_threshold(j, n) for j, n in zip(self.by_label, self.n_true, strict=True))


def countable(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Turn boxes that nobody could be expected to find into ignored ground."""
    out: NDArray[np.float32] = rows.copy()
    out[(rows[:, 3:5] - rows[:, 1:3]).max(axis=1, initial=0.0) < SEEN_PX, 0] = -1
    return out


def judge_all(find: Finder, pictures: ShardSet, every: int = 1) -> Judged:
    """Look at every n-th picture of a set and judge what is found."""
    judged: tuple[list[tuple[float, bool]], ...] = tuple([] for _ in LABELS)
    counts = [0 for _ in LABELS]
    for image, rows in zip(pictures.images[::every], pictures.rows[::every], strict=True):
        found, truth = find(image), countable(rows)
        for label in range(len(LABELS)):
            judged[label].extend(judge(found, truth, label))
            counts[label] += int((truth[:, 0] == label).sum())
    return Judged(judged, tuple(counts))
