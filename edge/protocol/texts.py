"""Cutting an alert's texts to what the wire holds, so that no alert is lost to a long name."""

from __future__ import annotations

from dataclasses import replace

from edge.errors import ProtocolError
from edge.protocol.ack import clip_text
from edge.protocol.alert import (
    MAX_DEPARTMENT_BYTES,
    MAX_LABEL_BYTES,
    MAX_RULE_BYTES,
    encode_alert,
)
from edge.protocol.codes import MAX_CELL_BYTES, MAX_EVENT_BYTES
from edge.records import CLASS_NUMBERS, Alert

# What gives way first, and how short it may become, in bytes.  The desk can look a department up
# by the rule, and a rule by the config's hash; a label or a cell it cannot.
_GIVES_WAY = (("department", 0), ("rule", 4), ("label", 4), ("grid_cell", 0))


def fit_texts(alert: Alert) -> tuple[Alert, tuple[str, ...]]:
    """Cut texts that are too long, each to its own bound, then until the whole fits.

    Returns:
        The alert that `encode_alert` will not refuse for its texts, and the names of the fields
        that were cut.
    """
    fitted = replace(
        alert,
        label=alert.label
        if alert.label in CLASS_NUMBERS
        else clip_text(alert.label, MAX_LABEL_BYTES) or "?",
        rule=clip_text(alert.rule, MAX_RULE_BYTES) or "?",
        department=clip_text(alert.department, MAX_DEPARTMENT_BYTES),
        event_code=clip_text(alert.event_code, MAX_EVENT_BYTES),
        grid_cell=clip_text(alert.grid_cell, MAX_CELL_BYTES),
    )
    for name, shortest in () if _fits(fitted) else _GIVES_WAY:
        while len(getattr(fitted, name).encode()) > shortest and not _fits(fitted):
            if name == "label" and fitted.label in CLASS_NUMBERS:
                break
            fitted = replace(fitted, **{name: getattr(fitted, name)[:-1]})
    names = ("label", "rule", "department", "event_code", "grid_cell")
    return fitted, tuple(n for n in names if getattr(fitted, n) != getattr(alert, n))


def _fits(alert: Alert) -> bool:
    try:
        encode_alert(alert)
    except ProtocolError:
        return False
    return True
