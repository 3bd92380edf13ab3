"""How looks add up to a place, when what they err by is partly the same.

A look's place is truth + Σ c·b + noise.  The noise (`Look.noise`) is drawn anew for each look.
Each b is one shared source in units of its sigma (heading, boresight, height, GNSS ...), and c
(`Sighting.shared_errors_m`) says how far, and which way, one unit of it puts this look.  A source
changes slowly into another draw of itself, each at its pace (`Memory`).

So we keep, beside the place and its covariance P, how the place's own error goes with each source
as it is now: C, one displacement a source.  That is a Kalman filter that considers the sources
without solving for them.  From C and a look's c follows what the look has in common with all
earlier ones, D = Σ C c'.  Fifty looks from one side have nearly all in common and gain nothing;
a look from the other side has a negative share in common, and the two cancel; a steep look takes
over from flat ones.  Passes and flights need no rules of their own: time alone parts them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import mul
from typing import Final

from edge.patrol.covariance import add, determinant, inverse
from edge.patrol.look import Look
from edge.patrol.memory import Memory
from edge.records import Covariance2

Columns = tuple[tuple[float, ...], tuple[float, ...]]  # to the east, to the north; by source


@dataclass(frozen=True, slots=True)
class Estimate:
    """A place and its error, in the district's plane."""

    east_m: float
    north_m: float
    covariance: Covariance2


@dataclass(frozen=True, slots=True)
class Fused:
    """A place by all looks so far."""

    east_m: float
    north_m: float
    covariance: Covariance2  # P
    shared_m: Columns  # C
    mono_ns: int  # when the sources were as C has them

    @property
    def estimate(self) -> Estimate:
        return Estimate(self.east_m, self.north_m, self.covariance)

    def with_look(self, look: Look, trust: float, mono_ns: int, memory: Memory) -> Fused:
        """Take in a look.

        Args:
            look: With its noise, which must be positive definite.
            trust: 0 to 1, below 1 for a look that lies far from the others.
            mono_ns: When it was taken.
            memory: How long the sources last.
        """
        return self.joined(fused_from(look, trust, mono_ns), memory)

    def joined(self, other: Fused, memory: Memory) -> Fused:
        """Take in another place of the same thing, with what it has in common with this one."""
        mine_e, mine_n = self.shared_m
        its_e, its_n = other.shared_m
        since_ns = other.mono_ns - self.mono_ns
        if since_ns > 0:
            kept = memory.kept(since_ns)
            mine_e, mine_n = tuple(map(mul, mine_e, kept)), tuple(map(mul, mine_n, kept))
        elif since_ns < 0:
            kept = memory.kept(-since_ns)
            its_e, its_n = tuple(map(mul, its_e, kept)), tuple(map(mul, its_n, kept))
        common = (
            sum(map(mul, mine_e, its_e)),
            sum(map(mul, mine_e, its_n)),
            sum(map(mul, mine_n, its_e)),
            sum(map(mul, mine_n, its_n)),
        )
        gain = _gain(self.covariance, other.covariance, common)
        k00, k01, k10, k11 = gain
        a00, a11 = 1.0 - k00, 1.0 - k11
        east_m, north_m = other.east_m - self.east_m, other.north_m - self.north_m
        columns = list(zip(mine_e, mine_n, its_e, its_n, strict=True))
        return Fused(
            self.east_m + k00 * east_m + k01 * north_m,
            self.north_m + k10 * east_m + k11 * north_m,
            _mixed(self.covariance, other.covariance, common, gain),
            (  # lists first: a third quicker than tuples of generators
                tuple([a00 * ce - k01 * cn + k00 * e + k01 * n for ce, cn, e, n in columns]),
                tuple([a11 * cn - k10 * ce + k10 * e + k11 * n for ce, cn, e, n in columns]),
            ),
            max(self.mono_ns, other.mono_ns),
        )


def fused_from(look: Look, trust: float, mono_ns: int) -> Fused:
    """Return the place by one look alone."""
    sighting = look.sighting
    noise = look.noise
    if trust < 1.0:
        noise = (noise[0] / trust, noise[1] / trust, noise[2] / trust)
    whole = add(noise, sighting.shared_covariance)
    return Fused(sighting.east_m, sighting.north_m, whole, sighting.shared_errors_m, mono_ns)


_SAME: Final = 1e-13  # of a squared trace: what rounding leaves of a determinant of zero
_Matrix = tuple[float, float, float, float]  # row by row


def _gain(mine: Covariance2, its: Covariance2, common: _Matrix) -> _Matrix:
    """Return how far the place goes towards the other one, by axis.

    What both have in common neither can mend, so each counts by the rest of its error.  Where
    more is in common than one of them errs at all, the other is the same but worse; extrapolating
    from it would be best if the budget were exact, and is refused because none is.
    """
    d00, d01, d10, d11 = common
    both = (d00, 0.5 * (d01 + d10), d11)
    kept = 1.0 / max(1.0, _most(mine, both), _most(its, both))
    d00, d01, d10, d11 = kept * d00, kept * d01, kept * d10, kept * d11
    p0, p1, p2 = mine
    apart = (p0 + its[0] - 2.0 * d00, p1 + its[1] - d01 - d10, p2 + its[2] - 2.0 * d11)
    if determinant(apart) <= _SAME * (apart[0] + apart[2]) ** 2:
        return (0.0, 0.0, 0.0, 0.0)  # all errors are common: the other one knows nothing more
    r0, r1, r2 = inverse(apart)
    a00, a01, a10, a11 = p0 - d00, p1 - d01, p1 - d10, p2 - d11
    return (a00 * r0 + a01 * r1, a00 * r1 + a01 * r2, a10 * r0 + a11 * r1, a10 * r1 + a11 * r2)


def _most(whole: Covariance2, part: Covariance2) -> float:
    """Return the largest ratio of a symmetric matrix to a positive definite one, over all axes."""
    area = determinant(whole)
    half = 0.5 * (whole[2] * part[0] - 2.0 * whole[1] * part[1] + whole[0] * part[2]) / area
    return half + math.sqrt(max(half * half - determinant(part) / area, 0.0))


def _mixed(mine: Covariance2, its: Covariance2, common: _Matrix, gain: _Matrix) -> Covariance2:
    """Return the covariance of the mean that a gain makes: A P A' + K V K' + A D K' + (A D K')'.

    Exact for any gain, so the place need not be the best one for the error to be right.
    """
    k00, k01, k10, k11 = gain
    a00, a01, a10, a11 = 1.0 - k00, -k01, -k10, 1.0 - k11
    p0, p1, p2 = mine
    v0, v1, v2 = its
    d00, d01, d10, d11 = common
    # Rows of A P + K D' and of K V + A D; P' = (first) A' + (second) K'.
    f00 = a00 * p0 + a01 * p1 + k00 * d00 + k01 * d01
    f01 = a00 * p1 + a01 * p2 + k00 * d10 + k01 * d11
    f10 = a10 * p0 + a11 * p1 + k10 * d00 + k11 * d01
    f11 = a10 * p1 + a11 * p2 + k10 * d10 + k11 * d11
    s00 = k00 * v0 + k01 * v1 + a00 * d00 + a01 * d10
    s01 = k00 * v1 + k01 * v2 + a00 * d01 + a01 * d11
    s10 = k10 * v0 + k11 * v1 + a10 * d00 + a11 * d10
    s11 = k10 * v1 + k11 * v2 + a10 * d01 + a11 * d11
    return (
        f00 * a00 + f01 * a01 + s00 * k00 + s01 * k01,
        0.5
        * (
            f00 * a10 + f01 * a11 + s00 * k10 + s01 * k11
            + f10 * a00 + f11 * a01 + s10 * k00 + s11 * k01
        ),
        f10 * a10 + f11 * a11 + s10 * k10 + s11 * k11,
    )  # fmt: skip
