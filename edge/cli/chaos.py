"""`skywhistle chaos`: everything breaks at random, and nothing may be lost."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from edge.cli.progress import quiet


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(chaos)


def chaos(
    minutes: float = typer.Option(5.0, min=0.05, max=1440.0, help="That faults strike, a seed."),
    seed: int = typer.Option(1, min=0, help="Of all that is random here."),
    seeds: int = typer.Option(1, min=1, max=1000, help="So many, one after the other."),
    alerts_per_s: float = typer.Option(6.0, min=0.1, max=200.0, help="Put beside the flight's."),
    fly: bool = typer.Option(True, help="Fly the shipped simulated flight as well."),
    network: bool = typer.Option(
        True, help="A network of its own for the uplink, that loses packets; as root on Linux."
    ),
    as_json: bool = typer.Option(False, "--json", help="JSON on standard output, no table."),
    out: Path | None = typer.Option(None, help="Also write the JSON into this file."),
    keep: Path | None = typer.Option(None, help="Keep databases, ledgers and logs in here."),
) -> None:
    """Kill and cut off flight, uplink, broker, desk, link, disk and clocks; account for each alert.

    Exit code 1 if anything that the mailbox accepted was lost, doubled, or invented.
    """
    from sim.chaos.run import ChaosRequest, run_chaos, totals

    quiet()
    console = Console(stderr=True, highlight=False)
    runs = []
    with console.status("starting") as line:
        for number in range(seed, seed + seeds):

            def show(text: str, share: float, number: int = number) -> None:
                line.update(f"seed {number}: {share:4.0%}   {text}")

            folder = None if keep is None else keep / f"seed-{number}"
            request = ChaosRequest(minutes, number, alerts_per_s, fly, network, folder, show)
            runs.append(run_chaos(request).as_dict())
    report = runs[0] if len(runs) == 1 else totals(runs)
    text = json.dumps(report, indent=2) + "\n"
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    if as_json:
        sys.stdout.write(text)
    else:
        Console(highlight=False).print(_table(report))
    if not report["holds"]:
        raise typer.Exit(1)


def _table(report: dict[str, object]) -> Table:
    """Return the account, line by line."""
    table = Table(title=f"chaos, seeds {report['seeds']}, {report['minutes']} minutes")
    table.add_column("messages")
    table.add_column("", justify="right")
    names = ("accepted", "committed", "coalesced", "superseded", "loss_recorded", "queued")
    for name in (*names, "lost", "invented", "duplicates"):
        table.add_row(name.replace("_", " "), str(report[name]))
    table.add_section()
    table.add_row("faults", str(report["faults_total"]))
    table.add_row("kills inside a transaction", str(report["transactions_struck_total"]))
    return table
