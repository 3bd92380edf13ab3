"""When the centre is told, and what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import FRAME_NS, SECOND_NS, incidents, sighting

from edge.config import RuleConfig
from edge.errors import ConfigError
from edge.patrol.grid import Grid
from edge.patrol.incidents import Incidents
from edge.patrol.rules import RuleBook, Rules
from edge.patrol.zones import Zones
from edge.records import AlertKind, Detection, IncidentState, Verdict

ZONES = Zones({"port": shapely.box(-50, -50, 50, 50), "depot": shapely.box(-5, -5, 5, 5)})
GRID = Grid([("320211001001001", shapely.box(-100, -100, 100, 100))])


def rule(**values: Any) -> RuleConfig:
    return RuleConfig.model_validate({"name": "sheds", "labels": ("structure",), **values})


def book(*rules: RuleConfig, codes: Mapping[str, str] | None = None) -> RuleBook:
    return RuleBook(rules, ZONES, GRID, codes if codes is not None else {"structure": "0101"})


class Flight:
    """Flies frames past the rules and keeps what the centre hears."""

    def __init__(self, *rules: RuleConfig) -> None:
        self.found: Incidents = incidents()
        self.rules = Rules(book(*rules))
        self.now_ns = 0
        self.heard: list[Verdict] = []

    def see(self, *seen: Any, times: int = 1) -> list[Verdict]:
        heard: list[Verdict] = []
        for _ in range(times):
            self.now_ns += FRAME_NS
            self.found.add(list(seen), self.now_ns)
            heard += self.rules.due(self.found, self.now_ns)
        self.heard += heard
        return heard

    def wait(self, seconds: float) -> list[Verdict]:
        heard: list[Verdict] = []
        for _ in range(int(seconds)):
            self.now_ns += SECOND_NS
            self.found.add([], self.now_ns)
            heard += self.rules.due(self.found, self.now_ns)
        self.heard += heard
        return heard


def test_one_hot_frame_cannot_alert() -> None:
    """The median of the looks decides, so one high score among low ones says nothing."""
    flight = Flight(rule(min_looks=1, threshold=0.5))
    for number in range(12):
        flight.see(sighting(0, 0, score=0.99 if number == 4 else 0.35))
    assert flight.heard == []


def test_a_violation_is_told_once() -> None:
    """A shed seen in a hundred frames is one `new`, complete."""
    flight = Flight(rule(min_looks=4, severity=2, department="urban"))
    flight.see(sighting(1, 2), times=100)
    (new,) = flight.heard
    assert (new.kind, new.revision, new.incident.revision) == (AlertKind.NEW, 1, 1)
    assert new.incident.looks == 4
    assert new.incident.state is IncidentState.REPORTED
    assert (new.severity, new.department, new.event_code) == (2, "urban", "0101")
    assert new.grid_cell == "320211001001001"


@settings(max_examples=40, deadline=None)
@given(scores=st.lists(st.floats(0.1, 1.0), min_size=1, max_size=20), looks=st.integers(1, 6))
def test_no_alert_without_looks_and_median(scores: list[float], looks: int) -> None:
    """Whatever the scores, what is told has enough looks and a median at the threshold."""
    flight = Flight(rule(min_looks=looks, threshold=0.6, cooldown_s=0))
    for score in scores:
        flight.see(sighting(0, 0, score=score))
    for verdict in flight.heard:
        assert verdict.incident.looks >= looks
        assert verdict.kind is not AlertKind.NEW or verdict.incident.median_score >= 0.6
    assert sum(verdict.kind is AlertKind.NEW for verdict in flight.heard) <= 1


@pytest.mark.parametrize(
    ("values", "east_m", "size_m", "is_told"),
    [
        ({"min_size_m": 4.0}, 0, 3.0, False),
        ({"min_size_m": 3.0}, 0, 3.0, True),
        ({"max_size_m": 2.0}, 0, 3.0, False),
        ({"labels": ("smoke",)}, 0, 3.0, False),
        ({"inside": ("port",)}, 0, 3.0, True),
        ({"inside": ("port",)}, 60, 3.0, False),
        ({"inside": ("depot", "port")}, 20, 3.0, True),
        ({"outside": ("depot",)}, 0, 3.0, False),
        ({"outside": ("depot",)}, 20, 3.0, True),
        ({"near": "depot", "near_m": 10.0}, 14, 3.0, True),
        ({"near": "depot", "near_m": 10.0}, 16, 3.0, False),
        ({"near": "depot", "near_m": 10.0}, 0, 3.0, True),
    ],
)
def test_a_rule_means_what_it_says(
    values: dict[str, Any], east_m: float, size_m: float, is_told: bool
) -> None:
    """Each condition of a rule lets pass what it names and nothing else."""
    flight = Flight(rule(**values))
    flight.see(sighting(east_m, 0, size_m=size_m), times=6)
    assert bool(flight.heard) is is_told


def test_the_first_rule_in_the_file_wins_and_is_kept() -> None:
    """Two rules that both match make one alert, by the first; it stays the incident's rule."""
    flight = Flight(rule(name="first", severity=1), rule(name="second", severity=4))
    flight.see(sighting(0, 0), times=6)
    assert [verdict.rule for verdict in flight.heard] == ["first"]
    flight.rules.reload(book(rule(name="second", severity=4), rule(name="first", severity=1)))
    flight.wait(40)
    assert [verdict.rule for verdict in flight.heard] == ["first"]


def test_an_update_waits_for_the_cooldown() -> None:
    """What changes within the cooldown is told when it is over, once, though no look comes."""
    flight = Flight(rule(cooldown_s=30))
    flight.see(sighting(0, 0), times=4)
    assert flight.see(sighting(0, 0, box_px=200.0), times=8) == []
    assert flight.wait(20) == []
    (update,) = flight.wait(30)
    assert (update.kind, update.revision) == (AlertKind.UPDATE, 2)
    assert flight.wait(100) == []


@pytest.mark.parametrize(
    ("change", "is_told"),
    [
        ({}, False),
        ({"size_m": 3.5}, False),
        ({"size_m": 6.0}, True),
        ({"score": 0.9}, False),
        ({"score": 0.3}, True),
        ({"box_px": 70.0}, False),
        ({"box_px": 240.0}, True),
        ({"look": 0.05, "shared": 0.1}, True),
    ],
)
def test_an_update_needs_a_change_that_matters(change: dict[str, Any], is_told: bool) -> None:
    """Size, score, ellipse and picture each make an update when they change enough."""
    flight = Flight(rule(cooldown_s=0))
    flight.see(sighting(0, 0), times=4)
    flight.heard.clear()
    flight.wait(25)  # another pass
    flight.see(sighting(0, 0, **change), times=12)
    assert bool(flight.heard) is is_told
    assert {verdict.kind for verdict in flight.heard} <= {AlertKind.UPDATE}


def test_a_place_that_moved_is_an_update() -> None:
    """A much better pass that puts the thing elsewhere is told."""
    flight = Flight(rule(cooldown_s=0))
    flight.see(sighting(0, 0, shared=6.0), times=4)
    flight.wait(25)
    heard = flight.see(sighting(8, 0, shared=0.5), times=2)
    assert heard[0].kind is AlertKind.UPDATE
    assert heard[0].incident.east_m > 6.0


def test_unseen_for_long_enough_is_an_end() -> None:
    """`end` comes once, after end_after_s, and only for what was told."""
    flight = Flight(rule(end_after_s=50.0))
    flight.see(sighting(0, 0), sighting(60, 0, score=0.35), times=5)
    assert flight.wait(48) == []
    (end,) = flight.wait(10)
    assert (end.kind, end.revision) == (AlertKind.END, 2)
    assert end.incident.state is IncidentState.GONE
    assert flight.wait(100) == []
    assert flight.rules.finish(flight.found, flight.now_ns) == []


def test_without_end_after_only_the_flights_end_ends() -> None:
    """A missing detection does not close a case; finish() says that the flight is over."""
    flight = Flight(rule())
    flight.see(sighting(0, 0), times=5)
    assert flight.wait(1000) == []
    (end,) = flight.rules.finish(flight.found, flight.now_ns)
    assert end.kind is AlertKind.END
    assert flight.rules.finish(flight.found, flight.now_ns) == []


def test_seen_again_after_its_end_is_the_same_incident() -> None:
    """What comes back is an update of what was told, never a second `new`."""
    flight = Flight(rule(end_after_s=30.0, min_looks=3))
    (new,) = flight.see(sighting(0, 0), times=3)
    (end,) = flight.wait(40)
    assert flight.see(sighting(0, 0), times=2) == []
    flight.see(sighting(0, 0), times=1)
    assert [verdict.kind for verdict in flight.heard] == [
        AlertKind.NEW,
        AlertKind.END,
    ], "the cooldown after an end holds as well"
    flight.see(sighting(0, 0), times=200)
    again = flight.heard[2]
    assert again.kind is AlertKind.UPDATE
    assert again.incident.incident_id == new.incident.incident_id == end.incident.incident_id
    assert again.incident.state is IncidentState.REPORTED


def test_what_the_mailbox_refuses_is_due_again() -> None:
    """A verdict that was not stored comes back later, with the same revision."""
    flight = Flight(rule())
    (new,) = flight.see(sighting(0, 0), times=4)
    flight.rules.refused(new, flight.found, flight.now_ns)
    assert flight.found.get(new.incident.incident_id).state is IncidentState.CONFIRMED  # type: ignore[union-attr]
    assert flight.see(sighting(0, 0), times=3) == []
    (retry,) = flight.wait(8)
    assert (retry.kind, retry.revision) == (AlertKind.NEW, 1)


def test_a_refused_end_is_due_again() -> None:
    """An `end` that was not stored leaves the incident followed."""
    flight = Flight(rule())
    flight.see(sighting(0, 0), times=4)
    (end,) = flight.rules.finish(flight.found, flight.now_ns)
    flight.rules.refused(end, flight.found, flight.now_ns)
    (again,) = flight.rules.finish(flight.found, flight.now_ns + SECOND_NS)
    assert again.revision == end.revision


def test_at_the_end_nothing_waits() -> None:
    """A `new` that the mailbox refused a moment before the flight's end is due at the end."""
    flight = Flight(rule())
    (new,) = flight.see(sighting(0, 0), times=4)
    flight.rules.refused(new, flight.found, flight.now_ns)
    verdicts = flight.rules.finish(flight.found, flight.now_ns + FRAME_NS)
    assert [verdict.kind for verdict in verdicts] == [AlertKind.NEW, AlertKind.END]


def test_an_end_falls_with_its_new() -> None:
    """Where the last `new` is refused, its `end` is not told: the next flight begins with `new`."""
    flight = Flight(rule())
    (first,) = flight.see(sighting(0, 0), times=4)
    flight.rules.refused(first, flight.found, flight.now_ns)
    new, end = flight.rules.finish(flight.found, flight.now_ns + SECOND_NS)
    assert flight.rules.stands(new)
    assert flight.rules.stands(end)
    flight.rules.refused(new, flight.found, flight.now_ns + SECOND_NS)
    assert not flight.rules.stands(end)
    known = flight.found.get(new.incident.incident_id)
    assert known is not None
    assert (known.state, known.revision) == (IncidentState.CONFIRMED, 0)


def test_reloading_rules_takes_effect_on_what_is_known() -> None:
    """A lower threshold tells at once of what was seen before; a new severity is an update."""
    flight = Flight(rule(threshold=0.9, cooldown_s=0))
    flight.see(sighting(0, 0), times=10)
    assert flight.heard == []
    flight.rules.reload(book(rule(threshold=0.5, cooldown_s=0)))
    (new,) = flight.wait(1)
    assert new.kind is AlertKind.NEW
    flight.rules.reload(book(rule(threshold=0.5, cooldown_s=0, severity=1)))
    (update,) = flight.wait(1)
    assert (update.kind, update.severity) == (AlertKind.UPDATE, 1)


def test_a_rule_that_is_gone_leaves_its_incident_in_peace() -> None:
    """Without its rule an incident is silent until the flight's end, which keeps its words."""
    flight = Flight(rule(department="urban"))
    flight.see(sighting(0, 0), times=4)
    flight.rules.reload(book(rule(name="smoke", labels=("smoke",))))
    assert flight.see(sighting(0, 0, score=0.1, box_px=300.0), times=200) == []
    (end,) = flight.rules.finish(flight.found, flight.now_ns)
    assert (end.rule, end.department, end.event_code) == ("sheds", "urban", "0101")


def test_a_rulebook_with_an_unknown_zone_is_refused() -> None:
    """Rules are swapped as a whole or not at all: a bad book cannot be made."""
    with pytest.raises(ConfigError, match="names zone 'harbour'; there are: depot, port"):
        book(rule(inside=("harbour",)))


def test_only_what_a_rule_wants_is_admitted() -> None:
    """A detection needs the lowest min_score of the rules that name its label."""
    rules = Rules(book(rule(min_score=0.4), rule(name="b", min_score=0.25), rule(name="c")))
    assert rules.min_scores() == {"structure": 0.25}
    assert rules.admits(Detection("structure", 0.25, (0, 0, 1, 1)))
    assert rules.admits(sighting(0, 0, score=0.3))
    assert not rules.admits(Detection("structure", 0.24, (0, 0, 1, 1)))
    assert not rules.admits(Detection("car", 1.0, (0, 0, 1, 1)))


def test_the_rules_own_event_code_wins() -> None:
    """The city's mapping is for rules that name no code; a label without one has none."""
    flight = Flight(rule(event_code="9901"), rule(name="s", labels=("smoke",)))
    flight.see(sighting(0, 0), sighting(30, 0, label="smoke"), times=4)
    assert {one.incident.label: one.event_code for one in flight.heard} == {
        "structure": "9901",
        "smoke": "",
    }


VAGUE = {"min_looks": 3, "max_ce90_m": 3.0}


def _vague(**values: Any) -> Any:
    """A look whose bias of 3 m makes a circle of about 6 m."""
    return sighting(0, 0, shared=3.0, **values)


@pytest.mark.parametrize(("policy", "coarse"), [("send", False), ("coarse", True)])
def test_a_vague_place_is_sent_as_its_rule_says(policy: str, coarse: bool) -> None:
    """It goes at once, flagged or not, and so does its `end`."""
    flight = Flight(rule(if_vague=policy, **VAGUE))
    (new,) = flight.see(_vague(), times=4)
    (end,) = flight.rules.finish(flight.found, flight.now_ns)
    assert [(one.kind, one.is_coarse) for one in (new, end)] == [
        (AlertKind.NEW, coarse),
        (AlertKind.END, coarse),
    ]


def test_a_place_that_is_known_well_enough_is_not_coarse() -> None:
    """The policy is about vague places alone."""
    for policy in ("send", "coarse", "hold"):
        flight = Flight(rule(if_vague=policy, **VAGUE))
        (new,) = flight.see(sighting(0, 0, shared=0.5, look=0.2), times=4)
        assert not new.is_coarse


def test_a_held_place_is_sent_when_other_looks_have_made_it_better() -> None:
    """Holding ends with the ellipse that the rule asks for, however long that takes."""
    flight = Flight(rule(if_vague="hold", **VAGUE))
    assert flight.see(_vague(), times=10) == []
    assert flight.wait(300) == []  # not forgotten, as a tentative one would be
    (one,) = flight.found
    assert one.state is IncidentState.CONFIRMED
    (new,) = flight.see(sighting(0, 0, shared=0.5, look=0.2), times=4)
    assert (new.kind, new.is_coarse) == (AlertKind.NEW, False)


def test_what_is_still_held_at_the_flight_s_end_is_sent_coarse() -> None:
    """A violation is rather told vaguely than not at all."""
    flight = Flight(rule(if_vague="hold", **VAGUE))
    flight.see(_vague(), times=10)
    flight.wait(120)
    told = flight.rules.finish(flight.found, flight.now_ns)
    assert [(one.kind, one.is_coarse) for one in told] == [
        (AlertKind.NEW, True),
        (AlertKind.END, True),
    ]


def test_a_coarse_place_that_has_become_fine_is_told() -> None:
    """Who was told that a place is coarse hears when it no longer is, by even a little."""
    flight = Flight(rule(if_vague="coarse", cooldown_s=1.0, min_looks=3, max_ce90_m=3.4))
    flight.see(sighting(0, 0, shared=1.58, look=0.2), times=4)
    flight.wait(30)
    told = flight.see(sighting(0, 0, shared=1.58, look=0.2), times=6) + flight.wait(2)
    assert [(one.kind, one.is_coarse) for one in told] == [(AlertKind.UPDATE, False)]
