"""`skywhistle run`, `flight` and `uplink`: what runs on the aircraft."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import typer

from edge.cli.signals import os_utc_ns, stop_on_signals, whole_or_not_at_all
from edge.settings import read_settings

CONFIG = typer.Argument(..., help="The patrol.toml.")


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(run)
    app.command()(flight)
    app.command()(uplink)


def run(config: Path = CONFIG) -> None:
    """Run flight and uplink, restart whichever ends, stop both on SIGINT or SIGTERM."""
    from edge.district import read_inputs
    from edge.report.rolelock import RoleLock
    from edge.supervise import Program, skywhistle, supervise
    from edge.vision.manifest import read_checked_model

    # A mistake is told here, before anything starts: a restart would only meet it again.
    patrol = read_settings(config).patrol
    for manifest in read_inputs(patrol).values():
        read_checked_model(manifest)
    names = ("flight", "uplink")
    with RoleLock(patrol.mailbox.path, "run"):  # two parents would restart for ever
        for name in names:
            RoleLock(patrol.mailbox.path, name).probe()
        stop = stop_on_signals()
        programs = [Program(name, skywhistle(name, str(config))) for name in names]
        raise typer.Exit(supervise(programs, stop))


def flight(config: Path = CONFIG) -> None:
    """Fly: camera, autopilot, detector; alerts go into the mailbox."""
    from edge.flight import fly_aircraft
    from edge.watchdog import Watchdog

    settings = read_settings(config)
    reload = threading.Event()
    signal.signal(signal.SIGHUP, lambda _number, _frame: reload.set())
    stop = stop_on_signals()
    with whole_or_not_at_all(stop), Watchdog.of_this_process() as watchdog:
        fly_aircraft(settings, stop, reload, watchdog)


def uplink(config: Path = CONFIG) -> None:
    """Deliver: drain the mailbox over MQTT until the desk has acknowledged each message."""
    from edge.report.uplink import run_uplink
    from edge.watchdog import Watchdog

    settings = read_settings(config)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nothing of the uplink reloads
    stop = stop_on_signals()
    with whole_or_not_at_all(stop), Watchdog.of_this_process() as watchdog:
        run_uplink(settings.patrol, stop, os_utc_ns, watchdog)
