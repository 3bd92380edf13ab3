"""`skywhistle sim`: the simulator, on the wire or into a flight folder."""

from __future__ import annotations

import signal
import threading

import typer

sim = typer.Typer(no_args_is_help=True, help="The simulator: serve a flight, record a flight.")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.add_typer(sim, name="sim")


def stop_on_signals() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    return stop
