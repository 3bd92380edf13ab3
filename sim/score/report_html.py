"""The few pieces of HTML that the reports are made of; everything that comes in is escaped."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

Cell = str


def section(title: str, body: str) -> str:
    """Return a titled section.

    Args:
        title: Plain text.
        body: HTML.
    """
    return f"<section><h2>{escape(title)}</h2>\n{body}\n</section>"


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return a table of plain text; words stand left, figures right."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "\n".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>\n{lines}\n</tbody></table>"


def _cell(text: Cell) -> str:
    return f"<td{' class=text' if text[:1].isalpha() else ''}>{escape(text)}</td>"


def image(source: str, text: str) -> str:
    """Return a picture with a text for those who cannot see it."""
    return f'<img src="{source}" alt="{escape(text, quote=True)}">'


def data_uri(content: bytes, kind: str) -> str:
    """Return a picture's bytes as an address of their own."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"
