"""A picture of a delay found: turns seen and told, before and after, and how sharp the peak is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from calibration.latency import FlightLatency
from edge.geo.turning import SeenTurn

_SHOWN_S = 12.0  # of the flight: where it turns most
_AXES = ("tilt about north", "tilt about east", "yaw")
_SEEN, _TOLD, _BEST = "#d1495b", "#2e4057", "#00798c"


def draw_latency(found: FlightLatency, path: Path) -> None:
    """Draw it into a PNG."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(3, 1, figsize=(10, 10), layout="constrained")
    figure.suptitle(
        f"Camera {found.camera_id}: latency_s = {found.latency_s:.3f} "
        f"± {found.sigma_s * 1e3:.1f} ms, from {found.delay.n_turns} turns between frames"
    )
    _turns(panels[0], panels[1], found)
    _likeness(panels[2], found)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _turns(above: Any, below: Any, found: FlightLatency) -> None:
    """Draw the turn about the axis that turns most, and what is left of it, before and after."""
    curve = found.curve
    used = [turn for turn, is_used in zip(found.seen, found.delay.is_used, strict=True) if is_used]
    axis = int(np.argmax((np.array([turn.turn_ned_rad for turn in used]) ** 2).sum(axis=0)))
    run = _busiest(used, axis)
    late_s = found.shift_s + np.array([run[0].start_ns, *(turn.end_ns for turn in run)]) * 1e-9
    late_s -= curve.start_ns * 1e-9  # since the curve's start, as `flight.toml` has it
    seen = np.concatenate([[0.0], np.cumsum([turn.turn_ned_rad[axis] for turn in run])])
    told_s = np.arange(len(curve.turned_rad)) * curve.step_s
    told = curve.turned_rad[:, axis]
    start = float(np.nanmean(curve.at(late_s - found.shift_s - found.delay.delay_s)[:, axis]))
    above.plot(told_s, np.degrees(told - start), color=_TOLD, lw=1.2, label="telemetry")
    for moved_s, latency_s, colour in (
        (0.0, found.was_latency_s, _SEEN),
        (found.shift_s + found.delay.delay_s, found.latency_s, _BEST),
    ):
        at_s, label = late_s - moved_s, f"pictures, latency_s = {latency_s:.3f}"
        miss = seen - curve.at(at_s)[:, axis]
        offset = float(np.nanmedian(miss))  # where the turns begin is arbitrary
        shown = np.degrees(seen - offset - start)
        above.plot(at_s, shown, ".", color=colour, ms=4, label=label)
        below.plot(at_s, np.degrees(miss - offset), ".-", color=colour, lw=0.7, ms=4, label=label)
    span = (float(late_s[0]) - 0.5, float(late_s[-1]) + 0.5)
    inside = (told_s > span[0]) & (told_s < span[1])
    low, high = np.degrees([np.nanmin(told[inside]), np.nanmax(told[inside])] - np.array(start))
    above.set(xlim=span, ylim=(low - 10, high + 10), ylabel="°", title=f"Turned in {_AXES[axis]}")
    below.set(xlim=span, ylabel="°", xlabel="s", title="Pictures less telemetry")
    above.legend()
    below.legend()


def _busiest(used: Sequence[SeenTurn], axis: int) -> Sequence[SeenTurn]:
    """Return the neighbouring turns, up to `_SHOWN_S` of them, that turn most in all."""
    best: Sequence[SeenTurn] = used[:1]
    most = 0.0
    first = 0
    for last, turn in enumerate(used):
        if last and turn.start_ns != used[last - 1].end_ns:
            first = last
        while turn.end_ns - used[first].start_ns > _SHOWN_S * 1e9:
            first += 1
        total = sum(abs(float(one.turn_ned_rad[axis])) for one in used[first : last + 1])
        if total > most:
            best, most = used[first : last + 1], total
    return best


def _likeness(panel: Any, found: FlightLatency) -> None:
    """Draw the correlation over the whole search."""
    best_s = found.latency_s
    panel.plot(
        found.was_latency_s + found.shift_s + found.delay.grid_s, found.delay.likeness, color=_TOLD
    )
    panel.axvline(best_s, color=_BEST, label=f"{best_s * 1e3:.0f} ms")
    panel.axvspan(best_s - 3 * found.sigma_s, best_s + 3 * found.sigma_s, color=_BEST, alpha=0.2)
    panel.axvline(found.was_latency_s, color=_SEEN, ls=":", label="as configured")
    panel.set(title="How alike pictures and telemetry turn", xlabel="latency_s", ylabel="likeness")
    panel.legend(loc="upper right")
