"""Where a frame lies in the model's input, there and back.

Two pixel conventions meet here.  Models count from the corner of the first pixel (a box that covers
a whole picture is 0, 0, width, height); `Detection` counts from the centre of the first pixel, so
that the same box is -0.5, -0.5, width - 0.5, height - 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge.vision.manifest import ResizeName

Boxes = NDArray[np.float64]  # (N, 4), xyxy
_HALF_PX = 0.5  # from a pixel's corner to its centre


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How frames of one size are fitted into the input: resized, then placed at (left, top).

    Scales are per axis, from the whole pixels that the resized picture really has, so that rounding
    never moves a box.
    """

    frame_wh_px: tuple[int, int]
    input_wh_px: tuple[int, int]
    resized_wh_px: tuple[int, int]
    left_px: int
    top_px: int

    @property
    def _scale_wh(self) -> tuple[float, float]:
        return (
            self.resized_wh_px[0] / self.frame_wh_px[0],
            self.resized_wh_px[1] / self.frame_wh_px[1],
        )

    def input_from_frame(self, boxes_xyxy: Boxes) -> Boxes:
        """Map boxes from frame pixels (from pixel centres) to the input's (from corners)."""
        scale, shift = self._scale_wh * 2, (self.left_px, self.top_px) * 2
        mapped: Boxes = (np.asarray(boxes_xyxy, np.float64) + _HALF_PX) * scale + shift
        return mapped

    def frame_from_input(self, boxes_xyxy: Boxes) -> Boxes:
        """Map boxes from the input's pixels (from corners) to the frame's (from centres).

        Nothing is clipped: see `clip_to_frame`.
        """
        scale, shift = self._scale_wh * 2, (self.left_px, self.top_px) * 2
        mapped: Boxes = (np.asarray(boxes_xyxy, np.float64) - shift) / scale - _HALF_PX
        return mapped

    def clip_to_frame(self, boxes_xyxy: Boxes) -> Boxes:
        """Clip boxes in frame pixels to the centres of the outermost pixels, 0 to size - 1."""
        width, height = self.frame_wh_px
        limits = (width - 1.0, height - 1.0) * 2
        clipped: Boxes = np.minimum(np.maximum(boxes_xyxy, 0.0), limits)
        return clipped


def plan_letterbox(
    frame_wh_px: tuple[int, int], input_wh_px: tuple[int, int], resize: ResizeName
) -> Letterbox:
    """Fit a frame into the input as the model was trained.

    Raises:
        ValueError: a side is not positive.
    """
    width, height = frame_wh_px
    if min(*frame_wh_px, *input_wh_px) <= 0:
        raise ValueError(f"sides must be positive, got {frame_wh_px} into {input_wh_px}")
    if resize == "stretch":
        return Letterbox(frame_wh_px, input_wh_px, input_wh_px, 0, 0)
    scale = min(input_wh_px[0] / width, input_wh_px[1] / height)
    resized = (
        min(input_wh_px[0], max(1, round(width * scale))),
        min(input_wh_px[1], max(1, round(height * scale))),
    )
    if resize == "letterbox_top_left":
        return Letterbox(frame_wh_px, input_wh_px, resized, 0, 0)
    left, top = (input_wh_px[0] - resized[0]) // 2, (input_wh_px[1] - resized[1]) // 2
    return Letterbox(frame_wh_px, input_wh_px, resized, left, top)
