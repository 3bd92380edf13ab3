"""Duplicate removal."""

from __future__ import annotations

import numpy as np

from edge.vision.suppress import suppress_overlaps


def test_the_best_of_overlapping_boxes_stays() -> None:
    """Of two boxes that overlap more than allowed, the lesser goes; a distant one stays."""
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 60, 60]], np.float32)
    scores = np.array([0.5, 0.9, 0.3], np.float32)
    assert suppress_overlaps(boxes, scores, np.zeros(3, int), 0.5).tolist() == [1, 2]


def test_classes_never_suppress_each_other() -> None:
    """The same box of two classes stays twice, also left of and above the picture's corner."""
    box = [-40.0, -40.0, -20.0, -20.0]
    boxes = np.array([box, box, box])
    kept = suppress_overlaps(boxes, np.array([0.9, 0.8, 0.7]), np.array([0, 1, 2]), 0.5)
    assert sorted(kept.tolist()) == [0, 1, 2]


def test_a_box_that_sticks_out_does_not_reach_into_the_next_class() -> None:
    """Classes are kept apart by an offset; negative coordinates must not cancel it."""
    boxes = np.array([[80.0, 0, 100, 20], [-21.0, -101, -1, -81], [-21.0, 0, -1, 20]])
    kept = suppress_overlaps(boxes, np.array([0.9, 0.8, 0.7]), np.array([0, 1, 1]), 0.3)
    assert sorted(kept.tolist()) == [0, 1, 2]


def test_no_boxes_are_no_work() -> None:
    """Nothing in, nothing out."""
    assert suppress_overlaps(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), 0.5).size == 0


def test_a_part_within_a_better_box_of_its_class_goes_where_that_is_asked_for() -> None:
    """The part goes, whichever of the two is larger; other classes, and what sticks out, stay."""
    boxes = np.array([[0, 0, 90, 90], [10, 10, 40, 40], [10, 10, 40, 40], [80, 80, 110, 110]])
    scores, classes = np.array([0.9, 0.8, 0.7, 0.6]), np.array([0, 0, 1, 0])
    assert suppress_overlaps(boxes, scores, classes, 0.5).tolist() == [0, 1, 2, 3]
    assert suppress_overlaps(boxes, scores, classes, 0.5, 0.8).tolist() == [0, 2, 3]
    assert suppress_overlaps(boxes, scores[[1, 0, 2, 3]], classes, 0.5, 0.8).tolist() == [1, 2, 3]


def test_a_part_of_what_went_itself_stays() -> None:
    """Only a box that is kept takes others with it."""
    boxes = np.array([[0.0, 0, 10, 10], [1, 1, 30, 9.5], [22, 2, 30, 9]])
    kept = suppress_overlaps(boxes, np.array([0.9, 0.8, 0.7]), np.zeros(3, int), 0.9, 0.25)
    assert kept.tolist() == [0, 2]
