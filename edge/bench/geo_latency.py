"""How well the video's delay is found: made flights over a painted floor, 120 ms late.

Each picture is the floor seen through the simulator's own camera at the vehicle's true place and
attitude, H.264 like any; the telemetry errs as the `typical` preset does.  Nothing stands up from
the floor, so a flight is made in seconds; recorded flights over a district say the same.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from calibration.latency import FlightLatency, measure_latency
from edge.capture.recording import open_flight
from edge.errors import BenchError, LatencyError
from edge.geo.camera import Intrinsics
from edge.geo.lens import BrownLens
from edge.geo.rotations import quaternion_from_euler
from edge.records import FloatArray, ImageArray, MonoNs, Pose
from sim.camera import CameraModel
from sim.faults.timeline import NO_FAULTS
from sim.record import VideoFile, mount_text, write_log
from sim.scenario import CameraTable, FlightTable, NoiseTable, Scenario, WorldTable
from sim.vehicle.mount import MountKind
from sim.vehicle.vehicle import Vehicle
from sim.world.textures import fractal

PUT_IN_S = 0.120
TARGET_MS = 8.0
_FLOOR_PX, _PX_PER_M = 2048, 8.0
_SCALE = 0.25  # of the 720p camera: enough for what the estimate looks at
_CELL_PX = 8

_FLIGHT = """\
format = 1
name = "made-turns"
[[camera]]
id = "main"
video = "video.mp4"
frames = "frames.csv"
calibration = "camera.toml"
mount = "mount.toml"
latency_s = {latency}
[telemetry]
log = "telemetry.tlog"
"""
_CAMERA = """\
id = "made"
width_px = {c.width_px}
height_px = {c.height_px}
fx_px = {c.fx_px}
fy_px = {c.fy_px}
cx_px = {c.cx_px}
cy_px = {c.cy_px}
distortion = {distortion}
"""


@dataclass(frozen=True)
class MadeFlight:
    """What is flown, and what goes wrong on the way.

    Attributes:
        late_s: How late the frame list is at a time, jitter apart.
        paint: Changes a picture taken at a time; None: there is none.
    """

    rate_hz: float = 10.0
    mount: MountKind = MountKind.STABILISED_GIMBAL
    seed: int = 1
    lanes: int = 4
    lane_m: float = 30.0
    noise: str = "typical"
    said_latency_s: float = 0.0
    late_s: Callable[[float], float] = field(default=lambda _time_s: PUT_IN_S)
    paint: Callable[[float, ImageArray], ImageArray | None] = field(
        default=lambda _time_s, image: image
    )

    def scenario(self) -> Scenario:
        """Return it as the simulator flies it; no district is drawn."""
        return Scenario(
            format=1,
            name="made-turns",
            world=WorldTable(family="riverside"),
            camera=CameraTable(
                rate_hz=self.rate_hz, mount=self.mount, bit_rate_mbps=1.0, stream_hz=self.rate_hz
            ),
            flight=FlightTable(
                start_east_m=0.0,
                start_north_m=0.0,
                lanes=self.lanes,
                lane_m=self.lane_m,
                gap_m=25.0,
                speed_mps=7.0,
            ),
            noise=NoiseTable(preset=self.noise),
        )


@dataclass(frozen=True)
class Painted:
    """A made flight that can be looked at: where the vehicle truly is, and what its camera sees."""

    vehicle: Vehicle
    camera: CameraModel
    floor: _Floor

    @property
    def intrinsics(self) -> Intrinsics:
        """The camera as the flight program knows it."""
        c = self.camera
        lens = BrownLens(*c.distortion)
        return Intrinsics(c.id, c.width_px, c.height_px, c.fx_px, c.fy_px, c.cx_px, c.cy_px, lens)

    def picture(self, time_s: float) -> ImageArray:
        """Return what the camera sees at a time since the start, BGR."""
        return self.floor.picture(self.vehicle, time_s)

    def pose(self, time_s: float) -> Pose:
        """Return the truth of the vehicle as a pose; no gimbal's word is in it."""
        true = self.vehicle.true_pose(time_s)
        east_m, north_m, up_m = true.position_m.tolist()
        lat_deg, lon_deg = self.vehicle.origin.geodetic(east_m, north_m)
        v_east, v_north, v_up = true.velocity_mps.tolist()
        return Pose(
            mono_ns=MonoNs(round(time_s * 1e9)),
            lat_deg=lat_deg,
            lon_deg=lon_deg,
            amsl_m=self.vehicle.origin.amsl_m + up_m,
            above_home_m=up_m,
            velocity_ned_mps=(v_north, v_east, -v_up),
            ned_from_body_wxyz=quaternion_from_euler(*true.rpy_rad.tolist()),
        )


def painted_flight(made: MadeFlight) -> Painted:
    """Fly it and paint its floor."""
    scenario = made.scenario()
    start_us = round(scenario.start_utc.timestamp() * 1e6)
    vehicle = Vehicle(scenario.plan(), scenario.knobs(), scenario.place(), made.seed, start_us)
    camera = scenario.camera_model().scaled(_SCALE)
    return Painted(vehicle, camera, _Floor(camera, made.seed))


def make_flight(made: MadeFlight, out: Path) -> Path:
    """Write a flight folder that `calibrate latency` and `replay` read; return it."""
    out.mkdir(parents=True, exist_ok=True)
    painted = painted_flight(made)
    camera = painted.camera
    write_log(out / "telemetry.tlog", painted.vehicle, NO_FAULTS, made.seed)
    (out / "mount.toml").write_text(mount_text(made.scenario()), encoding="utf-8")
    text = _CAMERA.format(c=camera, distortion=list(camera.distortion))
    (out / "camera.toml").write_text(text, encoding="utf-8")
    (out / "flight.toml").write_text(_FLIGHT.format(latency=made.said_latency_s), encoding="utf-8")
    _film(made, painted, out)
    return out


def _film(made: MadeFlight, painted: Painted, out: Path) -> None:
    """Write the video and its frame list."""
    jitter = np.random.default_rng([made.seed, 99])
    vehicle = painted.vehicle
    size = (painted.camera.width_px, painted.camera.height_px)
    rows = ["frame,utc_us"]
    video = VideoFile(out / "video.mp4", made.scenario().camera, size)
    for index in range(int(vehicle.duration_s * made.rate_hz)):
        time_s = (index + 0.5) / made.rate_hz
        late_s = made.late_s(time_s) + jitter.normal() * vehicle.noise.clock_jitter_s
        image = made.paint(time_s, painted.picture(time_s))
        if image is not None:
            video.add(image)
            rows.append(f"{len(rows) - 1},{vehicle.utc_us(time_s) + round(late_s * 1e6)}")
    video.close()
    (out / "frames.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


class _Floor:
    """A flat floor with detail of all sizes, endless because it repeats."""

    def __init__(self, camera: CameraModel, seed: int) -> None:
        rng = np.random.default_rng(seed)
        grey = 128.0 + 40.0 * fractal(rng, _FLOOR_PX, 16, 7, 0.8)
        self._paint = np.clip(grey, 0, 255).astype(np.uint8)
        # Rays are worked out every 8 px; in between the floor's place is as good as linear, and
        # `remap` has eighths exactly.
        cols, rows = camera.width_px // _CELL_PX + 2, camera.height_px // _CELL_PX + 2
        nodes: FloatArray = np.stack(np.meshgrid(np.arange(cols), np.arange(rows)), axis=2)
        uv = nodes.reshape(-1, 2) * float(_CELL_PX)
        bent = (uv - [camera.cx_px, camera.cy_px]) / [camera.fx_px, camera.fy_px]
        self._rays = np.column_stack([camera.unbend(bent), np.ones(len(uv))])
        self._shape = (rows, cols)
        pixels = np.meshgrid(np.arange(camera.width_px), np.arange(camera.height_px))
        self._at_u, self._at_v = (np.asarray(at, np.float32) / _CELL_PX for at in pixels)

    def picture(self, vehicle: Vehicle, time_s: float) -> ImageArray:
        """Return what the camera truly sees, BGR."""
        pose = vehicle.camera_pose(time_s)
        rays = self._rays @ pose.enu_from_camera.T
        reach = -pose.position_m[2] / np.minimum(rays[:, 2], -0.05)
        place = (pose.position_m[:2] + rays[:, :2] * reach[:, None]) * _PX_PER_M
        at_nodes = place.astype(np.float32).reshape(*self._shape, 2)
        place_px = cv2.remap(at_nodes, self._at_u, self._at_v, cv2.INTER_LINEAR)
        u, v = cv2.split(place_px)
        grey = cv2.remap(self._paint, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        return np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), np.uint8)


# Rates and mounts as aircraft have them; the figure is the worst.
FLOWN = (
    MadeFlight(rate_hz=10.0, mount=MountKind.STABILISED_GIMBAL, seed=1),
    MadeFlight(rate_hz=5.0, mount=MountKind.SERVO_GIMBAL, seed=2),
    MadeFlight(rate_hz=30.0, mount=MountKind.FIXED, seed=3, lanes=2),
)


def measure_latency_errors() -> list[FlightLatency]:
    """Make the flights and find the delay of each."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number, made in enumerate(FLOWN):
            flight = open_flight(make_flight(made, Path(folder) / str(number)))
            try:
                found.append(measure_latency(flight))
            except LatencyError as error:
                raise BenchError(f"no delay found in a made flight: {error}") from error
    return found


def measure_latency_error() -> float:
    """Return the worst error of the delays found, ms."""
    return max(abs(one.latency_s - PUT_IN_S) * 1e3 for one in measure_latency_errors())
