"""Error ellipses and circles that hold the truth nine times in ten."""

from __future__ import annotations

import math

import numpy as np

from edge.records import CE90_PER_SIGMA, Covariance2, Ellipse

SMALLEST_SEMI_AXIS_M = 0.01  # a centimetre: no ellipse is a point, whatever the budget says
ANGLES = 360  # the integrand is smooth and periodic: the sum is good to far better than 1 %
BISECTIONS = 30


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
    """Return the radius of the circle around its centre that holds 90 %, by integration.

    For a Gaussian with sigmas s, t along the axes the share inside R is one less the mean over all
    angles p of exp(-R² / 2(s² cos² p + t² sin² p)).
    """
    s_m, t_m = ellipse.a_m / CE90_PER_SIGMA, ellipse.b_m / CE90_PER_SIGMA
    angles = np.arange(ANGLES) * (math.pi / ANGLES)
    spread = 2.0 * ((s_m * np.cos(angles)) ** 2 + (t_m * np.sin(angles)) ** 2)
    low_m, high_m = s_m, ellipse.a_m  # a line needs 1.645 s, a circle all of a
    for _ in range(BISECTIONS):
        middle_m = (low_m + high_m) / 2.0
        if 1.0 - float(np.exp(-middle_m * middle_m / spread).mean()) < 0.90:
            low_m = middle_m
        else:
            high_m = middle_m
    return high_m
