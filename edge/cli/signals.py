"""What every long-running command shares: how it is stopped, and the clock of its computer."""

from __future__ import annotations

import signal
import threading
import time

from edge.capture.clock import utc_by_os_clock
from edge.records import UtcNs


def stop_on_signals() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop


def os_utc_ns() -> UtcNs:
    """Return what this computer's own clock says."""
    return utc_by_os_clock(time.monotonic_ns())
