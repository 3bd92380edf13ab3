"""The table that every part of `bench` ends with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from edge.bench.figures import Row


def figures_table(title: str, rows: Iterable[Row], caption: str) -> Table:
    """Return figures against their targets."""
    table = Table(title=title, caption=caption, caption_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("target", justify="right")
    table.add_column("")
    for row in rows:
        mark = {True: "[green]met[/]", False: "[bold red]missed[/]", None: ""}[row.is_met]
        table.add_row(row.name, row.value, row.target, mark)
    return table
