"""A bounded series of samples in time, and what lies around an instant."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import Generic, TypeVar

from edge.records import NoPose

KEEP_S = 30.0
# Hard limit of one track whatever the rate: 30 s at 200 Hz.
MAX_SAMPLES = 6000
# A hole of more than so many nominal intervals is a gap...
GAP_INTERVALS = 5.0
# ...but never one shorter than this: over a quarter of a second a turn that speeds up by 2 rad/s²
# leaves slerp by less than a degree, and reach_s tells.
GAP_FLOOR_S = 0.25
# Beyond the newest sample at most one nominal interval, and never more than this.
MAX_EXTRAPOLATION_S = 0.5
# The nominal interval is what nine in ten of the newest intervals keep.
_NOMINAL_OF = 32
_NOMINAL_QUANTILE = 0.9
_NS = 1e-9

V = TypeVar("V")


class Track(Generic[V]):
    """Samples in the order of their time; bounded; late ones are refused and counted."""

    def __init__(self, keep_s: float = KEEP_S, max_samples: int = MAX_SAMPLES) -> None:
        self._keep_ns = int(keep_s * 1e9)
        self._max = max_samples
        self.times_ns: list[int] = []
        self.values: list[V] = []
        self.refused = 0  # not newer than the newest
        self.has_forgotten = False

    def append(self, time_ns: int, value: V) -> None:
        """Take a sample; one that is not newer than the newest is refused and counted."""
        times_ns = self.times_ns
        if times_ns and time_ns <= times_ns[-1]:
            self.refused += 1
            return
        times_ns.append(time_ns)
        self.values.append(value)
        # Half as much again before cutting, so that a cut is rare and cheap on average.
        if times_ns[0] < time_ns - self._keep_ns * 3 // 2 or len(times_ns) > self._max:
            self._forget(time_ns - self._keep_ns)

    def _forget(self, before_ns: int) -> None:
        cut = bisect_right(self.times_ns, before_ns)
        cut = max(cut, len(self.times_ns) - self._max * 2 // 3)
        del self.times_ns[:cut]
        del self.values[:cut]
        self.has_forgotten = True

    def clear(self) -> None:
        """Forget all; the clock they were measured by is no more."""
        self.times_ns.clear()
        self.values.clear()
        self.has_forgotten = False

    def nominal_ns(self) -> int:
        """Return the interval that nine in ten of the newest keep; 0 with fewer than two."""
        newest = self.times_ns[-_NOMINAL_OF - 1 :]
        steps = sorted(b - a for a, b in pairwise(newest))
        return steps[int(_NOMINAL_QUANTILE * (len(steps) - 1))] if steps else 0

    def bracket(self, time_ns: int) -> tuple[int, int] | NoPose:
        """Return the indices of the samples around an instant; (last, last) just past the newest.

        Returns:
            (i, i + 1) with times_ns[i] < time_ns < times_ns[i + 1], (i, i) where the instant is
            that sample's or at most one nominal interval past the newest, else the reason.
        """
        times_ns = self.times_ns
        after = bisect_right(times_ns, time_ns)
        if after == 0:
            return NoPose.TOO_OLD if self.has_forgotten else NoPose.NO_DATA
        if after == len(times_ns):
            beyond_ns = min(self.nominal_ns(), int(MAX_EXTRAPOLATION_S * 1e9))
            if time_ns - times_ns[-1] > beyond_ns:
                return NoPose.STALE_POSE
            return after - 1, after - 1
        if time_ns == times_ns[after - 1]:
            return after - 1, after - 1  # the sample itself, whatever hole comes behind it
        hole_ns = times_ns[after] - times_ns[after - 1]
        # The floor first: mostly it answers, and the nominal interval takes a sort.
        if hole_ns > GAP_FLOOR_S * 1e9 and hole_ns > GAP_INTERVALS * self.nominal_ns():
            return NoPose.GAP
        return after - 1, after

    def latest(self, time_ns: int, max_age_s: float) -> V | None:
        """Return the value that held at an instant; None if older than `max_age_s` or none."""
        index = self.index_before(time_ns, max_age_s)
        return None if index is None else self.values[index]

    def index_before(self, time_ns: int, max_age_s: float) -> int | None:
        """Return the index of the newest sample not after an instant, if it is young enough."""
        after = bisect_right(self.times_ns, time_ns)
        if after == 0 or time_ns - self.times_ns[after - 1] > max_age_s * 1e9:
            return None
        return after - 1

    def reach_s(self, time_ns: int, bracket: tuple[int, int]) -> float:
        """Return the seconds from an instant to the nearer of the two samples."""
        first, second = bracket
        return min(abs(self.times_ns[first] - time_ns), abs(self.times_ns[second] - time_ns)) * _NS
