"""What the desk has committed, as GeoJSON and CSV."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any, Final

from edge.desk.store import DeskStore, StoredAlert
from edge.protocol.text import utc_text

_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
# Every export has these columns, in this order, whatever its alerts hold: programs read them.
COLUMNS: Final = (
    "drone", "received_utc", "kind", "incident_id", "revision", "label", "lat_deg", "lon_deg",
    "ground_amsl_m", "ellipse90_a_m", "ellipse90_b_m", "ellipse90_azimuth_deg", "time_utc",
    "time_quality", "time_boot_ms", "sync_error_ms", "score", "threshold", "looks", "rule",
    "severity", "department", "event_code", "grid_cell", "extent_w_m", "extent_h_m",
    "gsd_m_per_px", "box_xyxy", "model_hash", "config_hash", "evidence_hash", "flags",
    "reading", "reading_unit", "reading_averaging_s",
)  # fmt: skip
_COORDINATE_DIGITS: Final = 7  # a centimetre; more would be false


def alerts_geojson(store: DeskStore, *, newest_only: bool = True) -> dict[str, Any]:
    """Lay alerts out as a FeatureCollection of points, WGS 84.

    Args:
        store: The desk's file.
        newest_only: One feature an incident, its last revision; else one an alert.
    """
    features = [_feature(stored) for stored in store.alerts(newest_only=newest_only)]
    return {"type": "FeatureCollection", "features": features}


def write_geojson(store: DeskStore, path: Path, *, newest_only: bool = True) -> int:
    """Write `alerts_geojson` to a file, whole or not at all; returns the number of features."""
    collection = alerts_geojson(store, newest_only=newest_only)
    _write_whole(path, json.dumps(collection, ensure_ascii=False, indent=1) + "\n")
    return len(collection["features"])


def write_csv(store: DeskStore, path: Path, *, newest_only: bool = True) -> int:
    """Write one line an incident (or an alert) with a header; returns the number of lines.

    Text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    rows = [_properties(stored) for stored in store.alerts(newest_only=newest_only)]
    names = list(COLUMNS)
    for row in rows:  # a desk's file may be older or newer than this program
        names += [name for name in row if name not in names]
    partial = path.with_name(path.name + ".part")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=names)
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    partial.replace(path)
    return len(rows)


def _feature(stored: StoredAlert) -> dict[str, Any]:
    properties = _properties(stored)
    lon, lat = properties["lon_deg"], properties["lat_deg"]
    point = [round(lon, _COORDINATE_DIGITS), round(lat, _COORDINATE_DIGITS)]
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": point},
        "properties": properties,
    }


def _properties(stored: StoredAlert) -> dict[str, Any]:
    return {
        "drone": stored.drone_id,
        "received_utc": utc_text(stored.received_utc_ns),
        **stored.fields,
    }


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = " ".join(str(item) for item in value)
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return value


def _write_whole(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".part")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
