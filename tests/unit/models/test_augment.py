"""Boxes follow their pictures through every change."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from models.augment import IGNORED, cropped, mosaic, repainted, turned
from models.data import Sample
from models.furnish import ADDED
from models.split import LABELS

WHITE = 255


def _marked(left: int, top: int, right: int, bottom: int, label: str = "structure") -> Sample:
    """Return a black picture with one white rectangle, and its box in pixel centres."""
    image = np.zeros((360, 640, 3), np.uint8)
    image[top : bottom + 1, left : right + 1] = WHITE
    return Sample(image, np.array([[LABELS.index(label), left, top, right, bottom]], np.float32))


def _bounds(image: np.ndarray) -> np.ndarray:
    """Return the corners of what is more white than not, in pixel corners."""
    rows, cols = np.nonzero(image[..., 0] > WHITE // 2 + 20)
    return np.array([cols.min(), rows.min(), cols.max() + 1, rows.max() + 1])


@pytest.mark.parametrize("seed", range(24))
def test_a_box_stays_around_its_thing_when_turned_and_cropped(seed: int) -> None:
    """Whatever window is cut, the box ends where the thing does, to a pixel and a half."""
    rng = np.random.default_rng(seed)
    shown = cropped(rng, turned(rng, _marked(300, 150, 345, 190)), (448, 256), (0.6, 1.6))
    assert shown.image_bgr.shape == (256, 448, 3)
    taught = shown.rows[shown.rows[:, 0] != IGNORED]
    if len(taught):
        assert np.abs(taught[0, 1:] - _bounds(shown.image_bgr)).max() <= 1.5
    else:
        assert not len(shown.rows) or (shown.image_bgr > 200).mean() < 0.05


def test_a_mosaic_keeps_every_box_in_its_own_quarter() -> None:
    """A box never reaches over the seam into another picture."""
    rng = np.random.default_rng(4)
    for _ in range(12):
        shown = mosaic(rng, [_marked(200, 100, 420, 260)] * 4, (448, 256), (0.6, 1.6))
        assert len(shown.rows)
        for _, left, top, right, bottom in shown.rows:
            inside = shown.image_bgr[round(top) : round(bottom), round(left) : round(right)]
            assert (inside > WHITE // 2).mean() > 0.9


def test_a_thing_mostly_outside_is_not_taught() -> None:
    """A sliver at the edge is neither a good example nor a bad one."""
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        for row in cropped(rng, _marked(0, 100, 639, 140), (300, 256), (1.0, 1.0)).rows:
            kept = (row[3] - row[1]) * (row[4] - row[2]) / (640 * 41)
            seen.add((bool(row[0] == IGNORED), bool(kept < 0.4)))
    assert seen  # whether ignored, whether little is left: always the same answer
    assert all(is_ignored == is_little for is_ignored, is_little in seen)


def test_repainting_changes_colours_alone() -> None:
    """Size and type stay, and two draws differ."""
    image = np.random.default_rng(1).integers(0, 256, (120, 200, 3)).astype(np.uint8)
    before = image.copy()
    one, two = (repainted(np.random.default_rng(seed), image) for seed in (2, 5))
    assert one.shape == two.shape == image.shape
    assert one.dtype == np.uint8
    assert not np.array_equal(one, two)
    assert np.array_equal(image, before)


@pytest.mark.parametrize("label", ["bare_soil", "smoke", "discharge"])
def test_a_large_part_of_what_has_no_shape_is_taught(label: str) -> None:
    """Earth that fills the window is earth, however much of the field lies outside it."""
    rng = np.random.default_rng(1)
    shown = cropped(rng, _marked(0, 0, 639, 359, label), (200, 120), (1.6, 1.6))
    assert shown.rows[:, 0].tolist() == [LABELS.index(label)]
    shown = cropped(rng, _marked(0, 0, 639, 359, "structure"), (300, 180), (1.6, 1.6))
    assert shown.rows[:, 0].tolist() == [IGNORED]


@pytest.mark.parametrize("add", [add for _, add in ADDED])
def test_what_is_laid_over_a_picture_covers_no_box(
    add: Callable[[np.random.Generator, Sample], Sample],
) -> None:
    """Each box keeps its pixels and its row, and now and then there was room for something."""
    changed = 0
    for seed in range(40):
        sample = _marked(300, 150, 345, 190)
        shown = add(np.random.default_rng(seed), sample)
        assert np.array_equal(shown.rows, sample.rows)
        assert (shown.image_bgr[153:188, 303:343] > 200).all()
        assert (sample.image_bgr == _marked(300, 150, 345, 190).image_bgr).all()
        changed += not np.array_equal(shown.image_bgr, sample.image_bgr)
    assert changed > 10
