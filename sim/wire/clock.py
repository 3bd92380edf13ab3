"""Time on the wire: the flight's laps on this computer's clock, and the vehicle's boot clock."""

from __future__ import annotations

from dataclasses import dataclass


class FlightClock:
    """Lays the log's record time on `mono_ns`, lap after lap.

    Telemetry and video ask the same clock, so they stay in step.  Before `begin` the vehicle
    stands at the flight's first instant.
    """

    def __init__(self, start_us: int, end_us: int, loop: bool = False) -> None:
        self.start_us = start_us
        self.end_us = end_us
        self.loop = loop
        self._begin_mono_ns: int | None = None

    @property
    def lap_ns(self) -> int:
        return (self.end_us - self.start_us) * 1000

    def begin(self, mono_ns: int) -> None:
        """Let the flight's first instant be `mono_ns`; a second call changes nothing."""
        if self._begin_mono_ns is None:
            self._begin_mono_ns = mono_ns

    def has_begun(self, mono_ns: int) -> bool:
        return self._begin_mono_ns is not None and mono_ns >= self._begin_mono_ns

    @property
    def is_set(self) -> bool:
        """Whether it is known when the flight begins."""
        return self._begin_mono_ns is not None

    def mono_ns(self, record_us: int, lap: int = 0) -> int:
        """Return when an instant of the log happens.  Only after `begin`."""
        if self._begin_mono_ns is None:
            raise RuntimeError("the flight has not begun")
        return self._begin_mono_ns + lap * self.lap_ns + (record_us - self.start_us) * 1000

    def elapsed_s(self, mono_ns: int) -> float:
        """Return the seconds since the flight began, all laps together; 0 before."""
        return max(0.0, (mono_ns - self._begin_mono_ns) / 1e9) if self._begin_mono_ns else 0.0


@dataclass(frozen=True)
class BootClock:
    """The autopilot's clock: from its boot, at its own crystal's rate."""

    booted_mono_ns: int
    drift_ppm: float = 0.0

    def boot_ns(self, mono_ns: int) -> int:
        """Return the time since boot; never below 0."""
        return max(0, round((mono_ns - self.booted_mono_ns) * (1.0 + self.drift_ppm * 1e-6)))
