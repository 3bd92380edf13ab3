"""Pictures' memory: used again when nobody looks, never before."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.picture_memory import PictureMemory
from edge.records import ImageArray


@given(
    st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=120),
    st.sampled_from([(4, 12), (3, 8)]),
)
def test_what_somebody_holds_is_never_given_out_again(
    steps: list[tuple[int, bool]], shape: tuple[int, int]
) -> None:
    """Whoever keeps a picture, or a view of a part of it, finds its own pixels there for ever."""
    memory = PictureMemory()
    held: list[tuple[ImageArray, int]] = []
    for number, (let_go, keeps_part) in enumerate(steps):
        array = memory.take(*shape)
        array.fill(number % 251)
        part = array.reshape(-1)[2:7].reshape(1, 5) if keeps_part else array
        del array
        held.append((part, number % 251))
        if let_go < len(held):
            held.pop(let_go)
        assert all((kept == value).all() for kept, value in held)


def test_a_flight_that_looks_at_one_picture_at_a_time_needs_two() -> None:
    """While the newest is held the next is written beside it; then the first is used again."""
    memory = PictureMemory()
    seen = set()
    picture = memory.take(720, 3840)
    for _ in range(100):
        seen.add(picture.ctypes.data)
        picture = memory.take(720, 3840)
    assert len(seen) == 2


def test_another_size_is_another_memory() -> None:
    """A stream that changes its size gets arrays of the new one; what is held stays as it is."""
    memory = PictureMemory()
    small = memory.take(2, 6)
    small.fill(7)
    assert memory.take(3, 6).shape == (3, 6)
    assert np.array_equal(small, np.full((2, 6), 7))


def test_what_many_hold_is_theirs_alone() -> None:
    """Beyond some dozens of held pictures new ones are not kept: the memory stays bounded."""
    memory = PictureMemory()
    held = [memory.take(2, 6) for _ in range(100)]
    assert len({array.ctypes.data for array in held}) == 100
    assert len(memory._kept) < 50
