"""Where rays first meet the ground of a terrain tile.

Between four nodes the tile is bilinear, so along a ray its height over the ground is a quadratic
of the way in each cell: a ray is cut at every line of the grid that it crosses, and in each cell
the first root is solved for.  No ridge is too thin to be found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edge.geo.terrain import BLOCK, ECCENTRICITY2, SEMI_MAJOR_M, TerrainTile
from edge.records import FloatArray

MAX_SLANT_M = 5_000.0
EARTH_RADIUS_M = 6.37e6
# Cells that a ray is followed through at once; four times as many each time that it is not enough.
FIRST_CELLS, CELLS_GROWTH, MOST_CELLS = 24, 4, 1_024
# A straight line on the ground is none in latitude and longitude: so far it may stray.
STRAY_M = 0.01
SHORTEST_STRIDE_M = 0.2  # on a pole itself
# Where a ray is far above whole blocks of nodes it is not followed from cell to cell.
MOST_STRIDES = 128
SKIP_SLACK_M = 0.05  # that a ray sags between two looks
MOST_LAT_IN_BLOCKS_DEG = 80.0  # nearer to a pole, cells differ too much in size
# A slope is one over metres, as errors are: what a single cell says of it is mostly roughness.
SLOPE_REACH_M = 2.0
_START_SLACK_M = 1e-6  # a ray that starts so little below the ground starts on it
_SEMI_MINOR_M = SEMI_MAJOR_M * math.sqrt(1.0 - ECCENTRICITY2)


@dataclass(frozen=True)
class TerrainSurface:
    """A tile as rays from one vehicle see it; a `ground.Surface`.

    Attributes:
        tile: The heights.
        lat_deg: Of the vehicle.
        lon_deg: Likewise.
        height_m: Of the vehicle, in the tile's datum.
        reach_m: How far along a ray the ground is looked for.
    """

    tile: TerrainTile
    lat_deg: float
    lon_deg: float
    height_m: float
    reach_m: float = MAX_SLANT_M

    def clearance_m(self) -> float:
        """Return how far the vehicle is above the ground below it; NaN where nobody knows that."""
        return self.height_m - float(self.heights_m(np.zeros((1, 2)))[0])

    def heights_m(self, north_east_m: FloatArray) -> FloatArray:
        """Return the ground's height at points, shape (..., 2), metres from the vehicle."""
        down_m = (north_east_m**2).sum(axis=-1) / (2.0 * EARTH_RADIUS_M)
        rows, cols, _ = self._on_tile(np.concatenate([north_east_m, down_m[..., None]], axis=-1))
        return self.tile.at_nodes(rows, cols)

    def gradients(self, north_east_m: FloatArray) -> FloatArray:
        """Return how the ground rises to the north and to the east, m per m; see `Surface`.

        Beside a void, where that is not known, it counts as level.
        """
        reach_m = max(self.tile.cell_m / 2.0, SLOPE_REACH_M)
        steps = reach_m * np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        around = self.heights_m(north_east_m[None] + steps[:, None, :])
        rises = (around[0::2] - around[1::2]).T / (2.0 * reach_m)
        return np.asarray(np.where(np.isfinite(rises), rises, 0.0))

    def slant_m(self, origins_m: FloatArray, directions: FloatArray) -> FloatArray:
        """Return how far along each ray the ground first lies; see `ground.Surface`.

        Infinite where there is none within `reach_m`.  NaN where the ray starts below the ground,
        or where, no higher than the tile's highest point, it leaves the tile or passes over a void
        before it meets any: what is there might have hidden the rest.
        """
        origins, rays = origins_m.reshape(-1, 3), directions.reshape(-1, 3)
        at, far = self._span(origins, rays)
        slant = np.where(np.isfinite(rays).all(axis=1), np.inf, np.nan)
        open_ = np.flatnonzero((at <= far) & ~np.isnan(slant))
        level = np.hypot(rays[:, 0], rays[:, 1])
        if len(open_) and abs(self.lat_deg) < MOST_LAT_IN_BLOCKS_DEG:
            span = (at[open_], far[open_])
            at[open_] = self._skipped(origins[open_], rays[open_], span, level[open_])
        n_cells, is_first = FIRST_CELLS, True
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            while len(open_):
                starts_m = origins[open_, :2] + at[open_, None] * rays[open_, :2]
                strides_m = self._strides_m(starts_m, n_cells) / np.maximum(level[open_], 1e-9)
                to = np.minimum(at[open_] + strides_m, far[open_])
                slant[open_] = self._walk(origins[open_], rays[open_], (at[open_], to), is_first)
                at[open_] = to
                open_ = open_[np.isinf(slant[open_]) & (to < far[open_])]
                n_cells, is_first = min(n_cells * CELLS_GROWTH, MOST_CELLS), False
        return np.asarray(slant.reshape(origins_m.shape[:-1]))

    def _span(self, origins: FloatArray, rays: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the stretch of each ray, shape (N,) twice, within which the ground can lie."""
        low, high = self.tile.low_high_m
        up, down = self.height_m - origins[:, 2], rays[:, 2]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            to_high, to_low = (up - high) / down, (up - low) / down
            # The Earth falls away below a ray: it needs longer to the lowest ground.
            to_low += to_low * to_low / EARTH_RADIUS_M / down + 5.0
        is_down = down > 0.0
        near = np.where(is_down, to_high * 0.999 - 1.0, np.where(up > high, np.inf, 0.0))
        far = np.where(is_down, to_low, np.where(down < 0.0, to_high + 1.0, np.inf))
        return np.maximum(near, 0.0), np.minimum(far, self.reach_m)

    def _skipped(
        self,
        origins: FloatArray,
        rays: FloatArray,
        span: tuple[FloatArray, FloatArray],
        level: FloatArray,
    ) -> FloatArray:
        """Return from where on rays have to be followed cell by cell: before, all is far below."""
        near, far = span
        stride_m = 0.9 * BLOCK * self.tile.cell_m  # cells differ a little in size
        n_strides = math.ceil(float(((far - near) * level).max()) / stride_m)
        n_strides = min(max(n_strides, 1), MOST_STRIDES)
        strides_m = np.minimum((far - near) / n_strides, stride_m / np.maximum(level, 1e-9))
        slants = near[:, None] + strides_m[:, None] * np.arange(n_strides + 1.0)
        rows, cols, ups = self._on_tile(origins[:, None] + slants[..., None] * rays[:, None])
        blocks, shape = self.tile.tops_m, self.tile.heights_m.shape
        inside = (rows >= 0) & (rows < shape[0]) & (cols >= 0) & (cols < shape[1])
        down = np.where(inside, rows, 0.0).astype(np.intp) // BLOCK
        right = np.where(inside, cols, 0.0).astype(np.intp) // BLOCK
        tops_m = np.where(inside, blocks[down, right], self.tile.low_high_m[1])
        lower = np.minimum(ups[:, :-1], ups[:, 1:]) - SKIP_SLACK_M
        is_near = np.concatenate([lower <= tops_m[:, :-1], np.ones((len(near), 1), bool)], axis=1)
        skipped: FloatArray = slants[np.arange(len(near)), is_near.argmax(axis=1)]
        return skipped

    def _strides_m(self, starts_m: FloatArray, n_cells: int) -> FloatArray:
        """Return how far over the ground rays may count as straight on the tile, shape (N,).

        Args:
            starts_m: Shape (N, 2), north and east.
            n_cells: To go at most.
        """
        pole_m = math.copysign(
            EARTH_RADIUS_M * math.radians(90.0 - abs(self.lat_deg)), self.lat_deg
        )
        # A parallel lies on the ground as a circle around the pole (and wider, far from it).
        from_pole_m = np.hypot(starts_m[:, 0] - pole_m, starts_m[:, 1])
        straight_m = np.sqrt(4.0 * STRAY_M * from_pole_m)
        wanted_m = np.minimum(straight_m, n_cells * self.tile.cell_m)
        return np.asarray(np.maximum(wanted_m, SHORTEST_STRIDE_M))

    def _walk(
        self,
        origins: FloatArray,
        rays: FloatArray,
        span: tuple[FloatArray, FloatArray],
        is_first: bool,
    ) -> FloatArray:
        """Follow rays from `span[0]` to `span[1]`; return slants, infinite where nothing stops."""
        ways = np.stack(span)
        rows, cols, ups = self._on_tile(origins + ways[..., None] * rays)
        start = _Track(rows[0], cols[0], ups[0])
        change = _Track(rows[1] - rows[0], self.tile.turned(cols[1] - cols[0]), ups[1] - ups[0])
        length = ways[1] - ways[0]
        sag_m = (length * length) * (rays[:, :2] ** 2).sum(axis=1) / (2.0 * EARTH_RADIUS_M)
        cuts = _cuts(start, change)
        begin, end = cuts[:, :-1], cuts[:, 1:]
        f0, f1, f2 = self._clearances(start, change, sag_m, (begin + end) / 2.0)
        at_begin, at_end = f0 + begin * (f1 + begin * f2), f0 + end * (f1 + end * f2)
        lowest = -f1 / (2.0 * f2)
        dips = (f2 > 0.0) & (lowest > begin) & (lowest < end) & (f1 * f1 >= 4.0 * f0 * f2)
        stops = (end > begin) & ((at_begin <= 0.0) | (at_end <= 0.0) | dips | np.isnan(at_end))
        each, first = np.arange(len(rays)), stops.argmax(axis=1)
        height, f1, f2 = at_begin[each, first], f1[each, first], f2[each, first]
        below = is_first & (first == 0) & (height < -_START_SLACK_M)
        height = np.maximum(height, 0.0)
        begin = begin[each, first]
        fall = -f1 - 2.0 * f2 * begin
        root = np.sqrt(np.maximum(fall * fall - 4.0 * f2 * height, 0.0))
        beyond = np.where(height > 0.0, 2.0 * height / (fall + root), height)  # NaN stays NaN
        found = np.minimum(begin + beyond, end[each, first])
        slant = np.where(below, np.nan, ways[0] + found * length)
        return np.asarray(np.where(stops.any(axis=1), slant, np.inf))

    def _clearances(
        self, start: _Track, change: _Track, sag_m: FloatArray, middles: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return a ray's height over the ground as c0 + c1·t + c2·t², t from 0 to 1 along it.

        Args:
            start: Of N rays.
            change: From their start to their end.
            sag_m: Shape (N,): four times how much the ray's middle is below the chord.
            middles: Shape (N, K), a point in each cell.

        Returns:
            Three times shape (N, K), of the cells that the points lie in; NaN over what is unknown.
        """
        row, col = start.row[:, None], start.col[:, None]
        per_row, per_col = change.row[:, None], change.col[:, None]
        cell = self.tile.cells(row + per_row * middles, col + per_col * middles)
        down, right = row - cell.top, col - cell.left
        ground = cell.corner + cell.south * down + cell.east * right + cell.twist * down * right
        slope = cell.south * per_row + cell.east * per_col
        slope += cell.twist * (down * per_col + right * per_row)
        sag = sag_m[:, None]
        return (
            start.up[:, None] - ground,
            change.up[:, None] - sag - slope,
            sag - cell.twist * (per_row * per_col),
        )

    def _on_tile(self, points_ned_m: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return rows, columns and heights in the tile's datum of points, shape (..., 3).

        Through the Earth's centre and back (Bowring's formula), so that it holds at the poles.
        """
        lat_rad = math.radians(self.lat_deg)
        sin, cos = math.sin(lat_rad), math.cos(lat_rad)
        prime_m = SEMI_MAJOR_M / math.sqrt(1.0 - ECCENTRICITY2 * sin * sin)
        north, east, down = points_ned_m[..., 0], points_ned_m[..., 1], points_ned_m[..., 2]
        x = (prime_m + self.height_m) * cos - sin * north - cos * down
        z = (prime_m * (1.0 - ECCENTRICITY2) + self.height_m) * sin + cos * north - sin * down
        from_axis = np.hypot(x, east)
        # Sine and cosine by the sides of a triangle are quicker than by angles.
        reduced_z, reduced_p = z * SEMI_MAJOR_M, from_axis * _SEMI_MINOR_M
        reduced = np.hypot(reduced_z, reduced_p)
        high = z + ECCENTRICITY2 * SEMI_MAJOR_M**2 / _SEMI_MINOR_M * (reduced_z / reduced) ** 3
        wide = from_axis - ECCENTRICITY2 * SEMI_MAJOR_M * (reduced_p / reduced) ** 3
        lat = np.arctan2(high, wide)
        slant = np.hypot(high, wide)
        sin_lat, cos_lat = high / slant, wide / slant
        up = from_axis * cos_lat + z * sin_lat
        up -= SEMI_MAJOR_M * np.sqrt(1.0 - ECCENTRICITY2 * sin_lat * sin_lat)
        lon_deg = self.lon_deg + np.degrees(np.arctan2(east, x))
        return self.tile.row(np.degrees(lat)), self.tile.col(lon_deg), up


@dataclass(frozen=True, slots=True)
class _Track:
    """Rows, columns and heights of N rays, shape (N,) each."""

    row: FloatArray
    col: FloatArray
    up: FloatArray


def _cuts(start: _Track, change: _Track) -> FloatArray:
    """Return where rays cross lines of the grid, 0 and 1 included, shape (N, K), ascending."""
    ends = np.broadcast_to([0.0, 1.0], (len(start.row), 2))
    rows, cols = _crossings(start.row, change.row), _crossings(start.col, change.col)
    cuts = np.sort(np.concatenate([ends, rows, cols], axis=1), axis=1)
    used = int((cuts < 1.0).sum(axis=1).max())
    return cuts[:, : used + 1]


def _crossings(start: FloatArray, change: FloatArray) -> FloatArray:
    """Return at which shares of its way each value passes whole numbers, 1 where it does not."""
    most = np.nanmax(np.abs(change), initial=0.0)
    numbers = np.arange(1.0, math.floor(most) + 2.0)
    sign = np.sign(change)
    before = np.where(sign > 0.0, np.floor(start), np.ceil(start))
    shares = ((before - start) / change)[:, None] + numbers / np.abs(change)[:, None]
    return np.asarray(np.where((shares >= 0.0) & (shares < 1.0), shares, 1.0))
