"""A mount's angles from one flight: what comes back, what is told apart, what is refused."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.boresight import Solution, Wanted, solve
from calibration.mount_file import Solved, read_built, write_mount
from calibration.overlap import Pair, pairs_of, seen_by
from calibration.tied import Problem, Tie
from calibration.verdict import findings, refuse_unconstrained
from edge.bench.geo_boresight import ASKEW_DEG, CalibrationFlight, Flown, cross, fly, left_deg
from edge.capture.pose_buffer_math import multiply, quaternion_from_euler
from edge.config import GroundConfig
from edge.errors import CalibrationError, UnconstrainedError
from edge.geo.locate import Locator, Unlocated
from edge.geo.mount import MountFile, MountKind, make_mount, read_mount
from edge.geo.plane import LocalPlane
from edge.records import Detection, Pose
from sim.vehicle.noise import NoiseKnobs
from sim.vehicle.path import FlightPlan
from tests.unit.geo.geo_rig import frame

EXACT = NoiseKnobs()


@pytest.fixture(scope="module")
def down() -> Flown:
    """Crossing lines, straight down, with perfect instruments."""
    return fly(CalibrationFlight(cross(lanes=2, again_pitch_deg=None, speed_mps=8.0), EXACT, 1))


@pytest.fixture(scope="module")
def twice() -> Flown:
    """The same, and again at -45 degrees."""
    return fly(CalibrationFlight(cross(lanes=2, speed_mps=8.0), EXACT, 2, every_m=20.0))


@pytest.fixture(scope="module")
def solution(down: Flown) -> Solution:
    """Of the flight straight down."""
    return solve(down.problem)


def pairs_in(problem: Problem) -> list[Pair]:
    seen = seen_by(problem.poses_at(0.0), problem.intrinsics, problem.mount, GroundConfig())
    return pairs_of(seen)


def test_what_was_put_in_comes_back(down: Flown, solution: Solution) -> None:
    """1.5, 2 and 1 degrees are found to a twentieth, three false matches in a hundred or not."""
    assert np.abs(left_deg(solution, down.askew)).max() < 0.05
    assert solution.boresight_deg == pytest.approx(ASKEW_DEG, abs=0.05)
    assert solution.before.median_m > 2.0
    assert solution.after.median_m < 0.15
    assert np.degrees(solution.sigmas_rad).max() < 0.1


def test_a_solved_mount_is_solved(down: Flown, solution: Solution) -> None:
    """Solved again from its own answer, a mount stays where it is."""
    again = solve(replace(down.problem, mount=solution.mount))
    assert again.boresight_deg == pytest.approx(solution.boresight_deg, abs=0.01)
    assert again.before.median_m == pytest.approx(solution.after.median_m, abs=0.01)


@pytest.mark.parametrize("delay_s", [-0.3, 0.12])
def test_a_delay_is_told_apart_from_a_pitch(down: Flown, delay_s: float) -> None:
    """Pictures that are all late by as much are found out, beside the mount's angles."""
    straight = down.problem.poses_at
    late = replace(down.problem, poses_at=lambda offset_s: straight(offset_s + delay_s))
    solution = solve(late, Wanted(time=True))
    assert solution.offset_s == pytest.approx(-delay_s, abs=0.01)
    assert np.abs(left_deg(solution, down.askew)).max() < 0.1


def turned(poses: Sequence[Pose], heading_deg: float) -> list[Pose]:
    """Let the compass read too much."""
    turn = quaternion_from_euler(0.0, 0.0, math.radians(heading_deg))
    return [replace(p, ned_from_body_wxyz=multiply(turn, p.ned_from_body_wxyz)) for p in poses]


def test_two_pitches_tell_the_compass_from_the_camera(twice: Flown) -> None:
    """Straight down and at -45 degrees, a compass 2 degrees off is found, and no angle takes it."""
    true = twice.problem
    askew = replace(true, poses_at=lambda offset_s: turned(true.poses_at(offset_s), 2.0))
    askew = replace(askew, accuracy=true.accuracy.model_copy(update={"heading_deg": 0.2}))
    solution = solve(askew, Wanted(heading=True))
    assert math.degrees(solution.heading_rad) == pytest.approx(2.0, abs=0.1)
    assert np.abs(left_deg(solution, twice.askew)).max() < 0.1
    refuse_unconstrained(
        findings(solution, Wanted(heading=True), pairs_in(twice.problem)), "flight"
    )


def test_one_pitch_does_not(down: Flown) -> None:
    """Straight down a compass error is a turned camera: refused, and told to fly another pitch."""
    solution = solve(down.problem, Wanted(heading=True))
    told = findings(solution, Wanted(heading=True), pairs_in(down.problem))
    with pytest.raises(UnconstrainedError, match=r"roll, heading.* -45 degrees"):
        refuse_unconstrained(told, "flight")


def test_one_heading_is_refused() -> None:
    """Along one line every picture is shifted alike: nothing disagrees, and nothing is solved."""
    plan = replace(cross(lanes=1, again_pitch_deg=None), is_crossed=False)
    flown = fly(CalibrationFlight(plan, EXACT, 3))
    told = findings(solve(flown.problem), Wanted(), pairs_in(flown.problem))
    with pytest.raises(UnconstrainedError, match=r"from another heading; fly lines .* across them"):
        refuse_unconstrained(told, "flight")


def test_a_hover_is_refused() -> None:
    """A handful of pictures of one place from one place do not tell."""
    plan = FlightPlan((0.0, 0.0), 0.0, 1, 24.0, 0.0, 60.0, 2.0, -90.0, askew_deg=ASKEW_DEG)
    flown = fly(CalibrationFlight(plan, EXACT, 4, every_m=6.0))
    told = findings(solve(flown.problem), Wanted(), pairs_in(flown.problem))
    with pytest.raises(UnconstrainedError):
        refuse_unconstrained(told, "flight")


def test_nothing_tied_is_refused(down: Flown) -> None:
    """Without a single tie there is an error, not a mount of zeros."""
    with pytest.raises(UnconstrainedError, match="no two pictures"):
        solve(replace(down.problem, ties=()))


def surveyed(problem: Problem, askew_deg: tuple[float, float, float]) -> Problem:
    """Survey nine points in each of some pictures: where the true camera shows them."""
    poses = problem.poses_at(0.0)
    file = MountFile(id="true", kind=MountKind.STABILISED_GIMBAL, boresight_deg=askew_deg)
    true = replace(problem.mount, mount_from_camera=make_mount(file).mount_from_camera)
    plane = LocalPlane(poses[0].lat_deg, poses[0].lon_deg)
    locator = Locator(problem.intrinsics, true, plane, ground=problem.ground)
    uv = np.array([(u, v) for u in (200.0, 640.0, 1080.0) for v in (120.0, 360.0, 600.0)])
    ties = []
    for look in range(0, len(poses), 5):
        points = [Detection("point", 1.0, (u, v, u, v)) for u, v in uv.tolist()]
        places = locator.locate(points, frame(), poses[look])
        rows = [
            (*plane.geodetic_from_enu(place.east_m, place.north_m), place.ground_amsl_m)
            for place in places
            if not isinstance(place, Unlocated)
        ]
        ties.append(Tie(look, uv, None, surveyed=np.array(rows)))
    return replace(problem, ties=ties)


def test_surveyed_points_need_no_second_picture(down: Flown) -> None:
    """Points of known place give all three angles, from whichever headings."""
    solution = solve(surveyed(down.problem, (-1.0, 0.5, 2.0)))
    assert solution.boresight_deg == pytest.approx((-1.0, 0.5, 2.0), abs=0.02)
    refuse_unconstrained(findings(solution, Wanted(), None), "flight")


@pytest.mark.parametrize("kind", list(MountKind))
def test_a_written_mount_is_the_one_that_was_solved(
    solution: Solution, tmp_path: Path, kind: MountKind
) -> None:
    """The file reads back as the solution, keeps what it does not know of, and is not replaced."""
    angles = {"body_from_camera_deg": (0.0, -90.0, 90.0)} if kind is MountKind.FIXED else {}
    built = MountFile(id="built", kind=kind, lever_arm_m=(0.1, 0.0, 0.2), **angles)
    path = tmp_path / "mounts" / "mine.toml"
    write_mount(path, Solved(solution, built, 'a "flight"\nof ours'))
    mount, file = read_mount(path), read_built(path)
    assert mount.mount_id == "mine"
    assert np.abs(mount.mount_from_camera - solution.mount.mount_from_camera).max() < 1e-4
    assert file.body_from_camera_deg == built.body_from_camera_deg
    assert file.lever_arm_m == built.lever_arm_m
    assert file.boresight_sigma_deg == pytest.approx(
        math.degrees(solution.sigmas_rad.max()), abs=1e-3
    )
    with pytest.raises(CalibrationError, match="is there already"):
        write_mount(path, Solved(solution, built, "again"))
    write_mount(path, Solved(solution, built, "again"), replaced=True)
