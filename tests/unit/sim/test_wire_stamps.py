"""Recorded stamps become the vehicle's own."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from sim.wire.clock import BootClock, FlightClock
from sim.wire.stamps import restamp

RECORD_US, LOG_BOOT_US = 1_700_000_000_000_000, 70_000_000


@given(age_ms=st.integers(-500, 5_000), boot_ms=st.integers(10_000, 2**31))
def test_a_messages_age_survives(age_ms: int, boot_ms: int) -> None:
    """What was measured before it was recorded keeps that distance on the new boot clock."""
    message = mavlink2.MAVLink_attitude_message(LOG_BOOT_US // 1000 - age_ms, 0, 0, 0, 0, 0, 0)
    restamp(message, (RECORD_US, LOG_BOOT_US), 0, boot_ms * 1000)
    assert message.time_boot_ms == boot_ms - age_ms


def test_time_usec_is_boot_or_unix_by_its_size() -> None:
    """ArduPilot sends both under one name: GPS_RAW_INT from boot, CAMERA_FEEDBACK not."""
    gps = mavlink2.MAVLink_gps_raw_int_message(LOG_BOOT_US, 3, 0, 0, 0, 0, 0, 0, 0, 9)
    restamp(gps, (RECORD_US, LOG_BOOT_US), RECORD_US + 5, 1_234_000)
    assert gps.time_usec == 1_234_000
    gps.time_usec = RECORD_US - 7
    restamp(gps, (RECORD_US, LOG_BOOT_US), RECORD_US + 1_000, 1_234_000)
    assert gps.time_usec == RECORD_US + 1_000 - 7


def test_an_unknown_time_stays_unknown_and_garbage_stays_garbage() -> None:
    """0 (no fix yet) and times 890 years ahead are what real autopilots send; they are kept."""
    for unix_us in (0, 30_000_000_000_000_000):
        message = mavlink2.MAVLink_system_time_message(unix_us, LOG_BOOT_US // 1000)
        restamp(message, (RECORD_US, LOG_BOOT_US), RECORD_US + 9, 2_000_000)
        assert message.time_unix_usec == unix_us
        assert message.time_boot_ms == 2_000


@given(st.integers(0, 10**13), st.floats(-500, 500))
def test_the_boot_clock_grows_at_its_own_rate(mono_ns: int, drift_ppm: float) -> None:
    """A crystal is off by parts per million, and the clock starts at 0."""
    clock = BootClock(mono_ns, drift_ppm)
    assert clock.boot_ns(mono_ns) == 0
    assert clock.boot_ns(mono_ns - 5) == 0
    assert abs(clock.boot_ns(mono_ns + 10**9) - 10**9) <= abs(drift_ppm) * 1000 + 1


def test_laps_follow_each_other_without_a_gap() -> None:
    """The end of one lap is the start of the next."""
    clock = FlightClock(RECORD_US, RECORD_US + 3_000_000, loop=True)
    clock.begin(10**9)
    clock.begin(5 * 10**9)  # too late to change anything
    assert clock.mono_ns(RECORD_US, lap=0) == 10**9
    assert clock.mono_ns(clock.end_us, lap=0) == clock.mono_ns(clock.start_us, lap=1)
