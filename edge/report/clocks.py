"""The clocks a mailbox row is stamped with.  UTC is injected: `capture/clock.py` owns it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from edge.records import UtcNs

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def read_boot_id() -> str:
    """Name this boot of the computer; "" where the kernel does not say: ages then are unknown."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


def no_utc() -> UtcNs | None:
    """Say that nobody knows the UTC."""
    return None


@dataclass(frozen=True, slots=True)
class Clocks:
    """Monotonic time, which means nothing after a reboot; UTC, where known; and which boot."""

    utc_ns: Callable[[], UtcNs | None] = no_utc
    mono_ns: Callable[[], int] = time.monotonic_ns
    boot_id: str = field(default_factory=read_boot_id)
