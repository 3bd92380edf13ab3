"""Telemetry from messages: whose word counts, what is absent, and what the time is."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from edge.capture.clock_utc import _PLAUSIBLE_UTC_NS
from edge.capture.dispatch import DISPATCH
from edge.capture.link_frames import MESSAGE_IDS, FrameCutter, Header
from edge.capture.pose_buffer_math import angle_between_rad, quaternion_from_euler
from edge.capture.rates import RateAsker
from edge.capture.streams import MessageRequest
from edge.capture.telemetry import Telemetry
from edge.config import AutopilotConfig
from edge.records import Home, NoPose, Pose, TimeQuality, UtcNs, YawReference
from tests.unit.capture.mavlink_peer import ALL, UTC_US, heartbeat, message_of, packed

MS = 1_000_000
OFFSET = 777_000_000_000
FLYING = ("ATTITUDE", "GLOBAL_POSITION_INT", "GPS_RAW_INT", "EKF_STATUS_REPORT", "SYSTEM_TIME")


class Vehicle:
    """Feeds a telemetry with the messages of a vehicle that flies."""

    def __init__(self, **settings: Any) -> None:
        settings.setdefault("gimbal_component_id", 1)
        self.telemetry = Telemetry(AutopilotConfig(**settings), UtcNs)
        self.boot_ms = 10_000

    def say(self, message: Any, system_id: int = 1, component_id: int = 1) -> None:
        """Feed one message as it comes off the wire, 3 ms late."""
        frame = packed(message, system_id, component_id)
        decoded = next(FrameCutter(ALL).cut(frame))[1]
        self.telemetry.feed(decoded, OFFSET + self.boot_ms * MS + 3 * MS)

    def fly(self, seconds: float, names: tuple[str, ...] = FLYING) -> None:
        for _ in range(round(seconds * 20)):
            self.boot_ms += 50
            for name in names:
                self.say(message_of(name, self.boot_ms))

    def pose(self, back_ms: int = 25) -> Pose | NoPose:
        return self.telemetry.at(OFFSET + (self.boot_ms - back_ms) * MS + 3 * MS)

    def flown_pose(self) -> Pose:
        pose = self.pose()
        assert isinstance(pose, Pose)
        return pose


def test_a_pose_carries_what_the_messages_said() -> None:
    """Position, heights, speed, attitude and the receiver's accuracy arrive in our units."""
    vehicle = Vehicle()
    vehicle.fly(2.0)
    pose = vehicle.flown_pose()
    assert math.isclose(pose.lon_deg, 120.3)
    assert (pose.amsl_m, pose.above_home_m) == (60.0, 50.0)
    assert math.isclose(pose.velocity_ned_mps[0], 10.0)
    assert pose.h_acc_m == 1.5
    assert pose.v_acc_m is None  # 0 on the wire is "not given"
    assert pose.rangefinder_slant_m is None
    assert pose.terrain_agl_m is None
    assert math.isclose(pose.reach_s, 0.025, abs_tol=1e-3)
    assert 0.0 < pose.sync_sigma_s < 0.1
    yaw = math.remainder((vehicle.boot_ms - 25) * 1e-4, math.tau)
    truth = quaternion_from_euler(0.0, 0.1, yaw)
    assert angle_between_rad(pose.ned_from_body_wxyz, truth) < 1e-3
    assert pose.rates_body_radps is not None
    assert math.isclose(pose.rates_body_radps[2], 0.1, rel_tol=1e-6)


def test_the_quaternion_serves_where_no_euler_angles_come() -> None:
    """ATTITUDE_QUATERNION alone makes poses; beside ATTITUDE it changes nothing."""
    vehicle = Vehicle()
    q = quaternion_from_euler(0.2, -0.1, 1.0)
    for n in range(40):
        vehicle.fly(0.05, ("GLOBAL_POSITION_INT",))
        vehicle.say(mavlink.MAVLink_attitude_quaternion_message(vehicle.boot_ms, *q, 0.0, 0.0, 0.0))
        if n > 30:
            vehicle.say(message_of("ATTITUDE", vehicle.boot_ms + 10))
    assert angle_between_rad(vehicle.flown_pose().ned_from_body_wxyz, q) > 0.2
    only = Vehicle()
    for _ in range(40):
        only.fly(0.05, ("GLOBAL_POSITION_INT",))
        only.say(mavlink.MAVLink_attitude_quaternion_message(only.boot_ms, *q, 0.0, 0.0, 0.0))
    assert angle_between_rad(only.flown_pose().ned_from_body_wxyz, q) < 1e-6


@pytest.mark.parametrize(
    ("fix_type", "flags", "reason"),
    [
        (3, 831, None),
        (1, 831, NoPose.NO_FIX),
        (3, 167, NoPose.NO_FIX),  # constant position mode, as before take-off without GNSS
        (3, 831 & ~16, NoPose.NO_FIX),
        (3, 831 | 1024, NoPose.NO_FIX),
    ],
)
def test_a_position_that_nobody_vouches_for_is_no_fix(
    fix_type: int, flags: int, reason: NoPose | None
) -> None:
    """GLOBAL_POSITION_INT looks normal without GNSS; receiver and estimator decide."""
    vehicle = Vehicle()
    vehicle.fly(1.0, ("ATTITUDE", "GLOBAL_POSITION_INT"))
    assert isinstance(vehicle.pose(), Pose)  # those who never spoke are not held against it
    vehicle.say(mavlink.MAVLink_gps_raw_int_message(0, fix_type, 1, 1, 0, 0, 0, 0, 0, 0))
    vehicle.say(mavlink.MAVLink_ekf_status_report_message(flags, 0, 0, 0, 0, 0))
    vehicle.fly(0.5, ("ATTITUDE", "GLOBAL_POSITION_INT"))
    pose = vehicle.pose()
    assert (pose if isinstance(pose, NoPose) else None) is reason


def test_before_the_origin_is_set_there_is_no_fix() -> None:
    """Latitude and longitude zero are an autopilot without an origin, not the Gulf of Guinea."""
    vehicle = Vehicle()
    for _ in range(20):
        vehicle.fly(0.05, ("ATTITUDE",))
        vehicle.say(
            mavlink.MAVLink_global_position_int_message(vehicle.boot_ms, 0, 0, 0, 0, 0, 0, 0, 65535)
        )
    assert vehicle.pose() is NoPose.NO_FIX


def test_ranges_and_terrain_are_absent_where_the_sensor_says_so() -> None:
    """0.0 m, a sensor that looks elsewhere, no terrain data, and old values are all None."""
    vehicle = Vehicle()
    vehicle.fly(1.0)
    vehicle.say(mavlink.MAVLink_rangefinder_message(0.0, 0.0))
    vehicle.say(mavlink.MAVLink_distance_sensor_message(0, 20, 12000, 700, 0, 0, 0, 0))
    vehicle.say(mavlink.MAVLink_terrain_report_message(1, 1, 0, 5.0, 44.0, 0, 0))
    vehicle.fly(0.1)
    assert vehicle.flown_pose().rangefinder_slant_m is None
    assert vehicle.flown_pose().terrain_agl_m is None
    vehicle.say(mavlink.MAVLink_distance_sensor_message(0, 20, 12000, 4210, 0, 0, 25, 0))
    vehicle.say(mavlink.MAVLink_terrain_report_message(1, 1, 100, 5.0, 44.0, 0, 9))
    vehicle.fly(0.1)
    assert vehicle.flown_pose().rangefinder_slant_m == pytest.approx(42.1)
    assert vehicle.flown_pose().terrain_agl_m == 44.0
    vehicle.fly(3.0)
    assert vehicle.flown_pose().rangefinder_slant_m is None
    assert vehicle.flown_pose().terrain_agl_m is None


def gimbal(boot_ms: int, q: tuple[float, ...], flags: int = 44) -> Any:
    nan = float("nan")
    return mavlink.MAVLink_gimbal_device_attitude_status_message(
        0, 0, boot_ms, flags, list(q), nan, nan, nan, 0
    )


@pytest.mark.parametrize(("configured", "pitch"), [(1, -0.5), (154, -1.5)])
def test_the_gimbals_word_is_taken_from_one_sender(configured: int, pitch: float) -> None:
    """Relay and gimbal both speak; the configured one counts, whatever its clock."""
    vehicle = Vehicle(gimbal_component_id=configured)
    for _ in range(40):
        vehicle.fly(0.05)
        vehicle.say(gimbal(vehicle.boot_ms, quaternion_from_euler(0.0, -0.5, 0.0)))
        own_ms = vehicle.boot_ms - 9_000
        vehicle.say(gimbal(own_ms, quaternion_from_euler(0.0, -1.5, 0.0)), component_id=154)
    found = vehicle.flown_pose().gimbal
    assert found is not None
    assert found.yaw_reference is YawReference.VEHICLE
    expected = quaternion_from_euler(0.0, pitch, 0.0)
    assert angle_between_rad(found.quaternion_wxyz, expected) < 1e-3


def test_a_gimbal_that_was_not_found_yet_is_none() -> None:
    """The relay sends q = (0, 0, 0, 0) until it has found the gimbal."""
    vehicle = Vehicle()
    for _ in range(20):
        vehicle.fly(0.05)
        vehicle.say(gimbal(vehicle.boot_ms, (0.0, 0.0, 0.0, 0.0)))
    assert vehicle.flown_pose().gimbal is None


@pytest.mark.parametrize("q", [(0.1, 0.0, 0.2, 0.0), (3.0, 0.0, 4.0, 0.0), (math.nan, 0, 0, 0)])
def test_what_is_not_of_unit_length_is_no_attitude(q: tuple[float, float, float, float]) -> None:
    """A quaternion that is no rotation says nothing, and the last one that was keeps its age."""
    vehicle = Vehicle()
    vehicle.fly(0.5)
    vehicle.say(gimbal(vehicle.boot_ms, quaternion_from_euler(0.0, -1.0, 0.0)))
    for _ in range(8):
        vehicle.fly(0.05)
        vehicle.say(gimbal(vehicle.boot_ms, q))
    found = vehicle.flown_pose().gimbal
    assert found is not None
    assert found.age_s > 0.3
    expected = quaternion_from_euler(0.0, -1.0, 0.0)
    assert angle_between_rad(found.quaternion_wxyz, expected) < 1e-3


def test_a_gimbal_that_disappears_is_none_within_a_second() -> None:
    """Its last word is not the truth for ever; when it speaks again it is heard again."""
    vehicle = Vehicle()
    for _ in range(20):
        vehicle.fly(0.05)
        vehicle.say(gimbal(vehicle.boot_ms, quaternion_from_euler(0.0, -1.5, 0.0)))
    vehicle.fly(0.4)
    held = vehicle.flown_pose().gimbal
    assert held is not None
    assert held.age_s > 0.3
    vehicle.fly(1.0)
    assert vehicle.flown_pose().gimbal is None
    for _ in range(2):
        vehicle.say(gimbal(vehicle.boot_ms, quaternion_from_euler(0.0, -1.2, 0.0)))
        vehicle.fly(0.05)
    assert vehicle.flown_pose().gimbal is not None


def test_an_old_mount_status_serves_until_the_newer_message_comes() -> None:
    """Older ArduPilot has MOUNT_STATUS only."""
    vehicle = Vehicle()
    for _ in range(20):
        vehicle.fly(0.05)
        vehicle.say(mavlink.MAVLink_mount_status_message(0, 0, -4500, 0, 0))
    found = vehicle.flown_pose().gimbal
    assert found is not None
    expected = quaternion_from_euler(0.0, -math.pi / 4, 0.0)
    assert angle_between_rad(found.quaternion_wxyz, expected) < 1e-3


def test_utc_comes_from_the_autopilot_and_else_by_name_from_the_last_resort() -> None:
    """Quality says how the time is known; the boot-relative time is always beside it."""
    vehicle = Vehicle()
    vehicle.fly(1.0, ("ATTITUDE",))
    here = OFFSET + vehicle.boot_ms * MS + 3 * MS
    unknown = vehicle.telemetry.utc(here)
    assert (unknown.quality, unknown.utc_ns) == (TimeQuality.OS_CLOCK, here)
    assert unknown.boot_ms == vehicle.boot_ms
    vehicle.fly(1.0)
    here = OFFSET + vehicle.boot_ms * MS + 3 * MS
    known = vehicle.telemetry.utc(here)
    assert known.quality is TimeQuality.GNSS
    assert known.utc_ns is not None
    assert abs(known.utc_ns - (UTC_US * 1000 + vehicle.boot_ms * MS)) < MS
    assert _PLAUSIBLE_UTC_NS[0] < known.utc_ns < _PLAUSIBLE_UTC_NS[1]
    before = Telemetry(AutopilotConfig(), lambda _: UtcNs(5)).utc(0)
    assert (before.utc_ns, before.boot_ms) == (5, None)


def test_others_are_counted_and_change_nothing() -> None:
    """Another vehicle's position, a ground station's heartbeat, another component: not ours."""
    vehicle = Vehicle()
    vehicle.fly(1.0)
    before = vehicle.flown_pose()
    elsewhere = mavlink.MAVLink_global_position_int_message(
        vehicle.boot_ms + 10, 10_000_000, 10_000_000, 0, 0, 0, 0, 0, 0
    )
    vehicle.say(elsewhere, system_id=2)
    vehicle.say(elsewhere, system_id=1, component_id=100)
    vehicle.say(heartbeat(), system_id=255, component_id=190)
    assert vehicle.flown_pose() == before
    health = vehicle.telemetry.health()
    assert health.other_vehicle == 2
    assert not health.connected  # nobody's heartbeat but the autopilot's makes it so
    vehicle.say(heartbeat())
    assert vehicle.telemetry.health().connected
    assert vehicle.telemetry.health().vehicle_type == mavlink.MAV_TYPE_QUADROTOR


def test_an_unlisted_type_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """A message that the table does not list is counted each time and logged the first."""
    vehicle = Vehicle()
    unlisted = next(name for name in sorted(MESSAGE_IDS) if name not in DISPATCH)
    header = Header(MESSAGE_IDS[unlisted], 1, 1)
    for n in range(3):
        vehicle.telemetry.note(unlisted, header, n)
    assert vehicle.telemetry.health().unknown == 3
    assert [r.getMessage() for r in caplog.records] == [f"mavlink_unknown_type type={unlisted}"]


def test_a_reboot_forgets_the_poses() -> None:
    """After a reboot no pose is made of samples of two clocks."""
    vehicle = Vehicle()
    vehicle.fly(3.0)
    old = OFFSET + vehicle.boot_ms * MS
    vehicle.boot_ms = 500
    telemetry = vehicle.telemetry
    for _ in range(40):
        vehicle.boot_ms += 50
        for name in FLYING:
            frame = packed(message_of(name, vehicle.boot_ms))
            message = next(FrameCutter(ALL).cut(frame))[1]
            telemetry.feed(message, old + vehicle.boot_ms * MS)
    assert telemetry.reboots == 1
    assert isinstance(telemetry.at(old + (vehicle.boot_ms - 25) * MS), Pose)
    assert telemetry.at(old - 500 * MS) is NoPose.NO_DATA


def test_rates_are_what_arrives_and_end_in_silence() -> None:
    """Rates are measured, per message, and fall to zero when nothing comes."""
    vehicle = Vehicle()
    vehicle.fly(5.0, ("ATTITUDE",))
    assert vehicle.telemetry.rates_hz()["ATTITUDE"] == pytest.approx(20.0, rel=0.05)
    later = OFFSET + (vehicle.boot_ms + 5000) * MS
    assert vehicle.telemetry.rates_hz(later)["ATTITUDE"] == 0.0


def test_every_listed_message_exists() -> None:
    """The dispatch table names no message that the dialect does not have."""
    assert set(DISPATCH) <= ALL


def home_at(lat_e7: int, lon_e7: int, amsl_mm: int = 9_500) -> Any:
    """HOME_POSITION as the autopilot sends it."""
    upright = [1.0, 0.0, 0.0, 0.0]
    return mavlink.MAVLink_home_position_message(
        lat_e7, lon_e7, amsl_mm, 0.0, 0.0, 0.0, upright, 0.0, 0.0, 0.0
    )


def test_a_pose_knows_home_once_it_was_told() -> None:
    """HOME_POSITION counts from then on; (0, 0) and another vehicle's do not."""
    vehicle = Vehicle()
    vehicle.fly(1.0)
    vehicle.say(home_at(0, 0))
    vehicle.say(home_at(10_000_000, 20_000_000), system_id=9)
    assert vehicle.flown_pose().home is None
    vehicle.say(home_at(315_000_000, 1_203_000_000))
    assert vehicle.flown_pose().home == Home(31.5, 120.3, 9.5)
    vehicle.say(home_at(1_000_000_000, 0))  # no such place
    assert vehicle.flown_pose().home == Home(31.5, 120.3, 9.5)
    assert vehicle.telemetry.health().bad_content == 1


def test_home_is_asked_for_until_it_is_known() -> None:
    """A request for message 242 goes out every ten seconds, and none after the answer."""
    vehicle = Vehicle()
    vehicle.fly(0.2)
    asker = RateAsker({})

    def asked(second: int) -> list[int]:
        due = vehicle.telemetry.requests_due(asker, OFFSET + second * 1_000 * MS)
        return [one.message_id for one in due if isinstance(one, MessageRequest)]

    assert 242 in asked(20)
    assert 242 not in asked(21)
    assert 242 in asked(31)
    vehicle.say(home_at(315_000_000, 1_203_000_000))
    assert 242 not in asked(42)
