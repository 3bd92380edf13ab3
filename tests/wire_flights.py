"""Small flights made for the tests of the simulator on the wire."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from sim.serve import ServedFlight, ServeOptions
from sim.wire.camera import Announce
from sim.wire.flight import read_wire_flight

WIDTH_PX, HEIGHT_PX = 320, 240
RATE_HZ = 25
BITS = 12
_CELL_PX = 24
START_US = 1_700_000_000_000_000
BOOT_AT_START_US = 70_000_000  # the log's boot clock when the flight begins
YAW_STEP_RAD = 0.0005  # the flight's clock: yaw grows this much with every ATTITUDE
ATTITUDE_HZ = 50


@dataclass(frozen=True)
class MadeFlight:
    """How long a made flight is, and what its video is like."""

    seconds: float = 4.0
    keyframe_every: int = 25
    b_frames: int = 0
    frames_late_us: int = 0  # of the frame list against the log


def write_flight(folder: Path, made: MadeFlight = MadeFlight()) -> Path:
    """Write a flight whose picture and whose yaw both tell the time."""
    folder.mkdir(parents=True, exist_ok=True)
    n_frames = round(made.seconds * RATE_HZ)
    write_video(folder / "video.mp4", n_frames, made)
    rows = [f"{i},{frame_us(i) + made.frames_late_us}" for i in range(n_frames)]
    (folder / "frames.csv").write_text("\n".join(["frame,utc_us", *rows]) + "\n")
    (folder / "telemetry.tlog").write_bytes(telemetry(made.seconds))
    (folder / "flight.toml").write_text(
        'format = 1\nname = "made"\n'
        '[[camera]]\nid = "main"\nvideo = "video.mp4"\nframes = "frames.csv"\n'
        '[telemetry]\nlog = "telemetry.tlog"\nsystem_id = 1\n'
        '[time]\nrule = "frame_times"\n'
    )
    return folder


def telemetry_only(*mavlink: str, **changes: Any) -> ServeOptions:
    """Serve no video: that needs no GStreamer.

    Args:
        mavlink: Links, as `udpout:127.0.0.1:14550`.
        changes: Other options than the quietest.
    """
    quiet = ServeOptions(mavlink=mavlink, rtp_host=None, rtsp_host=None, announce=Announce.NONE)
    return replace(quiet, **changes)


def served(folder: Path, *mavlink: str, **changes: Any) -> ServedFlight:
    """Make a flight that is served as a link's telemetry only, to be entered."""
    return ServedFlight(read_wire_flight(folder), telemetry_only(*mavlink, **changes))


def frame_us(index: int) -> int:
    """Return a frame's capture time on the log's axis."""
    return START_US + 200_000 + round(index * 1e6 / RATE_HZ)


def picture(index: int) -> NDArray[np.uint8]:
    """Draw a frame's number as black and white blocks."""
    image = np.full((HEIGHT_PX, WIDTH_PX, 3), 90, np.uint8)
    for bit in range(BITS):
        on = 255 if index >> bit & 1 else 0
        image[100:140, 8 + bit * _CELL_PX : 8 + (bit + 1) * _CELL_PX] = on
    return image


def read_index(grey: NDArray[np.uint8]) -> int:
    """Read the number back from a grey picture."""
    cells = (grey[110:130, 8 + b * _CELL_PX + 6 : 8 + (b + 1) * _CELL_PX - 6] for b in range(BITS))
    return sum((int(cell.mean()) > 127) << bit for bit, cell in enumerate(cells))


def write_video(path: Path, n_frames: int, made: MadeFlight) -> None:
    """Encode the numbered pictures as H.264 in an mp4."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE_HZ)
        stream.width, stream.height, stream.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        stream.time_base = Fraction(1, RATE_HZ)
        stream.options = {
            "preset": "ultrafast",
            "x264-params": f"keyint={made.keyframe_every}:min-keyint={made.keyframe_every}"
            f":scenecut=0:bframes={made.b_frames}:b-adapt=0",
        }
        for index in range(n_frames):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def telemetry(seconds: float) -> bytes:
    """Return a log: ATTITUDE 50 Hz, position 10 Hz, time and GPS 5 Hz, home once, one text."""
    out = bytearray()
    senders: dict[int, mavlink2.MAVLink] = {}

    def put(t_us: int, message: mavlink2.MAVLink_message, component: int = 1) -> None:
        mav = senders.setdefault(component, mavlink2.MAVLink(None, 1, component))
        out.extend(struct.pack(">Q", START_US + t_us) + message.pack(mav))
        mav.seq = (mav.seq + 1) % 256

    put(0, mavlink2.MAVLink_heartbeat_message(2, 3, 217, 3, 4, 3))
    put(0, mavlink2.MAVLink_home_position_message(
        315000000, 1203000000, 5000, 0, 0, 0, [1.0, 0.0, 0.0, 0.0], 0, 0, 0, 0
    ))  # fmt: skip
    for n in range(round(seconds * ATTITUDE_HZ)):
        t_us = round(n * 1e6 / ATTITUDE_HZ)
        boot_us = BOOT_AT_START_US + t_us
        yaw = n * YAW_STEP_RAD
        put(t_us, mavlink2.MAVLink_attitude_message(boot_us // 1000, 0.01, 0.02, yaw, 0, 0, 0))
        if n % 5 == 0:
            put(t_us, _position(boot_us))
        if n % 10 == 0:
            put(t_us, mavlink2.MAVLink_system_time_message(START_US + t_us, boot_us // 1000))
            put(t_us, mavlink2.MAVLink_gps_raw_int_message(
                boot_us, 3, 315000000, 1203000000, 80000, 80, 90, 500, 0, 14
            ))  # fmt: skip
    return bytes(out)


def _position(boot_us: int) -> mavlink2.MAVLink_message:
    north = round(50 * math.sin(boot_us / 1e7))
    return mavlink2.MAVLink_global_position_int_message(
        boot_us // 1000, 315000000 + north, 1203000000, 85000, 80000, 0, 0, 0, 0
    )


def index_from_yaw(yaw_rad: float) -> float:
    """Return the frame number, with its fraction, that was being taken at a yaw."""
    t_us = START_US + yaw_rad / YAW_STEP_RAD * 1e6 / ATTITUDE_HZ
    return (t_us - frame_us(0)) * RATE_HZ / 1e6
