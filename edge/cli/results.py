"""What a replay and the demo leave behind: `summary.json`, `alerts.geojson`, `map.png`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import typer
from rich.table import Table

from edge.capture.recording import RecordedFlight
from edge.desk.map import (
    DISTRACTOR,
    FOUND,
    MISSED,
    MapAlert,
    MapContents,
    MapOutline,
    draw_map,
    mosaic_of,
)
from edge.errors import MissingExtraError
from edge.flightlog import FlightLog
from edge.geo.plane import LocalPlane
from edge.health import Health
from edge.machine import machine_name
from edge.mount_kind import MountWord
from edge.records import Alert, AlertKind
from edge.stages import Stored
from sim.score.matching import Score, Truth, read_truth, score, scored_alert

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class FlightResults:
    """What a flight left, wherever its alerts were read: the mailbox, or the desk."""

    recorded: RecordedFlight
    health: Health
    log: FlightLog
    stored: Sequence[Stored]
    alerts: Sequence[Alert]  # the newest word on each incident
    outbox_left: int
    wall_s: float
    outbox_to_desk_s: Mapping[int, float] = field(default_factory=dict)  # by seq
    incidents: dict[str, int] = field(default_factory=dict)  # what association did
    mounts: Mapping[str, MountWord] = field(default_factory=dict)  # by camera


@dataclass(frozen=True, slots=True)
class Summary:
    """`summary.json`; absent figures are null."""

    flight: str
    truth: int | None
    alerts_new: int
    recall: float | None
    precision: float | None
    duplicates: int | None
    geotag_median_m: float | None
    geotag_p90_m: float | None
    ellipse_hit_rate: float | None
    frame_to_outbox_p99_s: float | None
    frame_to_desk_p99_s: float | None
    alert_bytes_median: float | None
    alert_bytes_max: int | None
    frames: int
    inferences: int
    detections: int
    frames_dropped: int
    outbox_left: int
    lost_events: int
    inference_ms_median: float | None
    no_pose: dict[str, int]
    no_geotag: dict[str, int]
    by_class: dict[str, dict[str, int]]
    missed: list[str]
    false_alarms: dict[str, int]
    wall_s: float
    machine: str
    incidents: dict[str, int]
    mounts: dict[str, dict[str, str]]  # by camera: configured, shown, agreement, text
    video_delay_ms: dict[str, int | None] = field(default_factory=dict)  # by camera, as it turned
    video_delay_sigma_ms: dict[str, int | None] = field(default_factory=dict)

    def table(self) -> Table:
        """Return the scoreboard."""
        table = Table(title=f"{self.flight}: {self.frames} frames, {self.alerts_new} incidents")
        table.add_column("figure")
        table.add_column("value", justify="right")
        for name, value in self._rows():
            table.add_row(name, value)
        return table

    def _rows(self) -> Iterable[tuple[str, str]]:
        if self.truth is not None:
            yield "violations shown to the camera", str(self.truth)
            yield "recall", _number(self.recall, "{:.2f}")
            yield "precision", _number(self.precision, "{:.2f}")
            yield "duplicates", str(self.duplicates)
            yield "geotag error, median", _number(self.geotag_median_m, "{:.1f} m")
            yield "geotag error, 90 %", _number(self.geotag_p90_m, "{:.1f} m")
            yield "truth inside the 90 % ellipse", _number(self.ellipse_hit_rate, "{:.0%}")
        yield "frame → outbox, p99", _number(self.frame_to_outbox_p99_s, "{:.3f} s")
        if self.frame_to_desk_p99_s is not None:
            yield "frame → desk's commit, p99", _number(self.frame_to_desk_p99_s, "{:.3f} s")
        sizes = f"{_number(self.alert_bytes_median, '{:.0f}')} / {self.alert_bytes_max}"
        yield "alert size, median / largest, bytes", sizes
        yield "inference, median", _number(self.inference_ms_median, "{:.1f} ms")
        yield "messages in the outbox at the end", str(self.outbox_left)  # a replay sends none
        if self.lost_events:
            yield "frames and ticks lost to errors", str(self.lost_events)
        for reason, count in sorted({**self.no_pose, **self.no_geotag}.items()):
            yield f"without a place: {reason}", str(count)


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def write_results(results: FlightResults, out: Path, title: str) -> Summary:
    """Score what can be scored, and write the three files.

    Args:
        results: What the flight left.
        out: The folder.
        title: Of the map.
    """
    truth_file = results.recorded.spec.truth
    truth = read_truth(results.recorded.path(truth_file.file)) if truth_file else None
    scored = score(map(scored_alert, results.alerts), truth) if truth else None
    summary = _summary(results, scored)
    text = json.dumps(asdict(summary), indent=2, ensure_ascii=False)
    (out / "summary.json").write_text(text + "\n", encoding="utf-8")
    geojson = {"type": "FeatureCollection", "features": [_feature(a) for a in results.alerts]}
    text = json.dumps(geojson, indent=1, ensure_ascii=False)
    (out / "alerts.geojson").write_text(text + "\n", encoding="utf-8")
    try:
        draw_map(_map(results, truth, scored, title), out / "map.png")
    except MissingExtraError as error:  # the results are whole without it
        typer.echo(f"no map: {error}", err=True)
    return summary


# What the demo promises (`skywhistle demo --gate`).
MIN_RECALL, MIN_PRECISION = 0.9, 0.9
MAX_GEOTAG_MEDIAN_M, MAX_GEOTAG_P90_M = 3.0, 7.0
MAX_ALERT_BYTES, MAX_ALERT_BYTES_MEDIAN = 200, 175


def shortfalls(summary: Summary) -> list[str]:
    """List the promises that a scored flight did not keep."""
    laws = [
        ("recall", summary.recall, MIN_RECALL, True),
        ("precision", summary.precision, MIN_PRECISION, True),
        ("duplicates", summary.duplicates, 0, False),
        ("geotag_median_m", summary.geotag_median_m, MAX_GEOTAG_MEDIAN_M, False),
        ("geotag_p90_m", summary.geotag_p90_m, MAX_GEOTAG_P90_M, False),
        ("alert_bytes_max", summary.alert_bytes_max, MAX_ALERT_BYTES, False),
        ("alert_bytes_median", summary.alert_bytes_median, MAX_ALERT_BYTES_MEDIAN, False),
        ("outbox_left", summary.outbox_left, 0, False),
        ("lost_events", summary.lost_events, 0, False),
    ]
    return [
        f"{name} is {value}, promised {'at least' if is_floor else 'at most'} {limit}"
        for name, value, limit, is_floor in laws
        if value is None or (value < limit if is_floor else value > limit)
    ]


def percentile(values: Sequence[float], q: float) -> float | None:
    """Return the q-th percentile; None of nothing."""
    return float(np.percentile(values, q)) if len(values) else None


def _summary(results: FlightResults, scored: Score | None) -> Summary:
    health = results.health
    sizes = [stored.n_bytes for stored in results.stored]
    inference_ms = [value * 1e3 for value in health.inference_s]
    return Summary(
        flight=results.recorded.spec.name,
        truth=scored.truth if scored else None,
        alerts_new=sum(stored.alert.kind is AlertKind.NEW for stored in results.stored),
        recall=scored.recall if scored else None,
        precision=scored.precision if scored else None,
        duplicates=scored.duplicates if scored else None,
        geotag_median_m=scored.geotag_median_m if scored else None,
        geotag_p90_m=scored.geotag_p90_m if scored else None,
        ellipse_hit_rate=scored.ellipse_hit_rate if scored else None,
        frame_to_outbox_p99_s=percentile(health.frame_to_outbox_s, 99),
        frame_to_desk_p99_s=percentile(_frame_to_desk_s(results), 99),
        alert_bytes_median=percentile(sizes, 50),
        alert_bytes_max=max(sizes, default=None),
        frames=health.frames,
        inferences=health.inferences,
        detections=health.detections,
        frames_dropped=results.recorded.dropped["no_time"],
        outbox_left=results.outbox_left,
        lost_events=health.lost_events,
        inference_ms_median=percentile(inference_ms, 50),
        no_pose=dict(health.no_pose),
        no_geotag=dict(health.no_geotag),
        by_class=_by_class(scored) if scored else {},
        missed=[f"{thing.label} {thing.truth_id}" for thing in scored.missed] if scored else [],
        false_alarms=dict(Counter(m.cause for m in scored.matches if m.cause)) if scored else {},
        wall_s=round(results.wall_s, 2),
        machine=machine_name(),
        incidents=results.incidents,
        video_delay_ms={k: one.video_delay_ms for k, one in health.video_delays.items()},
        video_delay_sigma_ms={
            k: one.video_delay_sigma_ms for k, one in health.video_delays.items()
        },
        mounts={camera_id: _mount(word) for camera_id, word in results.mounts.items()},
    )


def _mount(word: MountWord) -> dict[str, str]:
    return {
        "configured": word.configured.value,
        "shown": word.shown.value,
        "agreement": word.agreement.value,
        "text": word.text,
    }


def _frame_to_desk_s(results: FlightResults) -> list[float]:
    """Add each alert's two halves: frame → outbox aboard, outbox → commit at the desk."""
    return [
        stored.frame_to_outbox_s + results.outbox_to_desk_s[stored.seq]
        for stored in results.stored
        if stored.seq in results.outbox_to_desk_s
    ]


def _by_class(scored: Score) -> dict[str, dict[str, int]]:
    found = Counter(m.truth.label for m in scored.matches if m.truth and not m.is_duplicate)
    missed = Counter(thing.label for thing in scored.missed)
    false = Counter(m.alert.label for m in scored.matches if m.truth is None)
    return {
        label: {"found": found[label], "missed": missed[label], "false": false[label]}
        for label in sorted({*found, *missed, *false})
    }


def _feature(alert: Alert) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {
            "type": "Point",
            "coordinates": [round(alert.lon_deg, 7), round(alert.lat_deg, 7)],
        },
        "properties": {
            "incident": alert.incident_id.hex(),
            "revision": alert.revision,
            "kind": alert.kind.name.lower(),
            "label": alert.label,
            "rule": alert.rule,
            "severity": alert.severity,
            "department": alert.department,
            "event_code": alert.event_code,
            "grid_cell": alert.grid_cell,
            "score": round(alert.score, 3),
            "looks": alert.looks,
            "extent_m": [round(alert.extent_w_m, 1), round(alert.extent_h_m, 1)],
            "ellipse_a_m": round(alert.ellipse.a_m, 2),
            "ellipse_b_m": round(alert.ellipse.b_m, 2),
            "ellipse_azimuth_deg": round(alert.ellipse.azimuth_deg, 1),
            "utc_ns": alert.time.utc_ns,
        },
    }


def _map(
    results: FlightResults, truth: Truth | None, scored: Score | None, title: str
) -> MapContents:
    log = results.log
    origin = log.track[0] if log.track else (0.0, 0.0)
    plane = LocalPlane(*origin)

    def flat(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
        return [plane.enu_from_geodetic(lat, lon) for lat, lon in points]

    footprints = [flat(footprint) for footprint in log.footprints]
    false = {one.alert.incident_id for one in scored.matches if one.truth is None} if scored else {}
    alerts = [
        MapAlert(
            alert.label,
            *plane.enu_from_geodetic(alert.lat_deg, alert.lon_deg),
            alert.ellipse,
            is_false=alert.incident_id.hex() in false,
        )
        for alert in results.alerts
    ]
    return MapContents(
        title=title,
        subtitle=_subtitle(results, scored),
        track=flat(log.track),
        footprints=footprints[:: max(1, len(footprints) // 40)],
        alerts=alerts,
        truth=_outlines(truth, scored, plane) if truth and scored else (),
        distractors=_distractors(truth, plane) if truth else (),
        mosaic=mosaic_of([(image, flat(at)) for image, at in log.images], footprints),
    )


def _subtitle(results: FlightResults, scored: Score | None) -> str:
    told = f"{len(results.alerts)} incidents reported from {results.health.frames} frames"
    if scored is None or scored.recall is None:
        return told
    return (
        f"{told} · {scored.truth} violations shown: recall {scored.recall:.2f}, "
        f"precision {_number(scored.precision, '{:.2f}')} · geotag error "
        f"{_number(scored.geotag_median_m, '{:.1f}')} m median, "
        f"{_number(scored.geotag_p90_m, '{:.1f}')} m at 90 %"
    )


def _outlines(truth: Truth, scored: Score, plane: LocalPlane) -> list[MapOutline]:
    shift = plane.enu_from_geodetic(truth.origin_lat_deg, truth.origin_lon_deg)
    missed = {thing.truth_id for thing in scored.missed}
    return [
        MapOutline(_moved(thing.points(), shift), MISSED if thing.truth_id in missed else FOUND)
        for thing in truth.things
        if thing.is_violation and thing.is_shown
    ]


def _distractors(truth: Truth, plane: LocalPlane) -> list[MapOutline]:
    shift = plane.enu_from_geodetic(truth.origin_lat_deg, truth.origin_lon_deg)
    return [
        MapOutline(_moved(thing.points(), shift), DISTRACTOR)
        for thing in truth.things
        if not thing.is_violation and thing.is_shown
    ]


def _moved(points: Points, shift: tuple[float, float]) -> list[tuple[float, float]]:
    return [(east + shift[0], north + shift[1]) for east, north in points]
