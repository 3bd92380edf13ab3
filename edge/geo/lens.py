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
# A step at unit depth after which Newton, which squares the error, is at rounding.
CONVERGED = 1e-6
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
        goal_x, goal_y = distorted_xy.T
        x, y = goal_x, goal_y
        with np.errstate(all="ignore"):  # points that do not invert may run away: the mask tells
            for _ in range(MAX_NEWTON_STEPS):
                miss_x, miss_y, dxdx, dydy, cross = self._miss_and_slopes(x, y, goal_x, goal_y)
                determinant = dxdx * dydy - cross * cross
                step_x = (dydy * miss_x - cross * miss_y) / determinant
                step_y = (dxdx * miss_y - cross * miss_x) / determinant
                x, y = x - step_x, y - step_y
                largest = max(np.abs(step_x).max(initial=0.0), np.abs(step_y).max(initial=0.0))
                if largest < CONVERGED:  # quadratic: the step now taken squared it
                    break
            ideal_xy = np.column_stack((x, y))
            miss = np.abs(self.distort(ideal_xy) - distorted_xy).max(axis=1)
            return ideal_xy, (miss < ROUND_TRIP) & (x * x + y * y < self.fold_radius**2)

    def _miss_and_slopes(
        self, x: FloatArray, y: FloatArray, goal_x: FloatArray, goal_y: FloatArray
    ) -> tuple[FloatArray, ...]:
        """Return distort(x, y) less the goal, and its derivatives xx, yy and xy (= yx)."""
        xx, yy, xy = x * x, y * y, x * y
        r2 = xx + yy
        radial = 1.0 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        slope = 2.0 * self.k1 + r2 * (4.0 * self.k2 + 6.0 * self.k3 * r2)  # 2 d(radial)/d(r²)
        p1_x, p1_y, p2_x, p2_y = self.p1 * x, self.p1 * y, self.p2 * x, self.p2 * y
        return (
            x * radial + 2.0 * p1_x * y + self.p2 * (r2 + 2.0 * xx) - goal_x,
            y * radial + self.p1 * (r2 + 2.0 * yy) + 2.0 * p2_x * y - goal_y,
            radial + xx * slope + 2.0 * p1_y + 6.0 * p2_x,
            radial + yy * slope + 6.0 * p1_y + 2.0 * p2_x,
            xy * slope + 2.0 * (p1_x + p2_y),
        )
