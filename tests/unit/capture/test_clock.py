"""The boot clock on this computer's: drift, delay, wrap, reboot, and whose answers count."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture.clock import (
    BOOT_WRAP_MS,
    BootClock,
    ClockEvent,
    TimeSource,
    utc_by_os_clock,
    utc_by_record_time,
)
from edge.capture.clock_utc import UtcOffset

MS = 1_000_000
S = 1_000_000_000
OFFSET = 5_000 * S
UTC_US = 1_790_000_000_000_000


def listened(seconds: int, drift: float = 0.0, delay_ms: float = 2.0, seed: int = 1) -> BootClock:
    """A clock that heard 20 messages a second, each later than `delay_ms` by chance."""
    clock, chance = BootClock(), random.Random(seed)
    for n in range(seconds * 20):
        boot_ms = 10_000 + n * 50
        sent_ns = OFFSET + round(boot_ms * MS * (1.0 + drift))
        clock.hear(boot_ms, sent_ns + round((delay_ms + chance.expovariate(0.1)) * MS))
    return clock


@settings(deadline=None, max_examples=15)
@given(st.floats(-200e-6, 200e-6), st.integers(0, 5))
def test_the_smallest_delays_find_the_offset_through_drift(drift: float, seed: int) -> None:
    """Arrival maps to within the stated sigma although each message is late by chance."""
    clock = listened(60, drift, seed=seed)
    boot_ns = 69_000 * MS
    truth = OFFSET + round(boot_ns * (1.0 + drift))
    mapped = clock.mono_from_boot(boot_ns)
    assert mapped is not None
    assert clock.source is TimeSource.ARRIVAL
    assert abs(mapped - truth) < 10 * MS
    assert abs(mapped - truth) * 1e-9 < 2 * clock.sigma_s
    back = clock.boot_from_mono(mapped)
    assert back is not None
    assert abs(back - boot_ns) < 1000


def test_timesync_keeps_the_smallest_round_trips() -> None:
    """Answers after long, lopsided round trips do not move the offset that short ones gave."""
    clock = listened(5, delay_ms=30.0)
    arrival_sigma_s = clock.sigma_s
    chance = random.Random(2)
    for n in range(20):
        sent = OFFSET + (15_000 + n * 100) * MS
        back_ms = 1.0 if n % 3 else chance.uniform(50, 200)
        tc1 = sent + MS - OFFSET
        clock.asked(sent)
        assert clock.answered(tc1, sent, sent + MS + round(back_ms * MS))
    mapped = clock.mono_from_boot(16_000 * MS)
    assert mapped is not None
    assert clock.source is TimeSource.TIMESYNC
    assert abs(mapped - OFFSET - 16_000 * MS) < MS
    assert clock.sigma_s < arrival_sigma_s / 5


def test_answers_to_others_are_ignored() -> None:
    """Only an answer to a request of ours counts, once, and only from a clock that fits."""
    clock = listened(5)
    sent = OFFSET + 15_000 * MS
    assert not clock.answered(15_000 * MS, sent, sent + MS)
    clock.asked(sent)
    assert not clock.answered(0, sent, sent + MS)  # a request, not an answer
    assert clock.answered(15_000 * MS, sent, sent + MS)
    assert not clock.answered(15_000 * MS, sent, sent + MS)
    clock.asked(sent + 1)
    assert not clock.answered(UTC_US * 1000, sent + 1, sent + MS)  # Unix time, not boot time


def test_without_answers_timesync_gives_way_to_arrival() -> None:
    """A TIMESYNC older than the window is no longer trusted over fresh arrivals."""
    clock = listened(5)
    sent = OFFSET + 15_000 * MS
    clock.asked(sent)
    clock.answered(15_000 * MS, sent, sent + MS)
    assert clock.source is TimeSource.TIMESYNC
    for n in range(800):
        clock.hear(15_000 + n * 50, OFFSET + (15_000 + n * 50) * MS)
    assert clock.source is TimeSource.ARRIVAL


def test_the_wrap_at_49_days_is_no_reboot() -> None:
    """`time_boot_ms` that starts again at 2³² goes on as if nothing had happened."""
    clock = BootClock()
    first = BOOT_WRAP_MS - 5_000
    for n in range(105):
        boot_ns, event = clock.hear((first + n * 50) % BOOT_WRAP_MS, OFFSET + n * 50 * MS)
        assert event is ClockEvent.RUNS
        assert boot_ns == (first + n * 50) * MS
    assert clock.restarts == 0
    late_ns, event = clock.hear(BOOT_WRAP_MS - 10, OFFSET + 105 * 50 * MS)
    assert (late_ns, event) == ((BOOT_WRAP_MS - 10) * MS, ClockEvent.RUNS)


def test_a_reboot_is_noticed_and_one_straggler_is_not_one() -> None:
    """Boot time that jumps back restarts the mapping once it is said three times."""
    clock = listened(30)
    straggler = clock.hear(20_000, OFFSET + 40_100 * MS)
    assert straggler == (None, ClockEvent.SUSPECT)
    assert clock.hear(40_150, OFFSET + 40_150 * MS)[1] is ClockEvent.RUNS
    events = [clock.hear(1000 + n, OFFSET + (50_000 + n) * MS)[1] for n in range(5)]
    assert events.count(ClockEvent.RESTARTED) == 1
    assert clock.restarts == 1
    mapped = clock.mono_from_boot(1004 * MS)
    assert mapped is not None
    assert abs(mapped - OFFSET - 50_004 * MS) < MS


def test_a_reboot_during_a_long_silence_is_noticed() -> None:
    """Boot time that is ahead of the last but far too young for the silence is a new count."""
    clock = listened(30)  # to 40 s after boot
    back_ns = OFFSET + 1_000_000 * MS
    events = [clock.hear(50_000 + n * 50, back_ns + n * 50 * MS)[1] for n in range(5)]
    assert events.count(ClockEvent.RESTARTED) == 1


def test_a_burst_after_a_stall_is_no_reboot() -> None:
    """Messages that a stuck link delivers late, all at once, still belong to the same clock."""
    clock = listened(30)
    before = clock.mono_from_boot(39_000 * MS)
    stalled_until = OFFSET + 60_000 * MS
    for n in range(400):
        if 100 < n < 200:
            continue  # what did not fit into the socket's buffer
        _, event = clock.hear(40_000 + n * 50, stalled_until + n * 1000)
        assert event is ClockEvent.RUNS
    after = clock.mono_from_boot(39_000 * MS)
    assert before is not None
    assert after is not None
    assert abs(after - before) < 20 * MS


def test_utc_is_believed_when_it_is_plausible_and_said_twice() -> None:
    """Zero, years that cannot be, and a single lone claim give no UTC."""
    utc = UtcOffset()
    utc.hear(0, 1 * S)
    utc.hear(29_618_095_652_006_494, 2 * S)  # a real log's claim: the year 2908
    utc.hear(29_618_095_653_006_494, 3 * S)
    assert utc.offset_ns is None
    assert utc.implausible == 2
    utc.hear(UTC_US, 4 * S)
    assert utc.offset_ns is None
    utc.hear(UTC_US + 900_000_000, 5 * S)  # a quarter of an hour in one second
    assert utc.offset_ns is None
    utc.hear(UTC_US + 901_000_000, 6 * S)
    assert utc.offset_ns == (UTC_US + 901_000_000) * 1000 - 6 * S


def test_the_last_resorts_are_what_they_say() -> None:
    """The OS clock keeps intervals; record time is UTC already."""
    assert utc_by_record_time(123) == 123
    here = utc_by_os_clock(0)
    assert abs(utc_by_os_clock(10 * S) - here - 10 * S) < S
