"""Alerts for tests: typical, worst, and any that hypothesis can think of."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

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
)


def typical_alert(**changes: Any) -> Alert:
    """Build the alert of a shed seen in thirty looks, as most alerts are."""
    fields: dict[str, Any] = {
        "kind": AlertKind.NEW,
        "incident_id": bytes.fromhex("018f3c2a5b6e7d8090a1b2c3d4e5f607"),
        "revision": 1,
        "label": "structure",
        "lat_deg": 31.5701234,
        "lon_deg": 120.3012345,
        "ground_amsl_m": 5.2,
        "ellipse": Ellipse(3.4, 2.1, 57.0),
        "time": UtcTime(UtcNs(1_789_000_123_456_000_000), TimeQuality.GNSS_SYNCED, 432_100),
        "score": 0.812,
        "threshold": 0.5,
        "looks": 30,
        "rule": "new-shed",
        "severity": 2,
        "extent_w_m": 12.3,
        "extent_h_m": 6.1,
        "gsd_m_per_px": 0.034,
        "box_xyxy": (0.4123, 0.3321, 0.5123, 0.4456),
        "department": "城管",
        "event_code": "0101",
        "grid_cell": "320206001001007",
        "model_hash": b"modelsha",
        "config_hash": b"confgsha",
        "sync_error_ms": 12,
        "evidence_hash": b"evidence",
    }
    return Alert(**(fields | changes))


def worst_alert(**changes: Any) -> Alert:
    """Build an alert with every number at its longest and every text at its bound."""
    fields: dict[str, Any] = {
        "kind": AlertKind.UPDATE,
        "revision": 65535,
        "label": "l" * 16,
        "lat_deg": -89.9999999,
        "lon_deg": -179.9999999,
        "ground_amsl_m": 6553.5,
        "ellipse": Ellipse(6553.5, 6553.4, 179.0),
        "time": UtcTime(UtcNs(10**18 * 4), TimeQuality.GNSS_SYNCED, 2**32 - 1),
        "score": 1.0,
        "threshold": 0.999,
        "looks": 65535,
        "rule": "r" * 20,
        "severity": 4,
        "extent_w_m": 6553.5,
        "extent_h_m": 6553.5,
        "gsd_m_per_px": 65.535,
        "box_xyxy": (0.9, 0.9, 1.0, 1.0),
        "department": "d" * 16,
        "event_code": "eeeeeeee",
        "grid_cell": "c" * 20,
        "sync_error_ms": 65535,
        "flags": AlertFlags(True, True, True, True, True, True),
        "reading": Reading(-4_294_967.295, "uuuuuuuu", 65535),
    }
    return typical_alert(**(fields | changes))


_SIZES = st.floats(0.0, 1e6, allow_nan=False)
_DIGITS = st.text("0123456789", max_size=24)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@st.composite
def alerts(draw: st.DrawFn) -> Alert:
    """Draw any alert that makes sense, with texts of any length."""
    minor, extra = draw(st.floats(0.01, 1e5)), draw(st.floats(0.0, 1e5))
    sides = [draw(st.floats(0.0, 1.0)) for _ in range(4)]
    (x0, x1), (y0, y1) = sorted(sides[:2]), sorted(sides[2:])
    utc_ns = draw(st.none() | st.integers(0, 2**62))
    reading = st.builds(
        Reading,
        st.floats(-4e6, 4e6),
        st.sampled_from(["µg/m³", "ppm", "Bq/m³"]),
        st.integers(0, 3600),
    )
    return Alert(
        kind=draw(st.sampled_from(AlertKind)),
        incident_id=draw(st.binary(min_size=16, max_size=16)),
        revision=draw(st.integers(0, 65535)),
        label=draw(st.sampled_from(sorted(CLASS_NUMBERS)) | _TEXTS),
        lat_deg=draw(st.floats(-90, 90)),
        lon_deg=draw(st.floats(-180, 180)),
        ground_amsl_m=draw(st.floats(-500, 6553.5)),
        ellipse=Ellipse(minor + extra, minor, draw(st.floats(0, 180, exclude_max=True))),
        time=UtcTime(
            None if utc_ns is None else UtcNs(utc_ns),
            draw(st.sampled_from(TimeQuality)),
            draw(st.none() | st.integers(0, 2**32 - 1)),
        ),
        score=draw(st.floats(0, 1)),
        threshold=draw(st.floats(0, 1)),
        looks=draw(st.integers(0, 10**6)),
        rule=draw(_TEXTS),
        severity=draw(st.integers(1, 4)),
        extent_w_m=draw(_SIZES),
        extent_h_m=draw(_SIZES),
        gsd_m_per_px=draw(_SIZES),
        box_xyxy=draw(st.none() | st.just((x0, y0, x1, y1))),
        department=draw(_TEXTS),
        event_code=draw(_DIGITS | _TEXTS),
        grid_cell=draw(_DIGITS | _TEXTS),
        model_hash=draw(st.sampled_from([b"", b"modelsha"])),
        config_hash=draw(st.sampled_from([b"", b"confgsha"])),
        sync_error_ms=draw(st.integers(0, 10**6)),
        flags=AlertFlags(*(draw(st.booleans()) for _ in range(6))),
        evidence_hash=draw(st.sampled_from([b"", b"evidence"])),
        reading=draw(st.none() | reading),
    )
