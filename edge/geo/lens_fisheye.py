"""The fisheye model, which bends angles: a ray may look sideways, and even a little backwards."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edge.geo.lens import first_root
from edge.records import FloatArray

STEPS = 60  # of Newton's, or of halving where that leaves the bracket: always enough
CONVERGED_RAD = 1e-12


@dataclass(frozen=True)
class FisheyeLens:
    """OpenCV's fisheye model: θ_d = θ (1 + k1 θ² + k2 θ⁴ + k3 θ⁶ + k4 θ⁸), θ off the axis."""

    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0

    @cached_property
    def widest_rad(self) -> float:
        """How far off the axis the model reaches: to its fold, or straight backwards."""
        slope = [9.0 * self.k4, 7.0 * self.k3, 5.0 * self.k2, 3.0 * self.k1, 1.0]
        return min(math.sqrt(first_root(slope, math.pi**2)), math.pi)

    def project(self, rays: FloatArray) -> FloatArray:
        """Bend rays, shape (N, 3), to points, shape (N, 2); NaN beyond the fold."""
        off_axis = np.hypot(rays[:, 0], rays[:, 1])
        angles_rad = np.arctan2(off_axis, rays[:, 2])
        stretch = self._bent(angles_rad) / np.where(off_axis > 0.0, off_axis, 1.0)
        points: FloatArray = rays[:, :2] * stretch[:, None]
        is_seen = (angles_rad < self.widest_rad) & ((off_axis > 0.0) | (rays[:, 2] > 0.0))
        return np.where(is_seen[:, None], points, np.nan)

    def unproject(self, distorted_xy: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return unit rays, shape (N, 3), and a mask, (N,): False beyond the fold."""
        length = np.hypot(distorted_xy[:, 0], distorted_xy[:, 1])
        is_inside = length < self._bent(np.array(self.widest_rad))
        angles_rad = self._angles(np.where(is_inside, length, 0.0))
        stretch = np.sin(angles_rad) / np.where(length > 0.0, length, 1.0)
        rays = np.empty((len(distorted_xy), 3))
        rays[:, :2] = distorted_xy * stretch[:, None]
        rays[:, 2] = np.cos(angles_rad)
        return rays, is_inside

    def _angles(self, bent: FloatArray) -> FloatArray:
        """Invert `_bent`, which grows up to the fold, by Newton's method inside a bracket."""
        low, high = np.zeros_like(bent), np.full_like(bent, self.widest_rad)
        angles = np.minimum(bent, self.widest_rad)
        last = np.full_like(bent, np.inf)  # how far each went
        for _ in range(STEPS):
            miss = self._bent(angles) - bent
            is_open = np.abs(miss) >= CONVERGED_RAD * (1.0 + bent)
            if not is_open.any():
                break
            low, high = np.where(miss < 0.0, angles, low), np.where(miss > 0.0, angles, high)
            with np.errstate(divide="ignore", invalid="ignore"):
                step = angles - miss / self._slope(angles)
                # Newton's step may go to and fro for ever where the model bends both ways.
                is_good = (step > low) & (step < high) & (np.abs(step - angles) < 0.5 * last)
            step = np.where(is_good, step, 0.5 * (low + high))
            last = np.abs(step - angles)
            angles = np.where(is_open, step, angles)  # what has arrived stays
        return angles

    def _bent(self, angles_rad: FloatArray) -> FloatArray:
        s = angles_rad * angles_rad
        bent: FloatArray = angles_rad * (
            1.0 + s * (self.k1 + s * (self.k2 + s * (self.k3 + s * self.k4)))
        )
        return bent

    def _slope(self, angles_rad: FloatArray) -> FloatArray:
        s = angles_rad * angles_rad
        of_k3 = 7.0 * self.k3 + s * 9.0 * self.k4
        slope: FloatArray = 1.0 + s * (3.0 * self.k1 + s * (5.0 * self.k2 + s * of_k3))
        return slope
