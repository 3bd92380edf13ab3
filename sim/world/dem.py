"""Writes the ground's true heights beside a flight: a plain grid, and a tile that flies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sim.vehicle.vehicle import Origin
from sim.world.district import District
from sim.world.ground import height_m
from sim.world.layout import HALF_M

STEP_M = 2.0
BEYOND_M = 120.0  # the tile goes on so far: an oblique camera sees over the district's edge
DATUM = "msl"  # what the simulated autopilot calls sea level


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


def write_tile(district: District, origin: Origin, path: Path) -> None:
    """Write the same ground as a terrain tile of the flight program (format 1).

    Its nodes lie on latitudes and longitudes, STEP_M apart; heights are whole centimetres.

    Args:
        district: Whose ground.
        origin: Where the district's centre is, and how high its streets' zero level.
        path: NAME.npz, overwritten if it exists.
    """
    half_m = HALF_M + BEYOND_M
    n_nodes = int(2 * half_m / STEP_M) + 1
    north_deg, south_deg = (origin.geodetic(0.0, at)[0] for at in (half_m, -half_m))
    west_deg, east_deg = (origin.geodetic(at, 0.0)[1] for at in (-half_m, half_m))
    lats = np.linspace(north_deg, south_deg, n_nodes)
    # Along a parallel, east is proportional to longitude.
    ends = np.array([[origin.local(lat, lon) for lon in (west_deg, east_deg)] for lat in lats])
    east = np.linspace(ends[:, 0, 0], ends[:, 1, 0], n_nodes, axis=1)
    north = np.repeat(ends[:, 0, 1][:, None], n_nodes, axis=1)
    up = district.terrain.up_m(east, north) + height_m(district.layout, east, north)
    np.savez_compressed(
        path,
        format=1,
        heights_cm=np.round((up + origin.amsl_m) * 100).astype(np.int32),
        first_node_deg=[north_deg, west_deg],
        step_deg=[
            (north_deg - south_deg) / (n_nodes - 1),
            (east_deg - west_deg) / (n_nodes - 1),
        ],
        datum=DATUM,
        source="the simulator's own ground",
    )
