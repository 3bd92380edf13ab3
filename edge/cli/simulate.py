"""`skywhistle sim`: the simulator, on the wire or into a flight folder."""

from __future__ import annotations

import typer

sim = typer.Typer(no_args_is_help=True, help="The simulator: serve a flight, record a flight.")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(sim, name="sim")
