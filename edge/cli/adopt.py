"""`skywhistle adopt`: footage that was recorded elsewhere becomes a flight to replay."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from edge.cli.shipped import FLYING_MODEL, GIMBAL_MOUNT
from edge.errors import ConfigError, OutputError

if TYPE_CHECKING:
    from edge.capture.adopt_flight import Adoption

FLIGHT_FILE = "flight.toml"
CAMERA_HELP = "Calibration of the lens; else camera.toml in the folder, or XMP's focal length."
MOUNT_HELP = (
    "How the camera hangs; else mount.toml in the folder, or a gimbal that tells its own attitude."
)


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(adopt)


def adopt(
    source: Path = typer.Argument(..., help="A folder of footage, or one video in it."),
    camera: Path | None = typer.Option(None, help=CAMERA_HELP),
    mount: Path | None = typer.Option(None, help=MOUNT_HELP),
    log: Path | None = typer.Option(
        None, help=".tlog, .BIN, .log, .ulg or .SRT; else the one beside the pictures."
    ),
    stills: str | None = typer.Option(None, help="Which stills, e.g. '*_W.JPG'."),
    time_pattern: str | None = typer.Option(
        None, help="Time (UTC) in a still's name, as strptime has it, e.g. %Y%m%d_%H%M%S.jpg."
    ),
    start_utc: str | None = typer.Option(
        None, help="When the video began, e.g. 2024-06-10T02:14:56.5Z, where it does not say."
    ),
    utc_offset: float | None = typer.Option(
        None, min=-14, max=14, help="Hours that the camera's clock is ahead of UTC, e.g. 8."
    ),
    home_amsl: float | None = typer.Option(
        None, help="Take-off place, m, in the file's own absolute heights."
    ),
    name: str | None = typer.Option(None, help="The flight's name; else the file's."),
    force: bool = typer.Option(False, "--force", help="Replace a flight.toml that is there."),
) -> None:
    """Look at footage, say what it is taken for, and write its flight.toml."""
    from edge.capture.adopt_flight import Told, adopt_flight

    told = Told(
        camera=camera,
        mount=mount,
        gimbal_mount=GIMBAL_MOUNT,
        log=log,
        stills=stills,
        time_pattern=time_pattern,
        start_utc=moment_of(start_utc),
        utc_offset_h=utc_offset,
        home_amsl_m=home_amsl,
        name=name,
        copies=True,
    )
    folder = source if source.is_dir() else source.parent
    path = folder / FLIGHT_FILE
    if path.exists() and not force:
        raise ConfigError(f"{path}: is there already; replay it, or replace it with --force")
    adoption = adopt_flight(source, told)
    _write(adoption, path)
    for word in adoption.words:
        typer.echo(word)
    typer.echo(f"wrote {', '.join([str(path), *adoption.new_files])}")
    typer.echo(f"Try it: skywhistle replay {folder} --model {FLYING_MODEL}")


def moment_of(text: str | None) -> datetime | None:
    """Read a time that a person types; without a zone it is UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise ConfigError(f"--start-utc {text!r}: write it as 2024-06-10T02:14:56Z") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


def adopted(source: Path, camera: Path | None, mount: Path | None) -> Adoption:
    """Adopt footage for one replay, and leave nothing beside it."""
    from edge.capture.adopt_flight import Told, adopt_flight

    adoption = adopt_flight(source, Told(camera=camera, mount=mount, gimbal_mount=GIMBAL_MOUNT))
    if adoption.new_files:
        raise ConfigError(
            f"{source}: its lens is known from its pictures alone; run `skywhistle adopt {source}` "
            "first, which writes that down, or give --camera"
        )
    return adoption


def _write(adoption: Adoption, path: Path) -> None:
    from edge.capture.recording import open_flight

    try:
        for file, text in adoption.new_files.items():
            (path.parent / file).write_text(text, "utf-8")
        path.write_text(adoption.toml(), "utf-8")
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); copy the footage to where it can, or "
            "replay it as it is: skywhistle replay FOLDER --camera …"
        ) from error
    open_flight(path.parent)  # what was written is read as anyone's
