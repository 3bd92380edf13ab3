"""The tables that `skywhistle score` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE
from rich.table import Table

if TYPE_CHECKING:
    from sim.score.result import ScoreResult


def score_tables(result: ScoreResult, plain: dict[str, Any]) -> Iterator[Table]:
    """Yield one after the other what was asked for."""
    if result.flights:
        table = Table(box=SIMPLE, title=f"flights: {plain['flights']}, frames: {plain['frames']}")
        for head in ("class", "shown", "found", "recall", "alerts", "false", "double", "precision"):
            table.add_column(head, justify="left" if head == "class" else "right", no_wrap=True)
        for label, one in [*plain["by_class"].items(), ("all", plain)]:
            names = ("truths", "found", "recall", "alerts", "false_alarms", "duplicates")
            table.add_row(label, *(_cell(one[name]) for name in (*names, "precision")))
        table.caption = _caption(plain)
        yield table
    if result.frame_level is not None:
        table = Table("class", "boxes", "AP50", box=SIMPLE, title="frame by frame")
        for label, row in plain["frame_level"]["by_class"].items():
            table.add_row(label, str(row["boxes"]), _cell(row["ap50"]))
        table.add_row("mean", "", _cell(result.frame_level.map50))
        yield table
    if result.pictures is not None:
        told = plain["pictures"]
        table = Table("tag", "pictures", "found", "share", box=SIMPLE, title="single pictures")
        for tag, row in told["by_tag"].items():
            found = row.get("found", f"{row.get('false_alarms')} false")
            table.add_row(tag, str(row["pictures"]), str(found), _cell(row.get("share_found")))
        table.caption = f"false alarms per 10 pictures of nothing: {told['false_alarms_per_10']}"
        yield table
    if plain["thresholds"]:
        yield _thresholds(plain["thresholds"])


def _caption(plain: dict[str, Any]) -> str:
    causes = ", ".join(f"{cause} {n}" for cause, n in plain["by_cause"].items())
    return (
        f"false alarms {_cell(plain['false_alarms_per_h'])} an hour, "
        f"{_cell(plain['false_cases_per_100'])} of 100 cases{': ' if causes else ''}{causes}\n"
        f"geotag error {_cell(plain['geotag_median_m'])} m median, "
        f"{_cell(plain['geotag_p90_m'])} m at 90 %; truth in the 90 % ellipse "
        f"{_cell(plain['ellipse_hit_rate'])}"
    )


def _cell(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.2f}"


def _thresholds(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Lay thresholds against classes; each cell is recall and precision in percent."""
    labels = list(dict.fromkeys(row["label"] for row in rows))
    table = Table(
        box=SIMPLE, title="recall/precision in percent, had the threshold been", padding=0
    )
    table.add_column("", no_wrap=True)
    for label in labels:
        table.add_column(label.replace("_", " "), justify="right")  # a blank lets it wrap
    last = max((row["threshold"] for row in rows if row["alerts"]), default=0.0)
    for step in sorted({row["threshold"] for row in rows if row["threshold"] <= last}):
        here = {row["label"]: row for row in rows if row["threshold"] == step}
        table.add_row(f"{step:.2f}", *(_percent(here[label]) for label in labels))
    table.caption = "* the rule's own"
    return table


def _percent(row: Mapping[str, Any]) -> str:
    shares = ("–" if row[k] is None else f"{100 * row[k]:.0f}" for k in ("recall", "precision"))
    return " " + "/".join(shares) + ("*" if row["is_rule"] else "")
