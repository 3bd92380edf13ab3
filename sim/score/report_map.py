"""The map of one scored flight: what was there, what was told, and what of it was wrong."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

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
from edge.flightlog import FlightLog
from edge.records import Ellipse
from sim.score.matching import Match, Score, Truth, TruthThing

MAP_WIDTH_PX = 1150  # on the page
_QUALITY = 72

Points = Sequence[tuple[float, float]]


def draw_flight_map(name: str, log: FlightLog, truth: Truth, scored: Score) -> bytes:
    """Return the map as WebP.  Metres are those of the truth's own plane.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """

    def flat(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
        lat_lon = np.array(list(points), np.float64).reshape(-1, 2)
        return [(float(e), float(n)) for e, n in truth.plane_points(lat_lon[:, ::-1])]

    footprints = [flat(footprint) for footprint in log.footprints]
    missed = {thing.truth_id for thing in scored.missed}
    contents = MapContents(
        title=name,
        subtitle=_subtitle(scored),
        track=flat(log.track),
        footprints=footprints[:: max(1, len(footprints) // 30)],
        alerts=[_alert(match, truth) for match in scored.matches],
        truth=[
            MapOutline(thing.points(), MISSED if thing.truth_id in missed else FOUND)
            for thing in _shown(truth, is_violation=True)
        ],
        distractors=[
            MapOutline(thing.points(), DISTRACTOR) for thing in _shown(truth, is_violation=False)
        ],
        mosaic=mosaic_of([(image, flat(at)) for image, at in log.images], footprints),
    )
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "map.png"
        draw_map(contents, path)
        image = cv2.imread(str(path))
    assert image is not None  # it was written a line ago
    height = round(image.shape[0] * MAP_WIDTH_PX / image.shape[1])
    small = cv2.resize(image, (MAP_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
    _, data = cv2.imencode(".webp", small, [cv2.IMWRITE_WEBP_QUALITY, _QUALITY])
    return bytes(data.tobytes())


def _shown(truth: Truth, *, is_violation: bool) -> list[TruthThing]:
    return [t for t in truth.things if t.is_violation == is_violation and t.is_shown]


def _subtitle(scored: Score) -> str:
    wrong = sum(match.truth is None for match in scored.matches)
    return (
        f"{scored.truth} violations shown, {len(scored.missed)} missed · {scored.alerts_new} "
        f"alerts, {wrong} false, {scored.duplicates} double"
    )


def _alert(match: Match, truth: Truth) -> MapAlert:
    alert = match.alert
    east_m, north_m = truth.plane(alert.lat_deg, alert.lon_deg)
    ellipse = Ellipse(alert.ellipse_a_m, alert.ellipse_b_m, alert.ellipse_azimuth_deg)
    text = f"false: {match.cause}" if match.truth is None else ""
    return MapAlert(
        alert.label, east_m, north_m, ellipse, text="double" if match.is_duplicate else text
    )
