"""Boxes drawn onto a picture, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence

import cv2

from edge.records import Detection, ImageArray

# BGR; one a label, from the first on.  Bright, and apart from greens and greys of the ground.
_COLOURS = ((60, 60, 230), (235, 160, 30), (40, 210, 240), (220, 60, 200), (90, 230, 90))
_DARK = (20, 20, 20)
_LINES_A_PICTURE = 640  # a line is this part of the picture's larger side


def draw_detections(image_bgr: ImageArray, detections: Sequence[Detection]) -> ImageArray:
    """Return a copy of a picture with each box, its label and its score.

    Args:
        image_bgr: Shape (H, W, 3), uint8.
        detections: In its pixels.
    """
    drawn: ImageArray = image_bgr.copy()
    line_px = max(1, round(max(image_bgr.shape[:2]) / _LINES_A_PICTURE))
    size = max(0.35, 0.22 * line_px)
    labels = sorted({one.label for one in detections})
    for one in sorted(detections, key=lambda one: one.score):  # the surest on top
        colour = _COLOURS[labels.index(one.label) % len(_COLOURS)]
        x0, y0, x1, y1 = (round(side) for side in one.box_xyxy_px)
        cv2.rectangle(drawn, (x0, y0), (x1, y1), colour, line_px)
        text = f"{one.label} {one.score:.2f}"
        (width, height), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, line_px)
        top = max(0, y0 - height - below - line_px)
        left = max(0, min(x0, image_bgr.shape[1] - width))
        corner = (left + width, top + height + below)
        cv2.rectangle(drawn, (left, top), corner, colour, cv2.FILLED)
        at = (left, top + height)
        cv2.putText(drawn, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, _DARK, max(1, line_px // 2))
    return drawn
