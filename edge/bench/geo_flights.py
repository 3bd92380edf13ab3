"""Flights of the simulator's geometry alone, through telemetry, locator and incidents.

What is judged is where each incident was put and how well its ellipse knew: over many flights,
counted by how they were flown.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from edge.capture.telemetry import Telemetry
from edge.config import PatrolConfig
from edge.geo.camera import read_intrinsics
from edge.geo.locate import Locator, Unlocated
from edge.geo.mount import Mount, MountFile, MountKind, make_mount
from edge.geo.plane import LocalPlane
from edge.patrol.incidents import Incidents
from edge.patrol.rules import RuleBook, Rules
from edge.records import AlertKind, Detection, Frame, Incident, MonoNs, NoPose, Sighting
from edge.settings import read_patrol
from sim.camera import CameraModel
from sim.unrendered import (
    CrossPlan,
    DetectorKnobs,
    Shot,
    Thing,
    Unrendered,
    over_square,
    place_things,
)
from sim.vehicle.mount import MountKind as SimMountKind
from sim.vehicle.noise import PRESETS
from sim.vehicle.vehicle import Origin, Vehicle

SIM = Path(__file__).resolve().parents[2] / "sim"
CAMERA = SIM.parent / "calibration" / "cameras" / "sim-720p.toml"
ORIGIN = Origin(31.4912, 120.3119, 8.0, 9.3)
START_NS = 1_000_000_000_000  # of the flight in this computer's clock
SQUARE_HALF_M = 45.0
THINGS = 12
FLOOR_M = {"typical": 0.02, "good": 0.02}  # transport's floor, one sigma, s


@dataclass(frozen=True, slots=True)
class Flown:
    """How a flight was flown."""

    preset: str
    height_m: float = 60.0
    pitch_deg: float = -60.0
    mount: SimMountKind = SimMountKind.STABILISED_GIMBAL
    lanes: int = 2
    cross_lanes: int = 1
    seed: int = 0

    @property
    def cell(self) -> str:
        ways = "cross" if self.cross_lanes else "lanes" if self.lanes > 1 else "one pass"
        return f"{self.height_m:.0f} m {self.pitch_deg:.0f}° {self.mount.value} {ways}"


@dataclass(frozen=True, slots=True)
class Told:
    """What was told of one thing, against the truth."""

    flown: Flown
    label: str
    kind: AlertKind
    looks: int
    error_m: float
    share: float  # squared distance over the 90 % ellipse's: 1 or less is inside
    ce90_m: float
    along_m: float  # error along and across the best look's line of sight
    across_m: float

    @property
    def is_held(self) -> bool:
        return self.share <= 1.0

    @property
    def excess(self) -> float:
        """Squared error over its expectation: 1 on average where the budget is right."""
        return self.share * -math.log(0.1)


@cache
def config_of(preset: str) -> PatrolConfig:
    """Read what flies with a noise preset."""
    return read_patrol(SIM / f"patrol-{preset}.toml")


def mount_of(flown: Flown) -> Mount:
    """Build the mount as its calibration file would have it: the simulator's is askew."""
    kind = MountKind(flown.mount.value)
    fixed = kind is MountKind.FIXED
    return make_mount(
        MountFile(
            id="geo",
            kind=kind,
            boresight_sigma_deg=PRESETS[flown.preset].mount_deg,
            body_from_camera_deg=(0.0, flown.pitch_deg, 0.0) if fixed else None,
        )
    )


def plan_of(flown: Flown) -> CrossPlan:
    """Lay the lanes so that the square is seen from each of them."""
    reach_m = min(flown.height_m / math.tan(math.radians(-flown.pitch_deg)), 120.0)
    plan = CrossPlan(
        start_m=(0.0, 0.0),
        heading_deg=float(37 * flown.seed % 360),
        lanes=flown.lanes,
        lane_m=1.0,
        gap_m=45.0,
        height_m=flown.height_m,
        speed_mps=9.0,
        gimbal_pitch_deg=flown.pitch_deg,
        mount=flown.mount,
        cross_lanes=flown.cross_lanes,
    )
    return over_square(plan, SQUARE_HALF_M, reach_m)


def unrendered(flown: Flown) -> Unrendered:
    """Draw a flight and what it flies over."""
    rng = np.random.default_rng([flown.seed, 60])
    knobs = DetectorKnobs()
    vehicle = Vehicle(plan_of(flown), PRESETS[flown.preset], ORIGIN, flown.seed)
    things = place_things(rng, SQUARE_HALF_M, THINGS, knobs)
    return Unrendered(vehicle, CameraModel.load(CAMERA), things, knobs, flown.seed)


def fly(flown: Flown) -> list[Told]:
    """Fly once, and compare every alert with the thing that it is about."""
    flight = unrendered(flown)
    pilot = _Pilot(flown)
    told: list[Told] = []
    for shot, messages in flight.shots():
        for time_s, message in messages:
            pilot.hear(time_s, message)
        told += pilot.look(shot)
    return told + pilot.finish()


class _Pilot:
    """The flight program's steps between detector and alert."""

    def __init__(self, flown: Flown) -> None:
        config = config_of(flown.preset)
        self._flown = flown
        noise = PRESETS[flown.preset]
        # As the flight's own file would state it: a delay that nobody calibrated, and jitter.
        self._sigma_s = math.hypot(noise.telemetry_delay_s, noise.clock_jitter_s)
        self._telemetry = Telemetry(config.autopilot)
        self._late_s = abs(
            float(np.random.default_rng([flown.seed, 62]).normal(0.0, FLOOR_M[flown.preset]))
        )
        self._plane = LocalPlane(ORIGIN.lat_deg, ORIGIN.lon_deg)
        self._locator = Locator(
            read_intrinsics(CAMERA),
            mount_of(flown),
            self._plane,
            accuracy=config.accuracy,
            ground=config.ground,
        )
        ids = itertools.count(1)
        self._incidents = Incidents(
            config.association, lambda: next(ids).to_bytes(16, "big"), config.accuracy
        )
        self._rules = Rules(RuleBook(config.rule))
        self._image = np.zeros((720, 1280, 3), np.uint8)
        self._shown: dict[int, tuple[Detection, Thing]] = {}
        self._now = MonoNs(START_NS)
        self._frames = 0

    def hear(self, time_s: float, message: object) -> None:
        """Take one message as it arrives."""
        self._telemetry.feed(message, START_NS + round((time_s + self._late_s) * 1e9))

    def look(self, shot: Shot) -> list[Told]:
        """Take one frame all the way to its alerts."""
        self._frames += 1
        self._now = MonoNs(START_NS + round(shot.logged_s * 1e9))
        frame = Frame(self._image, self._now, "main", self._frames, self._sigma_s)
        pose = self._telemetry.at(self._now)
        if isinstance(pose, NoPose):
            return []
        detections = []
        for found in shot.found:
            detection = Detection(found.thing.label, found.score, found.box_xyxy_px)
            self._shown[id(detection)] = (detection, found.thing)
            detections.append(detection)
        located = self._locator.locate(detections, frame, pose)
        sightings = [one for one in located if not isinstance(one, Unlocated)]
        self._incidents.add([one for one in sightings if self._rules.admits(one)], self._now)
        return self._told(self._rules.due(self._incidents, self._now))

    def finish(self) -> list[Told]:
        """End the flight: what is told last is what stands."""
        return self._told(self._rules.finish(self._incidents, self._now))

    def _told(self, verdicts: Sequence[object]) -> list[Told]:
        return [self._compared(v.kind, v.incident) for v in verdicts]  # type: ignore[attr-defined]

    def _compared(self, kind: AlertKind, incident: Incident) -> Told:
        from edge.accuracy import ce90_m, ellipse_from_covariance

        best: Sighting = incident.best
        _, thing = self._shown[id(best.detection)]
        east_m, north_m = incident.east_m - thing.middle_m[0], incident.north_m - thing.middle_m[1]
        var_east, cov, var_north = incident.covariance
        matrix = np.array([[var_east, cov], [cov, var_north]])
        error = np.array([east_m, north_m])
        distance2 = float(error @ np.linalg.solve(matrix, error))
        bearing = math.radians(best.bearing_deg)
        ahead = np.array([math.sin(bearing), math.cos(bearing)])
        right = np.array([ahead[1], -ahead[0]])
        return Told(
            flown=self._flown,
            label=incident.label,
            kind=kind,
            looks=incident.looks,
            error_m=math.hypot(east_m, north_m),
            share=distance2 / (-2.0 * math.log(0.1)),
            ce90_m=ce90_m(ellipse_from_covariance(incident.covariance)),
            along_m=float(error @ ahead),
            across_m=float(error @ right),
        )


def fly_all(flights: Sequence[Flown]) -> Iterator[Told]:
    """Fly them one after another."""
    for flown in flights:
        yield from fly(flown)
