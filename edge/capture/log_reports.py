"""Positions and attitudes that cameras tell of themselves, as the messages of a link."""

from __future__ import annotations

import math

from edge.capture.gimbal import FLAG_YAW_IN_EARTH_FRAME
from edge.capture.log_records import Report
from edge.capture.pose_buffer_math import (
    UNKNOWN_ROTATION,
    Quaternion,
    Vector3,
    quaternion_from_euler,
)


def quaternion_from_ypr(yaw_pitch_roll_deg: Vector3) -> Quaternion:
    """Turn yaw from north, pitch from the horizon and roll, degrees, into `ned_from_…_wxyz`."""
    yaw, pitch, roll = map(math.radians, yaw_pitch_roll_deg)
    return quaternion_from_euler(roll, pitch, yaw)


def attitude_reports(boot_ms: int, drone: Vector3 | None, camera: Vector3 | None) -> list[Report]:
    """Tell the vehicle's and the camera's attitude, (yaw, pitch, roll) in degrees; None: unknown.

    A camera that tells its own attitude from the horizon and north needs the vehicle's for the
    lever arm alone: level, heading as the camera does, is then near enough.
    """
    if drone is None and camera is not None:
        drone = (camera[0], 0.0, 0.0)
    w, x, y, z = UNKNOWN_ROTATION if drone is None else quaternion_from_ypr(drone)
    turned = Report(
        "ATTITUDE_QUATERNION", time_boot_ms=boot_ms, q1=w, q2=x, q3=y, q4=z,
        rollspeed=math.nan, pitchspeed=math.nan, yawspeed=math.nan,
    )  # fmt: skip
    looked = Report(
        "GIMBAL_DEVICE_ATTITUDE_STATUS", time_boot_ms=boot_ms, flags=FLAG_YAW_IN_EARTH_FRAME,
        q=UNKNOWN_ROTATION if camera is None else quaternion_from_ypr(camera),
    )  # fmt: skip
    return [turned, looked]


def position_report(
    boot_ms: int,
    lat_lon_deg: tuple[float, float],
    heights_m: tuple[float, float],
    velocity_ned_mps: Vector3,
) -> Report:
    """Tell a position; heights are above sea level and above home, NaN where unknown."""
    return Report(
        "GLOBAL_POSITION_INT", time_boot_ms=boot_ms,
        lat=lat_lon_deg[0] * 1e7, lon=lat_lon_deg[1] * 1e7,
        alt=heights_m[0] * 1e3, relative_alt=heights_m[1] * 1e3,
        vx=velocity_ned_mps[0] * 1e2, vy=velocity_ned_mps[1] * 1e2, vz=velocity_ned_mps[2] * 1e2,
    )  # fmt: skip


def accuracy_report(h_acc_m: float, v_acc_m: float = 0.0) -> Report:
    """Tell a receiver's accuracy: one sigma of the distance, both axes together; 0: not known."""
    return Report("GPS_RAW_INT", fix_type=3, h_acc=h_acc_m * 1e3, v_acc=v_acc_m * 1e3)


def complete_heights(
    absolute_m: float, above_home_m: float, home_amsl_m: float | None
) -> tuple[float, float]:
    """Complete (above sea level, above home) by the height of home, where that is known.

    With neither an absolute height nor home's, heights are told as if home were at sea level:
    only the ground heights in alerts depend on it.
    """
    if math.isnan(above_home_m) and home_amsl_m is not None:
        above_home_m = absolute_m - home_amsl_m
    if math.isnan(absolute_m):
        absolute_m = above_home_m + (home_amsl_m or 0.0)
    return absolute_m, above_home_m
