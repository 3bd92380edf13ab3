"""Which ground a ray is cut with, and where.

Only differences within one datum are taken: the height above ground comes whole from one source,
and the ground's height above sea level is the vehicle's less that.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edge.config import GroundConfig
from edge.records import FloatArray, GroundSource, NoGeotag, Pose

# Beyond this tilt a rangefinder's beam lands too far aside to speak for the ground beneath.
RANGEFINDER_MAX_TILT_COS = math.cos(math.radians(30.0))
# A laser is good to centimetres; kerbs, cars and slopes between its spot and the target are not.
RANGEFINDER_SIGMA_M = 1.0
EARTH_RADIUS_M = 6.37e6


class Surface(Protocol):
    """Something that rays can hit."""

    def slant_m(self, origins_m: FloatArray, directions: FloatArray) -> FloatArray:
        """Return how far along each ray the surface lies.

        Args:
            origins_m: Shape (..., 3), NED from the vehicle's position.
            directions: Shape (..., 3), unit, NED.

        Returns:
            Shape (...), metres; NaN where the ray never meets it.
        """
        ...


@dataclass(frozen=True, slots=True)
class FlatSurface:
    """A level plane `down_m` below the vehicle's position."""

    down_m: float

    def slant_m(self, origins_m: FloatArray, directions: FloatArray) -> FloatArray:
        """Cut rays with the plane; see `Surface`."""
        height_m, down = self.down_m - origins_m[..., 2], directions[..., 2]
        slant = np.full(height_m.shape, np.nan)
        np.divide(height_m, down, out=slant, where=(down > 0.0) & (height_m >= 0.0))
        return slant


@dataclass(frozen=True, slots=True)
class LevelSurface:
    """Ground of one height, `down_m` below the vehicle, that curves with the Earth."""

    down_m: float

    def slant_m(self, origins_m: FloatArray, directions: FloatArray) -> FloatArray:
        """Cut rays with it; see `Surface`.  The nearer root of curve·s² − down·s + height = 0."""
        height_m, down = self.down_m - origins_m[..., 2], directions[..., 2]
        curve = (directions[..., :2] ** 2).sum(axis=-1) / (2.0 * EARTH_RADIUS_M)
        inside = down * down - 4.0 * curve * height_m
        meets = (down > 0.0) & (height_m >= 0.0) & (inside >= 0.0)
        slant = np.full(height_m.shape, np.nan)
        np.divide(2.0 * height_m, down + np.sqrt(np.maximum(inside, 0.0)), out=slant, where=meets)
        return slant


@dataclass(frozen=True, slots=True)
class Ground:
    """The ground beneath the vehicle, and how well its height is known."""

    agl_m: float  # of the autopilot's position
    ground_amsl_m: float
    source: GroundSource
    sigma_m: float  # one sigma of agl_m, relief between here and the target included


def ground_beneath(
    pose: Pose, config: GroundConfig, ned_from_body: FloatArray, height_sigma_m: float
) -> Ground | NoGeotag:
    """Pick the ground's height by config; `auto` takes the best that this pose has.

    Args:
        pose: Where the vehicle is.
        config: Which source, and the ground's known offset from home.
        ned_from_body: Shape (3, 3).
        height_sigma_m: One sigma where the source gives none.
    """
    known = {
        "terrain_report": _by_terrain_report(pose),
        "rangefinder": _by_rangefinder(pose, ned_from_body),
        "home": pose.above_home_m - config.home_offset_m,
    }
    wanted = tuple(known) if config.source == "auto" else (config.source,)
    for name in wanted:
        agl_m = known[name]
        if agl_m is not None:
            source = GroundSource(name)
            sigma_m = _sigma_m(source, pose, height_sigma_m)
            return Ground(agl_m, pose.amsl_m - agl_m, source, sigma_m)
    return NoGeotag.NO_TERRAIN


def _by_terrain_report(pose: Pose) -> float | None:
    height_m = pose.terrain_agl_m
    return height_m if height_m is not None and math.isfinite(height_m) else None


def _by_rangefinder(pose: Pose, ned_from_body: FloatArray) -> float | None:
    slant_m = pose.rangefinder_slant_m
    down_cos = float(ned_from_body[2, 2])
    if slant_m is None or not 0.0 < slant_m < math.inf or down_cos < RANGEFINDER_MAX_TILT_COS:
        return None
    return slant_m * down_cos


def _sigma_m(source: GroundSource, pose: Pose, height_sigma_m: float) -> float:
    """The configured sigma holds relief and barometer; a poor GNSS height can only add to it."""
    if source is GroundSource.RANGEFINDER:
        return min(height_sigma_m, RANGEFINDER_SIGMA_M)
    return max(height_sigma_m, pose.v_acc_m or 0.0)
