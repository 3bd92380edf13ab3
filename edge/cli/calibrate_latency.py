"""`skywhistle calibrate latency`: the video's delay, from turns that a flight has recorded."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from edge.cli.progress import progress_bar, quiet
from edge.cli.shipped import flight_folder
from edge.records import Frame, Tick

if TYPE_CHECKING:
    from calibration.latency import FlightLatency


def latency(
    flight: Path = typer.Argument(
        ..., help="A folder with flight.toml: a video with turns in it, and the telemetry's log."
    ),
    camera: str | None = typer.Option(None, help="Of the flight's cameras; else the first."),
    plot: Path = typer.Option(Path("out/latency.png"), help="Where the picture goes; see it."),
    write: Path | None = typer.Option(
        None, help="A patrol.toml: set the camera's latency_s and latency_sigma_s in it."
    ),
    as_: str | None = typer.Option(
        None, "--as", help="The camera's id in that patrol.toml, where it is another."
    ),
    as_json: bool = typer.Option(False, "--json", help="JSON on standard output."),
) -> None:
    """Find how late the video is against the autopilot's clock.

    Compares how the camera turns in its pictures with the gyro's word (and the gimbal's).
    """
    from calibration.latency import measure_latency
    from calibration.latency_plot import draw_latency
    from calibration.latency_write import write_latency
    from edge.capture.recording import open_flight

    quiet()
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    recorded = open_flight(flight_folder(flight))
    with progress_bar(console) as progress:
        task = progress.add_task(recorded.spec.name, total=recorded.n_frames())

        def on_event(event: Frame | Tick) -> None:
            if isinstance(event, Frame):
                progress.advance(task)

        def on_pass(_number: int) -> None:
            progress.reset(task)

        found = measure_latency(recorded, camera, on_event, on_pass)
    plot.parent.mkdir(parents=True, exist_ok=True)
    draw_latency(found, plot)
    latency_s, sigma_s = _rounded(found)
    if as_json:
        sys.stdout.write(json.dumps(_figures(found, plot), indent=2) + "\n")
    else:
        _say(console, found, plot)
    if write is not None:
        write_latency(write, as_ or found.camera_id, latency_s, sigma_s)
        console.print(f"{write}: written; `skywhistle check` reads it")


def _rounded(found: FlightLatency) -> tuple[float, float]:
    """Return both settings in whole ms; the sigma rounded up."""
    return round(found.latency_s, 3), math.ceil(found.frame_sigma_s * 1e3) / 1e3


def _say(console: Console, found: FlightLatency, plot: Path) -> None:
    latency_s, sigma_s = _rounded(found)
    wrong_s = found.latency_s - found.was_latency_s
    console.print(
        f"camera {found.camera_id}: the video is {found.latency_s * 1e3:.1f} ± "
        f"{found.sigma_s * 1e3:.1f} ms late; flight.toml says {found.was_latency_s * 1e3:.0f} "
        f"({wrong_s * 1e3:+.1f} ms).  A single frame's time wanders by "
        f"{found.delay.jitter_s * 1e3:.0f} ms."
    )
    lost = ", ".join(f"{count} {reason}" for reason, count in found.unseen.most_common())
    console.print(
        f"from {found.delay.n_turns} turns between frames, "
        f"{math.degrees(found.delay.turned_rad):.0f}° in all; without: {lost or 'none'}"
    )
    console.print("Write this under the camera's [[camera]]:", style="bold", markup=False)
    console.print(f"latency_s = {latency_s}\nlatency_sigma_s = {sigma_s}", markup=False)
    console.print(f"Look at {plot}: after, the pictures must lie on the telemetry.")


def _figures(found: FlightLatency, plot: Path) -> dict[str, object]:
    latency_s, sigma_s = _rounded(found)
    return {
        "camera": found.camera_id,
        "latency_s": latency_s,
        "latency_sigma_s": sigma_s,
        "delay_ms": round(found.latency_s * 1e3, 2),
        "delay_sigma_ms": round(found.sigma_s * 1e3, 2),
        "frame_jitter_ms": round(found.delay.jitter_s * 1e3, 2),
        "was_latency_s": found.was_latency_s,
        "turns": found.delay.n_turns,
        "turned_deg": round(math.degrees(found.delay.turned_rad), 1),
        "without": dict(found.unseen),
        "plot": str(plot),
    }
