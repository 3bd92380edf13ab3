"""The nouns of video: what a source is, and what it says of its health."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeAlias

from edge.records import ImageArray, MonoNs

_CREDENTIALS = re.compile(r"://[^/@\s]*@")

if TYPE_CHECKING:
    from edge.capture.slots import FrameSink
    from edge.capture.streams import VideoStream


class VideoState(str, Enum):
    """Life of a video source."""

    OPENING = "opening"
    PLAYING = "playing"
    LOST = "lost"  # no picture; trying again
    FROZEN = "frozen"  # the same picture over and over
    BLACK = "black"
    ENDED = "ended"  # a file came to its end, or the source was closed


class TimeSource(str, Enum):
    """What `captured_mono_ns` was made from, best first."""

    RTP_NTP = "rtp_ntp"  # the sender's own clock, from its RTCP sender reports
    PTS = "pts"  # the buffer's timestamp on the pipeline's clock
    ARRIVAL = "arrival"  # the moment it arrived in this process: all there is
    FILE_PTS = "file_pts"  # timestamps in the file, counted from when it was opened
    FILE_RATE = "file_rate"  # stills carry no time: one every 1/max_rate_hz
    NONE = "none"  # no picture yet


@dataclass(frozen=True, slots=True)
class VideoHealth:
    """How a video source is doing.  Counts are since its start."""

    state: VideoState
    frames: int = 0  # delivered to the loop's slot
    dropped: int = 0  # decoded, but a newer one came first
    reconnects: int = 0
    black: int = 0  # pictures not delivered because they were black
    frozen: int = 0  # pictures not delivered because nothing moved for too long
    size_changes: int = 0
    width_px: int = 0  # 0 until the first picture
    height_px: int = 0
    rate_hz: float = 0.0  # of pictures that came, over the last seconds; of a file: what it says
    decoder: str = ""
    time_source: TimeSource = TimeSource.NONE
    last_error: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded image as a reader gives it."""

    image_bgr: ImageArray
    captured_mono_ns: MonoNs  # before the configured latency is taken off
    captured_sigma_s: float  # of that instant alone, without the latency's
    time_source: TimeSource
    index: int  # counts what the reader decoded, lost ones included; from 0 at each opening


class PictureReader(Protocol):
    """One opened live stream; made anew for each connection."""

    @property
    def decoder(self) -> str:
        """Name of what decodes, "" until known."""
        ...

    def read(self, timeout_s: float) -> Picture | None:
        """Wait for the next picture; None: none came in time.

        Raises:
            VideoError: the stream broke or ended.
        """
        ...

    def close(self) -> None:
        """Tear everything down; comes back within seconds even where a driver hangs."""
        ...


class VideoSource(Protocol):
    """One camera, as the loop sees it."""

    @property
    def camera_id(self) -> str: ...

    @property
    def is_live(self) -> bool:
        """Live: the newest frame wins.  Else: every frame, waiting."""
        ...

    @property
    def max_rate_hz(self) -> float:
        """Frames a second that the loop takes at most from a live source."""
        ...

    @property
    def ended(self) -> bool: ...

    def start(self, deliver: FrameSink) -> None: ...

    def health(self) -> VideoHealth: ...

    def close(self) -> None: ...


Announced: TypeAlias = "Callable[[], VideoStream | None]"


def without_password(url: str) -> str:
    """A URL as it may stand in a log: no `user:password@`."""
    return _CREDENTIALS.sub("://", url)
