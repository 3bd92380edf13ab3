"""The soak on one page: memory, handles, threads, queue and latency over the hours."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from sim.soak.samples import Sample


def plot_soak(
    samples: Sequence[Sample],
    latencies: Sequence[tuple[float, float]],
    warm_up_s: float,
    path: Path,
) -> None:
    """Draw it.

    Args:
        samples: Of all processes.
        latencies: (seconds since the soak began, seconds from the put to the desk's commit).
        warm_up_s: Marked; slopes begin there.
        path: The PNG.
    """
    figure, axes = plt.subplots(5, 1, figsize=(9, 12), sharex=True, layout="constrained")
    roles = sorted({sample.role for sample in samples})
    for name, label, axis in (
        ("memory_mb", "resident memory, MB", axes[0]),
        ("handles", "open handles", axes[1]),
        ("threads", "threads", axes[2]),
    ):
        for role in roles:
            own = [sample for sample in samples if sample.role == role]
            hours = [sample.t_s / 3600.0 for sample in own]
            axis.plot(hours, [getattr(sample, name) for sample in own], label=role, linewidth=1.2)
        _dress(axis, label, warm_up_s)
    lines, names = axes[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside upper center", ncols=len(roles), fontsize=9)
    first = [sample for sample in samples if sample.role == roles[0]] if roles else []
    axes[3].plot([s.t_s / 3600.0 for s in first], [s.queued for s in first], linewidth=1.0)
    _dress(axes[3], "rows in the outbox", warm_up_s)
    hours = [t_s / 3600.0 for t_s, _ in latencies]
    axes[4].plot(hours, [took_s * 1e3 for _, took_s in latencies], ".", markersize=2)
    axes[4].set_yscale("log")
    _dress(axes[4], "put to desk, ms", warm_up_s)
    axes[4].set_xlabel("hours; left of the dotted line: warm-up")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _dress(axis: Any, label: str, warm_up_s: float) -> None:
    axis.set_ylabel(label, fontsize=9)
    axis.axvline(warm_up_s / 3600.0, color="grey", linestyle=":", linewidth=1.0)
    axis.grid(visible=True, alpha=0.25)
