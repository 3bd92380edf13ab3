"""`skywhistle verify`: whether a flight's alerts and evidence are whole and unchanged."""

from __future__ import annotations

from pathlib import Path

import typer

from edge.errors import ConfigError

DATABASE = "desk.db"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(verify)


def verify(
    flight: Path = typer.Argument(..., help="The desk's database, or a folder with desk.db."),
    drone_keys: Path = typer.Option(
        ..., help="Folder with <drone>.pub, as `skywhistle keys` lays out below desk/drones."
    ),
) -> None:
    """Check alerts and evidence by the drones' signatures.  Exit code 1: something is wrong."""
    from edge.desk.store import DeskStore
    from edge.desk.verify import verify as verdicts_of
    from edge.desk.vouching import read_drone_keys

    database = flight / DATABASE if flight.is_dir() else flight
    if not database.is_file():
        raise ConfigError(f"{database}: is not there; give the desk's database or its folder")
    with DeskStore(database) as store:
        verdicts = verdicts_of(store, read_drone_keys(drone_keys))
    for verdict in verdicts:
        name = f"{verdict.drone_id}, mailbox {verdict.epoch:08x}"
        typer.echo(f"{name}: {verdict.signed} messages are as they were signed")
        if verdict.unsigned:
            typer.echo(f"  {verdict.unsigned} were never signed: nothing can be said of them")
        for sentence in verdict.wrong:
            typer.secho(f"  {sentence}", fg="red")
        if verdict.open_end:
            typer.echo(
                f"  {verdict.open_end} more were sent and are not here: on their way, or lost"
            )
    if not verdicts:
        typer.echo(f"{database}: holds no messages")
    if not all(verdict.is_sound for verdict in verdicts):
        raise typer.Exit(1)
