"""The video's delay from one recorded flight: what its pictures show of turns against the gyro.

The camera's turn between neighbouring frames is seen in the pictures (`edge/geo/turning.py`) and
told by the telemetry; the delay is the shift in time at which both agree (`edge/geo/delay.py`).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from calibration.latency_stills import (
    MAX_STILLS_APART_S,
    MAX_STILLS_SIGMA_S,
    stills_watcher,
)
from edge.capture.recording import RecordedFlight
from edge.capture.recording_spec import FlightCamera
from edge.capture.telemetry import Telemetry
from edge.errors import LatencyError
from edge.geo.camera import read_intrinsics
from edge.geo.delay import MAX_PAIR_S, MIN_TURNS, Delay, NoDelay, TurnCurve, solve_delay
from edge.geo.flow import Unseen
from edge.geo.mount import read_mount
from edge.geo.turning import SeenTurn, Still, TurnWatcher, told_turns
from edge.records import Frame, MonoNs, NoPose, Pose, Tick

MAX_DELAY_S = 1.0
# A first answer beyond this is found again with the frames' times set right by it, so that the
# attitude that each frame is looked at with is its own.
LOOK_AGAIN_S = 0.06
MAX_SIGMA_S = 0.015  # a delay that is known no better helps nobody: 8 m/s are 0.12 m
_POSE_STEP_NS = 20_000_000
# Poses are asked for when the samples after them have come; `RecordedFlight` feeds 1 s ahead.
_POSE_AHEAD_NS, _POSE_LAST_NS = 300_000_000, 900_000_000

WHAT_TO_FLY = (
    "hover at 30 to 60 m over ground with detail (streets, fields; no water) and yaw left and "
    "right ten times, a quarter turn or more each, as fast as is comfortable; one minute is enough"
)


@dataclass(frozen=True, slots=True)
class FlightLatency:
    """What a flight says of one camera's delay.

    Attributes:
        was_latency_s: As `flight.toml` had it.
        latency_s: As it should be: `latency_s` of the camera.
        sigma_s: Of it.
        frame_sigma_s: One sigma of a single frame's time: `latency_sigma_s` of the camera.
        unseen: Why pairs of frames did not show their turn, and how many.
    """

    camera_id: str
    was_latency_s: float
    latency_s: float
    sigma_s: float
    frame_sigma_s: float
    delay: Delay  # what was found last, against frames late by `was_latency_s + shift_s`
    shift_s: float
    seen: tuple[SeenTurn, ...]
    curve: TurnCurve
    unseen: Counter[str]


@dataclass
class _Watched:
    """What one pass through a flight gave of one camera."""

    watcher: TurnWatcher
    telemetry: Telemetry
    shift_ns: int
    seen: list[SeenTurn] = field(default_factory=list)
    unseen: Counter[str] = field(default_factory=Counter)
    poses: list[Pose | NoPose] = field(default_factory=list)
    start_ns: int = 0
    _next_ns: int = 0
    _last: Still | None = None
    n_frames: int = 0

    def take(self, frame: Frame) -> None:
        """Look at the next frame; the telemetry has been fed a second ahead of it."""
        at_ns = frame.captured_mono_ns
        if not self.poses:
            self.start_ns = self._next_ns = at_ns - round((MAX_DELAY_S + 0.2) * 1e9)
        self.sample(at_ns + _POSE_AHEAD_NS)
        self.n_frames += 1
        moved = Frame(frame.image_bgr, MonoNs(at_ns - self.shift_ns), frame.camera_id, frame.index)
        still = self.watcher.still(moved, self.telemetry.at(moved.captured_mono_ns))
        last, self._last = self._last, None
        if isinstance(still, Unseen):
            self.unseen[still.value] += 1
            return
        self._last = still
        if last is None:
            return
        turn = self.watcher.turn(last, still)
        if isinstance(turn, Unseen):
            self.unseen[turn.value] += 1
            self._last = last if turn is Unseen.NOT_IN_ORDER else still
        else:
            self.seen.append(turn)

    def sample(self, until_ns: int) -> None:
        """Keep the poses up to an instant."""
        while self._next_ns < until_ns:
            self.poses.append(self.telemetry.at(self._next_ns))
            self._next_ns += _POSE_STEP_NS


def measure_latency(
    flight: RecordedFlight,
    camera_id: str | None = None,
    on_event: Callable[[Frame | Tick], None] = lambda _event: None,
    on_pass: Callable[[int], None] = lambda _number: None,
) -> FlightLatency:
    """Find a camera's delay in a recorded flight.

    Args:
        flight: With turns in it.
        camera_id: Of its camera; None: the first.
        on_event: Called with each frame and tick, for progress.
        on_pass: Called when the flight is looked through from its start: once, or twice.

    Raises:
        LatencyError: The flight does not show it; says why and what to fly instead.
        FlightError, CalibrationError: The flight has no such camera, or its files are not usable.
    """
    camera = _camera(flight, camera_id)
    shift_s = 0.0
    on_pass(1)
    watched, curve, delay = _look(flight, camera, shift_s, on_event)
    if abs(delay.delay_s) > LOOK_AGAIN_S:
        shift_s = delay.delay_s
        on_pass(2)
        watched, curve, delay = _look(flight, camera, shift_s, on_event)
    most_s = MAX_SIGMA_S if camera.stills is None else MAX_STILLS_SIGMA_S
    if not delay.sigma_s <= most_s:
        raise LatencyError(
            f"{flight.folder}: its {delay.n_turns} turns fix the delay of camera {camera.id!r} to "
            f"{delay.sigma_s * 1e3:.0f} ms only, wanted are {most_s * 1e3:.0f}; {WHAT_TO_FLY}"
        )
    return FlightLatency(
        camera_id=camera.id,
        was_latency_s=camera.latency_s,
        latency_s=camera.latency_s + shift_s + delay.delay_s,
        sigma_s=delay.sigma_s,
        frame_sigma_s=math.hypot(delay.sigma_s, delay.jitter_s),
        delay=delay,
        shift_s=shift_s,
        seen=tuple(watched.seen),
        curve=curve,
        unseen=watched.unseen,
    )


def _camera(flight: RecordedFlight, camera_id: str | None) -> FlightCamera:
    cameras = flight.spec.camera
    if camera_id is None:
        return cameras[0]
    for camera in cameras:
        if camera.id == camera_id:
            return camera
    there = ", ".join(camera.id for camera in cameras)
    raise LatencyError(f"{flight.folder}: has no camera {camera_id!r}; there are: {there}")


def _look(
    flight: RecordedFlight,
    camera: FlightCamera,
    shift_s: float,
    on_event: Callable[[Frame | Tick], None],
) -> tuple[_Watched, TurnCurve, Delay]:
    """Fly once through the flight, the frames taken for so much earlier, and solve."""
    telemetry = flight.telemetry(flight.spec.telemetry)
    is_stills = camera.stills is not None
    calibration = (
        read_intrinsics(flight.path(camera.calibration)),
        read_mount(flight.path(camera.mount)),
    )
    watcher = stills_watcher(*calibration) if is_stills else TurnWatcher(*calibration)
    watched = _Watched(watcher, telemetry, round(shift_s * 1e9))
    last_ns = 0
    for event in flight.events(telemetry.feed):
        if isinstance(event, Frame) and event.camera_id == camera.id:
            watched.take(event)
            last_ns = event.captured_mono_ns
        on_event(event)
    watched.sample(last_ns + _POSE_LAST_NS)
    turned_rad = told_turns(watched.poses, watcher.mount)
    curve = TurnCurve(watched.start_ns, _POSE_STEP_NS * 1e-9, turned_rad)
    pair_s = MAX_STILLS_APART_S if is_stills else MAX_PAIR_S
    delay = solve_delay(watched.seen, curve, MAX_DELAY_S, pair_s)
    if isinstance(delay, NoDelay):
        raise LatencyError(f"{flight.folder}: {_why(watched, delay)}; {WHAT_TO_FLY}")
    return watched, curve, delay


def _why(watched: _Watched, delay: NoDelay) -> str:
    """Say in words why there is no answer: what most frames lacked, or what the turns lack."""
    reasons = {
        Unseen.NO_POSE.value: "no pose at the frame's time: compare the clocks of video and log",
        Unseen.NO_ATTITUDE.value: "no attitude of the gimbal, which its mount needs",
        Unseen.DARK.value: "too dark, or without contrast",
        Unseen.NO_FEATURES.value: "nothing to follow, such as open water",
        Unseen.NO_FIT.value: "nothing that moves as ground does",
        Unseen.NOT_IN_ORDER.value: "times that do not grow",
        Unseen.FRAME_SIZE.value: "a size that is not the calibration's",
    }
    if len(watched.seen) < MIN_TURNS and watched.unseen:
        reason, count = watched.unseen.most_common(1)[0]
        return f"{count} of {watched.n_frames} frames have {reasons[reason]}"
    words = {
        NoDelay.NO_TURNS: "its camera hardly turns, or it has too few frames a second",
        NoDelay.NO_POSES: "its telemetry has holes, or is missing, around the turns",
        NoDelay.NO_PEAK: f"no delay within {MAX_DELAY_S:g} s makes its pictures fit its telemetry: "
        "look at the mount's kind and the video's times first",
    }
    return words[delay]
