"""`skywhistle soak`: everything runs for hours, and what grows is told."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.table import Table

from edge.cli.progress import quiet

_SHORT_H: Final = 0.5


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(soak)


def soak(
    hours: float = typer.Option(2.0, min=0.002, max=1000.0, help="How long it is watched."),
    alerts_per_s: float = typer.Option(2.0, min=0.1, max=200.0, help="Put beside the flight's."),
    fly: bool = typer.Option(True, help="Fly the shipped simulated flight as well."),
    as_json: bool = typer.Option(False, "--json", help="JSON on standard output, no table."),
    out: Path = typer.Option(Path("out/soak"), help="Gets samples.csv, soak.json and soak.png."),
) -> None:
    """Run flight, uplink, broker and desk for hours; memory, handles, threads, queue, latency.

    A leak is a slope, by least squares after the warm-up (a quarter, at most 20 minutes).  Exit
    code 1 if something grew, ended by itself, or was lost.
    """
    from edge.errors import ConfigError
    from edge.extras import needs_extra

    with needs_extra("demo", "the plot of a soak"):
        from sim.soak.run import SoakRequest, run_soak

    quiet()
    if out.is_dir() and any(out.iterdir()):
        raise ConfigError(f"{out}: is in use; give a new folder with --out, or empty it first")
    console = Console(stderr=True, highlight=False)
    with console.status("starting") as line:

        def show(text: str, share: float) -> None:
            line.update(f"{share:4.0%}   {text}")

        report = run_soak(SoakRequest(hours, alerts_per_s, fly, out, show)).as_dict()
    if as_json:
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        Console(highlight=False).print(_table(report))
        typer.echo(f"plot: {out / 'soak.png'}   samples: {out / 'samples.csv'}")
        for word in _verdict(report):
            typer.echo(word)
    if not (report["is_steady"] and report["holds"]):
        raise typer.Exit(1)


def _verdict(report: dict[str, Any]) -> Iterator[str]:
    """Say whether it passed, and if not why."""
    if report["hours"] < _SHORT_H:
        yield "too short to tell a leak: caches and pools still fill; an hour at least tells"
    if not report["is_steady"]:
        yield "not steady: something grew, ended by itself or was too short to judge, as above"
    if not report["holds"]:
        yield "the account does not hold: see soak.json"
    if report["is_steady"] and report["holds"]:
        yield "steady, and every accepted message is accounted for"


def _table(report: dict[str, dict[str, dict[str, float]]]) -> Table:
    table = Table(title=f"soak of {report['hours']} h")
    for name in ("program", "memory MB", "MB/h", "handles", "/h", "threads", "/h"):
        table.add_column(name, justify="right")
    for role, fit in report["processes"].items():
        if fit is None:
            table.add_row(role, "too few samples")
            continue
        table.add_row(
            role,
            f"{fit['memory_mb']:.1f}",
            f"{fit['memory_slope_mb_per_h']:+.2f}",
            f"{fit['handles']}",
            f"{fit['handles_slope_per_h']:+.2f}",
            f"{fit['threads']}",
            f"{fit['threads_slope_per_h']:+.2f}",
        )
    return table
