"""`skywhistle tell`: a signed command to a drone, and its answer."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path

import typer

from edge.cli.signals import os_utc_ns
from edge.errors import ConfigError


class Word(str, Enum):
    """What can be asked of a drone; nothing of it moves the aircraft."""

    PING = "ping"
    RELEASE = "release"


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(tell)


def tell(
    config: Path = typer.Argument(..., help="The desk's patrol.toml; its table `mqtt` is used."),
    drone_id: str = typer.Argument(..., help="Which drone."),
    word: Word = typer.Argument(..., help="ping: answer; release: send an original for a case."),
    key: Path = typer.Option(..., help="The desk's command.key, as `skywhistle keys` made it."),
    incident: str | None = typer.Option(None, help="With release: the incident's id, hex."),
    case: str = typer.Option("", help="With release: the case that it is for; kept on board."),
    valid_s: int = typer.Option(
        600, min=1, max=86_400, help="Seconds after which the drone refuses it."
    ),
    wait_s: float = typer.Option(30.0, min=0.0, max=3600.0, help="For the answer."),
) -> None:
    """Send a drone a signed command.  Exit code 1: it failed, or nothing was answered."""
    from edge.desk.orders import Order, send_order
    from edge.protocol.command import Outcome, Verb
    from edge.protocol.signing import read_signing_key
    from edge.settings import read_patrol

    if word is Word.RELEASE and not (incident and case):
        raise typer.BadParameter("release needs --incident ID and --case NAME")
    order = Order(drone_id, Verb[word.name], valid_s, _id_from_hex(incident), case)
    utc_ns = os_utc_ns()
    signer = read_signing_key(key, "--key")
    answer = send_order(read_patrol(config).mqtt, order.command(utc_ns), signer, wait_s)
    if answer is None:
        typer.echo(f"{drone_id}: no answer within {wait_s:g} s; the broker keeps it {valid_s} s")
        raise typer.Exit(1)
    typer.echo(f"{drone_id}: {answer.outcome.name.lower()}: {answer.text}")
    if answer.outcome is not Outcome.DONE:
        raise typer.Exit(1)


def _id_from_hex(text: str | None) -> bytes:
    if text is None:
        return b""
    if re.fullmatch(r"[0-9A-Fa-f]{32}", text) is None:
        raise ConfigError(
            f"--incident {text!r}: write the 32 hex digits of its id; they are `incident_id` in "
            "`skywhistle desk --export alerts.csv`"
        )
    return bytes.fromhex(text)
