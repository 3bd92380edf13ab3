"""A recorded flight: a folder with `flight.toml`, read as the events that the loop flies on.

The folder's format carries a version.  Time inside a replay is the log's record time: `mono_ns`
of every frame, pose and tick is Unix time in ns as the log's recorder wrote it, so nothing of
this computer's clock enters the result.
"""

from __future__ import annotations

import csv
import heapq
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

import cv2
from pydantic import BaseModel, ConfigDict, Field, model_validator

from edge.capture.files import StillFolder, VideoFile
from edge.capture.logs import read_log
from edge.errors import FlightError
from edge.records import Frame, ImageArray, MonoNs, Tick
from edge.toml_file import read_toml

FORMAT = 1
# Telemetry is fed this far ahead of a frame, so that its pose is interpolated, never extrapolated.
LOOKAHEAD_NS = 1_000_000_000
TICK_NS = 1_000_000_000
_NS_PER_US = 1_000


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FlightCamera(_Table):
    """A camera of a recorded flight: pictures, their times, and how it looked at the world."""

    id: str
    video: Path | None = None
    stills: str | None = Field(None, description="glob, e.g. *.jpg")
    frames: Path | None = Field(None, description="CSV: frame,utc_us in the log's record time")
    calibration: Path
    mount: Path
    latency_s: float = 0.0
    latency_sigma_s: float = Field(0.02, ge=0.0)

    @model_validator(mode="after")
    def _one_kind_of_picture(self) -> FlightCamera:
        if (self.video is None) == (self.stills is None):
            raise ValueError("a camera has either `video` or `stills`")
        return self


class FlightTelemetry(_Table):
    """The autopilot's log and whose messages in it count."""

    log: Path
    system_id: int = Field(1, ge=1, le=255)
    component_id: int = Field(1, ge=1, le=255)
    gimbal_component_id: int = Field(1, ge=1, le=255)


class FlightTime(_Table):
    """How a frame gets its time on the log's record clock."""

    rule: Literal["frame_times", "filename", "start_utc"] = "frame_times"
    pattern: str | None = Field(None, description="strptime of a still's file name; UTC")
    start_utc: datetime | None = Field(None, description="of the video's first frame")
    offset_s: float = Field(0.0, description="added to every frame's time")

    @model_validator(mode="after")
    def _rule_has_its_key(self) -> FlightTime:
        needed = {"filename": "pattern", "start_utc": "start_utc"}.get(self.rule)
        if needed and getattr(self, needed) is None:
            raise ValueError(f"time rule {self.rule!r} needs `{needed}`")
        return self


class FlightGround(_Table):
    """The ground that was flown over, as far as the recording knows it."""

    home_offset_m: float = Field(0.0, description="ground above home, where home is not on it")
    terrain: Path | None = Field(
        None, description="terrain tile, NAME.npz; used as the config says"
    )


class _FileRef(_Table):
    file: Path


class _ConfigRef(_Table):
    config: Path


class FlightDistrict(_Table):
    """What is known of the place that was flown over."""

    permitted: Path | None = Field(None, description="register of what stands with leave")


class FlightSpec(_Table):
    """`flight.toml` as types."""

    format: Literal[1]
    name: str
    camera: tuple[FlightCamera, ...] = Field(min_length=1)
    telemetry: FlightTelemetry
    time: FlightTime = FlightTime()
    ground: FlightGround = FlightGround()
    district: FlightDistrict = FlightDistrict()
    truth: _FileRef | None = None
    patrol: _ConfigRef | None = None
    sim: dict[str, Any] = Field(default_factory=dict, description="where it came from")


@dataclass(frozen=True, slots=True)
class RecordedFlight:
    """A flight folder whose files are known to be there."""

    folder: Path
    spec: FlightSpec
    dropped: Counter[str] = field(default_factory=Counter)  # frames not handed out, by reason

    def path(self, relative: Path) -> Path:
        """Return where a file that `flight.toml` names lies."""
        return self.folder / relative

    def events(self, feed: Callable[[Any, MonoNs], None]) -> Iterator[Frame | Tick]:
        """Yield frames and ticks in the order of their time, telemetry fed ahead of them.

        Args:
            feed: Takes each log message and its record time (`Telemetry.feed`).
        """
        log = read_log(self.path(self.spec.telemetry.log))
        waiting = next(log, None)
        tick_ns: int | None = None
        for frame in heapq.merge(*map(self._frames, self.spec.camera), key=_captured):
            while waiting is not None and (
                waiting.record_utc_ns <= frame.captured_mono_ns + LOOKAHEAD_NS
            ):
                feed(waiting.message, MonoNs(waiting.record_utc_ns))
                waiting = next(log, None)
            tick_ns = frame.captured_mono_ns if tick_ns is None else tick_ns
            while tick_ns + TICK_NS <= frame.captured_mono_ns:
                tick_ns += TICK_NS
                yield Tick(MonoNs(tick_ns))
            yield frame

    def n_frames(self) -> int | None:
        """Count the frames of all cameras, as far as the folder says; None where it does not."""
        counts = [self._n_frames_of(camera) for camera in self.spec.camera]
        return None if None in counts else sum(filter(None, counts))

    def _n_frames_of(self, camera: FlightCamera) -> int | None:
        if camera.stills is not None:
            return sum(1 for _ in self.folder.glob(camera.stills))
        if camera.frames is not None:
            return len(_frame_times(self.path(camera.frames)))
        capture = cv2.VideoCapture(str(self.path(camera.video or Path())))
        count = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        return count if count > 0 else None

    def _frames(self, camera: FlightCamera) -> Iterator[Frame]:
        shift_ns = round((self.spec.time.offset_s - camera.latency_s) * 1e9)
        for index, utc_ns, image in self._pictures(camera):
            yield Frame(
                image_bgr=image,
                captured_mono_ns=MonoNs(utc_ns + shift_ns),
                camera_id=camera.id,
                index=index,
                captured_sigma_s=camera.latency_sigma_s,
            )

    def _pictures(self, camera: FlightCamera) -> Iterator[tuple[int, int, ImageArray]]:
        if camera.stills is not None:
            for index, path, image in StillFolder(self.folder, camera.stills):
                yield index, self._time_of_still(path), image
            return
        video = VideoFile(self.path(camera.video or Path()))
        times_ns = _frame_times(self.path(camera.frames)) if camera.frames is not None else None
        start = self.spec.time.start_utc
        for index, pts_ns, image in video:
            if times_ns is None:
                yield (
                    index,
                    _utc_ns(start or datetime.fromtimestamp(0, timezone.utc)) + pts_ns,
                    image,
                )
            elif index in times_ns:
                yield index, times_ns[index], image
            else:
                self.dropped["no_time"] += 1

    def _time_of_still(self, path: Path) -> int:
        pattern = self.spec.time.pattern or ""
        try:
            return _utc_ns(datetime.strptime(path.name, pattern))
        except ValueError as error:
            raise FlightError(
                f"{path}: its name does not fit time.pattern {pattern!r} in "
                f"{self.folder / 'flight.toml'}; correct the pattern"
            ) from error


def open_flight(folder: Path) -> RecordedFlight:
    """Open a flight folder and see that all it names is there.

    Raises:
        FlightError: No `flight.toml`, another format version, a wrong key, or a missing file.
    """
    path = folder / "flight.toml"
    file = read_toml(path, FlightError, "a flight is a folder with flight.toml")
    if file.table.get("format") != FORMAT:
        raise FlightError(
            f"{path}: format is {file.table.get('format')!r}, this version reads {FORMAT}; "
            "record the flight again or update skywhistle"
        )
    flight = RecordedFlight(folder, file.into(FlightSpec))
    _check_files(flight, path)
    return flight


def _check_files(flight: RecordedFlight, path: Path) -> None:
    spec = flight.spec
    named = [spec.telemetry.log, *(ref.file for ref in [spec.truth] if ref)]
    named += [f for f in (spec.district.permitted, spec.ground.terrain) if f is not None]
    for camera in spec.camera:
        named += [camera.calibration, camera.mount]
        named += [file for file in (camera.video, camera.frames) if file is not None]
        if camera.stills is not None and not any(flight.folder.glob(camera.stills)):
            raise FlightError(f"{path}: no still fits {camera.stills!r} in {flight.folder}")
        if camera.video is not None and camera.frames is None and spec.time.rule != "start_utc":
            raise FlightError(
                f"{path}: camera {camera.id!r} has neither `frames` nor time rule 'start_utc'; "
                "a video needs one of them"
            )
    for file in named:
        if not flight.path(file).is_file():
            raise FlightError(f"{path}: names {file}, which is not in {flight.folder}")


def _frame_times(path: Path) -> dict[int, int]:
    """Read `frame,utc_us` into frame index → ns; refuse what is not that."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            return {int(row["frame"]): int(row["utc_us"]) * _NS_PER_US for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise FlightError(f"{path}: needs the columns frame,utc_us of whole numbers") from error


def _captured(frame: Frame) -> int:
    return frame.captured_mono_ns


def _utc_ns(moment: datetime) -> int:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    since = aware - datetime.fromtimestamp(0, timezone.utc)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000
