"""Addresses on the command line."""

from __future__ import annotations

from edge.errors import ScenarioError


def address(text: str, default_port: int) -> tuple[str | None, int]:
    """Split host:port; an empty text means not at all."""
    if not text:
        return None, default_port
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise ScenarioError(f"{text!r}: give host:port")
    return host, int(port)
