"""Writes the ground's true heights beside a flight, as a plain grid that numpy reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sim.vehicle.vehicle import Origin
from sim.world.district import District
from sim.world.ground import height_m
from sim.world.layout import HALF_M

STEP_M = 2.0


def write_dem(district: District, origin: Origin, path: Path) -> None:
    """Write heights above mean sea level, bare ground and water surface, no buildings.

    A text file: lines that start with "#" say what is where, then one line of heights in metres
    for each row, from north to south, west first.  Read it with `numpy.loadtxt(path)`.

    Args:
        district: Whose ground.
        origin: Where the district's centre is, and how high its streets' zero level.
        path: Overwritten if it exists.
    """
    at = np.arange(-HALF_M, HALF_M + STEP_M / 2, STEP_M)
    east, north = np.meshgrid(at, at[::-1])
    up = district.terrain.up_m(east, north) + height_m(district.layout, east, north)
    corners = []
    for east_m, north_m in ((-HALF_M, HALF_M), (HALF_M, -HALF_M)):
        lat, lon = origin.geodetic(east_m, north_m)
        corners.append(f"{lat:.8f} {lon:.8f}")
    header = (
        f"ground heights above mean sea level, metres; {len(at)} rows from north to south\n"
        f"first_node_lat_lon_deg {corners[0]}\n"
        f"last_node_lat_lon_deg {corners[1]}\n"
        f"origin_lat_lon_amsl {origin.lat_deg:.8f} {origin.lon_deg:.8f} {origin.amsl_m:.3f}\n"
        f"half_side_m {HALF_M:g} step_m {STEP_M:g}"
    )
    np.savetxt(path, up + origin.amsl_m, fmt="%.2f", header=header)
