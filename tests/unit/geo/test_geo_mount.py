"""Laws of rotations and of the three kinds of mount, by numbers worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import CalibrationError
from edge.geo.mount import MountKind, read_mount
from edge.geo.rotations import (
    euler_from_matrix,
    is_unit,
    matrices_from_rotation_vectors,
    matrix_from_euler,
    matrix_from_quaternion,
    quaternion_from_euler,
)
from edge.records import FloatArray, GimbalAttitude, NoGeotag, Pose, YawReference
from tests.unit.geo.geo_rig import gimbal, mount, pose, wxyz

ANGLE = st.floats(-math.pi, math.pi)
PITCH = st.floats(-1.5, 1.5)


def axes_of(kind: MountKind, at: Pose, **keys: object) -> FloatArray:
    """Rows: where the optical axis, and the picture's right and top, point in NED."""
    ned_from_body = matrix_from_quaternion(at.ned_from_body_wxyz)
    ned_from_camera = mount(kind, **keys).ned_from_camera(at, ned_from_body)
    assert not isinstance(ned_from_camera, NoGeotag)
    right, down, forward = ned_from_camera.T
    return np.array([forward, right, -down])


@given(roll=ANGLE, pitch=PITCH, yaw=ANGLE)
def test_euler_angles_come_back(roll: float, pitch: float, yaw: float) -> None:
    """Quaternion, matrix and angles are the same rotation."""
    matrix = matrix_from_euler(roll, pitch, yaw)
    again = matrix_from_euler(*euler_from_matrix(matrix))
    assert np.allclose(matrix, again, atol=1e-9)
    assert is_unit(quaternion_from_euler(roll, pitch, yaw))
    assert np.allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)


@given(roll=ANGLE, pitch=PITCH, yaw=ANGLE)
def test_euler_order_is_yaw_then_pitch_then_roll(roll: float, pitch: float, yaw: float) -> None:
    """The matrix is Rz Ry Rx, each written out."""
    (sr, cr), (sp, cp), (sy, cy) = ((math.sin(a), math.cos(a)) for a in (roll, pitch, yaw))
    rz = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    ry = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    rx = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    assert np.allclose(matrix_from_euler(roll, pitch, yaw), rz @ ry @ rx, atol=1e-12)


def test_a_rotation_vector_turns_about_its_axis() -> None:
    """A quarter turn about down takes north to east; no turn is the identity."""
    quarter, none = matrices_from_rotation_vectors(np.array([[0, 0, math.pi / 2], [0, 0, 0]]))
    assert np.allclose(quarter @ (1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
    assert np.allclose(none, np.eye(3))


def test_a_quaternion_of_zeros_is_no_rotation() -> None:
    """ArduPilot's relay sends it until the gimbal is found."""
    assert not is_unit((0.0, 0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="not zero"):
        matrix_from_quaternion((0.0, 0.0, 0.0, 0.0))


def test_gimbal_lock_still_gives_the_same_rotation() -> None:
    """Straight down only the sum of roll and yaw is known, and it is kept."""
    matrix = matrix_from_euler(0.3, -math.pi / 2, 0.5)
    assert np.allclose(matrix, matrix_from_euler(*euler_from_matrix(matrix)), atol=1e-6)


@pytest.mark.parametrize(
    ("yaw_deg", "picture_top"),
    [(0.0, (1, 0, 0)), (90.0, (0, 1, 0)), (180.0, (-1, 0, 0)), (-90.0, (0, -1, 0))],
)
def test_a_fixed_camera_at_minus_90_looks_down_with_its_top_by_yaw(
    yaw_deg: float, picture_top: tuple[float, float, float]
) -> None:
    """Yaw 0 puts the picture's top to the nose, 90 to the right wing."""
    axes = axes_of(MountKind.FIXED, pose(), body_from_camera_deg=(0.0, -90.0, yaw_deg))
    assert np.allclose(axes[0], (0, 0, 1), atol=1e-12)
    assert np.allclose(axes[2], picture_top, atol=1e-12)


def test_a_fixed_camera_turns_with_the_whole_attitude() -> None:
    """Ten degrees of right bank swing a nadir camera ten degrees to the left."""
    axes = axes_of(MountKind.FIXED, pose(ned_from_body_wxyz=wxyz(10.0, 0.0, 0.0)))
    assert np.allclose(axes[0], (0, -math.sin(math.radians(10)), math.cos(math.radians(10))))


def test_a_servo_mount_reads_minus_60_3_and_looks_straight_down() -> None:
    """Commanded -90° at -29.7° of vehicle pitch the servo's angle in body axes is -60.3°."""
    at = pose(ned_from_body_wxyz=wxyz(0.0, -29.7, 40.0), gimbal=gimbal(-60.3))
    assert np.allclose(axes_of(MountKind.SERVO_GIMBAL, at)[0], (0, 0, 1), atol=1e-6)
    wrong = axes_of(MountKind.STABILISED_GIMBAL, at)[0]
    assert math.degrees(math.asin(wrong[2])) == pytest.approx(60.3, abs=1e-6)


def test_a_stabilised_gimbal_adds_the_vehicle_s_yaw_only() -> None:
    """Roll and pitch of the vehicle change nothing; its yaw turns the view."""
    tilted = pose(ned_from_body_wxyz=wxyz(12.0, -20.0, 90.0), gimbal=gimbal(-30.0, 10.0))
    heading, sight = math.radians(100.0), math.radians(-30.0)
    expected = (
        math.cos(sight) * math.cos(heading),
        math.cos(sight) * math.sin(heading),
        -math.sin(sight),
    )
    axes = axes_of(MountKind.STABILISED_GIMBAL, tilted)
    assert np.allclose(axes[0], expected, atol=1e-9)
    assert axes[1][2] == pytest.approx(0.0, abs=1e-9)  # the picture stays level


def test_a_gimbal_yaw_from_north_adds_nothing() -> None:
    """With the yaw measured from north the vehicle's attitude does not count at all."""
    at = pose(ned_from_body_wxyz=wxyz(5.0, 5.0, 77.0), gimbal=gimbal(0.0, 30.0, YawReference.NORTH))
    axes = axes_of(MountKind.STABILISED_GIMBAL, at)
    assert np.allclose(axes[0], (math.cos(math.radians(30)), 0.5, 0.0), atol=1e-9)


@pytest.mark.parametrize("kind", [MountKind.SERVO_GIMBAL, MountKind.STABILISED_GIMBAL])
@pytest.mark.parametrize(
    "attitude", [None, GimbalAttitude((0.0, 0.0, 0.0, 0.0), YawReference.VEHICLE)]
)
def test_a_gimbal_that_says_nothing_gives_no_attitude(
    kind: MountKind, attitude: GimbalAttitude | None
) -> None:
    """No message and a quaternion of zeros are the same absence."""
    assert mount(kind).ned_from_camera(pose(gimbal=attitude), np.eye(3)) is NoGeotag.NO_ATTITUDE


def test_boresight_is_about_the_camera_s_own_axes() -> None:
    """Straight down, boresight pitch lifts the axis to the picture's top, yaw to its right."""
    lifted = axes_of(MountKind.FIXED, pose(), boresight_deg=(0.0, 1.0, 0.0))[0]
    turned = axes_of(MountKind.FIXED, pose(), boresight_deg=(0.0, 0.0, 1.0))[0]
    sin = math.sin(math.radians(1.0))
    assert np.allclose(lifted[:2], (sin, 0.0), atol=1e-9)
    assert np.allclose(turned[:2], (0.0, sin), atol=1e-9)


def test_every_shipped_mount_loads(repo: Path) -> None:
    """One file for each kind, under its own id."""
    mounts = [read_mount(path) for path in sorted((repo / "calibration" / "mounts").glob("*.toml"))]
    assert {mount.kind for mount in mounts} == set(MountKind)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('id = "m"\nkind = "fixed"\n', "body_from_camera_deg"),
        ('id = "m"\nkind = "hand_held"\n', ":2: kind = 'hand_held'"),
        ('id = "m"\nkind = "servo_gimbal"\nbody_from_camera_deg = [0, 0, 0]\n', "belongs to"),
        (
            'id = "m"\nkind = "servo_gimbal"\nlever_arm = [0, 0, 0]\n',
            "lever_arm: unknown key (value [0, 0, 0]); did you mean `lever_arm_m`?",
        ),
    ],
)
def test_a_wrong_mount_says_file_and_key(tmp_path: Path, text: str, said: str) -> None:
    """Angles belong to fixed mounts, and each mistake is named."""
    path = tmp_path / "mount.toml"
    path.write_text(text)
    with pytest.raises(CalibrationError) as refusal:
        read_mount(path)
    assert str(path) in str(refusal.value)
    assert said in str(refusal.value)
