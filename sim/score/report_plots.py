"""The plots of the score report, each one an SVG that stands alone.

`matplotlib` is imported on use: the aircraft does not carry it.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.desk.map import COLOURS, OTHER_COLOUR
from edge.extras import needs_extra
from edge.records import FloatArray
from sim.score.figures import ELLIPSE_PROBABILITY, Tally, estimates
from sim.score.matching import Match
from sim.score.result import ScoreResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREY, RED = "#2563a8", "#d9822b", "#8a94a0", "#c22f2f"
# Frames in which a thing was shown: bins of the plot of what was found.
_SHOWN_BINS = (5, 10, 20, 40, 80)


@dataclass(frozen=True, slots=True)
class Plot:
    """One plot, and what it says."""

    title: str
    text: str
    svg: bytes


# Title, and what it says.
_BY_CLASS = (
    "Recall and precision by class",
    "Bars: the share. Lines: what chance leaves open with so few.",
)
_ERROR = (
    "Geotag error",
    "Share of right alerts whose place is at most so far from the truth's.",
)
_HONESTY = (
    "Honesty of the ellipses",
    "How often the truth lies in the ellipse scaled to a probability. On the line: honest; below "
    "it: the ellipses are too small.",
)
_CAUSES = (
    "False alarms by cause",
    "What lies within the match distance of the alert; colour: the class that was told.",
)
_SHOWN = (
    "Found, by how long it was shown",
    "Violations by the number of frames in which they could be seen.",
)
_WAITS = (
    "From first shown to the alert",
    "Flight time until the alert is stored; below 0 s: before most of the thing was in view.",
)


def draw_plots(result: ScoreResult, sigmas: float) -> list[Plot]:
    """Draw every plot that the result has figures for.

    Args:
        result: Of a scoring with at least one flight.
        sigmas: How wide the intervals are.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    matches = [m for flight in result.flights.values() for m in flight.score.matches]
    right = [m for m in matches if m.truth is not None and not m.is_duplicate]
    waits_s = [s for flight in result.flights.values() for s in flight.to_alert_s]
    whole = result.whole
    wanted = (
        (bool(result.by_class), _BY_CLASS, lambda axes: _by_class(axes, result, sigmas)),
        (bool(right), _ERROR, lambda axes: _errors(axes, right)),
        (bool(right), _HONESTY, lambda axes: _honesty(axes, right)),
        (whole.false_alarms > 0, _CAUSES, lambda axes: _causes(axes, result)),
        (whole.truths > 0, _SHOWN, lambda axes: _by_shown(axes, result)),
        (bool(waits_s), _WAITS, lambda axes: _waits(axes, waits_s)),
    )
    rows = {_BY_CLASS: 0.62 * len(result.by_class), _CAUSES: 0.45 * len(whole.causes)}
    return [
        Plot(*words, _svg(draw, rows.get(words, 0.0)))
        for is_there, words, draw in wanted
        if is_there
    ]


def _svg(draw: Callable[[Axes], None], high: float) -> bytes:
    with needs_extra("sim", "the report's plots"):
        import matplotlib as mpl
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    with mpl.rc_context({"svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9.5}):
        figure = Figure(figsize=(5.6, min(9.0, max(3.1, 1.0 + high))), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    return stream.getvalue()


def _by_class(axes: Axes, result: ScoreResult, sigmas: float) -> None:
    labels = list(result.by_class)
    for offset, figure, colour in ((0.2, "recall", BLUE), (-0.2, "precision", ORANGE)):
        for row, label in enumerate(reversed(labels)):
            counted = result.by_class[label]
            estimate = estimates(counted, sigmas)[figure]
            at = row + offset
            if estimate is None:
                axes.text(0.01, at, "–", va="center", color=GREY)
                continue
            axes.barh(at, estimate.value, 0.36, color=colour, alpha=0.85)
            axes.plot([estimate.lower, estimate.upper], [at, at], color="black", lw=1.1)
            axes.text(1.02, at, _of(counted, figure), va="center", fontsize=8, color=colour)
        axes.barh(0, 0, color=colour, label=figure)
    axes.set_yticks(range(len(labels)), list(reversed(labels)))
    axes.set_xlim(0, 1.15)
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower center", bbox_to_anchor=(0.45, 1.0), ncols=2, frameon=False)


def _of(counted: Tally, figure: str) -> str:
    if figure == "recall":
        return f"{counted.found} of {counted.truths}"
    return f"{counted.right} of {counted.alerts}"


def _errors(axes: Axes, right: Sequence[Match]) -> None:
    errors_m = np.sort(np.array([m.error_m for m in right if m.error_m is not None], float))
    _steps(axes, errors_m)
    for q, name in ((0.5, "median"), (0.9, "90 %")):
        value = float(np.quantile(errors_m, q))
        axes.axvline(value, color=ORANGE, lw=1, ls="--")
        axes.text(value, 0.02, f" {name} {value:.1f} m", color=ORANGE, fontsize=8.5)
    axes.set_xlim(0, max(2.0, float(errors_m[-1]) * 1.05))
    axes.set_xlabel("error, m")
    axes.set_ylabel("share of right alerts")


def _honesty(axes: Axes, right: Sequence[Match]) -> None:
    # The ellipse of probability p is the 90 % one scaled by sqrt(ln(1-p) / ln(1-0.9)): a point at
    # `ratio` of it lies on the edge of that of p = 1 - 0.1^(ratio²).
    tail = 1.0 - ELLIPSE_PROBABILITY
    ratios = np.array([m.ellipse_ratio for m in right if m.ellipse_ratio is not None])
    _steps(axes, np.sort(1.0 - tail ** (ratios**2)))
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--")
    held = float(np.mean(ratios <= 1.0))
    axes.plot(ELLIPSE_PROBABILITY, held, "o", color=ORANGE)
    axes.text(
        ELLIPSE_PROBABILITY - 0.02, min(held + 0.06, 1.02), f"claims 90 %, holds {held:.0%}",
        color=ORANGE, fontsize=8.5, ha="right",
    )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.1)
    axes.set_xlabel("probability that the ellipse claims")
    axes.set_ylabel("share that it holds")


def _steps(axes: Axes, ordered: FloatArray) -> None:
    share = np.arange(len(ordered) + 1) / len(ordered)
    axes.step([0.0, *ordered], share, where="post", color=BLUE, lw=1.8)
    axes.set_ylim(0, 1.03)
    axes.grid(alpha=0.3)


def _causes(axes: Axes, result: ScoreResult) -> None:
    causes = result.causes_by_class()
    told: set[str] = set()
    for row, (_, by_label) in enumerate(reversed(list(causes.items()))):
        left = 0
        for label, n in by_label.most_common():
            colour = COLOURS.get(label, OTHER_COLOUR)
            axes.barh(row, n, 0.7, left=left, color=colour, label=None if label in told else label)
            told.add(label)
            left += n
        axes.text(left + 0.05, row, str(left), va="center", fontsize=8.5)
    axes.set_yticks(range(len(causes)), list(reversed(causes)))
    axes.set_xlabel("false alarms")
    axes.legend(fontsize=8, frameon=False, loc="lower right")


def _by_shown(axes: Axes, result: ScoreResult) -> None:
    names = [f"{a} to {b - 1}" for a, b in itertools.pairwise(_SHOWN_BINS)]
    names.append(f"{_SHOWN_BINS[-1]} and more")
    shown, missed = np.zeros(len(names), int), np.zeros(len(names), int)
    for flight in result.flights.values():
        lost = {thing.truth_id for thing in flight.score.missed}
        for thing in flight.truth.things:
            if thing.is_violation and thing.is_shown:
                row = int(np.searchsorted(_SHOWN_BINS, thing.seen_frames, side="right")) - 1
                shown[row] += 1
                missed[row] += thing.truth_id in lost
    axes.bar(names, shown - missed, color=BLUE, label="found")
    axes.bar(names, missed, bottom=shown - missed, color=RED, label="missed")
    axes.set_xlabel("frames that show it")
    axes.set_ylabel("violations")
    axes.legend(frameon=False)


def _waits(axes: Axes, waits_s: Sequence[float]) -> None:
    ordered = np.sort(waits_s)
    share = np.arange(1, len(ordered) + 1) / len(ordered)
    axes.step(ordered, share, where="post", color=BLUE, lw=1.8)
    axes.axvline(float(np.median(ordered)), color=ORANGE, lw=1, ls="--")
    axes.text(float(np.median(ordered)), 0.02, f" median {np.median(ordered):.1f} s",
              color=ORANGE, fontsize=8.5)  # fmt: skip
    axes.set_ylim(0, 1.03)
    axes.grid(alpha=0.3)
    axes.set_xlabel("s")
    axes.set_ylabel("share of found things")
