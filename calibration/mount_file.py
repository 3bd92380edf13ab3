"""Writes `calibration/mounts/<id>.toml`: a mount with the boresight that a flight has shown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from calibration.boresight import Solution
from edge.errors import CalibrationError, OutputError
from edge.geo.calibration_file import read_table
from edge.geo.mount import MountFile, MountKind

_TEXT = """\
# {what}
# Boresight solved by `skywhistle calibrate boresight` from the flight "{flight}":
# {points} tied points, which lay {before:.2f} m apart in the median before and {after:.2f} m after.
# One sigma of roll, pitch, yaw: {sigmas} degrees; {compass}.

id = "{id}"
kind = "{kind}"
{fixed}
# The small rotation left after mounting: roll about the optical axis, pitch lifting the axis
# towards the picture's top, yaw turning it to the picture's right.
boresight_deg = [{angles}]
# The largest sigma of the three.
boresight_sigma_deg = {sigma:.3f}

# The camera (or the gimbal's pivot) from the autopilot's position: forward, right, down.
lever_arm_m = [{arm}]
"""
_WHAT = {
    MountKind.FIXED: "A camera bolted to the body.",
    MountKind.STABILISED_GIMBAL: "A MAVLink gimbal: roll and pitch from the horizon.",
    MountKind.SERVO_GIMBAL: "ArduPilot's servo mount: its angles are in body axes.",
}
_FIXED = """
# How the camera is turned from "looking forward, picture upright": roll, pitch, yaw.
body_from_camera_deg = [{}]
"""


@dataclass(frozen=True, slots=True)
class Solved:
    """What a mount's file is made of."""

    solution: Solution
    built: MountFile  # as it was believed to be
    flight: str  # its name
    has_heading: bool = False  # the compass's error was solved beside the angles


def read_built(path: Path) -> MountFile:
    """Read the mount's file that a flight was recorded with.

    Raises:
        CalibrationError: It is not usable.
    """
    return read_table(path, MountFile)


def write_mount(path: Path, solved: Solved, *, replaced: bool = False) -> None:
    """Write a solved mount; the file's name is its id.

    Args:
        path: Ends in .toml.
        solved: By one flight.
        replaced: Whether a file that is there may be.

    Raises:
        CalibrationError: There is such a file.
        OutputError: It cannot be written.
    """
    if path.exists() and not replaced:
        raise CalibrationError(f"{path}: is there already; give another --id, or --replace it")
    half = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        half.write_text(_text(path.stem, solved), encoding="utf-8")
        read_built(half)  # what cannot be read back does not come to lie there
        half.replace(path)
    except OSError as error:
        raise OutputError(
            f"{path}: cannot be written ({error.strerror}); give another --into"
        ) from error


def _text(mount_id: str, solved: Solved) -> str:
    solution, built = solved.solution, solved.built
    sigmas_deg = [math.degrees(sigma) for sigma in solution.sigmas_rad.tolist()]
    angles_deg = built.body_from_camera_deg
    return _TEXT.format(
        what=_WHAT[built.kind],
        flight=" ".join(solved.flight.split()),
        points=len(solution.after.first_m),
        before=solution.before.median_m,
        after=solution.after.median_m,
        sigmas=_numbers(sigmas_deg),
        compass="the compass's error was solved beside them"
        if solved.has_heading
        else "the compass was taken at its word",
        id=mount_id,
        kind=built.kind.value,
        fixed="" if angles_deg is None else _FIXED.format(_numbers(angles_deg)),
        angles=_numbers(solution.boresight_deg),
        sigma=max(sigmas_deg),
        arm=_numbers(built.lever_arm_m),
    )


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)
