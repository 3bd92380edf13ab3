"""The simulator's geometry and the flight program's, written apart, say the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.geo.camera import Intrinsics
from edge.geo.lens import BrownLens
from edge.geo.mount import Mount, MountFile, make_mount
from edge.geo.mount import MountKind as FlownKind
from edge.geo.rotations import matrix_from_euler
from edge.records import GimbalAttitude, MonoNs, Pose, YawReference
from sim.camera import ENU_FROM_NED, CameraModel, CameraPose, project
from sim.vehicle.mount import (
    MountKind,
    matrix_from_quaternion,
    quaternion_from_matrix,
    quaternion_wxyz,
)
from sim.vehicle.noise import NoiseKnobs
from sim.vehicle.path import FlightPlan
from sim.vehicle.vehicle import Origin, Vehicle

angles = st.floats(-math.pi, math.pi)
tilts = st.floats(-0.6, 0.6)


def _flown(camera: CameraModel) -> Intrinsics:
    lens = BrownLens(*camera.distortion)
    return Intrinsics(
        camera.id,
        camera.width_px,
        camera.height_px,
        camera.fx_px,
        camera.fy_px,
        camera.cx_px,
        camera.cy_px,
        lens,
    )


@settings(max_examples=100, deadline=None)
@given(
    rpy=st.tuples(tilts, st.floats(-math.pi / 2, -0.5), angles),
    height_m=st.floats(30, 150),
    spot=st.tuples(st.floats(0, 1279), st.floats(0, 719)),
)
def test_both_projections_agree_over_random_poses(
    camera: CameraModel,
    rpy: tuple[float, float, float],
    height_m: float,
    spot: tuple[float, float],
) -> None:
    """A ray that the flight program sends from a pixel comes back to it by the simulator."""
    flown = _flown(camera)
    rays, inside = flown.rays_from_pixels(np.array([spot]))
    assert inside.all()
    ned_from_camera = matrix_from_euler(*rpy) @ np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]])
    pose = CameraPose(np.array([5.0, -7.0, height_m]), ENU_FROM_NED @ ned_from_camera)
    ray_enu = ENU_FROM_NED @ ned_from_camera @ rays[0]
    seen_uv, depth_m = project(camera, pose, (pose.position_m + ray_enu * 80.0)[None])
    assert seen_uv[0] == pytest.approx(spot, abs=1e-4)
    assert depth_m[0] == pytest.approx(80.0)


@settings(max_examples=60, deadline=None)
@given(roll=angles, pitch=st.floats(-1.57, 1.57), yaw=angles)
def test_quaternions_and_matrices_are_the_same_turn(roll: float, pitch: float, yaw: float) -> None:
    """The simulator's quaternion of an attitude is the flight program's matrix, and back."""
    wxyz = quaternion_wxyz(roll, pitch, yaw)
    matrix = matrix_from_quaternion(np.array(wxyz))
    assert matrix == pytest.approx(matrix_from_euler(roll, pitch, yaw), abs=1e-9)
    again = matrix_from_quaternion(np.array(quaternion_from_matrix(matrix)))
    assert again == pytest.approx(matrix, abs=1e-9)


def _mount(kind: MountKind, pitch_deg: float) -> Mount:
    keys: dict[str, object] = {"id": "sim", "kind": FlownKind(kind.value)}
    if kind is MountKind.FIXED:
        keys["body_from_camera_deg"] = (0.0, pitch_deg, 0.0)
    return make_mount(MountFile.model_validate(keys))


def _pose(vehicle: Vehicle, time_s: float) -> Pose:
    """What a flight program makes of the telemetry of one instant."""
    attitude = vehicle.message("ATTITUDE", time_s)
    gimbal = None
    if "GIMBAL_DEVICE_ATTITUDE_STATUS" in vehicle.rates_hz:
        report = vehicle.message("GIMBAL_DEVICE_ATTITUDE_STATUS", time_s)
        gimbal = GimbalAttitude(_four(report.q), YawReference.VEHICLE)
    body = _four(quaternion_wxyz(attitude.roll, attitude.pitch, attitude.yaw))
    return Pose(MonoNs(0), 31.5, 120.3, 70.0, 60.0, (0.0, 0.0, 0.0), body, gimbal=gimbal)


def _four(wxyz: list[float]) -> tuple[float, float, float, float]:
    w, x, y, z = wxyz
    return w, x, y, z


@pytest.mark.parametrize("kind", list(MountKind))
@pytest.mark.parametrize("pitch_deg", [-90.0, -62.0])
def test_without_noise_each_mounts_report_gives_the_true_direction(
    kind: MountKind, pitch_deg: float
) -> None:
    """With all knobs at zero the flight program finds where the camera truly looks."""
    plan = FlightPlan((-20.0, -30.0), 20.0, 2, 60.0, 30.0, 60.0, 9.0, pitch_deg, kind)
    vehicle = Vehicle(plan, NoiseKnobs(), Origin(31.5, 120.3, 4.2, 10.6), 1)
    mount = _mount(kind, pitch_deg)
    leaned = []
    for time_s in np.arange(0.5, vehicle.duration_s, 0.7):
        pose = _pose(vehicle, float(time_s))
        body = matrix_from_euler(*vehicle.true_pose(float(time_s)).rpy_rad)
        found = mount.ned_from_camera(pose, body)
        true = vehicle.camera_pose(float(time_s)).enu_from_camera
        assert isinstance(found, np.ndarray)
        assert ENU_FROM_NED @ found == pytest.approx(true, abs=2e-6)
        leaned.append(abs(vehicle.true_pose(float(time_s)).rpy_rad[1]))
    assert max(leaned) > math.radians(5)  # else the three kinds would not differ


def test_a_servo_mount_held_straight_down_reads_off_by_the_vehicles_pitch() -> None:
    """Commanded to -90 it reports -90 less the lean, where a true gimbal reports -90."""
    readings = {}
    for kind in (MountKind.SERVO_GIMBAL, MountKind.STABILISED_GIMBAL):
        plan = FlightPlan((0.0, 0.0), 0.0, 1, 60.0, 30.0, 60.0, 9.0, -90.0, kind)
        vehicle = Vehicle(plan, NoiseKnobs(), Origin(31.5, 120.3, 4.2, 10.6), 1)
        w, x, y, z = vehicle.message("GIMBAL_DEVICE_ATTITUDE_STATUS", 0.8).q
        readings[kind] = math.asin(max(-1.0, min(1.0, 2 * (w * y - x * z))))
    lean = float(vehicle.true_pose(0.8).rpy_rad[1])
    assert lean < math.radians(-5)
    assert readings[MountKind.STABILISED_GIMBAL] == pytest.approx(-math.pi / 2, abs=1e-3)
    assert readings[MountKind.SERVO_GIMBAL] == pytest.approx(-math.pi / 2 - lean, abs=1e-3)
