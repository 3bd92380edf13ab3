"""What the figures are measured on: a recorded flight, flown by flight's own loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from edge.build import build_stages
from edge.capture.link import MavlinkLink
from edge.capture.recording import LOOKAHEAD_NS, RecordedFlight, open_flight
from edge.capture.telemetry import Telemetry
from edge.capture.video_records import VideoSource
from edge.errors import BenchError
from edge.flight import Watch
from edge.records import AlertKind, Frame, MonoNs, Tick
from edge.replay import replay_settings
from edge.report.clocks import Clocks
from edge.report.mailbox import Mailbox
from edge.settings import Settings
from edge.stages import Stages, Stored

Item = TypeVar("Item")
_NO_AUTOPILOT = "udpin:127.0.0.1:0"  # the log is fed by hand, no link is opened


@dataclass(frozen=True, slots=True)
class Choice:
    """What the user wants measured."""

    flight: Path
    config: Path | None = None  # None: what `config_for` says, else the one the flight names
    model: Path | None = None  # None: the config's own
    config_for: Callable[[RecordedFlight], Path | None] = lambda _recorded: None


@dataclass(frozen=True, slots=True)
class Rig:
    """A flight and the settings that it is flown with; spinning off, so that CPU means work."""

    recorded: RecordedFlight
    settings: Settings
    video: Path
    first_frame_utc_ns: int  # on the log's record clock
    folder: Path  # for what the parts write


def open_rig(choice: Choice, folder: Path) -> Rig:
    """Open the flight that is measured.

    Args:
        choice: What to fly, and with what.
        folder: The parts write below it.

    Raises:
        BenchError: There is no flight, or it is not of one video.
        FlightError, ConfigError: It is not usable.
    """
    path = choice.flight
    if not path.exists():
        raise BenchError(f"{path}: no such flight; record one with `skywhistle sim record`")
    recorded = open_flight(path)
    cameras = recorded.spec.camera
    if len(cameras) != 1 or cameras[0].video is None:
        raise BenchError(f"{path}: the bench needs a flight of one camera with a video")
    config = choice.config or choice.config_for(recorded)
    settings = replay_settings(recorded, folder, config, choice.model)
    patrol = settings.patrol
    video = recorded.path(cameras[0].video).absolute()
    camera = patrol.camera[0].model_copy(update={"source": str(video), "latency_s": 0.0})
    update = {
        "camera": (camera,),
        "inference": patrol.inference.model_copy(update={"spinning": False}),
        "autopilot": patrol.autopilot.model_copy(update={"url": _NO_AUTOPILOT}),
    }
    bench = Settings(patrol.model_copy(update=update), settings.path, settings.config_hash)
    return Rig(recorded, bench, video, _first_frame_utc_ns(recorded), folder)


def _first_frame_utc_ns(recorded: RecordedFlight) -> int:
    with closing_stream(recorded.events(lambda _message, _mono_ns: None)) as events:
        for event in events:
            if isinstance(event, Frame):
                return event.captured_mono_ns
    raise BenchError(f"{recorded.folder}: not one frame of its video has a time")


@dataclass(slots=True)
class Aircraft:
    """All that `flight` has in the air, but for the wires."""

    telemetry: Telemetry
    mailbox: Mailbox
    stages: Stages
    link: MavlinkLink
    stored: list[Stored] = field(default_factory=list)

    def frame_to_outbox_s(self) -> list[float]:
        """Return each alert's way from the picture to its row; `end` has no picture of its own."""
        took_s = self.stages.health.frame_to_outbox_s
        return [
            seconds
            for seconds, stored in zip(took_s, self.stored, strict=True)
            if stored.alert.kind is not AlertKind.END
        ]

    def watched(
        self, source: VideoSource, stream: Iterator[Frame | Tick]
    ) -> Iterator[Frame | Tick]:
        """Do beside the loop what flight does: status, reload, changes of state."""
        settings, stages = self.stages.settings, self.stages
        watch = Watch(settings, stages, self.link, [source], self.mailbox, threading.Event())
        return watch.pass_through(stream)


@contextmanager
def aircraft(rig: Rig, name: str, now: Callable[[], MonoNs]) -> Iterator[Aircraft]:
    """Set up flight's stages with a mailbox and a state folder of their own.

    Raises:
        ConfigError, ModelError: As `build_stages`.
    """
    settings = in_folder(rig.settings, rig.folder / name)
    patrol = settings.patrol
    telemetry = Telemetry(patrol.autopilot)
    clocks = Clocks(utc_ns=lambda: telemetry.utc(now()).utc_ns)
    with Mailbox(patrol.mailbox, clocks) as mailbox:
        stored: list[Stored] = []
        stages = build_stages(settings, telemetry, mailbox, now=now, on_stored=stored.append)
        yield Aircraft(telemetry, mailbox, stages, MavlinkLink(patrol.autopilot, telemetry), stored)


def in_folder(settings: Settings, folder: Path) -> Settings:
    """Let a flight keep its mailbox, state and pictures in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    patrol = settings.patrol
    update = {
        "state_dir": folder / "state",
        "mailbox": patrol.mailbox.model_copy(update={"path": folder / "mailbox.db"}),
        "evidence": patrol.evidence.model_copy(update={"folder": folder / "evidence"}),
    }
    return Settings(patrol.model_copy(update=update), settings.path, settings.config_hash)


class LogFeed:
    """The flight's log, fed as its messages come due; laid on the video's time by its frames."""

    def __init__(self, rig: Rig, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._messages = rig.recorded.messages()
        self._waiting = next(self._messages, None)
        self._first_frame_utc_ns = rig.first_frame_utc_ns
        self._mono_from_utc_ns: int | None = None

    def until(self, mono_ns: int) -> None:
        """Parse and feed the messages up to a second after a time.

        So much early, because behind a real video link poses are interpolated, too.
        """
        if self._mono_from_utc_ns is None:
            self._mono_from_utc_ns = mono_ns - self._first_frame_utc_ns
        shift_ns = self._mono_from_utc_ns
        due_ns = mono_ns - shift_ns + LOOKAHEAD_NS
        while self._waiting is not None and self._waiting.record_utc_ns <= due_ns:
            self._telemetry.feed(self._waiting.message, self._waiting.record_utc_ns + shift_ns)
            self._waiting = next(self._messages, None)


def with_telemetry(
    rig: Rig, telemetry: Telemetry, stream: Iterator[Frame | Tick]
) -> Iterator[Frame | Tick]:
    """Parse and feed the log beside the loop: in a thread of its own, as flight's link has one.

    A frame is handed on when all that belongs before it has been fed; while the loop looks at it,
    the messages of the next one's time are.
    """
    feed, last_ns = LogFeed(rig, telemetry), None
    with ThreadPoolExecutor(1, "link") as link:
        ahead: Future[None] | None = None
        for event in stream:
            if isinstance(event, Frame):
                now_ns = event.captured_mono_ns
                if ahead is not None:
                    ahead.result()
                feed.until(now_ns)
                next_ns = now_ns + (0 if last_ns is None else now_ns - last_ns)
                ahead, last_ns = link.submit(feed.until, next_ns), now_ns
            yield event


@contextmanager
def closing_stream(stream: Iterator[Item]) -> Iterator[Iterator[Item]]:
    """Close a generator when the block ends, so that its thread ends too."""
    try:
        yield stream
    finally:
        if isinstance(stream, Generator):
            stream.close()


def mono_ns() -> MonoNs:
    """Return the time as `flight` knows it."""
    return MonoNs(time.monotonic_ns())
