"""Laws of the events that drive the loop."""

from __future__ import annotations

import threading
import time
from collections import Counter
from itertools import islice

import numpy as np
import pytest

from edge.capture.events import events
from edge.capture.slots import FrameSink
from edge.capture.video_records import VideoHealth, VideoState
from edge.records import Frame, MonoNs, Tick

IMAGE = np.zeros((2, 2, 3), np.uint8)


class Source:
    """A source whose frames the test gives."""

    def __init__(self, camera_id: str, is_live: bool, max_rate_hz: float = 1000.0) -> None:
        self.camera_id = camera_id
        self.is_live = is_live
        self.max_rate_hz = max_rate_hz
        self.ended = False
        self.is_closed = False
        self.sink: FrameSink | None = None
        self._n = 0

    def start(self, deliver: FrameSink) -> None:
        self.sink = deliver

    def health(self) -> VideoHealth:
        return VideoHealth(VideoState.PLAYING)

    def close(self) -> None:
        self.is_closed = True

    def give(self, captured_ns: int | None = None) -> bool:
        assert self.sink is not None
        at_ns = time.monotonic_ns() if captured_ns is None else captured_ns
        self._n += 1
        return self.sink.put(Frame(IMAGE, MonoNs(at_ns), self.camera_id, self._n - 1))


class FilmSource(Source):
    """A file: gives its frames from a thread and ends."""

    def __init__(self, camera_id: str, n: int, interval_ns: int = 40_000_000) -> None:
        super().__init__(camera_id, is_live=False)
        self._length = n
        self._interval_ns = interval_ns

    def start(self, deliver: FrameSink) -> None:
        super().start(deliver)
        threading.Thread(target=self._play, daemon=True).start()

    def _play(self) -> None:
        assert self.sink is not None
        for index in range(self._length):
            if not self.give(index * self._interval_ns):
                return
        self.ended = True
        self.sink.end()


def test_every_frame_of_every_file_comes_and_then_it_ends() -> None:
    """Two files, each frame once and in order, then the loop is over and the sources closed."""
    sources = [FilmSource("a", 40), FilmSource("b", 25)]
    seen: dict[str, list[int]] = {"a": [], "b": []}
    for event in events(sources, threading.Event(), tick_s=60):
        assert isinstance(event, Frame)
        seen[event.camera_id].append(event.index)
    assert seen == {"a": list(range(40)), "b": list(range(25))}
    assert all(source.is_closed for source in sources)


def test_ticks_come_when_no_frame_does() -> None:
    """A silent camera still gives the loop its time, and no faster than the clock goes."""
    stop = threading.Event()
    began_ns = time.monotonic_ns()
    ticks = list(islice(events([Source("a", True)], stop, tick_s=0.02), 3))
    assert all(isinstance(tick, Tick) for tick in ticks)
    times = [tick.mono_ns for tick in ticks if isinstance(tick, Tick)]
    assert times == sorted(times)
    assert times[-1] - began_ns >= 2 * 20_000_000  # the first may be late, and the next in time


def test_a_file_that_is_always_ready_does_not_starve_ticks() -> None:
    """Ticks come by the wall's clock though a frame is always waiting; their time is the file's."""
    kinds: Counter[str] = Counter()
    newest = 0
    for event in events([FilmSource("a", 60)], threading.Event(), tick_s=0.02):
        kinds[type(event).__name__] += 1
        if isinstance(event, Frame):
            newest = event.captured_mono_ns
            time.sleep(0.002)
        elif newest:
            assert event.mono_ns == newest
    assert kinds["Frame"] == 60
    assert kinds["Tick"] >= 3


def test_the_newest_frame_of_a_live_camera_wins() -> None:
    """What waited while the loop was busy is replaced, not queued."""
    source = Source("a", True)
    loop = events([source], threading.Event(), tick_s=0.01)
    assert isinstance(next(loop), Tick)
    for _ in range(5):
        source.give()
    frames = [event for event in islice(loop, 5) if isinstance(event, Frame)]
    assert [frame.index for frame in frames] == [4]
    assert source.sink is not None
    assert source.sink.dropped == 4
    loop.close()


def test_a_live_camera_comes_no_more_often_than_it_may() -> None:
    """`max_rate_hz` bounds inferences a second, whatever the camera sends."""
    fast, slow = Source("fast", True, 400.0), Source("slow", True, 40.0)
    stop = threading.Event()

    def feed() -> None:
        while not stop.wait(0.002):
            fast.give()
            slow.give()

    loop = events([fast, slow], stop, tick_s=0.5)
    count: Counter[str] = Counter()
    feeder = threading.Thread(target=feed)
    started = None
    for event in loop:
        if started is None:
            feeder.start()
            started = time.monotonic()
        if isinstance(event, Frame):
            count[event.camera_id] += 1
        if sum(count.values()) >= 120:
            break
    span_s = time.monotonic() - started if started else 0.0
    stop.set()
    feeder.join(5)
    loop.close()
    assert count["slow"] <= 40.0 * span_s + 2
    assert count["fast"] > count["slow"] > 0


def test_of_two_cameras_that_are_due_the_one_that_waited_longest_comes_first() -> None:
    """No camera starves another: two that are always ready take turns."""
    first, second = Source("first", True, 1e9), Source("second", True, 1e9)
    loop = events([first, second], threading.Event(), tick_s=0.01)
    next(loop)
    order = []
    for _ in range(10):
        first.give()
        second.give()
        while not isinstance(event := next(loop), Frame):
            pass
        order.append(event.camera_id)
    loop.close()
    assert order in (["first", "second"] * 5, ["second", "first"] * 5)


def test_a_live_camera_beside_a_file_goes_on_after_the_file() -> None:
    """The loop ends with its last file only where there is no live camera."""
    live = Source("live", True)
    stop = threading.Event()
    loop = events([FilmSource("film", 3), live], stop, tick_s=0.02)
    kinds = [type(event).__name__ for event in islice(loop, 8)]
    assert kinds.count("Frame") == 3
    stop.set()
    assert list(loop) == []
    assert live.is_closed


@pytest.mark.parametrize("is_live", [True, False])
def test_stop_ends_the_loop_and_closes_the_sources(is_live: bool) -> None:
    """`stop` is seen without waiting for a frame or a tick."""
    source = Source("a", is_live)
    stop = threading.Event()
    threading.Timer(0.05, stop.set).start()
    assert list(events([source], stop, tick_s=60)) == []
    assert source.is_closed
    assert not source.give()
