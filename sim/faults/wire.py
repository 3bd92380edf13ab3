"""Faults of the vehicle on the wire: silent links, garbage, reboots, sick sensors."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sim.faults.mavlink import without_fix
from sim.faults.timeline import MAVLINK_KINDS, FaultKind, Timeline
from sim.wire.clock import FlightClock
from sim.wire.link import GroundLink, LinkHealth


class VehicleFaults:
    """A timeline's MAVLink faults over a flight that is being served."""

    def __init__(self, faults: Timeline, clock: FlightClock) -> None:
        self._faults, self._clock = faults.only(MAVLINK_KINDS), clock
        self._reboots = list(faults.of(FaultKind.MAVLINK_REBOOT))

    def spoil(self, links: Iterable[GroundLink], mono_ns: int) -> None:
        """Set what each link does with what is sent on it now."""
        if not self._faults.faults:
            return
        health = self._health(mono_ns)
        for link in links:
            link.health = health

    def _health(self, mono_ns: int) -> LinkHealth:
        if not self._clock.has_begun(mono_ns):
            return LinkHealth.GOOD
        time_s = self._clock.elapsed_s(mono_ns)
        if self._faults.active(FaultKind.MAVLINK_SILENCE, time_s):
            return LinkHealth.SILENT
        if self._faults.active(FaultKind.MAVLINK_GARBAGE, time_s):
            return LinkHealth.GARBAGE
        return LinkHealth.GOOD

    def reboot_due_s(self, mono_ns: int) -> float | None:
        """Return how long a reboot that begins now takes; each begins once."""
        time_s = self._clock.elapsed_s(mono_ns)
        if not self._reboots or not time_s >= self._reboots[0].at_s:
            return None
        if not self._clock.has_begun(mono_ns):
            return None
        return self._reboots.pop(0).for_s

    def utc_off_us(self, at_ns: int) -> int:
        """Return how far off the autopilot's UTC is at an instant."""
        return round(self._faults.by_s(FaultKind.CLOCK_JUMP, self._clock.elapsed_s(at_ns)) * 1e6)

    def sicken(self, message: Any, at_ns: int) -> None:
        """Change a message, in place, to what a vehicle without satellites sends."""
        if self._clock.has_begun(at_ns):
            without_fix(message, self._clock.elapsed_s(at_ns), self._faults)
