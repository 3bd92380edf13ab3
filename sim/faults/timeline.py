"""What goes wrong on the way, and when: the timeline of a scenario's faults."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise


class FaultKind(Enum):
    """What can go wrong."""

    VIDEO_FREEZE = "video_freeze"  # the same picture again and again
    VIDEO_BLACK = "video_black"
    VIDEO_LOSS = "video_loss"  # no pictures at all
    VIDEO_LATENCY = "video_latency"  # pictures come by_s later than the stated latency
    MAVLINK_SILENCE = "mavlink_silence"
    MAVLINK_GARBAGE = "mavlink_garbage"  # bytes that are no message
    MAVLINK_REBOOT = "mavlink_reboot"  # silent for for_s, then a new boot clock
    CLOCK_JUMP = "clock_jump"  # the autopilot's UTC is by_s off
    GNSS_LOSS = "gnss_loss"
    LINK_DOWN = "link_down"  # between uplink and broker nothing passes
    BROKER_KILL = "broker_kill"  # the broker's connections break, new ones are refused


VIDEO_KINDS = frozenset(kind for kind in FaultKind if kind.value.startswith("video_"))
NETWORK_KINDS = frozenset({FaultKind.LINK_DOWN, FaultKind.BROKER_KILL})
MAVLINK_KINDS = frozenset(FaultKind) - VIDEO_KINDS - NETWORK_KINDS
MEASURED_KINDS = frozenset({FaultKind.VIDEO_LATENCY, FaultKind.CLOCK_JUMP})  # those with by_s


@dataclass(frozen=True)
class Fault:
    """One fault, in seconds since the flight's start."""

    kind: FaultKind
    at_s: float
    for_s: float
    by_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.at_s >= 0.0:
            raise ValueError(f"at_s must not be negative, got {self.at_s}")
        if not 0.0 < self.for_s < float("inf"):
            raise ValueError(f"for_s must be positive, got {self.for_s}")
        if (self.by_s != 0.0) != (self.kind in MEASURED_KINDS):
            needs = ", ".join(sorted(kind.value for kind in MEASURED_KINDS))
            raise ValueError(
                f"by_s belongs to {needs} and only there; {self.kind.value} has {self.by_s}"
            )
        if self.kind is FaultKind.VIDEO_LATENCY and not 0.0 < self.by_s <= 10.0:
            raise ValueError(f"by_s of video_latency must be in (0, 10], got {self.by_s}")

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.at_s + self.for_s


@dataclass(frozen=True)
class Timeline:
    """All faults of a flight, in order; two of a kind never overlap."""

    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        for kind in FaultKind:
            for one, other in pairwise(self.of(kind)):
                if other.at_s < one.end_s:
                    raise ValueError(
                        f"two {kind.value} overlap: one ends at {one.end_s} s, the next begins "
                        f"at {other.at_s} s"
                    )

    def of(self, kind: FaultKind) -> tuple[Fault, ...]:
        """Return the faults of a kind in order of time."""
        return tuple(sorted((f for f in self.faults if f.kind is kind), key=lambda f: f.at_s))

    def only(self, kinds: Iterable[FaultKind]) -> Timeline:
        """Return the faults of these kinds."""
        kinds = set(kinds)
        return Timeline(tuple(f for f in self.faults if f.kind in kinds))

    def active(self, kind: FaultKind, time_s: float) -> Fault | None:
        """Return the fault of a kind that acts at a time, if any."""
        for fault in self.faults:
            if fault.kind is kind and fault.at_s <= time_s < fault.end_s:
                return fault
        return None

    def by_s(self, kind: FaultKind, time_s: float) -> float:
        """Return how far a measured fault shifts at a time; 0 where none acts."""
        fault = self.active(kind, time_s)
        return 0.0 if fault is None else fault.by_s

    def last_reboot_s(self, time_s: float) -> float | None:
        """Return when the autopilot's present boot began, if it rebooted under way."""
        over = [f.end_s for f in self.of(FaultKind.MAVLINK_REBOOT) if f.end_s <= time_s]
        return over[-1] if over else None


NO_FAULTS = Timeline()
