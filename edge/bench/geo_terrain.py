"""Places over hills against the simulator's own projection, and what a place costs.

A noiseless aircraft flies over hills with an oblique camera behind a strongly bending lens.  Its
telemetry goes through a log as real MAVLink messages, so that their rounding is in the figures.
The truth is a point that the simulator's camera sees through a pixel: found on the hills' formula,
of which the terrain tile has heights every few metres, in whole centimetres.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edge.capture.clock import utc_by_record_time
from edge.capture.logs import read_log
from edge.capture.telemetry import Telemetry
from edge.config import AutopilotConfig, GroundConfig
from edge.errors import SkywhistleError
from edge.geo.camera import read_intrinsics
from edge.geo.locate import Locator
from edge.geo.mount import MountFile, MountKind, make_mount
from edge.geo.plane import LocalPlane
from edge.geo.terrain import TerrainTile, read_tile, write_tile
from edge.records import Detection, FloatArray, Frame, MonoNs, Pose, Sighting
from sim.camera import CameraModel, CameraPose, project
from sim.faults.timeline import Timeline
from sim.record import write_log
from sim.vehicle.noise import NoiseKnobs
from sim.vehicle.path import FlightPlan
from sim.vehicle.vehicle import Origin, Vehicle

LABEL = "bare_soil"  # lies flat: its place is the middle of its box
DETECTIONS = 6  # of a frame whose cost is measured
CELL_M = 4.0
HALF_SIDE_M = 700.0
FRAMES_HZ = 2.0
SEARCH_STEP_M = 0.2
START_US = 1_778_551_200_000_000
LEVER_ARM_M = (0.08, 0.0, 0.12)
ORIGIN = Origin(31.4912, 120.3119, 40.0, 10.6)
PLAN = FlightPlan((-60.0, -80.0), 25.0, 3, 160.0, 45.0, 70.0, 8.0, -55.0)
PIXELS_UV = [(u, v) for u in (25.0, 330.0, 640.0, 950.0, 1255.0) for v in (20.0, 360.0, 700.0)]
LENS = """\
id = "bent"
width_px = 1280
height_px = 720
fx_px = 820.0
fy_px = 823.0
cx_px = 651.0
cy_px = 352.0
model = "brown"
distortion = [-0.29, 0.11, 0.0011, -0.0009, -0.018]
rms_px = 0.2
source = "made up: a corner lies 230 px from where a pinhole has it"
"""


class Noiseless(NamedTuple):
    """Distances between places and truths, over all pixels of all frames."""

    median_m: float
    max_m: float


def hills_up_m(east_m: FloatArray, north_m: FloatArray) -> FloatArray:
    """Return hills over the origin's height: 53 m high, slopes of 0.24, at most 0.47."""
    up: FloatArray = (
        16.0 * np.sin(east_m / 75.0 + 0.4) * np.cos(north_m / 95.0)
        + 9.0 * np.sin((north_m + 0.6 * east_m) / 48.0)
        + 3.0 * np.cos((east_m - 0.8 * north_m) / 21.0)
    )
    return up


def hilly_tile() -> TerrainTile:
    """Return the hills as a tile, a node every CELL_M."""
    south_deg, north_deg = (ORIGIN.geodetic(0.0, at)[0] for at in (-HALF_SIDE_M, HALF_SIDE_M))
    west_deg, east_deg = (ORIGIN.geodetic(at, 0.0)[1] for at in (-HALF_SIDE_M, HALF_SIDE_M))
    n_nodes = int(2 * HALF_SIDE_M / CELL_M) + 1
    lats = np.linspace(north_deg, south_deg, n_nodes)
    ends = np.array([[ORIGIN.local(lat, lon) for lon in (west_deg, east_deg)] for lat in lats])
    east = np.linspace(ends[:, 0, 0], ends[:, 1, 0], n_nodes, axis=1)
    north = np.repeat(ends[:, 0, 1][:, None], n_nodes, axis=1)
    steps = (north_deg - south_deg) / (n_nodes - 1), (east_deg - west_deg) / (n_nodes - 1)
    heights = ORIGIN.amsl_m + hills_up_m(east, north)
    return TerrainTile(heights, north_deg, west_deg, *steps, "msl", "hills by formula")


@dataclass(frozen=True, slots=True)
class _Flight:
    """What flies, and what locates what it sees."""

    vehicle: Vehicle
    camera: CameraModel
    locator: Locator
    plane: LocalPlane
    log: Path

    def poses(self, times_s: FloatArray) -> Iterator[tuple[float, Pose]]:
        """Yield the poses of instants, ascending, as the flight program has them from the log."""
        telemetry = Telemetry(AutopilotConfig(), utc_by_record_time)
        messages = read_log(self.log)
        fed_ns = 0
        for time_s in times_s.tolist():
            mono_ns = MonoNs(self.vehicle.utc_us(time_s) * 1_000)
            while fed_ns < mono_ns + 1_000_000_000 and (message := next(messages, None)):
                fed_ns = message.record_utc_ns
                telemetry.feed(message.message, fed_ns)
            pose = telemetry.at(mono_ns)
            if not isinstance(pose, Pose):
                raise SkywhistleError(f"the noiseless flight has no pose at {time_s} s: {pose}")
            if pose.home is not None:  # comes every five seconds
                yield time_s, pose


def measure_noiseless() -> Noiseless:
    """Fly, locate pixels of every frame, and return how far their places are from the truths."""
    errors_m = noiseless_errors_m()
    return Noiseless(float(np.median(errors_m)), float(errors_m.max()))


def noiseless_errors_m(frames_hz: float = FRAMES_HZ) -> FloatArray:
    """Return the distance of every place of the flight from its truth, metres.

    Raises:
        SkywhistleError: A pixel that shows ground got no place.
    """
    errors_m = []
    with tempfile.TemporaryDirectory(prefix="skywhistle-terrain-") as scratch:
        flight = _flight(Path(scratch))
        for time_s, pose in flight.poses(np.arange(1.0, flight.vehicle.duration_s, 1 / frames_hz)):
            frame = _frame(pose)
            located = flight.locator.locate([_around(uv) for uv in PIXELS_UV], frame, pose)
            at = flight.vehicle.camera_pose(time_s, LEVER_ARM_M)
            truths = _truths_enu_m(flight.camera, at)
            for one, truth, uv in zip(located, truths, PIXELS_UV, strict=True):
                if not isinstance(one, Sighting):
                    raise SkywhistleError(f"pixel {uv} at {time_s} s has no place: {one.reason}")
                place = flight.plane.geodetic_from_enu(one.east_m, one.north_m)
                errors_m.append(math.dist(ORIGIN.local(*place), truth[:2]))
    return np.array(errors_m)


def measure_cost(rounds: int = 150) -> float:
    """Return milliseconds of one detection with its covariance, six to a frame, over the hills.

    Processor time of the thread: what else runs on the machine is not in it.
    """
    with tempfile.TemporaryDirectory(prefix="skywhistle-terrain-") as scratch:
        flight = _flight(Path(scratch))
        poses = [pose for _, pose in flight.poses(np.linspace(6.0, 40.0, 30))]
        boxes = [_around(uv, 40.0) for uv in PIXELS_UV[::2]][:DETECTIONS]
        taken_s = []
        for i in range(rounds):
            pose = poses[i % len(poses)]
            frame = _frame(pose)
            started_s = time.thread_time()
            flight.locator.locate(boxes, frame, pose)
            taken_s.append(time.thread_time() - started_s)
    return float(np.median(taken_s)) * 1e3 / DETECTIONS


def _flight(folder: Path) -> _Flight:
    write_tile(hilly_tile(), folder / "hills.npz")
    (folder / "bent.toml").write_text(LENS, encoding="utf-8")
    home_up_m = float(hills_up_m(np.array(PLAN.start_m[0]), np.array(PLAN.start_m[1])))
    plan = FlightPlan(
        PLAN.start_m, PLAN.heading_deg, PLAN.lanes, PLAN.lane_m, PLAN.gap_m, PLAN.height_m,
        PLAN.speed_mps, PLAN.gimbal_pitch_deg, home_up_m=home_up_m,
    )  # fmt: skip
    vehicle = Vehicle(plan, NoiseKnobs(), ORIGIN, 1, START_US)
    write_log(folder / "telemetry.tlog", vehicle, Timeline(), 1)
    mount = MountFile(id="bent", kind=MountKind.STABILISED_GIMBAL, lever_arm_m=LEVER_ARM_M)
    plane = LocalPlane(ORIGIN.lat_deg, ORIGIN.lon_deg)
    locator = Locator(
        read_intrinsics(folder / "bent.toml"),
        make_mount(mount),
        plane,
        ground=GroundConfig(source="terrain_tile", terrain=folder / "hills.npz"),
        terrain=read_tile(folder / "hills.npz"),
    )
    camera = CameraModel.load(folder / "bent.toml")
    return _Flight(vehicle, camera, locator, plane, folder / "telemetry.tlog")


def _around(uv: tuple[float, float], side_px: float = 2.0) -> Detection:
    (u, v), half = uv, side_px / 2.0
    return Detection(LABEL, 0.9, (u - half, v - half, u + half, v + half))


def _frame(pose: Pose) -> Frame:
    return Frame(np.zeros((720, 1280, 3), np.uint8), pose.mono_ns, "main", 0)


def _truths_enu_m(camera: CameraModel, pose: CameraPose) -> FloatArray:
    """Return where PIXELS_UV first meet the hills, shape (N, 3), by looking every few centimetres.

    Raises:
        SkywhistleError: The simulator's projection of such a point is not its pixel.
    """
    uv = np.array(PIXELS_UV)
    flat = (uv - [camera.cx_px, camera.cy_px]) / [camera.fx_px, camera.fy_px]
    rays = np.column_stack([camera.unbend(flat), np.ones(len(uv))]) @ pose.enu_from_camera.T
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    ways = np.arange(0.0, 700.0, SEARCH_STEP_M)
    points = pose.position_m + ways[:, None] * rays[:, None]
    below = points[..., 2] <= hills_up_m(points[..., 0], points[..., 1])
    far = ways[below.argmax(axis=1)]
    near = far - SEARCH_STEP_M
    for _ in range(30):
        middle = (near + far) / 2.0
        points = pose.position_m + middle[:, None] * rays
        is_below = points[:, 2] <= hills_up_m(points[:, 0], points[:, 1])
        near, far = np.where(is_below, near, middle), np.where(is_below, middle, far)
    truths: FloatArray = pose.position_m + far[:, None] * rays
    again, _ = project(camera, pose, truths)
    if not np.abs(again - uv).max() < 1e-3:
        raise SkywhistleError("the simulator's lens does not come back to its own pixels")
    return truths
