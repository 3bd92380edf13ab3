"""Every layout's numbers, computed by hand, come back as the box that they mean."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.vision.detector import Dropped

# 64 x 64 with strides 8, 16, 32 has 64 + 16 + 4 cells; a 128 x 128 frame is shown at half size.
CELLS = 84
FRAME = np.zeros((128, 128, 3), np.uint8)


def in_frame(x0: float, y0: float, x1: float, y1: float) -> tuple[float, ...]:
    """Double, and count from the first pixel's centre instead of its corner."""
    return (x0 * 2 - 0.5, y0 * 2 - 0.5, x1 * 2 - 0.5, y1 * 2 - 0.5)


def one_hot_sides(left: int, top: int, right: int, bottom: int) -> NDArray[Any]:
    """Make logits whose softmax means these distances, in strides."""
    logits = np.full((4, 8), -50.0)
    logits[np.arange(4), [left, top, right, bottom]] = 50.0
    return logits.reshape(-1)


def focal_outputs() -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
    scores = [np.zeros((rows, 2)) for rows in (64, 16, 4)]
    sides = [np.zeros((rows, 32)) for rows in (64, 16, 4)]
    scores[1][9] = (0.2, 0.75)  # stride 16, cell x 1, y 2: centre (24, 40)
    sides[1][9] = one_hot_sides(1, 2, 0, 1)
    return scores, sides


def only(detections: list[Any]) -> Any:
    assert len(detections) == 1
    return detections[0]


def test_yolov5_multiplies_objectness_and_class(make_detector: Any) -> None:
    """Score is objectness times the best class; the box is centre and size."""
    raw = np.zeros((1, 3 * CELLS, 7))
    raw[0, 100] = (32, 16, 16, 8, 0.9, 0.1, 0.8)
    raw[0, 101] = (32, 40, 16, 8, 0.9, 0.1, 0.2)  # 0.18: below the threshold
    found = only(make_detector([raw], "yolov5").detect(FRAME))
    assert (found.label, found.score) == ("smoke", pytest.approx(0.72))
    assert found.box_xyxy_px == pytest.approx(in_frame(24, 12, 40, 20))


@pytest.mark.parametrize("is_rows_first", [False, True])
def test_yolov8_reads_either_order_of_axes(make_detector: Any, is_rows_first: bool) -> None:
    """Class scores stand alone, whether cells are columns or rows."""
    raw = np.zeros((1, 6, CELLS))
    raw[0, :, 7] = (10, 20, 4, 8, 0.6, 0.3)
    if is_rows_first:
        raw = raw.transpose(0, 2, 1)
    found = only(make_detector([raw], "yolov8").detect(FRAME))
    assert (found.label, found.score) == ("shed", pytest.approx(0.6))
    assert found.box_xyxy_px == pytest.approx(in_frame(8, 16, 12, 24))


def test_end_to_end_keeps_what_the_model_kept(make_detector: Any) -> None:
    """The model has removed duplicates itself: overlapping rows stay, best first."""
    raw = np.zeros((1, 10, 6))
    raw[0, 0] = (8, 8, 24, 24, 0.5, 0)
    raw[0, 1] = (8, 8, 24, 25, 0.9, 0)
    found = make_detector([raw], "end2end").detect(FRAME)
    assert [one.score for one in found] == pytest.approx([0.9, 0.5])
    assert found[1].box_xyxy_px == pytest.approx(in_frame(8, 8, 24, 24))


def test_yolox_adds_the_cell_and_multiplies_by_the_stride(make_detector: Any) -> None:
    """The grid is raw: xy in cells from the cell, wh as logarithm, both in strides."""
    raw = np.zeros((1, CELLS, 7))
    raw[0, 2 * 8 + 3] = (0.5, 0.25, math.log(2), 0.0, 0.8, 1.0, 0.0)  # stride 8
    raw[0, 64 + 16 + 3] = (0.5, 0.5, 0.0, -1.0, 1.0, 0.0, 0.5)  # stride 32, cell (1, 1)
    found = make_detector([raw], "yolox").detect(FRAME)
    assert [one.label for one in found] == ["shed", "smoke"]
    assert found[0].box_xyxy_px == pytest.approx(in_frame(20, 14, 36, 22))
    half = 16 / math.e
    assert found[1].box_xyxy_px == pytest.approx(in_frame(32, 48 - half, 63.75, 48 + half))


def test_gfl_takes_the_mean_of_each_sides_bins(make_detector: Any) -> None:
    """Distances are in strides from the cell's centre; outputs are matched by rows."""
    scores, sides = focal_outputs()
    outputs = [array[None] for array in (*scores, *sides)]
    found = only(make_detector(outputs, "gfl").detect(FRAME))
    assert (found.label, found.score) == ("smoke", pytest.approx(0.75))
    assert found.box_xyxy_px == pytest.approx(in_frame(8, 8, 24, 56), abs=1e-4)


def test_nanodet_is_matched_by_rows_whatever_the_order(make_detector: Any) -> None:
    """Interleaved outputs without a batch axis read as the same box."""
    scores, sides = focal_outputs()
    outputs = [scores[0], sides[1], scores[2], sides[0], scores[1], sides[2]]
    found = only(make_detector(outputs, "nanodet").detect(FRAME))
    assert found.box_xyxy_px == pytest.approx(in_frame(8, 8, 24, 56), abs=1e-4)


@pytest.mark.parametrize(
    ("layout", "shapes"),
    [
        ("yolov5", [(1, 3 * CELLS, 7)]),
        ("yolov8", [(1, 6, CELLS)]),
        ("end2end", [(1, 10, 6)]),
        ("yolox", [(1, CELLS, 7)]),
        ("gfl", [(1, n, w) for w in (2, 32) for n in (64, 16, 4)]),
        ("nanodet", [(n, w) for n in (64, 16, 4) for w in (2, 32)]),
    ],
)
def test_nothing_and_nan_are_no_detections(make_detector: Any, layout: str, shapes: Any) -> None:
    """All zeros find nothing; NaN everywhere finds nothing either, and is counted."""
    quiet = make_detector([np.zeros(shape) for shape in shapes], layout)
    assert quiet.detect(FRAME) == []
    assert not quiet.dropped.total()
    broken = make_detector([np.full(shape, np.nan) for shape in shapes], layout)
    assert broken.detect(FRAME) == []
    assert broken.dropped[Dropped.NOT_FINITE] > 0


def test_candidates_that_cannot_be_detections_are_counted_by_reason(make_detector: Any) -> None:
    """Each kind of nonsense has its own count, and the good box beside it survives."""
    raw = np.zeros((1, 10, 6))
    raw[0, 0] = (8, 8, 24, 24, 0.5, 1)
    raw[0, 1] = (8, 8, 24, 24, 0.5, 2)  # there are two labels
    raw[0, 2] = (8, 8, 24, 24, 7.5, 1)  # a logit
    raw[0, 3] = (8, np.nan, 24, 24, 0.5, 1)
    raw[0, 4] = (24, 8, 8, 24, 0.5, 1)  # turned inside out
    raw[0, 5] = (70, 8, 90, 24, 0.5, 1)  # in the padding
    raw[0, 6] = (8, 8, 24, 24, 0.5, np.nan)
    detector = make_detector([raw], "end2end")
    assert len(detector.detect(FRAME)) == 1
    assert {reason: count for reason, count in detector.dropped.items() if count} == {
        Dropped.UNKNOWN_CLASS: 2,
        Dropped.NOT_A_SCORE: 1,
        Dropped.NOT_FINITE: 1,
        Dropped.DEGENERATE: 2,
    }


def test_candidates_are_bounded_and_the_loss_is_counted(make_detector: Any) -> None:
    """A model gone wild costs a bounded time; the best candidates are the ones kept."""
    raw = np.zeros((1, 5000, 7))
    raw[0, :, :7] = (32, 32, 16, 16, 0.5, 0.9, 0.0)
    raw[0, 4321, 4] = 1.0
    detector = make_detector([raw], "yolov5")
    assert only(detector.detect(FRAME)).score == pytest.approx(0.9)
    assert detector.dropped[Dropped.TOO_MANY] == 3000


def test_boxes_are_clipped_to_the_frame(make_detector: Any) -> None:
    """A box that sticks out ends at the outermost pixels' centres."""
    raw = np.zeros((1, 10, 6))
    raw[0, 0] = (-5, -5, 99, 99, 0.5, 0)
    found = only(make_detector([raw], "end2end").detect(FRAME))
    assert found.box_xyxy_px == (0.0, 0.0, 127.0, 127.0)
