"""Tiles: nothing is missed between them, and nothing is counted twice."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.records import Detection, ImageArray, Xyxy
from edge.vision.tiles import TileGrid, detect_in_tiles

WIDTH, HEIGHT = 640, 400
SMALLEST_PX = 6  # what the perfect detector below still sees of a thing


def mapped_frame_of(width: int, height: int) -> ImageArray:
    """A picture whose pixels say where they are."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x % 256, x // 256 + 16 * (y // 256), y % 256], axis=2).astype(np.uint8)


FRAME = mapped_frame_of(WIDTH, HEIGHT)


class Perfect:
    """Sees exactly what is in its picture: each thing, cut at the picture's edges."""

    last_inference_s = 0.01

    def __init__(self, *truth: Detection) -> None:
        self.truth = truth
        self.n_looks = 0

    def detect(self, image_bgr: ImageArray) -> list[Detection]:
        self.n_looks += 1
        low, high_and_rows, low_y = (int(value) for value in image_bgr[0, 0])
        x0, y0 = low + 256 * (high_and_rows % 16), low_y + 256 * (high_and_rows // 16)
        height, width = image_bgr.shape[:2]
        seen = []
        for one in self.truth:
            corners = np.array(one.box_xyxy_px) - (x0, y0, x0, y0)
            left, top = np.maximum(corners[:2], 0)
            right, bottom = np.minimum(corners[2:], (width - 1, height - 1))
            if right - left >= SMALLEST_PX and bottom - top >= SMALLEST_PX:
                box = (float(left), float(top), float(right), float(bottom))
                seen.append(Detection(one.label, one.score, box))
        return seen


@st.composite
def boxes(draw: st.DrawFn) -> Xyxy:
    least = 2 * SMALLEST_PX + 1  # without overlap a seam leaves at least half to be seen
    width = draw(st.integers(least, WIDTH - 20))
    height = draw(st.integers(least, HEIGHT - 20))
    left = draw(st.integers(0, WIDTH - 1 - width))
    top = draw(st.integers(0, HEIGHT - 1 - height))
    return (float(left), float(top), float(left + width), float(top + height))


GRIDS = st.builds(
    TileGrid, st.integers(1, 5), st.integers(1, 4), st.floats(0.0, 0.5), st.booleans()
)


@settings(deadline=None)
@given(box=boxes(), grid=GRIDS)
def test_a_thing_is_found_once_wherever_the_seams_cut_it(box: Xyxy, grid: TileGrid) -> None:
    """One thing of any size and place, under any grid: one box, and it is the thing's."""
    found = detect_in_tiles(Perfect(Detection("shed", 0.9, box)), FRAME, grid).detections
    assert len(found) == 1
    # A sliver across a seam that is too thin to be seen there is what may be missing.
    assert found[0].box_xyxy_px == pytest.approx(box, abs=SMALLEST_PX)


@settings(deadline=None)
@given(truth=st.lists(boxes(), min_size=2, max_size=6), grid=GRIDS)
def test_things_apart_stay_apart(truth: list[Xyxy], grid: TileGrid) -> None:
    """As many boxes as things, as long as the things do not touch one another."""
    apart: list[Xyxy] = []
    for x0, y0, x1, y1 in truth:
        gap = 12
        if all(
            x0 - gap > a1 or x1 + gap < a0 or y0 - gap > b1 or y1 + gap < b0
            for a0, b0, a1, b1 in apart
        ):
            apart.append((x0, y0, x1, y1))
    eye = Perfect(*(Detection("shed", 0.9, box) for box in apart))
    found = detect_in_tiles(eye, FRAME, grid).detections
    assert len(found) == len(apart)
    for one, box in zip(sorted(one.box_xyxy_px for one in found), sorted(apart), strict=True):
        assert one == pytest.approx(box, abs=SMALLEST_PX)


@given(grid=GRIDS, width=st.integers(64, 2000), height=st.integers(64, 2000))
def test_tiles_cover_the_frame_and_overlap_as_asked(
    grid: TileGrid, width: int, height: int
) -> None:
    """First pixel to last, all of one size, neighbours by no less than the share asked for."""
    tiles = grid.tiles((width, height))
    assert len(tiles) == grid.columns * grid.rows
    assert len({(x1 - x0, y1 - y0) for x0, y0, x1, y1 in tiles}) == 1
    for low, high, side in ((0, 2, width), (1, 3, height)):
        spans = sorted({(tile[low], tile[high]) for tile in tiles})
        assert spans[0][0] == 0
        assert spans[-1][1] == side
        for (_, end), (begin, _) in pairwise(spans):
            assert end - begin >= grid.overlap * (spans[0][1] - spans[0][0]) - 2


def test_labels_never_merge_and_scores_are_the_best() -> None:
    """Two labels at one place stay two; a thing's score is the best of its pieces."""

    class Unsure(Perfect):
        def detect(self, image_bgr: ImageArray) -> list[Detection]:
            share = 0.5 + 0.1 * self.n_looks
            return [
                Detection(one.label, share, one.box_xyxy_px) for one in super().detect(image_bgr)
            ]

    eye = Unsure(
        Detection("shed", 0.9, (200.0, 100.0, 420.0, 300.0)),
        Detection("smoke", 0.9, (200.0, 100.0, 420.0, 300.0)),
    )
    found = detect_in_tiles(eye, FRAME, TileGrid(2, 2, 0.1)).detections
    assert sorted(one.label for one in found) == ["shed", "smoke"]
    assert {one.score for one in found} == {0.9}


def test_the_cost_is_an_inference_for_each_tile() -> None:
    """What `check` states is what is run, and the time told is that of all of them."""
    for grid in (TileGrid(1, 1), TileGrid(3, 2), TileGrid(3, 2, and_whole=False)):
        eye = Perfect()
        look = detect_in_tiles(eye, FRAME, grid)
        assert eye.n_looks == grid.n_inferences
        assert look.inference_s == pytest.approx(0.01 * grid.n_inferences)
