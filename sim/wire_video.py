"""A recorded camera in real time: a frame leaves at its capture time plus the latency."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from edge.errors import ScenarioError, SkywhistleError
from sim.wire_clock import FlightClock
from sim.wire_flight import WireCamera
from sim.wire_gst import load_gst
from sim.wire_outputs import AccessUnit, VideoOutput
from sim.wire_units import access_units, needs_encoding, scan_video

log = logging.getLogger(__name__)

_HOLD_S = 0.2  # between repeats of the first picture while the vehicle waits
_LEAST_STEP_NS = 1_000_000
_TURN_S = 0.05  # longest wait without looking at the stop


class VideoFeed:
    """Paces one camera's video into its outputs.  One thread."""

    def __init__(self, camera: WireCamera, clock: FlightClock, latency_s: float) -> None:
        """Look through the video.

        Raises:
            MissingExtraError: GStreamer is not installed.
            ScenarioError: The video is not H.264, or its frames are not those of the frame list.
        """
        self.camera = camera
        self.rate_hz = camera.rate_hz
        self.facts = scan_video(camera.video, camera.rate_hz)
        if self.facts.n_frames != len(camera.captured_us):
            raise ScenarioError(
                f"{camera.video} has {self.facts.n_frames} frames, but the list of frame times has "
                f"{len(camera.captured_us)}: record the flight again"
            )
        self.is_encoded_anew = needs_encoding(self.facts, camera.rate_hz)
        self.sent = 0
        self.failure: SkywhistleError | None = None
        self.outputs: list[VideoOutput] = []
        self._gst = load_gst()
        self._clock, self._latency_ns = clock, round(latency_s * 1e9)
        self._last_stamp_ns = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wire-video", daemon=True)

    def start(self) -> None:
        """Send the first picture over and over until the flight begins, then the flight."""
        if self.is_encoded_anew:
            log.info("video_encoded_anew path=%s", self.camera.video)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread and close the outputs."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for output in self.outputs:
            output.close()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    @property
    def dropped(self) -> int:
        return sum(output.dropped for output in self.outputs)

    def _run(self) -> None:
        lap = 0
        try:
            while not self._stop.is_set() and (lap == 0 or self._clock.loop):
                self._fly(lap)
                lap += 1
        except SkywhistleError as error:  # the file went bad under way
            self.failure = error

    def _fly(self, lap: int) -> None:
        units = access_units(self.camera.video, self.rate_hz, encode=self.is_encoded_anew)
        try:
            # A damaged file may give fewer frames the second time; what it gives keeps its time.
            for captured_us, sample in zip(self.camera.captured_us, units, strict=False):
                if lap == 0:
                    self._hold(sample)
                if self._stop.is_set() or not self._send(sample, captured_us, lap):
                    return
        finally:
            units.close()  # type: ignore[attr-defined]

    def _hold(self, sample: Any) -> None:
        while not self._stop.is_set() and not self._clock.has_begun(time.monotonic_ns()):
            self._push(sample, time.monotonic_ns())
            self._stop.wait(_HOLD_S)

    def _send(self, sample: Any, captured_us: int, lap: int) -> bool:
        # Recorded times jitter; stamps grow all the same, as a camera's do.
        due_ns = self._clock.mono_ns(captured_us, lap) + self._latency_ns
        stamp_ns = self._last_stamp_ns = max(due_ns, self._last_stamp_ns + _LEAST_STEP_NS)
        while (ahead_s := (stamp_ns - time.monotonic_ns()) / 1e9) > 0:
            if self._stop.wait(min(ahead_s, _TURN_S)):
                return False
        self._push(sample, stamp_ns)
        self.sent += 1
        return True

    def _push(self, sample: Any, stamp_ns: int) -> None:
        buffer = sample.get_buffer()
        is_key = not buffer.has_flags(self._gst.BufferFlags.DELTA_UNIT)
        unit = AccessUnit(buffer, is_key, stamp_ns)
        for output in self.outputs:
            output.push(unit)
