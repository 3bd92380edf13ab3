"""How far two detectors say the same of the same pictures, and how fast each is."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.records import Detection, ImageArray
from edge.vision.detector import OnnxDetector
from edge.vision.heads import Array

SAME_IOU = 0.5
# A box at 0.31 that comes back at 0.29 has not been lost: the other side may fall so far below.
SCORE_SLACK = 0.1
MIN_BOXES = 20  # fewer say nothing about agreement: then boxes below the threshold count too
TIMED_PAIRS = 10
RUNS_A_TURN = 3  # the best of them counts: others' work only ever adds


@dataclass(frozen=True, slots=True)
class Agreement:
    """What two detectors said of some pictures.

    Attributes:
        share: Of all boxes of both, those that the other has too, 0 to 1; None: no box at all.
        n_boxes: Of both together.
        at_score: Boxes from this score on were compared.
        mean_score_shift: Of the second against the first, over boxes that both have.
    """

    share: float | None
    n_boxes: int
    at_score: float
    mean_score_shift: float


@dataclass(frozen=True, slots=True)
class Pace:
    """Two inference times, measured in turns in one run."""

    first_ms: float  # median
    second_ms: float

    @property
    def ratio(self) -> float:
        """The second's time as a share of the first's."""
        return self.second_ms / self.first_ms


def agreement(
    first: OnnxDetector, second: OnnxDetector, pictures: Sequence[ImageArray]
) -> Agreement:
    """Run both on the same pictures and match their boxes by label and overlap."""
    floor = max(0.01, first.manifest.thresholds.min_score - SCORE_SLACK) / 4
    firsts = _detect_all(first, pictures, floor)
    seconds = _detect_all(second, pictures, floor)
    at_score = _comparable_score(firsts, first.manifest.thresholds.min_score)
    slack = min(SCORE_SLACK, at_score / 2)
    n_boxes = n_same = 0
    shifts: list[float] = []
    for one, other in zip(firsts, seconds, strict=True):
        there = _best_matches(one, other, at_score, slack)
        back = _best_matches(other, one, at_score, slack)
        n_boxes += len(there) + len(back)
        n_same += sum(shift is not None for shift in (*there, *back))
        shifts += [shift for shift in there if shift is not None]
    share = n_same / n_boxes if n_boxes else None
    return Agreement(share, n_boxes, at_score, statistics.fmean(shifts) if shifts else 0.0)


def pace(first: OnnxDetector, second: OnnxDetector, pairs: int = TIMED_PAIRS) -> Pace:
    """Time the inference of both in turns: absolute times wander, their ratio hardly does."""
    times: tuple[list[float], list[float]] = ([], [])
    for detector in (first, second):
        detector.warm_up()
    for _ in range(pairs):
        for detector, seconds in zip((first, second), times, strict=True):
            seconds.append(min(_one_inference(detector) for _ in range(RUNS_A_TURN)))
    first_ms, second_ms = (1e3 * statistics.median(seconds) for seconds in times)
    return Pace(first_ms, second_ms)


def _one_inference(detector: OnnxDetector) -> float:
    detector.warm_up()  # the tensor is what the last picture left: real pixels
    return detector.last_inference_s


def _detect_all(
    detector: OnnxDetector, pictures: Sequence[ImageArray], floor: float
) -> list[list[Detection]]:
    usual = detector.min_score
    detector.min_score = floor
    try:
        return [detector.detect(picture) for picture in pictures]
    finally:
        detector.min_score = usual


def _comparable_score(found: Sequence[Sequence[Detection]], min_score: float) -> float:
    """Return the model's own threshold, or a lower one where it leaves too few boxes to compare."""
    scores = sorted((one.score for picture in found for one in picture), reverse=True)
    if not scores:
        return min_score
    return min(min_score, scores[min(MIN_BOXES, len(scores)) - 1])


def _best_matches(
    boxes: Sequence[Detection], others: Sequence[Detection], at_score: float, slack: float
) -> list[float | None]:
    """For each box from `at_score` on: how much higher its match scores; None without a match."""
    matches: list[float | None] = []
    for box in boxes:
        if box.score < at_score:
            continue
        same = [
            other
            for other in others
            if other.label == box.label and other.score >= at_score - slack
        ]
        overlaps = _ious(box, same)
        best = int(overlaps.argmax()) if same else -1
        is_same = best >= 0 and overlaps[best] >= SAME_IOU
        matches.append(same[best].score - box.score if is_same else None)
    return matches


def _ious(box: Detection, others: Sequence[Detection]) -> Array:
    if not others:
        return np.zeros(0)
    sides = np.array([other.box_xyxy_px for other in others])
    own = np.array(box.box_xyxy_px)
    low, high = np.maximum(sides[:, :2], own[:2]), np.minimum(sides[:, 2:], own[2:])
    inside = np.prod(np.maximum(high - low, 0.0), axis=1)
    areas = np.prod(sides[:, 2:] - sides[:, :2], axis=1) + np.prod(own[2:] - own[:2])
    ious: Array = inside / np.maximum(areas - inside, 1e-9)
    return ious
