"""How far all places of a pass lie from where earlier passes put them.

The bias of a pass is common to all that it shows.  So when a frame shows several known things,
the one shift that brings most of them onto their earlier places tells which is which, where each
by itself might be taken for its neighbour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.config import AssociationConfig
from edge.patrol.association import gated
from edge.patrol.covariance import add
from edge.patrol.dossier import NO_SHIFT, Dossier, Shift
from edge.patrol.look import Look

# Offsets this many minimal gates apart still speak for the same shift: the bias of the earlier
# passes was not quite the same for all of their places.
AGREE_GATES = 1.5
MAX_HYPOTHESES = 64
# What the shift of the frames before is worth: at most as many votes, less with each frame.
MAX_MEMORY = 3.0
MEMORY_KEPT = 0.9
MEMORY_NS = 5_000_000_000


@dataclass(frozen=True, slots=True)
class Offset:
    """From an incident's earlier place to a look that may be of it, m."""

    east_m: float
    north_m: float
    strangeness: float  # 0: as expected without any shift, 1: at the gate


def offsets(
    look: Look, near: Sequence[Dossier], mono_ns: int, config: AssociationConfig
) -> list[Offset]:
    """Return the shifts that a look speaks for: by its incident, or by each that it may be of."""
    sighting = look.sighting
    possible: list[Offset] = []
    for dossier in near:
        expected = dossier.expected(look, mono_ns)
        east_m = sighting.east_m - expected.east_m
        north_m = sighting.north_m - expected.north_m
        cost = gated(east_m, north_m, add(expected.covariance, look.gate_noise), config)
        if cost >= 1.0:
            continue
        if not dossier.is_same_view(sighting, mono_ns):
            possible.append(Offset(east_m, north_m, cost))
            continue
        earlier = dossier.place.earlier
        if earlier is None:
            return []  # known by this pass only
        return [Offset(sighting.east_m - earlier.east_m, sighting.north_m - earlier.north_m, 0.0)]
    return possible


class PassShift:
    """Follows the common shift of one camera from frame to frame."""

    def __init__(self, config: AssociationConfig) -> None:
        self._agree2_m2 = (AGREE_GATES * config.min_gate_m) ** 2
        self._last = NO_SHIFT
        self._last_ns = 0

    def of_frame(self, votes: Sequence[Sequence[Offset]], mono_ns: int) -> Shift:
        """Return the shift that most looks of a frame agree on, with what came before.

        Args:
            votes: For each look, the shifts that it speaks for.
            mono_ns: When the frame was captured.
        """
        memory = self._memory(mono_ns)
        spoken = [one for one in votes if one]
        if not spoken:
            return memory
        tried = [one for look in spoken for one in look][:MAX_HYPOTHESES]
        if memory.votes:
            tried.append(Offset(memory.east_m, memory.north_m, 0.0))
        best = max(tried, key=lambda one: self._support(one, spoken, memory))
        shift = self._mean_around(best, spoken, memory)
        if shift.votes:
            self._last, self._last_ns = shift, mono_ns
        return shift

    def _memory(self, mono_ns: int) -> Shift:
        if not self._last.votes or abs(mono_ns - self._last_ns) > MEMORY_NS:
            return NO_SHIFT
        votes = min(self._last.votes * MEMORY_KEPT, MAX_MEMORY)
        return Shift(self._last.east_m, self._last.north_m, votes)

    def _agreement(self, a: Offset | Shift, b: Offset | Shift) -> float:
        gap2 = (a.east_m - b.east_m) ** 2 + (a.north_m - b.north_m) ** 2
        return max(0.0, 1.0 - gap2 / self._agree2_m2)

    def _support(self, tried: Offset, spoken: Sequence[Sequence[Offset]], memory: Shift) -> float:
        votes = sum(max(self._agreement(tried, one) for one in look) for look in spoken)
        return votes + memory.votes * self._agreement(tried, memory) - tried.strangeness

    def _mean_around(
        self, best: Offset, spoken: Sequence[Sequence[Offset]], memory: Shift
    ) -> Shift:
        closest = [max(look, key=lambda one: self._agreement(best, one)) for look in spoken]
        weighted = [(self._agreement(best, one), one.east_m, one.north_m) for one in closest]
        kept = memory.votes * self._agreement(best, memory)
        weighted.append((kept, memory.east_m, memory.north_m))
        total = sum(weight for weight, _, _ in weighted)
        # The first vote is the hypothesis agreeing with itself, unless others were there before.
        votes = total - (0.0 if kept else 1.0)
        if votes <= 0.0:
            return NO_SHIFT
        return Shift(
            sum(weight * east_m for weight, east_m, _ in weighted) / total,
            sum(weight * north_m for weight, _, north_m in weighted) / total,
            votes,
        )
