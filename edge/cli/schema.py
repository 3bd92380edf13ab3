"""`skywhistle schema`: the JSON Schema of patrol.toml, for editors."""

from __future__ import annotations

import typer

from edge.settings import json_schema


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(schema)


def schema() -> None:
    """Print the JSON Schema of patrol.toml, for editors that complete and check it."""
    typer.echo(json_schema(), nl=False)
