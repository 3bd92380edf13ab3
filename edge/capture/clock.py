"""Three clocks: this computer's `mono_ns`, the autopilot's boot clock, and UTC.

Nothing else in Skywhistle reads the operating system's wall clock.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from dataclasses import dataclass
from enum import Enum

from edge.records import MonoNs, UtcNs

_MS = 1_000_000
_NS = 1e-9
WINDOW_S = 30.0
_BIN_NS = 1_000_000_000
# What a smallest arrival delay cannot show: the transport and the autopilot's send queue.
ARRIVAL_BIAS_SIGMA_S = 0.02
# With an interval of some ms between messages the smallest of a few delays is not yet the floor.
_FEW_BINS = 5
# Boot clocks are crystals (100 ppm); a simulator that cannot keep up has been seen at 250.
MAX_DRIFT = 500e-6
# Two estimates further apart are not of the same clock.
CLOCK_JUMP_S = 5.0
BOOT_WRAP_MS = 1 << 32  # 49.7 days
REBOOT_BACK_MS = 1000  # messages of one autopilot may be this far out of order
_REBOOT_CONFIRM = 3  # so many in a row, so that one straggling datagram is no reboot
_ASKED_KEPT = 16
_SYNC_KEPT = 64


def utc_by_os_clock(mono_ns: int) -> UtcNs:
    """Map an instant by the OS clock: the last resort; a Pi has no clock of its own."""
    return UtcNs(mono_ns + time.time_ns() - time.monotonic_ns())


def utc_by_record_time(mono_ns: int) -> UtcNs:
    """In a replay `mono_ns` is the recorder's Unix time already."""
    return UtcNs(mono_ns)


class TimeSource(Enum):
    """How the boot clock is mapped onto `mono_ns`."""

    NONE = "none"
    ARRIVAL = "arrival"  # smallest delay of what arrives
    TIMESYNC = "timesync"  # round trips of our own


class ClockEvent(Enum):
    """What a boot time says about its clock."""

    RUNS = "runs"
    SUSPECT = "suspect"  # does not fit; dropped until more say the same
    RESTARTED = "restarted"


@dataclass(frozen=True, slots=True)
class _Line:
    """mono − boot as a line over boot time."""

    at_boot_ns: int
    offset_ns: int
    drift: float
    sigma_s: float

    def offset(self, boot_ns: int) -> int:
        return self.offset_ns + round((boot_ns - self.at_boot_ns) * self.drift)


class BootClock:
    """Map one sender's `time_boot_ms` onto `mono_ns`, through drift, wrap and reboot."""

    def __init__(self, recorded_sigma_s: float | None = None) -> None:
        """Args:
        recorded_sigma_s: One sigma where what arrives is stamped by the sender's own clock, as
            in a log that the autopilot writes itself; None: stamped as it arrives.
        """
        self._recorded_sigma_s = recorded_sigma_s
        self.restarts = 0
        self._start_over()
        self._asked: deque[int] = deque(maxlen=_ASKED_KEPT)

    def _start_over(self) -> None:
        self._last_boot_ns: int | None = None
        self._last_mono_ns = 0
        self._epoch_ms = 0
        self._suspects = 0
        self._bins: deque[tuple[int, int, int]] = deque()  # bin, boot_ns, smallest offset
        self._round_trips: deque[tuple[int, int, int]] = deque(maxlen=_SYNC_KEPT)
        self._line: _Line | None = None
        self._synced: _Line | None = None

    # --- what arrives -----------------------------------------------------------------------

    def hear(self, boot_ms: int, received_mono_ns: int) -> tuple[int | None, ClockEvent]:
        """Take a boot time as it arrives.

        Returns:
            Unwrapped boot time in ns (None: dropped), and what it says about the clock.
        """
        boot_ns = self._unwrapped_ns(boot_ms)
        if self._fits(boot_ns, received_mono_ns):
            self._suspects = 0
            self._note(boot_ns, received_mono_ns)
            return boot_ns, ClockEvent.RUNS
        self._suspects += 1
        if self._suspects < _REBOOT_CONFIRM:
            return None, ClockEvent.SUSPECT
        self._start_over()
        self.restarts += 1
        boot_ns = boot_ms * _MS
        self._note(boot_ns, received_mono_ns)
        return boot_ns, ClockEvent.RESTARTED

    def _unwrapped_ns(self, boot_ms: int) -> int:
        boot_ns = (self._epoch_ms + boot_ms) * _MS
        last_ns = self._last_boot_ns
        half_ns = BOOT_WRAP_MS * _MS // 2
        if last_ns is not None and boot_ns < last_ns - half_ns:
            return boot_ns + BOOT_WRAP_MS * _MS
        if last_ns is not None and self._epoch_ms and boot_ns > last_ns + half_ns:
            return boot_ns - BOOT_WRAP_MS * _MS  # a straggler from before the wrap
        return boot_ns

    def _fits(self, boot_ns: int, received_mono_ns: int) -> bool:
        if self._last_boot_ns is None or self._line is None:
            return True
        ahead_ns = boot_ns - self._last_boot_ns
        if ahead_ns < -REBOOT_BACK_MS * _MS:
            return False
        if ahead_ns < REBOOT_BACK_MS * _MS:
            return True  # counts on, however late it comes: a burst after a stall
        late_ns = received_mono_ns - boot_ns - self._line.offset(boot_ns)
        if late_ns > CLOCK_JUMP_S * 1e9:
            # Late, or counted anew since we last heard it: then it counts no more than since then.
            silent_ns = received_mono_ns - self._last_mono_ns
            return boot_ns > silent_ns + REBOOT_BACK_MS * _MS
        return late_ns >= -CLOCK_JUMP_S * 1e9

    def _note(self, boot_ns: int, received_mono_ns: int) -> None:
        self._last_mono_ns = received_mono_ns
        if self._last_boot_ns is None or boot_ns > self._last_boot_ns:
            self._last_boot_ns = boot_ns
            self._epoch_ms = boot_ns // _MS // BOOT_WRAP_MS * BOOT_WRAP_MS
        offset_ns = received_mono_ns - boot_ns
        number = boot_ns // _BIN_NS
        bins = self._bins
        if bins and bins[-1][0] >= number:
            if offset_ns >= bins[-1][2]:
                return
            bins[-1] = (bins[-1][0], boot_ns, offset_ns)
        else:
            bins.append((number, boot_ns, offset_ns))
            while bins[0][0] < number - WINDOW_S:
                bins.popleft()
        self._line = _floor_line([(boot, offset) for _, boot, offset in bins])

    # --- TIMESYNC -----------------------------------------------------------------------------

    def asked(self, ts1_ns: int) -> None:
        """Remember a TIMESYNC request of ours; only answers to these count."""
        self._asked.append(ts1_ns)

    def answered(self, tc1_ns: int, ts1_ns: int, now_mono_ns: int) -> bool:
        """Take a TIMESYNC answer; False where it answers another, or is of another clock."""
        if tc1_ns == 0 or ts1_ns not in self._asked:
            return False
        self._asked.remove(ts1_ns)
        line = self._line
        if line is not None:  # tc1 counts on where time_boot_ms has wrapped before we listened
            boot_ns = now_mono_ns - line.offset(self._last_boot_ns or 0)
            wrap_ns = BOOT_WRAP_MS * _MS
            tc1_ns -= round((tc1_ns - boot_ns) / wrap_ns) * wrap_ns
        offset_ns = (ts1_ns + now_mono_ns - 2 * tc1_ns) // 2
        if line is not None and abs(offset_ns - line.offset(tc1_ns)) > CLOCK_JUMP_S * 1e9:
            return False
        self._round_trips.append((tc1_ns, offset_ns, now_mono_ns - ts1_ns))
        self._synced = _sync_line(list(self._round_trips))
        return True

    # --- what is asked ------------------------------------------------------------------------

    def _best(self) -> _Line | None:
        """TIMESYNC while its newest answer is inside the window, else arrival."""
        if self._synced is None or self._last_boot_ns is None:
            return self._line
        age_ns = self._last_boot_ns - self._round_trips[-1][0]
        return self._synced if age_ns < WINDOW_S * 1e9 else self._line

    @property
    def source(self) -> TimeSource:
        line = self._best()
        if line is None:
            return TimeSource.NONE
        return TimeSource.TIMESYNC if line is self._synced else TimeSource.ARRIVAL

    @property
    def sigma_s(self) -> float:
        """One sigma of the mapping; infinite before anything arrived."""
        line = self._best()
        if line is None:
            return math.inf
        return line.sigma_s if self._recorded_sigma_s is None else self._recorded_sigma_s

    def boot_from_mono(self, mono_ns: int) -> int | None:
        """Return the unwrapped boot time in ns of an instant, or None with no mapping yet."""
        line = self._best()
        if line is None:
            return None
        boot_ns = mono_ns - line.offset_ns
        return mono_ns - line.offset(boot_ns)  # drift × offset error: under a nanosecond a ms

    def mono_from_boot(self, boot_ns: int) -> MonoNs | None:
        """Return the instant of an unwrapped boot time in ns, or None with no mapping yet."""
        line = self._best()
        return None if line is None else MonoNs(boot_ns + line.offset(boot_ns))


def _slope(points: list[tuple[int, int]]) -> float:
    """Drift from the lowest point of the older half and of the newer; 0 with too few."""
    if len(points) < 2 * _FEW_BINS:
        return 0.0
    half = len(points) // 2
    old = min(points[:half], key=lambda point: point[1])
    new = min(points[half:], key=lambda point: point[1])
    drift = (new[1] - old[1]) / (new[0] - old[0]) if new[0] > old[0] else 0.0
    return max(-MAX_DRIFT, min(MAX_DRIFT, drift))


def _floor_line(points: list[tuple[int, int]]) -> _Line:
    """Lay a line under the offsets: nothing arrives before it was sent."""
    drift = _slope(points)
    at_ns = points[-1][0]
    flat = [offset + round((at_ns - boot) * drift) for boot, offset in points]
    floor_ns = min(flat)
    spread_s = statistics.median(flat) * _NS - floor_ns * _NS if len(flat) > 1 else 0.0
    few = ARRIVAL_BIAS_SIGMA_S * max(0, _FEW_BINS - len(flat))
    return _Line(at_ns, floor_ns, drift, math.hypot(ARRIVAL_BIAS_SIGMA_S, spread_s) + few)


def _sync_line(round_trips: list[tuple[int, int, int]]) -> _Line:
    """Average the offsets of the smallest round trips, with their drift."""
    newest_ns = round_trips[-1][0]
    recent = [trip for trip in round_trips if newest_ns - trip[0] < WINDOW_S * 1e9]
    smallest_ns = min(trip[2] for trip in recent)
    # A quarter more, and a millisecond for the scheduler of either end.
    good = [trip for trip in recent if trip[2] <= smallest_ns * 5 // 4 + _MS]
    drift = _fitted_drift(good)
    flat = [offset + round((newest_ns - boot) * drift) for boot, offset, _ in good]
    offset_ns = round(statistics.fmean(flat))
    spread_s = statistics.pstdev(flat) * _NS
    # The way out and the way back may differ: uniform within ± half a round trip.
    asymmetry_s = smallest_ns * _NS / 2 / math.sqrt(3)
    # time_boot_ms itself is cut to a millisecond.
    return _Line(newest_ns, offset_ns, drift, math.hypot(asymmetry_s, spread_s, 0.3e-3))


def _fitted_drift(trips: list[tuple[int, int, int]]) -> float:
    if len(trips) < _FEW_BINS or trips[-1][0] - trips[0][0] < _FEW_BINS * _BIN_NS:
        return 0.0
    times = [(trip[0] - trips[0][0]) * _NS for trip in trips]
    offsets = [(trip[1] - trips[0][1]) * _NS for trip in trips]
    drift = statistics.linear_regression(times, offsets).slope
    return max(-MAX_DRIFT, min(MAX_DRIFT, drift))
