"""How right places are, and how well their ellipses know it: figures over flights of geometry."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from edge.bench.geo_cells import cells
from edge.bench.geo_flights import Flown, Told, fly
from edge.records import AlertKind
from sim.vehicle.mount import MountKind

FIXED, GIMBAL, SERVO = MountKind.FIXED, MountKind.STABILISED_GIMBAL, MountKind.SERVO_GIMBAL
# How the flights of a preset are flown: height, pitch, mount, lanes, lanes across.  One half is
# flown as patrols are; the others see that the ellipse is not right on average only.
USUAL = [(60.0, -60.0, mount, 2, cross) for mount in (GIMBAL, SERVO) for cross in (1, 0)]
OTHERS = [
    (40.0, -45.0, GIMBAL, 2, 1),
    (50.0, -90.0, GIMBAL, 2, 1),
    (60.0, -60.0, GIMBAL, 1, 0),
    (60.0, -90.0, FIXED, 2, 1),
    (80.0, -60.0, FIXED, 2, 1),
    (80.0, -75.0, SERVO, 2, 0),
    (80.0, -30.0, GIMBAL, 2, 1),
    (100.0, -45.0, SERVO, 2, 1),
    (100.0, -60.0, SERVO, 1, 0),
    (120.0, -90.0, FIXED, 2, 1),
    (120.0, -60.0, GIMBAL, 2, 0),
]


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many ellipses held the truth."""

    held: int
    of: int
    excess: float  # mean squared error over its expectation

    @property
    def rate(self) -> float:
        return self.held / self.of if self.of else 0.0


@dataclass(frozen=True, slots=True)
class EllipseFigures:
    """Over the last word on each incident of many flights with one noise preset."""

    preset: str
    flights: int
    incidents: int
    ellipse_hit_rate: float
    excess: float  # mean squared error over its expectation: 1 where the budget is right
    first_hit_rate: float  # of the first alerts, which know least
    by_cell: dict[str, Share]
    by_label: dict[str, Share]
    usual_median_m: float  # error of those flown at 60 m, -60 degrees
    usual_p90_m: float


def flights_of(preset: str, number: int) -> list[Flown]:
    """Plan flights: every third is one of the others, so that each way is flown some times."""
    plans = []
    for seed in range(number):
        ways, at = (USUAL, seed // 2) if seed % 2 == 0 else (OTHERS, seed // 2)
        height_m, pitch_deg, mount, lanes, cross = ways[at % len(ways)]
        plans.append(Flown(preset, height_m, pitch_deg, mount, lanes, cross, seed))
    return plans


def ellipse_figures(
    preset: str, flights: int = 100, progress: Callable[[], None] = lambda: None
) -> EllipseFigures:
    """Fly, and count how many ellipses held the truth."""
    told: list[Told] = []
    for flown in flights_of(preset, flights):
        told += fly(flown)
        progress()
    return figures_of(preset, flights, told)


def figures_of(preset: str, flights: int, told: Sequence[Told]) -> EllipseFigures:
    """Count."""
    last = [one for one in told if one.kind is AlertKind.END]
    first = [one for one in told if one.kind is AlertKind.NEW]
    usual = [one.error_m for one in last if _is_usual(one.flown)]
    return EllipseFigures(
        preset=preset,
        flights=flights,
        incidents=len(last),
        ellipse_hit_rate=_share(last).rate,
        excess=_share(last).excess,
        first_hit_rate=_share(first).rate,
        by_cell=_by(last, lambda one: one.flown.cell),
        by_label=_by(last, lambda one: one.label),
        usual_median_m=float(np.quantile(usual, 0.5)),
        usual_p90_m=float(np.quantile(usual, 0.9)),
    )


def _is_usual(flown: Flown) -> bool:
    return (flown.height_m, flown.pitch_deg) == (60.0, -60.0) and flown.lanes > 1


def _share(told: Iterable[Told]) -> Share:
    all_told = list(told)
    n = len(all_told)
    excess = sum(one.excess for one in all_told) / n if n else 0.0
    return Share(sum(one.is_held for one in all_told), n, excess)


def _by(told: Sequence[Told], key: Callable[[Told], str]) -> dict[str, Share]:
    return {
        name: _share(one for one in told if key(one) == name)
        for name in sorted(set(map(key, told)))
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures of single looks and of each preset's flights, for whoever changes them."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--flights", type=int, default=100)
    parser.add_argument("--preset", action="append", choices=["typical", "good"])
    chosen = parser.parse_args(arguments)
    for cell in cells():
        sys.stdout.write(
            f"{cell.height_m:.0f} m, {cell.depression_deg:.0f}° down: CEP50 {cell.chain_cep_m:.2f} "
            f"m = {cell.ratio:.3f} of its sources'; predicted {cell.predicted_ratio:.3f}\n"
        )
    for preset in chosen.preset or ["typical", "good"]:
        start_s = time.monotonic()
        figures = ellipse_figures(preset, chosen.flights)
        took_s = time.monotonic() - start_s
        sys.stdout.write(as_text(figures) + f"  took {took_s:.0f} s\n")


def as_text(figures: EllipseFigures) -> str:
    """Lay the figures out."""
    lines = [
        f"{figures.preset}: {figures.incidents} incidents of {figures.flights} flights, "
        f"held {figures.ellipse_hit_rate:.3f}, excess {figures.excess:.2f} "
        f"(first alerts {figures.first_hit_rate:.3f}); "
        f"60 m -60°: median {figures.usual_median_m:.2f} m, 90 % {figures.usual_p90_m:.2f} m"
    ]
    for table in (figures.by_cell, figures.by_label):
        lines += [
            f"  {name:42} {one.rate:.3f} of {one.of:4d}, {one.excess:.2f}"
            for name, one in table.items()
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
