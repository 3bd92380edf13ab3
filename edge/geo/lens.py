"""Lens models: from view rays to the distorted image plane and back, to convergence.

Points are (x, y) at unit depth: x right, y down, no unit.  Here are the models that bend points of
the ideal plane, Brown's and the rational one, and so see less than 180 degrees; `lens_fisheye.py`
bends angles.  A new model is a class with the two methods of `Lens` and an entry in `lenses.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from edge.records import FloatArray

Points: TypeAlias = NDArray[np.complex128]  # x + iy at unit depth

MAX_NEWTON_STEPS = 20  # a lens that inverts needs 3 to 6
CONVERGED = 1e-8  # at unit depth: a hundred-thousandth of a pixel
# A round trip worse than this is no inversion: 0.01 px for a focal length of 1000 px.
ROUND_TRIP = 1e-5
MAX_RADIUS = 20.0  # 87 degrees off the axis: no lens of these models is used farther out
MAX_R2 = MAX_RADIUS**2
NEGLIGIBLE = 1e-9  # of a polynomial's term, against the 1 that all of them start with
TABLE_ROWS = 2000


class Lens(Protocol):
    """What bends a ray between the world and the sensor."""

    def project(self, rays: FloatArray) -> FloatArray:
        """Bend rays, shape (N, 3), of any length, to points, (N, 2); NaN where it sees none."""
        ...

    def unproject(self, distorted_xy: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return the rays, shape (N, 3), of any length, of points (N, 2), and where they exist."""
        ...


@dataclass(frozen=True)
class BrownLens:
    """Brown's model with OpenCV's order of coefficients: k1, k2, p1, p2, k3."""

    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0

    @property
    def is_ideal(self) -> bool:
        """True where the lens bends nothing."""
        return not any((self.k1, self.k2, self.p1, self.p2, self.k3))

    @cached_property
    def fold_radius(self) -> float:
        """Ideal radius beyond which the radial model turns back on itself; inf where it never does.

        The first positive root of d/dr (r + k1 r³ + k2 r⁵ + k3 r⁷).
        """
        return math.sqrt(first_root([7.0 * self.k3, 5.0 * self.k2, 3.0 * self.k1, 1.0], MAX_R2))

    def project(self, rays: FloatArray) -> FloatArray:
        """Bend rays, shape (N, 3), to points, shape (N, 2).

        NaN behind the camera and beyond the fold, where a point would be another ray's.
        """
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ideal_xy = rays[:, :2] / rays[:, 2:]
            radius = np.hypot(ideal_xy[:, 0], ideal_xy[:, 1])
            is_seen = (rays[:, 2] > 0.0) & (radius < self.fold_radius)
            return np.where(is_seen[:, None], self.distort(ideal_xy), np.nan)

    def unproject(self, distorted_xy: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return rays with z = 1, shape (N, 3), and where the model inverts, shape (N,)."""
        rays = np.ones((len(distorted_xy), 3))
        rays[:, :2], is_inside = self.undistort(distorted_xy)
        return rays, is_inside

    def distort(self, ideal_xy: FloatArray) -> FloatArray:
        """Bend points of the ideal plane, shape (N, 2)."""
        z = _complex_from_xy(ideal_xy)
        r2 = z.real * z.real + z.imag * z.imag
        return _xy_from_complex(z * self._radial(r2) + self._decentred(z, r2))

    def undistort(self, distorted_xy: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Straighten points of shape (N, 2) by Newton's method.

        Returns:
            Ideal points, shape (N, 2), and a mask, shape (N,): False where the round trip fails or
            the solution lies beyond the fold, where two rays share a pixel.
        """
        if self.is_ideal:
            return distorted_xy, np.ones(len(distorted_xy), dtype=bool)
        goal = _complex_from_xy(distorted_xy)
        with np.errstate(all="ignore"):  # points that do not invert may run away: the mask tells
            z, is_inside = self._solve(goal, goal)
            if not is_inside.all():  # some have run away from where they could have gone
                lost = ~is_inside
                again, is_found = self._solve(goal[lost], self._radial_start(goal[lost]))
                z = np.array(z)
                z[lost], is_inside[lost] = again, is_found
            return _xy_from_complex(z), is_inside

    def _solve(self, goal: Points, start: Points) -> tuple[Points, NDArray[np.bool_]]:
        """Find z whose image is the goal; the mask tells where it is one, this side of the fold."""
        z = start
        for _ in range(MAX_NEWTON_STEPS):
            r2 = z.real * z.real + z.imag * z.imag
            radial = self._radial(r2)
            miss = z * radial + self._decentred(z, r2) - goal
            error = np.abs(miss)
            if error.max(initial=0.0) < CONVERGED:
                break
            z = z - self._newton_step(z, r2, radial, miss)
        return z, (error < ROUND_TRIP) & (r2 < self.fold_radius**2)

    def _radial_start(self, goal: Points) -> Points:
        """Invert the radial part by a table: near enough for Newton wherever there is a ray."""
        ideal = np.linspace(0.0, min(0.999 * self.fold_radius, MAX_RADIUS), TABLE_ROWS)
        bent = ideal * self._radial(ideal * ideal)
        length = np.abs(goal)
        start: Points = goal / np.maximum(length, 1e-12) * np.interp(length, bent, ideal)
        return start

    # With z = x + iy and p = p2 + i p1 the model is z·radial(|z|²) + 2p|z|² + p̄z²: half the
    # operations of x and y apart.

    @property
    def _p(self) -> complex:
        return complex(self.p2, self.p1)

    def _radial(self, r2: FloatArray) -> FloatArray:
        radial: FloatArray = 1.0 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        return radial

    def _slope(self, r2: FloatArray, _radial: FloatArray) -> FloatArray:
        """Return d(radial)/d(r²)."""
        slope: FloatArray = self.k1 + r2 * (2.0 * self.k2 + (3.0 * self.k3) * r2)
        return slope

    def _decentred(self, z: Points, r2: FloatArray) -> Points:
        p = self._p
        shift: Points = (2.0 * p) * r2 + p.conjugate() * (z * z)
        return shift

    def _newton_step(self, z: Points, r2: FloatArray, radial: FloatArray, miss: Points) -> Points:
        """Solve d/dz·step + d/dz̄·step̄ = miss (Wirtinger's derivatives, the first is real)."""
        p = self._p
        slope = self._slope(r2, radial)
        by_z = radial + r2 * slope + 4.0 * (p.conjugate() * z).real
        by_conjugate = z * (z * slope + 2.0 * p)
        determinant = by_z * by_z - by_conjugate.real**2 - by_conjugate.imag**2
        step: Points = (by_z * miss - by_conjugate * miss.conj()) / determinant
        return step


@dataclass(frozen=True)
class RationalLens(BrownLens):
    """OpenCV's rational model: Brown's radial part over 1 + k4 r² + k5 r⁴ + k6 r⁶."""

    k4: float = 0.0
    k5: float = 0.0
    k6: float = 0.0

    @property
    def is_ideal(self) -> bool:
        """True where the lens bends nothing."""
        return super().is_ideal and not any((self.k4, self.k5, self.k6))

    @cached_property
    def fold_radius(self) -> float:
        """Ideal radius of the first fold or pole of the radial model; inf where there is neither.

        With s = r² and radial = N/D: roots of (N + 2s·N')·D − 2s·N·D', and of D.
        """
        above = np.poly1d([self.k3, self.k2, self.k1, 1.0])
        below = np.poly1d([self.k6, self.k5, self.k4, 1.0])
        twice = np.poly1d([2.0, 0.0])
        slope = (above + twice * above.deriv()) * below - twice * above * below.deriv()
        return math.sqrt(min(first_root(slope.coeffs, MAX_R2), first_root(below.coeffs, MAX_R2)))

    def _below(self, r2: FloatArray) -> FloatArray:
        below: FloatArray = 1.0 + r2 * (self.k4 + r2 * (self.k5 + r2 * self.k6))
        return below

    def _radial(self, r2: FloatArray) -> FloatArray:
        return super()._radial(r2) / self._below(r2)

    def _slope(self, r2: FloatArray, radial: FloatArray) -> FloatArray:
        """Return d(radial)/d(r²) by the rule of quotients."""
        of_below = self.k4 + r2 * (2.0 * self.k5 + (3.0 * self.k6) * r2)
        return (super()._slope(r2, radial) - radial * of_below) / self._below(r2)


def first_root(coefficients: Sequence[float] | FloatArray, below: float) -> float:
    """Return the least real root in (0, below) of a polynomial, highest power first; inf: none."""
    scaled = (
        np.asarray(coefficients, dtype=np.float64) * below ** np.arange(len(coefficients))[::-1]
    )
    scaled = np.where(np.abs(scaled) > NEGLIGIBLE, scaled, 0.0)  # else roots of rounding errors
    roots = np.roots(scaled)
    real = roots[np.abs(roots.imag) <= 1e-12 * np.abs(roots)].real
    inside = real[(real > 0.0) & (real < 1.0)]
    return float(inside.min()) * below if inside.size else math.inf


def _complex_from_xy(points_xy: FloatArray) -> Points:
    return np.ascontiguousarray(points_xy, dtype=np.float64).view(np.complex128)[:, 0]


def _xy_from_complex(points: Points) -> FloatArray:
    return np.ascontiguousarray(points).view(np.float64).reshape(-1, 2)
