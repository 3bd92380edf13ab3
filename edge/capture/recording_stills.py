"""Stills in the order of their time, by their own EXIF, and the poses that they tell."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from edge.capture.clock import BOOT_WRAP_MS
from edge.capture.log_records import NS_PER_MS, LogMessage
from edge.capture.log_reports import (
    accuracy_report,
    attitude_reports,
    complete_heights,
    position_report,
)
from edge.capture.still_poses import StillPose, read_still_pose
from edge.errors import FlightError, TelemetryError
from edge.records import UtcNs

log = logging.getLogger(__name__)

_HOUR_NS = 3600 * 10**9


@dataclass(frozen=True, slots=True)
class PosedStill:
    """A still, when it was taken, and what it says of its pose."""

    path: Path
    utc_ns: int  # whole ms, and no two stills' are the same
    pose: StillPose


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
    for path in paths:
        try:
            pose = read_still_pose(path)
        except TelemetryError as error:
            log.warning("still_metadata_damaged %s", error)
            continue
        if pose.time_ns is None:
            log.warning("still_without_time path=%s", path)
            continue
        shift_ns = 0 if pose.has_zone else round(utc_offset_h * _HOUR_NS)
        timed.append((pose.time_ns - shift_ns, path, pose))
    if not timed:
        raise FlightError(
            f"{paths[0].parent if paths else '.'}: none of {len(paths)} stills tells its time in "
            "EXIF (DateTimeOriginal); use time rule 'filename' and a log"
        )
    timed.sort(key=lambda one: (one[0], one[1]))
    if any(later[1].name < earlier[1].name for earlier, later in pairwise(timed)):
        log.warning("stills_out_of_order: their times are not in the order of their names")
    posed: list[PosedStill] = []
    for utc_ns, path, pose in timed:  # most cameras write whole seconds
        newest_ns = posed[-1].utc_ns + NS_PER_MS if posed else utc_ns
        posed.append(PosedStill(path, max(utc_ns, newest_ns), pose))
    return _with_cameras_that_turn(posed)


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
