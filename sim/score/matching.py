"""Alerts against the known truth: what was found, what was missed, how far off, how honest.

The rules, in full:

- An alert is right if its class is and it lies within 10 m of the thing's outline, whatever
  ellipse it claims.  The right class in the wrong place is a false alarm and a miss.
- Pairs are matched nearest first (by the outline, then by the middle), one alert to one thing; a
  further alert on a thing that has one is a duplicate.
- A violation is asked for when the camera saw it in at least five frames (`seen_frames` of the
  truth: its middle in the picture, 60 % of it in view, at least 24 px long).  One that was seen
  less is neither asked for nor held against an alert on it.
- A false alarm's cause is the nearest thing within 10 m, else `nothing`.
- The geotag error is the distance from the alert's place to where the truth says that the thing is
  (`centroid`: the middle of the outline; the foot of a column of smoke).

So `truths = found + missed` and `alerts = right + duplicates + false`.  Geometry here is shapely's
and pymap3d's, never `edge/geo`: shared code would share its errors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pymap3d
import shapely
from shapely.geometry import Point, shape
from shapely.geometry.base import BaseGeometry

from edge.errors import FlightError
from edge.records import Alert, FloatArray

MATCH_WITHIN_M = 10.0
# A thing counts as shown to the camera when at least this many frames hold it; fewer looks than
# any rule asks for cannot make an alert.
MIN_SEEN_FRAMES = 5


@dataclass(frozen=True, slots=True)
class TruthThing:
    """A violation or a distractor of the district, in its own local plane."""

    truth_id: str
    is_violation: bool
    label: str  # class of a violation, cause of a distractor
    outline: BaseGeometry  # metres east, north of the truth's origin
    centre_east_m: float  # where the truth says that it is
    centre_north_m: float
    seen_frames: int
    first_seen_s: float | None = None  # since the start of the flight

    @property
    def is_shown(self) -> bool:
        """Whether the camera saw it often enough to ask for an alert."""
        return self.seen_frames >= MIN_SEEN_FRAMES

    def points(self) -> list[tuple[float, float]]:
        """Return the outline's corners, metres east and north of the truth's origin."""
        return [(float(east), float(north)) for east, north in self.outline.exterior.coords]


@dataclass(frozen=True, slots=True)
class Truth:
    """What was there, and the origin of its plane."""

    things: tuple[TruthThing, ...]
    origin_lat_deg: float
    origin_lon_deg: float

    def plane(self, lat_deg: float, lon_deg: float) -> tuple[float, float]:
        """Return metres east and north of the origin."""
        east, north, _ = pymap3d.geodetic2enu(
            lat_deg, lon_deg, 0.0, self.origin_lat_deg, self.origin_lon_deg, 0.0
        )
        return float(east), float(north)

    def plane_points(self, lon_lat_deg: FloatArray) -> FloatArray:
        """Return metres east and north, shape (N, 2), of longitudes and latitudes, (N, 2)."""
        east, north, _ = pymap3d.geodetic2enu(
            lon_lat_deg[:, 1],
            lon_lat_deg[:, 0],
            np.zeros(len(lon_lat_deg)),
            self.origin_lat_deg,
            self.origin_lon_deg,
            0.0,
        )
        return np.column_stack([east, north])


@dataclass(frozen=True, slots=True)
class ScoredAlert:
    """The newest word on one incident, as the scorer needs it."""

    incident_id: str
    label: str
    lat_deg: float
    lon_deg: float
    ellipse_a_m: float
    ellipse_b_m: float
    ellipse_azimuth_deg: float


@dataclass(frozen=True, slots=True)
class Match:
    """An alert and what it turned out to be."""

    alert: ScoredAlert
    truth: TruthThing | None  # None: nothing of its class there
    is_duplicate: bool
    error_m: float | None
    is_inside_ellipse: bool | None
    cause: str | None  # of a false alarm: the distractor it lies on, or "nothing"
    ellipse_ratio: float | None = None  # the truth's place on the ellipse's scale: 1 on its edge


@dataclass(frozen=True, slots=True)
class Score:
    """How a flight did."""

    truth: int
    alerts_new: int
    recall: float | None
    precision: float | None
    duplicates: int
    geotag_median_m: float | None
    geotag_p90_m: float | None
    ellipse_hit_rate: float | None
    matches: tuple[Match, ...]
    missed: tuple[TruthThing, ...]


def newest_words(alerts: Iterable[Alert]) -> list[Alert]:
    """Keep the newest alert of each incident, in the order of their first."""
    newest: dict[bytes, Alert] = {}
    for alert in alerts:
        held = newest.get(alert.incident_id)
        if held is None or alert.revision > held.revision:
            newest[alert.incident_id] = alert
    return list(newest.values())


def scored_alert(alert: Alert) -> ScoredAlert:
    """Take from an alert what the scorer needs."""
    return ScoredAlert(
        incident_id=alert.incident_id.hex(),
        label=alert.label,
        lat_deg=alert.lat_deg,
        lon_deg=alert.lon_deg,
        ellipse_a_m=alert.ellipse.a_m,
        ellipse_b_m=alert.ellipse.b_m,
        ellipse_azimuth_deg=alert.ellipse.azimuth_deg,
    )


def read_truth(path: Path) -> Truth:
    """Read `truth.geojson` of a flight folder.

    Raises:
        FlightError: The file is not what the recorder writes.
    """
    try:
        features: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["features"]
        first = shape(features[0]["geometry"]).centroid if features else Point(0.0, 0.0)
        truth = Truth((), origin_lat_deg=first.y, origin_lon_deg=first.x)
        things = tuple(_thing(feature, truth) for feature in features)
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise FlightError(f"{path}: is no truth of a recorded flight ({error!r})") from error
    return Truth(things, truth.origin_lat_deg, truth.origin_lon_deg)


def score(alerts: Iterable[ScoredAlert], truth: Truth) -> Score:
    """Match alerts to truth, nearest pairs first, one alert to one thing."""
    alerts = list(alerts)
    shown = [t for t in truth.things if t.is_violation and t.is_shown]
    # A violation that was barely in the picture is neither asked for nor held against an alert.
    barely = [t for t in truth.things if t.is_violation and not t.is_shown]
    candidates = [*shown, *barely]
    pairs = sorted(
        (distance_m, _centre_distance_m(alert, thing, truth), i, j)
        for i, alert in enumerate(alerts)
        for j, thing in enumerate(candidates)
        if alert.label == thing.label
        and (distance_m := distance_to_outline_m(alert, thing, truth)) <= MATCH_WITHIN_M
    )
    matched: dict[int, int] = {}
    for _, _, i, j in pairs:
        if i not in matched and j not in matched.values():
            matched[i] = j
    twins = {i: j for _, _, i, j in reversed(pairs) if i not in matched}
    matches = tuple(
        _match(alert, candidates[matched.get(i, twins.get(i, 0))], truth, is_twin=i in twins)
        if i in matched or i in twins
        else _false_alarm(alert, truth)
        for i, alert in enumerate(alerts)
    )
    return _summary(matches, shown, {shown[j].truth_id for j in matched.values() if j < len(shown)})


def _summary(matches: Sequence[Match], shown: Sequence[TruthThing], found: set[str]) -> Score:
    right = [m for m in matches if m.truth is not None and not m.is_duplicate]
    errors_m = [m.error_m for m in right if m.error_m is not None]
    return Score(
        truth=len(shown),
        alerts_new=len(matches),
        recall=len(found) / len(shown) if shown else None,
        precision=len(right) / len(matches) if matches else None,
        duplicates=sum(m.is_duplicate for m in matches),
        geotag_median_m=float(np.median(errors_m)) if errors_m else None,
        geotag_p90_m=float(np.percentile(errors_m, 90)) if errors_m else None,
        ellipse_hit_rate=(
            float(np.mean([bool(m.is_inside_ellipse) for m in right])) if right else None
        ),
        matches=tuple(matches),
        missed=tuple(t for t in shown if t.truth_id not in found),
    )


def _match(alert: ScoredAlert, thing: TruthThing, truth: Truth, *, is_twin: bool) -> Match:
    east_m, north_m = truth.plane(alert.lat_deg, alert.lon_deg)
    d_east, d_north = thing.centre_east_m - east_m, thing.centre_north_m - north_m
    azimuth = math.radians(alert.ellipse_azimuth_deg)
    along = d_east * math.sin(azimuth) + d_north * math.cos(azimuth)
    across = d_east * math.cos(azimuth) - d_north * math.sin(azimuth)
    ratio = math.hypot(along / alert.ellipse_a_m, across / alert.ellipse_b_m)
    return Match(
        alert=alert,
        truth=thing,
        is_duplicate=is_twin,
        error_m=math.hypot(d_east, d_north),
        is_inside_ellipse=ratio <= 1.0,
        cause=None,
        ellipse_ratio=ratio,
    )


def _false_alarm(alert: ScoredAlert, truth: Truth) -> Match:
    near = [
        (distance_m, thing)
        for thing in truth.things
        if (distance_m := distance_to_outline_m(alert, thing, truth)) <= MATCH_WITHIN_M
    ]
    cause = min(near, key=lambda pair: pair[0])[1].label if near else "nothing"
    return Match(alert, None, False, None, None, cause)


def distance_to_outline_m(alert: ScoredAlert, thing: TruthThing, truth: Truth) -> float:
    """Return how far outside a thing's outline an alert lies; 0 inside."""
    return float(thing.outline.distance(Point(truth.plane(alert.lat_deg, alert.lon_deg))))


def _centre_distance_m(alert: ScoredAlert, thing: TruthThing, truth: Truth) -> float:
    east_m, north_m = truth.plane(alert.lat_deg, alert.lon_deg)
    return math.hypot(thing.centre_east_m - east_m, thing.centre_north_m - north_m)


def _thing(feature: dict[str, Any], truth: Truth) -> TruthThing:
    properties = feature["properties"]
    outline = shapely.transform(shape(feature["geometry"]), truth.plane_points)
    is_violation = properties["kind"] == "violation"
    centre = outline.centroid.x, outline.centroid.y
    if properties.get("centroid") is not None:
        lon_deg, lat_deg = properties["centroid"]
        centre = truth.plane(float(lat_deg), float(lon_deg))
    first_seen_s = properties.get("from_s")
    return TruthThing(
        truth_id=str(properties["id"]),
        is_violation=is_violation,
        label=str(properties["label"] if is_violation else properties["cause"]),
        outline=outline,
        centre_east_m=float(centre[0]),
        centre_north_m=float(centre[1]),
        seen_frames=int(properties["seen_frames"]),
        first_seen_s=None if first_seen_s is None else float(first_seen_s),
    )
