"""Scores mean what they say."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.data import ShardSet
from models.evaluate import (
    SEEN_PX,
    Judged,
    best_threshold,
    countable,
    judge,
    judge_all,
    label_score,
)
from models.render_set import SHARD_WH
from models.report import report_on
from models.split import LABELS
from models.stills import write_stills
from sim.truth import SEEN_MIN_PX

TRUTH = np.array([[0, 10, 10, 50, 50], [0, 100, 10, 140, 50], [-1, 200, 10, 260, 70]], np.float32)


def _found(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float64).reshape(-1, 6)


def test_each_true_box_is_hit_once() -> None:
    """A second detection of the same thing is a false one."""
    judged = judge(_found((0, 0.9, 10, 10, 50, 50), (0, 0.8, 11, 11, 50, 50)), TRUTH, 0)
    assert judged == [(0.9, True), (0.8, False)]


def test_ignored_ground_counts_neither_way() -> None:
    """Where truth does not say what is there, nothing is right or wrong."""
    assert judge(_found((0, 0.9, 205, 12, 258, 66)), TRUTH, 0) == []


def test_a_hit_of_another_class_is_no_hit() -> None:
    """Classes are judged apart."""
    assert judge(_found((1, 0.9, 10, 10, 50, 50)), TRUTH, 0) == []
    assert judge(_found((1, 0.9, 10, 10, 50, 50)), TRUTH, 1) == [(0.9, False)]


def test_perfect_and_empty_answers_end_the_scale() -> None:
    """All found and nothing else is 1; nothing found is 0."""
    assert label_score([(0.9, True), (0.8, True)], 2, 0.5).ap50 == pytest.approx(1.0)
    nothing = label_score([], 2, 0.5)
    assert (nothing.ap50, nothing.recall) == (0.0, 0.0)


def test_recall_and_precision_are_at_the_given_score() -> None:
    """What scores less than the threshold is not counted."""
    judged = [(0.9, True), (0.7, False), (0.4, True)]
    one = label_score(judged, 2, 0.5)
    assert (one.recall, one.precision) == (0.5, 0.5)


def test_the_best_threshold_leaves_out_the_false_tail() -> None:
    """It stands at the last score worth having."""
    judged = [(0.9, True), (0.8, True), (0.3, False), (0.2, False), (0.1, False)]
    assert best_threshold(judged, 2) == pytest.approx(0.8)


def _judged(judged: list[tuple[float, bool]], n_true: int) -> Judged:
    empty: list[tuple[float, bool]] = []
    return Judged((judged, *(empty for _ in LABELS[1:])), (n_true, *(0 for _ in LABELS[1:])))


def test_a_class_that_the_exam_misses_is_advisory() -> None:
    """So is one that it never showed: nothing is promised that was not measured."""
    held = _judged([(0.9, True)], 1)
    good, bad = _judged([(0.95, True)], 1), _judged([(0.95, True)], 4)
    assert LABELS[0] not in report_on(held, bad, good).advisory
    assert report_on(held, good, bad).advisory == LABELS
    assert set(LABELS[1:]) <= set(report_on(held, bad, good).advisory)


def test_thresholds_come_from_held_out_districts_alone() -> None:
    """The exam must not choose the thresholds that it is scored at."""
    held, exam = _judged([(0.9, True), (0.6, False)], 1), _judged([(0.5, True)], 1)
    report = report_on(held, exam, exam)
    assert report.thresholds[0] == pytest.approx(0.9)
    assert report.exam.by_label[LABELS[0]].recall == 0.0


def test_a_set_is_judged_from_its_shards(tmp_path: Path) -> None:
    """What a folder of shards holds is what is scored, pictures without boxes too."""
    images = np.zeros((2, 36, 64, 3), np.uint8)
    rows = np.array([[0, 1, 1, 30, 30]], np.float32)
    np.savez(tmp_path / "held-1-x.npz", images=images, counts=np.array([1, 0]), rows=rows)
    np.savez(tmp_path / "held-2-x.part.npz", images=images, counts=np.array([1, 0]), rows=rows)
    pictures = ShardSet(tmp_path, "held")
    pictures.refresh()
    pictures.refresh()
    assert len(pictures.images) == 2
    judged = judge_all(lambda image: _found((0, 0.9, 1, 1, 30, 30)), pictures)
    assert judged.n_true[0] == 1
    assert sorted(judged.by_label[0]) == [(0.9, False), (0.9, True)]
    assert pictures.shares().sum() == pytest.approx(1.0)


def test_stills_are_spread_over_the_whole_set(tmp_path: Path) -> None:
    """Calibration sees the first district and the last."""
    pictures = ShardSet(tmp_path, "train")
    pictures.images = [np.full((20, 30, 3), i, np.uint8) for i in range(50)]
    paths = write_stills(pictures, tmp_path / "out", 10)
    shades = [int(np.asarray(cv2.imread(str(path)))[0, 0, 0]) for path in paths]
    assert len(shades) == 10
    assert (shades[0], shades[-1]) == (0, 49)


def test_what_is_too_small_to_see_is_asked_of_nobody() -> None:
    """The law of the simulator's score, at half its frame's width; ignored, not false."""
    assert SEEN_PX / SHARD_WH[0] == pytest.approx(SEEN_MIN_PX / 1280)
    rows = np.array([[0, 0, 0, 11, 5], [0, 0, 0, 13, 5]], np.float32)
    assert countable(rows)[:, 0].tolist() == [-1, 0]
    assert countable(rows[:0]).shape == (0, 5)
