"""A drone's subtitles as telemetry: each tells the vehicle and its gimbal at its video time.

Time is the video's.  The clock that most dialects write has no zone and often whole seconds, so
it only says when the video began: the middle of what the subtitles say.
"""

from __future__ import annotations

import logging
import math
import statistics
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from edge.capture.dispatch import WANTED
from edge.capture.log_records import NS_PER_MS, LogMessage, Report, unix_ns
from edge.capture.log_reports import (
    accuracy_report,
    attitude_reports,
    complete_heights,
    position_report,
)
from edge.capture.pose_buffer_math import metres_per_degree, wrapped_deg
from edge.capture.srt import Subtitle, SubtitleFile, Triple, read_subtitles
from edge.records import UtcNs

log = logging.getLogger(__name__)

# Positions come at 1 to 10 Hz and stand in many subtitles: only a new one is a sample, or one
# that has stood so long that the vehicle hovers.
HOVERS_NS = 500_000_000
# A frame's own subtitle and its time stamp differ by rounding, and by an edit list at most.
COUNT_AGREES_NS = 250_000_000
# None of these aircraft flies as fast; further apart, one of two positions is wrong.
MAX_SPEED_MPS = 45.0
JUMP_FLOOR_M = 5.0
# Coordinates with fewer decimals than this are the larger part of the error.
FINE_DECIMALS = 6
_METRES_PER_DEGREE = 111_320.0
_RECEIVER_SIGMA_M = 1.5  # a plain receiver, each axis; with it goes the rounding
_DIFFERENCE_NS = 3_000_000_000  # a velocity across a longer hole is none


@dataclass(frozen=True, slots=True)
class SrtTrack:
    """Subtitles with their place on the axis of time."""

    file: SubtitleFile
    start_utc_ns: int  # record time of video time 0; 0 where no subtitle has a clock
    start_of_frame_ns: dict[int, int]  # video time by frame index, where frames are counted
    has_gimbal: bool
    zooms: bool  # focal_len or dzoom_ratio change, and with them the camera's calibration

    @property
    def has_height(self) -> bool:
        """Whether a height above home is told at all."""
        return any(math.isfinite(one.above_home_m) for one in self.file.subtitles)

    def frame_ns(self, index: int, pts_ns: int) -> int:
        """Return the video time of a frame: its own subtitle's, else its time stamp's.

        A video that was encoded again at another rate has other frame numbers: then the count
        means nothing, and the time stamp counts.
        """
        start_ns = self.start_of_frame_ns.get(index, pts_ns)
        return start_ns if abs(start_ns - pts_ns) <= COUNT_AGREES_NS else pts_ns


def srt_track(path: Path) -> SrtTrack:
    """Read a file and find its time.

    Raises:
        TelemetryError: It cannot be read, or holds no drone's subtitles.
    """
    file = read_subtitles(path)
    if file.n_disordered:
        log.warning("srt_out_of_order file=%s left_out=%d", path.name, file.n_disordered)
    starts = [unix_ns(one.clock) - one.start_ns for one in file.subtitles if one.clock is not None]
    counts = {one.frame_count: one.start_ns for one in file.subtitles}
    first = 0 if 0 in counts else 1
    # Angles that are all zero in every subtitle are not told, they are left blank.
    has_gimbal = any(one.gimbal_ypr_deg and any(one.gimbal_ypr_deg) for one in file.subtitles)
    zooms = {tuple(filter(math.isfinite, one.zoom)) for one in file.subtitles} - {()}
    start_ns = int(statistics.median_low(starts)) if starts else 0
    return SrtTrack(
        file=file,
        start_utc_ns=start_ns // NS_PER_MS * NS_PER_MS,
        start_of_frame_ns={
            count - first: start for count, start in counts.items() if count is not None
        },
        has_gimbal=has_gimbal,
        zooms=len(zooms) > 1,
    )


def read_srt(
    path: Path, names: Collection[str] = WANTED, home_amsl_m: float | None = None
) -> Iterator[LogMessage]:
    """Read subtitles as the messages that a link would have carried.

    Where a dialect tells no attitude of the gimbal there is none here; where it tells none of the
    vehicle, the vehicle's is unknown too, or level under a camera whose own attitude is known.

    Args:
        path: The file.
        names: Messages to make.
        home_amsl_m: Height of the take-off place in the file's own absolute heights.

    Raises:
        TelemetryError: It cannot be read, or holds no drone's subtitles.
    """
    track = srt_track(path)
    if track.zooms:
        log.warning("srt_zoom_changes file=%s: one calibration does not fit it all", path.name)
    for subtitle, is_new, velocity in _with_motion(track.file.subtitles):
        record_ns = UtcNs(track.start_utc_ns + subtitle.start_ns)
        boot_ms = subtitle.start_ns // NS_PER_MS
        gimbal = subtitle.gimbal_ypr_deg if track.has_gimbal else None
        reports = [*attitude_reports(boot_ms, subtitle.drone_ypr_deg, gimbal)]
        if is_new:
            reports += _fix(boot_ms, subtitle, velocity, home_amsl_m)
        for report in reports:
            if report.get_type() in names:
                yield LogMessage(record_ns, report)


def _fix(
    boot_ms: int, subtitle: Subtitle, velocity: Triple, home_amsl_m: float | None
) -> list[Report]:
    both_m = complete_heights(subtitle.absolute_m, subtitle.above_home_m, home_amsl_m)
    place = (subtitle.lat_deg, subtitle.lon_deg) if subtitle.has_place else (0.0, 0.0)
    reports = [position_report(boot_ms, place, both_m, velocity)]
    if subtitle.has_place and subtitle.decimals < FINE_DECIMALS:
        step_m = _METRES_PER_DEGREE * 10.0**-subtitle.decimals
        sigma_m = math.hypot(_RECEIVER_SIGMA_M, step_m / math.sqrt(12.0))
        reports.append(accuracy_report(sigma_m * math.sqrt(2.0)))
    return reports


def _with_motion(subtitles: Collection[Subtitle]) -> Iterator[tuple[Subtitle, bool, Triple]]:
    """Say of each subtitle whether its position is a sample, and how fast the vehicle was.

    A position that none of these aircraft can have reached from the last is struck out.
    """
    knots: list[Subtitle] = []
    last: Subtitle | None = None
    for one in subtitles:
        is_same = last is not None and _where(one) == _where(last)
        if is_same and last is not None and one.start_ns - last.start_ns < HOVERS_NS:
            continue
        jumps = last is not None and _jumps(last, one)
        knots.append(replace(one, lat_deg=math.nan) if jumps else one)
        last = one
    velocities = {
        knots[i].start_ns: _velocity(knots[max(i - 1, 0)], knots[min(i + 1, len(knots) - 1)])
        for i in range(len(knots))
    }
    at = {knot.start_ns: knot for knot in knots}
    for one in subtitles:
        is_new = one.start_ns in at
        yield at.get(one.start_ns, one), is_new, velocities.get(one.start_ns, (0.0, 0.0, 0.0))


def _where(one: Subtitle) -> tuple[float, ...]:
    """A key of the position; NaN is equal to NaN here."""
    told = (one.lat_deg, one.lon_deg, one.above_home_m, one.absolute_m)
    return tuple(-1e9 if math.isnan(value) else value for value in told)


def _offset_m(start: Subtitle, end: Subtitle) -> Triple:
    m_north, m_east = metres_per_degree(start.lat_deg)
    up = (end.above_home_m - start.above_home_m, end.absolute_m - start.absolute_m)
    climbed = next((value for value in up if math.isfinite(value)), 0.0)
    return (
        (end.lat_deg - start.lat_deg) * m_north,
        wrapped_deg(end.lon_deg - start.lon_deg) * m_east,
        -climbed,
    )


def _jumps(last: Subtitle, one: Subtitle) -> bool:
    if not (last.has_place and one.has_place):
        return False
    north, east, _ = _offset_m(last, one)
    dt_s = (one.start_ns - last.start_ns) * 1e-9
    step_m = _METRES_PER_DEGREE * 10.0 ** -min(one.decimals, last.decimals)
    return math.hypot(north, east) > JUMP_FLOOR_M + 2.0 * step_m + MAX_SPEED_MPS * dt_s


def _velocity(start: Subtitle, end: Subtitle) -> Triple:
    dt_ns = end.start_ns - start.start_ns
    if not (start.has_place and end.has_place) or not 0 < dt_ns <= _DIFFERENCE_NS:
        return (0.0, 0.0, 0.0)
    north, east, down = _offset_m(start, end)
    dt_s = dt_ns * 1e-9
    return (north / dt_s, east / dt_s, down / dt_s)
