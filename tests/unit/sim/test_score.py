"""The scorer: what counts as found, false, double, and how far off."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymap3d
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import box

from edge.errors import FlightError
from sim.score.matching import (
    ScoredAlert,
    Truth,
    TruthThing,
    distance_to_outline_m,
    read_truth,
    score,
)

ORIGIN = (31.5, 120.3)


def lat_lon(east_m: float, north_m: float) -> tuple[float, float]:
    lat, lon, _ = pymap3d.enu2geodetic(east_m, north_m, 0.0, *ORIGIN, 0.0)
    return float(lat), float(lon)


def square(east_m: float, north_m: float, side_m: float = 8.0) -> list[list[float]]:
    half = side_m / 2
    ring = [(-half, -half), (half, -half), (half, half), (-half, half), (-half, -half)]
    return [list(lat_lon(east_m + e, north_m + n))[::-1] for e, n in ring]


def thing(name: str, east_m: float, north_m: float, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [square(east_m, north_m)]},
        "properties": {"id": name, "kind": "violation", "seen_frames": 20, **properties},
    }


def alert(name: str, label: str, east_m: float, north_m: float) -> ScoredAlert:
    lat, lon = lat_lon(east_m, north_m)
    return ScoredAlert(name, label, lat, lon, 3.0, 2.0, 90.0)


@pytest.fixture
def truth(tmp_path: Path) -> Truth:
    features = [
        thing("shed", 0, 0, label="structure"),
        thing("shed-2", 60, 0, label="structure"),
        thing("smoke", 0, 60, label="smoke"),
        thing("edge", 120, 0, label="structure", seen_frames=1),
        thing("pool", 0, -60, kind="distractor", cause="pool"),
    ]
    path = tmp_path / "truth.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return read_truth(path)


def test_right_class_within_ten_metres_of_the_outline_is_right(truth: Truth) -> None:
    """An alert 10 m outside the outline counts, one 12 m outside does not."""
    near = score([alert("a", "structure", 13.5, 0)], truth)
    assert (near.recall, near.precision) == (1 / 3, 1.0)
    assert near.geotag_median_m == pytest.approx(13.5, abs=0.1)
    far = score([alert("a", "structure", 16.5, 0)], truth)
    assert (far.recall, far.precision) == (0.0, 0.0)


def test_the_wrong_class_in_the_right_place_is_a_false_alarm_and_a_miss(truth: Truth) -> None:
    """What it is matters as much as where it is; the cause names what the alert lay on."""
    result = score([alert("a", "smoke", 0, 0)], truth)
    assert result.precision == 0.0
    assert len(result.missed) == 3
    assert result.matches[0].cause == "structure"


def test_a_false_alarm_on_a_look_alike_names_it(truth: Truth) -> None:
    """False alarms are counted by cause."""
    assert score([alert("a", "discharge", 0, -60)], truth).matches[0].cause == "pool"
    assert score([alert("a", "discharge", 300, 300)], truth).matches[0].cause == "nothing"


def test_a_second_alert_on_one_thing_is_a_duplicate(truth: Truth) -> None:
    """One thing, one alert: the nearer is the match, the other is counted as double."""
    result = score([alert("b", "structure", 5, 0), alert("a", "structure", 1, 0)], truth)
    assert result.duplicates == 1
    assert result.precision == 0.5
    assert [m.is_duplicate for m in result.matches] == [True, False]


def test_what_was_barely_in_the_picture_is_neither_asked_for_nor_false(truth: Truth) -> None:
    """A violation seen in one frame does not lower recall, and an alert on it is right."""
    result = score([alert("a", "structure", 120, 0)], truth)
    assert result.truth == 3
    assert result.precision == 1.0
    assert result.recall == 0.0


def test_the_ellipse_is_turned_clockwise_from_north(truth: Truth) -> None:
    """With azimuth 90 the long axis (3 m) lies east: 2.5 m east is inside, 2.5 m north is not."""
    assert score([alert("a", "structure", 2.5, 0)], truth).ellipse_hit_rate == 1.0
    assert score([alert("a", "structure", 0, 2.5)], truth).ellipse_hit_rate == 0.0


def test_no_alerts_and_no_truth_have_no_rates(truth: Truth) -> None:
    """A rate of nothing is absent, not zero and not one."""
    assert score([], truth).precision is None
    assert score([], truth).recall == 0.0
    assert score([], Truth((), 0.0, 0.0)).recall is None


def test_a_truth_that_is_none_is_refused(tmp_path: Path) -> None:
    """A broken truth file is told by name."""
    path = tmp_path / "truth.geojson"
    path.write_text('{"features": [{}]}')
    with pytest.raises(FlightError, match=r"truth\.geojson"):
        read_truth(path)


def test_the_truth_says_where_a_thing_is(tmp_path: Path) -> None:
    """The geotag error is taken to the truth's own place, where it names one: smoke has a foot."""
    foot = list(lat_lon(3, 4))[::-1]
    features = [thing("smoke", 0, 0, label="smoke", centroid=foot)]
    path = tmp_path / "truth.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    result = score([alert("a", "smoke", 0, 0)], read_truth(path))
    assert result.geotag_median_m == pytest.approx(5.0, abs=0.05)


PLACES = st.integers(-40, 40)
THINGS = st.lists(
    st.tuples(st.sampled_from(["structure", "smoke", "pool"]), PLACES, PLACES, st.integers(0, 9)),
    max_size=7,
)
ALERTS = st.lists(st.tuples(st.sampled_from(["structure", "smoke"]), PLACES, PLACES), max_size=9)


def made_truth(things: list[tuple[str, int, int, int]]) -> Truth:
    outlines = [
        TruthThing(
            truth_id=f"t{n}",
            is_violation=label != "pool",
            label=label,
            outline=box(east - 4, north - 4, east + 4, north + 4),
            centre_east_m=float(east),
            centre_north_m=float(north),
            seen_frames=seen,
        )
        for n, (label, east, north, seen) in enumerate(things)
    ]
    return Truth(tuple(outlines), *ORIGIN)


@given(THINGS, ALERTS)
def test_every_truth_and_every_alert_is_counted_once(
    things: list[tuple[str, int, int, int]], alerts: list[tuple[str, int, int]]
) -> None:
    """Truths are found or missed; alerts are right, double or false; no thing is found twice."""
    truth = made_truth(things)
    told = [alert(f"a{n}", *place) for n, place in enumerate(alerts)]
    result = score(told, truth)
    right = [m for m in result.matches if m.truth is not None and not m.is_duplicate]
    false = [m for m in result.matches if m.truth is None]
    assert len(right) + result.duplicates + len(false) == len(told) == result.alerts_new
    ids = [m.truth.truth_id for m in right if m.truth is not None]
    assert len(ids) == len(set(ids))
    found = {m.truth.truth_id for m in right if m.truth is not None and m.truth.is_shown}
    assert len(found) + len(result.missed) == result.truth
    assert not found & {t.truth_id for t in result.missed}
    assert all((m.cause is None) == (m.truth is not None) for m in result.matches)


@given(THINGS, ALERTS)
def test_right_is_within_ten_metres_and_false_is_not(
    things: list[tuple[str, int, int, int]], alerts: list[tuple[str, int, int]]
) -> None:
    """A match lies within the distance and has the class; a false alarm has no such thing near."""
    truth = made_truth(things)
    result = score([alert(f"a{n}", *place) for n, place in enumerate(alerts)], truth)
    for match in result.matches:
        if match.truth is not None:
            assert match.truth.label == match.alert.label
            assert distance_to_outline_m(match.alert, match.truth, truth) <= 10.0
        else:
            same = [t for t in truth.things if t.is_violation and t.label == match.alert.label]
            assert all(distance_to_outline_m(match.alert, t, truth) > 10.0 for t in same)


@given(THINGS, ALERTS)
def test_what_an_alert_claims_of_itself_does_not_help_it(
    things: list[tuple[str, int, int, int]], alerts: list[tuple[str, int, int]]
) -> None:
    """A wider ellipse changes no match: it moves nothing but the ellipse's own rate."""
    truth = made_truth(things)
    told = [alert(f"a{n}", *place) for n, place in enumerate(alerts)]
    wide = [replace(a, ellipse_a_m=500.0, ellipse_b_m=500.0) for a in told]
    narrow, broad = score(told, truth), score(wide, truth)
    assert (narrow.recall, narrow.precision) == (broad.recall, broad.precision)
    assert narrow.missed == broad.missed
