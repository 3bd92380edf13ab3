"""From where one more look would tell most about a place that is known too vaguely.

It is a suggestion to people: nothing is flown by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edge.accuracy import ce90_m, ellipse_from_covariance
from edge.patrol.covariance import to_view
from edge.patrol.dossier import Dossier
from edge.patrol.fusion import Columns
from edge.patrol.grid import Grid
from edge.patrol.incidents import Incidents
from edge.patrol.look import Look, look_at
from edge.patrol.rules import RuleBook, is_vague
from edge.records import Covariance2, IncidentState, SharedSource, Sighting

BEARINGS = 36
MOST_SUGGESTED = 3  # a status stays small, and a pilot flies one at a time
AHEAD_NS = 60_000_000_000  # it takes about a minute to fly there
LEAST_GAIN = 0.9  # of the radius: less than a tenth better is not worth the way
# What stays where it is however the camera turns; all else turns with the line of sight.
STAYING = (SharedSource.GNSS_NORTH, SharedSource.GNSS_EAST)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One more look that would help most."""

    incident_id: bytes
    from_deg: float  # where to look from: seen from the thing, from true north, in [0, 360)
    ce90_m: float  # that is expected then


def suggestions(incidents: Incidents, book: RuleBook, mono_ns: int) -> list[Suggestion]:
    """Return the best next looks at the vaguest places that are known too vaguely.

    Too vague is what its rule says, or an ellipse that is not within one cell of the grid.
    """
    vague = [
        (_ce90_m(one.incident.covariance), one)
        for one in incidents.dossiers()
        if one.state in {IncidentState.CONFIRMED, IncidentState.REPORTED} and _is_wanted(one, book)
    ]
    vague.sort(key=lambda pair: (-pair[0], pair[1].incident_id))
    found: list[Suggestion] = []
    for radius_m, dossier in vague:
        best = best_side(dossier, mono_ns + AHEAD_NS)
        if best.ce90_m < LEAST_GAIN * radius_m:
            found.append(best)
        if len(found) == MOST_SUGGESTED:
            break
    return found


def _is_wanted(dossier: Dossier, book: RuleBook) -> bool:
    incident = dossier.incident
    rule = book.named(dossier.told.rule) if dossier.told else book.first_match(incident)
    if rule is not None and is_vague(rule, incident):
        return True
    return not _is_in_one_cell(book.grid, incident.east_m, incident.north_m, incident.covariance)


def _is_in_one_cell(grid: Grid, east_m: float, north_m: float, covariance: Covariance2) -> bool:
    """Tell whether a 90 % ellipse lies in one cell; where there is no grid, it does."""
    if not grid.cell_at(east_m, north_m):
        return True
    ellipse = ellipse_from_covariance(covariance)
    azimuth = math.radians(ellipse.azimuth_deg)
    s, c = math.sin(azimuth), math.cos(azimuth)
    rim = [
        (ellipse.a_m * math.cos(turn), ellipse.b_m * math.sin(turn))
        for turn in (math.tau * step / BEARINGS for step in range(BEARINGS))
    ]
    return grid.is_in_one_cell([(east_m + a * s + b * c, north_m + a * c - b * s) for a, b in rim])


def best_side(dossier: Dossier, mono_ns: int) -> Suggestion:
    """Try one more look from all around, such as the best one was, and return the best side."""
    like = dossier.best
    turns = (math.tau * step / BEARINGS for step in range(BEARINGS))
    tried = [(_expected_ce90_m(dossier, turned(like, turn), mono_ns), turn) for turn in turns]
    radius_m, turn = min(tried)
    from_deg = (like.bearing_deg + math.degrees(turn) + 180.0) % 360.0
    return Suggestion(dossier.incident_id, from_deg, radius_m)


def _expected_ce90_m(dossier: Dossier, look: Look, mono_ns: int) -> float:
    return _ce90_m(dossier.covariance_with(look, mono_ns))


def _ce90_m(covariance: Covariance2) -> float:
    return ce90_m(ellipse_from_covariance(covariance))


def turned(sighting: Sighting, turn_rad: float) -> Look:
    """Return a look such as this one, from another side: all that turns with the view is turned.

    Args:
        sighting: The look that is known.
        turn_rad: Of the line of sight, clockwise.
    """
    s, c = math.sin(turn_rad), math.cos(turn_rad)
    east, north = sighting.shared_errors_m
    pairs = [
        (e, n) if source in STAYING else (c * e + s * n, c * n - s * e)
        for source, e, n in zip(SharedSource, east, north, strict=True)
    ]
    columns: Columns = tuple(e for e, _ in pairs), tuple(n for _, n in pairs)
    bearing = math.radians(sighting.bearing_deg)
    in_view = to_view(sighting.look_covariance, bearing)
    return look_at(
        replace(
            sighting,
            bearing_deg=math.degrees(bearing + turn_rad) % 360.0,
            look_covariance=to_view(in_view, bearing + turn_rad),
            shared_covariance=_outer(columns),
            shared_errors_m=columns,
        )
    )


def _outer(columns: Columns) -> Covariance2:
    east, north = columns
    return (_dot(east, east), _dot(east, north), _dot(north, north))


def _dot(a: Iterable[float], b: Sequence[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))
