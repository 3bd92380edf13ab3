"""Intrinsics: from a frame's pixels to view rays in camera axes, and back."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.config import CameraConfig
from edge.errors import CalibrationError
from edge.geo.calibration_file import read_table
from edge.geo.camera_file import CameraFile, Crop, FlownTable
from edge.geo.lens import BrownLens, Lens
from edge.records import FloatArray

# Encoders round frames to even or to multiples of 16 rows: 1920×1088 is still 16:9.
ASPECT_TOLERANCE = 0.01
IDEAL_LENS = BrownLens()


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

    def cropped(self, left_px: int, top_px: int, width_px: int, height_px: int) -> Intrinsics:
        """Return the intrinsics of a part of the picture, by its left upper pixel and size.

        Raises:
            CalibrationError: The part does not lie in the picture.
        """
        if not (
            left_px >= 0 and 0 < width_px <= self.width_px - left_px
            and top_px >= 0 and 0 < height_px <= self.height_px - top_px
        ):  # fmt: skip
            raise CalibrationError(
                f"camera {self.camera_id!r}: crop_px = [{left_px}, {top_px}, {width_px}, "
                f"{height_px}] (left, top, width, height) is not within the calibrated "
                f"{self.width_px}×{self.height_px} picture; give the part that the camera cuts out"
            )
        return replace(
            self,
            width_px=width_px,
            height_px=height_px,
            cx_px=self.cx_px - left_px,
            cy_px=self.cy_px - top_px,
        )

    def zoomed(self, factor: float) -> Intrinsics:
        """Return the intrinsics of a digital zoom: the middle, enlarged to the same size.

        Raises:
            CalibrationError: The factor is below 1, and there is nothing beyond the picture.
        """
        if not 1.0 <= factor < math.inf:
            raise CalibrationError(
                f"camera {self.camera_id!r}: a digital zoom of {factor} shows more than the "
                "picture; it is 1 or more (optical zoom needs a calibration of its own)"
            )
        middle_u, middle_v = (self.width_px - 1.0) / 2.0, (self.height_px - 1.0) / 2.0
        return replace(
            self,
            fx_px=self.fx_px * factor,
            fy_px=self.fy_px * factor,
            cx_px=(self.cx_px - middle_u) * factor + middle_u,
            cy_px=(self.cy_px - middle_v) * factor + middle_v,
            rms_px=self.rms_px * factor,
        )

    def flown(self, crop_px: Crop | None, zoom: float) -> Intrinsics:
        """Return the intrinsics of a stated crop and zoom.

        Cameras scale between the two; a zoom about the middle and a scaling commute.
        """
        part = self if crop_px is None else self.cropped(*crop_px)
        return part.zoomed(zoom)

    def scaled_to(self, width_px: int, height_px: int) -> Intrinsics:
        """Return the intrinsics of the same picture at another size.

        Raises:
            CalibrationError: The aspect differs, so the picture was cropped in an unknown way.
        """
        if (width_px, height_px) == (self.width_px, self.height_px):
            return self
        scale_x, scale_y = width_px / self.width_px, height_px / self.height_px
        if not abs(scale_x / scale_y - 1.0) <= ASPECT_TOLERANCE:
            raise CalibrationError(self._why_not(width_px, height_px))
        return replace(
            self,
            width_px=width_px,
            height_px=height_px,
            fx_px=self.fx_px * scale_x,
            fy_px=self.fy_px * scale_y,
            # Pixels have their centres at whole numbers, so the picture's corner is at -0.5.
            cx_px=(self.cx_px + 0.5) * scale_x - 0.5,
            cy_px=(self.cy_px + 0.5) * scale_y - 0.5,
            rms_px=self.rms_px * math.sqrt(scale_x * scale_y),
        )

    def _why_not(self, width_px: int, height_px: int) -> str:
        """Say why frames of this size cannot be the calibrated picture, and what they may be."""
        part_w = min(self.width_px, round(self.height_px * width_px / height_px))
        part_h = min(self.height_px, round(self.width_px * height_px / width_px))
        left, top = (self.width_px - part_w) // 2, (self.height_px - part_h) // 2
        return (
            f"camera {self.camera_id!r}: its calibration is for a picture of "
            f"{self.width_px}×{self.height_px}, but frames are {width_px}×{height_px}: another "
            "aspect means a crop; calibrate at the size that is flown, or state the crop in "
            f"[[camera]] (if it is the middle: crop_px = [{left}, {top}, {part_w}, {part_h}])"
        )

    def fit_to(self, width_px: int, height_px: int) -> str:
        """Say in words how frames of a size that `scaled_to` accepts relate to the calibration."""
        if (width_px, height_px) == (self.width_px, self.height_px):
            return f"is for this very size, {width_px}×{height_px}"
        return (
            f"is for {self.width_px}×{self.height_px}; frames of {width_px}×{height_px} are the "
            f"same picture {width_px / self.width_px:.3g} times as large"
        )

    def rays_from_pixels(self, pixels_uv: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Turn pixels into view rays.

        Args:
            pixels_uv: Shape (N, 2), px.

        Returns:
            Rays, shape (N, 3), camera axes (x right, y down, z forward), of any length (z may be
            0 or less in a fisheye's picture), and a mask, shape (N,): False where the lens model
            does not invert.
        """
        return self.lens.unproject(
            (pixels_uv - (self.cx_px, self.cy_px)) / (self.fx_px, self.fy_px)
        )

    def pixels_from_rays(self, rays: FloatArray) -> FloatArray:
        """Project rays, shape (N, 3), camera axes, to pixels, shape (N, 2); NaN: not seen.

        Not seen is what lies behind the camera or beyond the lens model's fold; a pixel outside
        the picture is returned as it is.
        """
        distorted_xy = self.lens.project(rays)
        pixels: FloatArray = distorted_xy * (self.fx_px, self.fy_px) + (self.cx_px, self.cy_px)
        return pixels


def read_intrinsics(path: Path, *, crop_px: Crop | None = None, zoom: float = 1.0) -> Intrinsics:
    """Read `calibration/cameras/<id>.toml`: the intrinsics of the picture that is flown.

    Args:
        path: The file; its [flown] table may state a crop and a digital zoom.
        crop_px: Or the aircraft's config states them: left, top, width, height.
        zoom: The digital zoom that the aircraft's config states.

    Raises:
        CalibrationError: The file is not usable; the message names file and key.
    """
    file = read_table(path, CameraFile)
    if (crop_px, zoom) != (None, 1.0):
        if file.flown != FlownTable():
            raise CalibrationError(
                f"{path}: flown: a crop or zoom is stated here and in [[camera]] of the config; "
                "keep it in one place"
            )
        file = file.model_copy(update={"flown": FlownTable(crop_px=crop_px, zoom=zoom)})
    whole = Intrinsics(
        camera_id=file.id,
        width_px=file.width_px,
        height_px=file.height_px,
        fx_px=file.fx_px,
        fy_px=file.fy_px,
        cx_px=file.cx_px,
        cy_px=file.cy_px,
        lens=file.lens(),
        rms_px=file.rms_px,
    )
    try:
        return whole.flown(file.flown.crop_px, file.flown.zoom)
    except CalibrationError as error:
        raise CalibrationError(f"{path}: {error}") from error


def flown_intrinsics(camera: CameraConfig) -> Intrinsics:
    """Read the calibration of a camera of the config, with the crop and zoom that it states.

    Raises:
        CalibrationError: The file is not usable, or the crop is not within its picture.
    """
    return read_intrinsics(camera.calibration, crop_px=camera.crop_px, zoom=camera.zoom)
