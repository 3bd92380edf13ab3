"""The straight-line picture that is rendered, and the map that bends it as the lens does."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from sim.camera import CameraModel
from sim.render.geometry import FAR_M, NEAR_M

FloatArray = NDArray[np.float64]


class Lens:
    """A camera as OpenGL draws it: no distortion, and wide enough for the lens to bend."""

    def __init__(self, camera: CameraModel) -> None:
        rows, cols = np.mgrid[0 : camera.height_px, 0 : camera.width_px].astype(np.float64)
        bent = np.column_stack(
            [
                (cols.ravel() - camera.cx_px) / camera.fx_px,
                (rows.ravel() - camera.cy_px) / camera.fy_px,
            ]
        )
        flat = camera.unbend(bent) * [camera.fx_px, camera.fy_px]
        low, high = np.floor(flat.min(axis=0)) - 1, np.ceil(flat.max(axis=0)) + 2
        self.width_px, self.height_px = int(high[0] - low[0]), int(high[1] - low[1])
        self.fx_px, self.fy_px = camera.fx_px, camera.fy_px
        self.cx_px, self.cy_px = -low[0], -low[1]
        maps = (flat - low).astype(np.float32).reshape(camera.height_px, camera.width_px, 2)
        fixed, fraction = cv2.convertMaps(maps[..., 0], maps[..., 1], cv2.CV_16SC2)
        self.maps = (np.asarray(fixed), np.asarray(fraction))

    def clip_from_camera(self) -> FloatArray:
        """Build the projection; the picture's row 0 is first in memory, so y is not flipped."""
        w, h = self.width_px, self.height_px
        depth_a = (FAR_M + NEAR_M) / (FAR_M - NEAR_M)
        depth_b = -2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)
        return np.array(
            [
                [2 * self.fx_px / w, 0, 2 * (self.cx_px + 0.5) / w - 1, 0],
                [0, 2 * self.fy_px / h, 2 * (self.cy_px + 0.5) / h - 1, 0],
                [0, 0, depth_a, depth_b],
                [0, 0, 1, 0],
            ]
        )

    def camera_from_picture(self) -> FloatArray:
        """Return what turns (x, y, 1), each of x and y from -1 to 1 over the picture, into a ray.

        The ray's z is 1; camera axes: x right, y down, z forward.
        """
        half_w, half_h = self.width_px / 2, self.height_px / 2
        return np.array(
            [
                [half_w / self.fx_px, 0, (half_w - self.cx_px - 0.5) / self.fx_px],
                [0, half_h / self.fy_px, (half_h - self.cy_px - 0.5) / self.fy_px],
                [0, 0, 1],
            ]
        )
