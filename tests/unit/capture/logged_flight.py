"""One made-up flight as ArduPilot and as PX4 would log it: north at 10 m/s, turning slowly."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge.capture.clock import BootClock, utc_by_record_time
from edge.capture.log_records import LOGGER_SIGMA_S
from edge.capture.logs import read_log
from edge.capture.recording_spec import FlightTelemetry
from edge.capture.telemetry import Telemetry
from edge.records import NoPose, Pose
from tests.unit.capture.log_writers import UlogTopic

LAT_DEG, LON_DEG, HOME_AMSL_M, HEIGHT_M = 31.5, 120.3, 5.0, 60.0
SPEED_MPS, YAW_RADPS = 10.0, 0.1
M_PER_LAT_DEG = 110_877.0  # the meridian's curvature at 31.5° (WGS 84)
BOOT_S, SECONDS = 40.0, 8.0
# 2023-11-14 22:13:20 UTC; the GPS week began on 2023-11-12 and GPS is 18 s ahead.
UTC_S = 1_700_000_000
GPS_WEEK, GPS_MS = 2288, (UTC_S + 18 - 315_964_800) % (7 * 86_400) * 1000
GIMBAL_PITCH_DEG = -60.0


def lat_deg(t_s: float) -> float:
    return LAT_DEG + SPEED_MPS * t_s / M_PER_LAT_DEG


def yaw_rad(t_s: float) -> float:
    return YAW_RADPS * t_s


def dataflash_rows() -> Iterator[tuple[str, Mapping[str, float]]]:
    """ArduPilot's rows: 25 Hz attitude, 10 Hz position, 5 Hz GPS."""
    us = round((BOOT_S - 1) * 1e6)
    yield "ORGN", {"TimeUS": us, "Type": 1, "Lat": LAT_DEG, "Lng": LON_DEG, "Alt": HOME_AMSL_M}
    for n in range(round(SECONDS * 50)):
        t_s = n / 50
        us = round((BOOT_S + t_s) * 1e6)
        if n % 10 == 0:
            gps_ms = GPS_MS + round(t_s * 1000)
            yield "GPA", {"TimeUS": us, "HAcc": 0.8, "VAcc": 1.2}
            yield "GPS", {
                "TimeUS": us, "Status": 3, "GMS": gps_ms, "GWk": GPS_WEEK, "U": 1,
                "Lat": lat_deg(t_s), "Lng": LON_DEG, "Alt": HOME_AMSL_M + HEIGHT_M,
                "Spd": SPEED_MPS,
            }  # fmt: skip
            yield "XKF4", {"TimeUS": us, "SS": 831 | 1 << 12}
            yield "RFND", {"TimeUS": us, "Dist": 58.5, "Stat": 4, "Orient": 25}
            yield "TERR", {
                "TimeUS": us, "Status": 2, "Lat": LAT_DEG, "Lng": LON_DEG, "Spacing": 100,
                "CHeight": 57.5,
            }  # fmt: skip
        if n % 5 == 0:
            yield "XKF1", {"TimeUS": us, "VN": SPEED_MPS}
            yield "POS", {
                "TimeUS": us, "Lat": lat_deg(t_s), "Lng": LON_DEG,
                "Alt": HOME_AMSL_M + HEIGHT_M, "RelHomeAlt": HEIGHT_M,
            }  # fmt: skip
            yield "MNT", {"TimeUS": us, "Pitch": GIMBAL_PITCH_DEG, "YawB": 15.0, "YawE": 99.0}
        if n % 2 == 0:
            yield "RATE", {"TimeUS": us, "Y": math.degrees(YAW_RADPS)}
            yield "ATT", {
                "TimeUS": us, "Roll": 2.0, "Pitch": -3.0, "Yaw": math.degrees(yaw_rad(t_s)),
            }  # fmt: skip


def ulog_topics(*, has_gimbal: bool = True) -> list[UlogTopic]:
    """PX4's topics of the same flight."""
    times_s = [n / 50 for n in range(round(SECONDS * 50))]
    stamps = [(t_s, round((BOOT_S + t_s) * 1e6)) for t_s in times_s]
    half = 0.5 * math.radians(GIMBAL_PITCH_DEG)
    us_field = ("uint64_t", "timestamp")
    topics = [
        UlogTopic(
            "vehicle_attitude", (us_field, ("float[4]", "q")),
            [(us, math.cos(yaw_rad(t) / 2), 0.0, 0.0, math.sin(yaw_rad(t) / 2))
             for t, us in stamps[::2]],
        ),
        UlogTopic(
            "vehicle_angular_velocity", (us_field, ("float[3]", "xyz")),
            [(us, 0.0, 0.0, YAW_RADPS) for _, us in stamps],
        ),
        UlogTopic(
            "vehicle_global_position",
            (us_field, ("double", "lat"), ("double", "lon"), ("float", "alt"),
             ("bool", "dead_reckoning")),
            [(us, lat_deg(t), LON_DEG, 488.0 + HEIGHT_M, False) for t, us in stamps[::5]],
        ),
        UlogTopic(
            "vehicle_local_position", (us_field, ("float", "vx"), ("float", "vy"), ("float", "vz")),
            [(us, SPEED_MPS, 0.0, 0.0) for _, us in stamps[::5]],
        ),
        UlogTopic(
            "vehicle_gps_position",
            (us_field, ("uint64_t", "time_utc_usec"), ("float", "eph"), ("float", "epv"),
             ("uint8_t", "fix_type")),
            [(us, UTC_S * 10**6 + round(t * 1e6), 0.8, 1.2, 3) for t, us in stamps[::10]],
        ),
        UlogTopic(
            "home_position", (us_field, ("float", "alt"), ("bool", "valid_alt")),
            [(stamps[0][1], 488.0, True)],
        ),
        UlogTopic(
            "distance_sensor",
            (us_field, ("float", "max_distance"), ("float", "current_distance"),
             ("uint8_t", "orientation")),
            [(us, 100.0, 58.5, 25) for _, us in stamps[::10]],
        ),
    ]  # fmt: skip
    if has_gimbal:
        topics.append(
            UlogTopic(
                "gimbal_device_attitude_status",
                (us_field, ("float[4]", "q"), ("uint16_t", "device_flags")),
                [(us, math.cos(half), 0.0, math.sin(half), 0.0, 32) for _, us in stamps[::5]],
            )
        )
    return topics


def fed(path: Path, *, until_s: float = math.inf) -> Telemetry:
    """Feed a log, up to a time of the flight, as a replay does."""
    telemetry = Telemetry(FlightTelemetry(log=path), utc_by_record_time, BootClock(LOGGER_SIGMA_S))
    for one in read_log(path):
        if one.record_utc_ns > (UTC_S + until_s) * 1e9:
            break
        telemetry.feed(one.message, one.record_utc_ns)
    return telemetry


def pose_at(telemetry: Telemetry, t_s: float) -> Pose | NoPose:
    return telemetry.at(UTC_S * 10**9 + round(t_s * 1e9))
