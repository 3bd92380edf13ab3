"""`skywhistle desk`: the command centre's end of the way."""

from __future__ import annotations

from pathlib import Path

import typer

from edge.cli.signals import os_utc_ns, stop_on_signals, whole_or_not_at_all

DEFAULT_DATABASE = Path("var/desk.db")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(desk)


def desk(
    config: Path | None = typer.Argument(
        None, help="A patrol.toml; its table `mqtt` is used. Not needed to --export."
    ),
    database: Path = typer.Option(
        DEFAULT_DATABASE,
        help="Where messages are committed. Its name at the broker is kept in it: a copy that is "
        "to run beside it needs another, mqtt.desk_client_id.",
    ),
    export: Path | None = typer.Option(
        None, help="Write what is committed to this .geojson or .csv, and stop."
    ),
) -> None:
    """Receive: commit each message to disk, only then acknowledge it, republish it as JSON."""
    from edge.desk.console import commit_line
    from edge.desk.receiver import CommittedAlert, run_desk
    from edge.desk.vouching import read_desk_keys
    from edge.settings import read_patrol

    if export is not None:
        _export(database, export)
        return

    if config is None:
        raise typer.BadParameter("needs a patrol.toml: which broker is it to listen to?")

    def show(committed: CommittedAlert) -> None:
        typer.echo(commit_line(committed))

    patrol = read_patrol(config)
    keys = read_desk_keys(patrol.desk)
    stop = stop_on_signals()
    with whole_or_not_at_all(stop):
        run_desk(patrol.mqtt, database, show, stop, os_utc_ns, keys=keys)


def _export(database: Path, path: Path) -> None:
    from edge.desk.export import write_csv, write_geojson
    from edge.desk.store import DeskStore
    from edge.errors import ConfigError

    writers = {".geojson": write_geojson, ".json": write_geojson, ".csv": write_csv}
    writer = writers.get(path.suffix)
    if writer is None:
        raise ConfigError(f"{path}: ends in neither .geojson nor .csv; name what is wanted")
    if not database.exists():
        raise ConfigError(f"{database}: is not there; give the desk's file with --database")
    with DeskStore(database) as store:
        count = writer(store, path)
    typer.echo(f"{count} incident{'s' * (count != 1)} written to {path}")
