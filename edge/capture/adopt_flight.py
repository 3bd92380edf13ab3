"""Adopt footage that was recorded elsewhere: look at what there is, say what it is taken for.

A guess that could put a thing in a wrong place is not made: what cannot be seen in the files (the
lens, a mount that is no DJI-like gimbal, when a video without a clock began) is asked for.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from edge.capture.adopt_words import log_words, srt_words, still_words
from edge.capture.files import STILL_PATTERNS
from edge.capture.logs import READERS
from edge.capture.logs_srt import srt_track
from edge.capture.recording_spec import FORMAT, SUBTITLE_SUFFIX, FlightSpec
from edge.capture.recording_stills import PosedStill, posed_stills, time_in_name
from edge.errors import FlightError

VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".avi", ".m4v", ".ts", ".mpg", ".h264"})
# A subtitle's position is as old as the receiver's interval and the writer's: by how often it is.
_SIGMA_PER_FRAME_S, _SIGMA_PER_SECOND_S = 0.1, 0.3
_OFTEN_S = 0.5


@dataclass(frozen=True, slots=True)
class Told:
    """What a person says of the footage, where the footage does not; None: not said."""

    camera: Path | None = None
    mount: Path | None = None
    gimbal_mount: Path | None = None  # of a camera that tells its own attitude from north
    log: Path | None = None
    stills: str | None = None  # glob
    time_pattern: str | None = None  # strptime of a still's file name; UTC
    start_utc: datetime | None = None
    utc_offset_h: float | None = None
    home_amsl_m: float | None = None
    name: str | None = None
    copies: bool = False  # calibrations from elsewhere go into the folder


@dataclass(frozen=True, slots=True)
class Adoption:
    """What footage is taken for: `flight.toml` as tables, and what to tell the person."""

    folder: Path
    tables: dict[str, Any]
    words: tuple[str, ...]
    new_files: Mapping[str, str] = field(default_factory=dict)  # to be written beside it

    def spec(self) -> FlightSpec:
        """Return it as types; refused as a `flight.toml` would be."""
        return FlightSpec.model_validate(self.tables)

    def toml(self) -> str:
        """Return the text of `flight.toml`."""
        lines = ["# Written by `skywhistle adopt`, which took this footage for:"]
        lines += [f"# - {word}" for word in self.words]
        plain = {key: value for key, value in self.tables.items() if not _is_table(value)}
        lines += [*_pairs(plain), ""]
        for key, value in self.tables.items():
            for table in value if isinstance(value, list) else [value] if _is_table(value) else []:
                lines += [f"[[{key}]]" if isinstance(value, list) else f"[{key}]", *_pairs(table)]
                lines.append("")
        return "\n".join(lines)


def adopt_flight(source: Path, told: Told) -> Adoption:
    """Look at a folder of footage, or at one video, and say how to replay it.

    Raises:
        FlightError: There is nothing to replay, or something must be said that is not.
        TelemetryError: A log is damaged.
    """
    if not source.exists():
        raise FlightError(f"{source}: no such folder or video")
    folder = source if source.is_dir() else source.parent
    video = _video_of(source)
    stills = [] if video else _stills_of(folder, told.stills)
    if video is None and not stills:
        raise FlightError(
            f"{folder}: holds neither a video nor stills; give the folder that the pictures are in"
        )
    tables: dict[str, Any] = {"format": FORMAT, "name": told.name or (video or folder).stem}
    camera: dict[str, Any] = {"id": "main"}
    if video is not None:
        camera["video"] = video.name
        words = _adopt_video(folder, video, told, tables, camera)
        new_files: dict[str, str] = {}
    else:
        camera["stills"] = told.stills or _pattern_of(stills)
        words, new_files = _adopt_stills(folder, stills, told, tables, camera)
    own_attitude = tables["telemetry"].get("stills") or (
        str(tables["telemetry"].get("log", "")).lower().endswith(SUBTITLE_SUFFIX)
    )
    camera["calibration"] = _calibration(folder, told, new_files)
    camera["mount"] = _mount(folder, told, bool(own_attitude), new_files)
    tables["camera"] = [camera]
    order = ("format", "name", "camera", "telemetry", "time")
    tables = {key: tables[key] for key in order if key in tables}
    return Adoption(folder, tables, tuple(words), new_files)


def _video_of(source: Path) -> Path | None:
    if source.is_file():
        if source.suffix.lower() not in VIDEO_SUFFIXES:
            raise FlightError(f"{source}: is no video by its name; give a video or a folder")
        return source
    videos = [path for path in sorted(source.iterdir()) if path.suffix.lower() in VIDEO_SUFFIXES]
    if len(videos) > 1:
        names = ", ".join(path.name for path in videos[:4])
        raise FlightError(f"{source}: holds {len(videos)} videos ({names} …); give one of them")
    return videos[0] if videos else None


def _stills_of(folder: Path, pattern: str | None) -> list[Path]:
    if pattern is not None:
        return sorted(folder.glob(pattern))
    patterns = [*STILL_PATTERNS, *(pattern.upper() for pattern in STILL_PATTERNS)]
    return sorted({path for pattern in patterns for path in folder.glob(pattern)})


def _pattern_of(stills: Sequence[Path]) -> str:
    suffixes = Counter(path.suffix for path in stills)
    return f"*{suffixes.most_common(1)[0][0]}"


def _log_of(folder: Path, told: Told, *, video: Path | None) -> Path | None:
    """Find the log: the one that is named, the subtitles beside the video, or the only one."""
    if told.log is not None:
        if not told.log.is_file():
            raise FlightError(f"{told.log}: no such log")
        return told.log
    logs = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in READERS]
    if video is not None:
        beside = [path for path in logs if path.stem.lower() == video.stem.lower()]
        if len(beside) == 1:
            return beside[0]
    logs = [path for path in logs if path.suffix.lower() != SUBTITLE_SUFFIX]
    if len(logs) > 1:
        names = ", ".join(path.name for path in logs[:4])
        raise FlightError(f"{folder}: holds {len(logs)} logs ({names} …); name one with --log")
    return logs[0] if logs else None


def _adopt_video(
    folder: Path, video: Path, told: Told, tables: dict[str, Any], camera: dict[str, Any]
) -> list[str]:
    path = _log_of(folder, told, video=video)
    if path is None:
        raise FlightError(
            f"{video}: no subtitles {video.stem}.SRT and no log beside it; put the log there, or "
            "name it with --log"
        )
    tables["telemetry"] = {"log": _named(path, folder), **_home(told)}
    if path.suffix.lower() == SUBTITLE_SUFFIX:
        track = srt_track(path)
        step_s = track.file.subtitles[-1].start_ns * 1e-9 / max(1, len(track.file.subtitles) - 1)
        camera["latency_sigma_s"] = _SIGMA_PER_FRAME_S if step_s < _OFTEN_S else _SIGMA_PER_SECOND_S
        tables["time"] = {"rule": "srt", **_zone(told)}
        if told.start_utc is not None:
            tables["time"] = {"rule": "srt", "start_utc": told.start_utc}
        return srt_words(path, track, tables["time"], told.home_amsl_m)
    words, span = log_words(path)
    if (folder / "frames.csv").is_file():
        camera["frames"] = "frames.csv"
        tables["time"] = {"rule": "frame_times"}
        return [*words, "time of each frame: frames.csv"]
    if told.start_utc is None:
        raise FlightError(
            f"{video}: when did it begin?  Nothing here says; give --start-utc (the log runs from "
            f"{span[0]} to {span[1]}), or put a frames.csv (frame,utc_us) beside it"
        )
    tables["time"] = {"rule": "start_utc", "start_utc": told.start_utc}
    return [*words, f"the video begins at {told.start_utc.isoformat()}, as you say"]


def _adopt_stills(
    folder: Path,
    stills: Sequence[Path],
    told: Told,
    tables: dict[str, Any],
    camera: dict[str, Any],
) -> tuple[list[str], dict[str, str]]:
    chosen = [path for path in stills if path in set(folder.glob(camera["stills"]))]
    path = _log_of(folder, told, video=None)
    if told.time_pattern is not None:
        if path is None:
            raise FlightError(f"{folder}: --time-pattern is for stills beside a log; there is none")
        for still in chosen:
            time_in_name(still, told.time_pattern, "--time-pattern")
        tables["time"] = {"rule": "filename", "pattern": told.time_pattern}
        tables["telemetry"] = {"log": _named(path, folder)}
        words, _ = log_words(path)
        return [*words, f"time of each still: its name, read as {told.time_pattern}"], {}
    posed = posed_stills(chosen, told.utc_offset_h or 0.0)
    tables["time"] = {"rule": "exif", **_zone(told)}
    tells_place = any(one.pose.has_place for one in posed)
    if path is None and not tells_place:
        raise FlightError(
            f"{folder}: no still tells a place in its EXIF, and there is no log beside them"
        )
    if path is not None and not any(one.pose.camera_ypr_deg for one in posed):
        words, _ = log_words(path)
        tables["telemetry"] = {"log": _named(path, folder)}
        return [*words, "time of each still: its EXIF"], {}
    tables["telemetry"] = {"stills": True, **_home(told)}
    words = still_words(posed, len(chosen), tables["time"], told.home_amsl_m)
    return words, _camera_by_xmp(chosen, posed)


def _camera_by_xmp(stills: Iterable[Path], posed: Sequence[PosedStill]) -> dict[str, str]:
    """Write a calibration from XMP's focal length, where every still tells the same one."""
    import cv2

    focal_px = {one.pose.focal_px for one in posed if math.isfinite(one.pose.focal_px)}
    image = cv2.imread(str(next(iter(stills))), cv2.IMREAD_COLOR)
    if len(focal_px) != 1 or image is None:
        return {}
    height_px, width_px = image.shape[:2]
    (focal,) = focal_px
    return {
        "camera.toml": (
            "# By `skywhistle adopt` from XMP's CalibratedFocalLength.  The lens's distortion is\n"
            "# not in it: calibrate for the metres that it costs towards the corners.\n"
            f'id = "by-xmp"\nwidth_px = {width_px}\nheight_px = {height_px}\n'
            f"fx_px = {focal}\nfy_px = {focal}\n"
            f"cx_px = {(width_px - 1) / 2}\ncy_px = {(height_px - 1) / 2}\n"
            'model = "brown"\ndistortion = [0.0, 0.0, 0.0, 0.0, 0.0]\n'
        )
    }


def _calibration(folder: Path, told: Told, new_files: dict[str, str]) -> str:
    if told.camera is not None:
        if not told.camera.is_file():
            raise FlightError(f"{told.camera}: no such calibration")
        new_files.pop("camera.toml", None)
        return _kept(told.camera, folder / "camera.toml", told, new_files)
    if (folder / "camera.toml").is_file():
        new_files.pop("camera.toml", None)
    elif "camera.toml" not in new_files:
        raise FlightError(
            f"{folder}: which lens?  Give its calibration with --camera, or put a camera.toml into "
            "the folder; `skywhistle calibrate lens` makes one from a chessboard"
        )
    return "camera.toml"


def _mount(folder: Path, told: Told, tells_own_attitude: bool, new_files: dict[str, str]) -> str:
    if told.mount is not None:
        if not told.mount.is_file():
            raise FlightError(f"{told.mount}: no such mount")
        return _kept(told.mount, folder / "mount.toml", told, new_files)
    if (folder / "mount.toml").is_file():
        return "mount.toml"
    if tells_own_attitude and told.gimbal_mount is not None:
        return _kept(told.gimbal_mount, folder / "mount.toml", told, new_files)
    raise FlightError(
        f"{folder}: how does the camera hang?  Give --mount: fixed, servo gimbal or stabilised "
        "gimbal, as in calibration/mounts; read wrong, it is tens of metres on the ground"
    )


def _kept(path: Path, copy: Path, told: Told, new_files: dict[str, str]) -> str:
    """Name a calibration where it lies, or as its copy in the folder, which can then travel."""
    is_inside = path.resolve().is_relative_to(copy.parent.resolve())
    if is_inside or not told.copies or copy.exists():
        return _named(path, copy.parent)
    try:
        new_files[copy.name] = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FlightError(f"{path}: cannot be read as a calibration ({error})") from error
    return copy.name


def _zone(told: Told) -> dict[str, float]:
    return {} if told.utc_offset_h is None else {"utc_offset_h": told.utc_offset_h}


def _home(told: Told) -> dict[str, float]:
    return {} if told.home_amsl_m is None else {"home_amsl_m": told.home_amsl_m}


def _named(path: Path, folder: Path) -> str:
    """Name a file as `flight.toml` does: from its folder, or whole where it lies elsewhere."""
    whole, base = path.resolve(), folder.resolve()
    return str(whole.relative_to(base)) if whole.is_relative_to(base) else str(whole)


def _is_table(value: Any) -> bool:
    return isinstance(value, (dict, list))


def _pairs(table: Mapping[str, Any]) -> list[str]:
    """Write plain values as TOML, whose text in quotes is JSON's."""
    lines = []
    for key, value in table.items():
        if isinstance(value, datetime):
            lines.append(f"{key} = {value.isoformat()}")
        else:
            lines.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    return lines
