"""What the centre was last told of an incident, and whether it is time to tell it more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from edge.patrol.covariance import ellipse_radii_m
from edge.records import AlertKind, Incident, Verdict

# What matters enough for an `update`.
MOVED_M = 2.0  # or half of the ellipse that was told, whichever is more
MOVED_SHARE = 0.5
SHRUNK_SHARE = 0.7  # of the radius of the circle with the ellipse's area
RESIZED_SHARE = 0.3
RESIZED_M = 1.0  # of small things, a third is still noise
BETTER_PICTURE = 2.0  # times the quality of the picture that was told


class Change(Enum):
    """Why an update is due."""

    SEEN_AGAIN = "seen_again"  # after its `end`
    RULE = "rule"  # another rule, severity, department or code
    SCORE = "score"  # the median crossed the threshold
    MOVED = "moved"
    SHARPER = "sharper"
    RESIZED = "resized"
    PICTURE = "picture"


@dataclass(frozen=True, slots=True)
class Told:
    """The last alert of an incident, as far as the next one depends on it."""

    kind: AlertKind
    mono_ns: int
    rule: str
    severity: int
    department: str
    event_code: str
    grid_cell: str
    threshold: float
    east_m: float
    north_m: float
    ellipse_a_m: float
    ellipse_radius_m: float  # of the circle with the ellipse's area
    size_m: float
    score: float
    looks: int
    picture_quality: float
    is_coarse: bool = False


def told_by(verdict: Verdict, mono_ns: int, picture_quality: float) -> Told:
    """Note down what an alert says."""
    incident = verdict.incident
    a_m, b_m = ellipse_radii_m(incident.covariance)
    return Told(
        kind=verdict.kind,
        mono_ns=mono_ns,
        rule=verdict.rule,
        severity=verdict.severity,
        department=verdict.department,
        event_code=verdict.event_code,
        grid_cell=verdict.grid_cell,
        threshold=verdict.threshold,
        east_m=incident.east_m,
        north_m=incident.north_m,
        ellipse_a_m=a_m,
        ellipse_radius_m=math.sqrt(a_m * b_m),
        size_m=max(incident.width_m, incident.depth_m),
        score=incident.median_score,
        looks=incident.looks,
        picture_quality=picture_quality,
        is_coarse=verdict.is_coarse,
    )


def change_since(told: Told, now: Told) -> Change | None:
    """Compare what would be told now with what was; None when nothing that matters changed."""
    if _answer(told) != _answer(now):
        return Change.RULE
    if (told.score >= now.threshold) != (now.score >= now.threshold):
        return Change.SCORE
    moved_m = math.hypot(now.east_m - told.east_m, now.north_m - told.north_m)
    if moved_m > max(MOVED_M, MOVED_SHARE * told.ellipse_a_m):
        return Change.MOVED
    is_fine_now = told.is_coarse and not now.is_coarse
    if is_fine_now or now.ellipse_radius_m < SHRUNK_SHARE * told.ellipse_radius_m:
        return Change.SHARPER
    if abs(now.size_m - told.size_m) > max(RESIZED_M, RESIZED_SHARE * told.size_m):
        return Change.RESIZED
    if now.picture_quality > BETTER_PICTURE * told.picture_quality:
        return Change.PICTURE
    return None


def _answer(told: Told) -> tuple[str, int, str, str, float]:
    return (told.rule, told.severity, told.department, told.event_code, told.threshold)


def size_of(incident: Incident) -> float:
    """Return the larger side, m: what `min_size_m` in a rule means."""
    return max(incident.width_m, incident.depth_m)
