"""Flights of which nothing is drawn: telemetry, and the boxes that a detector would find.

Geometry alone is a thousand times quicker than pictures, so places can be judged over enough
flights for their ellipses to be counted.  Boxes come from the simulator's own camera.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pymavlink.dialects.v20 import ardupilotmega as mav

from sim.camera import CameraModel, CameraPose, project
from sim.vehicle.path import FlightPlan
from sim.vehicle.vehicle import COMPONENT_ID, SYSTEM_ID, Vehicle

FloatArray = NDArray[np.float64]

FRAME_RATE_HZ = 2.0
USED = {
    "ATTITUDE",
    "GLOBAL_POSITION_INT",
    "GIMBAL_DEVICE_ATTITUDE_STATUS",
    "GPS_RAW_INT",
    "EKF_STATUS_REPORT",
}
AROUND_S = 0.1  # of a frame that the messages reach, beside one interval of their own
MIN_BOX_PX = 12.0  # nothing smaller is found
MIN_IN_FRAME = 0.4  # share of the box's sides that must be in the picture
MISS_SHARE = 0.12  # of the frames that show a thing, in which it is not found
MIN_SPACE_M = 12.0  # between things: which is which is another test's question


@dataclass(frozen=True)
class Kind:
    """How things of a label truly are.

    Attributes:
        side_m: Shortest and longest side.
        height_m: Lowest and highest top above their foot.
        foot_sigma_m: Of their foot above home's ground, which is nowhere level.
        roof_share: How many stand on a low roof.
        ragged: How a box differs from look to look, as a share of its sides, beside the jitter.
    """

    side_m: tuple[float, float]
    height_m: tuple[float, float]
    foot_sigma_m: float
    roof_share: float = 0.0
    ragged: float = 0.0


ROOF_M = (3.0, 7.0)
KINDS = {
    "structure": Kind((3.0, 9.0), (2.3, 4.2), 0.2, roof_share=0.15),
    "waste_pile": Kind((2.0, 6.0), (0.4, 2.4), 0.6),
    "floating_waste": Kind((1.5, 5.0), (0.0, 0.1), 0.5),
    "discharge": Kind((3.0, 9.0), (0.0, 0.0), 0.5, ragged=0.1),
    "bare_soil": Kind((6.0, 16.0), (0.0, 0.2), 0.5),
    "open_pit": Kind((3.0, 9.0), (0.0, 0.0), 1.0),
}


@dataclass(frozen=True)
class Thing:
    """One thing that stands there.

    Attributes:
        middle_m: East and north of the middle of its plan, which is where it "is".
        corners_m: Shape (8, 3), east north up, of the block that a detector takes for it.
    """

    label: str
    middle_m: tuple[float, float]
    corners_m: FloatArray


@dataclass(frozen=True)
class Found:
    """One box of one frame, and what it truly shows."""

    thing: Thing
    score: float
    box_xyxy_px: tuple[float, float, float, float]


@dataclass(frozen=True)
class Shot:
    """One frame: when it was truly exposed, when it says that it was, and its boxes."""

    time_s: float
    logged_s: float
    found: tuple[Found, ...]


@dataclass(frozen=True)
class DetectorKnobs:
    """How a detector's boxes err, one sigma."""

    edge_px: float = 5.6  # each edge, anew in each frame: two pixels of a shrunk frame
    edge_share: float = 0.07  # the same, as a share of the box's side
    taken_share: float = 0.05  # what it takes for the thing, always: each side of the plan
    score: float = 0.08


@dataclass(frozen=True)
class CrossPlan(FlightPlan):
    """A lawn-mower pattern, then `cross_lanes` at right angles over the same ground."""

    cross_lanes: int = 0

    def waypoints(self) -> FloatArray:
        """Return the corners, shape (2 * (lanes + cross_lanes), 2), east north."""
        first = super().waypoints()
        if not self.cross_lanes:
            return first
        heading = np.deg2rad(self.heading_deg)
        along = np.array([np.sin(heading), np.cos(heading)])
        across = np.array([along[1], -along[0]])
        width_m = self.gap_m * (self.lanes - 1)
        step_m = self.lane_m / (self.cross_lanes + 1)
        beyond_m = (self.lane_m - width_m) / 2.0
        corners = []
        for lane in range(self.cross_lanes):
            ends = [width_m + beyond_m, -beyond_m]
            at_m = (lane + 1) * step_m
            corners += [along * at_m + across * end for end in ends[:: 1 if lane % 2 == 0 else -1]]
        return np.concatenate((first, np.array(corners) + np.array(self.start_m)))


def place_things(
    rng: np.random.Generator, half_m: float, number: int, knobs: DetectorKnobs
) -> list[Thing]:
    """Draw things of all kinds in a square around the origin, none near to another."""
    spots: list[FloatArray] = []
    while len(spots) < number:
        spot = rng.uniform(-half_m, half_m, 2)
        if all(float(np.hypot(*(spot - other))) > MIN_SPACE_M for other in spots):
            spots.append(spot)
    labels = list(KINDS)
    return [_thing(rng, labels[i % len(labels)], spot, knobs) for i, spot in enumerate(spots)]


def _thing(
    rng: np.random.Generator, label: str, middle_m: FloatArray, knobs: DetectorKnobs
) -> Thing:
    kind = KINDS[label]
    sides = rng.uniform(*kind.side_m, 2)
    # Left, right, near and far side of what the detector takes for it.
    taken = np.array([[-0.5, 0.5]] * 2) + rng.normal(0.0, knobs.taken_share, (2, 2))
    foot_m = rng.normal(0.0, kind.foot_sigma_m)
    if rng.uniform() < kind.roof_share:
        foot_m += rng.uniform(*ROOF_M)
    top_m = foot_m + rng.uniform(*kind.height_m)
    turn = rng.uniform(0.0, np.pi)
    axes = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    corners = [
        (*(middle_m + (taken[0, i] * sides[0], taken[1, j] * sides[1]) @ axes), up_m)
        for i in (0, 1)
        for j in (0, 1)
        for up_m in (foot_m, top_m)
    ]
    return Thing(label, (float(middle_m[0]), float(middle_m[1])), np.array(corners))


class Unrendered:
    """One flight over things, fixed from its seed."""

    def __init__(
        self, vehicle: Vehicle, camera: CameraModel, things: list[Thing], knobs: DetectorKnobs,
        seed: int,
    ) -> None:  # fmt: skip
        self.vehicle, self.camera, self.things = vehicle, camera, things
        self._knobs = knobs
        self._rng = np.random.default_rng([seed, 61])
        self._corners_m = np.concatenate([thing.corners_m for thing in things])

    def shots(self) -> Iterator[tuple[Shot, list[tuple[float, mav.MAVLink_message]]]]:
        """Yield the frames in order of time, each with the (time, message) pairs around it."""
        jitter_s = self.vehicle.noise.clock_jitter_s
        for index in range(int(self.vehicle.duration_s * FRAME_RATE_HZ)):
            time_s = (index + 0.5) / FRAME_RATE_HZ
            logged_s = time_s + float(self._rng.standard_normal()) * jitter_s
            shot = Shot(time_s, logged_s, self._found(self.vehicle.camera_pose(time_s)))
            yield shot, self._messages(time_s)

    def _messages(self, around_s: float) -> list[tuple[float, mav.MAVLink_message]]:
        """Return what the autopilot sends around an instant; what no pose would use is not made."""
        due = [
            (count / rate_hz, name)
            for name, rate_hz in self.vehicle.rates_hz.items()
            if name in USED
            for count in _counts(around_s, rate_hz)
        ]
        pairs = [(time_s, self.vehicle.message(name, time_s)) for time_s, name in sorted(due)]
        for _, message in pairs:
            message._header.srcSystem, message._header.srcComponent = SYSTEM_ID, COMPONENT_ID
        return pairs

    def _found(self, pose: CameraPose) -> tuple[Found, ...]:
        uv, _ = project(self.camera, pose, self._corners_m)
        blocks = uv.reshape(len(self.things), 8, 2)
        low, high = blocks.min(axis=1), blocks.max(axis=1)  # NaN where partly behind
        size = high - low
        limit = np.array([self.camera.width_px - 1.0, self.camera.height_px - 1.0])
        seen = np.minimum(high, limit) - np.maximum(low, 0.0)
        is_seen = (
            (seen >= MIN_IN_FRAME * size).all(axis=1)
            & (size.max(axis=1) >= MIN_BOX_PX)
            & (self._rng.uniform(size=len(size)) >= MISS_SHARE)
        )
        return tuple(
            self._box(self.things[i], low[i], high[i], limit) for i in np.flatnonzero(is_seen)
        )

    def _box(self, thing: Thing, low: FloatArray, high: FloatArray, limit: FloatArray) -> Found:
        rng, knobs = self._rng, self._knobs
        share = np.hypot(knobs.edge_share, KINDS[thing.label].ragged)
        sigma = np.hypot(knobs.edge_px, share * (high - low))
        edges = np.array([low, high]) + rng.standard_normal((2, 2)) * sigma
        edges = np.clip(np.sort(edges, axis=0), 0.0, limit)
        score = float(np.clip(0.75 + rng.standard_normal() * knobs.score, 0.05, 0.99))
        (x0, y0), (x1, y1) = edges.tolist()
        return Found(thing, score, (x0, y0, x1, y1))


def _counts(around_s: float, rate_hz: float) -> range:
    """Return the numbers of the messages around an instant; of the slow ones, the last."""
    if rate_hz < 1.0 / AROUND_S:
        count = int(around_s * rate_hz)
        return range(count, count + 1)
    reach_s = AROUND_S + 1.0 / rate_hz
    return range(math.ceil((around_s - reach_s) * rate_hz), int((around_s + reach_s) * rate_hz) + 1)


def over_square(plan: CrossPlan, half_m: float, reach_m: float) -> CrossPlan:
    """Lay a plan's lanes over the square around the origin, beginning `reach_m` before it."""
    lane_m = 2.0 * half_m + reach_m
    width_m = plan.gap_m * (plan.lanes - 1)
    heading = np.deg2rad(plan.heading_deg)
    along = np.array([np.sin(heading), np.cos(heading)])
    across = np.array([along[1], -along[0]])
    start = -along * lane_m / 2.0 - across * width_m / 2.0
    return replace(plan, start_m=(float(start[0]), float(start[1])), lane_m=lane_m)
