"""What a person is told of recorded telemetry: what it is, how often, and what is not in it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

from edge.capture.log_records import PLAUSIBLE_UTC_NS
from edge.capture.logs import read_log
from edge.capture.logs_srt import FINE_DECIMALS, SrtTrack
from edge.capture.recording_stills import PosedStill

NOTHING_PLACED = "so nothing in these pictures can be placed (no_attitude)"
_ATTITUDES = ("ATTITUDE", "ATTITUDE_QUATERNION")
_SAID = ("ATTITUDE", "ATTITUDE_QUATERNION", "GLOBAL_POSITION_INT", "GIMBAL_DEVICE_ATTITUDE_STATUS")


def moment(utc_ns: int) -> str:
    """Write Unix time in ns for people."""
    start = datetime.fromtimestamp(0, timezone.utc)
    return (start + timedelta(microseconds=utc_ns // 1000)).strftime("%Y-%m-%d %H:%M:%S")


def log_words(path: Path) -> tuple[list[str], tuple[str, str]]:
    """Read an autopilot's log to its end and say what is in it, and from when to when it runs."""
    counts: Counter[str] = Counter()
    first_ns = last_ns = 0
    for one in read_log(path):
        counts[one.message.get_type()] += 1
        first_ns = first_ns or one.record_utc_ns
        last_ns = max(last_ns, one.record_utc_ns)
    span_s = max((last_ns - first_ns) * 1e-9, 1e-3)
    rates = ", ".join(f"{name} {counts[name] / span_s:.0f}/s" for name in _SAID if counts[name])
    words = [f"telemetry: {path.name}, {span_s:.0f} s; {rates}"]
    if first_ns < PLAUSIBLE_UTC_NS[0]:
        words.append("time: no GNSS time in the log; it counts from the boot, as if in 1970")
    if not any(counts[name] for name in _ATTITUDES):
        words.append(f"the vehicle's attitude is not logged, {NOTHING_PLACED}")
    if not counts["GIMBAL_DEVICE_ATTITUDE_STATUS"]:
        words.append("no gimbal's attitude is logged: with a gimbal mount all is no_attitude")
    return words, (moment(first_ns), moment(last_ns))


def srt_words(
    path: Path, track: SrtTrack, time: Mapping[str, Any], home_amsl_m: float | None
) -> list[str]:
    """Say which dialect subtitles are in and what they tell."""
    subtitles = track.file.subtitles
    placed = [one for one in subtitles if one.has_place]
    span_s = max((subtitles[-1].start_ns - subtitles[0].start_ns) * 1e-9, 1e-3)
    changes = sum((a.lat_deg, a.lon_deg) != (b.lat_deg, b.lon_deg) for a, b in pairwise(placed))
    dialect = track.file.dialect
    words = [
        f"telemetry: {path.name}, subtitles in the dialect {dialect.name!r} ({dialect.makers}); "
        f"{len(subtitles)} of them, {(len(subtitles) - 1) / span_s:.1f}/s, "
        f"the position changes {changes / span_s:.1f}/s"
    ]
    if not placed or len(placed) < len(subtitles):
        words.append(f"{len(subtitles) - len(placed)} subtitles tell no place: no_fix there")
    if track.file.is_lat_first is not None:
        order = "latitude, longitude" if track.file.is_lat_first else "longitude, latitude"
        words.append(f"coordinates without names, read as {order}: compare with a map")
    decimals = max((one.decimals for one in placed), default=FINE_DECIMALS)
    if decimals < FINE_DECIMALS:
        words.append(
            f"coordinates have {decimals} decimals, steps of {111_320 * 10.0**-decimals:.1f} m: "
            "that is in the error of every place"
        )
    words.append(
        "the camera's attitude is told, from north and the horizon" if track.has_gimbal
        else f"the camera's attitude is not told, {NOTHING_PLACED}"
    )  # fmt: skip
    words.append(_height_words(track.has_height, home_amsl_m))
    words.append(_srt_time_words(track, time))
    if track.zooms:
        words.append("the focal length or the zoom changes: one calibration does not fit it all")
    if track.file.n_disordered:
        words.append(f"{track.file.n_disordered} subtitles out of order are left out")
    return words


def _srt_time_words(track: SrtTrack, time: Mapping[str, Any]) -> str:
    if "start_utc" in time:
        return f"the video begins at {time['start_utc'].isoformat()}, as you say"
    if track.start_utc_ns == 0:
        return "time: no clock; it counts from the video's start, as if in 1970 (--start-utc)"
    return f"time: the video begins at {moment(track.start_utc_ns)} " + _zone_words(time)


def _zone_words(time: Mapping[str, Any]) -> str:
    if "utc_offset_h" in time:
        return f"by a clock that is {time['utc_offset_h']:+g} h from UTC, as you say"
    return "by a clock of an unknown zone, taken as UTC (--utc-offset)"


def _height_words(is_told: bool, home_amsl_m: float | None) -> str:
    if is_told:
        return "heights: above the take-off place; the absolute ones are of an unknown datum"
    if home_amsl_m is not None:
        return (
            f"heights: the absolute ones less {home_amsl_m:g} m at the take-off place, as you say"
        )
    return (
        "heights: none above the take-off place, so nothing can be placed; give the take-off "
        "place's in the file's own heights with --home-amsl"
    )


def still_words(
    posed: Sequence[PosedStill],
    n_stills: int,
    time: Mapping[str, Any],
    home_amsl_m: float | None,
) -> list[str]:
    """Say what stills tell of their own poses."""
    poses = [one.pose for one in posed]
    families = Counter(pose.family for pose in poses)
    told = ", ".join(f"{count} by {family}" for family, count in families.most_common())
    words = [f"telemetry: the stills' own, {n_stills} of them: {told}"]
    if len(posed) < n_stills:
        words.append(f"{n_stills - len(posed)} stills have no time, or damaged data: left out")
    lost = sum(not pose.has_place for pose in poses)
    if lost:
        words.append(f"{lost} stills tell no place: no_fix")
    turned = sum(pose.camera_ypr_deg is not None for pose in poses)
    words.append(f"the camera's attitude is told by {turned} of {len(poses)}")
    if turned < len(poses):
        words[-1] += "; the others are no_attitude"
    good = sum(pose.h_acc_m > 0.0 for pose in poses)
    if good:
        words.append(f"the accuracy of the place is told by {good} (RTK or the receiver's own)")
    words.append(_height_words(any(math.isfinite(p.above_home_m) for p in poses), home_amsl_m))
    zone = "with their zone" if all(p.has_zone for p in poses) else _zone_words(time)
    words.append(f"time: {moment(posed[0].utc_ns)} to {moment(posed[-1].utc_ns)}, {zone}")
    return words
