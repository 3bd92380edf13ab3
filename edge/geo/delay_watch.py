"""The video's delay in flight: looked at while the aircraft turns, and only within a budget.

A frame costs some 2 ms, so the watch looks only where there is something to learn: while the camera
turns, and at most so many frames on average.  Each turn gives one answer; the last few, weighed,
are what is told.  Nothing here corrects a frame's time.
"""

from __future__ import annotations

import logging
import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from edge.geo.camera import Intrinsics
from edge.geo.delay import MAX_PAIR_S, MIN_TURNED_RAD, Delay, NoDelay, TurnCurve, solve_delay
from edge.geo.flow import CornerFlow, Unseen
from edge.geo.mount import Mount
from edge.geo.rotations import is_unit, matrix_from_quaternion
from edge.geo.turning import SeenTurn, Still, TurnWatcher, told_turns
from edge.records import Frame, MonoNs, NoPose, Pose, Tick

log = logging.getLogger(__name__)

TURNS_RADPS = math.radians(6.0)  # the camera turns: worth looking at
HOLD_NS = 700_000_000  # looks on so long after it has stopped: the end of a turn tells as much
# Two frames in three seconds on average; saved up for a long turn.
FRAMES_PER_S, SAVED_FRAMES, TURN_FRAMES = 0.7, 40.0, 15.0
APART_NS = 100_000_000  # 10 frames a second show a turn as well as 30
MAX_DELAY_S = 0.5
_WIDTH_PX, _N_POINTS = 320, 60
_POSE_STEP_NS = 40_000_000
_POSES_A_CALL = 12  # 0.05 ms each
# The newest pose must be older than this: samples on both sides have come by then.
_POSE_AGE_NS = 500_000_000
_KEPT = 5  # turns whose answers are weighed
TOLD_SIGMA_S = 0.03  # a delay known less well is not told
# Answers this many sigmas from those before are another delay: two in a row replace them.
_JUMP_SIGMAS = 4.0
_AGREES_SIGMAS = 3.0


@dataclass(frozen=True, slots=True)
class DelayTold:
    """What the watch says of one camera; seconds.

    Attributes:
        delay_s: Of the video, the configured latency with it; None: not known.
        reason: Why not; None where it is known.
        excess_s: How far the frames' times are off by it; 0 while that may be chance.
    """

    delay_s: float | None
    sigma_s: float | None
    reason: str | None
    excess_s: float = 0.0


@dataclass(slots=True)
class _Burst:
    """One turn that is being looked at."""

    seen: list[SeenTurn] = field(default_factory=list)
    poses: list[Pose | NoPose] = field(default_factory=list)
    start_ns: int = 0  # of the poses
    first_ns: int = 0  # of the frames
    last_ns: int = 0
    is_over: bool = False


@dataclass(frozen=True, slots=True)
class WatchedCamera:
    """What the watch must know of a camera: its calibration, and the latency as configured."""

    camera_id: str
    intrinsics: Intrinsics
    mount: Mount
    latency_s: float
    latency_sigma_s: float


class DelayWatch:
    """Watches one camera's delay."""

    def __init__(self, camera: WatchedCamera, poses_at: Callable[[MonoNs], Pose | NoPose]) -> None:
        self._camera, self._poses_at = camera, poses_at
        self._watcher = TurnWatcher(
            camera.intrinsics, camera.mount, _WIDTH_PX, CornerFlow(_N_POINTS)
        )
        self._last: Still | None = None
        self._saved, self._filled_ns = SAVED_FRAMES, 0
        self._seen_ns, self._step_ns, self._passed = 0, float(APART_NS), 0
        self._turning_ns = -(1 << 62)
        self._burst: _Burst | None = None
        self._answers: deque[tuple[float, float]] = deque(maxlen=_KEPT)  # delay, sigma
        self._other: tuple[float, float] | None = None  # one that does not fit the answers
        self._is_off = False
        self.unseen: Counter[str] = Counter()
        self.told = DelayTold(None, None, NoDelay.NO_TURNS.value)

    def see(self, event: Frame | Tick) -> None:
        """Take an event that the loop is done with; other cameras' frames are nothing to it."""
        if isinstance(event, Tick):
            self.advance(event.mono_ns)
        elif event.camera_id == self._camera.camera_id:
            self.note(event, self._poses_at(event.captured_mono_ns))

    def note(self, frame: Frame, pose: Pose | NoPose) -> None:
        """Look at a frame that has been reported, if it is worth it and may be afforded."""
        now_ns = frame.captured_mono_ns
        self.advance(now_ns)
        if isinstance(pose, NoPose) or not self._is_turning(pose, now_ns):
            self._end_burst()
            return
        burst = self._burst
        if burst is not None and burst.is_over:
            return  # its poses are still coming: the next turn begins a little late
        if not self._is_next(now_ns) or not self._pay(now_ns):
            return
        still = self._watcher.still(frame, pose)
        last, self._last = self._last, None
        if isinstance(still, Unseen):
            self._miss(still)
            return
        self._last = still
        if last is None or not 0 < now_ns - last.mono_ns <= MAX_PAIR_S * 1e9:
            return
        turn = self._watcher.turn(last, still)
        if isinstance(turn, Unseen):
            self._miss(turn)
            return
        if burst is None:
            start_ns = last.mono_ns - round(MAX_DELAY_S * 1e9) - 4 * _POSE_STEP_NS
            burst = self._burst = _Burst(start_ns=start_ns, first_ns=last.mono_ns)
        burst.seen.append(turn)
        burst.last_ns = now_ns

    def advance(self, now_ns: int) -> None:
        """Go on with what may be done at any time; called at ticks and with each frame."""
        burst = self._burst
        if burst is None:
            return
        if now_ns - burst.last_ns > MAX_PAIR_S * 1e9 or now_ns < burst.first_ns:
            self._end_burst()
        wanted_ns = burst.last_ns + round(MAX_DELAY_S * 1e9) + 5 * _POSE_STEP_NS
        for _ in range(_POSES_A_CALL):
            next_ns = burst.start_ns + len(burst.poses) * _POSE_STEP_NS
            if next_ns > min(now_ns - _POSE_AGE_NS, wanted_ns):
                break
            burst.poses.append(self._poses_at(MonoNs(next_ns)))
        if burst.is_over and burst.start_ns + len(burst.poses) * _POSE_STEP_NS > wanted_ns:
            self._burst = None
            self._solve(burst)

    def timed(self, frame: Frame) -> Frame:
        """Return the frame with a time's sigma that covers what the watch has found."""
        excess_s = self.told.excess_s
        if not excess_s:
            return frame
        return replace(frame, captured_sigma_s=math.hypot(frame.captured_sigma_s, excess_s))

    def _is_turning(self, pose: Pose, now_ns: int) -> bool:
        if is_unit(pose.ned_from_body_wxyz):
            ned_from_body = matrix_from_quaternion(pose.ned_from_body_wxyz)
            rates = self._camera.mount.ned_rates_radps(pose, ned_from_body)
            if rates is not None and float(np.linalg.norm(rates)) > TURNS_RADPS:
                self._turning_ns = now_ns
        return 0 <= now_ns - self._turning_ns <= HOLD_NS

    def _is_next(self, now_ns: int) -> bool:
        """Thin fast video out, by counting: taking frames by their times would favour late ones."""
        step_ns, self._seen_ns = now_ns - self._seen_ns, now_ns
        if 0 < step_ns < MAX_PAIR_S * 1e9:
            self._step_ns += 0.1 * (step_ns - self._step_ns)
        self._passed += 1
        if self._last is not None and self._passed < round(APART_NS / max(1.0, self._step_ns)):
            return False
        self._passed = 0
        return True

    def _pay(self, now_ns: int) -> bool:
        """Take one frame from what is saved up."""
        since_s = max(0.0, (now_ns - self._filled_ns) * 1e-9) if self._filled_ns else 0.0
        self._filled_ns = now_ns
        self._saved = min(SAVED_FRAMES, self._saved + since_s * FRAMES_PER_S)
        # Half a turn tells nothing: none is begun that could not be seen through.
        if self._saved < (TURN_FRAMES if self._last is None else 1.0):
            self._end_burst()
            return False
        self._saved -= 1.0
        return True

    def _miss(self, why: Unseen) -> None:
        self.unseen[why.value] += 1
        if self.told.delay_s is None:
            self.told = DelayTold(None, None, why.value)

    def _end_burst(self) -> None:
        self._last = None
        if self._burst is not None:
            self._burst.is_over = True

    def _solve(self, burst: _Burst) -> None:
        """Take a finished turn's answer into account."""
        if sum(float(np.linalg.norm(one.turn_ned_rad)) for one in burst.seen) < MIN_TURNED_RAD:
            return
        turned_rad = told_turns(burst.poses, self._camera.mount)
        curve = TurnCurve(burst.start_ns, _POSE_STEP_NS * 1e-9, turned_rad)
        delay = solve_delay(burst.seen, curve, MAX_DELAY_S)
        if isinstance(delay, Delay):
            self._take(delay.delay_s, delay.sigma_s)
        elif self.told.delay_s is None:
            self.told = DelayTold(None, None, delay.value)

    def _take(self, off_s: float, sigma_s: float) -> None:
        mean_s, mean_sigma_s = self._mean()
        if self._answers and abs(off_s - mean_s) > _JUMP_SIGMAS * math.hypot(mean_sigma_s, sigma_s):
            other, self._other = self._other, (off_s, sigma_s)
            if other is None or abs(other[0] - off_s) > _JUMP_SIGMAS * math.hypot(
                other[1], sigma_s
            ):
                return
            self._answers.clear()
            self._answers.append(other)
        self._other = None
        self._answers.append((off_s, sigma_s))
        self._tell()

    def _mean(self) -> tuple[float, float]:
        """Weigh the answers; the sigma is never less than their scatter says."""
        if not self._answers:
            return 0.0, math.inf
        values, sigmas = np.array(self._answers).T
        weights = 1.0 / sigmas**2
        mean = float((values * weights).sum() / weights.sum())
        stretch = math.sqrt(float(((values - mean) ** 2 * weights).sum()) / max(1, len(values) - 1))
        return mean, max(1.0, stretch) / math.sqrt(float(weights.sum()))

    def _tell(self) -> None:
        off_s, sigma_s = self._mean()
        if sigma_s > TOLD_SIGMA_S:
            self.told = DelayTold(None, None, NoDelay.TOO_UNSURE.value)
            return
        allowed_s = _AGREES_SIGMAS * math.hypot(sigma_s, self._camera.latency_sigma_s)
        is_off = abs(off_s) > allowed_s
        excess_s = math.hypot(off_s, sigma_s) if is_off else 0.0
        self.told = DelayTold(self._camera.latency_s + off_s, sigma_s, None, excess_s)
        if is_off != self._is_off:
            self._is_off = is_off
            log.warning(
                "video_delay_%s camera=%s delay_ms=%.0f sigma_ms=%.0f configured_ms=%.0f",
                "off" if is_off else "agrees_again",
                self._camera.camera_id,
                1e3 * (self._camera.latency_s + off_s),
                1e3 * sigma_s,
                1e3 * self._camera.latency_s,
            )
