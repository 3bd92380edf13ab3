"""From a verdict of the rules to the alert that goes over the air."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace

from edge.protocol.texts import fit_texts
from edge.records import Alert, AlertFlags, Ellipse, UtcTime, Verdict, Xyxy

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AlertContext:
    """What the verdict does not know: the world's coordinates and time, and what looked."""

    lat_deg: float
    lon_deg: float
    ellipse: Ellipse  # 90 %, of the incident's whole covariance
    time: UtcTime  # of the best look
    frame_size_px: tuple[int, int] | None  # width, height of the best look's frame; None: unknown
    model_hash: bytes = b""
    config_hash: bytes = b""
    evidence_hash: bytes = b""
    flags: AlertFlags = field(default_factory=AlertFlags)


def compose_alert(verdict: Verdict, context: AlertContext) -> Alert:
    """Compose the alert of a verdict; texts too long for the wire are cut, and logged.

    The verdict's flag `coarse`, and `low_grazing` and `cut` of the best look, are set besides those
    of the context.
    """
    incident, best = verdict.incident, verdict.incident.best
    alert = Alert(
        kind=verdict.kind,
        incident_id=incident.incident_id,
        revision=verdict.revision,
        label=incident.label,
        lat_deg=context.lat_deg,
        lon_deg=context.lon_deg,
        ground_amsl_m=incident.ground_amsl_m,
        ellipse=context.ellipse,
        time=context.time,
        score=incident.median_score,
        threshold=verdict.threshold,
        looks=incident.looks,
        rule=verdict.rule,
        severity=verdict.severity,
        extent_w_m=incident.width_m,
        extent_h_m=incident.depth_m,
        gsd_m_per_px=best.gsd_m_per_px,
        box_xyxy=box_fractions(best.detection.box_xyxy_px, context.frame_size_px),
        department=verdict.department,
        event_code=verdict.event_code,
        grid_cell=verdict.grid_cell,
        model_hash=context.model_hash[:8],
        config_hash=context.config_hash[:8],
        sync_error_ms=round(best.sync_sigma_s * 1000),
        flags=replace(
            context.flags,
            coarse=context.flags.coarse or verdict.is_coarse,
            low_grazing=context.flags.low_grazing or best.is_low_grazing,
            cut=context.flags.cut or best.is_cut,
        ),
        evidence_hash=context.evidence_hash[:8],
    )
    fitted, cut_names = fit_texts(alert)
    if cut_names:
        log.warning("alert_text_cut fields=%s rule=%s", ",".join(cut_names), verdict.rule)
    return fitted


def box_fractions(box_xyxy_px: Xyxy, size_px: tuple[int, int] | None) -> Xyxy | None:
    """Turn a box in pixels ((0, 0): centre of the first) into fractions of the frame, 0 to 1.

    None where the frame's size is not known.
    """
    if size_px is None:
        return None
    width_px, height_px = size_px
    x0, y0, x1, y1 = (
        min(max((side + 0.5) / length, 0.0), 1.0)
        for side, length in zip(
            box_xyxy_px, (width_px, height_px, width_px, height_px), strict=True
        )
    )
    return (x0, y0, x1, y1)
