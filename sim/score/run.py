"""Several flights, one after the other or side by side."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Protocol

from edge.capture.recording import open_flight
from edge.errors import FlightError, SkywhistleError
from sim.score.flight import FlightScore, ScoreOrder, score_flight
from sim.score.matching import read_truth


class Progress(Protocol):
    """Is told how far the scoring has come."""

    def begun(self, name: str, frames: int | None) -> None: ...

    def frame(self) -> None: ...

    def done(self, name: str) -> None: ...


def check_flights(folders: Sequence[Path], *, with_boxes: bool = False) -> set[str]:
    """Open every flight and its truth before the first is flown; return all violation classes.

    Args:
        folders: Of the flights.
        with_boxes: Whether the truth of single frames is needed too.

    Raises:
        FlightError: A folder is no flight, has no usable truth, or is named twice.
    """
    labels: set[str] = set()
    known: set[Path] = set()
    for folder in folders:
        recorded = open_flight(folder)
        if folder.resolve() in known:
            raise FlightError(f"{folder}: is given twice; its figures would count twice")
        known.add(folder.resolve())
        if recorded.spec.truth is None:
            raise FlightError(
                f"{folder}: has no truth to score against; record one with `skywhistle sim "
                "record`, or look at the flight with `skywhistle replay`"
            )
        if with_boxes and not (folder / "boxes.json").is_file():
            raise FlightError(
                f"{folder}: has no boxes.json to score frames against; record it again with "
                "`skywhistle sim record`, or leave --frames away"
            )
        truth = read_truth(recorded.path(recorded.spec.truth.file))
        labels |= {thing.label for thing in truth.things if thing.is_violation}
    return labels


def score_flights(
    folders: Sequence[Path], order: ScoreOrder, jobs: int, progress: Progress
) -> list[FlightScore]:
    """Score flights; the result is in the order of `folders`, however many run at a time.

    Args:
        folders: Of the flights.
        order: With what.
        jobs: How many at a time, each in a process of its own where there are several.
        progress: Told of each frame (one job), of each flight (several).

    Raises:
        SkywhistleError: A flight cannot be scored; none of the others is either.
    """
    if jobs == 1 or len(folders) == 1:
        return [_one(folder, order, progress) for folder in folders]
    # Spawned, not forked: threads of OpenCV and ONNX Runtime do not survive a fork.
    context = multiprocessing.get_context("spawn")
    scores: dict[Path, FlightScore] = {}
    with ProcessPoolExecutor(min(jobs, len(folders)), mp_context=context) as pool:
        running = {pool.submit(score_flight, folder, order): folder for folder in folders}
        for folder in folders:
            progress.begun(folder.name, None)
        for future in as_completed(running):
            try:
                scores[running[future]] = future.result()
            except BrokenProcessPool as error:
                raise SkywhistleError(
                    f"{running[future]}: its process was killed, most likely for want of memory; "
                    "try fewer --jobs"
                ) from error
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
            progress.done(running[future].name)
    return [scores[folder] for folder in folders]


def _one(folder: Path, order: ScoreOrder, progress: Progress) -> FlightScore:
    frames = open_flight(folder).n_frames()
    if frames is not None and order.frame_step:
        frames += -(-frames // order.frame_step)  # looked at once more
    progress.begun(folder.name, frames)
    score = score_flight(folder, order, progress.frame)
    progress.done(folder.name)
    return score


def unique_names(scores: Sequence[FlightScore], folders: Sequence[Path]) -> list[str]:
    """Name each flight, with its folder where two have one name."""
    names = [score.name for score in scores]
    return [
        name if names.count(name) == 1 else f"{name} ({folder})"
        for name, folder in zip(names, folders, strict=True)
    ]
