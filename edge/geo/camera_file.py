"""`calibration/cameras/<id>.toml` as types: what a calibration says, and what it may not."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from edge.geo.calibration_file import CalibrationTable
from edge.geo.lens import Lens
from edge.geo.lens_fisheye import FisheyeLens
from edge.geo.lenses import coefficient_names, lens_of
from edge.records import FloatArray
from edge.toml_file import law_broken

FocalPx = Annotated[float, Field(ge=1.0, le=1e6)]  # beyond, numbers overflow and no lens is
NotNegative = Annotated[float, Field(ge=0.0)]
Crop = tuple[int, int, int, int]  # left, top, width, height
BORDER_POINTS = 33  # on each side of the picture, where a lens is asked whether it inverts
# A real lens solved without the corners folds just inside them (88 % of the way in one that has
# flown): what lies beyond has no place.  A model that folds nearer than this is of no lens.
LEAST_FOLD = 0.7


class FlownTable(CalibrationTable):
    """Which part of the calibrated picture is flown: first the crop, last the digital zoom."""

    crop_px: Crop | None = None
    zoom: float = Field(1.0, ge=1.0)


class MeasuredTable(CalibrationTable):
    """How a calibration was made, as `skywhistle calibrate lens` writes it; nothing flies by it."""

    board: str
    views_used: tuple[str, ...]
    views_rejected: tuple[str, ...] = ()
    sigma_fx_px: NotNegative
    sigma_fy_px: NotNegative
    sigma_cx_px: NotNegative
    sigma_cy_px: NotNegative
    sigma_distortion: tuple[NotNegative, ...]
    warnings: tuple[str, ...] = ()


class CameraFile(CalibrationTable):
    """`calibration/cameras/<id>.toml`."""

    id: str = Field(min_length=1)
    width_px: int = Field(gt=0, le=100_000)
    height_px: int = Field(gt=0, le=100_000)
    fx_px: FocalPx
    fy_px: FocalPx
    cx_px: float
    cy_px: float
    model: Literal["brown", "rational", "fisheye"] = "brown"
    distortion: tuple[float, ...] | None = None  # not given: all zero
    rms_px: float = Field(0.0, ge=0.0)
    source: str = ""
    flown: FlownTable = FlownTable()
    measured: MeasuredTable | None = None

    @model_validator(mode="after")
    def _is_of_a_camera(self) -> CameraFile:
        """Refuse what no camera has: each law names the key that breaks it."""
        if not (0.0 < self.cx_px < self.width_px and 0.0 < self.cy_px < self.height_px):
            raise ValueError(
                f"cx_px, cy_px = {self.cx_px}, {self.cy_px} lie outside the "
                f"{self.width_px}×{self.height_px} picture; width_px and height_px are those of "
                "the pictures that the camera was calibrated with"
            )
        names = coefficient_names(self.model)
        if self.distortion is not None and len(self.distortion) != len(names):
            raise law_broken(
                ("distortion",),
                f"{len(self.distortion)} coefficients; the {self.model} model has {len(names)}: "
                f"{' '.join(names)}; write 0.0 for one that was not solved, or correct `model`",
            )
        gap = self.fold()
        if gap is not None and gap < LEAST_FOLD:
            raise law_broken(
                ("distortion",),
                f"folds inside the picture: the lens model turns back on itself {gap:.0%} of the "
                "way from the middle to the picture's edge, so two directions share a pixel; check "
                "the coefficients' order and signs, or calibrate with the board held into the "
                "corners too (`skywhistle calibrate lens`), a very wide lens as fisheye",
            )
        return self

    def lens(self) -> Lens:
        """Make its lens."""
        return lens_of(self.model, self.distortion or ())

    def fold(self) -> float | None:
        """Say what share of the way to the picture's edge the lens inverts; None: all of it."""
        return fold_in_picture(self.lens(), self.border_xy())

    def border_xy(self) -> FloatArray:
        """Return points on the picture's very edge, on the distorted plane."""
        centre, focal = (self.cx_px, self.cy_px), (self.fx_px, self.fy_px)
        xy: FloatArray = (border_uv(self.width_px, self.height_px) - centre) / focal
        return xy


def border_uv(width_px: int, height_px: int) -> FloatArray:
    """Return pixels along the picture's very edge, shape (N, 2), corners included."""
    along = np.linspace(-0.5, 0.5, BORDER_POINTS)
    side = np.full_like(along, 0.5)
    edges = [(along, -side), (along, side), (-side, along), (side, along)]
    share = np.concatenate([np.column_stack(edge) for edge in edges])  # of width and height
    uv: FloatArray = (share + 0.5) * (width_px, height_px) - 0.5
    return uv


def fold_in_picture(lens: Lens, border_xy: FloatArray) -> float | None:
    """Say what share of the way to the picture's edge a lens model inverts; None: all of it.

    A fisheye's picture may be a circle with black corners: its model need not reach them where it
    reaches sideways, nor where it holds on the picture's nearest edge.
    """
    _, is_inside = lens.unproject(border_xy)
    if isinstance(lens, FisheyeLens):
        nearest = np.hypot(border_xy[:, 0], border_xy[:, 1]).argmin()
        if lens.widest_rad > math.pi / 2.0 or is_inside[nearest]:
            return None
    if is_inside.all():
        return None
    shares = np.linspace(0.0, 1.0, 101)
    outside = border_xy[~is_inside]
    for share in shares[::-1]:
        if lens.unproject(outside * share)[1].all():
            return float(share)
    return 0.0
