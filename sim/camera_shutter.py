"""Exposure in time: rows that are read one after the other, and motion while the light falls.

The renderer draws one instant.  A warp by the true motion turns that picture into what a rolling
shutter of some exposure would have given: exact for the ground plane, and within the parallax of
a few centimetres of motion for what stands on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.camera import CameraModel, CameraPose, project

ImageArray = NDArray[np.uint8]
FloatArray = NDArray[np.float64]
PoseAt = Callable[[float], CameraPose]  # seconds since the start of the flight

_CELL_PX = 40  # the warp is worked out this far apart, and is linear in between
_MOST_STEPS = 16  # pictures that make up one blurred picture
_FAR_M = 900.0  # rays that miss the ground end here


@dataclass(frozen=True)
class Shutter:
    """When each row of a picture sees the light.

    Attributes:
        exposure_s: How long each row does.
        readout_s: From the first row to the last; 0 is a global shutter.  The middle row's
            mid-exposure is the picture's time.
    """

    exposure_s: float = 0.0
    readout_s: float = 0.0

    def row_time_s(self, time_s: float, row_px: FloatArray, height_px: int) -> FloatArray:
        """Return the mid-exposure of rows, px from the top."""
        return np.asarray(time_s + ((row_px + 0.5) / height_px - 0.5) * self.readout_s)


class Exposure:
    """One picture's shutter, over the true motion around its time."""

    def __init__(
        self, camera: CameraModel, shutter: Shutter, pose_at: PoseAt, ground_up_m: float = 0.0
    ) -> None:
        self.camera, self.shutter, self._pose_at = camera, shutter, pose_at
        self._ground_up_m = ground_up_m
        # Nodes in the middle of cells, one cell beyond the picture on each side: `cv2.resize`
        # then interpolates between them without an edge.
        cols = int(np.ceil(camera.width_px / _CELL_PX)) + 2
        rows = int(np.ceil(camera.height_px / _CELL_PX)) + 2
        node_u: FloatArray = (np.arange(cols, dtype=np.float64) - 0.5) * _CELL_PX - 0.5
        self._node_v: FloatArray = (np.arange(rows, dtype=np.float64) - 0.5) * _CELL_PX - 0.5
        uv = np.stack(np.meshgrid(node_u, self._node_v), axis=2).reshape(-1, 2)
        bent = (uv - [camera.cx_px, camera.cy_px]) / [camera.fx_px, camera.fy_px]
        rays = np.column_stack([camera.unbend(bent), np.ones(len(uv))])
        self._uv, self._rays = uv.reshape(rows, cols, 2), rays.reshape(rows, cols, 3)
        self._pixels = np.stack(
            np.meshgrid(np.arange(camera.width_px), np.arange(camera.height_px)), axis=2
        ).astype(np.float32)

    @property
    def is_instant(self) -> bool:
        """Whether it changes nothing."""
        return self.shutter.exposure_s <= 0 and self.shutter.readout_s <= 0

    def shift_px(self, time_s: float, offset_s: float = 0.0) -> FloatArray:
        """Return how far in the drawn picture each node's light comes from, (rows, cols, 2).

        Args:
            time_s: The instant that is drawn.
            offset_s: From the row's mid-exposure, within the exposure.
        """
        drawn = self._pose_at(time_s)
        times = self.shutter.row_time_s(time_s, self._node_v, self.camera.height_px) + offset_s
        turn, place = self._motion(times)
        rays = np.einsum("rij,rcj->rci", turn, self._rays)
        reach = (self._ground_up_m - place[:, None, 2]) / np.minimum(rays[..., 2], -1e-6)
        reach = np.minimum(reach, _FAR_M / np.linalg.norm(rays, axis=2))
        points = place[:, None] + rays * reach[..., None]
        uv, _ = project(self.camera, drawn, points.reshape(-1, 3))
        uv = uv.reshape(self._uv.shape)
        return np.where(np.isnan(uv), self._uv, uv) - self._uv

    def _motion(self, times_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the camera's rotation and place at each time: a parabola through three poses.

        A picture is read in some 20 ms; what motion does beyond a parabola in that time is far
        below a pixel.
        """
        first, last = float(times_s[0]), float(times_s[-1])
        at = np.array([first, (first + last) / 2, last])
        poses = [self._pose_at(float(time_s)) for time_s in at]
        share = (times_s - first) / (last - first) if last > first else np.zeros(len(times_s))
        weights = np.column_stack(
            [(2 * share - 1) * (share - 1), 4 * share * (1 - share), share * (2 * share - 1)]
        )
        turn = np.einsum("rk,kij->rij", weights, np.stack([p.enu_from_camera for p in poses]))
        return turn, weights @ np.stack([p.position_m for p in poses])

    def expose(self, drawn_bgr: ImageArray, time_s: float) -> ImageArray:
        """Turn the picture of one instant into the shutter's."""
        if self.is_instant:
            return drawn_bgr
        half_s = self.shutter.exposure_s / 2
        first, last = self.shift_px(time_s, -half_s), self.shift_px(time_s, half_s)
        longest = float(np.linalg.norm(last - first, axis=2).max())
        # A picture a pixel of smear; what is shorter is under the lens's own softness.
        steps = int(np.clip(round(longest), 1, _MOST_STEPS))
        if steps == 1 and not self.shutter.readout_s:
            return drawn_bgr
        # The light of each picture comes from one more step along the way.
        step = self._wide((last - first) / steps)
        source = self._pixels + self._wide(first + (last - first) / (2 * steps))
        drawn = cv2.cvtColor(drawn_bgr, cv2.COLOR_BGR2BGRA)  # `remap` takes half the time on four
        total = np.zeros(drawn.shape, np.float32)
        for _ in range(steps):
            moved = cv2.remap(drawn, source, None, cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
            cv2.accumulate(moved, total)
            cv2.add(source, step, dst=source)
        blurred = cv2.convertScaleAbs(total, alpha=1 / steps)
        return np.asarray(cv2.cvtColor(blurred, cv2.COLOR_BGRA2BGR), np.uint8)

    def seen_at(self, drawn_uv: FloatArray, time_s: float) -> FloatArray:
        """Say where pixels of the drawn picture, shape (N, 2), appear in the shutter's."""
        if self.shutter.readout_s <= 0:
            return drawn_uv
        shift = self.shift_px(time_s)
        out = drawn_uv.copy()
        for _ in range(3):  # the shift is a few pixels and smooth: this converges at once
            out = drawn_uv - self._between(shift, out)
        return np.asarray(out)

    def _wide(self, shift: FloatArray) -> NDArray[np.float32]:
        """Spread what holds at the nodes over every pixel, shape (height, width, 2)."""
        height, width = self._pixels.shape[:2]
        rows, cols = shift.shape[:2]
        wide = cv2.resize(shift.astype(np.float32), (cols * _CELL_PX, rows * _CELL_PX))
        return np.asarray(wide[_CELL_PX : _CELL_PX + height, _CELL_PX : _CELL_PX + width])

    def _between(self, shift: FloatArray, uv: FloatArray) -> FloatArray:
        rows, cols = shift.shape[:2]
        place = np.clip((uv + 0.5) / _CELL_PX + 0.5, 0, [cols - 1.001, rows - 1.001])
        low = place.astype(int)
        across, down = (place - low).T[:, :, None]
        col, row = low.T
        top = shift[row, col] * (1 - across) + shift[row, col + 1] * across
        bottom = shift[row + 1, col] * (1 - across) + shift[row + 1, col + 1] * across
        return np.asarray(top * (1 - down) + bottom * down)
