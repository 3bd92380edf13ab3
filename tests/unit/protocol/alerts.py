"""Alerts for tests: the typical and the worst."""

from __future__ import annotations

from typing import Any

from edge.records import (
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
