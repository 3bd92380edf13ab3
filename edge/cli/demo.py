"""`skywhistle demo`: a simulated patrol from picture to the desk's commit, scored."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from edge.cli.progress import progress_bar, quiet
from edge.cli.shipped import DEMO_FLIGHT, config_for
from edge.cli.signals import os_utc_ns
from edge.records import Frame, Tick

if TYPE_CHECKING:
    from edge.capture.recording import RecordedFlight
    from edge.cli.results import Summary


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(demo)


def demo(
    flight: Path = typer.Option(DEMO_FLIGHT, help="A flight folder with truth."),
    out: Path = typer.Option(Path("out/demo"), help="Results; an earlier demo's are replaced."),
    gate: bool = typer.Option(False, "--gate", help="Exit with 1 if the scores fall short."),
) -> None:
    """Fly a recorded patrol of the simulator, deliver its alerts to a desk, and score them."""
    from edge.capture.recording import open_flight
    from edge.cli.results import shortfalls
    from edge.replay import fresh_folder

    quiet()
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    recorded = open_flight(flight)
    fresh_folder(out)
    summary = _fly(recorded, out, console)
    console.print()
    console.print(summary.table())
    console.print(f"\nmap: {out / 'map.png'}   figures: {out / 'summary.json'}")
    if gate and (short := shortfalls(summary)):
        for line in short:
            console.print(f"short of the mark: {line}", style="bold red")
        raise typer.Exit(1)


def _fly(recorded: RecordedFlight, out: Path, console: Console) -> Summary:
    """Fly with a progress bar; a line for each alert as the desk commits it."""
    from edge.cli.results import FlightResults, write_results
    from edge.demo import DemoRequest, fly_demo
    from edge.desk.console import commit_line
    from edge.desk.receiver import CommittedAlert
    from edge.replay import replay_settings
    from sim.score.matching import newest_words

    settings = replay_settings(recorded, out, config_for(recorded))
    with progress_bar(console) as progress:
        task = progress.add_task("patrol", total=recorded.n_frames())

        def on_event(event: Frame | Tick) -> None:
            if isinstance(event, Frame):
                progress.advance(task)

        def on_commit(committed: CommittedAlert) -> None:
            progress.console.print(commit_line(committed), markup=False)

        request = DemoRequest(recorded, settings, out, on_event, on_commit, os_utc_ns)
        result = fly_demo(request)
    flown = result.flight
    results = FlightResults(
        recorded=recorded,
        health=flown.stages.health,
        log=flown.log,
        stored=flown.stored,
        alerts=newest_words(committed.alert for committed in result.ledger.commits),
        outbox_left=result.outbox_left,
        wall_s=flown.wall_s,
        incidents=flown.stages.incident_counts(),
        outbox_to_desk_s=result.ledger.latencies_s(),
    )
    flown.mailbox.close()
    return write_results(results, out, title="What the command centre has, against what was there")
