"""Flies a scenario once and writes the flight folder: video, telemetry, calibration, truth.

flight.toml       what is where, for `replay`; under [sim] what it was made from, faults too
video.mp4         H.264; frames.csv gives each frame's time of arrival (UTC of the log)
telemetry.tlog    what the autopilot said
camera.toml, mount.toml   the calibration that the flight program reads
truth.geojson     each violation and distractor: class or cause, outline, height, when it was seen
permitted.geojson the register of what stands with leave: sheds, and buildings that are all roof
poses.csv         each frame's true camera: place, height, pitch below the horizon, heading
boxes.json        each frame's boxes in COCO form, with how much of each can be seen
dem.txt           the ground's true heights
dem.npz           the same as a terrain tile
"""

from __future__ import annotations

import csv
import json
import shutil
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from pymavlink.dialects.v20 import ardupilotmega as mav

from edge import __version__
from edge.errors import ScenarioError
from sim.camera_shutter import Exposure
from sim.faults.mavlink import garbled, is_silent, reclocked, without_fix
from sim.faults.timeline import MAVLINK_KINDS, NETWORK_KINDS, VIDEO_KINDS, FaultKind, Timeline
from sim.render.renderer import Renderer
from sim.scenario import CameraTable, Scenario
from sim.shots import Shot, exposure_of, shoot, spoiled
from sim.truth import FrameBox, frame_boxes
from sim.truth_files import TruthLog
from sim.vehicle.mount import MountKind
from sim.vehicle.vehicle import BOOT_BEFORE_START_S, COMPONENT_ID, SYSTEM_ID, Vehicle
from sim.world.dem import write_dem, write_tile
from sim.world.district import District
from sim.world.layout import HALF_M
from sim.world.terrain import FLAT, Terrain

ImageArray = NDArray[np.uint8]
Progress = Callable[[int, int], None]  # frames done, frames in all
LOG_MARGIN_S = 1.5  # the log begins before the first frame and ends after the last


class VideoFile:
    """H.264 in mp4, without frames that point into the future: what a live encoder gives."""

    def __init__(self, path: Path, table: CameraTable, size_px: tuple[int, int]) -> None:
        self._file, self._n_frames = av.open(str(path), "w"), 0
        rate = Fraction(table.rate_hz).limit_denominator(1000)
        self._stream: Any = self._file.add_stream("libx264", rate=rate)
        self._stream.width, self._stream.height = size_px
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"bf": "0", "g": "50"} | _quality(table)

    def add(self, image_bgr: ImageArray) -> None:
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_bgr), format="bgr24")
        self._file.mux(self._stream.encode(frame))
        self._n_frames += 1

    def close(self) -> None:
        if self._n_frames:  # an encoder that never opened cannot be flushed
            self._file.mux(self._stream.encode())
        self._file.close()


def _quality(table: CameraTable) -> dict[str, str]:
    """Return what tells x264 how much to keep: a mean rate as of a live link, or a quality.

    A recording with fewer frames than the camera's stream gets their share of its bits: a frame
    looks no better than the stream would have shown it.  It is also coded as fast as a camera's
    encoder must be (a sixth of the time of `slow`, 0.2 dB less); a quality is for small files.
    """
    if table.bit_rate_mbps is None:
        return {"preset": "slow", "crf": str(table.quality_crf)}
    stream_kbps = table.bit_rate_mbps * 1000
    kbps = round(stream_kbps * min(1.0, table.rate_hz / table.stream_hz))
    # A second of the camera's stream may wait, so that a key frame is not starved.
    rates = {"b": f"{kbps}k", "maxrate": f"{kbps}k", "bufsize": f"{round(stream_kbps)}k"}
    return {"preset": "veryfast"} | rates


def write_log(path: Path, vehicle: Vehicle, faults: Timeline, seed: int) -> None:
    """Write the telemetry as a .tlog: big-endian microseconds of UTC, then the packet; repeat."""
    sender = mav.MAVLink(None, srcSystem=SYSTEM_ID, srcComponent=COMPONENT_ID)
    rng = np.random.default_rng([seed, 77])
    with path.open("wb") as log:
        for time_s, message in vehicle.messages(-LOG_MARGIN_S, vehicle.duration_s + LOG_MARGIN_S):
            if is_silent(time_s, faults):
                continue
            without_fix(message, time_s, faults)
            reclocked(message, time_s, BOOT_BEFORE_START_S, faults)
            packet = bytes(message.pack(sender))
            if faults.active(FaultKind.MAVLINK_GARBAGE, time_s):
                packet = garbled(packet, rng)
            log.write(struct.pack(">Q", vehicle.utc_us(time_s)) + packet)
            sender.seq = (sender.seq + 1) % 256


_MOUNT = """\
# {what}
id = "sim-{kind}"
kind = "{kind}"
{angles}boresight_deg = [0.0, 0.0, 0.0]
boresight_sigma_deg = {sigma}
lever_arm_m = [{arm[0]}, {arm[1]}, {arm[2]}] # forward, right, down
"""
_MOUNT_WORDS = {
    MountKind.FIXED: "Bolted to the belly.",
    MountKind.STABILISED_GIMBAL: "A true MAVLink gimbal under the belly.",
    MountKind.SERVO_GIMBAL: "ArduPilot's servo mount under the belly.",
}

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
latency_s = {latency}
latency_sigma_s = {sigma}

[telemetry]
log = "telemetry.tlog"
system_id = 1

[time]
rule = "frame_times"

[district]
permitted = "permitted.geojson"

[ground]
terrain = "dem.npz"

[truth]
file = "truth.geojson"

[sim]
scenario = "{scenario}"
seed = {seed}
family = "{family}"
noise = "{preset}"
mount = "{mount}"
version = "{version}"
{faults}"""


def _write_tables(scenario: Scenario, seed: int, out: Path, faults: Timeline) -> None:
    shutil.copyfile(scenario.camera_file(), out / "camera.toml")
    (out / "mount.toml").write_text(mount_text(scenario), encoding="utf-8")
    rows = [
        f'{{ kind = "{f.kind.value}", at_s = {f.at_s}, for_s = {f.for_s}, by_s = {f.by_s} }},\n'
        for f in faults.faults
    ]
    text = _FLIGHT.format(
        name=f"{scenario.name}-{seed}",
        latency=scenario.camera.latency_s,
        sigma=max(0.005, scenario.knobs().clock_jitter_s),
        scenario=scenario.name,
        seed=seed,
        family=scenario.world.family,
        preset=scenario.noise.preset,
        mount=scenario.camera.mount.value,
        version=__version__,
        faults=f"faults = [\n{''.join(rows)}]\n" if rows else "",
    )
    (out / "flight.toml").write_text(text, encoding="utf-8")


def mount_text(scenario: Scenario) -> str:
    """Return the mount's calibration file as the flight program reads it."""
    kind = scenario.camera.mount
    angles = f"[0.0, {scenario.flight.gimbal_pitch_deg}, 0.0]"
    return _MOUNT.format(
        what=_MOUNT_WORDS[kind],
        kind=kind.value,
        angles=f"body_from_camera_deg = {angles}\n" if kind is MountKind.FIXED else "",
        sigma=scenario.knobs().mount_deg,
        arm=scenario.camera.lever_arm_m,
    )


def vehicle_of(scenario: Scenario, seed: int, terrain: Terrain = FLAT) -> Vehicle:
    """Build the vehicle that flies a scenario; its home is the ground of its first corner."""
    start_us = round(scenario.start_utc.timestamp() * 1e6)
    east_m, north_m = scenario.flight.start_east_m, scenario.flight.start_north_m
    home_up_m = float(terrain.up_m(np.array(east_m), np.array(north_m)))
    return Vehicle(scenario.plan(home_up_m), scenario.knobs(), scenario.place(), seed, start_us)


def district_of(scenario: Scenario, seed: int) -> District:
    """Draw the district of a scenario."""
    world = scenario.world
    return District.from_seed(seed, world.family, world.placed(), world.relief_m)


def check_covered(scenario: Scenario, vehicle: Vehicle) -> None:
    """See that the district, and the DEM that is written beside it, lie below all of a flight.

    Raises:
        ScenarioError: The flight leaves them.
    """
    beyond_m = float(np.abs(vehicle.path.position_m[:, :2]).max())
    if beyond_m > HALF_M:
        raise ScenarioError(
            f"scenario {scenario.name!r}: the flight reaches {beyond_m:.0f} m from the district's "
            f"centre, and its ground and DEM end at {HALF_M:.0f} m; shorten lane_m or move start"
        )


def recorded_faults(scenario: Scenario, vehicle: Vehicle) -> Timeline:
    """Return the faults of a recording.

    Raises:
        ScenarioError: One cannot be in a recording, or comes after the flight's end.
    """
    faults = scenario.faults()
    for fault in faults.faults:
        if fault.kind in NETWORK_KINDS:
            raise ScenarioError(
                f"scenario {scenario.name!r}: fault {fault.kind.value!r} acts between uplink and "
                "broker, which a recording does not have; fly it with `skywhistle sim serve`"
            )
        if fault.at_s >= vehicle.duration_s:
            raise ScenarioError(
                f"scenario {scenario.name!r}: fault {fault.kind.value!r} begins at {fault.at_s} s, "
                f"but the flight ends at {vehicle.duration_s:.0f} s"
            )
    return faults


def record(
    scenario: Scenario,
    seed: int,
    out_dir: Path,
    progress: Progress | None = None,
    *,
    with_faults: bool = True,
) -> dict[str, int]:
    """Fly a scenario and write the flight folder.

    Args:
        scenario: From `load_scenario`.
        seed: Of the district and of everything that goes wrong on the way.
        out_dir: Made if missing; files of the same names are replaced.
        progress: Called after each frame.
        with_faults: Whether the scenario's faults go into the recording; a flight that is served
            has them on the wire instead.

    Returns:
        Counts: frames, violations and distractors that were seen.

    Raises:
        RenderError: There is no OpenGL here.
        CalibrationError: The camera file is not usable.
        ScenarioError: A fault cannot be recorded, or the flight leaves the district.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    district = district_of(scenario, seed)
    vehicle = vehicle_of(scenario, seed, district.terrain)
    check_covered(scenario, vehicle)
    faults = recorded_faults(scenario, vehicle) if with_faults else Timeline()
    renderer = Renderer(district, scenario.camera_model())
    truth = TruthLog(district, scenario.place(), renderer.camera)
    exposure = exposure_of(scenario, vehicle, renderer)
    total, frames = int(vehicle.duration_s * scenario.camera.rate_hz), 0
    with _frame_files(out_dir, scenario, renderer) as (video, times):
        shots = shoot(scenario, seed, vehicle, renderer)
        for shot, is_true in spoiled(shots, faults.only(VIDEO_KINDS)):
            video.add(shot.image_bgr)
            times.writerow((frames, shot.logged_us))
            boxes = _boxes(renderer, exposure, shot) if is_true else []
            truth.add(frames, shot.time_s, boxes, shot.pose)
            frames += 1
            if progress is not None:
                progress(shot.index + 1, total)
    renderer.close()
    write_log(out_dir / "telemetry.tlog", vehicle, faults.only(MAVLINK_KINDS), seed)
    truth.write(out_dir)
    write_dem(district, scenario.place(), out_dir / "dem.txt")
    write_tile(district, scenario.place(), out_dir / "dem.npz")
    _write_tables(scenario, seed, out_dir, faults)
    return truth.counts() | {"frames": frames}


@contextmanager
def _frame_files(
    out: Path, scenario: Scenario, renderer: Renderer
) -> Iterator[tuple[VideoFile, Any]]:
    """Open the video and the frame list, and close both whatever happens."""
    size_px = (renderer.camera.width_px, renderer.camera.height_px)
    video = VideoFile(out / "video.mp4", scenario.camera, size_px)
    try:
        with (out / "frames.csv").open("w", newline="", encoding="utf-8") as stream:
            times = csv.writer(stream, lineterminator="\n")
            times.writerow(("frame", "utc_us"))
            yield video, times
    finally:
        video.close()


def _boxes(renderer: Renderer, exposure: Exposure, shot: Shot) -> list[FrameBox]:
    """Return the boxes as the shutter shows them, cut at the frame's edge."""
    boxes = frame_boxes(renderer, shot.pose)
    if not boxes or exposure.shutter.readout_s <= 0:
        return boxes
    corners = np.array([box.box_xyxy for box in boxes]).reshape(-1, 2)
    moved = exposure.seen_at(corners, shot.time_s)
    limit = [renderer.camera.width_px - 0.5, renderer.camera.height_px - 0.5]
    rows = np.clip(moved, -0.5, limit).reshape(-1, 4).tolist()
    return [
        replace(box, box_xyxy=(row[0], row[1], row[2], row[3]))
        for box, row in zip(boxes, rows, strict=True)
    ]


def read_truth(folder: Path) -> dict[str, Any]:
    """Return a recorded flight's truth as GeoJSON."""
    return dict(json.loads((folder / "truth.geojson").read_text(encoding="utf-8")))
