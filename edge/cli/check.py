"""`skywhistle check` says whether this aircraft would fly."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console

from edge.cli.progress import quiet

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(check)


def check(
    config: Path = typer.Argument(..., help="The patrol.toml."),
    seconds: float = typer.Option(6.0, min=1.0, max=60.0, help="How long each part is watched."),
) -> None:
    """Say in plain words, part by part, whether this aircraft would fly.  Exit code 1: no."""
    from edge.checks import Grade
    from edge.checks import check as look
    from edge.settings import read_settings

    quiet()
    console = Console(highlight=False, soft_wrap=True)
    settings = read_settings(config)
    grades = []
    for finding in look(settings, seconds):
        grades.append(finding.grade)
        style = _STYLES[finding.grade.value]
        mark = f"[{style}]{finding.grade.value:>4}[/]"
        console.print(f"{mark}  [bold]{finding.part:<16}[/] ", end="")
        console.print(finding.text, markup=False)
    failed, warned = grades.count(Grade.FAIL), grades.count(Grade.WARN)
    if failed:
        console.print(f"[bold red]would not fly: {failed} of {len(grades)} findings failed[/]")
        raise typer.Exit(1)
    console.print(f"[bold green]would fly[/] ({warned} warnings)")
