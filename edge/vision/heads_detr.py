"""Output heads of the DETR family: a fixed number of queries, no grid, no NMS.

Three ways in which exporters write them (names and shapes as in the repositories named):

- `detr_triple`: `labels` [1, Q], `boxes` [1, Q, 4] xyxy px, `scores` [1, Q], with a second input
  `orig_target_sizes` [1, 2] (RT-DETR, RT-DETRv2, D-FINE, DEIM).
- `detr_logits`: boxes [1, Q, 4] cx, cy, w, h as fractions and logits [1, Q, classes (+ 1)]
  (RF-DETR: `dets`, `labels`; transformers: `pred_boxes`, `logits`).
- `detr_rows`: [1, Q, 4 + classes], the same boxes and scores in one (Ultralytics RT-DETR).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.vision.heads import Array, Candidates

SizeWh = tuple[int, int]


class TripleHead:
    """`detr_triple`: the export has decoded, sorted and scaled to the size that it is given."""

    needs_nms = False
    n_classes: int | None = None

    def __init__(self, labels_index: int, boxes_index: int, scores_index: int) -> None:
        self._indices = (labels_index, boxes_index, scores_index)

    def decode(self, outputs: Sequence[Array], min_score: float) -> Candidates:
        labels, boxes, scores = (outputs[index][0] for index in self._indices)
        kept = np.flatnonzero(scores >= min_score)
        # A label that is no number becomes -1, which no label has.
        classes = np.nan_to_num(labels[kept].astype(np.float64), nan=-1.0, posinf=-1, neginf=-1)
        n_bad = int(np.count_nonzero(np.isnan(scores)))
        return Candidates(boxes[kept], scores[kept], np.rint(classes).astype(np.int64), n_bad)


class QueryHead:
    """`detr_logits`, `detr_rows`: every class of a query stands on its own (sigmoid, no softmax).

    The family takes the best of all (query, class) pairs, so one query may answer twice.
    """

    needs_nms = False

    def __init__(
        self, n_classes: int, input_wh_px: SizeWh, indices: tuple[int, int] | None
    ) -> None:
        """Make the head.

        Args:
            n_classes: Columns that are classes; one more column, "no object", is not looked at.
            input_wh_px: Turns fractions into pixels.
            indices: Of the boxes' and the logits' output; None: rows of boxes and scores.
        """
        self.n_classes: int | None = n_classes
        self._size = np.array(input_wh_px * 2, np.float64)
        self._indices = indices

    def decode(self, outputs: Sequence[Array], min_score: float) -> Candidates:
        if self._indices is None:
            boxes, scores = outputs[0][0][:, :4], outputs[0][0][:, 4:]
        else:
            boxes = outputs[self._indices[0]][0]
            scores = _sigmoid(outputs[self._indices[1]][0])
        scores = scores[:, : self.n_classes]
        queries, classes = np.nonzero(scores >= min_score)
        chosen = boxes[queries].astype(np.float64) * self._size
        half = chosen[:, 2:] * 0.5
        xyxy = np.hstack([chosen[:, :2] - half, chosen[:, :2] + half])
        n_bad = int(np.count_nonzero(np.isnan(scores).any(axis=1)))
        return Candidates(xyxy, scores[queries, classes], classes, n_bad)


def _sigmoid(logits: Array) -> Array:
    """Squash logits to scores; by tanh, which overflows for none."""
    scores: Array = 0.5 * (1.0 + np.tanh(0.5 * logits.astype(np.float64)))
    return scores
