"""A restarted flight knows what the last one told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_patrol_rules import Flight, rule
from worlds import FRAME_NS, SECOND_NS, incidents, sighting

from edge.patrol import snapshot
from edge.patrol.incidents import Incidents
from edge.patrol.rules import RuleBook, Rules
from edge.patrol.snapshot import UNKNOWN_TIME, NotRestored, Restored
from edge.records import AlertKind, IncidentState, TimeQuality, UtcNs, UtcTime

DAY_NS = 86_400 * SECOND_NS
BOOT_NS = 7 * SECOND_NS  # the next flight's clock begins anew


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Flight]:
    flight = Flight(rule())
    flight.see(sighting(3, 4), sighting(40, 0, score=0.35), times=8)
    path = tmp_path / "incidents.json"
    snapshot.save(path, flight.found, flight.now_ns, plane="here")
    return path, flight


def restored(path: Path, found: Incidents, utc: UtcTime = UNKNOWN_TIME) -> Restored:
    loaded = snapshot.load(path, found, BOOT_NS, utc=utc, plane="here")
    assert isinstance(loaded, Restored)
    return loaded


def gnss(utc_ns: int, quality: TimeQuality = TimeQuality.GNSS) -> UtcTime:
    return UtcTime(UtcNs(utc_ns), quality)


def test_what_is_restored_is_what_was_saved(saved: tuple[Path, Flight]) -> None:
    """All but times and the order of passes survives; tentative incidents do not."""
    path, flight = saved
    found = incidents()
    assert restored(path, found).n == 1
    (before,) = (one for one in flight.found if one.state is not IncidentState.TENTATIVE)
    (after,) = found
    assert after.incident_id == before.incident_id
    assert after.covariance == pytest.approx(before.covariance)
    assert (after.east_m, after.north_m) == pytest.approx((before.east_m, before.north_m))
    assert (after.looks, after.median_score) == (before.looks, before.median_score)
    assert (after.width_m, after.state, after.revision) == (3.0, IncidentState.REPORTED, 1)
    assert BOOT_NS - after.last_mono_ns == flight.now_ns - before.last_mono_ns


def test_a_restart_raises_nothing_as_new(saved: tuple[Path, Flight]) -> None:
    """The shed of the last flight, seen again under another bias, is no second `new`."""
    path, _ = saved
    found = incidents()
    snapshot.load(path, found, BOOT_NS, plane="here")
    rules = Rules(RuleBook((rule(),)))
    heard = []
    for number in range(300):
        now_ns = BOOT_NS + (30 * SECOND_NS) + number * FRAME_NS
        found.add([sighting(6, 4)], now_ns)
        heard += rules.due(found, now_ns)
    assert len(found) == 1
    assert {verdict.kind for verdict in heard} <= {AlertKind.UPDATE}


def test_no_revision_is_used_twice_however_a_flight_ended(saved: tuple[Path, Flight]) -> None:
    """What was told after the last snapshot, and what a restart tells, have revisions apart."""
    path, flight = saved
    bigger_picture = sighting(3, 4, box_px=300.0)
    flight.see(bigger_picture, times=8)
    (lost,) = flight.wait(60)  # told, and never saved
    restarted = Flight(rule())
    snapshot.load(path, restarted.found, restarted.now_ns, plane="here")
    restarted.see(bigger_picture, times=8)
    (told,) = restarted.wait(60)
    assert (lost.revision, told.revision) == (2, 3)


def test_time_away_counts_where_utc_is_known(saved: tuple[Path, Flight]) -> None:
    """Ages grow by the time between the flights."""
    path, flight = saved
    snapshot.save(path, flight.found, flight.now_ns, utc_ns=DAY_NS, plane="here")
    found = incidents()
    restored(path, found, gnss(3 * DAY_NS))
    (after,) = found
    assert BOOT_NS - after.last_mono_ns == 2 * DAY_NS


def test_time_away_counts_as_soon_as_utc_is_known_and_better_known(
    saved: tuple[Path, Flight],
) -> None:
    """Learnt later, the instants are those that they would be had it been known at once."""
    path, flight = saved
    snapshot.save(path, flight.found, flight.now_ns, utc_ns=DAY_NS, plane="here")
    at_once, later = incidents(), incidents()
    restored(path, at_once, gnss(3 * DAY_NS))
    earlier = restored(path, later)
    assert not any(earlier.knows_time_of(one) for one in later)
    for utc in (
        gnss(2 * DAY_NS, TimeQuality.OS_CLOCK),  # a clock that stood still for a day
        UNKNOWN_TIME,
        gnss(3 * DAY_NS),
        gnss(9 * DAY_NS),  # no better known than before: not taken
    ):
        earlier.settle(later, utc)
        assert all(earlier.knows_time_of(one) for one in later)
    assert list(later) == list(at_once)
    (told,), (told_later,) = ([one.told for one in all_.dossiers()] for all_ in (at_once, later))
    assert told == told_later


def test_what_this_flight_has_seen_keeps_its_time(saved: tuple[Path, Flight]) -> None:
    """Only the first look was the earlier flight's; the best and the last are of today."""
    path, flight = saved
    snapshot.save(path, flight.found, flight.now_ns, utc_ns=DAY_NS, plane="here")
    found = incidents()
    earlier = restored(path, found)
    now_ns = BOOT_NS + 30 * SECOND_NS
    found.add([sighting(3, 4)], now_ns)
    (before,) = found
    assert earlier.knows_time_of(before)
    earlier.settle(found, gnss(3 * DAY_NS))
    (after,) = found
    assert (after.best, after.last_mono_ns) == (before.best, now_ns)
    assert before.first_mono_ns - after.first_mono_ns == 2 * DAY_NS


def test_saving_again_what_was_restored_loses_nothing(saved: tuple[Path, Flight]) -> None:
    """A snapshot of a restored snapshot is the same, so short flights do not erode it."""
    path, _ = saved
    found = incidents()
    snapshot.load(path, found, BOOT_NS, plane="here")
    first = json.loads(path.read_text())
    snapshot.save(path, found, BOOT_NS, plane="here")
    assert json.loads(path.read_text()) == first
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda text: text[: len(text) // 2], NotRestored.DAMAGED),
        (lambda text: "", NotRestored.DAMAGED),
        (lambda text: text.replace('"version":2', '"version":99'), NotRestored.OTHER_VERSION),
        (lambda text: text.replace('"plane":"here"', '"plane":"there"'), NotRestored.OTHER_PLANE),
        (lambda text: text.replace('"looks":8', '"looks":0'), NotRestored.DAMAGED),
        (lambda text: text.replace('"covariance":[', '"covariance":["x",'), NotRestored.DAMAGED),
        (lambda text: text.replace('"shared_m":[[', '"shared_m":[[0.0,'), NotRestored.DAMAGED),
    ],
)
def test_a_damaged_snapshot_is_moved_aside(
    saved: tuple[Path, Flight], spoil: object, reason: NotRestored
) -> None:
    """It is kept for people to look at, and the flight begins with no incidents."""
    path, _ = saved
    text = path.read_text()
    path.write_text(spoil(text))  # type: ignore[operator]
    assert path.read_text() != text
    found = incidents()
    assert snapshot.load(path, found, BOOT_NS, plane="here") is reason
    assert len(found) == 0
    assert not path.exists()
    assert path.with_name("incidents.json.damaged").exists()


def test_a_state_folder_that_is_not_there_is_made(tmp_path: Path) -> None:
    """An origin in the config writes no file, so nobody else may have made the folder."""
    path = tmp_path / "state" / "incidents.json"
    snapshot.save(path, incidents(), 0, plane="here")
    assert restored(path, incidents()).n == 0


def test_no_snapshot_is_a_first_flight(tmp_path: Path) -> None:
    """A missing file is not a fault."""
    assert snapshot.load(tmp_path / "none.json", incidents(), 0) is NotRestored.NO_FILE
