"""`skywhistle bench`: the figures of this machine, measured on the pipeline itself."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from edge.cli.bench_geo import geo
from edge.cli.bench_table import figures_table
from edge.cli.progress import quiet
from edge.cli.shipped import DEMO_FLIGHT, config_for
from edge.cli.signals import os_utc_ns

if TYPE_CHECKING:
    from edge.bench.figures import Figures


class Part(str, Enum):
    """What can be measured alone."""

    LOOP = "loop"
    LATENCY = "latency"
    DELIVERY = "delivery"
    START = "start"
    MEMORY = "memory"
    KILLED = "killed"
    COST = "cost"


def add_to(app: typer.Typer) -> None:
    """Register the commands: `bench` itself measures the loop and the delivery."""
    group = typer.Typer(invoke_without_command=True, callback=bench)
    group.command()(geo)
    app.add_typer(group, name="bench")


def bench(
    context: typer.Context,
    as_json: bool = typer.Option(False, "--json", help="JSON on standard output, no table."),
    out: Path | None = typer.Option(None, help="Also write the JSON into this file."),
    flight: Path = typer.Option(DEMO_FLIGHT, help="A flight folder of one video."),
    config: Path | None = typer.Option(None, help="A patrol.toml; else the one the flight names."),
    model: Path | None = typer.Option(None, help="A model's folder; else the config's."),
    seconds: float = typer.Option(
        60.0, min=1.0, max=3600.0, help="For the loop and the latency each, at most."
    ),
    memory_minutes: float = typer.Option(5.0, min=0.1, max=600.0, help="How long flight is fed."),
    only: list[Part] = typer.Option([], help="Measure this part alone; may be given twice."),
) -> None:
    """Measure CPU, rate, latency, sizes, memory, start-up and the disk; null with why if it cannot.

    Figures are of this machine as busy as it is now: run it on an idle one.
    """
    if context.invoked_subcommand is not None:
        return
    from edge.bench.figures import as_json as json_text
    from edge.bench.rig import Choice
    from edge.bench.run import BenchRequest, run_bench

    quiet()
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if out is not None:  # minutes of measuring must not end at a path that cannot be written
        out.parent.mkdir(parents=True, exist_ok=True)
        out.touch()
    request = BenchRequest(
        choice=Choice(flight, config, model, config_for),
        seconds=seconds,
        memory_minutes=memory_minutes,
        utc_ns=os_utc_ns,
        parts=frozenset(part.value for part in (only or Part)),
        say=lambda text: console.print(text, style="dim", markup=False),
    )
    figures = run_bench(request)
    text = json_text(figures)
    if out is not None:
        out.write_text(text, encoding="utf-8")
    if as_json:
        sys.stdout.write(text)
    else:
        Console(highlight=False, soft_wrap=True).print(_table(figures))
    if "flight" in figures.unavailable:  # there was nothing to measure on
        raise typer.Exit(1)


def _table(figures: Figures) -> Table:
    """Return the figures against their targets, and why some are missing."""
    from edge.bench.figures import rows

    return figures_table(figures.machine, rows(figures), _caption(figures))


def _caption(figures: Figures) -> str:
    lines = [
        f"model {figures.model} {figures.model_hash}, threads {figures.threads}, "
        f"ONNX Runtime {figures.onnxruntime}, OpenCV {figures.opencv}, "
        f"load before {figures.load_before:.1f}"
    ]
    lines += [f"{part}: {why}" for part, why in figures.unavailable.items()]
    return "\n".join(lines)
