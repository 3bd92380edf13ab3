"""What is truly in each picture: boxes from the world's geometry, and how much of each is seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.camera import CameraModel, CameraPose, project
from sim.render.renderer import Renderer
from sim.world.finds import Find

FloatArray = NDArray[np.float64]

SEEN_SHARE = (
    0.6  # a find counts as seen in a frame when this much of it is in view and nothing hides it
)
SEEN_MIN_PX = 24.0  # and its box is at least this long


@dataclass(frozen=True)
class FrameBox:
    """One find in one frame.

    Attributes:
        box_xyxy: Left, top, right, bottom in pixels, cut at the frame's edge.
        in_frame: Share of its surface inside the frame, 0 to 1.
        visible: Share of its surface inside the frame with nothing solid in front, 0 to 1.
        has_centre: Whether the middle of the uncut box lies in the frame.
    """

    find: Find
    box_xyxy: tuple[float, float, float, float]
    in_frame: float
    visible: float
    has_centre: bool

    @property
    def is_seen(self) -> bool:
        """Whether anybody could be expected to find it here."""
        left, top, right, bottom = self.box_xyxy
        big = max(right - left, bottom - top) >= SEEN_MIN_PX
        return self.has_centre and self.visible >= SEEN_SHARE and big


def frame_boxes(renderer: Renderer, pose: CameraPose) -> list[FrameBox]:
    """Find every violation and distractor that one picture holds at least a corner of."""
    finds, camera = renderer.district.finds, renderer.camera
    if not finds:
        return []
    points = np.concatenate([f.points_m for f in finds])
    ends = np.cumsum([len(f.points_m) for f in finds])[:-1]
    uv, _ = project(camera, pose, points)
    open_sight = renderer.visible_share(pose, points)
    out = []
    for find, spots, sight in zip(
        finds, np.split(uv, ends), np.split(open_sight, ends), strict=True
    ):
        box = _frame_box(camera, find, spots, sight)
        if box is not None:
            out.append(box)
    return out


def _frame_box(
    camera: CameraModel, find: Find, uv: FloatArray, open_sight: FloatArray
) -> FrameBox | None:
    if np.isnan(uv).any():  # partly behind the camera: far out of any picture this camera takes
        return None
    low, high = uv.min(axis=0), uv.max(axis=0)
    limit = np.array([camera.width_px - 0.5, camera.height_px - 0.5])
    cut_low, cut_high = np.maximum(low, -0.5), np.minimum(high, limit)
    if np.any(cut_high - cut_low < 2.0):
        return None
    inside = np.all((uv > -0.5) & (uv < limit), axis=1)
    middle = (low + high) / 2
    return FrameBox(
        find,
        (float(cut_low[0]), float(cut_low[1]), float(cut_high[0]), float(cut_high[1])),
        float(inside.mean()),
        float((inside * open_sight).mean()),
        bool(np.all((middle > 0) & (middle < limit))),
    )
