"""Sightings join incidents on the ground."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import FRAME_NS, SECOND_NS, Errors, PassBias, incidents, sighting

from edge.patrol.incidents import Incidents
from edge.records import IncidentState, Sighting


def _summary(found: Incidents) -> list[tuple[float, ...]]:
    return sorted(
        (one.east_m, one.north_m, float(one.looks), one.median_score, *one.covariance)
        for one in found
    )


places = st.lists(
    st.tuples(st.floats(-60, 60), st.floats(-60, 60), st.floats(0.1, 1.0)), min_size=1, max_size=7
)


@settings(max_examples=40, deadline=None)
@given(frames=st.lists(places, min_size=1, max_size=4), seed=st.randoms(use_true_random=False))
def test_the_order_of_a_frames_sightings_does_not_matter(
    frames: list[list[tuple[float, float, float]]], seed: object
) -> None:
    """Any permutation of a frame gives the same incidents, up to their ids."""
    straight, shuffled = incidents(), incidents()
    for number, frame in enumerate(frames):
        seen = [sighting(east, north, score=score) for east, north, score in frame]
        straight.add(seen, number * FRAME_NS)
        mixed = list(seen)
        seed.shuffle(mixed)  # type: ignore[attr-defined]
        shuffled.add(mixed, number * FRAME_NS)
    for a, b in zip(_summary(straight), _summary(shuffled), strict=True):
        assert a == pytest.approx(b, rel=1e-9, abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(n=st.integers(1, 9), looks=st.integers(1, 12), seed=st.integers(0, 10_000))
def test_things_far_apart_are_as_many_incidents(n: int, looks: int, seed: int) -> None:
    """Well separated things seen often, with noise and a common bias, are as many incidents."""
    rng = np.random.default_rng(seed)
    bias = PassBias(Errors(), rng)
    found = incidents()
    for number in range(looks):
        frame = [bias.look_at(40.0 * (i % 3), 40.0 * (i // 3)) for i in range(n)]
        found.add(frame, number * FRAME_NS)
    assert len(found) == n
    assert sum(one.looks for one in found) == n * looks - found.health().strays


@pytest.mark.parametrize("seed", range(8))
def test_two_sheds_six_metres_apart_stay_two(seed: int) -> None:
    """A bias of 3 m is common to both sheds and so does not blur them into one."""
    rng = np.random.default_rng(seed)
    bias = PassBias(Errors(gnss_m=3.0, along_m=0.0), rng)
    found = incidents()
    for number in range(60):
        pair = [bias.look_at(0, 0), bias.look_at(6, 0)]
        if number % 3 == 1:  # one of them is missed now and then
            pair = pair[: 1 + number % 2]
        found.add(pair, number * FRAME_NS)
    assert len(found) == 2
    a, b = found
    assert math.hypot(a.east_m - b.east_m, a.north_m - b.north_m) == pytest.approx(6.0, abs=0.6)


def test_one_shed_in_two_hundred_frames_is_one() -> None:
    """The same shed seen in 200 frames, flown over, is one incident."""
    bias = PassBias(Errors(across_m=1.5), np.random.default_rng(3))
    found = incidents()
    for number in range(200):
        found.add([bias.look_at(5, 5, bearing_deg=0.9 * number)], number * FRAME_NS)
    (one,) = found
    assert one.looks == 200


@pytest.mark.parametrize("seed", range(12))
def test_the_same_thing_on_two_passes_is_one(seed: int) -> None:
    """Another pass has another bias; the whole error then makes the gate."""
    rng = np.random.default_rng(seed)
    found = incidents()
    for flown in range(2):
        bias = PassBias(Errors(), rng)
        for number in range(20):
            at_ns = flown * 120 * SECOND_NS + number * FRAME_NS
            found.add([bias.look_at(0, 0, bearing_deg=180.0 * flown)], at_ns)
            for one in found.dossiers():  # as the rules would: only tentative ones are forgotten
                one.change(IncidentState.CONFIRMED, 0, None)
    assert len(found) == 1


def test_two_sheds_on_two_passes_stay_two() -> None:
    """A common shift of all things between passes does not mix neighbours seen together."""
    rng = np.random.default_rng(1)
    found = incidents(forget_tentative_s=1000)
    for flown in range(4):
        bias = PassBias(Errors(gnss_m=1.5, along_m=0.0), rng)
        for number in range(10):
            pair = [bias.look_at(0, 0), bias.look_at(6, 0)]
            found.add(pair, flown * 100 * SECOND_NS + number * FRAME_NS)
    a, b = sorted(found, key=lambda one: one.east_m)
    assert b.east_m - a.east_m == pytest.approx(6.0, abs=1.0)


def test_classes_do_not_mix() -> None:
    """A pile and a shed at one place are two incidents."""
    found = incidents()
    for number in range(5):
        frame = [sighting(0, 0), sighting(0, 0, label="waste_pile")]
        found.add(frame, number * FRAME_NS)
    assert {one.label for one in found} == {"structure", "waste_pile"}
    assert len(found) == 2


def test_a_second_box_of_one_thing_is_absorbed() -> None:
    """Duplicates that survived NMS and nested boxes make no twin, and are counted."""
    found = incidents()
    for number in range(10):
        whole = sighting(0, 0, size_m=20.0, score=0.9)
        shifted = sighting(6.0, 0, size_m=20.0, score=0.5)
        nested = sighting(-7.0, 7.0, size_m=4.0, score=0.4)
        found.add([nested, whole, shifted], number * FRAME_NS)
    assert len(found) == 1
    assert found.health().absorbed == 20


def test_a_part_seen_alone_is_of_the_whole() -> None:
    """A box within a large incident of the same pass is a part of it, though its middle is far."""
    found = incidents()
    found.add([sighting(0, 0, size_m=30.0)], 0)
    found.add([sighting(-11.0, 11.0, size_m=5.0)], FRAME_NS)
    (one,) = found
    assert one.width_m == 30.0
    assert one.last_mono_ns == FRAME_NS


def test_a_large_thing_entering_the_frame_is_one() -> None:
    """Its cut box grows and its middle wanders by many gates, yet it is one incident."""
    found = incidents()
    for number in range(20):
        length_m = min(2.0 + 2.0 * number, 30.0)
        seen = sighting(
            0, length_m / 2, size_m=(20.0, length_m), label="bare_soil", is_cut=length_m < 30.0
        )
        found.add([seen], number * FRAME_NS)
    (one,) = found
    assert one.depth_m == 30.0
    assert one.north_m == pytest.approx(15.0, abs=1.0)


def test_cut_boxes_only_widen() -> None:
    """The size of a thing never seen whole is the largest that was seen of it."""
    found = incidents()
    for number, length_m in enumerate((4.0, 9.0, 6.0)):
        found.add([sighting(0, 0, size_m=(5.0, length_m), is_cut=True)], number * FRAME_NS)
    (one,) = found
    assert (one.width_m, one.depth_m) == (5.0, 9.0)


def test_size_is_robust() -> None:
    """One look of a wrong size does not change the size of a thing seen often."""
    found = incidents()
    for number in range(9):
        found.add([sighting(0, 0, size_m=3.0 if number != 4 else 6.0)], number * FRAME_NS)
    (one,) = found
    assert one.width_m == 3.0


def test_one_outlier_hardly_moves_the_place() -> None:
    """A look at the edge of the gate moves the place by less than its plain share."""
    found = incidents()
    for number in range(10):
        found.add([sighting(0, 0, look=1.0)], number * FRAME_NS)
    found.add([sighting(3.0, 0, look=1.0)], 10 * FRAME_NS)
    (one,) = found
    assert one.looks == 11
    assert 0.0 < one.east_m < 3.0 / 11


def test_a_bad_look_begins_nothing_but_four_do() -> None:
    """A look just outside the gate is a stray; when they keep coming, they are another thing."""
    found = incidents()
    found.add([sighting(0, 0)], 0)
    for number in range(1, 4):
        found.add([sighting(2.5, 0)], number * FRAME_NS)
    (one,) = found
    assert (one.looks, one.east_m) == (1, 0.0)
    assert found.health().strays == 3
    found.add([sighting(2.5, 0)], 4 * FRAME_NS)
    assert len(found) == 2


def test_a_neighbour_beside_a_seen_thing_is_no_stray() -> None:
    """What its own frame shows beside an incident is another thing, however near."""
    found = incidents()
    found.add([sighting(0, 0, size_m=1.0)], 0)
    found.add([sighting(0, 0, size_m=1.0), sighting(2.5, 0, size_m=1.0)], FRAME_NS)
    assert len(found) == 2


def test_twins_that_converge_are_merged_into_the_elder() -> None:
    """Two incidents that prove to be at one place become one, which keeps the elder's id."""
    found = incidents()
    found.add([sighting(0, 0)], 0)
    found.add([sighting(3.4, 0)], FRAME_NS)  # a very bad look begins a twin
    assert len(found) == 2
    elder = min(found, key=lambda one: one.incident_id)
    for number in range(2, 60):
        east_m = 1.9 if number < 10 else 1.2 if number < 20 else 0.7
        found.add([sighting(east_m, 0)], number * FRAME_NS)
    (one,) = found
    assert one.incident_id == elder.incident_id
    assert one.looks == 60
    assert found.health().merged == 1


def test_tentatives_are_forgotten_and_others_are_not() -> None:
    """What no rule confirmed is forgotten after its time; a reported incident never is."""
    found = incidents(forget_tentative_s=10)
    found.add([sighting(0, 0), sighting(100, 0)], 0)
    kept = next(iter(found))
    found.decide(kept.incident_id, IncidentState.REPORTED, None)
    found.add([], 30 * SECOND_NS)
    assert [one.incident_id for one in found] == [kept.incident_id]
    assert found.health().forgotten == 1


def test_when_full_the_oldest_tentative_goes_and_is_counted() -> None:
    """The number of incidents is bounded, and each loss is counted."""
    found = incidents(max_incidents=10)
    for number in range(25):
        found.add([sighting(50.0 * number, 0)], number * FRAME_NS)
    assert len(found) == 10
    assert found.health().evicted == 15
    assert min(one.east_m for one in found) == pytest.approx(15 * 50.0)


def test_a_full_memory_does_not_blind_to_what_is_new() -> None:
    """Two new things in one frame oust what was seen long ago, not each other."""
    found = incidents(max_incidents=10)
    for number in range(10):
        found.add([sighting(50.0 * number, 0)], number * FRAME_NS)
    for known in tuple(found):
        found.decide(known.incident_id, IncidentState.REPORTED, None)
    new = [sighting(0, 500), sighting(0, 600)]
    for number in range(4):
        found.add(new, 60 * SECOND_NS + number * FRAME_NS)
    assert sorted(one.looks for one in found if one.north_m > 400) == [4, 4]
    assert len(found) == 10


def test_more_new_things_in_a_frame_than_there_is_room_for_do_no_harm() -> None:
    """What a frame's own looks oust is gone for good: it is neither found nor touched later."""
    found = incidents(max_incidents=10)
    for number in range(3):
        found.add([sighting(50.0 * i, 200.0 * number) for i in range(13)], number * FRAME_NS)
        assert all(one.incident_id for one in found.touched())
    assert len(found) == 10
    assert len(found.take_touched()) == 10


def test_numbers_that_make_no_place_are_refused_and_counted() -> None:
    """A sighting with NaN or a negative variance is dropped, and the others of its frame count."""
    found = incidents()
    frame: list[Sighting] = [
        sighting(math.nan, 0),
        sighting(0, 0, shared=(math.inf, 0.0, 1.0)),
        sighting(0, 0, look=(-1.0, 0.0, 1.0)),
        sighting(0, 0),
    ]
    found.add(frame, 0)
    assert len(found) == 1
    assert found.health().refused == 3


def test_a_second_camera_sees_the_same_thing() -> None:
    """Two cameras have two boresights; the whole error joins what they see."""
    found = incidents()
    for number in range(20):
        found.add([sighting(0, 0, camera_id="wide")], 2 * number * FRAME_NS)
        found.add([sighting(4, 0, camera_id="thermal")], (2 * number + 1) * FRAME_NS)
    assert len(found) == 1


def test_a_well_known_thing_keeps_its_look_from_one_that_was_hardly_seen() -> None:
    """Between two incidents a look goes to the likelier, not to the one with the larger error."""
    found = incidents()
    for number in range(20):
        found.add([sighting(0, 0, look=1.0)], number * FRAME_NS)
    known = next(iter(found)).incident_id
    stray = sighting(0, 9.0, look=4.0)
    found.add([sighting(0, 0, look=1.0), stray], 20 * FRAME_NS)
    assert len(found) == 2
    found.add([sighting(0, 2.6, look=1.2)], 21 * FRAME_NS)
    looks = {one.incident_id: one.looks for one in found}
    assert looks[known] == 22
