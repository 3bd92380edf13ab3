"""Scores an exported detector on rendered pictures, run by the very detector that flies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.config import InferenceConfig
from edge.vision.detector import OnnxDetector
from edge.vision.manifest import read_manifest
from models.data import ShardSet
from models.split import LABELS

FloatArray = NDArray[np.float64]
MATCH_IOU = 0.5
FLOOR = 0.05  # scores below it are not looked at


@dataclass(frozen=True)
class LabelScore:
    """How well one class is found."""

    ap50: float
    recall: float
    precision: float
    n_true: int


@dataclass(frozen=True)
class Scores:
    """How well a detector does; recall and precision are at `at_score`."""

    map50: float
    at_score: float
    by_label: dict[str, LabelScore]


def _found(detector: OnnxDetector, image_bgr: NDArray[np.uint8]) -> FloatArray:
    """Return what is found in a picture, shape (N, 6): label, score, x1, y1, x2, y2."""
    rows = [(LABELS.index(d.label), d.score, *d.box_xyxy_px) for d in detector.detect(image_bgr)]
    return np.array(rows, np.float64).reshape(-1, 6)


def _iou(box: FloatArray, others: FloatArray) -> FloatArray:
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    both = np.clip(high - low, 0, None).prod(axis=1)
    areas = (box[2:] - box[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(axis=1)
    return np.asarray(both / (areas - both + 1e-9))


def _judge(found: FloatArray, truth: NDArray[np.float32], label: int) -> list[tuple[float, bool]]:
    """Say of each detection of a class whether it is right, leaving out ignored ground."""
    true, free = (
        truth[truth[:, 0] == label, 1:].astype(np.float64),
        truth[truth[:, 0] < 0, 1:].astype(np.float64),
    )
    taken = np.zeros(len(true), bool)
    out = []
    for row in found[found[:, 0] == label]:
        overlaps = _iou(row[2:], true) * ~taken if len(true) else np.zeros(0)
        if len(overlaps) and overlaps.max() >= MATCH_IOU:
            taken[overlaps.argmax()] = True
            out.append((float(row[1]), True))
        elif not (len(free) and _iou(row[2:], free).max() > 0.2):
            out.append((float(row[1]), False))
    return out


def _label_score(judged: list[tuple[float, bool]], n_true: int, at_score: float) -> LabelScore:
    ordered = sorted(judged, key=lambda pair: -pair[0])
    right = np.cumsum([ok for _, ok in ordered]) if ordered else np.zeros(0)
    recall = right / max(n_true, 1)
    precision = right / np.arange(1, len(right) + 1) if len(right) else right
    envelope = np.maximum.accumulate(precision[::-1])[::-1] if len(right) else precision
    ap = float(np.sum(np.diff(recall, prepend=0.0) * envelope)) if len(right) else 0.0
    hot = [ok for s, ok in ordered if s >= at_score]
    return LabelScore(ap, sum(hot) / max(n_true, 1), sum(hot) / max(len(hot), 1), n_true)


def score(folder: Path, pictures: ShardSet, at_score: float = 0.4) -> Scores:
    """Score the model in a folder on every picture of a set."""
    detector = OnnxDetector(read_manifest(folder), InferenceConfig(), min_score=FLOOR)
    judged: list[list[tuple[float, bool]]] = [[] for _ in LABELS]
    counts = np.zeros(len(LABELS), int)
    for image, truth in zip(pictures.images, pictures.rows, strict=True):
        found = _found(detector, image)
        for label in range(len(LABELS)):
            judged[label] += _judge(found, truth, label)
            counts[label] += int((truth[:, 0] == label).sum())
    by_label = {
        name: _label_score(judged[i], int(counts[i]), at_score) for i, name in enumerate(LABELS)
    }
    return Scores(float(np.mean([s.ap50 for s in by_label.values()])), at_score, by_label)
