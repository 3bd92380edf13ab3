"""The district's local plane: latitude and longitude as metres east and north, and back.

A point is taken on the ellipsoid, expressed in the east-north-up axes of the origin, and its `up`
is dropped.  Approximations, all the same on the way back and so without loss:

- distances shrink by (d/R)²/6: 4 mm at 10 km from the origin, 3 cm at 20 km;
- heights are ignored: metres at 500 m above the ellipsoid are short by 1 in 13,000;
- north of a place is not the plane's north: `convergence_rad` says by how much.
"""

from __future__ import annotations

import json
import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path

import pymap3d

from edge.config import DistrictConfig
from edge.errors import ConfigError

log = logging.getLogger(__name__)

ORIGIN_FILE = "origin.json"
DISTRICT_RADIUS_M = 20_000.0  # a flight that starts farther from the origin is told of
HEIGHT_STEPS = 4  # each step shrinks the error by (d/R)²: two do at 20 km
HEIGHT_DONE_M = 1e-6
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
        if not math.hypot(east_m, north_m) <= LARGEST_PLANE_M:
            raise ValueError(f"({east_m}, {north_m}) m is not on this district's plane")
        up_m = 0.0
        for _ in range(HEIGHT_STEPS):
            lat, lon, height = pymap3d.enu2geodetic(
                east_m, north_m, up_m, self.origin_lat_deg, self.origin_lon_deg, 0.0
            )
            up_m -= float(height)
            if abs(height) < HEIGHT_DONE_M:
                break
        return float(lat), float(lon)

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

    Args:
        state_dir: Where `origin.json` is kept; made if it is not there.
        district: An origin in it wins, and nothing is written.
        first_fix: (lat_deg, lon_deg) of this flight; None when there is none yet.

    Raises:
        ConfigError: The kept origin cannot be read, or there is none and no fix to make one of.
    """
    if district.origin_lat_deg is not None and district.origin_lon_deg is not None:
        plane = LocalPlane(district.origin_lat_deg, district.origin_lon_deg)
    elif (path := state_dir / ORIGIN_FILE).exists():
        plane = _read_origin(path)
    elif first_fix is not None:
        plane = LocalPlane(*first_fix)
        _write_origin(path, plane)
        log.info("origin_created lat_deg=%.7f lon_deg=%.7f", *first_fix)
    else:
        raise ConfigError(
            f"no origin in the config, none in {path}, and no GNSS fix to make one of; "
            "set district.origin_lat_deg and origin_lon_deg, or wait for a fix"
        )
    if first_fix is not None:
        away_m = math.hypot(*plane.enu_from_geodetic(*first_fix))
        if away_m > DISTRICT_RADIUS_M:
            log.warning("origin_far away_m=%.0f", away_m)
    return plane


def _read_origin(path: Path) -> LocalPlane:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        lat_deg, lon_deg = float(kept["lat_deg"]), float(kept["lon_deg"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is damaged ({error}); incidents are kept relative to it: restore it, set "
            "district.origin_lat_deg and origin_lon_deg, or delete the state folder"
        ) from error
    if not (-90.0 <= lat_deg <= 90.0 and -180.0 <= lon_deg <= 180.0):
        raise ConfigError(f"{path} names no place on Earth: {lat_deg}, {lon_deg}; restore it")
    return LocalPlane(lat_deg, lon_deg)


def _write_origin(path: Path, plane: LocalPlane) -> None:
    """Write whole or not at all: a power cut leaves the old file or the new one."""
    text = json.dumps({"lat_deg": plane.origin_lat_deg, "lon_deg": plane.origin_lon_deg})
    half = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with half.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written ({error}); check state_dir") from error
