"""Error ellipses and circles that hold the truth nine times in ten."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from edge.records import CE90_PER_SIGMA, Covariance2, Ellipse, FloatArray

SMALLEST_SEMI_AXIS_M = 0.01  # a centimetre: no ellipse is a point, whatever the budget says
ANGLES = 360  # the integrand is smooth and periodic: the sum is good to far better than 1 %
BISECTIONS = 30
SHAPES = 256


def ellipse_from_covariance(covariance: Covariance2) -> Ellipse:
    """Return the ellipse holding 90 % of a Gaussian with covariance (ee, en, nn), m²."""
    var_east, cov, var_north = covariance
    mean, half_gap = (var_east + var_north) / 2.0, (var_north - var_east) / 2.0
    radius = math.hypot(half_gap, cov)
    a_m = max(CE90_PER_SIGMA * math.sqrt(max(mean + radius, 0.0)), SMALLEST_SEMI_AXIS_M)
    b_m = max(CE90_PER_SIGMA * math.sqrt(max(mean - radius, 0.0)), SMALLEST_SEMI_AXIS_M)
    azimuth_deg = math.degrees(0.5 * math.atan2(cov, half_gap)) % 180.0
    # -1e-20 % 180 is 180.0 in floating point, which is the same axis as 0.
    return Ellipse(a_m, min(a_m, b_m), 0.0 if azimuth_deg >= 180.0 else azimuth_deg)


def ce90_m(ellipse: Ellipse) -> float:
    """Return the radius of the circle around its centre that holds 90 %.

    It goes with the larger axis, and with its shape by a table: 255 steps between a line and a
    circle are good to some millionths of it.
    """
    shapes, radii = _radii_of_shapes()
    return float(ellipse.a_m * np.interp(ellipse.b_m / ellipse.a_m, shapes, radii))


@cache
def _radii_of_shapes() -> tuple[FloatArray, FloatArray]:
    """Return b / a from 0 to 1, and the circle's radius / a for each, by integration.

    For a Gaussian with sigmas s, t along the axes the share inside R is one less the mean over all
    angles p of exp(-R² / 2(s² cos² p + t² sin² p)).
    """
    shapes = np.linspace(0.0, 1.0, SHAPES)
    angles = (np.arange(ANGLES) + 0.5) * (math.pi / ANGLES)
    spread = np.cos(angles) ** 2 + (shapes[:, None] * np.sin(angles)) ** 2
    spread *= 2.0 / CE90_PER_SIGMA**2
    low, high = np.full(SHAPES, 1.0 / CE90_PER_SIGMA), np.ones(SHAPES)  # a circle needs all of a
    for _ in range(BISECTIONS):
        middle = (low + high) / 2.0
        is_less = 1.0 - np.exp(-(middle[:, None] ** 2) / spread).mean(axis=1) < 0.90
        low, high = np.where(is_less, middle, low), np.where(is_less, high, middle)
    return shapes, high
