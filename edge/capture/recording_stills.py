"""Stills in the order of their time, by their own EXIF, and the poses that they tell."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby, pairwise
from pathlib import Path

from edge.capture.clock import BOOT_WRAP_MS
from edge.capture.log_records import NS_PER_MS, LogMessage, unix_ns
from edge.capture.log_reports import (
    accuracy_report,
    attitude_reports,
    complete_heights,
    position_report,
)
from edge.capture.pose_buffer_math import metres_per_degree, wrapped_deg
from edge.capture.still_poses import StillPose, read_still_pose
from edge.errors import FlightError, TelemetryError
from edge.records import UtcNs

log = logging.getLogger(__name__)

# Further than this from the still before, with the time between rounded to seconds, no place is.
JUMP_M, MAX_SPEED_MPS = 100.0, 60.0
LONGEST_STEP_S = 10.0  # between stills that are of one leg
_HOUR_NS = 3600 * 10**9


@dataclass(frozen=True, slots=True)
class PosedStill:
    """A still, when it was taken, and what it says of its pose."""

    path: Path
    utc_ns: int  # whole ms, and no two stills' are the same
    pose: StillPose


def time_in_name(path: Path, pattern: str, where: str) -> int:
    """Read UTC, ns, out of a still's name.

    Args:
        path: The still.
        pattern: As strptime has it.
        where: It is written, for the message.

    Raises:
        FlightError: The name does not fit.
    """
    try:
        return unix_ns(datetime.strptime(path.name, pattern))
    except ValueError as error:
        raise FlightError(
            f"{path}: its name does not fit {where} {pattern!r}; correct the pattern"
        ) from error


def posed_stills(paths: Sequence[Path], utc_offset_h: float = 0.0) -> list[PosedStill]:
    """Read the stills' own times and poses, and put them in the order of their times.

    A still whose data are damaged, or that has no time, is left out and named in a warning.

    Args:
        paths: The stills.
        utc_offset_h: What a clock that names no zone is ahead of UTC.

    Raises:
        FlightError: Not one still has a time.
    """
    timed: list[tuple[int, Path, StillPose]] = []
    untimed: list[Path] = []
    for path in paths:
        try:
            pose = read_still_pose(path)
        except TelemetryError as error:
            log.warning("still_metadata_damaged %s", error)
            continue
        if pose.time_ns is None:
            untimed.append(path)
            continue
        shift_ns = 0 if pose.has_zone else round(utc_offset_h * _HOUR_NS)
        timed.append((pose.time_ns - shift_ns, path, pose))
    if not timed:
        raise FlightError(
            f"{paths[0].parent if paths else '.'}: none of {len(paths)} stills tells its time in "
            "EXIF (DateTimeOriginal); beside a log, give --time-pattern (time rule 'filename')"
        )
    if untimed:
        log.warning("still_without_time n=%d first=%s", len(untimed), untimed[0])
    timed.sort(key=lambda one: (one[0], one[1]))
    if any(later[1].name < earlier[1].name for earlier, later in pairwise(timed)):
        log.warning("stills_out_of_order: their times are not in the order of their names")
    return _with_motion(_with_cameras_that_turn(_apart(timed)))


def _apart(timed: Sequence[tuple[int, Path, StillPose]]) -> list[PosedStill]:
    """Spread stills of one second over it: most cameras write whole seconds."""
    posed: list[PosedStill] = []
    for _, group in groupby(timed, key=lambda one: one[0]):
        same = list(group)
        for i, (utc_ns, path, pose) in enumerate(same):
            spread_ns = utc_ns + i * 1000 // len(same) * NS_PER_MS
            newest_ns = posed[-1].utc_ns + NS_PER_MS if posed else spread_ns
            posed.append(PosedStill(path, max(spread_ns, newest_ns), pose))
    return posed


def _with_motion(posed: list[PosedStill]) -> list[PosedStill]:
    """Strike out places that no aircraft reaches from the still before; fill in velocities."""
    kept = list(posed)
    for i, (earlier, later) in enumerate(pairwise(posed), start=1):
        if _distance_m(earlier, later) > JUMP_M + MAX_SPEED_MPS * (
            1.0 + _between_s(earlier, later)
        ):
            log.warning("still_place_jumps path=%s", later.path)
            kept[i] = replace(later, pose=replace(later.pose, lat_deg=math.nan))
    return [
        one
        if any(one.pose.velocity_ned_mps)
        else replace(
            one,
            pose=replace(
                one.pose,
                velocity_ned_mps=_velocity(kept[max(i - 1, 0)], kept[min(i + 1, len(kept) - 1)]),
            ),
        )
        for i, one in enumerate(kept)
    ]


def _between_s(start: PosedStill, end: PosedStill) -> float:
    return (end.utc_ns - start.utc_ns) * 1e-9


def _offset_m(start: PosedStill, end: PosedStill) -> tuple[float, float]:
    if not (start.pose.has_place and end.pose.has_place):
        return 0.0, 0.0
    m_north, m_east = metres_per_degree(start.pose.lat_deg)
    return (
        (end.pose.lat_deg - start.pose.lat_deg) * m_north,
        wrapped_deg(end.pose.lon_deg - start.pose.lon_deg) * m_east,
    )


def _distance_m(start: PosedStill, end: PosedStill) -> float:
    return math.hypot(*_offset_m(start, end))


def _velocity(start: PosedStill, end: PosedStill) -> tuple[float, float, float]:
    between_s = _between_s(start, end)
    if not 0.0 < between_s <= LONGEST_STEP_S:
        return (0.0, 0.0, 0.0)
    north_m, east_m = _offset_m(start, end)
    return (north_m / between_s, east_m / between_s, 0.0)


def _with_cameras_that_turn(posed: list[PosedStill]) -> list[PosedStill]:
    """Drop attitudes that are zero in every still: they are left blank, not told."""
    if any(one.pose.camera_ypr_deg and any(one.pose.camera_ypr_deg) for one in posed):
        return posed
    return [replace(one, pose=replace(one.pose, camera_ypr_deg=None)) for one in posed]


def messages_of(posed: Sequence[PosedStill], home_amsl_m: float | None) -> Iterator[LogMessage]:
    """Tell each still's pose at the still's own instant; what it lacks is told as unknown."""
    for one in posed:
        pose = one.pose
        boot_ms = (one.utc_ns - posed[0].utc_ns) // NS_PER_MS % BOOT_WRAP_MS
        both_m = complete_heights(pose.absolute_m, pose.above_home_m, home_amsl_m)
        place = (pose.lat_deg, pose.lon_deg) if pose.has_place else (0.0, 0.0)
        reports = attitude_reports(boot_ms, pose.drone_ypr_deg, pose.camera_ypr_deg)
        reports.append(position_report(boot_ms, place, both_m, pose.velocity_ned_mps))
        if pose.h_acc_m > 0.0:
            reports.append(accuracy_report(pose.h_acc_m, pose.v_acc_m))
        for report in reports:
            yield LogMessage(UtcNs(one.utc_ns), report)
