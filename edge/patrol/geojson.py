"""Polygons out of GeoJSON files (RFC 7946, WGS 84), into the district's plane."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import shapely

from edge.errors import ConfigError

EnuFromGeodetic: TypeAlias = Callable[[float, float], tuple[float, float]]  # lat, lon → e, n

MAX_FILE_BYTES = 64 * 1024 * 1024
# The names under which old files (GeoJSON 2008) declare what RFC 7946 takes for granted.
WGS84_NAMES = ("CRS84", "EPSG::4326", "EPSG:4326", "EPSG::4490", "EPSG:4490")


@dataclass(frozen=True, slots=True)
class PolygonFeature:
    """One feature with its polygons, east and north in metres."""

    index: int  # in the file, from 0
    properties: Mapping[str, Any]
    geometry: Any  # a valid shapely Polygon or MultiPolygon


def read_polygons(
    path: Path, enu_from_geodetic: EnuFromGeodetic, may_be_empty: bool = False
) -> list[PolygonFeature]:
    """Read every polygon of a file.

    Args:
        path: A FeatureCollection, a Feature, or a bare Polygon or MultiPolygon.
        enu_from_geodetic: Latitude and longitude in degrees to east and north in metres.
        may_be_empty: Whether a file without one polygon says something.

    Raises:
        ConfigError: The file is missing, is not GeoJSON, or a feature is no valid polygon; the
            message names the file and the feature's index.
    """
    document = _document(path)
    features: list[PolygonFeature] = []
    for index, (geometry, properties) in enumerate(_geometries(path, document)):
        polygon = _polygon(f"{path}: feature {index}", geometry, enu_from_geodetic)
        features.append(PolygonFeature(index, properties, polygon))
    if not features and not may_be_empty:
        raise ConfigError(f"{path}: no polygon in it; draw at least one, or take the file out")
    return features


def _document(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigError(
                f"{path}: larger than {MAX_FILE_BYTES // 2**20} MiB; simplify the polygons"
            )
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8; save it as UTF-8 GeoJSON") from error
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}, line {error.lineno}: not JSON ({error.msg}); export it again as GeoJSON"
        ) from error
    except ValueError as error:  # a number of thousands of digits
        raise ConfigError(f"{path}: not JSON ({error}); export it again as GeoJSON") from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply for GeoJSON; export it again") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: a GeoJSON file holds an object, not {_kind(document)}")
    crs = json.dumps(document.get("crs"))
    if crs != "null" and not any(name in crs for name in WGS84_NAMES):
        raise ConfigError(f"{path}: has crs {crs}; export it in WGS 84 (EPSG:4326)")
    return document


def _geometries(path: Path, document: dict[str, Any]) -> list[tuple[Any, Mapping[str, Any]]]:
    kind = document.get("type")
    if kind == "FeatureCollection":
        features = document.get("features")
        if not isinstance(features, list):
            raise ConfigError(f"{path}: 'features' must be a list, got {_kind(features)}")
    elif kind == "Feature":
        features = [document]
    else:
        return [(document, {})]
    found: list[tuple[Any, Mapping[str, Any]]] = []
    for index, feature in enumerate(features):
        if not isinstance(feature, dict) or feature.get("type") != "Feature":
            raise ConfigError(f"{path}: feature {index} is not a GeoJSON Feature")
        properties = feature.get("properties")
        found.append((feature.get("geometry"), properties if isinstance(properties, dict) else {}))
    return found


def _polygon(where: str, geometry: Any, enu_from_geodetic: EnuFromGeodetic) -> Any:
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in ("Polygon", "MultiPolygon"):
        raise ConfigError(
            f"{where}: geometry is {kind or _kind(geometry)}; only Polygon and MultiPolygon "
            f"cover ground"
        )
    coordinates = geometry.get("coordinates")
    parts = [coordinates] if kind == "Polygon" else coordinates
    if not isinstance(parts, list) or not parts:
        raise ConfigError(f"{where}: has no coordinates; draw it again")
    polygons = []
    for part in parts:
        if not isinstance(part, list) or not part:
            raise ConfigError(f"{where}: a polygon has no ring; draw it again")
        rings = [_ring(where, ring, enu_from_geodetic) for ring in part]
        polygons.append(shapely.Polygon(rings[0], rings[1:]))
    polygon = polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)
    if not polygon.is_valid:
        raise ConfigError(f"{where}: {shapely.is_valid_reason(polygon)} (metres); draw it again")
    return polygon


def _ring(where: str, ring: Any, enu_from_geodetic: EnuFromGeodetic) -> list[tuple[float, float]]:
    if not isinstance(ring, list) or len(ring) < 4:
        raise ConfigError(f"{where}: a ring needs four positions or more, the last as the first")
    points = [_position(where, position, enu_from_geodetic) for position in ring]
    if ring[0][:2] != ring[-1][:2]:
        raise ConfigError(f"{where}: a ring is not closed; repeat its first position at its end")
    return points


def _position(where: str, position: Any, enu_from_geodetic: EnuFromGeodetic) -> tuple[float, float]:
    is_pair = isinstance(position, list) and len(position) >= 2
    if not is_pair or not all(_is_number(value) for value in position[:2]):
        raise ConfigError(f"{where}: position {position!r} is not [longitude, latitude] in degrees")
    lon_deg, lat_deg = position[:2]
    if not (-180.0 <= lon_deg <= 180.0 and -90.0 <= lat_deg <= 90.0):
        raise ConfigError(
            f"{where}: position {position!r} is not in WGS 84 degrees; the order is "
            f"[longitude, latitude]"
        )
    return enu_from_geodetic(float(lat_deg), float(lon_deg))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__
