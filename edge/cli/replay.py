"""`skywhistle replay`: a recorded flight through the very same pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from edge.cli.adopt import FLIGHT_FILE, adopted
from edge.cli.progress import progress_bar, quiet
from edge.cli.shipped import config_for, flight_folder
from edge.errors import ConfigError
from edge.records import Frame, Tick

if TYPE_CHECKING:
    from edge.capture.recording import RecordedFlight
    from edge.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(replay)


def replay(
    flight: Path = typer.Argument(
        ...,
        help="A folder with flight.toml, a shipped flight (demo), or footage that tells its own "
        "poses: a video with its .SRT beside it, a folder of stills.",
    ),
    config: Path | None = typer.Option(None, help="A patrol.toml; else the one the flight names."),
    model: Path | None = typer.Option(
        None, help="A model's folder; where no config is named, every label counts."
    ),
    out: Path = typer.Option(Path("out/replay"), help="Results; what was there is replaced."),
    frames: bool = typer.Option(False, "--frames", help="Also write annotated frames."),
    camera: Path | None = typer.Option(None, help="Of footage without flight.toml: its lens."),
    mount: Path | None = typer.Option(None, help="Likewise: how the camera hangs."),
) -> None:
    """Fly a recorded flight through the pipeline, faster than real time where it can."""
    from edge.cli.results import FlightResults, write_results
    from edge.mount_kind import Agreement
    from edge.replay import ReplayRequest, fresh_folder, replay_settings
    from edge.replay import replay as fly
    from sim.score.matching import newest_words

    quiet()
    console = Console(stderr=True)
    recorded = _recorded(flight, camera, mount)
    settings = replay_settings(recorded, out, config or config_for(recorded), model)
    _refuse_unusable(settings)  # before earlier results go
    fresh_folder(out)
    with progress_bar(console) as progress:
        task = progress.add_task(recorded.spec.name, total=recorded.n_frames())

        def on_event(event: Frame | Tick) -> None:
            if isinstance(event, Frame):
                progress.advance(task)

        result = fly(ReplayRequest(recorded, settings, out, annotate=frames, on_event=on_event))
    results = FlightResults(
        recorded=recorded,
        health=result.stages.health,
        log=result.log,
        stored=result.stored,
        alerts=newest_words(one.alert for one in result.stored),
        outbox_left=result.mailbox.queue_state().queued,
        wall_s=result.wall_s,
        incidents=result.stages.incident_counts(),
        mounts=result.mounts,
    )
    summary = write_results(results, out, title=f"Replay: {recorded.spec.name}")
    result.mailbox.close()
    console.print(summary.table())
    for camera_id, word in result.mounts.items():
        if word.agreement is not Agreement.AGREES:
            console.print(f"mount of {camera_id}: {word.text}", style="yellow", markup=False)
    console.print(f"results in {out}")


def _refuse_unusable(settings: Settings) -> None:
    from edge.district import read_inputs
    from edge.vision.manifest import read_checked_model

    for manifest in read_inputs(settings.patrol).values():
        read_checked_model(manifest)


def _recorded(source: Path, camera: Path | None, mount: Path | None) -> RecordedFlight:
    """Open a flight; adopt what has no flight.toml, saying what it is taken for."""
    from edge.capture.recording import flight_of, open_flight

    folder = flight_folder(source)
    is_flight = (folder / FLIGHT_FILE).is_file()
    if is_flight and (camera or mount):
        raise ConfigError(f"{folder / FLIGHT_FILE}: names camera and mount; change it there")
    if is_flight or not source.exists():
        return open_flight(folder)
    adoption = adopted(source, camera, mount)
    for word in adoption.words:
        typer.echo(word, err=True)
    return flight_of(adoption.folder, adoption.spec())
