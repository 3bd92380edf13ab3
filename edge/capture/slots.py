"""Where a video source leaves its frames and the loop finds them.

The class says who loses: `LatestFrame` loses old frames and counts them (live video must never be
late), `NextFrame` loses none and makes the source wait (a file has time).  Slots of several
cameras share one condition, so that one waiter sees them all.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from edge.records import Frame

# Frames a file may be ahead of the loop: enough to hide a slow picture behind a quick inference,
# little enough that 1080p stays under 20 MB.
AHEAD_FRAMES = 3


class FrameSink(Protocol):
    """What a video source needs of the place it delivers to."""

    def put(self, frame: Frame) -> bool:
        """Hand one frame on; False when nobody will take it any more."""
        ...

    def end(self) -> None:
        """Say that no frame will follow."""
        ...

    @property
    def dropped(self) -> int:
        """Frames that were put and never taken."""
        ...


class LatestFrame:
    """A one-place slot: the newest frame wins, the loss is counted."""

    def __init__(self, ready: threading.Condition | None = None) -> None:
        self._ready = ready or threading.Condition()
        self._frame: Frame | None = None
        self._dropped = 0
        self._is_ended = False
        self._is_closed = False

    def put(self, frame: Frame) -> bool:
        with self._ready:
            if self._is_closed:
                return False
            self._dropped += self._frame is not None
            self._frame = frame
            self._ready.notify_all()
            return True

    def take(self) -> Frame | None:
        """Take the frame, if there is one."""
        with self._ready:
            frame, self._frame = self._frame, None
            return frame

    def end(self) -> None:
        with self._ready:
            self._is_ended = True
            self._ready.notify_all()

    def close(self) -> None:
        """Refuse whatever comes from now on."""
        with self._ready:
            self._is_closed = True
            self._frame = None
            self._ready.notify_all()

    @property
    def has_frame(self) -> bool:
        return self._frame is not None

    @property
    def dropped(self) -> int:
        return self._dropped

    @property
    def is_exhausted(self) -> bool:
        """Ended, and everything taken."""
        return self._is_ended and self._frame is None


class NextFrame:
    """A short queue: every frame in its order; who puts waits for room, so nothing is lost."""

    def __init__(
        self, ready: threading.Condition | None = None, places: int = AHEAD_FRAMES
    ) -> None:
        if places < 1:
            raise ValueError(f"places must be at least 1, got {places}")
        self._ready = ready or threading.Condition()
        self._places = places
        self._frames: deque[Frame] = deque()
        self._is_ended = False
        self._is_closed = False

    def put(self, frame: Frame) -> bool:
        with self._ready:
            while len(self._frames) >= self._places and not self._is_closed:
                self._ready.wait()
            if self._is_closed:
                return False
            self._frames.append(frame)
            self._ready.notify_all()
            return True

    def take(self) -> Frame | None:
        """Take the next frame, if there is one."""
        with self._ready:
            if not self._frames:
                return None
            self._ready.notify_all()
            return self._frames.popleft()

    def end(self) -> None:
        with self._ready:
            self._is_ended = True
            self._ready.notify_all()

    def close(self) -> None:
        """Refuse whatever comes from now on, and wake a source that waits for room."""
        with self._ready:
            self._is_closed = True
            self._frames.clear()
            self._ready.notify_all()

    @property
    def has_frame(self) -> bool:
        return bool(self._frames)

    @property
    def dropped(self) -> int:
        return 0

    @property
    def is_exhausted(self) -> bool:
        """Ended, and everything taken."""
        return self._is_ended and not self._frames
