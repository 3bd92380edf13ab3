"""What drives the loop: the newest frame of whichever camera is due, or a tick."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from edge.capture.slots import LatestFrame, NextFrame
from edge.capture.video_records import VideoSource
from edge.records import Frame, MonoNs, Tick

NS_PER_S = 1_000_000_000

# A threading.Event cannot wake a condition, so a wait is cut this short to look at `stop`.
STOP_LOOK_S = 0.25

Slot = LatestFrame | NextFrame


class _Lane:
    """One camera on its way into the loop."""

    def __init__(self, source: VideoSource, ready: threading.Condition) -> None:
        self.source = source
        self.slot: Slot = LatestFrame(ready) if source.is_live else NextFrame(ready)
        # A file plays as fast as the loop takes it, every frame: no rate holds it back.
        self._interval_ns = round(NS_PER_S / source.max_rate_hz) if source.is_live else 0
        self.due_ns = 0
        self.served_ns = 0

    def serve(self, now_ns: int) -> Frame | None:
        """Take the frame and set when the next is due; one interval of lateness is made up."""
        frame = self.slot.take()
        if frame is not None:
            self.served_ns = now_ns
            self.due_ns = max(self.due_ns, now_ns - self._interval_ns) + self._interval_ns
        return frame


def events(
    sources: Sequence[VideoSource],
    stop: threading.Event,
    tick_s: float = 1.0,
    mono_ns: Callable[[], int] = time.monotonic_ns,
) -> Iterator[Frame | Tick]:
    """Start the sources and yield frames and ticks until every file has ended or `stop` is set.

    A live camera gives its newest frame, at most `max_rate_hz` times a second; a file gives every
    frame.  Among several that are due, the one served longest ago comes first.  A tick comes
    every `tick_s` of real time, frames or not; its time is now, but where only files play it is
    that of the newest frame handed out, because a file's time is not the wall's.

    The sources are closed when the generator is.
    """
    ready = threading.Condition()
    lanes = [_Lane(source, ready) for source in sources]
    started: list[_Lane] = []
    try:
        for lane in lanes:
            started.append(lane)
            lane.source.start(lane.slot)
        yield from _events(lanes, ready, stop, _Ticker(tick_s, mono_ns, lanes))
    finally:
        for lane in started:
            lane.slot.close()
        for lane in started:
            lane.source.close()


class _Ticker:
    """Keeps time for the loop."""

    def __init__(self, tick_s: float, mono_ns: Callable[[], int], lanes: Sequence[_Lane]) -> None:
        self._tick_ns = round(tick_s * NS_PER_S)
        self.now_ns = mono_ns
        self.due_ns = mono_ns() + self._tick_ns
        self._only_files = bool(lanes) and not any(lane.source.is_live for lane in lanes)
        self._newest: MonoNs | None = None

    def saw(self, frame: Frame) -> None:
        if self._newest is None or frame.captured_mono_ns > self._newest:
            self._newest = frame.captured_mono_ns

    def tick(self, now_ns: int) -> Tick:
        self.due_ns = max(self.due_ns, now_ns - self._tick_ns) + self._tick_ns
        if self._only_files and self._newest is not None:
            return Tick(self._newest)
        return Tick(MonoNs(now_ns))


def _events(
    lanes: Sequence[_Lane], ready: threading.Condition, stop: threading.Event, ticker: _Ticker
) -> Iterator[Frame | Tick]:
    while not stop.is_set():
        now_ns = ticker.now_ns()
        if now_ns >= ticker.due_ns:
            yield ticker.tick(now_ns)
            continue
        with ready:
            lane = _next_due(lanes, now_ns)
            if lane is None:
                if lanes and all(lane.slot.is_exhausted for lane in lanes):
                    return
                ready.wait(_patience_s(lanes, now_ns, ticker.due_ns))
                continue
            frame = lane.serve(now_ns)
        if frame is not None:
            ticker.saw(frame)
            yield frame


def _next_due(lanes: Sequence[_Lane], now_ns: int) -> _Lane | None:
    due = [lane for lane in lanes if lane.slot.has_frame and now_ns >= lane.due_ns]
    return min(due, key=lambda lane: lane.served_ns, default=None)


def _patience_s(lanes: Sequence[_Lane], now_ns: int, tick_due_ns: int) -> float:
    """How long nothing but a new frame can matter."""
    waiting = [lane.due_ns for lane in lanes if lane.slot.has_frame]
    until_ns = min([tick_due_ns, *waiting])
    return min(max(until_ns - now_ns, 0) / NS_PER_S, STOP_LOOK_S)
