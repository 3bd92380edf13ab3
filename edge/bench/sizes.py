"""The largest alert that the codec lets through."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Final

from edge.protocol.alert import UNITS
from edge.protocol.fields import U16_MAX, U32_MAX
from edge.protocol.messages import MessageKind, Stamp, seal
from edge.protocol.texts import fit_texts
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
from edge.report.outgoing import outgoing_alert

_FAR: Final = 1e9  # saturates whatever it is a size of
_LONG: Final = "w" * 64
_YEAR_2100_NS: Final = UtcNs(4_102_444_800_000_000_000)


def worst_alert() -> Alert:
    """Make an alert with every field there and as large as it can be; its texts as they fit."""
    alert = Alert(
        kind=AlertKind.END,
        incident_id=b"\xff" * 16,
        revision=U16_MAX,
        label=_LONG,
        lat_deg=-89.9999999,
        lon_deg=-179.9999999,
        ground_amsl_m=6553.5,
        ellipse=Ellipse(_FAR, _FAR, 179.0),
        time=UtcTime(_YEAR_2100_NS, max(TimeQuality), U32_MAX),
        score=0.999,
        threshold=0.999,
        looks=U16_MAX,
        rule=_LONG,
        severity=4,
        extent_w_m=_FAR,
        extent_h_m=_FAR,
        gsd_m_per_px=_FAR,
        box_xyxy=(0.0, 0.0, 1.0, 1.0),
        department=_LONG,
        event_code=_LONG,
        grid_cell=_LONG,
        model_hash=b"\xff" * 8,
        config_hash=b"\xff" * 8,
        sync_error_ms=U16_MAX,
        flags=AlertFlags(*(True,) * len(AlertFlags.__dataclass_fields__)),
        evidence_hash=b"\xff" * 8,
        reading=Reading(U32_MAX / 1000.0, max(UNITS, key=len) + "!", U16_MAX),
    )
    fitted, _ = fit_texts(alert)
    return fitted


def fresh_alert() -> Alert:
    """Make such an alert that is new, of an incident of its own."""
    return replace(worst_alert(), kind=AlertKind.NEW, revision=1, incident_id=os.urandom(16))


def worst_alert_bytes() -> int:
    """Return the length of the worst alert's whole MQTT payload, sent late and under high numbers.

    Raises:
        ProtocolError: The codec refuses it.
    """
    body = outgoing_alert(worst_alert()).body
    return len(seal(MessageKind.ALERT, Stamp(U32_MAX, U32_MAX), body, is_replay=True))
