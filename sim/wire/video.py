"""A recorded camera in real time: a frame leaves at its capture time plus the latency."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from edge.errors import ScenarioError, SkywhistleError
from sim.faults.timeline import NO_FAULTS, FaultKind, Timeline
from sim.wire.clock import FlightClock
from sim.wire.flight import WireCamera
from sim.wire.gst import load_gst
from sim.wire.outputs import AccessUnit, VideoOutput
from sim.wire.units import access_units, black_unit, needs_encoding, scan_video

log = logging.getLogger(__name__)

_HOLD_S = 0.2  # between repeats of the first picture while the vehicle waits
_LEAST_STEP_NS = 1_000_000
_TURN_S = 0.05  # longest wait without looking at the stop


class VideoFeed:
    """Paces one camera's video into its outputs.  One thread."""

    def __init__(
        self,
        camera: WireCamera,
        clock: FlightClock,
        latency_s: float,
        faults: Timeline = NO_FAULTS,
    ) -> None:
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
        self._faults = faults
        self._last_key: Any = None  # what a frozen camera repeats
        self._instead: Any = None  # shown until the stream can be joined again
        self._black: Any = None
        if faults.of(FaultKind.VIDEO_BLACK):
            self._black = black_unit(self.facts.width_px, self.facts.height_px)
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
        captured_ns = self._clock.mono_ns(captured_us, lap)
        time_s = self._clock.elapsed_s(captured_ns)
        late_ns = round(self._faults.by_s(FaultKind.VIDEO_LATENCY, time_s) * 1e9)
        # Recorded times jitter; stamps grow all the same, as a camera's do.
        due_ns = captured_ns + self._latency_ns + late_ns
        stamp_ns = self._last_stamp_ns = max(due_ns, self._last_stamp_ns + _LEAST_STEP_NS)
        while (ahead_s := (stamp_ns - time.monotonic_ns()) / 1e9) > 0:
            if self._stop.wait(min(ahead_s, _TURN_S)):
                return False
        shown = self._shown(sample, time_s)
        if shown is not None:
            self._push(shown, stamp_ns)
            self.sent += 1
        return True

    def _shown(self, sample: Any, time_s: float) -> Any | None:
        """Return what the camera sends in place of a frame; nothing while the signal is lost.

        A camera that froze or went black comes back with a key frame; a lost signal comes back
        in the middle of the stream, torn until the next one.
        """
        if self._faults.active(FaultKind.VIDEO_LOSS, time_s):
            return None
        is_key = self._is_key(sample)
        is_frozen = self._faults.active(FaultKind.VIDEO_FREEZE, time_s) is not None
        if self._faults.active(FaultKind.VIDEO_BLACK, time_s):
            self._instead = self._black
        elif is_frozen:
            self._instead = self._instead or self._last_key
        elif is_key:
            self._instead = None
        if is_key and not is_frozen:
            self._last_key = sample
        return self._instead or sample

    def _is_key(self, sample: Any) -> bool:
        return not sample.get_buffer().has_flags(self._gst.BufferFlags.DELTA_UNIT)

    def _push(self, sample: Any, stamp_ns: int) -> None:
        unit = AccessUnit(sample.get_buffer(), self._is_key(sample), stamp_ns)
        for output in self.outputs:
            output.push(unit)
