"""Live pictures as H.264, as a camera's encoder makes them, each sent when it is due."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from sim.wire.gst import load_gst
from sim.wire.outputs import AccessUnit, VideoOutput

ImageArray = NDArray[np.uint8]
_TURN_S = 0.05  # longest wait without looking at the stop
MAX_WAITING = 120  # access units; the oldest go first, and are counted


@dataclass(frozen=True)
class VideoShape:
    """What is encoded."""

    width_px: int
    height_px: int
    rate_hz: float
    bit_rate_mbps: float


class LiveEncoder:
    """x264 without delay: a picture in, its access unit out, a key frame each second."""

    def __init__(self, shape: VideoShape) -> None:
        self._gst = load_gst()
        rate = Fraction(shape.rate_hz).limit_denominator(1000)
        self._codec: Any = av.CodecContext.create("libx264", "w")
        self._codec.width, self._codec.height = shape.width_px, shape.height_px
        self._codec.pix_fmt, self._codec.framerate = "yuv420p", rate
        self._codec.time_base = 1 / rate
        kbps = f"{round(shape.bit_rate_mbps * 1000)}k"
        self._codec.options = {
            "preset": "veryfast",
            "tune": "zerolatency",
            "g": str(max(1, round(shape.rate_hz))),
            "b": kbps,
            "maxrate": kbps,
            "bufsize": kbps,
        }
        self._count = 0

    def encode(self, image_bgr: ImageArray, stamp_mono_ns: int) -> list[AccessUnit]:
        """Return the picture's access unit; a list, since an encoder may keep one back."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image_bgr), format="bgr24")
        frame.pts, frame.time_base = self._count, self._codec.time_base
        self._count += 1
        return [
            AccessUnit(self._gst.Buffer.new_wrapped(bytes(p)), bool(p.is_keyframe), stamp_mono_ns)
            for p in self._codec.encode(frame)
        ]


class PacedOutputs:
    """Sends each access unit at its stamp.  One thread, so that drawing holds nothing up."""

    def __init__(self, outputs: Sequence[VideoOutput]) -> None:
        self.sent = self.late = self.dropped = 0
        self._outputs = tuple(outputs)
        self._waiting: deque[AccessUnit] = deque()
        self._there_is = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follow-video", daemon=True)
        self._thread.start()

    def add(self, unit: AccessUnit) -> None:
        """Send a unit at its stamp, or at once if that has passed."""
        with self._there_is:
            if len(self._waiting) >= MAX_WAITING:
                self._waiting.popleft()
                self.dropped += 1
            self._waiting.append(unit)
            self.late += time.monotonic_ns() > unit.stamp_mono_ns
            self._there_is.notify()

    def close(self) -> None:
        """Stop, without sending what still waits."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._there_is:
                if not self._waiting:
                    self._there_is.wait(_TURN_S)
                    continue
                unit = self._waiting[0]
            ahead_s = (unit.stamp_mono_ns - time.monotonic_ns()) / 1e9
            if ahead_s > 0:
                self._stop.wait(min(ahead_s, _TURN_S))
                continue
            with self._there_is:
                if self._waiting and self._waiting[0] is unit:
                    self._waiting.popleft()
            for output in self._outputs:
                output.push(unit)
            self.sent += 1
