"""`skywhistle calibrate`: an aircraft's lens, mount and video delay, from what it recorded."""

from __future__ import annotations

import typer

from edge.cli.calibrate_boresight import boresight

calibrate = typer.Typer(
    no_args_is_help=True, help="Lens, mount and video delay, from what the aircraft recorded."
)
calibrate.command()(boresight)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(calibrate, name="calibrate")
