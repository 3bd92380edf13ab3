"""The picture of a boresight calibration: how far apart tied points lay before, and lie after."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calibration.boresight import Gaps, Solution
from edge.errors import OutputError
from edge.extras import needs_extra

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_ARROWS = 1500
# An arrow of the median disagreement before is drawn as this share of the map's side.
ARROW_SHARE = 0.03
COLOURS = ("#d62728", "#1a9850")


def draw_boresight(solution: Solution, title: str, path: Path) -> None:
    """Draw two maps of arrows, from a point's place by one picture to that by the other.

    Args:
        solution: Of one flight.
        title: Of the figure.
        path: A .png.

    Raises:
        MissingExtraError: There is no matplotlib.
        OutputError: The file cannot be written.
    """
    with needs_extra("demo", path.name):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    figure = Figure(figsize=(14.0, 5.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    left, middle, right = figure.subplots(1, 3)
    side_m = float(np.ptp(solution.before.second_m, axis=0).max()) or 1.0
    grown = ARROW_SHARE * side_m / max(solution.before.median_m, 1e-3)
    for axes, gaps, name, colour in (
        (left, solution.before, "before", COLOURS[0]),
        (middle, solution.after, "after", COLOURS[1]),
    ):
        _arrows(axes, gaps, grown, colour)
        axes.set_title(f"{name}: median {gaps.median_m:.2f} m (arrows × {grown:.1f})", fontsize=10)
        axes.set_xlabel("east, m")
    left.set_ylabel("north, m")
    middle.set(xlim=left.get_xlim(), ylim=left.get_ylim())
    _shares(right, solution)
    figure.suptitle(title, fontsize=11)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); give another --plot"
        ) from error


def _arrows(axes: Axes, gaps: Gaps, grown: float, colour: str) -> None:
    step = max(1, len(gaps.first_m) // MAX_ARROWS)
    at, way = gaps.second_m[::step], (gaps.first_m - gaps.second_m)[::step] * grown
    axes.quiver(
        *at.T, *way.T,
        angles="xy", scale_units="xy", scale=1.0, width=0.002, color=colour, alpha=0.6,
    )  # fmt: skip
    axes.set_aspect("equal", adjustable="box")
    axes.grid(alpha=0.3)


def _shares(axes: Axes, solution: Solution) -> None:
    """Draw which share of the points lies within which distance."""
    for gaps, name, colour in (
        (solution.before, "before", COLOURS[0]),
        (solution.after, "after", COLOURS[1]),
    ):
        lengths = np.sort(gaps.lengths_m)
        axes.plot(lengths, np.arange(1, len(lengths) + 1) / len(lengths), color=colour, label=name)
    axes.set_xlim(0.0, float(np.percentile(solution.before.lengths_m, 98)) * 1.1 + 1e-6)
    axes.set(ylim=(0.0, 1.0), xlabel="disagreement, m")
    axes.set_title("share of the tied points within", fontsize=10)
    axes.legend(loc="lower right")
    axes.grid(alpha=0.3)
