"""What several things say together tells neighbours apart on another pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import FRAME_NS, SECOND_NS, incidents, sighting

from edge.patrol.nearby import Nearby

PLACES = [(0.0, 0.0), (7.0, 0.0), (25.0, 11.0), (31.0, -14.0), (52.0, 3.0)]


@pytest.mark.parametrize("shift_m", [-5.0, -4.0, 4.0, 5.0])
def test_a_common_shift_does_not_mix_up_neighbours(shift_m: float) -> None:
    """A pass 5 m off brings a shed nearer to its neighbour's place than to its own."""
    found = incidents(forget_tentative_s=1e6)
    for number in range(5):
        found.add([sighting(east, north) for east, north in PLACES], number * FRAME_NS)
    before = {one.incident_id: one.east_m for one in found}
    for number in range(5):
        at_ns = 100 * SECOND_NS + number * FRAME_NS
        shown = PLACES if number else PLACES[1:] if shift_m < 0 else [PLACES[0], *PLACES[2:]]
        found.add([sighting(east + shift_m, north) for east, north in shown], at_ns)
    assert {one.incident_id for one in found} == set(before)
    for one in found:
        assert one.east_m == pytest.approx(before[one.incident_id] + shift_m / 2, abs=0.5)


def test_the_edge_of_a_known_thing_is_no_other_thing() -> None:
    """A slice of a large thing, cut by the next leg's frame and shifted, finds the thing."""
    found = incidents(forget_tentative_s=1e6)
    for number in range(5):
        found.add([sighting(0, 0, size_m=20.0)], number * FRAME_NS)
    for number in range(5):
        at_ns = 60 * SECOND_NS + number * FRAME_NS
        found.add([sighting(12.5, 0, size_m=(8.0, 16.0), is_cut=True)], at_ns)
    (one,) = found
    assert one.width_m == 20.0


spots = st.tuples(st.integers(-200, 200), st.integers(-200, 200), st.integers(0, 60))


@given(things=st.lists(spots, max_size=20), moved=st.lists(spots, max_size=20), asked=spots)
def test_nearby_misses_nothing(
    things: list[tuple[int, int, int]],
    moved: list[tuple[int, int, int]],
    asked: tuple[int, int, int],
) -> None:
    """Whatever touches the asked bounds is found, after moves and removals too."""

    def bounds(spot: tuple[int, int, int]) -> tuple[float, float, float, float]:
        east, north, half = spot
        return (east - half, north - half, east + half, north + half)

    nearby, truth = Nearby(), {}
    for number, spot in enumerate([*things, *moved]):
        key = bytes([number % 20])
        nearby.put(key, bounds(spot))
        truth[key] = bounds(spot)
    for key in list(truth)[::3]:
        nearby.remove(key)
        del truth[key]
    found = nearby.near(bounds(asked))
    west, south, east, north = bounds(asked)
    for key, box in truth.items():
        if box[0] <= east and west <= box[2] and box[1] <= north and south <= box[3]:
            assert key in found
    assert found <= set(truth)
    assert len(nearby) == len(truth)
