"""How far the bias that the looks of a pass share moves from one look to the next."""

from __future__ import annotations

import math

from edge.patrol.covariance import add, eigenvalues, isotropic, scale
from edge.records import Covariance2, Sighting

# Pairs remembered at once: more than a frame has of boxes beside incidents, mostly.
PAIRS_KEPT = 256


class Drifts:
    """Turn and drift between two looks, worked out once a pair: a frame asks three times.

    For the shift between passes, for the fit, and for the fusion.  Incidents share one, and clear
    it with each frame: sightings that were remembered longer would fill the memory.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[Sighting, Sighting, float, Covariance2]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def between(self, last: Sighting, now: Sighting) -> tuple[float, Covariance2]:
        """Return how far the view has turned (see `turned`), and the bias may have moved, m²."""
        key = (id(last), id(now))  # theirs as long as they are kept here
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= PAIRS_KEPT:
                self._known.clear()
            turn = turned(last, now)
            known = self._known[key] = (last, now, turn, drift(last, now, turn))
        return known[2:]

    def clear(self) -> None:
        """Forget all pairs, and let go of their sightings."""
        self._known.clear()


def turned(last: Sighting, now: Sighting) -> float:
    """Return how far the line of sight has turned: 0 not at all, or straight down; 1 a quarter."""
    turn_rad = math.radians(now.bearing_deg - last.bearing_deg)
    return (1.0 - math.cos(turn_rad)) * flatness(now, last)


def drift(last: Sighting, now: Sighting, turn: float) -> Covariance2:
    """Return how far the bias may have moved between two looks of a pass, m².

    It turns with the bearing: not at all when looking the same way or straight down, all of it from
    a quarter turn on.  And it shrinks as the same tilt and height are seen more steeply.
    """
    before_m = math.sqrt(eigenvalues(last.shared_covariance)[0])
    after_m = math.sqrt(eigenvalues(now.shared_covariance)[0])
    moved = scale(add(now.shared_covariance, last.shared_covariance), turn)
    return add(moved, isotropic(after_m - before_m))


def flatness(a: Sighting, b: Sighting) -> float:
    """Return 0 when looking straight down, near 1 when looking flat."""
    return max(math.cos(math.radians(min(a.depression_deg, b.depression_deg))), 0.0)
