"""Symmetric 2×2 matrices as three plain floats, which are quicker than arrays at this size.

A `Covariance2` is (var_east, cov_east_north, var_north) in m².
"""

from __future__ import annotations

import math

from edge.records import CE90_PER_SIGMA, Covariance2

ZERO: Covariance2 = (0.0, 0.0, 0.0)


def isotropic(sigma_m: float) -> Covariance2:
    """Make a circular covariance of one sigma per axis."""
    return (sigma_m * sigma_m, 0.0, sigma_m * sigma_m)


def add(a: Covariance2, b: Covariance2) -> Covariance2:
    """Sum of two matrices: of independent errors, or of information."""
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def scale(a: Covariance2, factor: float) -> Covariance2:
    """Multiply a matrix by a number."""
    return (a[0] * factor, a[1] * factor, a[2] * factor)


def determinant(a: Covariance2) -> float:
    """Return the determinant, m⁴: the squared area of the error, but for a factor."""
    return a[0] * a[2] - a[1] * a[1]


def inverse(a: Covariance2) -> Covariance2:
    """Invert a positive definite matrix: covariance to information and back."""
    determinant = a[0] * a[2] - a[1] * a[1]
    return (a[2] / determinant, -a[1] / determinant, a[0] / determinant)


def quadratic(a: Covariance2, east: float, north: float) -> float:
    """`x' A x`: with an information matrix, the squared distance in sigmas."""
    return a[0] * east * east + 2.0 * a[1] * east * north + a[2] * north * north


def times(a: Covariance2, east: float, north: float) -> tuple[float, float]:
    """`A x`."""
    return (a[0] * east + a[1] * north, a[1] * east + a[2] * north)


def eigenvalues(a: Covariance2) -> tuple[float, float]:
    """Return the larger and the smaller eigenvalue, m²; neither below 0."""
    middle = 0.5 * (a[0] + a[2])
    radius = math.hypot(0.5 * (a[0] - a[2]), a[1])
    return (middle + radius, max(middle - radius, 0.0))


def ellipse_radii_m(a: Covariance2) -> tuple[float, float]:
    """Semi-axes of the ellipse that holds 90 %, larger first."""
    larger, smaller = eigenvalues(a)
    return (CE90_PER_SIGMA * math.sqrt(larger), CE90_PER_SIGMA * math.sqrt(smaller))


def to_view(a: Covariance2, bearing_rad: float) -> Covariance2:
    """Turn a matrix from (east, north) to (along, across) a line of sight.

    Its own inverse: along = (sin, cos) and across = (cos, −sin) form a reflection.

    Args:
        a: In (east, north), or in (along, across) for the way back.
        bearing_rad: Of the line of sight, from true north, clockwise.
    """
    s, c = math.sin(bearing_rad), math.cos(bearing_rad)
    return (
        a[0] * s * s + 2.0 * a[1] * s * c + a[2] * c * c,
        (a[0] - a[2]) * s * c + a[1] * (c * c - s * s),
        a[0] * c * c - 2.0 * a[1] * s * c + a[2] * s * s,
    )
