"""Boxes as arrays: the pixels that matter of each, and what being cut does to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.geo.view import PIXEL_STEPS_UV
from edge.records import Detection, FloatArray

# A detector sees the frame shrunk, and its boxes end a pixel or two of its own short of the edge:
# 10 px of a 1280 px frame that a network of 448 px looked at (measured on the demo flight).
CUT_MARGIN = 0.008  # of the frame's width
# What lies beyond the edge is as likely small as large: one sigma, as a share of the box's side.
CUT_SHARE = 0.5

# Rows of `Boxes.points_uv`.
CENTRE, BOTTOM = 0, 1  # the middle of the box, and of its lower side
CORNERS = slice(2, 6)  # top left, top right, bottom right, bottom left
AROUND_CENTRE, AROUND_BOTTOM = slice(6, 10), slice(10, 14)  # `PIXEL_STEPS_UV` aside
N_ROWS = 14


@dataclass(frozen=True, slots=True)
class Boxes:
    """N boxes of one frame."""

    xyxy_px: FloatArray  # (N, 4)
    size_wh_px: FloatArray  # (N, 2)
    is_cut_wh: NDArray[np.bool_]  # (N, 2): by the left or right edge; by the top or bottom edge

    @property
    def points_uv(self) -> FloatArray:
        """Every pixel of interest, shape (14, N, 2), in the order of the row names above."""
        x0, y0, x1, y1 = self.xyxy_px.T
        middle = (x0 + x1) / 2.0
        points_uv = np.empty((N_ROWS, len(x0), 2))
        points_uv[:2, :, 0] = middle
        points_uv[CENTRE, :, 1] = (y0 + y1) / 2.0
        points_uv[BOTTOM, :, 1] = y1
        points_uv[CORNERS, :, 0] = x0, x1, x1, x0
        points_uv[CORNERS, :, 1] = y0, y0, y1, y1
        steps = PIXEL_STEPS_UV[:, None, :]
        points_uv[AROUND_CENTRE] = points_uv[CENTRE] + steps
        points_uv[AROUND_BOTTOM] = points_uv[BOTTOM] + steps
        return points_uv

    def sigma_px(self, box_px: float, lean: FloatArray, ragged: FloatArray) -> FloatArray:
        """Return one sigma right and down: of one look, and shared by all; (2, N, 2)."""
        edge = np.hypot(CUT_SHARE * self.is_cut_wh, ragged[:, None]) * self.size_wh_px
        look = np.hypot(box_px, edge)
        return np.stack((look, lean[:, None] * self.size_wh_px * (1.0, 0.0)))


def boxes_of(detections: Sequence[Detection], width_px: int, height_px: int) -> Boxes:
    """Stack the boxes of a frame and mark those that its edge cuts."""
    xyxy = np.array([detection.box_xyxy_px for detection in detections])
    last = np.array([width_px - 1.0, height_px - 1.0])
    margin_px = CUT_MARGIN * width_px
    is_cut = (xyxy[:, :2] <= margin_px) | (xyxy[:, 2:] >= last - margin_px)
    return Boxes(xyxy_px=xyxy, size_wh_px=xyxy[:, 2:] - xyxy[:, :2], is_cut_wh=is_cut)
