"""Laws of the slots between a video source and the loop."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.slots import LatestFrame, NextFrame
from edge.records import Frame, MonoNs

IMAGE = np.zeros((2, 2, 3), np.uint8)


def frame(index: int) -> Frame:
    return Frame(IMAGE, MonoNs(index), "front", index)


@given(st.lists(st.booleans(), max_size=60))
def test_a_live_slot_gives_the_newest_and_counts_the_rest(is_put: list[bool]) -> None:
    """Put, taken and dropped always add up, and what is taken is what was put last."""
    slot = LatestFrame()
    n_put = n_taken = 0
    for put in is_put:
        if put:
            assert slot.put(frame(n_put))
            n_put += 1
        elif (taken := slot.take()) is not None:
            assert taken.index == n_put - 1
            n_taken += 1
    assert n_put == n_taken + slot.dropped + slot.has_frame


def test_a_file_slot_loses_nothing_and_keeps_order() -> None:
    """The source waits for room, so every frame comes, in its order."""
    slot = NextFrame(places=2)
    n = 50

    def produce() -> None:
        for index in range(n):
            assert slot.put(frame(index))
        slot.end()

    producer = threading.Thread(target=produce)
    producer.start()
    taken: list[int] = []
    while not slot.is_exhausted:
        got = slot.take()
        if got is not None:
            taken.append(got.index)
    producer.join(5)
    assert taken == list(range(n))
    assert slot.dropped == 0


def test_a_file_slot_is_bounded() -> None:
    """A source that runs ahead is held at the bound."""
    slot = NextFrame(places=2)
    slot.put(frame(0))
    slot.put(frame(1))
    done = threading.Event()

    def third() -> None:
        slot.put(frame(2))
        done.set()

    thread = threading.Thread(target=third)
    thread.start()
    assert not done.wait(0.05)
    slot.take()
    assert done.wait(5)
    thread.join(5)
    with pytest.raises(ValueError, match="places"):
        NextFrame(places=0)


def test_closing_wakes_a_source_that_waits() -> None:
    """A closed slot refuses frames, so that a source's thread can end."""
    slot = NextFrame(places=1)
    slot.put(frame(0))
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(slot.put(frame(1))))
    thread.start()
    slot.close()
    thread.join(5)
    assert answers == [False]
    live = LatestFrame()
    live.close()
    assert not live.put(frame(0))
    assert live.take() is None


def test_an_ended_slot_is_exhausted_only_when_empty() -> None:
    """The last frame is still handed out after the source has ended."""
    for slot in (LatestFrame(), NextFrame()):
        slot.put(frame(0))
        slot.end()
        assert not slot.is_exhausted
        assert slot.take() is not None
        assert slot.is_exhausted
