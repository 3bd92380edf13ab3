"""The true motion: a quadrotor on a lawn-mower pattern, leaning as it brakes, turns, meets wind."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim.vehicle.mount import MountKind
from sim.vehicle.noise import NoiseKnobs, sway, wander

FloatArray = NDArray[np.float64]
GRAVITY_MPS2 = 9.80665
STEP_S = 0.01
_MAX_ACCELERATION_MPS2 = 2.2
_RESPONSE_S = 0.55  # time constant from a wanted velocity to the one flown
_JERK_S = 0.25  # and from a wanted acceleration to the lean that gives it
_YAW_RATE_RAD_S = np.deg2rad(50.0)
_DRAG_PER_S = 0.22  # deceleration for each m/s of air speed
_ARRIVED_M = 1.5
_SLEW_S = 0.5  # time constant of a gimbal that is told another pitch
_SWAY_S = 1.6  # time constant of a position hold in gusts


@dataclass(frozen=True)
class FlightPlan:
    """A lawn-mower pattern over a rectangle.

    Attributes:
        start_m: East and north of the pattern's first corner.
        heading_deg: Of the first lane, from north over east.
        lane_m: Length of a lane.
        gap_m: Between lanes; positive steps to the right of the first lane.
        height_m: Above home.
        gimbal_pitch_deg: Below the horizon, negative; of a fixed mount below the nose.
        home_up_m: Home's ground above the district's zero.
        is_crossed: Whether the same pattern follows turned right about its middle, with its first
            lane across the first ones.
        again_pitch_deg: Of the gimbal while all is flown a second time; None: it is not.
        askew_deg: How the camera truly sits on its mount: roll, pitch, yaw; nobody tells it.
    """

    start_m: tuple[float, float]
    heading_deg: float
    lanes: int
    lane_m: float
    gap_m: float
    height_m: float
    speed_mps: float
    gimbal_pitch_deg: float
    mount: MountKind = MountKind.STABILISED_GIMBAL
    home_up_m: float = 0.0
    is_crossed: bool = False
    again_pitch_deg: float | None = None
    askew_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def waypoints(self) -> FloatArray:
        """Return the corners, shape (N, 2), east north: two for each lane that is flown."""
        once = self._lanes()
        if self.is_crossed:
            middle = (once.min(axis=0) + once.max(axis=0)) / 2
            # A quarter turn to the right: north becomes east.
            once = np.concatenate([once, middle + (once - middle) @ np.array([[0, -1], [1, 0]])])
        return once if self.again_pitch_deg is None else np.concatenate([once, once])

    def pitch_deg(self, leg: int) -> float:
        """Return how the gimbal looks down on the way from one corner to the next."""
        is_again = self.again_pitch_deg is not None and leg >= len(self.waypoints()) // 2
        return float(self.again_pitch_deg or 0.0) if is_again else self.gimbal_pitch_deg

    def _lanes(self) -> FloatArray:
        heading = np.deg2rad(self.heading_deg)
        along = np.array([np.sin(heading), np.cos(heading)])
        across = np.array([along[1], -along[0]])
        corners = []
        for lane in range(self.lanes):
            ends = [0.0, self.lane_m] if lane % 2 == 0 else [self.lane_m, 0.0]
            corners += [along * end + across * lane * self.gap_m for end in ends]
        return np.asarray(np.array(corners) + np.array(self.start_m))


@dataclass(frozen=True)
class Path:
    """The true motion at every STEP_S.

    Attributes:
        times_s: Shape (N,).
        position_m: Shape (N, 3), east north up.
        velocity_mps: Shape (N, 3), east north up.
        rpy_rad: Shape (N, 3), the vehicle's roll, pitch, yaw; yaw runs on past a full turn.
        gimbal_rpy_rad: Shape (N, 3), the gimbal's roll and pitch from the horizon, yaw from north;
            of no meaning for a fixed mount.
        wanted_pitch_rad: Shape (N,), what the gimbal is told.
    """

    times_s: FloatArray
    position_m: FloatArray
    velocity_mps: FloatArray
    rpy_rad: FloatArray
    gimbal_rpy_rad: FloatArray
    wanted_pitch_rad: FloatArray

    def at(self, table: FloatArray, time_s: float) -> FloatArray:
        """Interpolate one of the tables; before the start and after the end it holds."""
        place = min(max(time_s / STEP_S, 0.0), float(len(self.times_s) - 1))
        low = min(int(place), len(self.times_s) - 2)
        share = place - low
        return np.asarray(table[low] * (1 - share) + table[low + 1] * share)


@dataclass
class _State:
    position: FloatArray
    velocity: FloatArray
    acceleration: FloatArray
    yaw: float


def _wanted_velocity(
    state: _State, leg: tuple[FloatArray, FloatArray], speed_mps: float
) -> tuple[FloatArray, float]:
    start, end = leg
    along = (end - start) / np.linalg.norm(end - start)
    left = float((end - state.position) @ along)
    aside = (state.position - start) - along * float((state.position - start) @ along)
    pace = min(speed_mps, float(np.sqrt(2 * 1.4 * max(left, 0.0))) + 0.4)
    return along * pace - 0.7 * aside, left


def _turn(yaw: float, wanted: float) -> float:
    off = (wanted - yaw + np.pi) % (2 * np.pi) - np.pi
    rate = np.clip(off / 0.5, -_YAW_RATE_RAD_S, _YAW_RATE_RAD_S)
    return float(yaw + rate * STEP_S)


def fly(
    plan: FlightPlan, noise: NoiseKnobs, rng: np.random.Generator, sway_rng: np.random.Generator
) -> Path:
    """Fly a plan from its first corner to its last."""
    corners = plan.waypoints()
    first = corners[1] - corners[0]
    state = _State(
        corners[0].copy(), np.zeros(2), np.zeros(2), float(np.arctan2(first[0], first[1]))
    )
    rows, pitches_deg = [], []
    for leg, (start, end) in enumerate(pairwise(corners)):
        wanted_yaw = float(np.arctan2(*(end - start)))
        while True:
            wanted, left = _wanted_velocity(state, (start, end), plan.speed_mps)
            if left < _ARRIVED_M:
                break
            pitches_deg.append(plan.pitch_deg(leg))
            pull = np.clip(
                (wanted - state.velocity) / _RESPONSE_S,
                -_MAX_ACCELERATION_MPS2,
                _MAX_ACCELERATION_MPS2,
            )
            state.acceleration = state.acceleration + (pull - state.acceleration) * STEP_S / _JERK_S
            state.velocity = state.velocity + state.acceleration * STEP_S
            state.position = state.position + state.velocity * STEP_S
            state.yaw = _turn(state.yaw, wanted_yaw)
            rows.append((*state.position, *state.velocity, *state.acceleration, state.yaw))
    table = np.array(rows)
    times: FloatArray = np.arange(len(table), dtype=np.float64) * STEP_S
    body = _attitude(noise, rng, times, table)
    position, velocity = _pushed(plan, noise, sway_rng, table)
    wanted_rad = _lagged(np.deg2rad(pitches_deg), _SLEW_S)
    gimbal = _gimbal(plan, noise, rng, (body, wanted_rad))
    return Path(times, position, velocity, body, gimbal, wanted_rad)


def _attitude(
    noise: NoiseKnobs, rng: np.random.Generator, times_s: FloatArray, table: FloatArray
) -> FloatArray:
    """Return the lean that the motion and the wind need: roll, pitch, yaw, shape (N, 3)."""
    wind_from = rng.uniform(0, 2 * np.pi)
    steady = noise.wind_mps * np.array([np.sin(wind_from), np.cos(wind_from)])
    gusts = np.column_stack([wander(rng, times_s, noise.gust_mps, 2.5) for _ in range(2)])
    need = table[:, 4:6] + _DRAG_PER_S * (table[:, 2:4] + steady + gusts)
    yaw = table[:, 6]
    ahead = need[:, 0] * np.sin(yaw) + need[:, 1] * np.cos(yaw)
    right = need[:, 0] * np.cos(yaw) - need[:, 1] * np.sin(yaw)
    pitch = -np.arctan2(ahead, GRAVITY_MPS2)
    roll = np.arctan2(right * np.cos(pitch), GRAVITY_MPS2)
    return np.column_stack([roll, pitch, yaw])


def _pushed(
    plan: FlightPlan, noise: NoiseKnobs, rng: np.random.Generator, table: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return position and velocity, each (N, 3) east north up, with what gusts do to them."""
    n = len(table)
    height = np.full(n, plan.height_m + plan.home_up_m)
    position = np.column_stack([table[:, :2], height])
    velocity = np.column_stack([table[:, 2:4], np.zeros(n)])
    if noise.sway_m <= 0:
        return position, velocity
    times: FloatArray = np.arange(n, dtype=np.float64) * STEP_S
    push = np.column_stack([sway(rng, times, noise.sway_m, _SWAY_S) for _ in range(3)])
    push -= push[0]
    return position + push, velocity + np.gradient(push, STEP_S, axis=0)


def _gimbal(
    plan: FlightPlan,
    noise: NoiseKnobs,
    rng: np.random.Generator,
    body_and_wanted_rad: tuple[FloatArray, FloatArray],
) -> FloatArray:
    """Return the gimbal's true roll and pitch from the horizon and yaw from north, (N, 3)."""
    body_rpy_rad, wanted = body_and_wanted_rad
    times: FloatArray = np.arange(len(body_rpy_rad), dtype=np.float64) * STEP_S
    roll, pitch, yaw = body_rpy_rad.T
    if plan.mount is MountKind.SERVO_GIMBAL:
        # Servos undo the body's lean, late; two of them leave the yaw to the body.
        lag = noise.gimbal_lag_s
        held = (roll + _lagged(-roll, lag), pitch + _lagged(wanted - pitch, lag), yaw)
    else:
        held = (np.zeros(len(yaw)), wanted.copy(), _lagged(yaw, noise.gimbal_lag_s))
    shake = float(np.deg2rad(noise.gimbal_sway_deg))
    return np.column_stack([angle + wander(rng, times, shake, 0.8) for angle in held])


def _lagged(values: FloatArray, tau_s: float) -> FloatArray:
    if tau_s <= 0:
        return np.asarray(values.copy())
    out, state = np.empty_like(values), values[0]
    for i, value in enumerate(values):
        state += (value - state) * min(1.0, STEP_S / tau_s)
        out[i] = state
    return np.asarray(out)
