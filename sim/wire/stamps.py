"""Time stamps inside recorded messages, moved from the recording's clocks to the vehicle's."""

from __future__ import annotations

from typing import Any

from sim.wire.log import UNIX_FROM_US

# A stamp further than this from the log's boot clock is of another boot: only its instant is kept.
_PLAUSIBLE_US = 10_000_000
_UNIX_UNTIL_US = 4_102_444_800_000_000  # the year 2100; real logs hold times 890 years ahead


def restamp(message: Any, recorded_us: tuple[int, int], utc_us: int, boot_us: int) -> None:
    """Move every time field of a message.

    Args:
        message: A decoded message; changed in place.
        recorded_us: The instant it was recorded, by the recorder's UTC and by the log's boot clock.
        utc_us: The UTC at which that instant happens now.
        boot_us: The same instant by the vehicle's boot clock.
    """
    record_us, log_boot_us = recorded_us
    for name, unit_us in (("time_boot_ms", 1000), ("time_boot_us", 1), ("time_usec", 1)):
        stamp_us = getattr(message, name, 0) * unit_us
        if stamp_us == 0 or stamp_us >= UNIX_FROM_US:
            continue  # 0: not known
        age_us = log_boot_us - stamp_us
        age_us = age_us if abs(age_us) < _PLAUSIBLE_US else 0
        bits = 32 if name == "time_boot_ms" else 64
        setattr(message, name, max(0, boot_us - age_us) // unit_us % 2**bits)
    for name in ("time_usec", "time_unix_usec", "time_utc"):
        stamp_us = getattr(message, name, 0)
        if UNIX_FROM_US <= stamp_us < _UNIX_UNTIL_US:
            setattr(message, name, stamp_us + utc_us - record_us)
