"""What every long-running command shares: how it ends, and the clock of its computer."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from edge.capture.clock import utc_by_os_clock
from edge.records import UtcNs

log = logging.getLogger(__name__)

_SOONEST_NS = 1_767_225_600 * 10**9  # 2026-01-01: before that no Skywhistle flew


def stop_on_signals() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


@contextmanager
def whole_or_not_at_all(stop: threading.Event) -> Iterator[None]:
    """End the program when a thread of it dies of what nobody foresaw; then exit with 1.

    A camera's or broker's thread that is gone would be missed by nobody: whoever supervises the
    program starts it afresh.
    """
    has_died = threading.Event()

    def note(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is SystemExit or args.exc_value is None:
            return
        name = args.thread.name if args.thread is not None else "?"
        what = (args.exc_type, args.exc_value, args.exc_traceback)
        log.critical("thread_died name=%s", name, exc_info=what)
        has_died.set()
        stop.set()

    before, threading.excepthook = threading.excepthook, note
    try:
        yield
    finally:
        threading.excepthook = before
    if has_died.is_set():
        raise typer.Exit(1)


def os_utc_ns() -> UtcNs:
    """Return what this computer's own clock says."""
    return utc_by_os_clock(time.monotonic_ns())


def plausible_utc_ns() -> UtcNs | None:
    """Return what this computer's clock says; None where it has forgotten the date."""
    utc_ns = os_utc_ns()
    return utc_ns if utc_ns > _SOONEST_NS else None
