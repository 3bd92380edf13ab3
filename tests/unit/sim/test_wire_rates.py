"""What a link asked for is what it gets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from sim.wire.rates import STREAM_GROUPS, Intervals

SECONDS = 20


@given(asked_hz=st.floats(0.5, 100.0), log_hz=st.floats(1.0, 100.0))
def test_the_mean_rate_is_the_asked_one_up_to_the_logs_own(asked_hz: float, log_hz: float) -> None:
    """Decimation keeps the asked mean rate; a log is never made faster than it is."""
    intervals = Intervals()
    intervals.ask(30, 1e6 / asked_hz)
    samples = [round(n * 1e9 / log_hz) for n in range(round(SECONDS * log_hz))]
    sent = sum(intervals.takes(30, mono_ns) for mono_ns in samples)
    expected = SECONDS * min(asked_hz, log_hz)
    assert abs(sent - expected) <= 0.02 * expected + 2


def test_nothing_is_sent_that_was_not_asked_for() -> None:
    """Without an interval no sample goes out, and its interval reads -1."""
    intervals = Intervals()
    assert not intervals.takes(30, 0)
    assert intervals.interval_us(30) == -1


def test_an_interval_of_minus_one_ends_it() -> None:
    """MAVLink's -1 switches a message off again."""
    intervals = Intervals()
    intervals.ask(30, 50_000)
    assert intervals.interval_us(30) == 50_000
    intervals.ask(30, -1)
    assert not intervals.takes(30, 10**12)


def test_a_stream_group_switches_its_messages_and_only_them() -> None:
    """REQUEST_DATA_STREAM works by ArduPilot's groups; group 0 is all of them."""
    intervals = Intervals()
    intervals.ask_group(mavlink2.MAV_DATA_STREAM_EXTRA1, 10)
    assert set(intervals.asked) == set(STREAM_GROUPS[mavlink2.MAV_DATA_STREAM_EXTRA1])
    intervals.ask_group(mavlink2.MAV_DATA_STREAM_ALL, 4)
    assert set(intervals.asked) == {i for group in STREAM_GROUPS.values() for i in group}
    intervals.ask_group(mavlink2.MAV_DATA_STREAM_ALL, 0)
    assert intervals.asked == ()


def test_an_unknown_stream_group_changes_nothing() -> None:
    """A group that ArduPilot does not have is ignored."""
    intervals = Intervals()
    intervals.ask_group(99, 10)
    assert intervals.asked == ()
