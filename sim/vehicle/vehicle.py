"""The vehicle: where it truly is, and what its autopilot says of it, as MAVLink messages."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymavlink.dialects.v20 import ardupilotmega as mav

from sim.camera import ENU_FROM_NED, GIMBAL_FROM_CAMERA, CameraPose, ned_from_frame
from sim.vehicle.mount import MountKind, ned_from_gimbal, reported_quaternion
from sim.vehicle.noise import NoiseKnobs, wander
from sim.vehicle.path import FlightPlan, fly

FloatArray = NDArray[np.float64]
BOOT_BEFORE_START_S = 63.0  # the autopilot had been on this long when the flight begins
SYSTEM_ID, COMPONENT_ID = 1, 1
_EQUATOR_M, _FLATTENING = 6378137.0, 1 / 298.257223563

_GIMBAL = "GIMBAL_DEVICE_ATTITUDE_STATUS"
# What a companion asks for: messages a second.
RATES_HZ = {
    "HEARTBEAT": 1.0,
    "SYSTEM_TIME": 1.0,
    "HOME_POSITION": 0.2,
    "EKF_STATUS_REPORT": 1.0,
    "GPS_RAW_INT": 5.0,
    "GLOBAL_POSITION_INT": 10.0,
    _GIMBAL: 10.0,
    "ATTITUDE": 30.0,
}


@dataclass(frozen=True)
class Origin:
    """Where on Earth the district's centre lies."""

    lat_deg: float
    lon_deg: float
    amsl_m: float
    geoid_m: float  # height of the geoid over the ellipsoid: HAE = AMSL + this

    def geodetic(self, east_m: float, north_m: float) -> tuple[float, float]:
        """Return latitude and longitude in degrees by the local curvature: exact to mm here."""
        meridian, prime = self._radii_m()
        lat = self.lat_deg + math.degrees(north_m / meridian)
        middle = math.radians((lat + self.lat_deg) / 2)
        return lat, self.lon_deg + math.degrees(east_m / (prime * math.cos(middle)))

    def local(self, lat_deg: float, lon_deg: float) -> tuple[float, float]:
        """Return east and north in metres: the way back of `geodetic`."""
        meridian, prime = self._radii_m()
        middle = math.radians((lat_deg + self.lat_deg) / 2)
        east_m = math.radians(lon_deg - self.lon_deg) * prime * math.cos(middle)
        return east_m, math.radians(lat_deg - self.lat_deg) * meridian

    def _radii_m(self) -> tuple[float, float]:
        """Return the radii of curvature along the meridian and across it, at ground level."""
        e2 = _FLATTENING * (2 - _FLATTENING)
        sin = math.sin(math.radians(self.lat_deg))
        over = self.amsl_m + self.geoid_m
        meridian = _EQUATOR_M * (1 - e2) / (1 - e2 * sin * sin) ** 1.5 + over
        return meridian, _EQUATOR_M / math.sqrt(1 - e2 * sin * sin) + over


@dataclass(frozen=True)
class TruePose:
    """Where the vehicle and its gimbal truly are; east north up metres, angles in radians."""

    position_m: FloatArray
    velocity_mps: FloatArray
    rpy_rad: FloatArray
    gimbal_rpy_rad: FloatArray


class Vehicle:
    """One flight, fixed from its seed: true motion, and telemetry with the knobs' errors."""

    def __init__(
        self, plan: FlightPlan, noise: NoiseKnobs, origin: Origin, seed: int, start_utc_us: int = 0
    ) -> None:
        rng = np.random.default_rng([seed, 4242])
        self.plan, self.noise, self.origin, self.start_utc_us = plan, noise, origin, start_utc_us
        # What came to the simulator later draws from a stream of its own: older flights stay.
        late_rng = np.random.default_rng([seed, 4243])
        self.path = fly(plan, noise, rng, late_rng)
        self.home_m = (plan.start_m[0], plan.start_m[1], plan.home_up_m)
        self._tenths = np.arange(0.0, self.duration_s + 1.0, 0.1)
        self._errors = self._draw_errors(rng)
        pressure = late_rng.standard_normal() * noise.baro_drift_m_per_min / 60.0
        self._errors["up"] = self._errors["up"] + pressure * self._tenths
        drawn = np.deg2rad(late_rng.standard_normal(3) * noise.mount_deg)
        # How the camera truly sits on its mount, shape (3, 3): what a calibration has to find.
        self.askew = ned_from_frame(*np.deg2rad(plan.askew_deg)) @ ned_from_frame(*drawn)
        self._mount_from_camera = self.askew @ GIMBAL_FROM_CAMERA

    @property
    def duration_s(self) -> float:
        """How long the flight takes."""
        return float(self.path.times_s[-1])

    def _draw_errors(self, rng: np.random.Generator) -> dict[str, FloatArray]:
        knob, t = self.noise, self._tenths
        heading = rng.standard_normal() * knob.heading_deg * 0.9
        white = knob.gnss_white_m
        return {
            "east": wander(rng, t, knob.gnss_h_m, 120.0) + rng.standard_normal(len(t)) * white,
            "north": wander(rng, t, knob.gnss_h_m, 120.0) + rng.standard_normal(len(t)) * white,
            "up": wander(rng, t, knob.height_m, 200.0),
            "v_east": rng.standard_normal(len(t)) * knob.gnss_velocity_mps,
            "v_north": rng.standard_normal(len(t)) * knob.gnss_velocity_mps,
            "yaw": np.deg2rad(heading + wander(rng, t, knob.heading_deg * 0.44, 40.0)),
            "roll": np.deg2rad(wander(rng, t, knob.attitude_deg, 15.0)),
            "pitch": np.deg2rad(wander(rng, t, knob.attitude_deg, 15.0)),
            "gimbal_roll": np.deg2rad(wander(rng, t, knob.gimbal_deg, 60.0)),
            "gimbal_pitch": np.deg2rad(wander(rng, t, knob.gimbal_deg, 60.0)),
            "gimbal_yaw": np.deg2rad(wander(rng, t, knob.gimbal_yaw_deg, 60.0)),
        }

    def true_pose(self, time_s: float) -> TruePose:
        """Return the truth at a time since the start; held before the start and after the end."""
        path = self.path
        return TruePose(
            *(
                path.at(table, time_s)
                for table in (path.position_m, path.velocity_mps, path.rpy_rad, path.gimbal_rpy_rad)
            )
        )

    def camera_pose(
        self, time_s: float, lever_arm_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ) -> CameraPose:
        """Return the camera's truth; its pivot sits at the lever arm (forward, right, down)."""
        true = self.true_pose(time_s)
        arm_ned = ned_from_frame(*true.rpy_rad.tolist()) @ np.array(lever_arm_m)
        arm_enu = np.array([arm_ned[1], arm_ned[0], -arm_ned[2]])
        pitch_rad = math.radians(self.plan.gimbal_pitch_deg)
        turned = ned_from_gimbal(self.plan.mount, true.rpy_rad, true.gimbal_rpy_rad, pitch_rad)
        return CameraPose(
            true.position_m + arm_enu, ENU_FROM_NED @ turned @ self._mount_from_camera
        )

    @property
    def rates_hz(self) -> dict[str, float]:
        """Messages a second, by type; a fixed mount says nothing of itself."""
        silent = {_GIMBAL} if self.plan.mount is MountKind.FIXED else set()
        return {name: rate for name, rate in RATES_HZ.items() if name not in silent}

    def message(self, name: str, time_s: float) -> mav.MAVLink_message:
        """Build one message of a type as the autopilot would send it at a time since the start.

        Raises:
            ValueError: The vehicle sends no such message.
        """
        maker = getattr(self, f"_{name.lower()}", None)
        if name not in self.rates_hz or maker is None:
            raise ValueError(f"the vehicle sends no {name!r}; it sends {', '.join(self.rates_hz)}")
        return maker(time_s)

    def messages(self, start_s: float, end_s: float) -> Iterator[tuple[float, mav.MAVLink_message]]:
        """Yield (time, message) in order of time, each type at its rate in RATES_HZ."""
        due = []
        for order, (name, rate) in enumerate(self.rates_hz.items()):
            # Types are spread over their period, so that they do not come in lumps.
            offset = (0.13 + 0.61803 * order) % 1.0 / rate
            first = math.ceil((start_s - offset) * rate - 1e-9)
            due.append((offset + first / rate, order, name, first))
        heapq.heapify(due)
        while due and due[0][0] < end_s:
            time_s, order, name, count = heapq.heappop(due)
            yield time_s, self.message(name, time_s)
            step = 1 / RATES_HZ[name]
            heapq.heappush(due, (time_s + step, order, name, count + 1))

    def sent(self, start_s: float, end_s: float) -> Iterator[tuple[float, mav.MAVLink_message]]:
        """Yield `messages` as a receiver gets them: with their sender in the header."""
        sender = mav.MAVLink(None, srcSystem=SYSTEM_ID, srcComponent=COMPONENT_ID)
        for time_s, message in self.messages(start_s, end_s):
            message.pack(sender)
            yield time_s, message

    def utc_us(self, time_s: float) -> int:
        """Return the UTC of a time since the start, in microseconds."""
        return self.start_utc_us + round(time_s * 1e6)

    def _error(self, name: str, time_s: float) -> float:
        return float(np.interp(time_s, self._tenths, self._errors[name]))

    def _felt(self, time_s: float) -> TruePose:
        """Return the state that the estimator reports: late, and with its errors."""
        true = self.true_pose(time_s - self.noise.telemetry_delay_s)
        off = [self._error(k, time_s) for k in ("east", "north", "up")]
        velocity = [self._error("v_east", time_s), self._error("v_north", time_s), 0.0]
        tilt = [self._error(k, time_s) for k in ("roll", "pitch", "yaw")]
        return TruePose(
            true.position_m + off,
            true.velocity_mps + velocity,
            true.rpy_rad + tilt,
            true.gimbal_rpy_rad,
        )

    @staticmethod
    def _boot_ms(time_s: float) -> int:
        return round((BOOT_BEFORE_START_S + time_s) * 1000)

    def _heartbeat(self, time_s: float) -> mav.MAVLink_message:
        mode = mav.MAV_MODE_FLAG_CUSTOM_MODE_ENABLED | mav.MAV_MODE_FLAG_SAFETY_ARMED
        return mav.MAVLink_heartbeat_message(
            mav.MAV_TYPE_QUADROTOR,
            mav.MAV_AUTOPILOT_ARDUPILOTMEGA,
            mode | mav.MAV_MODE_FLAG_GUIDED_ENABLED,
            3,
            mav.MAV_STATE_ACTIVE,
            3,
        )

    def _system_time(self, time_s: float) -> mav.MAVLink_message:
        return mav.MAVLink_system_time_message(self.utc_us(time_s), self._boot_ms(time_s))

    def _attitude(self, time_s: float) -> mav.MAVLink_message:
        roll, pitch, yaw = self._felt(time_s).rpy_rad.tolist()
        return mav.MAVLink_attitude_message(
            self._boot_ms(time_s), roll, pitch, _wrapped(yaw), *self._gyro(time_s)
        )

    def _gyro(self, time_s: float) -> tuple[float, float, float]:
        """Return the turn rates about the body's axes, as autopilots send them, rad/s."""
        before, after = (self.true_pose(time_s + step_s).rpy_rad for step_s in (-0.02, 0.02))
        roll, pitch, _ = ((before + after) / 2).tolist()
        roll_rate, pitch_rate, yaw_rate = ((after - before) / 0.04).tolist()
        # Not the rates of the angles: in a bank a turn in yaw is a turn in pitch, too.
        level = math.cos(pitch) * yaw_rate
        return (
            roll_rate - math.sin(pitch) * yaw_rate,
            math.cos(roll) * pitch_rate + math.sin(roll) * level,
            math.cos(roll) * level - math.sin(roll) * pitch_rate,
        )

    def _global_position_int(self, time_s: float) -> mav.MAVLink_message:
        felt = self._felt(time_s)
        east, north, up = felt.position_m.tolist()
        lat, lon = self.origin.geodetic(east, north)
        velocity = felt.velocity_mps
        heading = round(math.degrees(felt.rpy_rad[2]) % 360 * 100) % 36000
        return mav.MAVLink_global_position_int_message(
            self._boot_ms(time_s),
            round(lat * 1e7),
            round(lon * 1e7),
            round((self.origin.amsl_m + up) * 1000),
            round((up - self.home_m[2]) * 1000),
            round(velocity[1] * 100),
            round(velocity[0] * 100),
            round(-velocity[2] * 100),
            heading,
        )

    def _gps_raw_int(self, time_s: float) -> mav.MAVLink_message:
        felt = self._felt(time_s)
        east, north, up = felt.position_m.tolist()
        lat, lon = self.origin.geodetic(east, north)
        speed = float(np.hypot(felt.velocity_mps[0], felt.velocity_mps[1]))
        course = round(
            math.degrees(math.atan2(felt.velocity_mps[0], felt.velocity_mps[1])) % 360 * 100
        )
        amsl = self.origin.amsl_m + up
        # A receiver states its own 68 % circle, never less than a centimetre.
        h_acc = max(
            10, round(1.5 * math.hypot(self.noise.gnss_h_m, self.noise.gnss_white_m) * 1000)
        )
        v_acc = max(10, round(self.noise.height_m * 1000))
        return mav.MAVLink_gps_raw_int_message(
            self._boot_ms(time_s) * 1000,
            mav.GPS_FIX_TYPE_3D_FIX,
            round(lat * 1e7),
            round(lon * 1e7),
            round(amsl * 1000),
            62,
            105,
            round(speed * 100),
            course % 36000,
            18,
            alt_ellipsoid=round((amsl + self.origin.geoid_m) * 1000),
            h_acc=h_acc,
            v_acc=v_acc,
            vel_acc=max(10, round(self.noise.gnss_velocity_mps * 1000)),
            hdg_acc=0,
            yaw=0,
        )

    def _gimbal_device_attitude_status(self, time_s: float) -> mav.MAVLink_message:
        true = self.true_pose(time_s)
        body, gimbal = true.rpy_rad, true.gimbal_rpy_rad
        if self.noise.gimbal_reports_command:
            body = self._felt(time_s).rpy_rad  # what the command was worked out with
            told_rad = float(self.path.at(self.path.wanted_pitch_rad, time_s))
            gimbal = np.array([0.0, told_rad, body[2]])
        off = [self._error(key, time_s) for key in ("gimbal_roll", "gimbal_pitch", "gimbal_yaw")]
        quaternion = reported_quaternion(self.plan.mount, body, gimbal + off)
        # 44, ArduPilot's usual: roll lock 4, pitch lock 8, yaw in the vehicle's frame 32.
        flags = (
            mav.GIMBAL_DEVICE_FLAGS_ROLL_LOCK
            | mav.GIMBAL_DEVICE_FLAGS_PITCH_LOCK
            | mav.GIMBAL_DEVICE_FLAGS_YAW_IN_VEHICLE_FRAME
        )
        return mav.MAVLink_gimbal_device_attitude_status_message(
            0, 0, self._boot_ms(time_s), flags, quaternion, 0.0, 0.0, 0.0, 0
        )

    def _ekf_status_report(self, time_s: float) -> mav.MAVLink_message:
        healthy = (
            0x33F  # attitude, velocities, positions, predicted positions; no constant-position mode
        )
        return mav.MAVLink_ekf_status_report_message(healthy, 0.05, 0.04, 0.06, 0.03, 0.0)

    def _home_position(self, time_s: float) -> mav.MAVLink_message:
        lat, lon = self.origin.geodetic(self.home_m[0], self.home_m[1])
        return mav.MAVLink_home_position_message(
            round(lat * 1e7),
            round(lon * 1e7),
            round((self.origin.amsl_m + self.home_m[2]) * 1000),
            0.0,
            0.0,
            0.0,
            [1.0, 0.0, 0.0, 0.0],
            0.0,
            0.0,
            0.0,
        )


def _wrapped(angle_rad: float) -> float:
    return (angle_rad + math.pi) % (2 * math.pi) - math.pi
