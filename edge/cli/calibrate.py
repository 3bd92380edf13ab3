"""`skywhistle calibrate`: an aircraft's lens, mount and video delay, from what it recorded."""

from __future__ import annotations

import typer

calibrate = typer.Typer(
    no_args_is_help=True, help="Lens, mount and video delay, from what the aircraft recorded."
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(calibrate, name="calibrate")
