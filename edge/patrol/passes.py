"""Where a thing is by all that was seen of it: the fused place, and the running one of this pass.

The fused place forgets nothing (`fusion.py`).  What the next look is compared with is the running
place: within a pass the bias is common, so a thing is found again by where this pass puts it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.patrol.covariance import (
    add,
    eigenvalues,
    inverse,
    isotropic,
    quadratic,
    scale,
    times,
)
from edge.patrol.fusion import Estimate, Fused, fused_from
from edge.patrol.look import Look
from edge.patrol.memory import Memory
from edge.records import Covariance2, Sighting

# The newest look's share in the running place that the next look is compared with settles here
# while the bias stands still; the fused place does not forget.
RECENT_SHARE = 0.25
# Noise by which the running place grows vaguer with each look, as a share of the look's: with it
# a Kalman filter's gain settles at `RECENT_SHARE`.
FORGETTING = RECENT_SHARE**2 / (1.0 - RECENT_SHARE)


@dataclass(slots=True)
class Running:
    """Where this pass puts a thing just now."""

    last: Sighting
    bias_sigma_m: float  # of the last look, its largest axis
    east_m: float
    north_m: float
    covariance: Covariance2

    def follow(self, look: Look, drift: Covariance2) -> None:
        """Move towards a look: the further, the more its bias may have moved."""
        sighting = look.sighting
        predicted = add(self.covariance, add(drift, scale(look.gate_noise, FORGETTING)))
        known, new = inverse(predicted), inverse(look.gate_noise)
        covariance = inverse(add(known, new))
        east_m, north_m = times(new, sighting.east_m - self.east_m, sighting.north_m - self.north_m)
        east_m, north_m = times(covariance, east_m, north_m)
        self.east_m += east_m
        self.north_m += north_m
        self.covariance = covariance
        self.last, self.bias_sigma_m = sighting, look.bias_sigma_m


@dataclass(frozen=True, slots=True)
class Settled:
    """What finished passes say, as it is kept on disk."""

    fused: Fused
    passes: int  # those that `fused` is made of
    disagreement: float  # chi-square of each pass against those before it, summed


class Whereabouts:
    """The place of one thing: constant memory however often it is seen."""

    def __init__(self, memory: Memory, settled: Settled | None = None) -> None:
        self.running: Running | None = None
        self.earlier: Estimate | None = None  # by the passes before this one
        self._memory = memory
        self._fused: Fused | None = None
        self._passes = 0  # finished ones
        self._disagreement = 0.0
        if settled is not None:
            self._fused, self._passes = settled.fused, settled.passes
            self._disagreement = settled.disagreement
            self.earlier = settled.fused.estimate

    @property
    def fused(self) -> Fused:
        """The place, with what it errs by in common with the next look."""
        if self._fused is None:
            raise ValueError("what was never looked at has no place")
        return self._fused

    def add(self, look: Look, mono_ns: int, trust: float, drift: Covariance2) -> None:
        """Take in a look.

        Args:
            look: The look with its noise, which must be positive definite.
            mono_ns: When it was taken.
            trust: 0 to 1, below 1 for a look that lies far from the others.
            drift: How far the bias may have moved since the last look of this pass, m².
        """
        if self._fused is None:
            self._fused = fused_from(look, trust, mono_ns)
        else:
            self._fused = self._fused.with_look(look, trust, mono_ns, self._memory)
        if self.running is None:
            one = look.sighting
            self.running = Running(one, look.bias_sigma_m, one.east_m, one.north_m, look.gate_noise)
        else:
            self.running.follow(look, drift)

    def close_pass(self) -> None:
        """End the current pass; the next look begins another."""
        if self.running is not None:
            settled = self.settled()
            self._passes, self._disagreement = settled.passes, settled.disagreement
            self.earlier, self.running = self.fused.estimate, None

    def settled(self) -> Settled:
        """Return what all passes say, as if the current one were closed."""
        return Settled(
            self.fused,
            self._passes + (self.running is not None),
            self._disagreement + self._chi2(),
        )

    def _chi2(self) -> float:
        """Return how far this pass lies from the earlier ones, in sigmas squared."""
        running, earlier = self.running, self.earlier
        if running is None or earlier is None:
            return 0.0
        whole = add(earlier.covariance, add(running.covariance, running.last.shared_covariance))
        gap = (running.east_m - earlier.east_m, running.north_m - earlier.north_m)
        return quadratic(inverse(whole), *gap)

    def estimate(self) -> Estimate:
        """Return the place by all looks; needs at least one.

        Passes that disagree by more than their errors allow (two standard deviations of
        chi-square) widen the result in proportion.
        """
        fused = self.fused.estimate
        excess = self._excess()
        if excess <= 1.0:
            return fused
        return Estimate(fused.east_m, fused.north_m, scale(fused.covariance, excess))

    def estimate_with(self, look: Look, mono_ns: int) -> Covariance2:
        """Return the covariance after one more look that disagrees with nothing."""
        fused = self.fused.with_look(look, 1.0, mono_ns, self._memory)
        return scale(fused.covariance, max(1.0, self._excess()))

    def _excess(self) -> float:
        """Return by how much the passes disagree more than their errors allow; 1 is the most."""
        freedom = 2 * (self._passes + (self.running is not None) - 1)
        if freedom < 2:
            return 0.0
        allowed = freedom + 2.0 * math.sqrt(2.0 * freedom)
        return (self._disagreement + self._chi2()) / allowed

    def move_back(self, by_ns: int) -> None:
        """Learn that the finished passes were longer ago; right only before the first new look."""
        fused = self.fused
        self._fused = Fused(
            fused.east_m, fused.north_m, fused.covariance, fused.shared_m, fused.mono_ns - by_ns
        )

    def take(self, other: Whereabouts) -> None:
        """Take over the looks of another record of the same thing."""
        self._fused = self.fused.joined(other.fused, self._memory)
        self.earlier = self.earlier or other.earlier
        self._passes += other._passes
        self._disagreement += other._disagreement
        mine, its = self.running, other.running
        if mine is None or (
            its is not None and its.last.captured_mono_ns > mine.last.captured_mono_ns
        ):
            self.running = its


def no_narrower(covariance: Covariance2, sigma_m: float) -> Covariance2:
    """Widen a covariance, where it is narrower than a circle of one sigma, to that."""
    floor = sigma_m * sigma_m
    over_e, over_n = covariance[0] - floor, covariance[2] - floor
    if over_e >= 0.0 and over_n >= 0.0 and over_e * over_n >= covariance[1] * covariance[1]:
        return covariance  # mostly
    larger, smaller = eigenvalues(covariance)
    if larger <= floor:
        return isotropic(sigma_m)
    # Raise the smaller eigenvalue alone: v v' of its axis is (larger·I − covariance) / gap.
    share = (floor - smaller) / (larger - smaller)
    rest = add((larger, 0.0, larger), scale(covariance, -1.0))
    return add(covariance, scale(rest, share))
