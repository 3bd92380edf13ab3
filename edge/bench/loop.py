"""The loop against its yardsticks, by turns in one process: what else runs here hits all alike.

A round is: so many frames of flight's loop, as many pictures decoded, as many inferences, as many
frames of a bare loop that decodes in a thread and infers.  The first round warms up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from statistics import median

from edge.bench.figures import LoopFigures
from edge.bench.rig import Aircraft, Rig, aircraft, closing_stream, with_telemetry
from edge.capture.events import events
from edge.capture.files import VideoFile
from edge.capture.video import open_video
from edge.errors import BenchError
from edge.pipeline import fly
from edge.records import Frame, ImageArray, Tick
from edge.replay import ReplayClock
from edge.vision.detector import OnnxDetector

FRAMES_PER_ROUND = 40
_MIN_ROUNDS = 3  # however little time there is
# The process is at rest when it burns less than this in one look; the decoder has then filled its
# queue, so that every turn begins and ends with as many frames in hand.
_REST_LOOK_S = 0.015
_REST_CPU_S = 0.002
_REST_LOOKS = 40


@dataclass(frozen=True, slots=True)
class Turn:
    """What some frames cost."""

    cpu_s: float
    wall_s: float


@dataclass(frozen=True, slots=True)
class Round:
    """The loop and its yardsticks, over as many frames each."""

    loop: Turn
    decode: Turn
    inference: Turn
    bare: Turn

    @property
    def cpu_ratio(self) -> float:
        """CPU of the loop ÷ that of what it cannot do without."""
        return self.loop.cpu_s / (self.decode.cpu_s + self.inference.cpu_s)

    @property
    def rate_ratio(self) -> float:
        """Frames a second of the loop ÷ those of the bare loop."""
        return self.bare.wall_s / self.loop.wall_s


class Stopwatch:
    """Measures one turn; starts when the process is at rest, counts CPU until it is again."""

    def __init__(self) -> None:
        _rest()
        self._cpu_s, self._wall_s = time.process_time(), time.monotonic()

    def stop(self) -> Turn:
        """End the turn."""
        wall_s = time.monotonic() - self._wall_s
        _rest()
        return Turn(time.process_time() - self._cpu_s, wall_s)


class Pictures:
    """The flight's video, over and over."""

    def __init__(self, rig: Rig, *, in_thread: bool) -> None:
        self._pictures = self._for_ever(rig, in_thread)

    def take(self, n: int) -> Iterator[ImageArray]:
        """Yield the next `n`."""
        return islice(self._pictures, n)

    def close(self) -> None:
        """Stop decoding."""
        self._pictures.close()

    @staticmethod
    def _for_ever(rig: Rig, in_thread: bool) -> Generator[ImageArray, None, None]:
        video = VideoFile(rig.video)
        while True:
            with closing_stream(iter(video) if in_thread else video.decode()) as pictures:
                for _, _, image in pictures:
                    yield image


@dataclass(slots=True)
class Yardsticks:
    """Bare decoding, bare inference, and both in a bare loop: the same file, session, threads."""

    detector: OnnxDetector
    alone: Pictures
    ahead: Pictures
    n_frames: int
    inference_s: list[float] = field(default_factory=list)

    def decode(self) -> Turn:
        """Decode."""
        watch = Stopwatch()
        for _ in self.alone.take(self.n_frames):
            pass
        return watch.stop()

    def infer(self) -> Turn:
        """Run the session on whatever the tensor holds: the loop's last picture."""
        watch = Stopwatch()
        for _ in range(self.n_frames):
            self._infer()
            self.inference_s.append(self.detector.last_inference_s)
        return watch.stop()

    def both(self) -> Turn:
        """Infer as often as a picture comes out of the decoding thread."""
        watch = Stopwatch()
        for _ in self.ahead.take(self.n_frames):
            self._infer()
        return watch.stop()

    def _infer(self) -> None:
        self.detector.warm_up()  # is `session.run`, and nothing else


@dataclass(slots=True)
class Rounds:
    """Stands between the events and the loop, and stops it for the yardsticks."""

    yardsticks: Yardsticks
    until_mono_s: float
    done: list[Round] = field(default_factory=list)

    def interleaved(self, stream: Iterator[Frame | Tick]) -> Iterator[Frame | Tick]:
        """Hand events on; time is up only between two rounds."""
        n_frames, watch = 0, Stopwatch()
        for event in stream:
            yield event
            n_frames += isinstance(event, Frame)
            if n_frames == self.yardsticks.n_frames:
                loop = watch.stop()
                sticks = self.yardsticks
                self.done.append(Round(loop, sticks.decode(), sticks.infer(), sticks.both()))
                if time.monotonic() > self.until_mono_s and len(self.done) >= _MIN_ROUNDS:
                    return
                n_frames, watch = 0, Stopwatch()


def measure_loop(rig: Rig, seconds: float, n_frames: int = FRAMES_PER_ROUND) -> LoopFigures:
    """Fly the rig's video as fast as it goes, by turns with the yardsticks.

    Raises:
        BenchError: The video, or the time, is too short for two rounds.
        ConfigError, ModelError, VideoError: The rig cannot be flown.
    """
    clock = ReplayClock()
    with aircraft(rig, "loop", clock.now) as plane:
        detector = next(iter(plane.stages.detectors.values()))
        alone, ahead = Pictures(rig, in_thread=False), Pictures(rig, in_thread=True)
        with closing(alone), closing(ahead):
            sticks = Yardsticks(detector, alone, ahead, n_frames)
            rounds = Rounds(sticks, time.monotonic() + seconds)
            _fly(rig, plane, clock, rounds)
        lost = plane.stages.health.lost_events
    if lost:
        raise BenchError(f"the loop lost {lost} events ({plane.stages.health.last_error})")
    return _figures(rounds)


def _fly(rig: Rig, plane: Aircraft, clock: ReplayClock, rounds: Rounds) -> None:
    source = open_video(plane.stages.settings.patrol.camera[0], lambda: None)
    with closing_stream(events([source], threading.Event())) as stream:
        fed = with_telemetry(rig, plane.telemetry, _handed(clock, stream))
        fly(rounds.interleaved(plane.watched(source, fed)), plane.stages)


def _handed(clock: ReplayClock, stream: Iterator[Frame | Tick]) -> Iterator[Frame | Tick]:
    """A file plays faster than its time: the loop's clock follows the file's."""
    for event in stream:
        clock.hand(event)
        yield event


def _figures(rounds: Rounds) -> LoopFigures:
    measured = rounds.done[1:]
    if not measured:
        n_frames = rounds.yardsticks.n_frames
        raise BenchError(
            f"{len(rounds.done)} rounds of {n_frames} frames, and the first warms up: the "
            f"flight is too short"
        )
    n, inference_s = rounds.yardsticks.n_frames, rounds.yardsticks.inference_s
    return LoopFigures(
        cpu_ratio=median(one.cpu_ratio for one in measured),
        cpu_ratio_worst=max(one.cpu_ratio for one in measured),
        rate_ratio=median(one.rate_ratio for one in measured),
        rate_ratio_worst=min(one.rate_ratio for one in measured),
        inference_ms=median(inference_s[n:]) * 1e3,
        decode_ms=median(one.decode.wall_s for one in measured) / n * 1e3,
        loop_cpu_ms=median(one.loop.cpu_s for one in measured) / n * 1e3,
        inference_cpu_ms=median(one.inference.cpu_s for one in measured) / n * 1e3,
        decode_cpu_ms=median(one.decode.cpu_s for one in measured) / n * 1e3,
        loop_rate_hz=n / median(one.loop.wall_s for one in measured),
        bare_rate_hz=n / median(one.bare.wall_s for one in measured),
        loop_rounds=len(measured),
        loop_frames_per_round=n,
    )


def _rest() -> None:
    """Wait until no thread of this process works any more."""
    for _ in range(_REST_LOOKS):
        before_s = time.process_time()
        time.sleep(_REST_LOOK_S)
        if time.process_time() - before_s < _REST_CPU_S:
            return
