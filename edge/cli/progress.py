"""The bar that every flight is shown with."""

from __future__ import annotations

import logging

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


def quiet() -> None:
    """Keep routine events off the terminal: the bar and the desk's lines are the story there."""
    root = logging.getLogger()
    if root.level == logging.INFO:  # not with --verbose
        root.setLevel(logging.WARNING)


def progress_bar(console: Console, unit: str = "frames") -> Progress:
    """Return a bar that counts frames, or what else `unit` names."""
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        console=console,
    )
