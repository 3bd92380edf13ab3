"""Laws of following: the camera is where the followed vehicle's messages say."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from sim.vehicle.mount import MountKind
from sim.vehicle.noise import NoiseKnobs
from sim.vehicle.path import FlightPlan
from sim.vehicle.vehicle import Origin, Vehicle
from sim.wire.follow_pose import CameraOnBody, FollowedPose

ORIGIN = Origin(31.5, 120.3, 4.2, 0.0)
BOOTED_NS = 50_000_000_000
ARM_M = (0.2, 0.0, 0.1)


def _vehicle(kind: MountKind) -> Vehicle:
    plan = FlightPlan((0.0, 0.0), 20.0, 2, 60.0, 30.0, 60.0, 9.0, -70.0, kind)
    return Vehicle(plan, NoiseKnobs(), ORIGIN, 1)


def _sent(message: Any, system_id: int = 1, component_id: int = 1) -> Any:
    """Return a message as it comes off a link."""
    packet = message.pack(mavlink2.MAVLink(None, system_id, component_id))
    return mavlink2.MAVLink(None).decode(bytearray(packet))


def _hear(followed: FollowedPose, vehicle: Vehicle, until_s: float, late_s: float = 0.0) -> None:
    for time_s, message in vehicle.messages(0.0, until_s):
        followed.take(_sent(message), _mono_ns(time_s + late_s * (time_s % 0.5)))


def _mono_ns(time_s: float) -> int:
    return BOOTED_NS + round(time_s * 1e9)


@pytest.mark.parametrize("kind", list(MountKind))
def test_the_camera_is_where_the_vehicles_messages_say(kind: MountKind) -> None:
    """For each mount the pose is the vehicle's true one, to the wire's rounding and sampling."""
    vehicle, followed = _vehicle(kind), FollowedPose(CameraOnBody(kind, -70.0, ARM_M))
    _hear(followed, vehicle, 12.0)
    for time_s in (6.03, 7.21, 8.88, 11.5):
        pose, true = followed.at(_mono_ns(time_s)), vehicle.camera_pose(time_s, ARM_M)
        assert pose is not None
        assert pose.position_m == pytest.approx(true.position_m, abs=0.06)
        turned = pose.enu_from_camera.T @ true.enu_from_camera
        assert np.arccos(min(1.0, (np.trace(turned) - 1) / 2)) < math.radians(0.5)


def test_messages_that_waited_are_dated_by_their_sender() -> None:
    """Up to 0.3 s late, which is 2.7 m at this speed, the pose is right to a few decimetres."""
    vehicle = _vehicle(MountKind.FIXED)
    prompt = FollowedPose(CameraOnBody(MountKind.FIXED, -70.0))
    waited = FollowedPose(CameraOnBody(MountKind.FIXED, -70.0))
    _hear(prompt, vehicle, 9.0)
    _hear(waited, vehicle, 9.0, late_s=0.6)
    poses = [followed.at(_mono_ns(7.3)) for followed in (prompt, waited)]
    assert poses[0] is not None and poses[1] is not None
    assert poses[0].position_m == pytest.approx(poses[1].position_m, abs=0.2)


def _sim_state(lat: float, lon: float, e7: tuple[int, int] = (0, 0)) -> Any:
    return mavlink2.MAVLink_sim_state_message(
        1.0, 0.0, 0.0, 0.0, 0.1, -0.2, 0.3, 0, 0, 0, 0, 0, 0, lat, lon, 64.2, 0, 0, 0, 0, 0, *e7
    )


@pytest.mark.parametrize(
    "message",
    [
        _sim_state(31.5005, 120.3),
        _sim_state(315005000.0, 1203000000.0),  # as ArduPilot has sent it
        _sim_state(315005000.0, 1203000000.0, (315005000, 1203000000)),
    ],
)
def test_the_simulations_truth_wins_over_the_estimate(message: Any) -> None:
    """Once SIM_STATE is heard, position and attitude come from it alone."""
    vehicle = _vehicle(MountKind.FIXED)
    followed = FollowedPose(CameraOnBody(MountKind.FIXED, -90.0))
    _hear(followed, vehicle, 6.0)
    assert not followed.has_truth
    for step in range(10):
        followed.take(_sent(message), _mono_ns(6.0 + 0.02 * step))
    _hear(followed, vehicle, 6.2)
    pose = followed.at(_mono_ns(6.0))
    assert followed.has_truth and pose is not None
    east, north = ORIGIN.local(31.5005, 120.3)
    # A float of degrees has steps of some 0.3 m at this latitude, of 1e-7 degrees of 1 m.
    assert pose.position_m == pytest.approx([east, north, 60.0], abs=1.6)


def test_others_on_the_link_are_not_followed() -> None:
    """Another vehicle, a gimbal's own component or a ground station change nothing."""
    vehicle = _vehicle(MountKind.STABILISED_GIMBAL)
    followed = FollowedPose(CameraOnBody(MountKind.STABILISED_GIMBAL))
    _hear(followed, vehicle, 6.0)
    before = followed.at(_mono_ns(5.9))
    wrong = vehicle.message("GLOBAL_POSITION_INT", 0.0)
    for system_id, component_id in ((2, 1), (1, 154), (255, 190)):
        followed.take(_sent(wrong, system_id, component_id), _mono_ns(6.0))
    after = followed.at(_mono_ns(5.9))
    assert before is not None and after is not None
    assert (before.position_m == after.position_m).all()


def test_without_news_there_is_no_pose() -> None:
    """Before the first messages, and long after the last, nothing is made up."""
    vehicle = _vehicle(MountKind.FIXED)
    followed = FollowedPose(CameraOnBody(MountKind.FIXED))
    assert followed.at(_mono_ns(0.0)) is None
    _hear(followed, vehicle, 6.0)
    assert followed.at(_mono_ns(5.9)) is not None
    assert followed.at(_mono_ns(8.0)) is None


def test_a_gimbal_that_is_not_found_yet_is_not_believed() -> None:
    """A quaternion of zeros leaves the camera at the stated pitch."""
    vehicle = _vehicle(MountKind.FIXED)
    followed = FollowedPose(CameraOnBody(MountKind.STABILISED_GIMBAL, -80.0))
    _hear(followed, vehicle, 6.0)
    zeros = mavlink2.MAVLink_gimbal_device_attitude_status_message(
        0, 0, 69000, 44, [0.0] * 4, 0, 0, 0, 0
    )
    followed.take(_sent(zeros), _mono_ns(6.0))
    pose = followed.at(_mono_ns(5.9))
    assert pose is not None
    assert math.asin(pose.enu_from_camera[2, 2]) == pytest.approx(math.radians(-80.0), abs=1e-6)
