"""Terrain tiles: the ground's heights on a grid of latitudes and longitudes, and their files.

A tile names its vertical datum, and nothing here ever leaves it: heights of one datum go in,
heights of the same one come out.  Flight reads tiles with numpy alone; `terrain_import.py` makes
them on the ground, and `terrain_surface.py` cuts rays with them.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from edge.errors import TerrainError
from edge.records import FloatArray

FORMAT = 1
SUFFIX = ".npz"
EDGE_SLACK = 1e-6  # of a cell: what rounding puts outside lies on the edge
# What an autopilot's height above mean sea level may be compared with, to a metre or so.
SEA_LEVEL_DATUMS = frozenset({"egm84", "egm96", "egm2008", "china1985", "navd88", "evrs", "msl"})
BLOCK = 8  # nodes to a side, of which only the highest is looked at while a ray is far above
MAX_NODES = 25_000_000  # 200 MB in flight: a district of 20 km at 4 m
_MAX_FILE_BYTES = 4 * MAX_NODES + 65_536  # unpacked
VOID_CM = np.iinfo(np.int32).min
# What numpy and zipfile raise on bytes that are no tile, or no longer.
_BROKEN = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,  # a number that is no whole one
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
        return self.at_nodes(self.row(np.asarray(lat_deg)), self.col(np.asarray(lon_deg)))

    def at_nodes(self, row: FloatArray, col: FloatArray) -> FloatArray:
        """Return heights as `height_m` does, by rows and columns with fractions."""
        cell = self.cells(row, col)
        down, right = row - cell.top, col - cell.left
        height_m: FloatArray = cell.corner + cell.south * down
        return height_m + (cell.east + cell.twist * down) * right

    def row(self, lat_deg: FloatArray) -> FloatArray:
        """Return rows south of the first, with fractions."""
        rows: FloatArray = (self.first_lat_deg - lat_deg) / self.step_lat_deg
        return rows

    def col(self, lon_deg: FloatArray) -> FloatArray:
        """Return columns east of the first, with fractions: across the date line, too.

        A place outside is as far outside as on that side of the tile where it is nearer.
        """
        middle = (self.heights_m.shape[1] - 1) / 2.0
        east = self.turned((lon_deg - self.first_lon_deg) / self.step_lon_deg - middle)
        cols: FloatArray = middle + east
        return cols

    def turned(self, cols: FloatArray) -> FloatArray:
        """Return differences of columns the short way round the Earth."""
        around = 360.0 / self.step_lon_deg
        short: FloatArray = cols - around * np.round(cols / around)
        return short

    def cells(self, row: FloatArray, col: FloatArray) -> Cells:
        """Return the cells that places, by rows and columns of any one shape, lie in."""
        rows, cols = self.heights_m.shape
        if self._is_ring:
            turns = np.floor(col / (cols - 1)) * (cols - 1)
            col = col - turns
        over = EDGE_SLACK  # NaN is outside
        inside = (row >= -over) & (row <= rows - 1 + over)
        inside &= (col >= -over) & (col <= cols - 1 + over)
        top = np.where(inside, np.clip(row, 0, rows - 2), 0).astype(np.intp)
        left = np.where(inside, np.clip(col, 0, cols - 2), 0).astype(np.intp)
        nodes, index = self.heights_m.reshape(-1), top * cols + left
        corner = np.where(inside, nodes[index], np.nan)
        east, south = nodes[index + 1] - corner, nodes[index + cols] - corner
        twist = nodes[index + cols + 1] - corner - east - south
        return Cells(top, left + turns if self._is_ring else left, corner, south, east, twist)

    @property
    def is_sea_level(self) -> bool:
        """Say whether heights may be compared with the autopilot's above mean sea level."""
        return self.datum.casefold() in SEA_LEVEL_DATUMS

    @cached_property
    def low_high_m(self) -> tuple[float, float]:
        """The lowest and the highest node."""
        return float(np.nanmin(self.heights_m)), float(np.nanmax(self.heights_m))

    @cached_property
    def tops_m(self) -> FloatArray:
        """Upper bounds of the ground within BLOCK cells of each block of BLOCK × BLOCK nodes.

        What is void may be as high as the tile's highest node, and so may what lies outside.
        """
        high = self.low_high_m[1]
        rows, cols = self.heights_m.shape
        tops = np.empty((-(-rows // BLOCK), -(-cols // BLOCK)))
        for row, top in enumerate(tops):  # strip by strip: a tile is as large as memory allows
            strip = self.heights_m[row * BLOCK : (row + 1) * BLOCK]
            highest = np.where(np.isnan(strip), high, strip).max(axis=0)
            padded = np.pad(highest, (0, -cols % BLOCK), constant_values=high)
            top[:] = padded.reshape(-1, BLOCK).max(axis=1)
        around = np.pad(tops, 1, constant_values=high)
        wide = np.maximum(np.maximum(around[:, :-2], around[:, 1:-1]), around[:, 2:])
        return np.asarray(np.maximum(np.maximum(wide[:-2], wide[1:-1]), wide[2:]))

    @cached_property
    def cell_m(self) -> float:
        """The shorter side of a cell on the ground, in the tile's middle."""
        lat_deg = self.first_lat_deg - self.step_lat_deg * (self.heights_m.shape[0] - 1) / 2
        north_m, east_m = metres_per_degree(lat_deg)
        return min(self.step_lat_deg * north_m, self.step_lon_deg * east_m)

    @cached_property
    def _is_ring(self) -> bool:
        """Whether the last column is the first again: the tile goes all around a pole."""
        return math.isclose((self.heights_m.shape[1] - 1) * self.step_lon_deg, 360.0, rel_tol=1e-9)


@dataclass(frozen=True, slots=True)
class Cells:
    """Bilinear ground between four nodes, of any shape; NaN where a node is void or outside.

    The height is corner + south·down + east·right + twist·down·right, where `down` and `right` are
    rows and columns from the corner in the north-west.
    """

    top: NDArray[np.intp]
    left: FloatArray | NDArray[np.intp]
    corner: FloatArray
    south: FloatArray
    east: FloatArray
    twist: FloatArray


def metres_per_degree(lat_deg: float, height_m: float = 0.0) -> tuple[float, float]:
    """Return what a degree of latitude and one of longitude are on the ground, WGS 84."""
    sin, cos = math.sin(math.radians(lat_deg)), math.cos(math.radians(lat_deg))
    w2 = 1.0 - ECCENTRICITY2 * sin * sin
    prime_m = SEMI_MAJOR_M / math.sqrt(w2)
    meridian_m = prime_m * (1.0 - ECCENTRICITY2) / w2
    return math.radians(meridian_m + height_m), math.radians(prime_m + height_m) * cos


def write_tile(tile: TerrainTile, path: Path) -> None:
    """Write a tile, heights in whole centimetres; whole or not at all.

    Raises:
        TerrainError: The name does not end in .npz, or the disk refuses.
    """
    if path.suffix != SUFFIX:
        raise TerrainError(f"{path}: a terrain tile's name ends in {SUFFIX}; give another --out")
    void = np.isnan(tile.heights_m)
    heights_cm = np.where(void, VOID_CM, np.round(np.where(void, 0.0, tile.heights_m) * 100))
    half = path.with_suffix(".part")
    try:
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
    except OSError as error:
        raise TerrainError(
            f"{path}: cannot be written ({error.strerror}); give another --out"
        ) from error


def tile_of(path: Path | None) -> TerrainTile | None:
    """Read the tile that a config names, once as long as the file stays; None: it names none.

    Raises:
        TerrainError: As `read_tile`.
    """
    if path is None:
        return None
    try:
        state = path.stat()
    except OSError:
        return read_tile(path)  # says what is wrong
    return _kept(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=2)
def _kept(path: Path, _changed_ns: int, _n_bytes: int) -> TerrainTile:
    tile = read_tile(path)
    _ = tile.tops_m  # now, not at the first picture
    return tile


def _zip_of(file: BinaryIO) -> BinaryIO:
    """See that a file begins as a tile does: numpy's own words of any other would mislead."""
    if file.read(2) != b"PK":
        raise ValueError("it does not begin as one")
    file.seek(0)
    return file


def read_tile(path: Path) -> TerrainTile:
    """Read a tile.

    Raises:
        TerrainError: It is missing, no tile, or says what cannot be.
    """
    try:
        with path.open("rb") as file, np.load(_zip_of(file), allow_pickle=False) as kept:
            n_bytes = sum(part.file_size for part in kept.zip.infolist())
            if n_bytes > _MAX_FILE_BYTES:  # a small file may unpack to any size
                raise TerrainError(
                    f"{path}: {n_bytes / 1e6:.0f} MB unpacked, at most {_MAX_FILE_BYTES / 1e6:.0f} "
                    "fly; import the district alone"
                )
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
