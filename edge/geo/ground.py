"""Which ground a ray is cut with, and where.

Only differences within one datum are taken: the height above ground comes whole from one source,
and the ground's height above sea level is the vehicle's less that.  Over a terrain tile the vehicle
is as high as the tile's ground at home plus the height above home: whatever the tile's datum is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from edge.config import AccuracyConfig, GroundConfig
from edge.geo.terrain import TerrainTile
from edge.geo.terrain_surface import EARTH_RADIUS_M, TerrainSurface
from edge.records import FloatArray, GroundSource, NoGeotag, Pose

# Beyond this tilt a rangefinder's beam lands too far aside to speak for the ground beneath.
RANGEFINDER_MAX_TILT_COS = math.cos(math.radians(30.0))
# A laser is good to centimetres; kerbs, cars and slopes between its spot and the target are not.
RANGEFINDER_SIGMA_M = 1.0
# A little beyond the farthest place that counts, the ground need not be looked for.
REACH_OVER_SLANT = 1.05


class Surface(Protocol):
    """Something that rays can hit."""

    def slant_m(self, origins_m: FloatArray, directions: FloatArray) -> FloatArray:
        """Return how far along each ray the surface lies.

        Args:
            origins_m: Shape (..., 3), NED from the vehicle's position.
            directions: Shape (..., 3), unit, NED.

        Returns:
            Shape (...), metres; NaN where the ray never meets it, infinite where it may do so
            farther away than the surface looks.
        """
        ...

    def gradients(self, north_east_m: FloatArray) -> FloatArray:
        """Return how the surface rises at points, m per m to the north and to the east.

        Args:
            north_east_m: Shape (N, 2), from the vehicle's position.

        Returns:
            The same shape.
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

    def gradients(self, north_east_m: FloatArray) -> FloatArray:
        """Return zeros; see `Surface`."""
        return np.zeros_like(north_east_m)


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

    def gradients(self, north_east_m: FloatArray) -> FloatArray:
        """Return how it falls away with the Earth; see `Surface`."""
        return np.asarray(north_east_m / -EARTH_RADIUS_M)


@dataclass(frozen=True, slots=True)
class Ground:
    """The ground beneath the vehicle and around, and how well its height is known."""

    agl_m: float  # of the autopilot's position
    ground_amsl_m: float  # beneath the vehicle
    source: GroundSource
    sigma_m: float  # one sigma of agl_m, relief between here and the target included
    surface: Surface


@dataclass(frozen=True, slots=True)
class Known:
    """What heights of one instant can be had from."""

    pose: Pose
    ned_from_body: FloatArray  # (3, 3)
    accuracy: AccuracyConfig
    tile: TerrainTile | None = None


def ground_beneath(known: Known, config: GroundConfig) -> Ground | NoGeotag:
    """Pick the ground by config; `auto` takes the best that this instant has."""
    wanted = tuple(_SOURCES) if config.source == "auto" else (config.source,)
    for name in wanted:
        ground = _SOURCES[name](known, config)
        if ground is not None:
            return ground
    return NoGeotag.NO_TERRAIN


def height_over_datum_m(pose: Pose, tile: TerrainTile, config: GroundConfig) -> float | None:
    """Return the vehicle's height in the tile's datum: terrain at home and height above home.

    None: nobody said where home is, or the tile has no height there.
    """
    if pose.home is None:
        return None
    home = tile.height_m(np.array(pose.home.lat_deg), np.array(pose.home.lon_deg))
    height_m = float(home) - config.home_offset_m + pose.above_home_m
    return height_m if math.isfinite(height_m) else None


def height_sigma_m(pose: Pose, config: GroundConfig) -> float:
    """Return one sigma of the vehicle's height over a tile: the tile's own, and that above home."""
    above_home_m = max(config.above_home_sigma_m, pose.v_acc_m or 0.0)
    return math.hypot(config.terrain_sigma_m, above_home_m)


def _by_tile(known: Known, config: GroundConfig) -> Ground | None:
    """Cut with the tile; None where the vehicle's own height in its datum is not known."""
    pose, tile = known.pose, known.tile
    height_m = None if tile is None else height_over_datum_m(pose, tile, config)
    if tile is None or height_m is None:
        return None
    reach_m = known.accuracy.max_slant_m * REACH_OVER_SLANT
    surface = TerrainSurface(tile, pose.lat_deg, pose.lon_deg, height_m, reach_m)
    agl_m = surface.clearance_m()
    if math.isnan(agl_m):  # nothing is known of the ground beneath; what is seen may be elsewhere
        if config.source == "auto" and not _covers(tile, pose):
            return None
        agl_m = pose.above_home_m - config.home_offset_m
    amsl_m = height_m if tile.is_sea_level else pose.amsl_m
    return Ground(
        agl_m,
        amsl_m - agl_m,
        GroundSource.TERRAIN_TILE,
        height_sigma_m(pose, config),
        surface,
    )


def _covers(tile: TerrainTile, pose: Pose) -> bool:
    rows, cols = tile.heights_m.shape
    row, col = tile.row(np.array(pose.lat_deg)), tile.col(np.array(pose.lon_deg))
    return bool(0 <= row <= rows - 1 and 0 <= col <= cols - 1)


def _by_terrain_report(known: Known, _config: GroundConfig) -> Ground | None:
    agl_m = known.pose.terrain_agl_m
    if agl_m is None or not math.isfinite(agl_m):
        return None
    return _level(known, agl_m, GroundSource.TERRAIN_REPORT)


def _by_rangefinder(known: Known, _config: GroundConfig) -> Ground | None:
    agl_m = rangefinder_agl_m(known.pose, known.ned_from_body)
    return None if agl_m is None else _level(known, agl_m, GroundSource.RANGEFINDER)


def _by_home(known: Known, config: GroundConfig) -> Ground | None:
    return _level(known, known.pose.above_home_m - config.home_offset_m, GroundSource.HOME)


_SOURCES: Mapping[str, Callable[[Known, GroundConfig], Ground | None]] = {  # best first
    "terrain_tile": _by_tile,
    "terrain_report": _by_terrain_report,
    "rangefinder": _by_rangefinder,
    "home": _by_home,
}


def rangefinder_agl_m(pose: Pose, ned_from_body: FloatArray) -> float | None:
    """Return the height above the ground by the rangefinder; None where it does not speak for it.

    Args:
        pose: With or without a range.
        ned_from_body: Shape (3, 3).
    """
    slant_m = pose.rangefinder_slant_m
    down_cos = float(ned_from_body[2, 2])
    if slant_m is None or not 0.0 < slant_m < math.inf or down_cos < RANGEFINDER_MAX_TILT_COS:
        return None
    return slant_m * down_cos


def _level(known: Known, agl_m: float, source: GroundSource) -> Ground:
    """The configured sigma holds relief and barometer; a poor GNSS height can only add to it."""
    pose, sigma_m = known.pose, known.accuracy.height_m
    if source is GroundSource.RANGEFINDER:
        sigma_m = min(sigma_m, RANGEFINDER_SIGMA_M)
    else:
        sigma_m = max(sigma_m, pose.v_acc_m or 0.0)
    return Ground(agl_m, pose.amsl_m - agl_m, source, sigma_m, FlatSurface(agl_m))
