"""A painted flight: a red square on black ground, seen from straight above by projection done here.

The camera looks down from 50 m with 640 px of focal length on 640 × 640 px and moves north by one
cell of the tiny detector a second, so that every look at the square is exact.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as mavlink2

from edge.vision.manifest import HeadTable, InputTable
from tests.unit.vision.tiny_models import cell_model, write_model

START_US = 1_700_000_000_000_000
BOOT_AT_START_MS = 30_000
HOME_LAT_DEG, HOME_LON_DEG, HOME_AMSL_M = 31.5, 120.3, 5.0
HEIGHT_M, FOCAL_PX, SIDE_PX, CELL_PX = 50.0, 640.0, 640, 80
CELL_M = CELL_PX * HEIGHT_M / FOCAL_PX  # 6.25
# Metres north for a degree of latitude, at 31.5°: the meridian's curvature there (WGS 84).
M_PER_LAT_DEG = 110_877.0
N_FRAMES = 8
LABEL = "structure"


@dataclass(frozen=True)
class Painted:
    """What is in the folder."""

    folder: Path
    target_lat_deg: float
    target_lon_deg: float


def lat_after(seconds: float) -> float:
    """Where the vehicle is: north by a cell a second."""
    return HOME_LAT_DEG + CELL_M * seconds / M_PER_LAT_DEG


def paint(folder: Path, camera_ids: tuple[str, ...] = ("main",)) -> Painted:
    """Write the flight; the square lies under the camera's path, half a cell east of it."""
    folder.mkdir(parents=True)
    cameras = "".join(
        f'[[camera]]\nid = "{name}"\nstills = "{name}/*.png"\n'
        'calibration = "camera.toml"\nmount = "mount.toml"\n'
        for name in camera_ids
    )
    (folder / "flight.toml").write_text(
        f'format = 1\nname = "painted"\n{cameras}[telemetry]\nlog = "flight.tlog"\n'
        '[time]\nrule = "filename"\npattern = "%Y%m%d%H%M%S%f.png"\n'
        '[patrol]\nconfig = "patrol.toml"\n'
    )
    _write_calibration(folder)
    _write_model_and_config(folder)
    for index in range(N_FRAMES):
        for name in camera_ids:
            _write_still(folder, name, index)
    (folder / "flight.tlog").write_bytes(_telemetry())
    # The square's centre: row 0 in frame 0, so 3.5 cells ahead of the picture's middle.
    target_m = 3.5 * CELL_M
    return Painted(
        folder,
        target_lat_deg=HOME_LAT_DEG + target_m / M_PER_LAT_DEG,
        target_lon_deg=HOME_LON_DEG + 0.5 * CELL_M / (111_320.0 * np.cos(np.radians(HOME_LAT_DEG))),
    )


def _write_still(folder: Path, name: str, index: int) -> None:
    image = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    top = index * CELL_PX
    image[top : top + CELL_PX, 4 * CELL_PX : 5 * CELL_PX] = (0, 0, 255)
    # START_US is 2023-11-14 22:13:20 UTC.
    stamp = f"20231114{221320 + index:06d}00"
    (folder / name).mkdir(exist_ok=True)
    cv2.imwrite(str(folder / name / f"{stamp}.png"), image)


def _write_calibration(folder: Path) -> None:
    (folder / "camera.toml").write_text(
        f'id = "painted"\nwidth_px = {SIDE_PX}\nheight_px = {SIDE_PX}\n'
        f"fx_px = {FOCAL_PX}\nfy_px = {FOCAL_PX}\ncx_px = 319.5\ncy_px = 319.5\n"
        'model = "brown"\ndistortion = [0.0, 0.0, 0.0, 0.0, 0.0]\n'
    )
    (folder / "mount.toml").write_text(
        'id = "nadir"\nkind = "fixed"\nbody_from_camera_deg = [0.0, -90.0, 0.0]\n'
    )


def _write_model_and_config(folder: Path) -> None:
    write_model(
        folder / "model",
        cell_model(),
        labels=(LABEL,),
        input=InputTable(width_px=64, height_px=64, resize="stretch"),
        head=HeadTable(layout="yolov8", strides=(8,)),
    )
    (folder / "patrol.toml").write_text(
        'drone_id = "painted"\n[[camera]]\nid = "main"\nsource = "replayed"\nmodel = "model"\n'
        'calibration = "camera.toml"\nmount = "mount.toml"\n'
        f'[[rule]]\nname = "sheds"\nlabels = ["{LABEL}"]\nmin_score = 0.5\nthreshold = 0.6\n'
        'min_looks = 3\ndepartment = "urban"\nplace = "centre"\ncooldown_s = 1000\n'
        '[ground]\nsource = "home"\n'
    )


def _telemetry() -> bytes:
    out = bytearray()
    mav = mavlink2.MAVLink(None, 1, 1)

    def put(t_s: float, message: mavlink2.MAVLink_message) -> None:
        out.extend(struct.pack(">Q", START_US + round(t_s * 1e6)) + message.pack(mav))
        mav.seq = (mav.seq + 1) % 256

    for n in range((N_FRAMES + 3) * 20):
        t_s = -1.5 + n / 20
        boot_ms = BOOT_AT_START_MS + round(t_s * 1000)
        put(t_s, mavlink2.MAVLink_attitude_message(boot_ms, 0.0, 0.0, 0.0, 0, 0, 0))
        if n % 2 == 0:
            put(t_s, mavlink2.MAVLink_global_position_int_message(
                boot_ms, round(lat_after(t_s) * 1e7), round(HOME_LON_DEG * 1e7),
                round((HOME_AMSL_M + HEIGHT_M) * 1e3), round(HEIGHT_M * 1e3),
                round(CELL_M * 100), 0, 0, 0,
            ))  # fmt: skip
        if n % 20 == 0:
            put(t_s, mavlink2.MAVLink_heartbeat_message(2, 3, 217, 3, 4, 3))
            put(t_s, mavlink2.MAVLink_home_position_message(
                round(HOME_LAT_DEG * 1e7), round(HOME_LON_DEG * 1e7), round(HOME_AMSL_M * 1e3),
                0.0, 0.0, 0.0, [1.0, 0.0, 0.0, 0.0], 0.0, 0.0, 0.0,
            ))  # fmt: skip
            unix_us = START_US + round(t_s * 1e6)
            put(t_s, mavlink2.MAVLink_system_time_message(unix_us, boot_ms))
            put(t_s, mavlink2.MAVLink_gps_raw_int_message(
                boot_ms * 1000, 3, round(HOME_LAT_DEG * 1e7), round(HOME_LON_DEG * 1e7),
                55000, 80, 90, 500, 0, 14,
            ))  # fmt: skip
    return bytes(out)
