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
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2

from edge.capture.clock import BootClock, utc_by_record_time
from edge.capture.files import StillFolder, VideoFile
from edge.capture.log_records import LOGGER_SIGMA_S, LogMessage, unix_ns
from edge.capture.logs import FROM_A_LINK, read_log
from edge.capture.logs_srt import SrtTrack, read_srt, srt_track
from edge.capture.recording_spec import FORMAT, SUBTITLE_SUFFIX, FlightCamera, FlightSpec
from edge.capture.recording_stills import PosedStill, messages_of, posed_stills, time_in_name
from edge.capture.telemetry import Telemetry
from edge.capture.telemetry_state import Senders
from edge.errors import FlightError
from edge.records import Frame, ImageArray, MonoNs, Tick, UtcNs
from edge.toml_file import read_toml

# Telemetry is fed this far ahead of a frame, so that its pose is interpolated, never extrapolated.
LOOKAHEAD_NS = 1_000_000_000
TICK_NS = 1_000_000_000
_NS_PER_US = 1_000
_NS_PER_HOUR = 3600 * 10**9


@dataclass(frozen=True)
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
        log = self.messages()
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

    def messages(self) -> Iterator[LogMessage]:
        """Yield what the log, or the stills themselves, tell, in the order of recording."""
        telemetry = self.spec.telemetry
        if telemetry.log is None:
            yield from messages_of(self._posed, telemetry.home_amsl_m)
            return
        path = self.path(telemetry.log)
        if telemetry.suffix != SUBTITLE_SUFFIX:
            yield from read_log(path)
            return
        for one in read_srt(path, home_amsl_m=telemetry.home_amsl_m):
            yield replace(one, record_utc_ns=UtcNs(one.record_utc_ns + self._shift_ns))

    def telemetry(self, senders: Senders) -> Telemetry:
        """Make what takes these messages and gives poses.

        What a link's recorder wrote it stamped on arrival; any other log is stamped by the clock
        that its poses are of, and a still's pose is of the still's own instant.
        """
        suffix = self.spec.telemetry.suffix
        sigma_s = None if suffix in FROM_A_LINK else LOGGER_SIGMA_S if suffix else 0.0
        return Telemetry(senders, utc_by_record_time, BootClock(sigma_s))

    @cached_property
    def _posed(self) -> list[PosedStill]:
        pattern = self.spec.camera[0].stills
        stills = StillFolder(self.folder, pattern)
        return posed_stills(stills.paths, self.spec.time.utc_offset_h)

    @cached_property
    def _subtitles(self) -> SrtTrack:
        return srt_track(self.path(self.spec.telemetry.log or Path()))

    @cached_property
    def _shift_ns(self) -> int:
        """From the subtitles' own clock to UTC: by the start that is told, else by the zone."""
        time = self.spec.time
        if time.start_utc is not None:
            return unix_ns(time.start_utc) - self._subtitles.start_utc_ns
        return -round(time.utc_offset_h * _NS_PER_HOUR)

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
            yield from self._stills(camera.stills)
            return
        time_of = self._times_of_video(camera)
        for index, pts_ns, image in VideoFile(self.path(camera.video or Path())):
            utc_ns = time_of(index, pts_ns)
            if utc_ns is None:
                self.dropped["no_time"] += 1
            else:
                yield index, utc_ns, image

    def _times_of_video(self, camera: FlightCamera) -> Callable[[int, int], int | None]:
        """Return what gives a frame of a video its time, by its index and its time stamp."""
        if camera.frames is not None:
            times_ns = _frame_times(self.path(camera.frames))
            return lambda index, _pts_ns: times_ns.get(index)
        if self.spec.time.rule == "srt":
            track = self._subtitles
            start_ns = track.start_utc_ns + self._shift_ns
            return lambda index, pts_ns: start_ns + track.frame_ns(index, pts_ns)
        first_ns = unix_ns(self.spec.time.start_utc or datetime.fromtimestamp(0, timezone.utc))
        return lambda _index, pts_ns: first_ns + pts_ns

    def _stills(self, pattern: str) -> Iterator[tuple[int, int, ImageArray]]:
        folder = StillFolder(self.folder, pattern)
        if self.spec.time.rule != "exif":
            for index, path, image in folder:
                yield index, self._time_of_still(path), image
            return
        times_ns = {one.path: one.utc_ns for one in self._posed_of(folder)}
        self.dropped["no_time"] += len(folder.paths) - len(times_ns)
        folder.paths = tuple(times_ns)  # in the order of their times
        for index, path, image in folder:
            yield index, times_ns[path], image

    def _posed_of(self, folder: StillFolder) -> list[PosedStill]:
        if self.spec.telemetry.stills:
            return self._posed
        return posed_stills(folder.paths, self.spec.time.utc_offset_h)

    def _time_of_still(self, path: Path) -> int:
        where = f"time.pattern of {self.folder / 'flight.toml'},"
        return time_in_name(path, self.spec.time.pattern or "", where)


def flight_of(folder: Path, spec: FlightSpec) -> RecordedFlight:
    """Make a flight of files and what is known of them, and see that all are there.

    Raises:
        FlightError: A missing file, or a video without times.
    """
    flight = RecordedFlight(folder, spec)
    _check_files(flight, folder / "flight.toml")
    return flight


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
    return flight_of(folder, file.into(FlightSpec))


def _check_files(flight: RecordedFlight, path: Path) -> None:
    spec = flight.spec
    named = [*filter(None, [spec.telemetry.log]), *(ref.file for ref in [spec.truth] if ref)]
    named += [f for f in (spec.district.permitted, spec.ground.terrain) if f is not None]
    for camera in spec.camera:
        named += [camera.calibration, camera.mount]
        named += [file for file in (camera.video, camera.frames) if file is not None]
        if camera.stills is not None and not _has_any(flight.folder, camera.stills):
            raise FlightError(f"{path}: no still fits {camera.stills!r} in {flight.folder}")
        has_times = camera.frames is not None or spec.time.rule in {"start_utc", "srt"}
        if camera.video is not None and not has_times:
            raise FlightError(
                f"{path}: camera {camera.id!r} has neither `frames` nor time rule 'start_utc' or "
                "'srt'; a video needs one of them"
            )
    for file in named:
        if not _is_file(flight.path(file)):
            raise FlightError(f"{path}: names {file}, which is not in {flight.folder}")


def _has_any(folder: Path, pattern: str) -> bool:
    try:
        return any(folder.glob(pattern))
    except OSError:  # a name longer than names can be
        return False


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than names can be
        return False


def _frame_times(path: Path) -> dict[int, int]:
    """Read `frame,utc_us` into frame index → ns; refuse what is not that."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            return {int(row["frame"]): int(row["utc_us"]) * _NS_PER_US for row in rows}
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise FlightError(f"{path}: needs the columns frame,utc_us of whole numbers") from error


def _captured(frame: Frame) -> int:
    return frame.captured_mono_ns
