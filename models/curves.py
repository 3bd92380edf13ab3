"""Draws how a training run goes: losses, their running mean, and the score on held-out pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_SMOOTH = 9  # lines of the diary that one point of the running mean takes in


def _running_mean(values: Sequence[float]) -> list[float]:
    """Smooth with a window that shrinks towards both ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    half = _SMOOTH // 2
    low = np.maximum(np.arange(len(values)) - half, 0)
    high = np.minimum(np.arange(len(values)) + half + 1, len(values))
    return [float(v) for v in (total[high] - total[low]) / (high - low)]


def draw_curves(lines: Sequence[dict[str, float]], path: Path) -> None:
    """Draw a diary's lines: those with `box` and `label` are losses, those with `map50` scores."""
    figure = Figure(figsize=(9, 4.5), layout="tight")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    losses = [line for line in lines if "box" in line]
    minutes = [line["spent_s"] / 60 for line in losses]
    for name, colour in (("box", "tab:blue"), ("label", "tab:orange")):
        values = [line[name] for line in losses]
        axes.plot(minutes, values, color=colour, alpha=0.25)
        axes.plot(minutes, _running_mean(values), color=colour, label=f"{name} loss")
    axes.set_xlabel("training time, minutes")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.3)
    scored = [line for line in lines if "map50" in line]
    right = axes.twinx()
    spent = [line["spent_s"] / 60 for line in scored]
    right.plot(spent, [line["map50"] for line in scored], "k.-", label="mAP50, held-out glance")
    right.set_ylim(0, 1)
    right.set_ylabel("mAP50")
    figure.legend(loc="upper center", ncols=3)
    figure.savefig(path, dpi=110)
