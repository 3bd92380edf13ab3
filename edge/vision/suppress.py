"""Keeps the best of overlapping boxes, within each class."""

from __future__ import annotations

import cv2
import numpy as np

from edge.vision.heads import Array

# NMS costs the square of this at worst; a frame with more than this many hits holds no finding.
MAX_CANDIDATES = 2000


def best_candidates(scores: Array) -> Array:
    """Return the indices of at most `MAX_CANDIDATES` best scores, in no order."""
    if len(scores) <= MAX_CANDIDATES:
        return np.arange(len(scores))
    kept: Array = np.argpartition(scores, -MAX_CANDIDATES)[-MAX_CANDIDATES:]
    return kept


def suppress_overlaps(
    boxes_xyxy: Array, scores: Array, classes: Array, iou: float, contained: float = 1.0
) -> Array:
    """Return the indices that non-maximum suppression keeps, best score first.

    Args:
        boxes_xyxy: Shape (N, 4), finite, px.
        scores: Shape (N,).
        classes: Shape (N,); boxes of different classes never suppress each other.
        iou: Overlap above which the lesser of two boxes goes.
        contained: Share of the smaller of two boxes in the larger from which the lesser goes, too:
            what has no shape is found as a whole and in parts.  1 keeps them all.
    """
    if len(scores) == 0:
        return np.zeros(0, np.int64)
    boxes = boxes_xyxy.astype(np.float64)
    # OpenCV keeps classes apart by moving each one by the largest coordinate, which holds only
    # for coordinates that are not negative.
    boxes = boxes - min(0.0, float(boxes[:, :2].min()))
    boxes[:, 2:] -= boxes[:, :2]
    kept = cv2.dnn.NMSBoxesBatched(
        boxes.tolist(),
        scores.astype(np.float32).tolist(),
        classes.astype(np.int32).tolist(),
        0.0,
        iou,
    )
    order: Array = np.asarray(kept, np.int64).reshape(-1)
    if contained >= 1.0 or len(order) < 2:
        return order
    return order[_is_no_part(boxes_xyxy[order].astype(np.float64), classes[order], contained)]


def _is_no_part(boxes_xyxy: Array, classes: Array, contained: float) -> list[bool]:
    """Say of each box, best first, whether it shares no more than that with a better one kept.

    In plain numbers: few boxes come out of the suppression, and arrays of few are slow.
    """
    better: dict[int, list[tuple[float, float, float, float, float]]] = {}
    is_kept = []
    for (x0, y0, x1, y1), kind in zip(boxes_xyxy.tolist(), classes.tolist(), strict=True):
        area = max((x1 - x0) * (y1 - y0), 1e-9)
        others = better.setdefault(kind, [])
        is_part = any(
            max(min(x1, right) - max(x0, left), 0.0) * max(min(y1, bottom) - max(y0, top), 0.0)
            > contained * min(area, other_area)
            for left, top, right, bottom, other_area in others
        )
        if not is_part:
            others.append((x0, y0, x1, y1, area))
        is_kept.append(not is_part)
    return is_kept
