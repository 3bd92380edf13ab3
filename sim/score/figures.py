"""From counts to figures: one tally, whatever it is taken over (a class, a flight, all)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sim.score.intervals import Estimate, quantile, rate, share
from sim.score.matching import Match, Score

# What an alert's ellipse claims (DESIGN: the 90 % ellipse).
ELLIPSE_PROBABILITY = 0.9


@dataclass(frozen=True, slots=True)
class Tally:
    """What was counted.  Two tallies add up."""

    truths: int = 0
    found: int = 0
    alerts: int = 0
    right: int = 0  # on a thing of their class; also on one that was barely shown
    duplicates: int = 0
    false_alarms: int = 0
    ellipse_hits: int = 0
    errors_m: tuple[float, ...] = ()
    flight_h: float = 0.0
    causes: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        if self.right + self.duplicates + self.false_alarms != self.alerts:
            raise ValueError(f"alerts do not add up: {self}")
        if not 0 <= self.found <= self.truths:
            raise ValueError(f"truths do not add up: {self}")

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            truths=self.truths + other.truths,
            found=self.found + other.found,
            alerts=self.alerts + other.alerts,
            right=self.right + other.right,
            duplicates=self.duplicates + other.duplicates,
            false_alarms=self.false_alarms + other.false_alarms,
            ellipse_hits=self.ellipse_hits + other.ellipse_hits,
            errors_m=self.errors_m + other.errors_m,
            flight_h=self.flight_h + other.flight_h,
            causes=self.causes + other.causes,
        )

    @property
    def missed(self) -> int:
        return self.truths - self.found


def tally(score: Score, flight_h: float, label: str | None = None) -> Tally:
    """Count one flight's score; only of one class where `label` names it."""

    def is_wanted(name: str) -> bool:
        return label is None or name == label

    matches = [m for m in score.matches if is_wanted(m.alert.label)]
    missed = sum(is_wanted(thing.label) for thing in score.missed)
    right = [m for m in matches if _is_right(m)]
    found = sum(1 for m in right if m.truth is not None and m.truth.is_shown)
    causes = Counter(m.cause for m in matches if m.cause is not None)
    return Tally(
        truths=found + missed,
        found=found,
        alerts=len(matches),
        right=len(right),
        duplicates=sum(m.is_duplicate for m in matches),
        false_alarms=causes.total(),
        ellipse_hits=sum(bool(m.is_inside_ellipse) for m in right),
        errors_m=tuple(m.error_m for m in right if m.error_m is not None),
        flight_h=flight_h,
        causes=causes,
    )


def _is_right(match: Match) -> bool:
    return match.truth is not None and not match.is_duplicate


def total(tallies: Iterable[Tally]) -> Tally:
    """Add tallies up."""
    return sum(tallies, Tally())


# The figures that a tally gives, in the order in which they are told, and what is better.
HIGHER, LOWER = "higher", "lower"
FIGURES = {
    "recall": HIGHER,
    "precision": HIGHER,
    "false_alarms_per_h": LOWER,
    "false_cases_per_100": LOWER,
    "duplicates_per_100": LOWER,
    "geotag_median_m": LOWER,
    "geotag_p90_m": LOWER,
    "ellipse_hit_rate": HIGHER,
}


def estimates(counted: Tally, sigmas: float) -> dict[str, Estimate | None]:
    """Return every figure of `FIGURES` with its interval; None where there is nothing to rate."""
    n_placed = len(counted.errors_m)
    return {
        "recall": share(counted.found, counted.truths, sigmas),
        "precision": share(counted.right, counted.alerts, sigmas),
        "false_alarms_per_h": rate(counted.false_alarms, counted.flight_h, sigmas),
        "false_cases_per_100": _per_100(share(counted.false_alarms, counted.alerts, sigmas)),
        "duplicates_per_100": _per_100(share(counted.duplicates, counted.alerts, sigmas)),
        "geotag_median_m": quantile(counted.errors_m, 0.5, sigmas),
        "geotag_p90_m": quantile(counted.errors_m, 0.9, sigmas),
        "ellipse_hit_rate": share(counted.ellipse_hits, n_placed, sigmas),
    }


def _per_100(estimate: Estimate | None) -> Estimate | None:
    if estimate is None:
        return None
    return Estimate(100 * estimate.value, 100 * estimate.lower, 100 * estimate.upper)


def plain(counted: Tally) -> dict[str, Any]:
    """Return a tally as JSON: its figures, and the counts that they come from."""
    figures = {
        name: None if estimate is None else round(estimate.value, 4)
        for name, estimate in estimates(counted, sigmas=1.0).items()
    }
    counts = {
        "truths": counted.truths,
        "found": counted.found,
        "missed": counted.missed,
        "alerts": counted.alerts,
        "right": counted.right,
        "duplicates": counted.duplicates,
        "false_alarms": counted.false_alarms,
        "ellipse_hits": counted.ellipse_hits,
        "flight_h": round(counted.flight_h, 5),
        "geotag_errors_m": sorted(round(error, 3) for error in counted.errors_m),
    }
    return {**figures, **counts, "by_cause": dict(counted.causes.most_common())}


def tally_from_plain(table: dict[str, Any]) -> Tally:
    """Read a tally back from what `plain` wrote.

    Raises:
        KeyError, TypeError, ValueError: It is not such a table.
    """
    errors: Sequence[float] = table["geotag_errors_m"]
    return Tally(
        truths=int(table["truths"]),
        found=int(table["found"]),
        alerts=int(table["alerts"]),
        right=int(table["right"]),
        duplicates=int(table["duplicates"]),
        false_alarms=int(table["false_alarms"]),
        ellipse_hits=int(table["ellipse_hits"]),
        errors_m=tuple(float(error) for error in errors),
        flight_h=float(table["flight_h"]),
        causes=Counter({str(cause): int(n) for cause, n in table["by_cause"].items()}),
    )
