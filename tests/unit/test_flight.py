"""The flight's own decisions, beside the loop."""

from __future__ import annotations

import threading

import pytest
import typer

from edge.cli.signals import whole_or_not_at_all
from edge.flight import trusted_utc_ns
from edge.records import TimeQuality, UtcNs, UtcTime


def test_a_message_grows_old_by_gnss_time_only() -> None:
    """A computer that slept without power must not let what it stored expire."""
    known = UtcNs(1_800_000_000_000_000_000)
    assert trusted_utc_ns(UtcTime(known, TimeQuality.GNSS)) == known
    assert trusted_utc_ns(UtcTime(known, TimeQuality.GNSS_SYNCED)) == known
    assert trusted_utc_ns(UtcTime(known, TimeQuality.OS_CLOCK)) is None


def test_a_thread_that_dies_ends_the_program() -> None:
    """Nothing dies in silence: the program stops, and says so by its exit code."""
    stop = threading.Event()
    before = threading.excepthook

    def die() -> None:
        raise RuntimeError("nobody foresaw this")

    with pytest.raises(typer.Exit) as ended, whole_or_not_at_all(stop):
        dying = threading.Thread(target=die)
        dying.start()
        assert stop.wait(10.0)
        dying.join()
    assert ended.value.exit_code == 1
    assert threading.excepthook is before


def test_a_program_whose_threads_live_ends_well() -> None:
    """Without a death the exit code is left alone."""
    stop = threading.Event()
    with whole_or_not_at_all(stop):
        quiet = threading.Thread(target=stop.is_set)
        quiet.start()
        quiet.join()
    assert not stop.is_set()
