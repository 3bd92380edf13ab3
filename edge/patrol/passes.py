"""What the looks of one pass say together, and how passes add up.

A look's place is truth + bias + noise.  The noise (`look_covariance`) is drawn anew for each look
and averages out.  The bias (`shared_covariance`: heading, boresight, height, GNSS) is one draw for
the whole pass, so a hundred looks from one side know the place no better than the bias allows.
What shrinks it is another direction of view: errors of heading, height and tilt move the place
along or across the line of sight, and turn with it, whereas a GNSS error stays where it is.

How much of the bias turns is not told.  We take the share that stays as large as the matrix
allows (its smaller eigenvalue, all round); only the excess above it turns, and averages over the
bearings as their mean resultant length does: 1 from one side, 2/π over a half circle, 0 over an
orbit.  So the result errs towards a larger ellipse.  Biases of different passes count as
independent.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.patrol.covariance import (
    ZERO,
    add,
    eigenvalues,
    inverse,
    isotropic,
    quadratic,
    scale,
    times,
    to_view,
)
from edge.patrol.look import Look
from edge.records import Covariance2, Sighting

# The newest look's share in the running place that the next look is compared with settles here
# while the bias stands still; the fused place does not forget.
RECENT_SHARE = 0.25
# Noise by which the running place grows vaguer with each look, as a share of the look's: with it
# a Kalman filter's gain settles at `RECENT_SHARE`.
FORGETTING = RECENT_SHARE**2 / (1.0 - RECENT_SHARE)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A place and its error, in the district's plane."""

    east_m: float
    north_m: float
    covariance: Covariance2


class PassFusion:
    """The looks of one pass over one thing."""

    def __init__(self) -> None:
        self.looks = 0
        self.last: Sighting | None = None
        self.recent_east_m = 0.0
        self.recent_north_m = 0.0
        self.recent_covariance: Covariance2 = ZERO
        self._information: Covariance2 = ZERO
        self._moment = (0.0, 0.0)  # information × place, summed
        self._weight = 0.0
        self._turned = (0.0, 0.0)  # weight × (sin, cos) of the bearing, summed
        self._staying = 0.0  # weight × variance of the bias that does not turn, summed
        self._turning: Covariance2 = ZERO  # weight × the excess, (along, across), summed

    def add(self, look: Look, trust: float, drift: Covariance2 = ZERO) -> None:
        """Take in one look.

        Args:
            look: The look with its noise, which must be positive definite.
            trust: 0 to 1, below 1 for a look that lies far from the others.
            drift: How far the bias may have moved since the last look, m².
        """
        sighting = look.sighting
        information = scale(inverse(look.noise), trust)
        moment = times(information, sighting.east_m, sighting.north_m)
        self._information = add(self._information, information)
        self._moment = (self._moment[0] + moment[0], self._moment[1] + moment[1])
        self._add_bias(sighting, trust / (look.noise[0] + look.noise[2]))
        self.looks += 1
        self._follow(look, drift)
        self.last = sighting

    def _follow(self, look: Look, drift: Covariance2) -> None:
        """Move the running place towards a look: the further, the more its bias may have moved."""
        sighting = look.sighting
        if self.looks == 1:
            self.recent_east_m, self.recent_north_m = sighting.east_m, sighting.north_m
            self.recent_covariance = look.gate_noise
            return
        predicted = add(self.recent_covariance, add(drift, scale(look.gate_noise, FORGETTING)))
        known, new = inverse(predicted), inverse(look.gate_noise)
        covariance = inverse(add(known, new))
        east_m, north_m = times(
            new, sighting.east_m - self.recent_east_m, sighting.north_m - self.recent_north_m
        )
        east_m, north_m = times(covariance, east_m, north_m)
        self.recent_east_m += east_m
        self.recent_north_m += north_m
        self.recent_covariance = covariance

    def _add_bias(self, sighting: Sighting, weight: float) -> None:
        bearing_rad = math.radians(sighting.bearing_deg)
        shared = sighting.shared_covariance
        staying = eigenvalues(shared)[1]
        excess = (shared[0] - staying, shared[1], shared[2] - staying)
        self._turning = add(self._turning, scale(to_view(excess, bearing_rad), weight))
        self._staying += weight * staying
        self._turned = (
            self._turned[0] + weight * math.sin(bearing_rad),
            self._turned[1] + weight * math.cos(bearing_rad),
        )
        self._weight += weight

    @property
    def shared_covariance(self) -> Covariance2:
        """The bias that is left after averaging over the bearings, m²."""
        east, north = self._turned
        resultant2 = min((east * east + north * north) / (self._weight * self._weight), 1.0)
        turning = to_view(scale(self._turning, resultant2 / self._weight), math.atan2(east, north))
        return add(isotropic(math.sqrt(self._staying / self._weight)), turning)

    def estimate(self) -> Estimate:
        """Return the weighted mean of the looks, with noise and bias."""
        noise = inverse(self._information)
        east, north = times(noise, *self._moment)
        return Estimate(east, north, add(noise, self.shared_covariance))

    @property
    def _captured_mono_ns(self) -> int:
        return self.last.captured_mono_ns if self.last is not None else 0

    def take(self, other: PassFusion) -> None:
        """Add the looks of another record of the same pass over the same thing."""
        newest = other if other._captured_mono_ns > self._captured_mono_ns else self
        self.last = newest.last
        self.recent_east_m, self.recent_north_m = newest.recent_east_m, newest.recent_north_m
        self.recent_covariance = newest.recent_covariance
        self._information = add(self._information, other._information)
        self._moment = (self._moment[0] + other._moment[0], self._moment[1] + other._moment[1])
        self._weight += other._weight
        self._turned = (self._turned[0] + other._turned[0], self._turned[1] + other._turned[1])
        self._staying += other._staying
        self._turning = add(self._turning, other._turning)
        self.looks += other.looks


@dataclass(frozen=True, slots=True)
class Settled:
    """Finished passes, folded together: information adds, so memory does not grow with passes."""

    passes: int = 0
    information: Covariance2 = ZERO
    moment_east: float = 0.0
    moment_north: float = 0.0
    square: float = 0.0  # Σ x' I x, from which the disagreement of the passes follows

    def with_pass(self, estimate: Estimate) -> Settled:
        """Fold in one more pass."""
        information = inverse(estimate.covariance)
        east, north = times(information, estimate.east_m, estimate.north_m)
        return Settled(
            self.passes + 1,
            add(self.information, information),
            self.moment_east + east,
            self.moment_north + north,
            self.square + quadratic(information, estimate.east_m, estimate.north_m),
        )

    def joined(self, other: Settled) -> Settled:
        """Fold in the passes of another record of the same thing."""
        return Settled(
            self.passes + other.passes,
            add(self.information, other.information),
            self.moment_east + other.moment_east,
            self.moment_north + other.moment_north,
            self.square + other.square,
        )

    def estimate(self) -> Estimate:
        """Return the weighted mean of the passes; needs at least one.

        Passes that disagree by more than their errors allow (two standard deviations of
        chi-square) widen the result in proportion.
        """
        covariance = inverse(self.information)
        east, north = times(covariance, self.moment_east, self.moment_north)
        freedom = 2 * (self.passes - 1)
        if freedom:
            chi2 = self.square - quadratic(self.information, east, north)
            allowed = freedom + 2.0 * math.sqrt(2.0 * freedom)
            covariance = scale(covariance, max(1.0, chi2 / allowed))
        return Estimate(east, north, covariance)
