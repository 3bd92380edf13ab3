"""`skywhistle bench geo`: how right places are on this machine's build."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path

import typer
from rich.console import Console

from edge.cli.bench_table import figures_table
from edge.cli.progress import quiet

# Where a checkout keeps others' recordings beside it, as its tests do.
RECORDINGS = Path(__file__).resolve().parents[3] / "shared" / "data"


class GeoPart(str, Enum):
    """What can be measured alone."""

    NOISELESS = "noiseless"
    COST = "cost"
    CELLS = "cells"
    FLIGHTS = "flights"
    BORESIGHT = "boresight"
    LATENCY = "latency"
    SITL = "sitl"
    CHESSBOARD = "chessboard"
    CUAV = "cuav"


def geo(
    as_json: bool = typer.Option(False, "--json", help="JSON on standard output, no table."),
    out: Path | None = typer.Option(None, help="Also write the JSON into this file."),
    recordings: Path = typer.Option(
        RECORDINGS, help="Real logs, stills and chessboards of others: logs, flights, calibration."
    ),
    flights: int = typer.Option(100, min=2, max=2000, help="Of geometry, for each noise preset."),
    only: list[GeoPart] = typer.Option([], help="Measure this part alone; may be given twice."),
) -> None:
    """Measure how right places are, how well their ellipses know it, and the calibrations."""
    from edge.bench.geo import GeoRequest, measure_geo, rows
    from edge.bench.geo import as_json as json_text

    quiet()
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if out is not None:  # minutes of measuring must not end at a path that cannot be written
        out.parent.mkdir(parents=True, exist_ok=True)
        out.touch()
    figures = measure_geo(
        GeoRequest(
            recordings=recordings,
            flights=flights,
            parts=frozenset(part.value for part in (only or GeoPart)),
            say=lambda text: console.print(text, style="dim", markup=False),
        )
    )
    text = json_text(figures)
    if out is not None:
        out.write_text(text, encoding="utf-8")
    if as_json:
        sys.stdout.write(text)
        return
    why = [f"{part}: {reason}" for part, reason in figures.unavailable.items()]
    table = figures_table(figures.machine, rows(figures), "\n".join(why))
    Console(highlight=False, soft_wrap=True).print(table)
