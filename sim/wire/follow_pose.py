"""Where an external autopilot's camera is and looks, from its own MAVLink messages."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.camera import ENU_FROM_NED, GIMBAL_FROM_CAMERA, CameraPose, ned_from_frame
from sim.vehicle.mount import MountKind, matrix_from_quaternion
from sim.vehicle.vehicle import Origin

FloatArray = NDArray[np.float64]

_KEPT = 400  # samples of each kind: eight seconds at 50 Hz
_LATEST_S = 0.5  # a newest sample older than this is no pose any more
_AUTOPILOT = 1
_CLOCK_SLACK = 2e-4  # two clocks may drift apart by so much, generously
_REBOOT_NS = 1_000_000_000  # a boot clock that goes back by more is a new boot
_E7 = 1e7
_YAW_FROM_VEHICLE, _YAW_FROM_NORTH = 32, 64  # asked before the older lock flag 16


@dataclass(frozen=True)
class _Sample:
    mono_ns: int
    values: FloatArray


class _Track:
    """Samples in order of arrival, interpolated."""

    def __init__(self, angles: slice | None = None) -> None:
        self._samples: deque[_Sample] = deque(maxlen=_KEPT)
        self._angles = angles

    def add(self, mono_ns: int, values: FloatArray) -> None:
        """Take a sample; angles go on past a full turn, so that they can be interpolated."""
        if self._samples and self._angles is not None:
            before = self._samples[-1].values[self._angles]
            turn = (values[self._angles] - before + math.pi) % (2 * math.pi) - math.pi
            values[self._angles] = before + turn
        if not self._samples or mono_ns > self._samples[-1].mono_ns:
            self._samples.append(_Sample(mono_ns, values))

    def at(self, mono_ns: int) -> FloatArray | None:
        """Return the values at an instant; held for a moment after the newest, then none."""
        times = [sample.mono_ns for sample in self._samples]
        place = bisect_right(times, mono_ns)
        if place == 0:
            return None
        if place == len(times):
            newest = self._samples[-1]
            return newest.values if mono_ns - newest.mono_ns < _LATEST_S * 1e9 else None
        low, high = self._samples[place - 1], self._samples[place]
        share = (mono_ns - low.mono_ns) / (high.mono_ns - low.mono_ns)
        return low.values * (1 - share) + high.values * share


class _SenderClock:
    """Lays the sender's boot clock on ours: by the message that was under way the shortest."""

    def __init__(self) -> None:
        self._offset_ns: float | None = None
        self._boot_ns = self._arrived_ns = 0

    def mono_ns(self, boot_ns: int | None, arrived_ns: int) -> int:
        """Return when a message was sent; one without a time goes with the one before it.

        What waits in the socket while a picture is drawn would else be dated late.
        """
        if boot_ns is None:
            boot_ns = self._boot_ns
        elif self._offset_ns is None or boot_ns < self._boot_ns - _REBOOT_NS:
            self._offset_ns = arrived_ns - boot_ns
        else:
            slack = (arrived_ns - self._arrived_ns) * _CLOCK_SLACK
            self._offset_ns = min(arrived_ns - boot_ns, self._offset_ns + slack)
        if self._offset_ns is None:
            return arrived_ns
        self._boot_ns, self._arrived_ns = boot_ns, arrived_ns
        return min(arrived_ns, round(boot_ns + self._offset_ns))


@dataclass(frozen=True)
class CameraOnBody:
    """How the camera sits on the vehicle that is followed.

    `pitch_deg`: of a fixed mount below the nose; of a gimbal below the horizon until it has told
    its own angles.
    """

    kind: MountKind
    pitch_deg: float = -90.0
    lever_arm_m: tuple[float, float, float] = (0.0, 0.0, 0.0)


class FollowedPose:
    """Gathers messages of one autopilot and says where its camera was at an instant.

    The simulation's own truth, SIM_STATE, is taken as soon as it is heard; before, and where
    there is none, the autopilot's estimate.  The district lies around the vehicle's home.
    """

    def __init__(self, camera: CameraOnBody, system_id: int | None = None) -> None:
        self.camera, self.system_id = camera, system_id
        self.has_truth = False
        self.counts: dict[str, int] = {}
        self._place, self._attitude = _Track(), _Track(slice(0, 3))
        self._gimbal = _Track()
        self._clock = _SenderClock()
        self._gimbal_from_north = False
        self._home: tuple[float, float, float] | None = None
        self._origin: Origin | None = None

    @property
    def is_placed(self) -> bool:
        """Whether it is known where on Earth the district lies."""
        return self._origin is not None

    def take(self, message: Any, arrived_ns: int) -> None:
        """Take one message; of other systems and of what is not needed nothing is kept."""
        taker = _TAKERS.get(message.get_type())
        if taker is None or message.get_srcComponent() != _AUTOPILOT:
            return
        self.system_id = self.system_id or message.get_srcSystem()
        if message.get_srcSystem() != self.system_id:
            return
        name = message.get_type()
        self.counts[name] = self.counts.get(name, 0) + 1
        boot_ms = getattr(message, "time_boot_ms", None)
        boot_ns = None if boot_ms is None else boot_ms * 1_000_000
        taker(self, message, self._clock.mono_ns(boot_ns, arrived_ns))

    def at(self, mono_ns: int, ground_up_m: float = 0.0) -> CameraPose | None:
        """Return the camera's pose in the district's axes at an instant; none where unknown.

        Args:
            mono_ns: The instant.
            ground_up_m: Of the district's ground at its middle, where home is.
        """
        place, rpy = self._place.at(mono_ns), self._attitude.at(mono_ns)
        if place is None or rpy is None or self._origin is None:
            return None
        east, north = self._origin.local(float(place[0]), float(place[1]))
        position = np.array([east, north, float(place[2]) - self._origin.amsl_m + ground_up_m])
        body = ned_from_frame(*rpy)
        arm = ENU_FROM_NED @ body @ np.array(self.camera.lever_arm_m)
        turned = self._ned_from_gimbal(mono_ns, body, rpy)
        return CameraPose(position + arm, ENU_FROM_NED @ turned @ GIMBAL_FROM_CAMERA)

    def _ned_from_gimbal(self, mono_ns: int, body: FloatArray, rpy: FloatArray) -> FloatArray:
        pitch_rad = math.radians(self.camera.pitch_deg)
        if self.camera.kind is MountKind.FIXED:
            return np.asarray(body @ ned_from_frame(0.0, pitch_rad, 0.0))
        wxyz = self._gimbal.at(mono_ns)
        if wxyz is None:
            return ned_from_frame(0.0, pitch_rad, float(rpy[2]))
        gimbal = matrix_from_quaternion(wxyz / np.linalg.norm(wxyz))
        if self.camera.kind is MountKind.SERVO_GIMBAL:
            return np.asarray(body @ gimbal)
        if self._gimbal_from_north:
            return gimbal
        return np.asarray(ned_from_frame(0.0, 0.0, float(rpy[2])) @ gimbal)

    def _sim_state(self, message: Any, mono_ns: int) -> None:
        lat, lon = message.lat_int / _E7, message.lon_int / _E7
        if not lat and not lon:  # sent by a simulation older than these two fields
            # ArduPilot has put 1e-7 degrees into what the protocol calls degrees (measured).
            unit = _E7 if abs(message.lat) > 360 or abs(message.lon) > 360 else 1.0
            lat, lon = message.lat / unit, message.lon / unit
        if not lat and not lon:
            return  # its own origin is not set yet
        if not self.has_truth:  # never half of one source and half of the other
            self.has_truth = True
            self._place, self._attitude = _Track(), _Track(slice(0, 3))
        self._place.add(mono_ns, np.array([lat, lon, message.alt]))
        self._attitude.add(mono_ns, np.array([message.roll, message.pitch, message.yaw]))

    def _position(self, message: Any, mono_ns: int) -> None:
        if not message.lat and not message.lon:
            return  # before the filter has an origin
        lat, lon = message.lat / _E7, message.lon / _E7
        if self._home is None and self._origin is None:
            # Until home is told: below where it was first seen.
            self._settle(lat, lon, (message.alt - message.relative_alt) / 1e3)
        if not self.has_truth:
            self._place.add(mono_ns, np.array([lat, lon, message.alt / 1e3]))

    def _attitude_of(self, message: Any, mono_ns: int) -> None:
        if not self.has_truth:
            self._attitude.add(mono_ns, np.array([message.roll, message.pitch, message.yaw]))

    def _gimbal_of(self, message: Any, mono_ns: int) -> None:
        wxyz = np.array(message.q, np.float64)
        if not np.isfinite(wxyz).all() or not 0.9 < float(np.linalg.norm(wxyz)) < 1.1:
            return  # all zeros until the gimbal is found (measured)
        self._gimbal_from_north = bool(message.flags & _YAW_FROM_NORTH) and not bool(
            message.flags & _YAW_FROM_VEHICLE
        )
        newest = self._gimbal.at(mono_ns)
        # q and -q are one turn: the nearer of the two can be interpolated.
        self._gimbal.add(mono_ns, -wxyz if newest is not None and newest @ wxyz < 0 else wxyz)

    def _home_of(self, message: Any, mono_ns: int) -> None:
        home = (message.latitude / _E7, message.longitude / _E7, message.altitude / 1e3)
        if self._home is None and (home[0] or home[1]):
            self._home = home
            self._settle(*home)

    def _settle(self, lat_deg: float, lon_deg: float, amsl_m: float) -> None:
        self._origin = Origin(lat_deg, lon_deg, amsl_m, 0.0)


_TAKERS: dict[str, Callable[[FollowedPose, Any, int], None]] = {
    "SIM_STATE": FollowedPose._sim_state,
    "GLOBAL_POSITION_INT": FollowedPose._position,
    "ATTITUDE": FollowedPose._attitude_of,
    "GIMBAL_DEVICE_ATTITUDE_STATUS": FollowedPose._gimbal_of,
    "HOME_POSITION": FollowedPose._home_of,
}
