"""What the loop counts about itself: rates, losses, latencies.  Bounded, whatever the flight."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field

from edge.geo.delay_watch import DelayTold
from edge.protocol.status import VideoDelay

_KEPT_LATENCIES = 20_000  # newest samples kept for percentiles: some hours of alerts
_RATE_WINDOW_NS = 10_000_000_000
_KEPT_ERRORS = 64  # messages counted one by one; beyond, by their kind


@dataclass(slots=True)
class Rate:
    """Events a second over the last ten seconds."""

    _times_ns: deque[int] = field(default_factory=lambda: deque(maxlen=1000))

    def count(self, mono_ns: int) -> None:
        """Note one event."""
        self._times_ns.append(mono_ns)

    def hz(self, now_mono_ns: int) -> float:
        """Return the rate seen from `now_mono_ns`."""
        recent = [t for t in self._times_ns if now_mono_ns - t <= _RATE_WINDOW_NS]
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 1) / max(1e-9, (now_mono_ns - recent[0]) * 1e-9)


def video_delay(camera_id: str, told: DelayTold) -> VideoDelay:
    """Put what the watch says of a camera's delay into the status' words: whole ms."""
    if told.delay_s is None or told.sigma_s is None:
        return VideoDelay(camera_id, reason=told.reason or "")
    return VideoDelay(
        camera_id,
        video_delay_ms=round(told.delay_s * 1e3),
        video_delay_sigma_ms=math.ceil(told.sigma_s * 1e3),
        is_off=told.excess_s > 0.0,
    )


@dataclass(slots=True)
class Health:
    """Counters of one flight; the status message and every summary are made of them."""

    frames: int = 0
    inferences: int = 0
    detections: int = 0
    sightings: int = 0
    stored: int = 0
    lost_events: int = 0  # the guard caught something
    errors: Counter[str] = field(default_factory=Counter)  # what it was, and how often
    no_pose: Counter[str] = field(default_factory=Counter)
    no_geotag: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    inference_s: deque[float] = field(default_factory=lambda: deque(maxlen=1000))
    frame_to_outbox_s: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_LATENCIES))
    frame_rate: Rate = field(default_factory=Rate)
    video_delays: dict[str, VideoDelay] = field(default_factory=dict)  # by camera
    last_error: str = ""

    def lose(self, error: Exception) -> bool:
        """Count an event lost to an error; True if nobody has been told of such a one yet."""
        kind = type(error).__name__
        what = f"{kind}: {error}"
        self.lost_events += 1
        self.last_error = what
        if what not in self.errors and len(self.errors) >= _KEPT_ERRORS:
            what = f"other {kind}"  # messages with a number in them would never end
        self.errors[what] += 1
        return self.errors[what] == 1

    def repeats(self) -> int:
        """Return how many events were lost to errors of which only the first was told."""
        return self.lost_events - len(self.errors)
