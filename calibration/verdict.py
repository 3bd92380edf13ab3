"""Whether a flight says how the camera sits: what it constrains, and what to fly where it does not.

Along one heading a camera that looks too far ahead shows every picture shifted alike: nothing
disagrees.  Only ground that is seen from another side tells.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from calibration.boresight import Solution, Wanted
from calibration.overlap import TURNED_RAD, Pair
from edge.errors import UnconstrainedError

# An angle that is less sure than this is no better than a mount that was built with care.
MAX_SIGMA_DEG = 1.0
MAX_SIGMA_S = 0.05
MIN_CROSSINGS = 3  # pairs of other headings; fewer hang on one picture's own error
PATTERN = (
    "fly lines at one height, each there and back, and the same again across them, "
    "over flat ground with texture"
)
ANGLES = ("roll", "pitch", "yaw")


@dataclass(frozen=True, slots=True)
class Finding:
    """One unknown: its value, its sigma, and whether the flight says it."""

    name: str
    value: float
    sigma: float
    unit: str
    why_not: str = ""  # and what to fly instead; "": it is constrained

    def __str__(self) -> str:
        digits = 3 if self.unit == "s" else 2
        told = f"{self.name:<8}{self.value:+8.{digits}f} ± {self.sigma:.{digits}f} {self.unit}"
        return told + ("   not constrained by this flight" if self.why_not else "")


def findings(
    solution: Solution, wanted: Wanted, pairs: Sequence[Pair] | None
) -> tuple[Finding, ...]:
    """Judge every unknown that was solved.

    Args:
        solution: Of the flight.
        wanted: What was solved beside the angles.
        pairs: Of pictures that were tied; None: the points are surveyed.
    """
    return tuple(_findings(solution, wanted, pairs))


def _findings(
    solution: Solution, wanted: Wanted, pairs: Sequence[Pair] | None
) -> Iterator[Finding]:
    is_one_heading = pairs is not None and (
        sum(pair.turned_rad > TURNED_RAD for pair in pairs) < MIN_CROSSINGS
    )
    for name, value, sigma_rad in zip(
        ANGLES, solution.boresight_deg, solution.sigmas_rad.tolist(), strict=True
    ):
        sigma = math.degrees(sigma_rad)
        why = ""
        if is_one_heading:
            why = "no ground is seen from another heading; " + PATTERN
        elif sigma > MAX_SIGMA_DEG:
            why = _too_loose(wanted, pairs)
        yield Finding(name, value, sigma, "°", why)
    if wanted.heading:
        sigma = math.degrees(solution.heading_sigma_rad)
        why = "" if sigma <= MAX_SIGMA_DEG else _TWO_PITCHES
        yield Finding("heading", math.degrees(solution.heading_rad), sigma, "°", why)
    if wanted.time:
        sigma = solution.offset_sigma_s
        why = "" if sigma <= MAX_SIGMA_S else _BRAKE
        yield Finding("time", solution.offset_s, sigma, "s", why)


_BRAKE = "speed up and brake on the lines, and take pictures in the turns at their ends, too"
_TWO_PITCHES = (
    "a compass error and a camera turned about its axis look the same at one pitch of the camera; "
    "fly the pattern straight down and once more at -45 degrees"
)


def _too_loose(wanted: Wanted, pairs: Sequence[Pair] | None) -> str:
    if wanted.heading:
        return _TWO_PITCHES
    if pairs is None:
        return "survey more points, in more pictures, minutes apart"
    return "fly the pattern longer, with lines at least two heights long: drifts average out"


def refuse_unconstrained(told: Sequence[Finding], where: str) -> None:
    """Refuse a flight that leaves an unknown open.

    Raises:
        UnconstrainedError: It says which, and what to fly instead.
    """
    loose = [one for one in told if one.why_not]
    if loose:
        names = ", ".join(one.name for one in loose)
        raise UnconstrainedError(f"{where}: does not constrain {names}: {loose[0].why_not}")
