"""A recording as a camera: every picture, in its order, waiting for the loop."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import cv2

from edge.capture.files import StillFolder, VideoFile
from edge.capture.slots import FrameSink
from edge.capture.video_records import TimeSource, VideoHealth, VideoState
from edge.config import CameraConfig
from edge.errors import VideoError
from edge.records import Frame, ImageArray, MonoNs

log = logging.getLogger(__name__)

NS_PER_S = 1_000_000_000
CLOSE_S = 10.0


class RecordedVideo:
    """A file or a folder of stills, a VideoSource.  Decodes in its own thread, a little ahead.

    Capture times are the file's own, counted from the moment it starts, whatever the pace at
    which the loop takes them.
    """

    is_live = False

    def __init__(self, camera: CameraConfig, recording: VideoFile | StillFolder) -> None:
        self._camera = camera
        self._recording = recording
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._has_ended = False
        is_video = isinstance(recording, VideoFile)
        self._health = VideoHealth(
            VideoState.OPENING,
            width_px=recording.width_px,
            height_px=recording.height_px,
            rate_hz=recording.rate_hz if isinstance(recording, VideoFile) else camera.max_rate_hz,
            decoder="opencv-ffmpeg" if is_video else "opencv-imread",
            time_source=TimeSource.FILE_PTS if is_video else TimeSource.FILE_RATE,
        )

    @property
    def camera_id(self) -> str:
        return self._camera.id

    @property
    def max_rate_hz(self) -> float:
        return self._camera.max_rate_hz

    @property
    def ended(self) -> bool:
        return self._has_ended

    def start(self, deliver: FrameSink) -> None:
        self._thread = threading.Thread(
            target=self._run, args=(deliver,), name=f"video-{self.camera_id}", daemon=True
        )
        self._thread.start()

    def health(self) -> VideoHealth:
        recording = self._recording
        return replace(
            self._health,
            size_changes=recording.size_changes if isinstance(recording, StillFolder) else 0,
            last_error=self._health.last_error or recording.problem,
        )

    def close(self) -> None:
        """Stop after the picture in hand.  Whoever waits in the sink must have been woken."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(CLOSE_S)

    def _run(self, sink: FrameSink) -> None:
        try:
            self._play(sink)
        except (VideoError, cv2.error, OSError) as error:
            self._health = replace(self._health, last_error=f"{self._recording.path}: {error}")
            log.warning("video_file_broke camera=%s error=%r", self.camera_id, str(error))
        finally:
            self._has_ended = True
            self._health = replace(self._health, state=VideoState.ENDED)
            sink.end()

    def _play(self, sink: FrameSink) -> None:
        start_ns = time.monotonic_ns() - round(self._camera.latency_s * NS_PER_S)
        for index, pts_ns, image in self._pictures():
            frame = Frame(
                image_bgr=image,
                captured_mono_ns=MonoNs(start_ns + pts_ns),
                camera_id=self.camera_id,
                index=index,
                captured_sigma_s=self._camera.latency_sigma_s,
            )
            if self._stop.is_set() or not sink.put(frame):
                return
            self._health = replace(
                self._health,
                state=VideoState.PLAYING,
                frames=self._health.frames + 1,
                width_px=frame.width_px,
                height_px=frame.height_px,
            )

    def _pictures(self) -> Iterator[tuple[int, int, ImageArray]]:
        if isinstance(self._recording, VideoFile):
            yield from self._recording.decode()
            return
        interval_ns = round(NS_PER_S / self._camera.max_rate_hz)
        for index, _, image in self._recording.decode():
            yield index, index * interval_ns, image
