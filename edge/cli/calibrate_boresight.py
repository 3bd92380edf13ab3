"""`skywhistle calibrate boresight`: how the camera sits on its mount, from one recorded flight."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from edge.cli.progress import progress_bar, quiet

if TYPE_CHECKING:
    from calibration.ground_ties import FlightProblem
    from edge.capture.recording import RecordedFlight
    from edge.config import AccuracyConfig, GroundConfig


def boresight(
    flight: Path = typer.Argument(..., help="A folder with flight.toml, of stills or video."),
    gcp: Path | None = typer.Option(
        None,
        help="Surveyed points instead of features: image,u_px,v_px,lat_deg,lon_deg,height_m "
        "(above sea level); image is a still's name or a frame's number.",
    ),
    heading: bool = typer.Option(False, "--heading", help="Also solve the compass's error."),
    time: bool = typer.Option(False, "--time", help="Also solve the pictures' constant delay."),
    camera: str | None = typer.Option(None, help="Which of the flight's cameras; else the first."),
    config: Path | None = typer.Option(
        None, help="A patrol.toml, for how good the instruments are; else the flight's, if any."
    ),
    into: Path = typer.Option(Path("calibration/mounts"), help="Where the mount's file is put."),
    mount_id: str | None = typer.Option(
        None, "--id", help="Its name; else the mount's with -calibrated."
    ),
    replace: bool = typer.Option(False, "--replace", help="Replace a file that is there."),
    plot: Path = typer.Option(Path("boresight.png"), help="Disagreement before and after."),
) -> None:
    """Solve the mount's three angles from ground that several pictures show.

    Fly lines at one height, each there and back, and the same again across them, over flat
    ground with texture; with --heading all of it twice: straight down, and at -45 degrees.
    """
    from calibration.boresight import Wanted, solve
    from calibration.boresight_plot import draw_boresight
    from calibration.mount_file import Solved, read_built, write_mount
    from calibration.verdict import findings, refuse_unconstrained
    from edge.capture.recording import open_flight
    from edge.cli.shipped import flight_folder
    from edge.mount_kind import Agreement, mount_word

    quiet()
    recorded = open_flight(flight_folder(flight))
    made = _tied(recorded, camera, gcp, _told(recorded, config))
    word = mount_word(recorded.path(made.camera.mount), made.gimbal_kind)
    if word.agreement is not Agreement.AGREES:  # of the wrong kind, no angle helps
        typer.echo(f"mount of {made.camera.id}: {word.text}")
    wanted = Wanted(heading, time)
    solution = solve(made.problem, wanted)
    name = recorded.spec.name
    before, after = solution.before.median_m, solution.after.median_m
    typer.echo(
        f"{name}: {len(solution.after.first_m)} points tie {made.n_looks} pictures; they disagree "
        f"by {before:.2f} m in the median before, by {after:.2f} m after"
    )
    told = findings(solution, wanted, None if gcp is not None else made.pairs)
    for finding in told:
        typer.echo(f"  {finding}")
    draw_boresight(solution, f"Boresight from {name}: {len(made.pairs)} pairs of pictures", plot)
    typer.echo(f"plot in {plot}")
    if time:
        latency_s = made.camera.latency_s - solution.offset_s
        typer.echo(
            f"latency_s = {latency_s:.3f}   # of this camera, in flight.toml and patrol.toml"
        )
    if heading:
        typer.echo("the compass's error belongs to the autopilot: calibrate the compass there")
    refuse_unconstrained(told, str(recorded.folder))
    built = read_built(recorded.path(made.camera.mount))
    path = into / f"{mount_id or built.id + '-calibrated'}.toml"
    write_mount(path, Solved(solution, built, name, heading), replaced=replace)
    typer.echo(f"mount in {path}")


def _told(flight: RecordedFlight, config: Path | None) -> tuple[AccuracyConfig, GroundConfig]:
    """Return how good the instruments are and which ground is meant."""
    from edge.config import AccuracyConfig, GroundConfig
    from edge.settings import read_settings

    if config is None and flight.spec.patrol is not None:
        config = flight.path(flight.spec.patrol.config)
    accuracy, ground = AccuracyConfig(), GroundConfig()
    if config is not None:
        patrol = read_settings(config).patrol
        accuracy, ground = patrol.accuracy, patrol.ground
    offset_m = ground.home_offset_m + flight.spec.ground.home_offset_m
    return accuracy, ground.model_copy(update={"home_offset_m": offset_m})


def _tied(
    flight: RecordedFlight,
    camera: str | None,
    gcp: Path | None,
    told: tuple[AccuracyConfig, GroundConfig],
) -> FlightProblem:
    """Tie the flight's pictures, with a bar for either step."""
    from calibration.ground_ties import Watching, problem_of
    from edge.records import Frame

    with progress_bar(Console(stderr=True), unit="") as progress:
        frames = progress.add_task("pictures", total=flight.n_frames())
        pairs = progress.add_task("pairs", total=None, visible=gcp is None)

        def on_frame(_frame: Frame) -> None:
            progress.advance(frames)

        def on_pair(total: int) -> None:
            progress.update(pairs, total=total, advance=1)

        return problem_of(flight, camera, told, gcp, Watching(on_frame, on_pair))
