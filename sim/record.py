"""Flies a scenario once and writes the flight folder: video, telemetry, calibration, truth."""

from __future__ import annotations

import csv
import json
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from pymavlink.dialects.v20 import ardupilotmega as mav

from edge import __version__
from sim.camera import CameraPose
from sim.render import Look, Renderer, add_noise
from sim.scenario import Scenario
from sim.truth import frame_boxes
from sim.truth_files import TruthLog
from sim.vehicle import COMPONENT_ID, SYSTEM_ID, Vehicle
from sim.world import District

ImageArray = NDArray[np.uint8]
Progress = Callable[[int, int], None]  # frames done, frames in all
LOG_MARGIN_S = 1.5  # the log begins before the first frame and ends after the last


@dataclass(frozen=True)
class Shot:
    """One frame of a simulated camera.

    Attributes:
        time_s: Mid-exposure, since the start of the flight.
        logged_us: What the recorder says it was, UTC in microseconds.
    """

    index: int
    time_s: float
    logged_us: int
    pose: CameraPose
    image_bgr: ImageArray


def shoot(scenario: Scenario, seed: int, vehicle: Vehicle, renderer: Renderer) -> Iterator[Shot]:
    """Take the pictures of a flight, one after the other."""
    rng = np.random.default_rng([seed, 99])
    rate, table = scenario.camera.rate_hz, scenario.camera
    for index in range(int(vehicle.duration_s * rate)):
        time_s = (index + 0.5) / rate
        pose = vehicle.camera_pose(time_s, table.lever_arm_m)
        smear = _smear_px(vehicle, renderer, time_s, table.exposure_s)
        drift = 1 + 0.02 * float(np.sin(time_s / 9.0))  # an automatic exposure that hunts a little
        image = renderer.picture(pose, time_s, Look(table.exposure * drift, table.noise, smear))
        late_us = round(float(rng.standard_normal()) * scenario.knobs().clock_jitter_s * 1e6)
        yield Shot(
            index,
            time_s,
            vehicle.utc_us(time_s) + late_us,
            pose,
            add_noise(image, table.noise, rng),
        )


def _smear_px(
    vehicle: Vehicle, renderer: Renderer, time_s: float, exposure_s: float
) -> tuple[float, float]:
    """Return how far the picture's middle moves over the ground during the exposure."""
    true = vehicle.true_pose(time_s)
    pose = vehicle.camera_pose(time_s)
    speed = true.velocity_mps @ pose.enu_from_camera
    slant = true.position_m[2] / max(-float(pose.enu_from_camera[2, 2]), 0.2)
    scale = renderer.camera.fx_px / slant * exposure_s
    return float(-speed[0] * scale), float(-speed[1] * scale)


class _Video:
    """H.264 in mp4, without frames that point into the future: what a live encoder gives."""

    def __init__(self, path: Path, scenario: Scenario, size_px: tuple[int, int]) -> None:
        self._file = av.open(str(path), "w")
        rate = Fraction(scenario.camera.rate_hz).limit_denominator(1000)
        self._stream: Any = self._file.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height = size_px
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {
            "crf": str(scenario.camera.quality_crf),
            "preset": "slow",
            "bf": "0",
            "g": "50",
        }

    def add(self, image_bgr: ImageArray) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_bgr), format="bgr24")
        self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        self._file.mux(self._stream.encode())
        self._file.close()


def _write_log(path: Path, vehicle: Vehicle) -> None:
    """Write the telemetry as a .tlog: big-endian microseconds of UTC, then the packet; repeat."""
    sender = mav.MAVLink(None, srcSystem=SYSTEM_ID, srcComponent=COMPONENT_ID)
    with path.open("wb") as log:
        for time_s, message in vehicle.messages(-LOG_MARGIN_S, vehicle.duration_s + LOG_MARGIN_S):
            log.write(struct.pack(">Q", vehicle.utc_us(time_s)))
            log.write(message.pack(sender))
            sender.seq = (sender.seq + 1) % 256


_MOUNT = """\
# A true MAVLink gimbal under the belly.
id = "sim-gimbal"
kind = "stabilised_gimbal"
boresight_deg = [0.0, 0.0, 0.0]
boresight_sigma_deg = 0.0
lever_arm_m = [{arm[0]}, {arm[1]}, {arm[2]}] # forward, right, down
"""

_FLIGHT = """\
# Recorded by `skywhistle sim record`.
format = 1
name = "{name}"

[[camera]]
id = "main"
video = "video.mp4"
frames = "frames.csv"
calibration = "camera.toml"
mount = "mount.toml"
latency_s = 0.0
latency_sigma_s = {sigma}

[telemetry]
log = "telemetry.tlog"
system_id = 1

[time]
rule = "frame_times"

[truth]
file = "truth.geojson"

[sim]
scenario = "{scenario}"
seed = {seed}
family = "{family}"
noise = "{preset}"
version = "{version}"
"""


def _write_tables(scenario: Scenario, seed: int, out: Path) -> None:
    shutil.copyfile(scenario.camera_file(), out / "camera.toml")
    (out / "mount.toml").write_text(
        _MOUNT.format(arm=scenario.camera.lever_arm_m), encoding="utf-8"
    )
    text = _FLIGHT.format(
        name=f"{scenario.name}-{seed}",
        sigma=max(0.005, scenario.knobs().clock_jitter_s),
        scenario=scenario.name,
        seed=seed,
        family=scenario.world.family,
        preset=scenario.noise.preset,
        version=__version__,
    )
    (out / "flight.toml").write_text(text, encoding="utf-8")


def vehicle_of(scenario: Scenario, seed: int) -> Vehicle:
    """Build the vehicle that flies a scenario."""
    start_us = round(scenario.start_utc.timestamp() * 1e6)
    return Vehicle(scenario.plan(), scenario.knobs(), scenario.place(), seed, start_us)


def record(
    scenario: Scenario, seed: int, out_dir: Path, progress: Progress | None = None
) -> dict[str, int]:
    """Fly a scenario and write the flight folder.

    Args:
        scenario: From `load_scenario`.
        seed: Of the district and of everything that goes wrong on the way.
        out_dir: Made if missing; files of the same names are replaced.
        progress: Called after each frame.

    Returns:
        Counts: frames, violations and distractors that were seen.

    Raises:
        RenderError: There is no OpenGL here.
        CalibrationError: The camera file is not usable.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    district = District.from_seed(seed, scenario.world.family, scenario.world.counts)
    vehicle = vehicle_of(scenario, seed)
    renderer = Renderer(district, scenario.camera_model())
    truth = TruthLog(district, scenario.place(), renderer.camera)
    camera = renderer.camera
    video = _Video(out_dir / "video.mp4", scenario, (camera.width_px, camera.height_px))
    total = int(vehicle.duration_s * scenario.camera.rate_hz)
    with (out_dir / "frames.csv").open("w", newline="", encoding="utf-8") as stream:
        times = csv.writer(stream, lineterminator="\n")
        times.writerow(("frame", "utc_us"))
        for shot in shoot(scenario, seed, vehicle, renderer):
            video.add(shot.image_bgr)
            times.writerow((shot.index, shot.logged_us))
            truth.add(shot.index, shot.time_s, frame_boxes(renderer, shot.pose), shot.pose)
            if progress is not None:
                progress(shot.index + 1, total)
    video.close()
    renderer.close()
    _write_log(out_dir / "telemetry.tlog", vehicle)
    truth.write(out_dir)
    _write_tables(scenario, seed, out_dir)
    return truth.counts() | {"frames": total}


def read_truth(folder: Path) -> dict[str, Any]:
    """Return a recorded flight's truth as GeoJSON."""
    return dict(json.loads((folder / "truth.geojson").read_text(encoding="utf-8")))
