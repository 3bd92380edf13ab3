"""Lens models: from the ideal image plane to the distorted one and back, to convergence.

Points are (x, y) at unit depth: x right, y down, no unit.  A new model (rational, fisheye) is a
class with the two methods of `Lens` and an entry where `camera.py` reads `model`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.records import FloatArray

MAX_NEWTON_STEPS = 20  # a lens that inverts needs 3 to 6
CONVERGED = 1e-9  # at unit depth: a millionth of a pixel for a focal length of 1000 px
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
        x, y = ideal_xy[:, 0], ideal_xy[:, 1]
        r2 = x * x + y * y
        radial = 1.0 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        xy2 = 2.0 * x * y
        return np.column_stack(
            (
                x * radial + self.p1 * xy2 + self.p2 * (r2 + 2.0 * x * x),
                y * radial + self.p1 * (r2 + 2.0 * y * y) + self.p2 * xy2,
            )
        )

    def undistort(self, distorted_xy: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Straighten points of shape (N, 2) by Newton's method.

        Returns:
            Ideal points, shape (N, 2), and a mask, shape (N,): False where the round trip fails or
            the solution lies beyond the fold, where two rays share a pixel.
        """
        if self.is_ideal:
            return distorted_xy, np.ones(len(distorted_xy), dtype=bool)
        ideal_xy = distorted_xy.copy()
        with np.errstate(all="ignore"):  # points that do not invert may run away: the mask tells
            for _ in range(MAX_NEWTON_STEPS):
                step = self._newton_step(ideal_xy, distorted_xy)
                ideal_xy = ideal_xy - step
                if not np.any(np.abs(step) > CONVERGED):
                    break
            miss = np.abs(self.distort(ideal_xy) - distorted_xy).max(axis=1)
            radius = np.hypot(ideal_xy[:, 0], ideal_xy[:, 1])
            return ideal_xy, (miss < ROUND_TRIP) & (radius < self.fold_radius)

    def _newton_step(self, ideal_xy: FloatArray, distorted_xy: FloatArray) -> FloatArray:
        """Solve the 2×2 system of each point, shape (N, 2)."""
        x, y = ideal_xy[:, 0], ideal_xy[:, 1]
        r2 = x * x + y * y
        radial = 1.0 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        slope = 2.0 * (self.k1 + r2 * (2.0 * self.k2 + 3.0 * r2 * self.k3))  # d radial/dx over x
        dxdx = radial + x * x * slope + 2.0 * self.p1 * y + 6.0 * self.p2 * x
        dydy = radial + y * y * slope + 6.0 * self.p1 * y + 2.0 * self.p2 * x
        cross = x * y * slope + 2.0 * (self.p1 * x + self.p2 * y)
        error_x, error_y = (self.distort(ideal_xy) - distorted_xy).T
        determinant = dxdx * dydy - cross * cross
        return np.column_stack(
            (
                (dydy * error_x - cross * error_y) / determinant,
                (dxdx * error_y - cross * error_x) / determinant,
            )
        )
