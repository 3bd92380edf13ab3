"""`skywhistle score`: recorded flights against their truth; the gate for CI."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from edge.cli.progress import progress_bar, quiet
from edge.cli.score_tables import score_tables
from edge.cli.shipped import SIM_CONFIG, config_for, flight_folder
from edge.errors import ConfigError, SkywhistleError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from sim.score.flight import FlightScore, ScoreOrder
    from sim.score.frames import FrameScore
    from sim.score.gate import Verdict
    from sim.score.result import Baseline, ScoreResult
    from sim.score.stills import Still, StillScore
    from sim.score.thresholds import Asked

GATE_FAILED, NOT_SCORED = 1, 2
_DEFAULT_PICTURES = 400


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(score)


@dataclass(frozen=True, slots=True)
class _Request:
    """The command's options."""

    flights: Sequence[Path]
    model: Path | None
    config: Path | None
    jobs: int
    as_json: bool
    out: Path | None
    html: Path | None
    max_pictures: int
    baseline: Path | None
    confidence: float
    fail_if: Sequence[str]
    junit: Path | None
    frame_step: int
    thresholds: bool
    pictures: Path | None
    tags: Path | None


def score(
    flights: list[Path] = typer.Argument(
        None, help="Flight folders with truth, or a shipped flight (demo)."
    ),
    model: Path | None = typer.Option(None, help="A model's folder; else the config's."),
    config: Path | None = typer.Option(None, help="A patrol.toml; else the one the flight names."),
    jobs: int = typer.Option(1, min=1, max=64, help="Flights at a time, each in its own process."),
    as_json: bool = typer.Option(False, "--json", help="JSON on standard output, no table."),
    out: Path | None = typer.Option(None, help="Also write the JSON here: a baseline for later."),
    html: Path | None = typer.Option(None, help="Write one self-contained page here."),
    max_pictures: int = typer.Option(
        _DEFAULT_PICTURES, min=0, max=2000, help="On the page; what is left out is listed."
    ),
    baseline: Path | None = typer.Option(None, help="An earlier JSON that must not be undercut."),
    confidence: float = typer.Option(
        0.95, min=0.6, max=0.9999, help="That what the baseline's gate cries at is no chance."
    ),
    fail_if: list[str] = typer.Option(
        [], help="A condition such as 'recall<0.9' or 'by_class.smoke.recall<0.8'; repeatable."
    ),
    junit: Path | None = typer.Option(None, help="Write the gate's verdicts here as JUnit XML."),
    frames: bool = typer.Option(False, "--frames", help="Also the detector alone: mAP50 by frame."),
    frame_step: int = typer.Option(1, min=1, help="With --frames: every so many frames."),
    thresholds: bool = typer.Option(
        False, "--thresholds", help="Also what other thresholds of the rules would have given."
    ),
    pictures: Path | None = typer.Option(
        None, help="Also a folder of tagged pictures: manifest.csv (file,tag), or tag folders."
    ),
    tags: Path | None = typer.Option(
        None,
        help="What tags stand for, a TOML table `tags` of lists of classes, empty: nothing.  Else: "
        "site bare_soil or open_pit, shed structure, spoil and waste waste_pile (waste also "
        "floating_waste), smoke smoke, negative and hard_negative nothing.",
    ),
) -> None:
    """Replay recorded flights through the pipeline that flies and score them against their truth.

    An alert is right if its class is and it lies within 10 m of the thing's outline, whatever
    ellipse it claims.  Asked for is every violation that at least 5 frames show.  The page says
    all rules of the scoring.  `--pictures` scores single pictures at the rules' thresholds.

    The baseline's noise band: a figure fails when it is worse by more than
    sqrt((old's interval)² + (new's interval)²), with Wilson's intervals for shares, Byar's for
    rates and binomial ranks for quantiles, at --confidence, one-sided; metres by 0.1 at least.
    Recall and precision are compared by class too, with the confidence raised accordingly.

    Exit codes: 0 scored, and the gate, if any, passed; 1 the gate failed; 2 it could not be scored
    (usage, an unknown figure, a flight, model, config or baseline that cannot be used).
    """
    request = _Request(
        flights=[flight_folder(flight) for flight in flights or []],
        model=model,
        config=config,
        jobs=jobs,
        as_json=as_json,
        out=out,
        html=html,
        max_pictures=max_pictures if html is not None else 0,
        baseline=baseline,
        confidence=confidence,
        fail_if=fail_if,
        junit=junit,
        frame_step=frame_step if frames else 0,
        thresholds=thresholds,
        pictures=pictures,
        tags=tags,
    )
    quiet()
    try:
        has_failed = _score(request)
    except SkywhistleError as error:
        # A model that does not load is no verdict on a change: in CI only the gate exits with 1.
        typer.secho(f"skywhistle: {error}", fg="red", err=True)
        raise typer.Exit(NOT_SCORED) from error
    if has_failed:
        raise typer.Exit(GATE_FAILED)


def _score(request: _Request) -> bool:
    """Check all that can be checked first, then fly, then tell; return whether the gate failed."""
    from sim.score.gate import known_figures, read_conditions
    from sim.score.result import ScoreResult, read_baseline
    from sim.score.run import check_flights, unique_names

    started_s = time.monotonic()
    _check_usage(request)
    labels = sorted(check_flights(request.flights, with_boxes=request.frame_step > 0))
    stills = _stills(request)
    tags = sorted({still.tag for still in stills})
    known = known_figures(
        labels if request.flights else None, tags, with_frames=request.frame_step > 0
    )
    conditions = read_conditions(request.fail_if, known)
    baseline = read_baseline(request.baseline) if request.baseline else None
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    scores = _fly(request, console)
    names = unique_names(scores, request.flights)
    result = ScoreResult(
        flights=dict(zip(names, scores, strict=True)),
        labels=labels,
        frame_level=_frame_level(scores, request),
        pictures=_look(request, stills, console),
    )
    plain = result.plain()
    suites = {
        "fail-if": [one.judge(plain) for one in conditions],
        "baseline": _against(baseline, result, request.confidence, console),
    }
    swept = _swept(request, console)
    plain["thresholds"] = [one.plain() for one in swept]
    plain["wall_s"] = round(time.monotonic() - started_s, 1)
    verdicts = _tell(request, result, plain, suites)
    return _told_gate(verdicts, console)


def _check_usage(request: _Request) -> None:
    """Refuse before an hour of flying what could only fail after it."""
    if not request.flights and request.pictures is None:
        raise ConfigError("give at least one flight folder, or --pictures DIR; see --help")
    if not request.flights and (request.baseline or request.frame_step or request.thresholds):
        raise ConfigError("--baseline, --frames and --thresholds are about flights; give some")
    for path in (request.out, request.html, request.junit):
        if path is None:
            continue
        if path.is_dir():
            raise ConfigError(f"{path}: is a folder; give a file to write")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{path}: cannot be written ({error.strerror})") from error


def _stills(request: _Request) -> list[Still]:
    if request.pictures is None:
        return []
    from sim.score.stills import read_stills, read_tags

    return read_stills(request.pictures, read_tags(request.tags))


@dataclass(slots=True)
class _Bar:
    """Shows how far the flights are: frames of one, or flights where several fly at a time."""

    progress: Progress
    counts_flights: bool
    task: TaskID | None = None

    def begun(self, name: str, frames: int | None) -> None:
        """A flight begins."""
        if self.counts_flights and self.task is not None:
            self.progress.update(self.task, total=(self.progress.tasks[0].total or 0) + 1)
        else:
            total = 1 if self.counts_flights else frames
            description = "flights" if self.counts_flights else name
            self.task = self.progress.add_task(description, total=total)

    def frame(self) -> None:
        """A frame is done."""
        if self.task is not None:
            self.progress.advance(self.task)

    def done(self, name: str) -> None:
        """A flight is done."""
        if self.counts_flights and self.task is not None:
            self.progress.advance(self.task)


def _fly(request: _Request, console: Console) -> list[FlightScore]:
    from sim.score.run import score_flights

    if not request.flights:
        return []
    order = _order(request)
    counts_flights = request.jobs > 1 and len(request.flights) > 1
    unit = "flights" if counts_flights else "frames"
    with progress_bar(console, unit) as progress:
        return score_flights(request.flights, order, request.jobs, _Bar(progress, counts_flights))


def _order(request: _Request) -> ScoreOrder:
    from sim.score.flight import ScoreOrder

    return ScoreOrder(
        config=request.config,
        model=request.model,
        config_for=config_for,
        max_pictures=request.max_pictures,
        frame_step=request.frame_step,
        with_map=request.html is not None,
    )


def _swept(request: _Request, console: Console) -> list[Asked]:
    """Fly once more, every threshold lowered."""
    if not request.thresholds:
        return []
    from sim.score.thresholds import sweep

    with progress_bar(console, "frames") as progress:
        task = progress.add_task("thresholds", total=None)
        return sweep(request.flights, _order(request), lambda: progress.advance(task))


def _frame_level(scores: Sequence[FlightScore], request: _Request) -> FrameScore | None:
    if not request.frame_step:
        return None
    from sim.score.frames import score_frames

    return score_frames([one.boxes for one in scores if one.boxes is not None])


def _look(request: _Request, stills: Sequence[Still], console: Console) -> StillScore | None:
    if request.pictures is None:
        return None
    from sim.score.stills import score_stills

    with progress_bar(console, "pictures") as progress:
        task = progress.add_task(request.pictures.name, total=len(stills))
        config = request.config or SIM_CONFIG
        return score_stills(stills, config, request.model, lambda: progress.advance(task))


def _against(
    baseline: Baseline | None, result: ScoreResult, confidence: float, console: Console
) -> list[Verdict]:
    if baseline is None:
        return []
    from sim.score.gate import Result, compare, differing_flights

    now = {name: counted.truths for name, counted in result.by_flight.items()}
    if differing := differing_flights(baseline, now):
        console.print(
            f"{baseline.path} is of other flights ({differing}): the band holds for what chance "
            "does, not for what other flights do",
            style="yellow",
            markup=False,
        )
    return compare(baseline, Result(result.whole, result.by_class), confidence)


def _tell(
    request: _Request,
    result: ScoreResult,
    plain: dict[str, Any],
    suites: Mapping[str, Sequence[Verdict]],
) -> list[Verdict]:
    """Print and write all that was asked for; return what all suites said."""
    verdicts = [one for suite in suites.values() for one in suite]
    plain["gate"] = {
        "passed": [one.text for one in verdicts if not one.has_failed],
        "failed": [one.text for one in verdicts if one.has_failed],
    }
    if request.junit is not None:
        from sim.score.junit import write_junit

        write_junit(request.junit, suites, plain)
    text = json.dumps(plain, indent=2, ensure_ascii=False) + "\n"
    if request.out is not None:
        request.out.write_text(text, encoding="utf-8")
    if request.html is not None:
        from sim.score.report_page import PageOrder, score_page

        page = score_page(result, PageOrder(verdicts=verdicts, max_pictures=request.max_pictures))
        request.html.write_text(page, encoding="utf-8")
    if request.as_json:
        sys.stdout.write(text)
        return verdicts
    console = Console(highlight=False, soft_wrap=True)
    for table in score_tables(result, plain):
        console.print(table)
    return verdicts


def _told_gate(verdicts: Sequence[Verdict], console: Console) -> bool:
    failed = [one for one in verdicts if one.has_failed]
    for one in failed:
        console.print(f"gate: {one.text}", style="bold red", markup=False)
    if verdicts and not failed:
        console.print(f"gate passed: {len(verdicts)} tests", style="green")
    return bool(failed)
