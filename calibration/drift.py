"""How wrong a flight's poses may be, and how slowly that changes: what a calibration weighs with.

A pose is wrong in seven ways: three of place, three about the mount's axes, and the heading.
Each drifts.  Pictures a second apart share their error, so that a hundred of them are worth few.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.config import AccuracyConfig
from edge.geo.budget import ASSUMED_RATE_RADPS, FRAME_JITTER_S, gnss_sigma_m
from edge.geo.mount import Mount, MountKind
from edge.geo.rotations import matrix_from_quaternion
from edge.records import FloatArray, Pose

# North, east, down, m; about the mount's forward, right, down, rad; heading, rad.
N_PER_LOOK = 7
# A receiver's error drifts over minutes; a barometer's over more.
GNSS_DRIFT_S, HEIGHT_DRIFT_S = 120.0, 200.0
# A gimbal's own horizon drifts over a minute; an autopilot's attitude over seconds.
GIMBAL_DRIFT_S, ATTITUDE_DRIFT_S = 60.0, 15.0
# Of a compass, the part that changes within a flight: with the motors' current, with the wind.
HEADING_DRIFT_SHARE, HEADING_DRIFT_S = 0.5, 40.0
WHITE_M = 0.1  # from fix to fix, after the estimator's filter


@dataclass(frozen=True, slots=True)
class LookErrors:
    """What one picture's pose is uncertain by, one sigma of each of the seven ways.

    `white` is what the next picture does not share: a clock that jitters while the vehicle turns.
    """

    drift: FloatArray  # (7,)
    white: FloatArray  # (7,)


def look_errors(
    pose: Pose, ned_from_mount: FloatArray, mount: Mount, accuracy: AccuracyConfig, time_s: float
) -> LookErrors:
    """Gather the sigmas of one look from its telemetry and the config.

    Args:
        pose: Of the look.
        ned_from_mount: Shape (3, 3).
        mount: Its kind says what turns the camera.
        accuracy: Where the telemetry is silent.
        time_s: One sigma of the picture's time, as it differs from picture to picture.
    """
    gnss_m = gnss_sigma_m(pose, accuracy)
    height_m = max(accuracy.height_m, pose.v_acc_m or 0.0)
    tilt_rad, look_rad = math.radians(accuracy.tilt_deg), math.radians(accuracy.tilt_look_deg)
    heading_rad = HEADING_DRIFT_SHARE * math.radians(accuracy.heading_deg)
    rates = mount.ned_rates_radps(pose, matrix_from_quaternion(pose.ned_from_body_wxyz))
    turned = np.full(3, ASSUMED_RATE_RADPS) if rates is None else np.abs(ned_from_mount.T @ rates)
    jitter_s = math.hypot(time_s, FRAME_JITTER_S)
    moved_m = np.hypot(WHITE_M, np.abs(pose.velocity_ned_mps) * jitter_s)
    return LookErrors(
        drift=np.array([gnss_m, gnss_m, height_m, tilt_rad, tilt_rad, tilt_rad, heading_rad]),
        white=np.array(
            [
                *moved_m,
                *np.hypot(look_rad, turned * jitter_s),
                math.radians(accuracy.heading_look_deg),
            ]
        ),
    )


def information(
    looks: Sequence[LookErrors], times_s: FloatArray, kind: MountKind
) -> list[FloatArray]:
    """Return, for each of the seven ways, the inverse of its covariance over the looks.

    Args:
        looks: N of them.
        times_s: Shape (N,).
        kind: Of the mount.

    Returns:
        Seven matrices, shape (N, N).
    """
    apart_s = np.abs(times_s[:, None] - times_s[None, :])
    tilt_s = GIMBAL_DRIFT_S if kind is MountKind.STABILISED_GIMBAL else ATTITUDE_DRIFT_S
    lasting_s = (
        GNSS_DRIFT_S,
        GNSS_DRIFT_S,
        HEIGHT_DRIFT_S,
        tilt_s,
        tilt_s,
        tilt_s,
        HEADING_DRIFT_S,
    )
    drifts = np.array([look.drift for look in looks])  # (N, 7)
    whites = np.array([look.white for look in looks])
    return [
        np.linalg.inv(
            np.outer(drifts[:, way], drifts[:, way]) * np.exp(-apart_s / lasting_s[way])
            + np.diag(whites[:, way] ** 2)
        )
        for way in range(N_PER_LOOK)
    ]
