"""Calibrations of the tests: one camera with strong distortion, each kind of mount."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from edge.geo.camera import Intrinsics
from edge.geo.lens import BrownLens, Lens, RationalLens
from edge.geo.lens_fisheye import FisheyeLens
from edge.geo.mount import Mount, MountFile, MountKind, make_mount
from edge.geo.rotations import quaternion_from_euler
from edge.records import Frame, GimbalAttitude, MonoNs, Pose, YawReference

LENS = BrownLens(-0.24, 0.07, 0.0008, -0.0011, -0.006)

LENSES: dict[str, Lens] = {
    "brown": LENS,
    "rational": RationalLens(0.9, -0.1, 0.0008, -0.0011, 0.02, 1.2, 0.1, 0.01),
    "fisheye": FisheyeLens(-0.03, 0.012, -0.008, 0.001),
}


def camera(lens: Lens = LENS) -> Intrinsics:
    """A 720p camera whose principal point is off the centre."""
    return Intrinsics("test", 1280, 720, 900.0, 905.0, 655.0, 349.0, lens)


def pinhole() -> Intrinsics:
    """An ideal 720p camera: 1000 px of focal length, centred."""
    return Intrinsics("pinhole", 1280, 720, 1000.0, 1000.0, 639.5, 359.5)


def mount(kind: MountKind, **keys: object) -> Mount:
    """A mount by the keys of its file; a fixed one looks straight down."""
    if kind is MountKind.FIXED:
        keys.setdefault("body_from_camera_deg", (0.0, -90.0, 0.0))
    return make_mount(MountFile.model_validate({"id": "test", "kind": kind, **keys}))


def wxyz(roll_deg: float, pitch_deg: float, yaw_deg: float) -> tuple[float, float, float, float]:
    """A quaternion by degrees."""
    return quaternion_from_euler(*(math.radians(angle) for angle in (roll_deg, pitch_deg, yaw_deg)))


def gimbal(
    pitch_deg: float, yaw_deg: float = 0.0, reference: YawReference = YawReference.VEHICLE
) -> GimbalAttitude:
    """A gimbal that says this of itself."""
    return GimbalAttitude(wxyz(0.0, pitch_deg, yaw_deg), reference)


LEVEL = Pose(
    mono_ns=MonoNs(0),
    lat_deg=31.5,
    lon_deg=120.3,
    amsl_m=70.0,
    above_home_m=50.0,
    velocity_ned_mps=(0.0, 0.0, 0.0),
    ned_from_body_wxyz=(1.0, 0.0, 0.0, 0.0),
)


def frame() -> Frame:
    """A black 720p frame."""
    return Frame(np.zeros((720, 1280, 3), np.uint8), MonoNs(0), "test", 7)


def pose(**changes: object) -> Pose:
    """A level pose 50 m above home, changed."""
    return replace(LEVEL, **changes)  # type: ignore[arg-type]
