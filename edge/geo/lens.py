"""Lens models: from the ideal image plane to the distorted one and back, to convergence.

Points are (x, y) at unit depth: x right, y down, no unit.  A new model (rational, fisheye) is a
class with the two methods of `Lens` and an entry where `camera.py` reads `model`.
"""

from __future__ import annotations

import math
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


class Lens(Protocol):
    """What bends a ray between the ideal plane and the sensor."""

    def distort(self, ideal_xy: FloatArray) -> FloatArray:
        """Bend points of shape (N, 2)."""
        ...

    def undistort(self, distorted_xy: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Straighten points of shape (N, 2); the mask tells where the model inverts."""
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
        roots = np.roots([7.0 * self.k3, 5.0 * self.k2, 3.0 * self.k1, 1.0])
        real = roots[np.abs(roots.imag) < 1e-12].real
        folds = real[real > 0.0]
        return math.sqrt(float(folds.min())) if folds.size else math.inf

    def distort(self, ideal_xy: FloatArray) -> FloatArray:
        """Bend points of shape (N, 2)."""
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
        goal = z = _complex_from_xy(distorted_xy)
        with np.errstate(all="ignore"):  # points that do not invert may run away: the mask tells
            for _ in range(MAX_NEWTON_STEPS):
                r2 = z.real * z.real + z.imag * z.imag
                radial = self._radial(r2)
                miss = z * radial + self._decentred(z, r2) - goal
                error = np.abs(miss)
                if error.max(initial=0.0) < CONVERGED:
                    break
                z = z - self._newton_step(z, r2, radial, miss)
            return _xy_from_complex(z), (error < ROUND_TRIP) & (r2 < self.fold_radius**2)

    # With z = x + iy and p = p2 + i p1 the model is z·radial(|z|²) + 2p|z|² + p̄z²: half the
    # operations of x and y apart.

    @property
    def _p(self) -> complex:
        return complex(self.p2, self.p1)

    def _radial(self, r2: FloatArray) -> FloatArray:
        radial: FloatArray = 1.0 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        return radial

    def _decentred(self, z: Points, r2: FloatArray) -> Points:
        p = self._p
        shift: Points = (2.0 * p) * r2 + p.conjugate() * (z * z)
        return shift

    def _newton_step(self, z: Points, r2: FloatArray, radial: FloatArray, miss: Points) -> Points:
        """Solve d/dz·step + d/dz̄·step̄ = miss (Wirtinger's derivatives, the first is real)."""
        p = self._p
        slope = self.k1 + r2 * (2.0 * self.k2 + (3.0 * self.k3) * r2)  # d(radial)/d(r²)
        by_z = radial + r2 * slope + 4.0 * (p.conjugate() * z).real
        by_conjugate = z * (z * slope + 2.0 * p)
        determinant = by_z * by_z - by_conjugate.real**2 - by_conjugate.imag**2
        step: Points = (by_z * miss - by_conjugate * miss.conj()) / determinant
        return step


def _complex_from_xy(points_xy: FloatArray) -> Points:
    return np.ascontiguousarray(points_xy, dtype=np.float64).view(np.complex128)[:, 0]


def _xy_from_complex(points: Points) -> FloatArray:
    return np.ascontiguousarray(points).view(np.float64).reshape(-1, 2)
