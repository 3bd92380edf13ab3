"""One second of level flight northwards over the origin, by instruments that err as they are told.

The errors of one instant are chosen one by one, which a whole flight's wanders cannot give.
"""

from __future__ import annotations

from dataclasses import dataclass

from pymavlink.dialects.v20 import ardupilotmega as mav

from sim.vehicle.vehicle import BOOT_BEFORE_START_S, COMPONENT_ID, SYSTEM_ID, Origin

REACH_S = 0.3  # of the messages around the instant


@dataclass(frozen=True)
class LevelErrors:
    """What the telemetry says beyond the truth."""

    east_m: float = 0.0
    north_m: float = 0.0
    up_m: float = 0.0
    roll_rad: float = 0.0
    pitch_rad: float = 0.0
    yaw_rad: float = 0.0
    late_s: float = 0.0  # how old the reported state is


def level_messages(
    origin: Origin, height_m: float, speed_mps: float, errors: LevelErrors
) -> list[tuple[float, mav.MAVLink_message]]:
    """Return (time, message) around the instant 0, when the vehicle is truly over the origin."""
    boot_ms = round(BOOT_BEFORE_START_S * 1000)
    pairs: list[tuple[float, mav.MAVLink_message]] = []
    up_m = height_m + errors.up_m
    for step in range(-6, 7):
        at_s = step * REACH_S / 6
        now_ms = boot_ms + round(at_s * 1000)
        north_m = speed_mps * (at_s - errors.late_s) + errors.north_m
        lat_deg, lon_deg = origin.geodetic(errors.east_m, north_m)
        attitude = mav.MAVLink_attitude_message(
            now_ms, errors.roll_rad, errors.pitch_rad, errors.yaw_rad, 0.0, 0.0, 0.0
        )
        position = mav.MAVLink_global_position_int_message(
            now_ms,
            round(lat_deg * 1e7),
            round(lon_deg * 1e7),
            round((origin.amsl_m + up_m) * 1000),
            round(up_m * 1000),
            round(speed_mps * 100),
            0,
            0,
            0,
        )
        pairs += [(at_s, attitude), (at_s, position)]
    for _, message in pairs:
        message._header.srcSystem, message._header.srcComponent = SYSTEM_ID, COMPONENT_ID
    return pairs
