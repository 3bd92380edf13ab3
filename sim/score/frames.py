"""The detector by itself, frame by frame: mAP50 against the boxes that the simulator wrote.

COCO's own evaluation at IoU 0.5 (101 points of recall, at most 100 boxes a frame).  A violation
that nobody could be expected to find in a frame (less than 60 % in view, or shorter than 24 px) is
ignored there as a COCO crowd: finding it is neither right nor wrong.  Distractors are no truth: a
box on one is wrong.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.capture.recording import RecordedFlight
from edge.errors import FlightError
from edge.extras import needs_extra
from edge.records import FloatArray, Frame
from edge.vision.detector import OnnxDetector
from sim.score.looks import TrueBox

# Boxes below this score are not asked for: they end no curve of ours.
FLOOR_SCORE = 0.05
MATCH_IOU = 0.5
MAX_BOXES = 100  # of one frame, as in COCO


@dataclass(frozen=True, slots=True)
class FrameBoxes:
    """What a detector saw in a flight's frames, and what was there.

    Attributes:
        labels: Of the detector; a box's label is an index into them.
        detections: Shape (N, 7): frame, label, score, x0, y0, x1, y1, px.
        truths: Shape (M, 7): frame, label, whether it is ignored (0 or 1), x0, y0, x1, y1, px.
        unknown: Violations of the truth that the detector has no label for, boxes by name.
    """

    n_frames: int
    labels: tuple[str, ...]
    detections: FloatArray
    truths: FloatArray
    unknown: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class FrameScore:
    """mAP50 over all frames of all flights."""

    map50: float | None  # mean over the classes of the detector that the truth shows
    by_class: Mapping[str, float | None]
    n_true: Mapping[str, int]
    n_frames: int
    unknown: Mapping[str, int]

    def plain(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "map50": None if self.map50 is None else round(self.map50, 4),
            "frames": self.n_frames,
            "by_class": {
                label: {"ap50": None if ap is None else round(ap, 4), "boxes": self.n_true[label]}
                for label, ap in self.by_class.items()
            },
            "unknown_to_the_model": dict(self.unknown),
        }


def box_frames(
    flight: RecordedFlight,
    detectors: Mapping[str, OnnxDetector],
    boxes: Mapping[int, Sequence[TrueBox]],
    step: int,
    on_frame: Callable[[], None] = lambda: None,
) -> FrameBoxes:
    """Run the detector over a flight's frames, down to `FLOOR_SCORE`.

    Args:
        flight: Freshly opened; its video is read once more.
        detectors: By camera; that of the flight's first camera is scored.
        boxes: The truth, by frame.
        step: Every so many frames, 1 or more.
        on_frame: Called after each frame that was scored.

    Raises:
        FlightError: The flight has no boxes.
    """
    if not boxes:
        raise FlightError(
            f"{flight.folder}: has no boxes.json to score frames against; record it again with "
            "`skywhistle sim record`, or leave --frames away"
        )
    camera_id = flight.spec.camera[0].id
    detector = detectors[camera_id]
    index = {label: n for n, label in enumerate(detector.labels)}
    detector.min_score = FLOOR_SCORE
    found: list[tuple[float, ...]] = []
    true: list[tuple[float, ...]] = []
    unknown: dict[str, int] = {}
    n_frames = 0
    for frame in _frames(flight, camera_id, step):
        n_frames += 1
        at = float(frame.index)
        seen = detector.detect(frame.image_bgr)
        found += [(at, index[d.label], d.score, *d.box_xyxy_px) for d in seen[:MAX_BOXES]]
        for box in boxes.get(frame.index, ()):
            if not box.is_violation:
                continue
            if box.name in index:
                true.append((at, index[box.name], not box.is_seen, *box.box_xyxy_px))
            elif box.is_seen:
                unknown[box.name] = unknown.get(box.name, 0) + 1
        on_frame()
    return FrameBoxes(n_frames, tuple(detector.labels), _rows(found), _rows(true), unknown)


def _frames(flight: RecordedFlight, camera_id: str, step: int) -> Iterable[Frame]:
    for event in flight.events(lambda _message, _time: None):
        if isinstance(event, Frame) and event.camera_id == camera_id and event.index % step == 0:
            yield event


def _rows(rows: Sequence[tuple[float, ...]]) -> FloatArray:
    return np.array(rows, np.float64).reshape(-1, 7)


def score_frames(flights: Sequence[FrameBoxes]) -> FrameScore:
    """Score all flights together.

    Raises:
        MissingExtraError: pycocotools is not installed.
    """
    labels = tuple(dict.fromkeys(label for one in flights for label in one.labels))
    truths = _joined([(one, one.truths) for one in flights], labels)
    detections = _joined([(one, one.detections) for one in flights], labels)
    n_true = {
        label: int(((truths[:, 1] == n) & (truths[:, 2] == 0)).sum())
        for n, label in enumerate(labels)
    }
    aps = _average_precisions(truths, detections, len(labels))
    by_class = {label: ap if n_true[label] else None for label, ap in zip(labels, aps, strict=True)}
    known = [ap for ap in by_class.values() if ap is not None]
    unknown: dict[str, int] = {}
    for one in flights:
        for name, n in one.unknown.items():
            unknown[name] = unknown.get(name, 0) + n
    return FrameScore(
        map50=float(np.mean(known)) if known else None,
        by_class=by_class,
        n_true=n_true,
        n_frames=sum(one.n_frames for one in flights),
        unknown=unknown,
    )


def _joined(parts: Sequence[tuple[FrameBoxes, FloatArray]], labels: Sequence[str]) -> FloatArray:
    """Stack the rows of several flights: frames get numbers of their own, labels one list."""
    out = [np.zeros((0, 7))]
    first = 0.0
    for one, rows in parts:
        moved = rows.copy()
        moved[:, 0] += first
        moved[:, 1] = [labels.index(one.labels[int(n)]) for n in rows[:, 1]]
        out.append(moved)
        ends = [part[:, 0].max() for part in (one.truths, one.detections) if len(part)]
        first += max(ends, default=0.0) + 1.0
    return np.concatenate(out)


def _average_precisions(truths: FloatArray, detections: FloatArray, n_labels: int) -> list[float]:
    """Return AP50 by label, NaN-free; 0 where nothing was found."""
    with needs_extra("sim", "scoring frames"):
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    if not len(truths) or not len(detections):
        return [0.0] * n_labels
    frames = sorted({int(n) for n in (*truths[:, 0], *detections[:, 0])})
    with contextlib.redirect_stdout(io.StringIO()):  # it prints as it goes
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": n} for n in frames],
            "categories": [{"id": n + 1, "name": str(n)} for n in range(n_labels)],
            "annotations": [_note(n + 1, row) for n, row in enumerate(truths)],
        }
        truth.createIndex()
        result = truth.loadRes([_result(row) for row in detections])
        judge = COCOeval(truth, result, "bbox")
        judge.params.iouThrs = np.array([MATCH_IOU])
        judge.params.areaRng, judge.params.areaRngLbl = [[0.0, 1e10]], ["all"]
        judge.params.maxDets = [MAX_BOXES]
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][0, :, :, 0, 0]  # (recall, label); -1: no truth
    return [float(np.mean(column)) if column[0] > -1 else 0.0 for column in precision.T]


def _note(number: int, row: FloatArray) -> dict[str, Any]:
    box = _xywh(row)
    return {
        "id": number,
        "image_id": int(row[0]),
        "category_id": int(row[1]) + 1,
        "iscrowd": int(row[2]),
        "bbox": box,
        "area": box[2] * box[3],
    }


def _result(row: FloatArray) -> dict[str, Any]:
    return {
        "image_id": int(row[0]),
        "category_id": int(row[1]) + 1,
        "score": float(row[2]),
        "bbox": _xywh(row),
    }


def _xywh(row: FloatArray) -> list[float]:
    x0, y0, x1, y1 = (float(value) for value in row[3:])
    return [x0, y0, x1 - x0, y1 - y0]
