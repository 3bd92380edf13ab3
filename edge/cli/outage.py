"""`skywhistle outage`: how an hour without a link ends."""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path

import typer
from rich.console import Console

from edge.cli.progress import quiet


class Broken(str, Enum):
    """How the link is away."""

    HALF_OPEN = "half_open"  # whatever is sent is swallowed
    REFUSED = "refused"
    STALLED = "stalled"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(outage)


def outage(
    minutes: float = typer.Option(60.0, min=0.05, max=1440.0, help="That the link is away."),
    alerts_per_s: float = typer.Option(1.0, min=0.01, max=200.0, help="Put meanwhile."),
    link: Broken = typer.Option(Broken.HALF_OPEN, help="How it is away."),
    as_json: bool = typer.Option(False, "--json", help="JSON on standard output, no lines."),
    out: Path | None = typer.Option(None, help="Also write the JSON into this file."),
) -> None:
    """Cut the uplink off, put alerts, give the link back, and time what arrives when."""
    from sim.chaos.outage import measure_outage
    from sim.faults.link import LinkMode

    quiet()
    console = Console(stderr=True, highlight=False)
    with console.status("starting") as line:
        figures = measure_outage(
            minutes,
            alerts_per_s,
            LinkMode(link.value),
            lambda text, share: line.update(f"{share:4.0%}   {text}"),
        )
    text = json.dumps(figures.as_dict(), indent=2) + "\n"
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    if as_json:
        sys.stdout.write(text)
        return
    for name, value in figures.as_dict().items():
        typer.echo(f"{name.replace('_', ' '):24} {value}")
