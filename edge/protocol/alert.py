"""The alert on the wire: CBOR with integer keys; `alert.cddl` beside this file is the schema.

What does not fit its bounds is refused, so that nothing wrong is ever sent.  Errors and extents
saturate instead, at 65535 of their unit: a larger one is sent as "at least this".  With every
field at its largest the texts share what is left of 200 bytes; `texts.fit_texts` cuts them to it.
"""

from __future__ import annotations

import math
import struct
from typing import Any, Final

from edge.errors import ProtocolError
from edge.protocol.cbor import encode_item
from edge.protocol.codes import (
    pack_event_code,
    pack_grid_cell,
    unpack_event_code,
    unpack_grid_cell,
)
from edge.protocol.fields import (
    U16_MAX,
    U32_MAX,
    U64_MAX,
    as_array,
    as_bytes,
    as_int,
    as_int_or_none,
    as_map,
    as_text,
    bounded_text,
    required,
)
from edge.protocol.messages import ENVELOPE_MAX_BYTES, MessageKind, body_fields
from edge.records import (
    CLASS_NUMBERS,
    Alert,
    AlertFlags,
    AlertKind,
    Ellipse,
    Reading,
    TimeQuality,
    UtcNs,
    UtcTime,
    Xyxy,
)

SCHEMA: Final = 1
MAX_ALERT_PAYLOAD_BYTES: Final = 200  # DESIGN section 5, envelope included
MAX_ALERT_BYTES: Final = MAX_ALERT_PAYLOAD_BYTES - ENVELOPE_MAX_BYTES

MAX_LABEL_BYTES: Final = 16
MAX_RULE_BYTES: Final = 20
MAX_DEPARTMENT_BYTES: Final = 16
MAX_UNIT_BYTES: Final = 8
MIN_GROUND_DM, MAX_GROUND_DM = -5000, U16_MAX  # below the Dead Sea, above every city

_SCHEMA, _KIND, _ID, _REVISION, _TIME, _CLASS, _SCORE, _PLACE, _SIZE = range(9)
_BOX, _ROUTING, _HASHES, _FLAGS, _READING = range(9, 14)

UNITS: Final = ("µg/m³", "mg/m³", "ppm", "ppb")
FLAG_BITS: Final = ("replay", "coarse", "low_grazing", "cut", "advisory", "before_after")
_LABELS: Final = {number: label for label, number in CLASS_NUMBERS.items()}
_UNKNOWN_CLASS: Final = "class-"
_NO_HASH: Final = bytes(8)
_BOX_SCALE: Final = 10_000
_BOX_FORMAT: Final = ">4H"
_MS: Final = 1_000_000  # nanoseconds


def encode_alert(alert: Alert) -> bytes:
    """Encode the body of an alert; `messages.seal` puts it in its envelope.

    Raises:
        ProtocolError: A field is outside what alert.cddl allows, or the whole is longer than
            MAX_ALERT_BYTES (only with several long texts: see `texts.fit_texts`).
    """
    fields: dict[int, object] = {
        _ID: alert.incident_id,
        _TIME: _pack_time(alert),
        _CLASS: _pack_label(alert.label),
        _SCORE: _pack_score(alert),
        _PLACE: _pack_place(alert),
        _ROUTING: _pack_routing(alert),
    }
    optional: dict[int, tuple[object, object]] = {  # key: (value, default that is left out)
        _KIND: (int(alert.kind), int(AlertKind.NEW)),
        _REVISION: (as_int(alert.revision, "revision", 0, U16_MAX), 1),
        _SIZE: (_pack_size(alert), [0, 0, 0]),
        _BOX: (_pack_box(alert.box_xyxy), None),
        _HASHES: (_pack_hashes(alert), b""),
        _FLAGS: (_pack_flags(alert.flags), 0),
        _READING: (_pack_reading(alert.reading), None),
    }
    fields |= {key: value for key, (value, default) in optional.items() if value != default}
    body = encode_item(fields)
    if len(body) > MAX_ALERT_BYTES:
        raise ProtocolError(
            f"alert of {len(body)} bytes, at most {MAX_ALERT_BYTES}: shorten label, rule, "
            "department, event code or grid cell"
        )
    return body


def decode_alert(body: bytes) -> Alert:
    """Decode the body of an alert; unknown keys are ignored.

    Raises:
        ProtocolError: Not an alert of schema 1; the message names the field.
    """
    fields = as_map(body_fields(body, MessageKind.ALERT), "alert")
    as_int(fields.get(_SCHEMA, SCHEMA), "schema", SCHEMA, SCHEMA)
    return Alert(
        kind=AlertKind(as_int(fields.get(_KIND, 1), "kind", 1, len(AlertKind))),
        incident_id=as_bytes(required(fields, _ID, "incident id"), "incident id", (16,)),
        revision=as_int(fields.get(_REVISION, 1), "revision", 0, U16_MAX),
        label=_unpack_label(required(fields, _CLASS, "class")),
        box_xyxy=_unpack_box(fields.get(_BOX)),
        flags=_unpack_flags(as_int(fields.get(_FLAGS, 0), "flags", 0, U32_MAX)),
        reading=_unpack_reading(fields.get(_READING)),
        **_unpack_time(required(fields, _TIME, "time")),
        **_unpack_score(required(fields, _SCORE, "score")),
        **_unpack_place(required(fields, _PLACE, "place")),
        **_unpack_size(fields.get(_SIZE, [0, 0, 0])),
        **_unpack_routing(required(fields, _ROUTING, "routing")),
        **_unpack_hashes(fields.get(_HASHES)),
    )


# --- numbers --------------------------------------------------------------------------------------


def _scaled(value: float, scale: float, name: str, bounds: tuple[int, int]) -> int:
    """Scale and round; refuse what is not finite or out of bounds."""
    if not math.isfinite(value):
        raise ProtocolError(f"{name}: {value} is not a number that can be sent")
    return as_int(round(value * scale), name, *bounds)


def _saturated(value: float, scale: float, name: str) -> int:
    """Scale a size or an error that is never negative; at most 65535, which means "or more"."""
    if not value >= 0.0:  # also refuses NaN
        raise ProtocolError(f"{name}: {value} is not a size")
    return U16_MAX if value * scale >= U16_MAX else round(value * scale)


# --- time and place -------------------------------------------------------------------------------


def _pack_time(alert: Alert) -> list[object]:
    time = alert.time
    utc_ms = None if time.utc_ns is None else as_int(time.utc_ns // _MS, "utc", 0, U64_MAX)
    boot_ms = as_int_or_none(time.boot_ms, "boot_ms", 0, U32_MAX)
    sync_error_ms = _saturated(alert.sync_error_ms, 1, "sync_error_ms")
    return [utc_ms, int(time.quality), boot_ms, sync_error_ms]


def _unpack_time(value: Any) -> dict[str, Any]:
    items = as_array(value, "time", 4)
    utc_ms = as_int_or_none(items[0], "utc", 0, U64_MAX)
    time = UtcTime(
        utc_ns=None if utc_ms is None else UtcNs(utc_ms * _MS),
        quality=TimeQuality(as_int(items[1], "time quality", 0, max(TimeQuality))),
        boot_ms=as_int_or_none(items[2], "boot_ms", 0, U32_MAX),
    )
    return {"time": time, "sync_error_ms": as_int(items[3], "sync_error_ms", 0, U16_MAX)}


def _pack_place(alert: Alert) -> list[int]:
    ellipse = alert.ellipse
    # Rounded up: a sent ellipse never claims to be better than the known one.  The small number
    # keeps what was decoded the same when it is encoded again (0.3 m × 10 is 3.0000000000000004).
    a_dm, b_dm = (
        min(max(1, math.ceil(min(axis_m * 10 - 1e-6, U16_MAX))), U16_MAX)
        for axis_m in (ellipse.a_m, ellipse.b_m)
    )
    return [
        _scaled(alert.lat_deg, 1e7, "lat", (-(90 * 10**7), 90 * 10**7)),
        _scaled(alert.lon_deg, 1e7, "lon", (-(180 * 10**7), 180 * 10**7)),
        _scaled(alert.ground_amsl_m, 10, "ground height", (MIN_GROUND_DM, MAX_GROUND_DM)),
        a_dm,
        b_dm,
        round(ellipse.azimuth_deg) % 180,
    ]


def _unpack_place(value: Any) -> dict[str, Any]:
    items = as_array(value, "place", 6)
    a_dm = as_int(items[3], "ellipse a", 1, U16_MAX)
    b_dm = as_int(items[4], "ellipse b", 1, a_dm)
    azimuth_deg = float(as_int(items[5], "ellipse azimuth", 0, 179))
    return {
        "lat_deg": as_int(items[0], "lat", -(90 * 10**7), 90 * 10**7) / 1e7,
        "lon_deg": as_int(items[1], "lon", -(180 * 10**7), 180 * 10**7) / 1e7,
        "ground_amsl_m": as_int(items[2], "ground height", MIN_GROUND_DM, MAX_GROUND_DM) / 10,
        "ellipse": Ellipse(a_dm / 10, b_dm / 10, azimuth_deg),
    }


# --- what it is -----------------------------------------------------------------------------------


def _pack_label(label: str) -> int | str:
    if label in CLASS_NUMBERS:
        return CLASS_NUMBERS[label]
    return bounded_text(label, "label", MAX_LABEL_BYTES, 1)


def _unpack_label(value: Any) -> str:
    if isinstance(value, str):
        return as_text(value, "label", MAX_LABEL_BYTES, 1)
    number = as_int(value, "class", 1, 255)
    return _LABELS.get(number, f"{_UNKNOWN_CLASS}{number}")  # a newer drone may know more


def _pack_score(alert: Alert) -> list[int]:
    return [
        _scaled(alert.score, 1000, "score", (0, 1000)),
        _scaled(alert.threshold, 1000, "threshold", (0, 1000)),
        _saturated(alert.looks, 1, "looks"),
    ]


def _pack_size(alert: Alert) -> list[int]:
    return [
        _saturated(alert.extent_w_m, 10, "extent_w_m"),
        _saturated(alert.extent_h_m, 10, "extent_h_m"),
        _saturated(alert.gsd_m_per_px, 1000, "gsd_m_per_px"),
    ]


def _unpack_score(value: Any) -> dict[str, Any]:
    score, threshold, looks = as_array(value, "score", 3)[:3]
    return {
        "score": as_int(score, "score", 0, 1000) / 1000,
        "threshold": as_int(threshold, "threshold", 0, 1000) / 1000,
        "looks": as_int(looks, "looks", 0, U16_MAX),
    }


def _unpack_size(value: Any) -> dict[str, Any]:
    width_dm, height_dm, gsd_mm = as_array(value, "size", 3)[:3]
    return {
        "extent_w_m": as_int(width_dm, "extent width", 0, U16_MAX) / 10,
        "extent_h_m": as_int(height_dm, "extent height", 0, U16_MAX) / 10,
        "gsd_m_per_px": as_int(gsd_mm, "gsd", 0, U16_MAX) / 1000,
    }


def _pack_box(box: Xyxy | None) -> bytes | None:
    if box is None:
        return None
    x0, y0, x1, y1 = (_scaled(side, _BOX_SCALE, "box", (0, _BOX_SCALE)) for side in box)
    if x0 > x1 or y0 > y1:
        raise ProtocolError(f"box: {box} is not x0 y0 x1 y1 in order")
    return struct.pack(_BOX_FORMAT, x0, y0, x1, y1)


def _unpack_box(value: Any) -> Xyxy | None:
    if value is None:
        return None
    sides = struct.unpack(_BOX_FORMAT, as_bytes(value, "box", (8,)))
    x0, y0, x1, y1 = (as_int(side, "box", 0, _BOX_SCALE) / _BOX_SCALE for side in sides)
    if x0 > x1 or y0 > y1:
        raise ProtocolError(f"box: {sides} is not x0 y0 x1 y1 in order")
    return (x0, y0, x1, y1)


# --- whose it is ----------------------------------------------------------------------------------


def _pack_routing(alert: Alert) -> list[object]:
    return [
        bounded_text(alert.rule, "rule", MAX_RULE_BYTES, 1),
        as_int(alert.severity, "severity", 1, 4),
        bounded_text(alert.department, "department", MAX_DEPARTMENT_BYTES),
        pack_event_code(alert.event_code),
        pack_grid_cell(alert.grid_cell),
    ]


def _unpack_routing(value: Any) -> dict[str, Any]:
    items = as_array(value, "routing", 5)
    return {
        "rule": as_text(items[0], "rule", MAX_RULE_BYTES, 1),
        "severity": as_int(items[1], "severity", 1, 4),
        "department": as_text(items[2], "department", MAX_DEPARTMENT_BYTES),
        "event_code": unpack_event_code(items[3]),
        "grid_cell": unpack_grid_cell(items[4]),
    }


def _pack_hashes(alert: Alert) -> bytes:
    hashes = {
        "model_hash": alert.model_hash,
        "config_hash": alert.config_hash,
        "evidence_hash": alert.evidence_hash,
    }
    for name, digest in hashes.items():
        as_bytes(digest, name, (0, 8))
    if not any(hashes.values()):
        return b""
    parts = [digest or _NO_HASH for digest in hashes.values()]
    return b"".join(parts if alert.evidence_hash else parts[:2])


def _unpack_hashes(value: Any) -> dict[str, Any]:
    whole = b"" if value is None else as_bytes(value, "hashes", (16, 24))
    parts = (whole[:8], whole[8:16], whole[16:])
    names = ("model_hash", "config_hash", "evidence_hash")
    return {n: b"" if p == _NO_HASH else p for n, p in zip(names, parts, strict=True)}


def _pack_flags(flags: AlertFlags) -> int:
    return sum(1 << bit for bit, name in enumerate(FLAG_BITS) if getattr(flags, name))


def _unpack_flags(bits: int) -> AlertFlags:
    return AlertFlags(**{name: bool(bits & 1 << bit) for bit, name in enumerate(FLAG_BITS)})


def _pack_reading(reading: Reading | None) -> list[object] | None:
    if reading is None:
        return None
    unit: int | str = reading.unit
    if reading.unit in UNITS:
        unit = UNITS.index(reading.unit)
    else:
        bounded_text(reading.unit, "reading unit", MAX_UNIT_BYTES, 1)
    value_milli = _scaled(reading.value, 1000, "reading", (-U32_MAX - 1, U32_MAX))
    return [value_milli, unit, as_int(reading.averaging_s, "averaging_s", 0, U16_MAX)]


def _unpack_reading(value: Any) -> Reading | None:
    if value is None:
        return None
    items = as_array(value, "reading", 3)
    if isinstance(items[1], str):
        unit = as_text(items[1], "reading unit", MAX_UNIT_BYTES, 1)
    else:
        unit = UNITS[as_int(items[1], "reading unit", 0, len(UNITS) - 1)]
    value_milli = as_int(items[0], "reading", -U32_MAX - 1, U32_MAX)
    return Reading(value_milli / 1000, unit, as_int(items[2], "averaging_s", 0, U16_MAX))
