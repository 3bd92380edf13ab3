"""Faults in an autopilot's messages: what a sick one says, or does not say."""

from __future__ import annotations

from typing import Any

import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from sim.faults.timeline import FaultKind, Timeline

_m = mavlink2
# The filter says that its position is dead reckoning some time after the fact (measured: 7 s).
EKF_NOTICES_S = 7.0
_DRIFT_MPS = 0.5  # of dead reckoning without fixes, in a light wind
_DEG_PER_M = 1 / 111_320.0  # of latitude
_UNKNOWN_DOP = 65535
_ABSOLUTE = _m.EKF_POS_HORIZ_ABS | _m.EKF_PRED_POS_HORIZ_ABS | _m.EKF_POS_HORIZ_REL
_UNIX_FROM_US = 10**15  # below, a time_usec counts from boot


def is_silent(time_s: float, faults: Timeline) -> bool:
    """Say whether the autopilot sends nothing at a time since the flight's start."""
    return any(
        faults.active(kind, time_s) is not None
        for kind in (FaultKind.MAVLINK_SILENCE, FaultKind.MAVLINK_REBOOT)
    )


def without_fix(message: Any, time_s: float, faults: Timeline) -> None:
    """Change a message, in place, to what is sent while no satellite is heard.

    GLOBAL_POSITION_INT goes on at its full rate and looks healthy, as real ones do; only
    GPS_RAW_INT, and some seconds later EKF_STATUS_REPORT, tell.
    """
    fault = faults.active(FaultKind.GNSS_LOSS, time_s)
    if fault is None:
        return
    lost_s = time_s - fault.at_s
    name = message.get_type()
    if name == "GPS_RAW_INT":
        message.fix_type = _m.GPS_FIX_TYPE_NO_FIX
        message.satellites_visible = 0
        message.eph = message.epv = _UNKNOWN_DOP
        message.h_acc = message.v_acc = 0  # not given
    elif name == "GLOBAL_POSITION_INT":
        message.lat += round(_DRIFT_MPS * lost_s * _DEG_PER_M * 1e7)
    elif name == "EKF_STATUS_REPORT" and lost_s >= EKF_NOTICES_S:
        message.flags = (message.flags & ~_ABSOLUTE) | _m.EKF_CONST_POS_MODE


def reclocked(message: Any, time_s: float, boot_s: float, faults: Timeline) -> None:
    """Move a recorded message's clocks, in place, to a boot under way and a UTC that is off.

    Args:
        message: Of an autopilot that was on for `boot_s` before the flight began.
        time_s: Since the flight's start.
        boot_s: See message.
        faults: Of the flight.
    """
    booted_s = faults.last_reboot_s(time_s)
    if booted_s is not None:
        back_us = round((boot_s + booted_s) * 1e6)
        for name, unit_us in (("time_boot_ms", 1000), ("time_usec", 1)):
            stamp = getattr(message, name, 0)
            if 0 < stamp * unit_us < _UNIX_FROM_US:
                setattr(message, name, max(0, stamp - back_us // unit_us))
    by_us = round(faults.by_s(FaultKind.CLOCK_JUMP, time_s) * 1e6)
    for name in ("time_unix_usec", "time_usec"):
        if getattr(message, name, 0) >= _UNIX_FROM_US:
            setattr(message, name, getattr(message, name) + by_us)


def garbled(packet: bytes, rng: np.random.Generator) -> bytes:
    """Return a packet whose frame stands and whose checksum fails, as bit errors make it."""
    body = bytearray(packet)
    first = 10 if body[0] == 0xFD else 6  # header lengths of MAVLink 2 and 1
    noise = rng.integers(1, 256, len(body) - first, dtype=np.uint8)  # never 0: each byte changes
    body[first:] = bytes(np.frombuffer(bytes(body[first:]), np.uint8) ^ noise)
    return bytes(body)
