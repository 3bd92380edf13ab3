"""One violation stays one incident: where the bias moves, where boxes split or crowd."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from worlds import FRAME_NS, SECOND_NS, incidents, sighting

from edge.config import AccuracyConfig, AssociationConfig
from edge.patrol.association import Fit, assign, fit
from edge.patrol.dossier import Dossier
from edge.patrol.look import look_at
from edge.patrol.memory import Memory
from edge.records import Sighting


@pytest.mark.parametrize("seed", range(6))
def test_a_thing_seen_again_from_another_side_is_followed_to_its_new_place(seed: int) -> None:
    """After a turn the place has moved with the bias, and further looks are expected there."""
    rng = np.random.default_rng(seed)
    found = incidents()
    for number in range(10):
        east_m, north_m = rng.normal(0.0, 0.25, 2)
        seen = sighting(east_m, north_m, look=0.3, bearing_deg=200.0, depression_deg=72.0)
        found.add([seen], number * FRAME_NS)
    for number in range(10):
        east_m, north_m = rng.normal((2.7, -1.6), 0.25)
        seen = sighting(east_m, north_m, look=0.3, bearing_deg=320.0, depression_deg=72.0)
        found.add([seen], 5 * SECOND_NS + number * FRAME_NS)
    (one,) = found
    assert one.looks == 20


def test_a_bias_that_shrinks_as_the_thing_is_seen_more_steeply_is_followed() -> None:
    """Straight ahead a tilt moves a place by metres, below hardly: both are looks at one thing."""
    found = incidents()
    flat = sighting(0.0, 4.5, shared=(4.0, 0.0, 25.0), look=0.3, depression_deg=35.0)
    steep = sighting(0.0, 1.5, shared=(4.0, 0.0, 5.0), look=0.3, depression_deg=70.0)
    for number in range(5):
        found.add([flat], number * FRAME_NS)
    for number in range(8):
        found.add([steep], 3 * SECOND_NS + number * FRAME_NS)
    (one,) = found
    assert one.looks == 13


def test_a_contest_elsewhere_costs_nobody_its_incident() -> None:
    """A vague pair that nobody contests is formed, whatever two other looks of the frame want."""
    vague, wanted = {b"vague": Fit(1.3, 2.9)}, {b"known": Fit(0.1, 0.5)}
    assert assign([vague]) == [b"vague"]
    assert assign([vague, wanted, {b"known": Fit(0.2, 0.9)}]) == [b"vague", b"known", None]


def test_a_false_box_does_not_push_a_thing_out_of_its_incident() -> None:
    """A pair that barely passes the gate is no gain that a good pair would be given up for."""
    known, hardly = b"known", b"hardly"
    good = {known: Fit(0.05, 0.3), hardly: Fit(0.5, 2.0)}
    false = {known: Fit(0.9, 2.8)}
    assert assign([good, false]) == [known, None]
    assert assign([false, good]) == [None, known]
    assert assign([{known: Fit(0.05, 0.3), hardly: Fit(0.1, 0.3)}, {known: Fit(0.1, 0.3)}]) == [
        hardly,
        known,
    ]


def _known(seen: Sighting, incident_id: bytes) -> Dossier:
    dossier = Dossier(
        incident_id, seen.detection.label, AssociationConfig(), Memory(AccuracyConfig())
    )
    for number in range(3):
        dossier.add(look_at(seen), number * FRAME_NS, number)
    return dossier


def test_a_large_thing_is_rather_the_one_of_its_size_than_a_scrap_within_it() -> None:
    """A box that the frame cuts may be of either, but a scrap does not take the whole's looks."""
    whole = _known(sighting(0.0, 0.0, size_m=(7.0, 20.0)), b"whole")
    scrap = _known(sighting(1.0, 7.0, size_m=(5.0, 3.0)), b"scrap")
    cut = look_at(sighting(0.5, 3.0, size_m=(7.0, 14.0), is_cut=True))
    of_whole, of_scrap = (
        fit(cut, one, 3 * FRAME_NS, AssociationConfig()) for one in (whole, scrap)
    )
    assert of_whole is not None
    assert of_scrap is not None
    assert of_whole.cost < of_scrap.cost


def test_two_halves_of_a_strip_are_one_thing() -> None:
    """A strip known whole that is found in two halves, overlapping by half, begins no second."""
    found = incidents()
    for number in range(6):
        found.add([sighting(0.0, 0.0, size_m=(6.0, 24.0), look=1.5)], number * FRAME_NS)
    for number in range(6, 14):
        halves = [
            sighting(0.0, 4.0, size_m=(6.0, 18.0), look=1.5, score=0.7),
            sighting(0.5, -3.5, size_m=(6.0, 17.0), look=1.5, score=0.6),
        ]
        found.add(halves, number * FRAME_NS)
    (one,) = found
    assert one.looks == 14
    assert found.health().absorbed == 8


def test_the_second_box_of_a_bad_look_begins_nothing() -> None:
    """What goes with a look that strayed is as bad as that look."""
    found = incidents()
    for number in range(5):
        found.add([sighting(0.0, 0.0, look=0.3)], number * FRAME_NS)
    twins = [sighting(2.3, 0.0, look=0.3, score=0.7), sighting(2.4, 0.1, look=0.3, score=0.4)]
    found.add(twins, 5 * FRAME_NS)
    assert len(found) == 1
    assert (found.health().strays, found.health().absorbed) == (1, 1)


def test_the_upper_part_of_a_column_begins_nothing() -> None:
    """Its place is metres behind the source, and the lower part has told of the column."""
    found = incidents()
    for number in range(6):
        upper = replace(sighting(9.0, 9.0), is_upper_part=True)
        found.add([sighting(0.0, 0.0), upper], number * FRAME_NS)
    (one,) = found
    assert one.looks == 6
    assert found.health().absorbed == 6
