"""The error budget: what is uncertain, how much, and whether the looks of a pass share it.

Every source is a column: the ground displacement by one sigma of it.  A covariance is the sum of
the columns' outer products.  What looks share goes on by source, because the fusion of looks
must know what two of them err by in common: the same tilt puts a thing north in one look and
south in another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edge.config import AccuracyConfig
from edge.geo.mount import MOUNT_FROM_CAMERA, Mount, MountKind
from edge.geo.view import Slopes, View
from edge.records import Covariance2, FloatArray, Frame, Pose, SharedSource

# `h_acc` is of the distance, both axes together (u-blox: hAcc² = variance north + variance east).
AXIS_FROM_H_ACC = math.sqrt(0.5)
# A receiver's own accuracy leaves out what neighbouring epochs share (atmosphere, reflections):
# standing still, metre-class receivers that claim 0.2 m wander by half a metre within minutes.
GNSS_FLOOR_M = 0.5
# Only a carrier-phase (RTK) solution claims less than this, and it may be believed ...
RTK_CLAIM_M = 0.10
RTK_FLOOR_M = 0.02  # ... to the wavelength's tenth
# Video timestamps jitter by a few milliseconds, and rolling shutters read for 10 to 30.
FRAME_JITTER_S = 0.005
# Where the pose has no rates: a patrol drone turns and sways about this much, one sigma.
ASSUMED_RATE_RADPS = math.radians(5.0)
# What interpolation between samples cannot know: gusts, one sigma, growing with time squared.
GUST_MPS2 = 2.0
GUST_RADPS2 = math.radians(60.0)
# How fast a gimbal's angle may drift from its last report.
GIMBAL_DRIFT_RADPS = math.radians(3.0)


# Columns of the sources that are turns, in the order of `Budget.turn_axes`.
_TURNS = slice(SharedSource.HEADING, SharedSource.MOUNT_YAW + 1)


@dataclass(frozen=True, slots=True)
class Budget:
    """One sigma of every source for one frame, split by whether looks share it."""

    look_rotation_rad: FloatArray  # (3,), about north, east, down
    look_shift_m: FloatArray  # (3,), north, east, down
    look_time_s: float
    turns: FloatArray  # (3, 8), shared: axes in NED, as long as one sigma in rad; see `_TURNS`
    shared_shift_m: FloatArray  # (3,)
    shared_time_s: float
    velocity_ned_mps: FloatArray
    rates_ned_radps: FloatArray

    def errors(
        self, slopes: Slopes, box_sigma_px: FloatArray, height_sigma_m: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return what one sigma of each source does to N places.

        Args:
            slopes: Of the N places.
            box_sigma_px: Shape (2, N, 2): right and down; of one look, and shared by all.
            height_sigma_m: Shape (N,), of the point shown above the ground.

        Returns:
            The covariances of one look, (N, 2, 2), and the shared displacements by source, east
            and north, (N, 2, len(SharedSource)).
        """
        # One second later everything has moved and turned together: one column.
        per_second = slopes.shift @ self.velocity_ned_mps + slopes.rotation @ self.rates_ned_radps
        look = np.concatenate(
            (
                slopes.rotation * self.look_rotation_rad,
                slopes.shift * self.look_shift_m,
                slopes.pixel * box_sigma_px[0][:, None, :],
                per_second[:, :, None] * self.look_time_s,
            ),
            axis=2,
        )
        shared = np.empty((len(height_sigma_m), 2, len(SharedSource)))
        shared[:, :, : SharedSource.HEADING] = slopes.shift * self.shared_shift_m
        shared[:, :, _TURNS] = slopes.rotation @ self.turns
        shared[:, :, SharedSource.DELAY] = per_second * self.shared_time_s
        # A point that stands higher is a camera that hangs lower.
        shared[:, :, SharedSource.THING_HEIGHT] = slopes.shift[:, :, 2] * height_sigma_m[:, None]
        shared[:, :, SharedSource.LEAN] = slopes.pixel[:, :, 0] * box_sigma_px[1][:, :1]
        return look @ look.transpose(0, 2, 1), shared


def budget_of(
    view: View, mount: Mount, accuracy: AccuracyConfig, frame: Frame, pose: Pose
) -> Budget:
    """Take each sigma from the telemetry where it gives one, from the config where not."""
    reach_s = abs(pose.reach_s)
    gimbal_age_s = abs(pose.gimbal.age_s) if pose.gimbal and mount.body_from_mount is None else 0.0
    wobble_rad = math.hypot(
        0.5 * GUST_RADPS2 * reach_s * reach_s, GIMBAL_DRIFT_RADPS * gimbal_age_s
    )
    # The offset of a clock or a latency is the same in every frame of a pass.
    shared_time_s = math.hypot(pose.sync_sigma_s, frame.captured_sigma_s)
    rates = mount.ned_rates_radps(pose, view.ned_from_body)
    rate_rad_per_s = ASSUMED_RATE_RADPS if rates is None else 0.0
    gnss_m = gnss_sigma_m(pose, accuracy)
    return Budget(
        look_rotation_rad=_rotation_sigmas(
            accuracy.tilt_look_deg,
            accuracy.heading_look_deg,
            math.hypot(wobble_rad, rate_rad_per_s * FRAME_JITTER_S),
        ),
        look_shift_m=np.full(3, 0.5 * GUST_MPS2 * reach_s * reach_s),
        look_time_s=FRAME_JITTER_S,
        turns=_turns(view, mount, accuracy, rate_rad_per_s * shared_time_s),
        shared_shift_m=np.array([gnss_m, gnss_m, view.ground.sigma_m]),
        shared_time_s=shared_time_s,
        velocity_ned_mps=np.array(pose.velocity_ned_mps),
        rates_ned_radps=np.zeros(3) if rates is None else rates,
    )


def _turns(view: View, mount: Mount, accuracy: AccuracyConfig, other_rad: float) -> FloatArray:
    """Return the axes, shape (3, 8), NED, of the turns that looks share, as long as one sigma.

    The autopilot errs about its own level axes, a gimbal and a boresight about the camera's.
    """
    has_gimbal = mount.kind is not MountKind.FIXED
    vehicle_rad = 0.0 if mount.kind is MountKind.STABILISED_GIMBAL else _rad(accuracy.tilt_deg)
    gimbal_rad = _rad(accuracy.gimbal_deg) if has_gimbal else 0.0
    yaw_rad = _rad(math.hypot(accuracy.heading_deg, accuracy.gimbal_yaw_deg * has_gimbal))
    boresight_rad = math.hypot(mount.boresight_sigma_rad, other_rad)
    camera = view.ned_from_camera @ MOUNT_FROM_CAMERA.T  # columns: ahead, right, below
    turns = np.zeros((3, 8))
    turns[2, 0] = yaw_rad
    turns[:, 1] = view.ned_from_body[:, 1] * vehicle_rad  # pitch, about the right wing
    turns[:, 2] = view.ned_from_body[:, 0] * vehicle_rad  # roll, about the nose
    turns[:, 3] = camera[:, 1] * gimbal_rad
    turns[:, 4] = camera[:, 0] * gimbal_rad
    turns[:, 5:] = camera * boresight_rad
    return turns


def gnss_sigma_m(pose: Pose, accuracy: AccuracyConfig) -> float:
    """Return one sigma of north and of east: the receiver's word, floored, else the config's."""
    if pose.h_acc_m is None or not pose.h_acc_m > 0.0:
        return accuracy.gnss_h_m
    is_rtk = pose.h_acc_m <= RTK_CLAIM_M
    return max(pose.h_acc_m * AXIS_FROM_H_ACC, RTK_FLOOR_M if is_rtk else GNSS_FLOOR_M)


def covariance2(matrix: FloatArray) -> Covariance2:
    """Take (var_east, cov, var_north) from a 2×2 matrix."""
    (var_east, cov), (_, var_north) = matrix.tolist()
    return var_east, cov, var_north


def _rad(angle_deg: float) -> float:
    return math.radians(angle_deg)


def shared_errors(columns: FloatArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Take the east and the north of the shared displacements, shape (2, len(SharedSource))."""
    east, north = columns.tolist()
    return tuple(east), tuple(north)


def _rotation_sigmas(tilt_deg: float, heading_deg: float, other_rad: float) -> FloatArray:
    tilt_rad = math.hypot(math.radians(tilt_deg), other_rad)
    return np.array([tilt_rad, tilt_rad, math.hypot(math.radians(heading_deg), other_rad)])
