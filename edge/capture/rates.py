"""How often each message really arrives, and what to ask for when it does not.

An autopilot's word counts for nothing here: an ACK in its first seconds gave no data, and on a
serial line the ACK may never come.  What arrives is what was granted.
"""

from __future__ import annotations

import difflib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from edge.capture.link_frames import MESSAGE_IDS
from edge.errors import TelemetryConfigError

_KEPT = 64
_WINDOW_S = 5.0
_MIN_SAMPLES = 3
_BURST_S = 0.1
# A message counts as granted at this share of its rate: autopilots round to their scheduler.
ENOUGH = 0.6
FIRST_WAIT_S = 2.0
_LOOK_AGAIN_S = 0.5  # what was granted may be lost by a reboot
LONGEST_WAIT_S = 30.0
# So many requests by 511 without data, then REQUEST_DATA_STREAM beside it.
FALLBACK_AFTER = 3
_NS = 1e-9

# ArduPilot's groups (MAV_DATA_STREAM): which one holds a message.
_STREAM_OF = {
    "ATTITUDE": 10,
    "SIMSTATE": 10,
    "GLOBAL_POSITION_INT": 6,
    "GPS_RAW_INT": 2,
    "SYS_STATUS": 2,
    "VFR_HUD": 11,
    "SYSTEM_TIME": 12,
    "RANGEFINDER": 12,
    "DISTANCE_SENSOR": 12,
    "TERRAIN_REPORT": 12,
    "EKF_STATUS_REPORT": 12,
    "GIMBAL_DEVICE_ATTITUDE_STATUS": 12,
    "MOUNT_STATUS": 12,
}


class RateMeter:
    """Arrival rate of each message over its newest arrivals."""

    def __init__(self) -> None:
        self._arrivals: dict[str, deque[int]] = {}

    def count(self, name: str, mono_ns: int) -> None:
        """Note one arrival."""
        arrivals = self._arrivals.get(name)
        if arrivals is None:
            arrivals = self._arrivals[name] = deque(maxlen=_KEPT)
        arrivals.append(mono_ns)

    def rate_hz(self, name: str, now_mono_ns: int) -> float:
        """Return messages a second; 0.0 for one that never came or has stopped."""
        arrivals = self._arrivals.get(name)
        if not arrivals or len(arrivals) < 2:
            return 0.0
        newest = [ns for ns in arrivals if now_mono_ns - ns <= _WINDOW_S * 1e9]
        if len(newest) < _MIN_SAMPLES:  # a slow message: its last few, whatever they took
            newest = list(arrivals)[-_MIN_SAMPLES:]
        # Three in a burst are no rate yet: a burst counts as if it had taken a moment.
        mean_s = max((newest[-1] - newest[0]) * _NS, _BURST_S) / (len(newest) - 1)
        silent_s = (now_mono_ns - newest[-1]) * _NS
        if silent_s > max(1.0, 3.0 * mean_s):
            return 0.0
        return 1.0 / mean_s

    def rates_hz(self, now_mono_ns: int) -> dict[str, float]:
        """Return the rate of every message that ever came."""
        return {name: self.rate_hz(name, now_mono_ns) for name in sorted(self._arrivals)}

    def clear(self) -> None:
        """Forget all arrivals; the sender has started again."""
        self._arrivals.clear()


@dataclass(frozen=True, slots=True)
class IntervalRequest:
    """COMMAND_LONG 511: one message, one interval."""

    name: str
    message_id: int
    interval_us: int


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """REQUEST_DATA_STREAM: a group of messages, whole hertz; ArduPilot only."""

    stream_id: int
    rate_hz: int


@dataclass
class _Wish:
    message_id: int
    rate_hz: float
    asked: int = 0
    next_mono_ns: int = 0


def message_id(name: str) -> int:
    """Return a message's number by its name.

    Raises:
        TelemetryConfigError: No such message in the dialect; the nearest name is given.
    """
    try:
        return MESSAGE_IDS[name]
    except KeyError as error:
        near = difflib.get_close_matches(name, MESSAGE_IDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise TelemetryConfigError(
            f"autopilot.rates_hz names {name!r}, which is no MAVLink message{hint}"
        ) from error


class RateAsker:
    """Decides what to ask for and when: by what arrives, with back-off, for ever."""

    def __init__(self, rates_hz: dict[str, float]) -> None:
        self._wishes = {
            name: _Wish(message_id(name), rate_hz) for name, rate_hz in rates_hz.items()
        }

    @property
    def asked_hz(self) -> dict[str, float]:
        return {name: wish.rate_hz for name, wish in self._wishes.items()}

    def start_over(self) -> None:
        """Ask for all at once: the autopilot has rebooted, or the link came back."""
        for wish in self._wishes.values():
            wish.asked = 0
            wish.next_mono_ns = 0

    def due(
        self, meter: RateMeter, now_mono_ns: int, has_streams: bool
    ) -> list[IntervalRequest | StreamRequest]:
        """Return what to send now: wishes whose messages do not arrive as often as asked.

        Args:
            meter: What has arrived from the vehicle.
            now_mono_ns: The instant.
            has_streams: The autopilot knows REQUEST_DATA_STREAM (ArduPilot).
        """
        requests: list[IntervalRequest | StreamRequest] = []
        groups: set[int] = set()
        for name, wish in self._wishes.items():
            if now_mono_ns < wish.next_mono_ns:
                continue
            if meter.rate_hz(name, now_mono_ns) >= ENOUGH * wish.rate_hz:
                wish.asked = 0
                wish.next_mono_ns = now_mono_ns + int(_LOOK_AGAIN_S * 1e9)
                continue
            interval_us = max(1, round(1e6 / wish.rate_hz))
            requests.append(IntervalRequest(name, wish.message_id, interval_us))
            wish.asked += 1
            wish.next_mono_ns = now_mono_ns + _wait_ns(wish)
            if has_streams and wish.asked > FALLBACK_AFTER and name in _STREAM_OF:
                groups.add(_STREAM_OF[name])
        silent = [group for group in sorted(groups) if self._is_silent(group, meter, now_mono_ns)]
        return requests + [self._stream(group) for group in silent]

    def _is_silent(self, stream_id: int, meter: RateMeter, now_mono_ns: int) -> bool:
        """Tell whether nothing of a group comes.

        A group's rate overrides the intervals of all its messages, so it is not asked for the
        sake of one sensor that the vehicle does not have.
        """
        names = [name for name in self._wishes if _STREAM_OF.get(name) == stream_id]
        return all(meter.rate_hz(name, now_mono_ns) == 0.0 for name in names)

    def _stream(self, stream_id: int) -> StreamRequest:
        rates = (w.rate_hz for n, w in self._wishes.items() if _STREAM_OF.get(n) == stream_id)
        return StreamRequest(stream_id, max(1, round(max(rates))))


def _wait_ns(wish: _Wish) -> int:
    # A slow message needs its own time before its absence means anything.
    first_s = max(FIRST_WAIT_S, float(_MIN_SAMPLES) / wish.rate_hz)
    doubled_s = first_s * 2.0 ** min(wish.asked - 1, 8)
    return int(max(first_s, min(LONGEST_WAIT_S, doubled_s)) * 1e9)


def missing(asked_hz: dict[str, float], rates_hz: dict[str, float]) -> Iterable[str]:
    """Name the messages that do not arrive as often as they were asked for."""
    return [n for n, hz in asked_hz.items() if rates_hz.get(n, 0.0) < ENOUGH * hz]
