"""Any alert that hypothesis can think of."""

from __future__ import annotations

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
