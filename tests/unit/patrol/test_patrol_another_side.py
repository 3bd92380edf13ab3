"""From where one more look would help most."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from worlds import FRAME_NS, SECOND_NS, Errors, incidents, sighting

from edge.accuracy import ce90_m, ellipse_from_covariance
from edge.config import RuleConfig
from edge.patrol.another_side import (
    AHEAD_NS,
    LEAST_GAIN,
    MOST_SUGGESTED,
    Suggestion,
    suggestions,
)
from edge.patrol.grid import Grid
from edge.patrol.incidents import Incidents
from edge.patrol.rules import RuleBook
from edge.records import IncidentState, Sighting

RULE = RuleConfig(name="sheds", labels=("structure",), min_looks=1, max_ce90_m=3.0)


def _seen(errors: Errors, bearing_deg: float, east_m: float = 0.0) -> Sighting:
    return sighting(
        east_m,
        0.0,
        look=errors.noise_m,
        shared=errors.shared(bearing_deg),
        columns=errors.columns(bearing_deg),
        bearing_deg=bearing_deg,
    )


def _flown(errors: Errors, bearings: list[float], things: int = 1) -> Incidents:
    found = incidents(forget_tentative_s=1e6, gate_sigma=8)
    for leg, bearing_deg in enumerate(bearings):
        for number in range(4):
            at_ns = leg * 40 * SECOND_NS + number * FRAME_NS
            found.add([_seen(errors, bearing_deg, 60.0 * one) for one in range(things)], at_ns)
    for one in found.dossiers():
        found.decide(one.incident_id, IncidentState.CONFIRMED, None)
    return found


def _radius_m(found: Incidents) -> float:
    return max(ce90_m(ellipse_from_covariance(one.covariance)) for one in found)


@pytest.mark.parametrize("bearings", [[30.0], [30.0, 60.0], [200.0, 290.0]])
@pytest.mark.parametrize(
    "errors", [Errors(along_m=4.0), Errors(along_m=1.0, across_m=5.0), Errors(gnss_m=0.3)]
)
def test_the_side_offered_is_the_best_of_all(bearings: list[float], errors: Errors) -> None:
    """Flown for real from each side in turn, none ends with a circle that is much smaller.

    Where nothing is offered, no side would have made it a tenth better.
    """
    now_ns = len(bearings) * 40 * SECOND_NS
    strict = RULE.model_copy(update={"max_ce90_m": 0.1})
    offers = suggestions(_flown(errors, bearings), RuleBook((strict,)), now_ns)
    radii_m = {}
    for from_deg in range(0, 360, 10):
        found = _flown(errors, bearings)
        found.add([_seen(errors, (from_deg + 180.0) % 360.0)], now_ns + AHEAD_NS)
        radii_m[from_deg] = _radius_m(found)
    if not offers:
        assert min(radii_m.values()) > 0.97 * LEAST_GAIN * _radius_m(_flown(errors, bearings))
        return
    (offer,) = offers
    nearest = round(offer.from_deg / 10.0) * 10 % 360
    assert radii_m[nearest] <= 1.03 * min(radii_m.values())
    assert offer.ce90_m == pytest.approx(radii_m[nearest], rel=0.05)
    assert offer.ce90_m < _radius_m(_flown(errors, bearings))


def test_what_is_known_well_enough_needs_no_other_look() -> None:
    """Nothing is suggested about a small ellipse, nor of what nobody would be told of."""
    errors = Errors(gnss_m=0.3, along_m=0.4)
    assert suggestions(_flown(errors, [30.0]), RuleBook((RULE,)), SECOND_NS) == []
    vague = _flown(Errors(), [30.0])
    for one in vague.dossiers():
        vague.decide(one.incident_id, IncidentState.TENTATIVE, None)
    assert suggestions(vague, RuleBook((RULE,)), SECOND_NS) == []


def test_an_ellipse_across_a_border_of_the_grid_wants_another_look() -> None:
    """A place that may be in either of two cells goes to the wrong office half of the time."""
    errors, lax = Errors(), RULE.model_copy(update={"max_ce90_m": None})
    found = _flown(errors, [30.0])

    def offered(west_m: float) -> list[Suggestion]:
        cells = [("1", shapely.box(west_m - 500, -500, west_m, 500)),
                 ("2", shapely.box(west_m, -500, west_m + 500, 500))]  # fmt: skip
        return suggestions(found, RuleBook((lax,), grid=Grid(cells)), SECOND_NS)

    assert len(offered(1.0)) == 1
    assert offered(60.0) == []
    assert suggestions(found, RuleBook((lax,)), SECOND_NS) == []  # no grid, no border


def test_few_are_suggested_the_vaguest_first() -> None:
    """However many places are vague, a status names the worst of them only."""
    found = _flown(Errors(along_m=4.0), [30.0], things=6)
    offers = suggestions(found, RuleBook((RULE,)), SECOND_NS)
    assert len(offers) == MOST_SUGGESTED
    assert len({one.incident_id for one in offers}) == MOST_SUGGESTED
    assert np.isfinite([one.from_deg for one in offers]).all()
