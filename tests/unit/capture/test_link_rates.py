"""What is asked of the autopilot, and when: judged by what arrives."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture.link_frames import MESSAGE_IDS
from edge.capture.rates import (
    LONGEST_WAIT_S,
    IntervalRequest,
    RateAsker,
    RateMeter,
    StreamRequest,
    missing,
)

MS = 1_000_000
S = 1_000_000_000


@settings(deadline=None)
@given(st.floats(0.2, 100.0), st.integers(0, 10**18))
def test_a_steady_message_has_its_rate(rate_hz: float, start_ns: int) -> None:
    """From twice in ten seconds to a hundred a second the measured rate is the real one."""
    meter = RateMeter()
    times = [start_ns + round(n * S / rate_hz) for n in range(100)]
    for time_ns in times:
        meter.count("ATTITUDE", time_ns)
    assert meter.rate_hz("ATTITUDE", times[-1]) == pytest.approx(rate_hz, rel=0.01)
    later_ns = times[-1] + round(max(1.0, 3.0 / rate_hz) * S) + 100 * MS
    assert meter.rate_hz("ATTITUDE", later_ns) == 0.0
    assert meter.rate_hz("HEARTBEAT", later_ns) == 0.0


class World:
    """An autopilot in simulated time that grants 511, or streams, or nothing."""

    def __init__(self, wishes: dict[str, float]) -> None:
        self.asker, self.meter = RateAsker(wishes), RateMeter()
        self.now_ns = 10**15
        self.periods_ns: dict[str, int] = {}
        self.asked: list[tuple[int, IntervalRequest | StreamRequest]] = []

    def live(self, seconds: float, has_streams: bool = True) -> None:
        for _ in range(round(seconds * 50)):
            self.now_ns += 20 * MS
            for name, period_ns in self.periods_ns.items():
                if self.now_ns // period_ns != (self.now_ns - 20 * MS) // period_ns:
                    self.meter.count(name, self.now_ns)
            for request in self.asker.due(self.meter, self.now_ns, has_streams):
                self.asked.append((self.now_ns, request))

    def intervals(self, name: str) -> list[int]:
        return [
            at_ns
            for at_ns, request in self.asked
            if isinstance(request, IntervalRequest) and request.name == name
        ]

    def streams(self) -> list[StreamRequest]:
        return [request for _, request in self.asked if isinstance(request, StreamRequest)]


def test_what_arrives_is_asked_for_once() -> None:
    """A granted rate is left alone."""
    world = World({"ATTITUDE": 20.0})
    world.live(0.02)
    (_, first), *rest = world.asked
    assert first == IntervalRequest("ATTITUDE", MESSAGE_IDS["ATTITUDE"], 50_000)
    assert rest == []
    world.periods_ns["ATTITUDE"] = 50 * MS
    world.live(60.0)
    assert len(world.asked) == 1


def test_what_does_not_arrive_is_asked_for_ever_with_back_off() -> None:
    """The waits grow to a limit and never end."""
    world = World({"RANGEFINDER": 5.0})
    world.live(300.0, has_streams=False)
    times = world.intervals("RANGEFINDER")
    waits = [b - a for a, b in pairwise(times)]
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(LONGEST_WAIT_S * S, rel=0.01)
    assert len(times) > 10
    assert world.streams() == []  # no REQUEST_DATA_STREAM but for ArduPilot


def test_too_slow_is_not_enough() -> None:
    """A message at a quarter of its rate is asked for again."""
    world = World({"ATTITUDE": 20.0})
    world.periods_ns["ATTITUDE"] = 200 * MS
    world.live(30.0)
    assert len(world.intervals("ATTITUDE")) >= 3


def test_without_data_the_old_way_is_tried_beside_the_new() -> None:
    """After some requests by 511 the whole group is asked for by REQUEST_DATA_STREAM."""
    world = World({"ATTITUDE": 20.0, "SIMSTATE": 30.0})
    world.live(60.0)
    assert StreamRequest(10, 30) in world.streams()


def test_a_missing_sensor_does_not_change_the_rates_of_its_group() -> None:
    """While others of the group come by 511, the group is not asked for as a whole."""
    world = World({"SYSTEM_TIME": 1.0, "RANGEFINDER": 5.0})
    world.periods_ns["SYSTEM_TIME"] = S
    world.live(120.0)
    assert world.streams() == []
    assert len(world.intervals("RANGEFINDER")) > 4


def test_after_a_return_all_is_asked_at_once() -> None:
    """Starting over ends every wait."""
    world = World({"ATTITUDE": 20.0, "RANGEFINDER": 5.0})
    world.live(100.0)
    world.asked.clear()
    world.asker.start_over()
    world.live(0.02)
    assert len(world.asked) == 2


def test_missing_names_what_is_too_slow() -> None:
    """`check` is told which wishes were not granted."""
    asked = {"ATTITUDE": 30.0, "RANGEFINDER": 5.0, "HOME_POSITION": 0.5}
    assert list(missing(asked, {"ATTITUDE": 29.0, "HOME_POSITION": 0.1})) == [
        "RANGEFINDER",
        "HOME_POSITION",
    ]
