"""What gimbals say: yaw's reference, what is no attitude, and which of two languages."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture.gimbal import (
    STALE_S,
    GimbalKind,
    GimbalKindEstimator,
    GimbalSample,
    gimbal_at,
    sample_from_mount_status,
    yaw_reference_from_flags,
)
from edge.capture.pose_buffer_math import (
    Quaternion,
    angle_between_rad,
    multiply,
    quaternion_from_euler,
)
from edge.capture.pose_buffer_track import Track
from edge.records import YawReference

MS = 1_000_000
VEHICLE, NORTH = YawReference.VEHICLE, YawReference.NORTH


@pytest.mark.parametrize(
    ("flags", "reference"),
    [(0, VEHICLE), (16, NORTH), (32, VEHICLE), (48, VEHICLE), (44, VEHICLE), (64, NORTH)],
)
def test_the_explicit_flags_win_over_yaw_lock(flags: int, reference: YawReference) -> None:
    """32 and 64 say what yaw is measured from; only without them does 16 imply it."""
    assert yaw_reference_from_flags(flags) is reference


def pitched(pitch_deg: float) -> GimbalSample:
    return GimbalSample(quaternion_from_euler(0.0, math.radians(pitch_deg), 0.0), VEHICLE)


def test_between_two_reports_lies_their_slerp() -> None:
    """Half-way in time is half-way in angle, and the age is that of the nearer report."""
    track: Track[GimbalSample] = Track()
    track.append(0, pitched(-90.0))
    track.append(200 * MS, pitched(-50.0))
    between = gimbal_at(track, 100 * MS)
    assert between is not None
    assert angle_between_rad(between.quaternion_wxyz, pitched(-70.0).quaternion_wxyz) < 1e-9
    assert math.isclose(between.age_s, 0.1)


def test_an_old_report_is_none() -> None:
    """Past the newest the last report holds, growing older, until it is stale."""
    track: Track[GimbalSample] = Track()
    assert gimbal_at(track, 0) is None
    track.append(0, pitched(-90.0))
    track.append(100 * MS, pitched(-80.0))
    held = gimbal_at(track, 600 * MS)
    assert held is not None
    assert math.isclose(held.age_s, 0.5)
    assert gimbal_at(track, 100 * MS + round((STALE_S + 0.1) * 1000) * MS) is None


def test_mount_status_is_pitch_roll_yaw_in_centidegrees() -> None:
    """Older ArduPilot's message becomes the same quaternion as its angles."""
    sample = sample_from_mount_status(-4500, 300, 1000)
    expected = quaternion_from_euler(math.radians(3), math.radians(-45), math.radians(10))
    assert angle_between_rad(sample.quaternion_wxyz, expected) < 1e-9


def flown(commanded: Quaternion, is_servo: bool, tilt_deg: float) -> GimbalKind:
    """Fly a vehicle that rocks by `tilt_deg`, its camera held at an attitude off the horizon."""
    estimator = GimbalKindEstimator()
    for n in range(60):
        pitch = math.radians(tilt_deg) * math.sin(n)
        roll = math.radians(tilt_deg) * math.cos(1.3 * n)
        yaw = 0.1 * n
        vehicle = quaternion_from_euler(roll, pitch, yaw)
        heading = quaternion_from_euler(0.0, 0.0, yaw)
        inverse = (vehicle[0], -vehicle[1], -vehicle[2], -vehicle[3])
        servo = multiply(inverse, multiply(heading, commanded))
        estimator.add(vehicle, servo if is_servo else commanded)
    return estimator.kind()


@settings(deadline=None)
@given(st.floats(-90.0, 10.0), st.floats(-180.0, 180.0), st.booleans())
def test_the_kind_shows_in_what_holds_still(
    pitch_deg: float, yaw_deg: float, is_servo: bool
) -> None:
    """Whatever the camera looks at, a rocking vehicle tells a servo mount from a gimbal."""
    commanded = quaternion_from_euler(0.0, math.radians(pitch_deg), math.radians(yaw_deg))
    expected = GimbalKind.SERVO if is_servo else GimbalKind.STABILISED
    assert flown(commanded, is_servo, 6.0) is expected


def test_a_vehicle_that_does_not_tilt_tells_nothing() -> None:
    """Without tilting the verdict is `unknown`, without reports `none`."""
    down = quaternion_from_euler(0.0, -math.pi / 2, 0.0)
    assert flown(down, True, 0.2) is GimbalKind.UNKNOWN
    assert GimbalKindEstimator().kind() is GimbalKind.NONE
