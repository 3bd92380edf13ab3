"""`skywhistle calibrate`: an aircraft's lens, mount and video delay, from what it recorded."""

from __future__ import annotations

import typer

from edge.cli import calibrate_lens
from edge.cli.calibrate_boresight import boresight
from edge.cli.calibrate_latency import latency

calibrate = typer.Typer(
    no_args_is_help=True, help="Lens, mount and video delay, from what the aircraft recorded."
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    calibrate_lens.add_to(calibrate)
    calibrate.command()(boresight)
    calibrate.command()(latency)
    app.add_typer(calibrate, name="calibrate")
