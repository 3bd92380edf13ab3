"""Turns of a camera: what the pictures show is what the camera did, what is told adds up."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from edge.bench.geo_latency import MadeFlight, Painted, painted_flight
from edge.geo.flow import Unseen, rotation_vector
from edge.geo.rotations import matrix_from_quaternion
from edge.geo.turning import SeenTurn, TurnWatcher, told_turns
from edge.records import Frame, ImageArray, MonoNs, NoPose, Pose, YawReference
from sim.camera import ENU_FROM_NED
from sim.vehicle.mount import MountKind
from tests.unit.geo import geo_rig

PAIRS = [(4.0, 4.1), (7.0, 7.1), (7.3, 7.5), (8.0, 8.1)]  # along a lane, and in turns


@pytest.fixture(scope="module")
def painted() -> Painted:
    """A noiseless flight with a fixed camera, and its pictures at any time."""
    return painted_flight(MadeFlight(mount=MountKind.FIXED, lanes=2, noise="none"))


def frame(image: ImageArray, time_s: float) -> Frame:
    return Frame(image, MonoNs(round(time_s * 1e9)), "main", 0)


def watcher(painted: Painted) -> TurnWatcher:
    pitch_deg = painted.vehicle.plan.gimbal_pitch_deg
    mount = geo_rig.mount(geo_rig.MountKind.FIXED, body_from_camera_deg=(0.0, pitch_deg, 0.0))
    return TurnWatcher(painted.intrinsics, mount)


def seen(painted: Painted, start_s: float, end_s: float) -> SeenTurn | Unseen:
    stills = []
    for time_s in (start_s, end_s):
        still = watcher(painted).still(frame(painted.picture(time_s), time_s), painted.pose(time_s))
        assert not isinstance(still, Unseen)
        stills.append(still)
    return watcher(painted).turn(*stills)


@pytest.mark.parametrize(("start_s", "end_s"), PAIRS)
def test_what_is_seen_is_what_the_camera_did(
    painted: Painted, start_s: float, end_s: float
) -> None:
    """Against the simulator's own truth a turn is seen to 0.05°, in yaw to 0.02°."""
    turn = seen(painted, start_s, end_s)
    assert isinstance(turn, SeenTurn)
    before, after = (
        ENU_FROM_NED.T @ painted.vehicle.camera_pose(time_s).enu_from_camera
        for time_s in (start_s, end_s)
    )
    miss_deg = np.degrees(turn.turn_ned_rad - rotation_vector(after @ before.T))
    assert np.abs(miss_deg).max() < 0.05
    assert abs(miss_deg[2]) < 0.02


def test_pictures_that_show_no_turn_say_why(painted: Painted) -> None:
    """Black, flat, foreign, in the wrong order or of another size: each has its reason."""
    eyes, pose = watcher(painted), painted.pose(4.0)
    image = painted.picture(4.0)
    still = eyes.still(frame(image, 4.0), pose)
    assert not isinstance(still, Unseen)
    assert eyes.still(frame(np.zeros_like(image), 4.0), pose) is Unseen.DARK
    assert eyes.still(frame(image, 4.0), NoPose.GAP) is Unseen.NO_POSE
    lost = replace(pose, ned_from_body_wxyz=(0.0, 0.0, 0.0, 0.0))
    assert eyes.still(frame(image, 4.0), lost) is Unseen.NO_ATTITUDE
    small = eyes.still(frame(image[:, :200], 4.1), pose)
    assert not isinstance(small, Unseen)
    assert eyes.turn(still, small) is Unseen.FRAME_SIZE
    past = eyes.still(frame(image, 3.0), pose)
    assert not isinstance(past, Unseen)
    assert eyes.turn(still, past) is Unseen.NOT_IN_ORDER
    noise = np.random.default_rng(1).integers(0, 255, image.shape, np.uint8)
    other = eyes.still(frame(noise, 4.1), painted.pose(4.1))
    assert not isinstance(other, Unseen)
    assert eyes.turn(still, other) in {Unseen.NO_FIT, Unseen.NO_FEATURES}


def poses(n: int = 51, yaw_rate_radps: float = 0.5) -> list[Pose]:
    """A second of an even turn, banked by 15°, told by gyro; its attitudes stand still."""
    bank = math.radians(15.0)
    rates = (0.0, math.sin(bank) * yaw_rate_radps, math.cos(bank) * yaw_rate_radps)
    return [
        geo_rig.pose(
            mono_ns=MonoNs(i * 20_000_000),
            ned_from_body_wxyz=geo_rig.wxyz(15.0, 0.0, math.degrees(0.02 * i * yaw_rate_radps)),
            rates_body_radps=rates,
            gimbal=geo_rig.gimbal(-60.0),
        )
        for i in range(n)
    ]


@pytest.mark.parametrize("kind", list(geo_rig.MountKind))
def test_what_is_told_adds_up_to_the_turn(kind: geo_rig.MountKind) -> None:
    """Half a radian of yaw in a bank is half a radian about down, whatever carries the camera."""
    turned = told_turns(poses(), geo_rig.mount(kind))
    np.testing.assert_allclose(turned[-1], [0.0, 0.0, 0.5], atol=1e-3)


def test_a_gimbal_that_holds_north_does_not_turn_with_the_vehicle() -> None:
    """Its own report is all that counts."""
    north = geo_rig.gimbal(-60.0, 30.0, YawReference.NORTH)
    held = [replace(pose, gimbal=north) for pose in poses()]
    turned = told_turns(held, geo_rig.mount(geo_rig.MountKind.STABILISED_GIMBAL))
    np.testing.assert_allclose(turned[-1], 0.0, atol=1e-9)


def test_a_hole_in_the_poses_is_a_hole_in_the_turn() -> None:
    """Nothing is made up where nothing is told, and the sum goes on behind it."""
    holed: list[Pose | NoPose] = [*poses()]
    holed[10:15] = [NoPose.GAP] * 5
    turned = told_turns(holed, geo_rig.mount(geo_rig.MountKind.FIXED))
    assert np.isnan(turned[10:15]).all()
    assert np.isfinite(turned[15:]).all()


@pytest.mark.parametrize("turn_deg", [(0.0, 0.0, 0.0), (1e-7, 0.0, 0.0), (10.0, -40.0, 170.0)])
def test_a_rotation_vector_goes_there_and_back(turn_deg: tuple[float, float, float]) -> None:
    """Axis times angle of a rotation makes the same rotation again."""
    matrix = matrix_from_quaternion(geo_rig.wxyz(*turn_deg))
    vector = rotation_vector(matrix)
    angle = float(np.linalg.norm(vector))
    axis = vector / angle if angle else np.array([1.0, 0.0, 0.0])
    w, (x, y, z) = math.cos(angle / 2), math.sin(angle / 2) * axis
    np.testing.assert_allclose(matrix_from_quaternion((w, x, y, z)), matrix, atol=1e-9)
