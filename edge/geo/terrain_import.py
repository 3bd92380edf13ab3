"""Turns a digital elevation model into a terrain tile; on the ground, with rasterio."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.errors import TerrainError
from edge.extras import needs_extra
from edge.geo.terrain import MAX_NODES, TerrainTile, metres_per_degree
from edge.records import FloatArray

LOWEST_M, HIGHEST_M = -500.0, 9_000.0  # what is beyond is a void that its file does not name
# Geographic coordinates that are WGS 84 to within decimetres: taken as they stand.
_AS_WGS84 = (4326, 4490, 4979, 4480)
# What stands in the names of vertical datums; the first that fits counts.
_DATUMS = {
    "EGM96": "egm96",
    "EGM2008": "egm2008",
    "EGM84": "egm84",
    "1985 NATIONAL HEIGHT": "china1985",
    "YELLOW SEA 1985": "china1985",
    "NORTH AMERICAN VERTICAL DATUM 1988": "navd88",
    "NAVD88": "navd88",
    "EUROPEAN VERTICAL REFERENCE": "evrs",
    "EVRF": "evrs",
    "MEAN SEA LEVEL": "msl",
    "ELLIPSOID": "ellipsoid",
}
# What files use for "nothing here" without saying so; a mean with neighbours would hide it.
_UNSAID_VOIDS = (-32768.0, -32767.0, -9999.0, -99999.0)


@dataclass(frozen=True, slots=True)
class Around:
    """The part of a model that is wanted."""

    lat_deg: float
    lon_deg: float
    within_km: float


def import_tile(path: Path, datum: str | None, around: Around | None = None) -> TerrainTile:
    """Read an elevation model in any format and coordinates that GDAL knows.

    Args:
        path: E.g. a GeoTIFF.
        datum: What its heights are above; None: what the file says of that.
        around: The part that is wanted; None: all of it.

    Raises:
        TerrainError: It cannot be read, has no place or no known datum, or is too large.
        MissingExtraError: rasterio is not installed.
    """
    with needs_extra("terrain", "terrain import"):
        import rasterio
        from rasterio.enums import Resampling
        from rasterio.errors import RasterioError
        from rasterio.vrt import WarpedVRT
    try:
        with ExitStack() as stack:
            model = stack.enter_context(rasterio.open(path))
            if model.crs is None:
                raise TerrainError(
                    f"{path}: does not say in which coordinates it is; give it some, e.g. with "
                    "gdal_edit.py -a_srs EPSG:4326"
                )
            named = datum or datum_of(model.crs.to_wkt())
            if named is None:
                raise TerrainError(
                    f"{path}: does not say what its heights are above; say it with --datum, e.g. "
                    "egm96, egm2008, ellipsoid"
                )
            _refuse_feet(path, model)
            if not _is_upright(model):
                nodata = model.nodata if model.nodata is not None else _unsaid_void(model)
                model = stack.enter_context(
                    WarpedVRT(
                        model,
                        crs="EPSG:4326",
                        resampling=Resampling.bilinear,
                        src_nodata=nodata,
                        nodata=nodata,
                    )
                )
            return _read(path, model, named, around)
    except RasterioError as error:
        raise TerrainError(
            f"{path}: cannot be read as an elevation model ({error}); give a GeoTIFF"
        ) from error


def datum_of(wkt: str) -> str | None:
    """Read the vertical datum from a coordinate system in WKT; None where it has none known."""
    vertical = _vertical_part(wkt)
    return next((name for word, name in _DATUMS.items() if word in vertical), None)


def _vertical_part(wkt: str) -> str:
    """Return what of a compound system, upper case, is about heights; "" where nothing is."""
    upper = wkt.upper()
    starts = [upper.find(word) for word in ("VERT_CS[", "VERTCRS[", "VERTICALCRS[")]
    start = max(starts)
    return upper[start:] if start >= 0 else ""


def _refuse_feet(path: Path, model: Any) -> None:
    """Refuse heights that say of themselves that they are not in metres."""
    unit = (model.units[0] or "").casefold() if model.units else ""
    vertical = _vertical_part(model.crs.to_wkt())
    is_metric = unit in {"", "m", "metre", "meter", "metres", "meters"}
    if not is_metric or any(word in vertical for word in ("FOOT", '"FT')):
        raise TerrainError(
            f"{path}: its heights are in {unit or 'feet'}; make metres of them first, e.g. "
            "gdal_calc.py -A in.tif --outfile=out.tif --calc='A*0.3048'"
        )


def _unsaid_void(model: Any) -> float | None:
    """Return what a model that names no void has in its place."""
    lowest = min(float(model.read(1, window=window).min()) for _, window in model.block_windows(1))
    return next((void for void in _UNSAID_VOIDS if lowest == void), None)


def _is_upright(model: Any) -> bool:
    """Tell whether rows run east and columns south, in degrees of WGS 84."""
    step = model.transform
    is_level = step.b == 0.0 and step.d == 0.0 and step.a > 0.0 and step.e < 0.0
    return is_level and model.crs.is_geographic and model.crs.to_epsg() in _AS_WGS84


def _read(path: Path, model: Any, datum: str, around: Around | None) -> TerrainTile:
    from rasterio.windows import Window

    window = _window(path, model, around)
    n_nodes = int(window[2]) * int(window[3])
    if n_nodes > MAX_NODES:
        raise TerrainError(
            f"{path}: {n_nodes / 1e6:.0f} million heights, at most {MAX_NODES / 1e6:.0f} fly; take "
            "the district alone: --around LAT,LON --within-km 5"
        )
    read = model.read(1, window=Window(*window), masked=True)
    heights_m = np.asarray(read.filled(np.nan) if read.dtype.kind == "f" else _filled(read))
    heights_m = heights_m * model.scales[0] + model.offsets[0]
    with np.errstate(invalid="ignore"):
        heights_m[~((heights_m > LOWEST_M) & (heights_m < HIGHEST_M))] = np.nan
    if min(heights_m.shape) < 2 or np.isnan(heights_m).all():
        raise TerrainError(f"{path}: holds no height there; look at --around, or at the model")
    step = model.transform
    # A model's heights are those of its pixels' middles.
    first_lon_deg = step.c + step.a * (window[0] + 0.5)
    first_lat_deg = step.f + step.e * (window[1] + 0.5)
    return TerrainTile(
        heights_m=heights_m.astype(np.float64),
        first_lat_deg=float(first_lat_deg),
        first_lon_deg=float(first_lon_deg),
        step_lat_deg=float(-step.e),
        step_lon_deg=float(step.a),
        datum=datum,
        source=path.name,
    )


def _filled(read: Any) -> FloatArray:
    return np.asarray(np.ma.filled(read.astype(np.float64), np.nan))


def _window(path: Path, model: Any, around: Around | None) -> tuple[int, int, int, int]:
    """Return the first column and row that are wanted, and how many of each."""
    if around is None:
        return 0, 0, model.width, model.height
    north_m, east_m = metres_per_degree(around.lat_deg)
    half_lat, half_lon = around.within_km * 1e3 / north_m, around.within_km * 1e3 / east_m
    step = model.transform
    middle_deg = step.c + step.a * model.width / 2
    lon_deg = around.lon_deg + 360.0 * round((middle_deg - around.lon_deg) / 360.0)
    west = (lon_deg - half_lon - step.c) / step.a
    east = (lon_deg + half_lon - step.c) / step.a
    north = (around.lat_deg + half_lat - step.f) / step.e
    south = (around.lat_deg - half_lat - step.f) / step.e
    left, right = max(0, int(np.floor(west))), min(model.width, int(np.ceil(east)))
    top, bottom = max(0, int(np.floor(north))), min(model.height, int(np.ceil(south)))
    if right - left < 2 or bottom - top < 2:
        box = ", ".join(f"{side:.4f}" for side in model.bounds)
        raise TerrainError(
            f"{path}: {around.lat_deg}, {around.lon_deg} does not lie in it; it covers (west, "
            f"south, east, north) {box}"
        )
    return left, top, right - left, bottom - top
