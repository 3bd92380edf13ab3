"""Small things from high up: the picture is looked at in overlapping tiles, its boxes put together.

Each tile is shown to the model as if it were a frame, so a thing of few pixels gets more of the
input.  What lies across a seam comes in pieces, and what lies in the overlap comes twice:

- two boxes that overlap like any double are one (the better one stays);
- a piece that ends at a seam and lies within another box is that box's;
- two pieces that end at facing seams and continue one another are one thing as long as both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edge.records import Detection, ImageArray
from edge.vision.heads import Array

SEAM_PX = 3.0  # detectors end a cut box this near to the seam, or nearer; of the frame
SEAM_FRACTION = 0.02  # of a tile's side, for large tiles: boxes are less exact there
SAME_IOU = 0.5
INSIDE = 0.6  # share of a cut piece that lies in the box that it is a piece of
IN_LINE = 0.5  # share of the shorter edge along a seam that two pieces have in common
MAX_BOXES = 300  # of one label, put together at once; a frame with more holds no finding

# A piece's sides in the order of a box's: left, top, right, bottom.
_LEFT, _TOP, _RIGHT, _BOTTOM = range(4)


class Looks(Protocol):
    """What tiles are shown to."""

    last_inference_s: float

    def detect(self, image_bgr: ImageArray) -> list[Detection]: ...


@dataclass(frozen=True, slots=True)
class TileGrid:
    """How a frame is cut.

    Attributes:
        columns: Across.
        rows: Down.
        overlap: Of neighbours, as a share of a tile's side; a thing up to that size is whole in
            one of them.
        and_whole: Whether the whole frame is looked at too, for what is larger than a tile.
    """

    columns: int
    rows: int
    overlap: float = 0.2
    and_whole: bool = True

    @property
    def n_inferences(self) -> int:
        """What a frame costs."""
        return self.columns * self.rows + (self.and_whole and self.columns * self.rows > 1)

    def tiles(self, frame_wh_px: tuple[int, int]) -> list[tuple[int, int, int, int]]:
        """Return each tile's x0, y0, x1, y1; all of one size, the last ones at the frame's edge."""
        width, height = frame_wh_px
        lefts, tile_width = _spread(width, self.columns, self.overlap)
        tops, tile_height = _spread(height, self.rows, self.overlap)
        return [(left, top, left + tile_width, top + tile_height) for top in tops for left in lefts]


@dataclass(frozen=True, slots=True)
class TiledLook:
    """What all tiles of a frame gave together."""

    detections: list[Detection]  # in the frame's pixels, best score first
    inference_s: float  # of all of them


def detect_in_tiles(detector: Looks, image_bgr: ImageArray, grid: TileGrid) -> TiledLook:
    """Look at a frame tile by tile and put the boxes together.

    Args:
        detector: Sees one tile after the other.
        image_bgr: Shape (H, W, 3), uint8.
        grid: How to cut it.

    Raises:
        ModelError: an inference failed; the frame is lost.
    """
    frame_wh = (image_bgr.shape[1], image_bgr.shape[0])
    parts = grid.tiles(frame_wh)
    if grid.and_whole and len(parts) > 1:
        parts.append((0, 0, *frame_wh))
    found: list[Detection] = []
    cuts: list[Array] = []
    seconds = 0.0
    for x0, y0, x1, y1 in parts:
        for one in detector.detect(image_bgr[y0:y1, x0:x1]):
            left, top, right, bottom = one.box_xyxy_px
            box = (left + x0, top + y0, right + x0, bottom + y0)
            found.append(Detection(one.label, one.score, box))
            cuts.append(_cut_sides(box, (x0, y0, x1, y1), frame_wh))
        seconds += detector.last_inference_s
    return TiledLook(merge_pieces(found, cuts), seconds)


def merge_pieces(found: Sequence[Detection], cuts: Sequence[Array]) -> list[Detection]:
    """Put boxes of all tiles together, so that each thing is one box.

    Args:
        found: In the frame's pixels.
        cuts: For each, shape (4,) bool: left, top, right, bottom end at a seam.
    """
    merged: list[Detection] = []
    for label in dict.fromkeys(one.label for one in found):
        own = [index for index, one in enumerate(found) if one.label == label]
        own = sorted(own, key=lambda index: -found[index].score)[:MAX_BOXES]
        boxes = np.array([found[index].box_xyxy_px for index in own])
        scores = np.array([found[index].score for index in own])
        boxes, scores = _merge_label(boxes, scores, np.array([cuts[index] for index in own]))
        merged += [
            Detection(label, score, (x0, y0, x1, y1))
            for score, (x0, y0, x1, y1) in zip(scores.tolist(), boxes.tolist(), strict=True)
        ]
    return sorted(merged, key=lambda one: -one.score)


def _merge_label(boxes: Array, scores: Array, cuts: Array) -> tuple[Array, Array]:
    """Merge, best score first, until nothing is left to: a long thing grows piece by piece."""
    n_before = 0
    while len(boxes) not in {n_before, 1}:
        n_before = len(boxes)
        one_thing = _one_thing(boxes, cuts)
        is_left = np.ones(n_before, bool)
        for keep in range(n_before):
            others = np.flatnonzero(is_left & one_thing[keep])
            others = others[others > keep]
            if not is_left[keep] or len(others) == 0:
                continue
            is_left[others] = False
            group = np.append(others, keep)
            if cuts[group].any():
                boxes[keep], cuts[keep] = _union(boxes[group], cuts[group])
        boxes, scores, cuts = boxes[is_left], scores[is_left], cuts[is_left]
    return boxes, scores


def _union(boxes: Array, cuts: Array) -> tuple[Array, Array]:
    """Return the box around all, and its cut sides: where each piece that reaches there is cut."""
    outer = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
    falls_short = np.abs(boxes - outer) > SEAM_PX
    return outer, np.all(cuts | falls_short, axis=0)


def _one_thing(boxes: Array, cuts: Array) -> Array:
    """Say of each pair of boxes whether they are one thing; shape (N, N), symmetric."""
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    common = high - low
    inside = np.prod(np.maximum(common, 0.0), axis=2)
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 1e-9)
    areas = np.prod(sides, axis=1)
    same = inside / np.maximum(areas[:, None] + areas[None, :] - inside, 1e-9) >= SAME_IOU
    is_cut: Array = np.any(cuts, axis=1)
    piece = is_cut[:, None] & (inside / areas[:, None] >= INSIDE)  # the first lies in the second
    along = common / np.minimum(sides[:, None], sides[None, :])
    touch: Array = np.all(common >= -SEAM_PX, axis=2)
    across = cuts[:, None, _RIGHT] & cuts[None, :, _LEFT] & (along[:, :, 1] >= IN_LINE)
    down = cuts[:, None, _BOTTOM] & cuts[None, :, _TOP] & (along[:, :, 0] >= IN_LINE)
    one_thing: Array = same | piece | piece.T | (touch & (across | across.T | down | down.T))
    return one_thing


def _cut_sides(
    box: tuple[float, ...], tile: tuple[int, int, int, int], frame_wh: tuple[int, int]
) -> Array:
    """Say which sides of a box end at the tile's edge where the frame goes on."""
    x0, y0, x1, y1 = tile
    near_x = max(SEAM_PX, SEAM_FRACTION * (x1 - x0))
    near_y = max(SEAM_PX, SEAM_FRACTION * (y1 - y0))
    return np.array(
        [
            x0 > 0 and box[0] - x0 <= near_x,
            y0 > 0 and box[1] - y0 <= near_y,
            x1 < frame_wh[0] and x1 - 1 - box[2] <= near_x,
            y1 < frame_wh[1] and y1 - 1 - box[3] <= near_y,
        ]
    )


def _spread(side_px: int, count: int, overlap: float) -> tuple[list[int], int]:
    """Place `count` tiles over a side: where each begins, and how long all are."""
    tile = min(side_px, round(side_px / (count - (count - 1) * overlap)))
    if count == 1:
        return [0], side_px
    return [round(index * (side_px - tile) / (count - 1)) for index in range(count)], tile
