"""How much of a boresight error one calibration flight leaves: flown, never rendered.

The true pictures are points on the ground put through the simulator's own projection; the
telemetry goes through the flight's own reader; the solver sees nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from calibration.boresight import Solution, Wanted, solve
from calibration.ground_ties import problem_of
from calibration.overlap import Pair, pairs_of, seen_by
from calibration.tied import Problem, Tie
from edge.capture.clock import utc_by_record_time
from edge.capture.recording import open_flight
from edge.capture.telemetry import Telemetry
from edge.config import AccuracyConfig, AutopilotConfig, GroundConfig
from edge.errors import BenchError
from edge.geo.camera import read_intrinsics
from edge.geo.mount import MOUNT_FROM_CAMERA, MountFile, MountKind, make_mount
from edge.geo.rotations import euler_from_matrix
from edge.records import FloatArray, MonoNs, Pose
from sim.camera import CameraModel, project
from sim.vehicle.mount import MountKind as FlownMount
from sim.vehicle.noise import PRESETS, NoiseKnobs
from sim.vehicle.path import FlightPlan
from sim.vehicle.vehicle import Origin, Vehicle

CAMERA = Path(__file__).resolve().parents[2] / "calibration" / "cameras" / "sim-720p.toml"
ORIGIN = Origin(31.4912, 120.3119, 4.2, 10.6)
START_US = 1_778_551_200_000_000
LEVER_ARM_M = (0.08, 0.0, 0.12)
# Put in: roll about the optical axis, pitch, yaw.
ASKEW_DEG = (1.5, 2.0, 1.0)
PIXEL_SIGMA_PX = 0.5
RELIEF_M = 0.3  # of the matched things, one sigma
OUTLIERS = 0.03  # of the matches are none
POINTS_PER_PAIR = 30
LOOKAHEAD_S = 1.2
_CUAV_TOML = """\
format = 1
name = "cuav-2018"
[[camera]]
id = "main"
stills = "*.jpg"
calibration = "camera.toml"
mount = "mount.toml"
[telemetry]
log = "flight.tlog"
[time]
rule = "filename"
pattern = "%Y%m%d%H%M%S%fZ.jpg"
"""
BEFORE_S = 2.0


@dataclass(frozen=True)
class CalibrationFlight:
    """What is flown, how wrong its instruments are, and what the solver is told of them."""

    plan: FlightPlan
    noise: NoiseKnobs
    seed: int
    every_m: float = 14.0  # a picture each so many metres


def cross(
    askew_deg: tuple[float, float, float] = ASKEW_DEG,
    lanes: int = 4,
    again_pitch_deg: float | None = -45.0,
    speed_mps: float = 4.0,
) -> FlightPlan:
    """Return the flight to fly: lines there and back, the same across, straight down."""
    return FlightPlan(
        (-60.0, -30.0), 0.0, lanes, 120.0, 20.0, 60.0, speed_mps, -90.0,
        FlownMount.STABILISED_GIMBAL, is_crossed=True, again_pitch_deg=again_pitch_deg,
        askew_deg=askew_deg,
    )  # fmt: skip


def accuracy_of(noise: NoiseKnobs) -> AccuracyConfig:
    """Return the config that an aircraft with these instruments has."""
    return AccuracyConfig(
        gnss_h_m=max(noise.gnss_h_m, 0.02),
        height_m=max(noise.height_m, 0.05),
        tilt_deg=max(noise.gimbal_deg, 0.02),
        tilt_look_deg=max(noise.gimbal_sway_deg, 0.02),
        heading_deg=max(noise.heading_deg, 0.02),
        heading_look_deg=max(noise.gimbal_yaw_deg, 0.02),
    )


@dataclass(frozen=True)
class Flown:
    """What a flight gives the solver, and the truth that it does not see."""

    problem: Problem
    askew: FloatArray  # (3, 3), how the camera sat on its mount


def fly(flight: CalibrationFlight) -> Flown:
    """Fly it and match what its pictures show, by pixel and with the pixels' noise."""
    vehicle = Vehicle(flight.plan, flight.noise, ORIGIN, flight.seed, START_US)
    times_s = _shutter_times_s(vehicle, flight.every_m)
    rng = np.random.default_rng([flight.seed, 99])
    jitter_s = rng.standard_normal(len(times_s)) * flight.noise.clock_jitter_s
    heard = list(_heard(vehicle, times_s))

    def poses_at(offset_s: float) -> list[Pose]:
        return _poses(heard, vehicle, times_s + jitter_s + offset_s)

    intrinsics, accuracy = read_intrinsics(CAMERA), accuracy_of(flight.noise)
    mount = make_mount(
        MountFile(id="flown", kind=MountKind(flight.plan.mount.value), lever_arm_m=LEVER_ARM_M)
    )
    seen = seen_by(poses_at(0.0), intrinsics, mount, GroundConfig())
    ties = _ties(vehicle, times_s, pairs_of(seen), rng)
    problem = Problem(
        intrinsics, mount, poses_at, ties, accuracy, GroundConfig(source="home"),
        jitter_s=flight.noise.clock_jitter_s, offset_sigma_s=0.02,
    )  # fmt: skip
    return Flown(problem, vehicle.askew)


def left_deg(solution: Solution, askew: FloatArray) -> FloatArray:
    """Return what is left of the error, shape (3,): roll, pitch, yaw of the rest of the turn.

    Args:
        solution: Of a flight.
        askew: Shape (3, 3), how the camera truly sat on its mount.
    """
    found = solution.mount.mount_from_camera @ MOUNT_FROM_CAMERA.T
    return np.degrees(euler_from_matrix(found @ askew.T))


def measure_boresight(preset: str, n_flights: int) -> FloatArray:
    """Return the worst angle left by each flight alone, degrees, of `ASKEW_DEG` put in.

    Args:
        preset: Noise of the instruments.
        n_flights: Seeds 1, 2, …: no flight is chosen.
    """
    left = []
    for seed in range(1, n_flights + 1):
        flown = fly(CalibrationFlight(cross(), PRESETS[preset], seed, every_m=20.0))
        solution = solve(flown.problem, Wanted(heading=True))
        left.append(np.abs(left_deg(solution, flown.askew)).max())
    return np.array(left)


def _shutter_times_s(vehicle: Vehicle, every_m: float) -> FloatArray:
    """Return when pictures are taken: each so many metres, and in turns on the spot."""
    times: list[float] = []
    last = np.full(4, np.inf)
    for time_s in np.arange(0.5, vehicle.duration_s - 0.5, 0.2).tolist():
        true = vehicle.true_pose(time_s)
        now = np.array([*true.position_m, np.degrees(true.rpy_rad[2]) * every_m / 45.0])
        if not np.linalg.norm(now - last) < every_m:
            times.append(time_s)
            last = now
    return np.array(times)


def _heard(vehicle: Vehicle, times_s: FloatArray) -> Iterator[tuple[float, Any]]:
    """Yield the telemetry around each picture, as a link would deliver it: (time, message)."""
    done_s = -np.inf
    for time_s in times_s.tolist():
        start_s, end_s = max(done_s, time_s - BEFORE_S), time_s + LOOKAHEAD_S
        yield from vehicle.sent(start_s, end_s)
        done_s = end_s


def _poses(heard: Sequence[tuple[float, Any]], vehicle: Vehicle, times_s: FloatArray) -> list[Pose]:
    telemetry = Telemetry(AutopilotConfig(), utc_by_record_time)
    poses: list[Pose] = []
    waiting = iter(heard)
    at_s, message = next(waiting)
    for time_s in times_s.tolist():
        while at_s < time_s + LOOKAHEAD_S / 2:
            telemetry.feed(message, vehicle.utc_us(at_s) * 1000)
            at_s, message = next(waiting, (np.inf, None))
        pose = telemetry.at(MonoNs(vehicle.utc_us(time_s) * 1000))
        if not isinstance(pose, Pose):
            raise BenchError(f"the flight has no pose {time_s:.1f} s after its start: {pose.value}")
        poses.append(pose)
    return poses


def _ties(
    vehicle: Vehicle, times_s: FloatArray, pairs: Sequence[Pair], rng: np.random.Generator
) -> list[Tie]:
    camera = CameraModel.load(CAMERA)
    reach_m = 140.0
    points_m = rng.uniform(-reach_m, reach_m, (12_000, 3))
    points_m[:, 2] = rng.standard_normal(len(points_m)) * RELIEF_M
    shown = []
    for time_s in times_s.tolist():
        uv, _ = project(camera, vehicle.camera_pose(time_s, LEVER_ARM_M), points_m)
        with np.errstate(invalid="ignore"):
            is_in = (uv >= 0).all(axis=1) & (uv < (camera.width_px - 1, camera.height_px - 1)).all(
                axis=1
            )
        shown.append((uv, is_in))
    ties = []
    for pair in pairs:
        (first_uv, in_first), (second_uv, in_second) = shown[pair.first], shown[pair.second]
        both = np.flatnonzero(in_first & in_second)
        if len(both) < 8:
            continue
        both = rng.permutation(both)[:POINTS_PER_PAIR]
        noise = rng.standard_normal((2, len(both), 2)) * PIXEL_SIGMA_PX
        noise[0, rng.random(len(both)) < OUTLIERS] += 20.0
        ties.append(
            Tie(pair.first, first_uv[both] + noise[0], pair.second, second_uv[both] + noise[1])
        )
    return ties


def measure_cuav(recording: Path) -> tuple[float, float]:
    """Return how far apart two stills place the same ground, median, m, before and after a solve.

    Args:
        recording: The folder of the cuav-2018 stills, their log and their lens.
    """
    with TemporaryDirectory() as scratch:
        flight = open_flight(cuav_flight(recording, Path(scratch)))
        made = problem_of(flight, None, (AccuracyConfig(), GroundConfig()))
        solution = solve(made.problem, Wanted(time=True))
        return solution.before.median_m, solution.after.median_m


def cuav_flight(recording: Path, folder: Path) -> Path:
    """Write a flight folder beside a recording: links to it, and what the format asks for.

    The log's SYSTEM_TIME is garbage: the record's time counts.  Nothing is said of a delay.
    """
    for path in [*recording.glob("*.jpg"), *recording.glob("*.tlog")]:
        name = path.name if path.suffix == ".jpg" else "flight.tlog"
        (folder / name).symlink_to(path.absolute())
    lens = json.loads((recording / "camera.json").read_text(encoding="utf-8"))
    (fx, _, cx), (_, fy, cy), _ = lens["K"]
    (folder / "camera.toml").write_text(
        f'id = "pi-v2"\nwidth_px = {lens["xresolution"]}\nheight_px = {lens["yresolution"]}\n'
        f'fx_px = {fx}\nfy_px = {fy}\ncx_px = {cx}\ncy_px = {cy}\nmodel = "brown"\n'
        f"distortion = {lens['D'][0]}\n",
        encoding="utf-8",
    )
    mount = CAMERA.parents[1] / "mounts" / "nadir-fixed.toml"
    (folder / "mount.toml").write_text(mount.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "flight.toml").write_text(_CUAV_TOML, encoding="utf-8")
    return folder
