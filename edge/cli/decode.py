"""`skywhistle decode`: what a message says, in words or as JSON."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

# A line of hex as `mosquitto_sub -F '%x'` or `-F '%t %x'` prints it.
_HEX_LINE = re.compile(rb"(sw/v1/\S+\s+)?([0-9A-Fa-f]{2}\s*)+")


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(decode)


def decode(
    source: str = typer.Argument("-", help="A file, hex digits, or - for standard input."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object a message."),
) -> None:
    """Turn message bytes, raw or hex, into readable text; exit code 1 if some were not ours.

    mosquitto_sub -V 5 -t 'sw/v1/+/up/#' -F '%t %x' | skywhistle decode
    """
    from edge.errors import ProtocolError
    from edge.protocol.text import decode_stream

    failed = 0
    for data in _pieces(source):
        try:
            for message in decode_stream(data):
                whole = json.dumps(message.as_dict(), ensure_ascii=False)
                typer.echo(whole if as_json else message.as_text())
        except ProtocolError as error:
            failed += 1
            typer.secho(f"not a message of ours: {error}", fg="red", err=True)
    if failed:
        raise typer.Exit(1)


def _is_file(source: str) -> bool:
    try:
        return Path(source).is_file()
    except (OSError, ValueError):  # an alert's hex digits are longer than a file's name may be
        return False


def _hex_argument(source: str) -> bytes:
    """Take an argument that names no file for hex digits.

    Raises:
        ConfigError: It is no hex either: a mistyped file name, most likely.
    """
    from edge.errors import ConfigError

    data = source.encode(errors="surrogateescape")
    if not _HEX_LINE.fullmatch(data.strip()):
        raise ConfigError(f"{source!r}: is neither a file nor hex digits; give one of them, or -")
    return data


def _pieces(source: str) -> Iterator[bytes]:
    """Yield what can be decoded by itself: each line of hex as it comes, else the whole input."""
    if source != "-":
        yield Path(source).read_bytes() if _is_file(source) else _hex_argument(source)
        return
    for line in sys.stdin.buffer:
        if _HEX_LINE.fullmatch(line.strip()):
            yield line
        elif line.strip():
            yield line + sys.stdin.buffer.read()
            return
