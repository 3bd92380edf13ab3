"""Intrinsics: from a frame's pixels to view rays in camera axes, and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from edge.errors import CalibrationError
from edge.geo.calibration_file import CalibrationTable, read_table
from edge.geo.lens import BrownLens, Lens
from edge.records import FloatArray

PositivePx = Annotated[float, Field(gt=0.0)]
# Encoders round frames to even or to multiples of 16 rows: 1920×1088 is still 16:9.
ASPECT_TOLERANCE = 0.01
IDEAL_LENS = BrownLens()


class CameraFile(CalibrationTable):
    """`calibration/cameras/<id>.toml`."""

    id: str = Field(min_length=1)
    width_px: int = Field(gt=0)
    height_px: int = Field(gt=0)
    fx_px: PositivePx
    fy_px: PositivePx
    cx_px: float
    cy_px: float
    model: Literal["brown"] = "brown"
    distortion: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)
    rms_px: float = Field(0.0, ge=0.0)
    source: str = ""

    @model_validator(mode="after")
    def _centre_is_in_the_picture(self) -> CameraFile:
        if not (0.0 < self.cx_px < self.width_px and 0.0 < self.cy_px < self.height_px):
            raise ValueError(
                f"cx_px, cy_px = {self.cx_px}, {self.cy_px} lie outside the "
                f"{self.width_px}×{self.height_px} picture"
            )
        return self


@dataclass(frozen=True)
class Intrinsics:
    """Focal lengths, principal point and lens of one camera at one frame size.

    (0, 0) is the centre of the top-left pixel.
    """

    camera_id: str
    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    lens: Lens = IDEAL_LENS
    rms_px: float = 0.0

    def scaled_to(self, width_px: int, height_px: int) -> Intrinsics:
        """Return the intrinsics of the same picture at another size.

        Raises:
            CalibrationError: The aspect differs, so the picture was cropped in an unknown way.
        """
        if (width_px, height_px) == (self.width_px, self.height_px):
            return self
        scale_x, scale_y = width_px / self.width_px, height_px / self.height_px
        if not abs(scale_x / scale_y - 1.0) <= ASPECT_TOLERANCE:
            raise CalibrationError(
                f"camera {self.camera_id!r} was calibrated at {self.width_px}×{self.height_px}, "
                f"but frames are {width_px}×{height_px}: another aspect means a crop; "
                "calibrate at the size that is flown"
            )
        return replace(
            self,
            width_px=width_px,
            height_px=height_px,
            fx_px=self.fx_px * scale_x,
            fy_px=self.fy_px * scale_y,
            # Pixels have their centres at whole numbers, so the picture's corner is at -0.5.
            cx_px=(self.cx_px + 0.5) * scale_x - 0.5,
            cy_px=(self.cy_px + 0.5) * scale_y - 0.5,
        )

    def rays_from_pixels(self, pixels_uv: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Turn pixels into view rays.

        Args:
            pixels_uv: Shape (N, 2), px.

        Returns:
            Rays, shape (N, 3), camera axes (x right, y down, z forward), z = 1, and a mask,
            shape (N,): False where the lens model does not invert.
        """
        distorted_xy = (pixels_uv - (self.cx_px, self.cy_px)) / (self.fx_px, self.fy_px)
        ideal_xy, is_inside = self.lens.undistort(distorted_xy)
        rays = np.ones((len(pixels_uv), 3))
        rays[:, :2] = ideal_xy
        return rays, is_inside

    def pixels_from_rays(self, rays: FloatArray) -> FloatArray:
        """Project rays, shape (N, 3), camera axes, z > 0, to pixels, shape (N, 2)."""
        distorted_xy = self.lens.distort(rays[:, :2] / rays[:, 2:])
        pixels: FloatArray = distorted_xy * (self.fx_px, self.fy_px) + (self.cx_px, self.cy_px)
        return pixels


def read_intrinsics(path: Path) -> Intrinsics:
    """Read `calibration/cameras/<id>.toml`.

    Raises:
        CalibrationError: The file is not usable; the message names file and key.
    """
    file = read_table(path, CameraFile)
    return Intrinsics(
        camera_id=file.id,
        width_px=file.width_px,
        height_px=file.height_px,
        fx_px=file.fx_px,
        fy_px=file.fy_px,
        cx_px=file.cx_px,
        cy_px=file.cy_px,
        lens=BrownLens(*file.distortion),
        rms_px=file.rms_px,
    )
