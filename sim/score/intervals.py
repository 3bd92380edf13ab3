"""How far a figure may wander by chance alone: intervals, and what counts as a fall.

A share of counts has Wilson's interval, a rate Byar's (of a Poisson count), a median the ranks that
a binomial allows around it.  Two figures differ when their difference is larger than their two
intervals together allow (Newcombe 1998, "hybrid score" method; Zou and Donner 2008 for other
figures): `d > sqrt((a - lower_a)² + (upper_b - b)²)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and the interval that its own noise leaves it."""

    value: float
    lower: float
    upper: float

    def __post_init__(self) -> None:
        if not self.lower <= self.value <= self.upper:  # also refuses NaN
            raise ValueError(f"need lower <= value <= upper, got {self}")


def sigmas_of(confidence: float) -> float:
    """Return how many sigmas bound a figure on one side with this confidence.

    Args:
        confidence: Of a one-sided statement, above 0.5 and below 1.

    Raises:
        ValueError: It is neither.
    """
    if not 0.5 < confidence < 1.0:
        raise ValueError(f"confidence must be in (0.5, 1), got {confidence}")
    return NormalDist().inv_cdf(confidence)


def share(hits: int, of: int, sigmas: float) -> Estimate | None:
    """Return hits / of with Wilson's interval; None of nothing."""
    if of == 0:
        return None
    value, z2 = hits / of, sigmas * sigmas
    middle = (value + z2 / (2 * of)) / (1 + z2 / of)
    half = sigmas / (1 + z2 / of) * math.sqrt(value * (1 - value) / of + z2 / (4 * of * of))
    # At 0 and 1 the interval begins at the value itself; rounding must not move it past.
    return Estimate(value, min(value, max(0.0, middle - half)), max(value, min(1.0, middle + half)))


def rate(count: int, per: float, sigmas: float) -> Estimate | None:
    """Return count / per with Byar's interval of a Poisson count; None of no time."""
    if not per > 0.0:
        return None
    value = count / per
    lower = count * _byar(count, -sigmas) / per if count else 0.0
    upper = (count + 1) * _byar(count + 1, sigmas) / per
    return Estimate(value, min(value, max(0.0, lower)), max(value, upper))


def _byar(count: int, sigmas: float) -> float:
    return (1.0 - 1.0 / (9.0 * count) + sigmas / (3.0 * math.sqrt(count))) ** 3


def quantile(values: Sequence[float], q: float, sigmas: float) -> Estimate | None:
    """Return the q-quantile with the values whose ranks a binomial allows; None of nothing."""
    if not values:
        return None
    ordered, n = np.sort(np.asarray(values, float)), len(values)
    half = sigmas * math.sqrt(n * q * (1 - q))
    low = ordered[max(0, math.floor(n * q - half) - 1)]
    high = ordered[min(n - 1, math.ceil(n * q + half))]
    value = float(np.quantile(ordered, q))
    return Estimate(value, min(value, float(low)), max(value, float(high)))


def fall_allowed(before: Estimate, now: Estimate) -> float:
    """Return how much lower `now` may be than `before` by chance alone."""
    return math.hypot(before.value - before.lower, now.upper - now.value)


def rise_allowed(before: Estimate, now: Estimate) -> float:
    """Return how much higher `now` may be than `before` by chance alone."""
    return math.hypot(before.upper - before.value, now.value - now.lower)
