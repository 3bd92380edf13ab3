"""Poses against the truth that ArduPilot's simulator writes beside its telemetry (`SIM_STATE`).

`SIM_STATE` is the truth at the moment of sending and carries no time; it is compared at the boot
time of the ATTITUDE before it in the log, which is up to one period (20 ms) older.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge.capture.clock import utc_by_record_time
from edge.capture.dispatch import WANTED
from edge.capture.logs import read_log
from edge.capture.pose_buffer_math import angle_between_rad, metres_per_degree, multiply
from edge.capture.telemetry import Telemetry
from edge.config import AutopilotConfig
from edge.errors import BenchError
from edge.records import FloatArray, Pose

# The logs, and whose gimbal counts in each.
LOGS = {"ardupilot-sitl-tuned.tlog": 1, "ardupilot-sitl-gimbal.tlog": 154}
POSITION_TARGET_M, ATTITUDE_TARGET_DEG = 0.3, 0.3
_ASK_BEHIND_NS = 200_000_000  # the samples around the instant have come by then
_SLOW_S = 10.0  # the estimator's own error changes over this; interpolation's does not


@dataclass
class TruthErrors:
    """What poses are off by, one entry for each `SIM_STATE` that had a pose."""

    telemetry: Telemetry
    horizontal_m: list[float] = field(default_factory=list)
    attitude_deg: list[float] = field(default_factory=list)
    tilt_deg: list[float] = field(default_factory=list)
    heading_deg: list[float] = field(default_factory=list)  # positive: told too far right
    times_s: list[float] = field(default_factory=list)
    _boot_ms: int = 0
    _waiting: deque[tuple[int, int, Any]] = field(default_factory=deque)

    def take(self, message: Any, received_ns: int) -> None:
        """Note a message that the telemetry has just been fed; compare what has become due."""
        name = message.get_type()
        if name == "ATTITUDE":
            self._boot_ms = message.time_boot_ms
        elif name == "SIM_STATE":
            self._waiting.append((self._boot_ms, received_ns, message))
        while self._waiting and self._waiting[0][1] < received_ns - _ASK_BEHIND_NS:
            boot_ms, _, truth = self._waiting.popleft()
            mono_ns = self.telemetry.mono_from_boot_ms(boot_ms)
            pose = None if mono_ns is None else self.telemetry.at(mono_ns)
            if isinstance(pose, Pose):
                self._compare(pose, truth)

    def _compare(self, pose: Pose, truth: Any) -> None:
        north_m, east_m = metres_per_degree(pose.lat_deg)
        north = (pose.lat_deg - truth.lat_int * 1e-7) * north_m
        east = (pose.lon_deg - truth.lon_int * 1e-7) * east_m
        told, true = pose.ned_from_body_wxyz, (truth.q1, truth.q2, truth.q3, truth.q4)
        # What turns the true attitude into the one told, about NED's axes.
        w, x, y, z = multiply(told, (true[0], -true[1], -true[2], -true[3]))
        self.horizontal_m.append(math.hypot(north, east))
        self.attitude_deg.append(math.degrees(angle_between_rad(told, true)))
        self.tilt_deg.append(math.degrees(2.0 * math.asin(min(1.0, math.hypot(x, y)))))
        sign = math.copysign(2.0, w)  # q and -q are one rotation: take the short one
        self.heading_deg.append(math.degrees(sign * math.asin(max(-1.0, min(1.0, z)))))
        self.times_s.append(pose.mono_ns * 1e-9)

    def quick_deg(self) -> FloatArray:
        """Return attitude errors, shape (N,), less the estimator's slow error in heading."""
        heading, times_s = np.array(self.heading_deg), np.array(self.times_s)
        low, high = np.searchsorted(times_s, [times_s - _SLOW_S / 2, times_s + _SLOW_S / 2])
        slow = np.array(
            [np.median(heading[a:b]) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
        )
        return np.asarray(np.hypot(heading - slow, self.tilt_deg))


@dataclass(frozen=True, slots=True)
class SitlPose:
    """95 in 100 poses of the worst log are no farther off than this.

    Attributes:
        attitude_p95_deg: The whole, the estimator's own error with it.
        quick_p95_deg: The same less the estimator's heading error, its median over ten seconds.
    """

    position_p95_m: float
    attitude_p95_deg: float
    tilt_p95_deg: float
    heading_p95_deg: float
    quick_p95_deg: float


def fly_log(log: Path, gimbal_component_id: int) -> TruthErrors:
    """Feed a whole log in its order and compare each `SIM_STATE`."""
    senders = AutopilotConfig(gimbal_component_id=gimbal_component_id)
    telemetry = Telemetry(senders, utc_by_record_time)
    errors = TruthErrors(telemetry)
    for entry in read_log(log, WANTED | {"SIM_STATE"}):
        telemetry.feed(entry.message, entry.record_utc_ns)
        errors.take(entry.message, entry.record_utc_ns)
    return errors


def sitl_figures(flown: list[TruthErrors]) -> SitlPose:
    """Take the worst of the logs, figure by figure."""
    rows = [
        (one.horizontal_m, one.attitude_deg, one.tilt_deg, np.abs(one.heading_deg), one.quick_deg())
        for one in flown
    ]
    worst = np.max([[np.percentile(values, 95) for values in row] for row in rows], axis=0)
    return SitlPose(*(float(value) for value in worst))


def measure_sitl_pose(logs: Path) -> SitlPose:
    """Fly both logs of a folder.

    Raises:
        BenchError: They are not there, or hold no truth.
    """
    flown = []
    for name, component_id in LOGS.items():
        if not (logs / name).is_file():
            raise BenchError(f"{logs / name}: is not there; it is recorded data, and not shipped")
        errors = fly_log(logs / name, component_id)
        if not errors.horizontal_m:
            raise BenchError(f"{logs / name}: holds no SIM_STATE, or no pose beside one")
        flown.append(errors)
    return sitl_figures(flown)


def measure_sitl(logs: Path) -> tuple[float, float]:
    """Return (position_p95_m, attitude_p95_deg) of the worst log."""
    figures = measure_sitl_pose(logs)
    return figures.position_p95_m, figures.attitude_p95_deg
