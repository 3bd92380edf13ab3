"""Terrain tiles: the ground's heights on a grid, and where a ray first meets them.

A tile names its vertical datum, and nothing here ever leaves it: heights of one datum go in,
heights of the same one come out.  Flight reads tiles with numpy alone; `terrain_import.py` makes
them on the ground.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.errors import TerrainError
from edge.geo.ground import EARTH_RADIUS_M
from edge.records import FloatArray

FORMAT = 1
SUFFIX = ".npz"
VOID_CM = np.iinfo(np.int32).min
MAX_SLANT_M = 5_000.0
# The march looks at the ground twice a cell; a crossing is then narrowed three times by this.
STEPS_PER_CELL = 2.0
MAX_STEPS = 4_096
NARROWINGS, PARTS = 3, 8
# What numpy and zipfile raise on bytes that are no tile, or no longer.
_BROKEN = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    RuntimeError,  # encrypted, or a compression that is not there
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
# WGS 84
SEMI_MAJOR_M = 6_378_137.0
ECCENTRICITY2 = 6.694379990141316e-3


@dataclass(frozen=True)
class TerrainTile:
    """Heights at the nodes of a grid of latitudes and longitudes.

    Attributes:
        heights_m: Shape (rows, cols), row 0 in the north, column 0 in the west; NaN is a void.
        first_lat_deg: Of the north-west node, WGS 84.
        first_lon_deg: Likewise.
        step_lat_deg: From a row to the next one south, positive.
        step_lon_deg: From a column to the next one east, positive.
        datum: What the heights are above, by name: "egm96", "egm2008", "ellipsoid", a city's own.
        source: Where they come from, in words.
    """

    heights_m: FloatArray
    first_lat_deg: float
    first_lon_deg: float
    step_lat_deg: float
    step_lon_deg: float
    datum: str
    source: str = ""

    def height_m(self, lat_deg: FloatArray, lon_deg: FloatArray) -> FloatArray:
        """Return heights, bilinear between four nodes; NaN outside, and where a node is void.

        Args:
            lat_deg: Any shape.
            lon_deg: The same shape.
        """
        rows, cols = self.heights_m.shape
        row = (self.first_lat_deg - np.asarray(lat_deg)) / self.step_lat_deg
        # East of the first column, the date line or none between them.
        col = (np.asarray(lon_deg) - self.first_lon_deg) % 360.0 / self.step_lon_deg
        inside = (row >= 0) & (row <= rows - 1) & (col >= 0) & (col <= cols - 1)
        top = np.where(inside, np.minimum(row, rows - 2), 0).astype(np.intp)
        left = np.where(inside, np.minimum(col, cols - 2), 0).astype(np.intp)
        down, right = row - top, col - left
        nodes = self.heights_m
        upper = nodes[top, left] * (1 - right) + nodes[top, left + 1] * right
        lower = nodes[top + 1, left] * (1 - right) + nodes[top + 1, left + 1] * right
        return np.where(inside, upper * (1 - down) + lower * down, np.nan)

    def cell_m(self) -> float:
        """Return the shorter side of a cell on the ground."""
        lat_deg = self.first_lat_deg - self.step_lat_deg * (self.heights_m.shape[0] - 1) / 2
        north_m, east_m = metres_per_degree(lat_deg)
        return min(self.step_lat_deg * north_m, self.step_lon_deg * east_m)


def metres_per_degree(lat_deg: float, height_m: float = 0.0) -> tuple[float, float]:
    """Return what a degree of latitude and one of longitude are on the ground, WGS 84."""
    sin, cos = math.sin(math.radians(lat_deg)), math.cos(math.radians(lat_deg))
    w2 = 1.0 - ECCENTRICITY2 * sin * sin
    prime_m = SEMI_MAJOR_M / math.sqrt(w2)
    meridian_m = prime_m * (1.0 - ECCENTRICITY2) / w2
    return math.radians(meridian_m + height_m), math.radians(prime_m + height_m) * cos


@dataclass(frozen=True)
class TerrainSurface:
    """A tile as rays from one vehicle see it; a `ground.Surface`.

    Attributes:
        tile: The heights.
        lat_deg: Of the vehicle.
        lon_deg: Likewise.
        height_m: Of the vehicle, in the tile's datum.
    """

    tile: TerrainTile
    lat_deg: float
    lon_deg: float
    height_m: float

    def clearance_m(self) -> float:
        """Return how far the vehicle is above the ground below it; NaN over a void."""
        return self.height_m - self.ground_m(np.zeros(2))

    def ground_m(self, north_east_m: FloatArray) -> float:
        """Return the ground's height at a point, metres north and east of the vehicle."""
        return float(self._heights(np.asarray(north_east_m)[None])[0])

    def slant_m(self, origins_m: FloatArray, directions: FloatArray) -> FloatArray:
        """Return how far along each ray the ground first lies; see `ground.Surface`.

        NaN where the ray meets none within MAX_SLANT_M, starts below the ground, or before it
        meets any leaves the tile or passes over a void, no higher than the tile's highest point:
        what is there might have hidden the rest.
        """
        shape = origins_m.shape[:-1]
        origins, rays = origins_m.reshape(-1, 3), directions.reshape(-1, 3)
        near, far = self._span(origins, rays)
        across = np.hypot(rays[:, 0], rays[:, 1]) * (far - near)
        wanted = np.nanmax(across, initial=0.0) / self.tile.cell_m() * STEPS_PER_CELL
        n_steps = int(min(max(math.ceil(wanted), 1), MAX_STEPS))
        near, far = self._bracket(origins, rays, (near, far), n_steps)
        for _ in range(NARROWINGS):
            near, far = self._bracket(origins, rays, (near, far), PARTS)
        above = self._above(origins, rays, np.stack([near, far], axis=1))
        rise = above[:, 0] - above[:, 1]
        share = np.divide(above[:, 0], rise, out=np.zeros_like(near), where=rise > 0.0)
        return np.asarray((near + share * (far - near)).reshape(shape))

    def _span(self, origins: FloatArray, rays: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the stretch of each ray, shape (N,) twice, within which the ground can lie."""
        low, high = np.nanmin(self.tile.heights_m), np.nanmax(self.tile.heights_m)
        up = self.height_m - origins[:, 2]
        down = rays[:, 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            to_high, to_low = (up - high) / down, (up - low) / down
        near = np.where((down > 0.0) & (to_high > 0.0), to_high * 0.999 - 1.0, 0.0)
        # The Earth falls away below a level ray: a metre at 3.6 km.
        far = np.where(down > 0.0, to_low * 1.01 + 5.0, MAX_SLANT_M)
        return np.maximum(near, 0.0), np.clip(far, 0.0, MAX_SLANT_M)

    def _bracket(
        self,
        origins: FloatArray,
        rays: FloatArray,
        span: tuple[FloatArray, FloatArray],
        n_steps: int,
    ) -> tuple[FloatArray, FloatArray]:
        """Return the first step of each ray's span that goes below the ground; NaN if none."""
        near, far = span
        slants = near[:, None] + (far - near)[:, None] * np.linspace(0.0, 1.0, n_steps + 1)
        above = self._above(origins, rays, slants)
        is_below = above <= 0.0
        first = is_below.argmax(axis=1)
        is_known = ~np.isnan(above).cumsum(axis=1).astype(bool)  # no void on the way
        each = np.arange(len(slants))
        hit = is_below.any(axis=1) & is_known[each, first]
        # A span that starts on the ground does so by rounding, one that starts below does not.
        starts = first == 0
        hit &= ~starts | (above[:, 0] > -1e-6)
        before = np.maximum(first - 1, 0)
        return (
            np.where(hit, slants[each, before], np.nan),
            np.where(hit, slants[each, np.where(starts, 0, first)], np.nan),
        )

    def _above(self, origins: FloatArray, rays: FloatArray, slants: FloatArray) -> FloatArray:
        """Return how high points of rays are over the ground, slants' shape (N, K)."""
        points = origins[:, None, :] + slants[..., None] * rays[:, None, :]
        return self._up(points) - self._heights(points[..., :2])

    def _up(self, points_ned_m: FloatArray) -> FloatArray:
        """Return heights of points in the tile's datum: the Earth curves away from the tangent."""
        away2 = (points_ned_m[..., :2] ** 2).sum(axis=-1)
        up: FloatArray = self.height_m - points_ned_m[..., 2] + away2 / (2.0 * EARTH_RADIUS_M)
        return up

    def _heights(self, north_east_m: FloatArray) -> FloatArray:
        north_m, east_m = metres_per_degree(self.lat_deg, self.height_m)
        return self.tile.height_m(
            self.lat_deg + north_east_m[..., 0] / north_m,
            self.lon_deg + north_east_m[..., 1] / east_m,
        )


def write_tile(tile: TerrainTile, path: Path) -> None:
    """Write a tile, heights in whole centimetres; whole or not at all.

    Raises:
        TerrainError: The name does not end in .npz.
    """
    if path.suffix != SUFFIX:
        raise TerrainError(f"{path}: a terrain tile's name ends in {SUFFIX}; give another --out")
    void = np.isnan(tile.heights_m)
    heights_cm = np.where(void, VOID_CM, np.round(np.where(void, 0.0, tile.heights_m) * 100))
    half = path.with_suffix(".part")
    with half.open("wb") as file:
        np.savez_compressed(
            file,
            format=FORMAT,
            heights_cm=heights_cm.astype(np.int32),
            first_node_deg=[tile.first_lat_deg, tile.first_lon_deg],
            step_deg=[tile.step_lat_deg, tile.step_lon_deg],
            datum=tile.datum,
            source=tile.source,
        )
    half.replace(path)


def read_tile(path: Path) -> TerrainTile:
    """Read a tile.

    Raises:
        TerrainError: It is missing, no tile, or says what cannot be.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            if int(kept["format"]) != FORMAT:
                raise TerrainError(
                    f"{path}: format {int(kept['format'])}, this version reads {FORMAT}; import "
                    "the terrain again with `skywhistle terrain import`"
                )
            heights_cm = np.asarray(kept["heights_cm"])
            first, step = kept["first_node_deg"].tolist(), kept["step_deg"].tolist()
            datum, source = str(kept["datum"]), str(kept["source"])
    except FileNotFoundError as error:
        raise TerrainError(
            f"{path}: there is no such file; make one with `skywhistle terrain import`"
        ) from error
    except _BROKEN as error:
        raise TerrainError(
            f"{path}: no terrain tile ({error}); make one with `skywhistle terrain import`"
        ) from error
    numbers = np.array([*first, *step], float)
    if heights_cm.ndim != 2 or min(heights_cm.shape) < 2 or heights_cm.dtype.kind != "i":
        raise TerrainError(
            f"{path}: heights of shape {heights_cm.shape} and type {heights_cm.dtype}; a tile has "
            "rows and columns of whole centimetres: import it again"
        )
    if len(numbers) != 4 or not np.isfinite(numbers).all() or min(step) <= 0 or not datum:
        raise TerrainError(
            f"{path}: first node {first}, steps {step}, datum {datum!r} cannot be; import it again"
        )
    heights_m = np.where(heights_cm == VOID_CM, np.nan, heights_cm / 100.0)
    if np.isnan(heights_m).all():
        raise TerrainError(f"{path}: every height is void; import another part of the model")
    return TerrainTile(heights_m, first[0], first[1], step[0], step[1], datum, source)
