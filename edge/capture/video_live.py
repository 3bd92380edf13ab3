"""Live video that comes back by itself: open, play, notice, tear down, try again, for ever."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import cv2

from edge.capture.slots import FrameSink
from edge.capture.video_records import (
    Picture,
    PictureReader,
    TimeSource,
    VideoHealth,
    VideoState,
    without_password,
)
from edge.capture.watch import Backoff, Look, PictureWatch
from edge.config import CameraConfig
from edge.errors import MissingExtraError, VideoError
from edge.records import Frame, MonoNs

log = logging.getLogger(__name__)

NS_PER_S = 1_000_000_000

# How long one wait for a picture lasts, and so how soon a closed source stops.
READ_S = 0.25
# RTSP may try UDP before TCP, and a stream's first key frame may be seconds away.
FIRST_PICTURE_S = 10.0
# How often the autopilot is asked again whether a camera has been announced.
ASK_AGAIN_S = 1.0
CLOSE_S = 10.0
# Beside our own errors what drivers and libraries throw (GLib's errors are RuntimeErrors): a camera
# that broke in an unforeseen way is opened again like any other.
BROKEN = (VideoError, MissingExtraError, OSError, RuntimeError, MemoryError, cv2.error)
RATE_PICTURES = 60

_STATE_OF_LOOK = {
    Look.GOOD: VideoState.PLAYING,
    Look.BLACK: VideoState.BLACK,
    Look.FROZEN: VideoState.FROZEN,
}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a stream is and, for bare RTP, its codec."""

    url: str
    encoding: str = "auto"


Addresses: TypeAlias = Callable[[], Address | None]
OpenReader: TypeAlias = Callable[[str, str], PictureReader]


class LiveVideo:
    """One live camera, a VideoSource.  A thread of its own reads, judges and delivers pictures."""

    is_live = True

    def __init__(self, camera: CameraConfig, address: Addresses, open_reader: OpenReader) -> None:
        self._camera = camera
        self._source = without_password(camera.source)
        self._address = address
        self._open_reader = open_reader
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._health = VideoHealth(VideoState.OPENING)
        self._sink: FrameSink | None = None
        self._watch = PictureWatch(camera.frozen_after_s)
        self._backoff = Backoff()
        self._arrivals: deque[int] = deque(maxlen=RATE_PICTURES)
        self._n_openings = 0
        self._index_base = 0
        self._last_index = -1
        self._n_lost = 0  # decoded, but gone before they reached the slot

    @property
    def camera_id(self) -> str:
        return self._camera.id

    @property
    def max_rate_hz(self) -> float:
        return self._camera.max_rate_hz

    @property
    def ended(self) -> bool:
        return self._stop.is_set()

    def start(self, deliver: FrameSink) -> None:
        self._sink = deliver
        self._thread = threading.Thread(
            target=self._run, args=(deliver,), name=f"video-{self.camera_id}", daemon=True
        )
        self._thread.start()

    def health(self) -> VideoHealth:
        with self._lock:
            dropped = self._n_lost + (self._sink.dropped if self._sink else 0)
            return replace(self._health, dropped=dropped, rate_hz=self._rate_hz())

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    # --- the thread ----------------------------------------------------------------------------

    def _run(self, sink: FrameSink) -> None:
        while not self._stop.is_set():
            try:
                address = self._address()
                if address is None:
                    self._say(error="no video stream has been announced yet; asking again")
                    self._stop.wait(ASK_AGAIN_S)
                    continue
                self._connect(address, sink)
            except BROKEN as error:
                self._lost(str(error) or type(error).__name__)
                self._stop.wait(self._backoff.next_s())
        self._say(VideoState.ENDED)
        sink.end()

    def _connect(self, address: Address, sink: FrameSink) -> None:
        self._n_openings += 1
        self._set(reconnects=self._n_openings - 1)
        reader = self._open_reader(address.url, address.encoding)
        try:
            self._watch.reconnected(time.monotonic_ns())
            self._play(reader, sink)
        finally:
            reader.close()
            self._index_base = self._last_index + 1
            with self._lock:
                self._arrivals.clear()

    def _play(self, reader: PictureReader, sink: FrameSink) -> None:
        opened_ns = last_ns = time.monotonic_ns()
        patience_s = max(self._camera.stale_after_s, FIRST_PICTURE_S)
        while not self._stop.is_set():
            picture = reader.read(READ_S)
            now_ns = time.monotonic_ns()
            if picture is None:
                if now_ns - last_ns > patience_s * NS_PER_S:
                    raise VideoError(
                        f"{self._source}: no picture for {patience_s:g} s; check cable, "
                        f"power and address of the camera; trying again"
                    )
                continue
            last_ns, patience_s = now_ns, self._camera.stale_after_s
            self._set(decoder=reader.decoder)
            self._judge(picture, now_ns, sink)
            if (now_ns - opened_ns) * 1e-9 > self._camera.stale_after_s:
                self._held()

    def _held(self) -> None:
        """Forget earlier failures once a connection has shown good pictures for a while."""
        if self._backoff.tries and self._health.state is VideoState.PLAYING:
            self._backoff.reset()

    def _judge(self, picture: Picture, now_ns: int, sink: FrameSink) -> None:
        """Deliver a good picture; look away from another, and give up if there are only such."""
        frame = self._frame(picture)
        self._count(frame, picture.time_source, now_ns)
        look = self._watch.look(picture.image_bgr, now_ns)
        if look is Look.GOOD:
            self._say(VideoState.PLAYING, error="")
            self._set(frames=self._health.frames + 1)
            sink.put(frame)
            return
        if look is Look.BLACK:
            self._set(black=self._health.black + 1)
        else:
            self._set(frozen=self._health.frozen + 1)
        self._say(_STATE_OF_LOOK[look], error=f"the picture is {look.value}")
        if self._watch.bad_for_s(now_ns) >= self._camera.frozen_after_s:
            raise VideoError(
                f"{self._source}: only {look.value} pictures for "
                f"{self._camera.frozen_after_s:g} s; check the lens and the camera; trying again"
            )

    def _frame(self, picture: Picture) -> Frame:
        latency_ns = round(self._camera.latency_s * NS_PER_S)
        return Frame(
            image_bgr=picture.image_bgr,
            captured_mono_ns=MonoNs(picture.captured_mono_ns - latency_ns),
            camera_id=self.camera_id,
            index=max(self._index_base + picture.index, self._last_index + 1),
            captured_sigma_s=math.hypot(picture.captured_sigma_s, self._camera.latency_sigma_s),
        )

    def _count(self, frame: Frame, time_source: TimeSource, now_ns: int) -> None:
        size = frame.width_px, frame.height_px
        with self._lock:
            health = self._health
            old_size = health.width_px, health.height_px
            self._n_lost += frame.index - self._last_index - 1
            self._last_index = frame.index
            self._arrivals.append(now_ns)
            self._health = replace(
                health,
                width_px=size[0],
                height_px=size[1],
                size_changes=health.size_changes + (old_size not in {(0, 0), size}),
                time_source=time_source,
            )
        if old_size not in {(0, 0), size}:
            log.warning("video_size camera=%s from=%s to=%s", self.camera_id, old_size, size)
        if health.time_source is not time_source:
            log.info("video_time camera=%s source=%s", self.camera_id, time_source.value)

    # --- health --------------------------------------------------------------------------------

    def _lost(self, error: str) -> None:
        """Say what is wrong; a picture that froze or went black stays so while reconnecting."""
        state = self._health.state
        if state not in {VideoState.FROZEN, VideoState.BLACK}:
            state = VideoState.LOST
        self._say(state, error)

    def _say(self, state: VideoState | None = None, error: str | None = None) -> None:
        """Change state or error, and log it if it is one."""
        before = self._health
        state = before.state if state is None else state
        error = before.last_error if error is None else error
        if state is before.state and error == before.last_error:
            return
        self._set(state=state, last_error=error)
        quiet = state in {VideoState.PLAYING, VideoState.OPENING, VideoState.ENDED}
        log.log(
            logging.INFO if quiet else logging.WARNING,
            "video_state camera=%s state=%s error=%r",
            self.camera_id,
            state.value,
            error,
        )

    def _set(self, **changes: object) -> None:
        with self._lock:
            self._health = replace(self._health, **changes)  # type: ignore[arg-type]

    def _rate_hz(self) -> float:
        if len(self._arrivals) < 2:
            return 0.0
        span_ns = self._arrivals[-1] - self._arrivals[0]
        return (len(self._arrivals) - 1) * NS_PER_S / span_ns if span_ns > 0 else 0.0
