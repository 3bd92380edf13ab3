"""`skywhistle decode`: what a message says, in words or as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import typer

from edge.errors import ProtocolError
from edge.protocol.text import describe, read_messages, readable


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(decode)


def decode(
    source: str = typer.Argument("-", help="A file, hex digits, or - for standard input."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object a message."),
) -> None:
    """Turn message bytes into readable text.

    mosquitto_sub -V 5 -t 'sw/v1/+/up/#' -F %x | skywhistle decode
    """
    failed = 0
    for data in read_messages(_bytes_of(source)):
        try:
            message = describe(data)
        except ProtocolError as error:
            failed += 1
            typer.echo(f"not a message of ours ({len(data)} bytes): {error}", err=True)
            continue
        typer.echo(json.dumps(message, ensure_ascii=False) if as_json else readable(message))
    if failed:
        raise typer.Exit(1)


def _bytes_of(source: str) -> bytes:
    if source == "-":
        return sys.stdin.buffer.read()
    path = Path(source)
    if path.is_file():
        return path.read_bytes()
    return source.encode()
