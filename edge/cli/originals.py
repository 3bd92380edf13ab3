"""`skywhistle originals`: the untouched pictures that drones have let go for a case."""

from __future__ import annotations

from pathlib import Path

import typer

from edge.cli.desk import DEFAULT_DATABASE
from edge.errors import ConfigError, OutputError


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(originals)


def originals(
    out: Path = typer.Argument(..., help="Folder for the pictures."),
    key: Path = typer.Option(..., help="The desk's originals.key, as `skywhistle keys` made it."),
    database: Path = typer.Option(DEFAULT_DATABASE, help="The desk's."),
) -> None:
    """Open the originals that `skywhistle tell ... release` has brought.  Exit code 1: not all."""
    from edge.desk.originals import originals as held
    from edge.desk.store import DeskStore
    from edge.protocol.sealed import read_opener

    if not database.is_file():
        raise ConfigError(f"{database}: is not there; give the desk's file with --database")
    opener, problems = read_opener(key, "--key"), 0
    with DeskStore(database) as store:
        for one in held(store, opener):
            name = f"{one.drone_id}-{one.incident_id.hex()}-{one.digest[:4].hex()}.jpg"
            if one.problem:
                problems += 1
                typer.secho(f"{name}: {one.problem}", fg="red")
                continue
            try:
                out.mkdir(parents=True, exist_ok=True)
                (out / name).write_bytes(one.jpeg)
            except OSError as error:
                raise OutputError(f"{out}: cannot be written ({error.strerror})") from error
            named = "named in its evidence" if one.is_named else "NOT named in any evidence here"
            typer.echo(f"{out / name}: for case {one.case}; {named}")
    if problems:
        raise typer.Exit(1)
