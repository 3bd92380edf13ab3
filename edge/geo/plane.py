"""The district's local plane: latitude and longitude as metres east and north, and back.

A point is taken on the ellipsoid, expressed in the east-north-up axes of the origin, and its `up`
is dropped.  Approximations, all the same on the way back and so without loss:

- distances shrink by (d/R)²/6: 4 mm at 10 km from the origin, 3 cm at 20 km;
- heights are ignored: metres at 500 m above the ellipsoid are short by 1 in 13,000;
- north of a place is not the plane's north: `convergence_rad` says by how much.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pymap3d

from edge.config import DistrictConfig
from edge.errors import ConfigError, SkywhistleError
from edge.geo.terrain_surface import EARTH_RADIUS_M
from edge.records import FloatArray

log = logging.getLogger(__name__)

ORIGIN_FILE = "origin.json"
DISTRICT_RADIUS_M = 20_000.0  # a flight that starts farther from the origin is told of
HEIGHT_STEPS = 4  # each step shrinks the error by (d/R)²: one or two do at 20 km
HEIGHT_DONE_M = 1e-3  # moves a place by that times d/R: 3 µm at 20 km
LARGEST_PLANE_M = 1_000_000.0  # beyond it the steps need not converge


@dataclass(frozen=True, slots=True)
class LocalPlane:
    """East and north of an origin, metres; WGS 84."""

    origin_lat_deg: float
    origin_lon_deg: float

    def enu_from_geodetic(self, lat_deg: float, lon_deg: float) -> tuple[float, float]:
        """Return (east_m, north_m)."""
        east, north, _ = pymap3d.geodetic2enu(
            lat_deg, lon_deg, 0.0, self.origin_lat_deg, self.origin_lon_deg, 0.0
        )
        return float(east), float(north)

    def geodetic_from_enu(self, east_m: float, north_m: float) -> tuple[float, float]:
        """Return (lat_deg, lon_deg) of the point of the ellipsoid over (east_m, north_m).

        Raises:
            ValueError: Not on this plane: not finite, or beyond 1,000 km.
        """
        [[lat_deg, lon_deg]] = self.geodetics_from_enu(np.array([[east_m, north_m]])).tolist()
        return lat_deg, lon_deg

    def geodetics_from_enu(self, points_m: FloatArray) -> FloatArray:
        """Return (lat_deg, lon_deg) of many points at once, shape (N, 2), as `geodetic_from_enu`.

        Args:
            points_m: Shape (N, 2), east and north.

        Raises:
            ValueError: One is not on this plane: not finite, or beyond 1,000 km.
        """
        away_m = np.hypot(*points_m.T)
        if not (away_m <= LARGEST_PLANE_M).all():
            east_m, north_m = points_m[~(away_m <= LARGEST_PLANE_M)][0].tolist()
            raise ValueError(f"({east_m}, {north_m}) m is not on this district's plane")
        up_m = -(away_m**2) / (2.0 * EARTH_RADIUS_M)
        for _ in range(HEIGHT_STEPS):
            lat_deg, lon_deg, height_m = pymap3d.enu2geodetic(
                *points_m.T, up_m, self.origin_lat_deg, self.origin_lon_deg, 0.0
            )
            up_m = up_m - height_m
            if np.abs(height_m).max(initial=0.0) < HEIGHT_DONE_M:
                break
        return np.stack([lat_deg, lon_deg], axis=1)

    def convergence_rad(self, lat_deg: float, lon_deg: float) -> float:
        """Return the plane's azimuth of true north at a place; positive turns it east."""
        phi, phi0 = math.radians(lat_deg), math.radians(self.origin_lat_deg)
        east_of_origin = math.radians(lon_deg - self.origin_lon_deg)
        # The place's north vector, dotted with the origin's east and north (all in ECEF).
        along_east = -math.sin(phi) * math.sin(east_of_origin)
        along_north = math.sin(phi) * math.sin(phi0) * math.cos(east_of_origin) + math.cos(
            phi
        ) * math.cos(phi0)
        return math.atan2(along_east, along_north)


def load_or_create_origin(
    state_dir: Path, district: DistrictConfig, first_fix: tuple[float, float] | None
) -> LocalPlane:
    """Return the district's plane: by config, else as kept on disk, else at the first fix ever.

    A disk that refuses the first origin, be it full, does not stop the flight: the plane is good
    without it, and `keep_origin` tries again.

    Args:
        state_dir: Where `origin.json` is kept; made if it is not there.
        district: An origin in it wins, and nothing is written.
        first_fix: (lat_deg, lon_deg) of this flight; None when there is none yet.

    Raises:
        ConfigError: The kept origin cannot be read, or there is none and no fix to make one of.
    """
    plane = known_origin(state_dir, district)
    if first_fix is None:
        if plane is None:
            raise ConfigError(
                f"no origin in the config, none in {state_dir / ORIGIN_FILE}, and no GNSS fix to "
                "make one of; set district.origin_lat_deg and origin_lon_deg, or wait for a fix"
            )
        return plane
    if plane is None:
        return _first_origin(state_dir, district, first_fix)
    away_m = math.hypot(*plane.enu_from_geodetic(*first_fix))
    if away_m > DISTRICT_RADIUS_M:
        log.warning("origin_far away_m=%.0f", away_m)
    return plane


def _first_origin(
    state_dir: Path, district: DistrictConfig, first_fix: tuple[float, float]
) -> LocalPlane:
    plane = LocalPlane(*first_fix)
    log.info("origin_created lat_deg=%.7f lon_deg=%.7f", *first_fix)
    try:
        keep_origin(state_dir, district, plane)
    except SkywhistleError as error:
        log.error("origin_not_kept reason=%s", error)
    return plane


def known_origin(state_dir: Path, district: DistrictConfig) -> LocalPlane | None:
    """Return the plane of the config's origin, else of the kept one; None before the first fix.

    Raises:
        ConfigError: The kept origin cannot be read, or names no place.
    """
    if district.origin_lat_deg is not None and district.origin_lon_deg is not None:
        return LocalPlane(district.origin_lat_deg, district.origin_lon_deg)
    path = state_dir / ORIGIN_FILE
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        lat_deg, lon_deg = float(kept["lat_deg"]), float(kept["lon_deg"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); check state_dir, its owner and mode"
        ) from error
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
        raise ConfigError(
            f"{path} is damaged ({error}); incidents are kept relative to it: restore it, set "
            "district.origin_lat_deg and origin_lon_deg, or delete the state folder"
        ) from error
    if not (-90.0 <= lat_deg <= 90.0 and -180.0 <= lon_deg <= 180.0):
        raise ConfigError(f"{path} names no place on Earth: {lat_deg}, {lon_deg}; restore it")
    return LocalPlane(lat_deg, lon_deg)


def keep_origin(state_dir: Path, district: DistrictConfig, plane: LocalPlane) -> None:
    """Write the plane's origin where neither config nor disk has one; whole or not at all.

    Raises:
        ConfigError: What is kept there cannot be read.
        SkywhistleError: The disk refuses.
    """
    if known_origin(state_dir, district) is not None:
        return
    path = state_dir / ORIGIN_FILE
    text = json.dumps({"lat_deg": plane.origin_lat_deg, "lon_deg": plane.origin_lon_deg})
    half = path.with_suffix(".part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with half.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            half.unlink(missing_ok=True)
        raise SkywhistleError(
            f"{path}: the district's origin was not kept ({error.strerror}); free the disk, check "
            "state_dir, or incidents may be reported as new after a restart"
        ) from error
