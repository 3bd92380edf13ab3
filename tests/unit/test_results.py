"""The summary and its gate: what falls short is named, what is absent is no success."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge.cli.results import Summary, percentile, shortfalls
from edge.records import Alert, AlertKind, Ellipse, TimeQuality, UtcTime
from sim.score.matching import newest_words

GOOD = Summary(
    flight="demo",
    truth=10,
    alerts_new=10,
    recall=1.0,
    precision=0.95,
    duplicates=0,
    geotag_median_m=1.4,
    geotag_p90_m=3.0,
    ellipse_hit_rate=0.9,
    frame_to_outbox_p99_s=0.05,
    frame_to_desk_p99_s=0.1,
    alert_bytes_median=150.0,
    alert_bytes_max=170,
    frames=400,
    inferences=400,
    detections=2000,
    frames_dropped=0,
    outbox_left=0,
    lost_events=0,
    inference_ms_median=20.0,
    no_pose={},
    no_geotag={},
    by_class={},
    missed=[],
    false_alarms={},
    wall_s=12.0,
    machine="test",
    incidents={},
    mounts={},
)


def alert(incident: int, revision: int) -> Alert:
    return Alert(
        kind=AlertKind.NEW if revision == 1 else AlertKind.UPDATE,
        incident_id=incident.to_bytes(16, "big"),
        revision=revision,
        label="structure",
        lat_deg=31.0,
        lon_deg=120.0,
        ground_amsl_m=3.0,
        ellipse=Ellipse(2.0, 1.0, 0.0),
        time=UtcTime(None, TimeQuality.NONE),
        score=0.8,
        threshold=0.5,
        looks=5,
        rule="sheds",
        severity=2,
    )


def test_a_flight_that_keeps_its_promises_has_no_shortfall() -> None:
    """The gate opens for what the README promises."""
    assert shortfalls(GOOD) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("recall", 0.89),
        ("precision", 0.5),
        ("duplicates", 1),
        ("geotag_median_m", 3.1),
        ("geotag_p90_m", 7.5),
        ("alert_bytes_max", 201),
        ("alert_bytes_median", 176.0),
        ("outbox_left", 1),
        ("lost_events", 1),
        ("recall", None),
        ("alert_bytes_max", None),
    ],
)
def test_each_broken_promise_is_named(name: str, value: float | None) -> None:
    """One figure over its limit, or absent, closes the gate and is the one that is named."""
    short = shortfalls(replace(GOOD, **{name: value}))
    assert len(short) == 1
    assert short[0].startswith(name)


def test_what_was_lost_to_errors_is_on_the_scoreboard() -> None:
    """A count that matters is not left to the JSON; one of zero takes no line."""
    lost = list(replace(GOOD, lost_events=3).table().columns[0].cells)
    assert set(lost) - set(GOOD.table().columns[0].cells) == {"frames and ticks lost to errors"}


def test_the_newest_word_on_each_incident_counts() -> None:
    """Whatever order alerts come in, the highest revision stands, once for each incident."""
    words = newest_words([alert(1, 2), alert(2, 1), alert(1, 1), alert(1, 3)])
    assert [(word.incident_id[-1], word.revision) for word in words] == [(1, 3), (2, 1)]


def test_a_percentile_of_nothing_is_absent() -> None:
    """No sample, no figure."""
    assert percentile([], 99) is None
    assert percentile([1.0, 2.0, 3.0], 50) == 2.0
