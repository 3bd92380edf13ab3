"""A made patrol, as a flight folder that the simulator serves: coloured squares on grey ground.

The camera looks straight down from 50 m and the vehicle flies north.  A square lies across its
path every 20 m, in three colours in turn; a tiny detector finds the box of each colour.  So the
number of incidents, their labels and their places are known, and no trained model is needed.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from edge.vision.manifest import HeadTable, InputTable
from tests.unit.vision.tiny_models import serialised, write_model

LABELS = ("structure", "waste_pile", "floating_waste")  # red, green, blue
RATE_HZ = 10
SIDE_PX, FOCAL_PX, HEIGHT_M = 640, 640.0, 50.0
PX_PER_M = FOCAL_PX / HEIGHT_M
SPEED_MPS = 8.0
FIRST_M, EVERY_M, SQUARE_M = 40.0, 20.0, 6.0
EAST_M = (-8.0, 5.0, 0.0)  # of the squares in turn
HOME_LAT_DEG, HOME_LON_DEG, HOME_AMSL_M = 31.5, 120.3, 5.0
# Metres for a degree of latitude and of longitude at 31.5° (WGS 84).
M_PER_LAT_DEG, M_PER_LON_DEG = 110_877.0, 94_996.0
START_US = 1_700_000_000_000_000
_BOOT_AT_START_MS = 30_000
_HALF_PICTURE_M = SIDE_PX / PX_PER_M / 2
_MODEL_SIDE_PX = 160


@dataclass(frozen=True)
class Square:
    """One thing on the ground."""

    label: str
    north_m: float
    east_m: float

    @property
    def lat_deg(self) -> float:
        """Where its centre is."""
        return HOME_LAT_DEG + self.north_m / M_PER_LAT_DEG

    @property
    def lon_deg(self) -> float:
        """Where its centre is."""
        return HOME_LON_DEG + self.east_m / M_PER_LON_DEG


@dataclass(frozen=True)
class Patrol:
    """How long the flight is, and what the vehicle carries.

    `gimbal`: "" for a fixed camera; else "servo" or "stabilised": a gimbal reports, pitched
    straight down, while the vehicle pitches up and down (what a servo mount then shows).
    """

    seconds: float = 20.0
    gimbal: str = ""

    @property
    def squares(self) -> tuple[Square, ...]:
        """All that the camera passes over from edge to edge."""
        last_m = self.seconds * SPEED_MPS + _HALF_PICTURE_M - SQUARE_M
        count = int((last_m - FIRST_M) // EVERY_M) + 1
        return tuple(
            Square(LABELS[i % 3], FIRST_M + i * EVERY_M, EAST_M[i % 3]) for i in range(count)
        )


def write_patrol_flight(folder: Path, patrol: Patrol = Patrol()) -> Path:
    """Write the flight with its calibration, mount and model; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    n_frames = round(patrol.seconds * RATE_HZ)
    _write_video(folder / "video.mp4", n_frames, patrol)
    rows = [f"{i},{START_US + round(i * 1e6 / RATE_HZ)}" for i in range(n_frames)]
    (folder / "frames.csv").write_text("\n".join(["frame,utc_us", *rows]) + "\n")
    (folder / "flight.tlog").write_bytes(_telemetry(patrol))
    (folder / "flight.toml").write_text(
        'format = 1\nname = "patrol"\n'
        '[[camera]]\nid = "main"\nvideo = "video.mp4"\nframes = "frames.csv"\n'
        'calibration = "camera.toml"\nmount = "mount.toml"\n'
        '[telemetry]\nlog = "flight.tlog"\nsystem_id = 1\n[time]\nrule = "frame_times"\n'
    )
    write_parts(folder)
    return folder


def write_parts(folder: Path) -> None:
    """Write what the aircraft carries: calibration, mounts and detector."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "camera.toml").write_text(
        f'id = "painted"\nwidth_px = {SIDE_PX}\nheight_px = {SIDE_PX}\n'
        f"fx_px = {FOCAL_PX}\nfy_px = {FOCAL_PX}\ncx_px = 319.5\ncy_px = 319.5\n"
        'model = "brown"\ndistortion = [0.0, 0.0, 0.0, 0.0, 0.0]\n'
    )
    (folder / "mount.toml").write_text(
        'id = "nadir"\nkind = "fixed"\nbody_from_camera_deg = [0.0, -90.0, 0.0]\n'
    )
    for kind in ("servo", "stabilised"):
        text = f'id = "{kind}"\nkind = "{kind}_gimbal"\n'
        (folder / f"{kind}.toml").write_text(text)
    write_square_finder(folder / "model")


def write_square_finder(folder: Path) -> None:
    """Write the detector of coloured squares with its manifest."""
    write_model(
        folder,
        square_finder(),
        labels=LABELS,
        input=InputTable(width_px=_MODEL_SIDE_PX, height_px=_MODEL_SIDE_PX, resize="stretch"),
        head=HeadTable(layout="end2end"),
    )


def square_finder() -> bytes:
    """Build a model that truly looks: the box of all that is red, all green, all blue.

    A pixel counts where its colour exceeds both others by 0.3; the score is 0.9, or 0 for none.
    """
    side = _MODEL_SIDE_PX
    constants = {
        "clearly": np.array(0.3, np.float32),
        "up": np.arange(1, side + 1, dtype=np.float32),
        "down": np.arange(side, 0, -1, dtype=np.float32),
        "side": np.array(side, np.float32),
        "sure": np.array(0.9, np.float32),
        "classes": np.arange(3, dtype=np.float32)[None],
        "last": np.array([2], np.int64),
    }
    nodes = [helper.make_node("Split", ["images"], ["r", "g", "b"], axis=1)]
    for own, one, other in ("rgb", "gbr", "brg"):
        nodes += [
            helper.make_node("Max", [one, other], [f"not_{own}"]),
            helper.make_node("Sub", [own, f"not_{own}"], [f"more_{own}"]),
        ]
    nodes += [
        helper.make_node("Concat", ["more_r", "more_g", "more_b"], ["more"], axis=1),
        helper.make_node("Greater", ["more", "clearly"], ["is_colour"]),
        helper.make_node("Cast", ["is_colour"], ["mask"], to=TensorProto.FLOAT),
        *_extent("x", axis=2),
        *_extent("y", axis=3),
        helper.make_node("ReduceMax", ["profile_x"], ["any"], axes=[2], keepdims=0),
        helper.make_node("Mul", ["any", "sure"], ["score"]),
    ]
    columns = ["x1", "y1", "x2", "y2", "score", "classes"]
    nodes += [helper.make_node("Unsqueeze", [name, "last"], [f"{name}_c"]) for name in columns]
    nodes.append(helper.make_node("Concat", [f"{n}_c" for n in columns], ["output0"], axis=2))
    graph = helper.make_graph(
        nodes,
        "squares",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 3, 6])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return serialised(graph)


def _extent(name: str, axis: int) -> list[object]:
    """From a mask (1, 3, rows, columns) to the first and last coloured pixel along an axis."""
    profile, last, left = f"profile_{name}", f"last_{name}", f"left_{name}"
    return [
        helper.make_node("ReduceMax", ["mask"], [profile], axes=[axis], keepdims=0),
        helper.make_node("Mul", [profile, "up"], [last]),
        helper.make_node("ReduceMax", [last], [f"{name}2"], axes=[2], keepdims=0),
        helper.make_node("Mul", [profile, "down"], [left]),
        helper.make_node("ReduceMax", [left], [f"room_{name}"], axes=[2], keepdims=0),
        helper.make_node("Sub", ["side", f"room_{name}"], [f"{name}1"]),
    ]


def _ground(patrol: Patrol) -> NDArray[np.uint8]:
    """Draw the whole strip once, RGB: its first row is the furthest north."""
    north_m = patrol.seconds * SPEED_MPS + _HALF_PICTURE_M + 1.0
    rows = math.ceil((north_m + _HALF_PICTURE_M) * PX_PER_M)
    grey = np.random.default_rng(7).integers(70, 150, (rows // 16 + 1, SIDE_PX // 16))
    strip = np.repeat(np.repeat(grey, 16, 0), 16, 1)[:rows].astype(np.uint8)
    image = np.repeat(strip[:, :, None], 3, axis=2)
    half_px = round(SQUARE_M * PX_PER_M / 2)
    for square in patrol.squares:
        row = round((north_m - square.north_m) * PX_PER_M)
        column = round(SIDE_PX / 2 + square.east_m * PX_PER_M)
        colour = np.full(3, 20)
        colour[LABELS.index(square.label)] = 230
        top, left = max(0, row - half_px), column - half_px
        image[top : row + half_px, left : left + 2 * half_px] = colour
    return image


def _write_video(path: Path, n_frames: int, patrol: Patrol) -> None:
    image = _ground(patrol)
    north_m = patrol.seconds * SPEED_MPS + _HALF_PICTURE_M + 1.0
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE_HZ)
        stream.width = stream.height = SIDE_PX
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, RATE_HZ)
        stream.options = {"preset": "ultrafast", "x264-params": "keyint=10:scenecut=0:bframes=0"}
        for index in range(n_frames):
            ahead_m = index / RATE_HZ * SPEED_MPS + _HALF_PICTURE_M
            top = round((north_m - ahead_m) * PX_PER_M)
            picture = np.ascontiguousarray(image[top : top + SIDE_PX])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _telemetry(patrol: Patrol) -> bytes:
    """Return the log, from 1 s before the first frame to 1 s after the last."""
    out = bytearray()
    senders: dict[int, mavlink2.MAVLink] = {}

    def put(t_s: float, message: mavlink2.MAVLink_message) -> None:
        mav = senders.setdefault(1, mavlink2.MAVLink(None, 1, 1))
        out.extend(struct.pack(">Q", START_US + round(t_s * 1e6)) + message.pack(mav))
        mav.seq = (mav.seq + 1) % 256

    for n in range(round((patrol.seconds + 2.0) * 30)):
        t_s = -1.0 + n / 30
        for message in _at(t_s, n, patrol.gimbal):
            put(t_s, message)
    return bytes(out)


def _at(t_s: float, n: int, gimbal: str) -> list[mavlink2.MAVLink_message]:
    """Return the messages of the n-th thirtieth of a second."""
    boot_ms = _BOOT_AT_START_MS + round(t_s * 1000)
    pitch_rad = math.radians(8.0) * math.sin(2.0 * t_s) if gimbal else 0.0
    out = [mavlink2.MAVLink_attitude_message(boot_ms, 0.0, pitch_rad, 0.0, 0, 0, 0)]
    if n % 3 == 0:
        out.append(_position(boot_ms, t_s))
        if gimbal:
            out.append(_gimbal(boot_ms, pitch_rad if gimbal == "servo" else 0.0))
    if n % 6 == 0:
        out.append(_gnss(boot_ms, t_s))
    if n % 15 == 0:
        out.append(mavlink2.MAVLink_ekf_status_report_message(831, 0.1, 0.1, 0.1, 0.1, 0.1))
    if n % 30 == 0:
        unix_us = START_US + round(t_s * 1e6)
        out += [
            mavlink2.MAVLink_heartbeat_message(2, 3, 217, 3, 4, 3),
            mavlink2.MAVLink_system_time_message(unix_us, boot_ms),
            mavlink2.MAVLink_home_position_message(
                round(HOME_LAT_DEG * 1e7), round(HOME_LON_DEG * 1e7), round(HOME_AMSL_M * 1e3),
                0, 0, 0, [1.0, 0.0, 0.0, 0.0], 0, 0, 0, 0,
            ),
        ]  # fmt: skip
    return out


def _position(boot_ms: int, t_s: float) -> mavlink2.MAVLink_message:
    lat_deg = HOME_LAT_DEG + SPEED_MPS * t_s / M_PER_LAT_DEG
    amsl_mm, above_home_mm = round((HOME_AMSL_M + HEIGHT_M) * 1e3), round(HEIGHT_M * 1e3)
    return mavlink2.MAVLink_global_position_int_message(
        boot_ms, round(lat_deg * 1e7), round(HOME_LON_DEG * 1e7), amsl_mm, above_home_mm,
        round(SPEED_MPS * 100), 0, 0, 0,
    )  # fmt: skip


def _gnss(boot_ms: int, t_s: float) -> mavlink2.MAVLink_message:
    lat_deg = HOME_LAT_DEG + SPEED_MPS * t_s / M_PER_LAT_DEG
    return mavlink2.MAVLink_gps_raw_int_message(
        boot_ms * 1000, 3, round(lat_deg * 1e7), round(HOME_LON_DEG * 1e7), 55_000, 80, 90,
        round(SPEED_MPS * 100), 0, 14, 85_000, 800, 1200,
    )  # fmt: skip


def _gimbal(boot_ms: int, vehicle_pitch_rad: float) -> mavlink2.MAVLink_message:
    """Look straight down: against the horizon, or by the servo's angle in body axes."""
    half_rad = (math.radians(-90.0) - vehicle_pitch_rad) / 2
    return mavlink2.MAVLink_gimbal_device_attitude_status_message(
        0, 0, boot_ms, 44, [math.cos(half_rad), 0.0, math.sin(half_rad), 0.0], 0.0, 0.0, 0.0, 0
    )
