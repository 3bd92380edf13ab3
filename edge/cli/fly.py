"""`skywhistle run`, `flight` and `uplink`: what runs on the aircraft."""

from __future__ import annotations

import signal
import threading
from dataclasses import replace
from pathlib import Path

import typer

from edge.cli.signals import plausible_utc_ns, stop_on_signals, whole_or_not_at_all
from edge.settings import Settings, read_settings

CONFIG = typer.Argument(..., help="The patrol.toml.")
SIGNED_BY = typer.Option(
    [],
    help="Public key; may be given twice. Then nothing starts, or reloads, unless one of them has "
    "signed the config and all that it names (`skywhistle keys sign`).",
)


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(run)
    app.command()(flight)
    app.command()(uplink)


def run(config: Path = CONFIG, signed_by: list[Path] = SIGNED_BY) -> None:
    """Run flight and uplink, restart whichever ends, stop both on SIGINT or SIGTERM."""
    from edge.district import read_inputs
    from edge.protocol.signing import read_public_keys
    from edge.report.rolelock import RoleLock
    from edge.supervise import Program, skywhistle, supervise
    from edge.vision.manifest import read_checked_model

    # A mistake is told here, before anything starts: a restart would only meet it again.
    patrol = _settings(config, signed_by).patrol
    for manifest in read_inputs(patrol).values():
        read_checked_model(manifest)
    read_public_keys(patrol.commands.keys, "commands.keys")
    read_public_keys(patrol.acks.keys, "acks.keys")
    names = ("flight", "uplink")
    with RoleLock(patrol.mailbox.path, "run"):  # two parents would restart for ever
        for name in names:
            RoleLock(patrol.mailbox.path, name).probe()
        stop = stop_on_signals()
        signers = [word for path in signed_by for word in ("--signed-by", str(path))]
        programs = [Program(name, skywhistle(name, str(config), *signers)) for name in names]
        raise typer.Exit(supervise(programs, stop))


def flight(config: Path = CONFIG, signed_by: list[Path] = SIGNED_BY) -> None:
    """Fly: camera, autopilot, detector; alerts go into the mailbox."""
    from edge.flight import fly_aircraft
    from edge.watchdog import Watchdog

    settings = _settings(config, signed_by)
    reload = threading.Event()
    signal.signal(signal.SIGHUP, lambda _number, _frame: reload.set())
    stop = stop_on_signals()
    with whole_or_not_at_all(stop), Watchdog.of_this_process() as watchdog:
        fly_aircraft(settings, stop, reload, watchdog)


def uplink(config: Path = CONFIG, signed_by: list[Path] = SIGNED_BY) -> None:
    """Deliver: drain the mailbox over MQTT until the desk has acknowledged each message."""
    from edge.report.uplink import run_uplink
    from edge.watchdog import Watchdog

    settings = _settings(config, signed_by)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nothing of the uplink reloads
    stop = stop_on_signals()
    with whole_or_not_at_all(stop), Watchdog.of_this_process() as watchdog:
        run_uplink(settings.patrol, stop, plausible_utc_ns, watchdog)


def _settings(config: Path, signed_by: list[Path]) -> Settings:
    """Read the config, signed where it must be."""
    from edge.protocol.signing import read_public_keys
    from edge.signed import require_signed

    signers = read_public_keys(signed_by, "--signed-by")
    settings = replace(read_settings(config), signers=signers)
    if signers:
        require_signed(settings, signers)
    return settings
