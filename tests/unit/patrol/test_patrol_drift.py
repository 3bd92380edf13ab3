"""What is remembered of two looks, against what it would be worked out to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.patrol.drift import PAIRS_KEPT, Drifts, drift, turned
from tests.unit.patrol.worlds import FRAME_NS, incidents, sighting


@given(bearings_deg=st.lists(st.floats(0.0, 359.0), min_size=2, max_size=6))
def test_what_is_remembered_is_what_would_be_worked_out(bearings_deg: list[float]) -> None:
    """Asked twice or once, in any order, two looks have one turn and one drift."""
    looks = [sighting(0.0, 0.0, bearing_deg=bearing_deg) for bearing_deg in bearings_deg]
    drifts = Drifts()
    for _ in range(2):
        for last in looks:
            for now in looks:
                turn = turned(last, now)
                assert drifts.between(last, now) == (turn, drift(last, now, turn))


def test_no_more_pairs_are_kept_than_is_said() -> None:
    """However many pairs are asked for, memory holds a bounded number of them."""
    drifts, last = Drifts(), sighting(0.0, 0.0)
    for number in range(3 * PAIRS_KEPT):
        drifts.between(last, sighting(float(number), 0.0))
    assert 0 < len(drifts) <= PAIRS_KEPT


def test_a_frame_lets_go_of_the_sightings_of_the_one_before() -> None:
    """After a frame that shows nothing, no pair of looks is remembered by any incident."""
    known = incidents()
    for number in range(5):
        now_ns = number * FRAME_NS
        known.add([sighting(0.0, 0.0, mono_ns=now_ns)], now_ns)
    (dossier,) = known.dossiers()
    assert len(dossier.drifts) > 0
    known.add([], 5 * FRAME_NS)
    assert len(dossier.drifts) == 0
