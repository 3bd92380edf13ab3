"""From the picture to the row in the outbox, with frames coming when a camera would send them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import count
from statistics import median

from edge.bench.figures import LatencyFigures, percentile
from edge.bench.rig import Aircraft, Rig, aircraft, closing_stream, mono_ns, with_telemetry
from edge.capture.events import events
from edge.capture.files import VideoFile
from edge.capture.slots import FrameSink
from edge.capture.video_records import VideoHealth, VideoState
from edge.config import CameraConfig
from edge.errors import BenchError
from edge.pipeline import fly
from edge.records import Frame, ImageArray, MonoNs, Tick

_START_S = 0.2  # until the first frame, so that the loop waits when it comes
_JOIN_S = 5.0


class PacedVideo:
    """A video file as a live camera: each picture is due at its time, and decoded only then.

    A VideoSource.  The instant of capture is the picture's due time, so decoding, like a late
    decoder's backlog, counts as delay.
    """

    is_live = True

    def __init__(self, camera: CameraConfig, video: VideoFile) -> None:
        self._camera = camera
        self._video = video
        self._stop = threading.Event()
        self._ended = False
        self._frames = 0
        self._sink: FrameSink | None = None
        self._thread = threading.Thread(target=self._run, name="paced-video", daemon=True)

    @property
    def camera_id(self) -> str:
        return self._camera.id

    @property
    def max_rate_hz(self) -> float:
        return self._camera.max_rate_hz

    @property
    def ended(self) -> bool:
        return self._ended

    def start(self, deliver: FrameSink) -> None:
        self._sink = deliver
        self._thread.start()

    def health(self) -> VideoHealth:
        return VideoHealth(
            VideoState.ENDED if self._ended else VideoState.PLAYING,
            frames=self._frames,
            dropped=self._sink.dropped if self._sink else 0,
            width_px=self._video.width_px,
            height_px=self._video.height_px,
            rate_hz=self._video.rate_hz,
            decoder="opencv-ffmpeg",
        )

    def close(self) -> None:
        """Stop after the picture in hand."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(_JOIN_S)

    def _run(self) -> None:
        sink = self._sink
        assert sink is not None
        start_ns = time.monotonic_ns() + round(_START_S * 1e9)
        interval_ns = round(1e9 / self._video.rate_hz)
        with closing_stream(self._video.decode()) as pictures:
            for due_ns in count(start_ns, interval_ns):
                if self._stop.wait(max(0.0, (due_ns - time.monotonic_ns()) * 1e-9)):
                    break
                picture = next(pictures, None)
                if picture is None or not sink.put(self._frame(picture, due_ns)):
                    break
                self._frames += 1
        self._ended = True
        sink.end()

    def _frame(self, picture: tuple[int, int, ImageArray], due_ns: int) -> Frame:
        index, _, image = picture
        return Frame(
            image_bgr=image,
            captured_mono_ns=MonoNs(due_ns),
            camera_id=self.camera_id,
            index=index,
            captured_sigma_s=self._camera.latency_sigma_s,
        )


def measure_latency(rig: Rig, seconds: float) -> LatencyFigures:
    """Fly the rig's video at its own pace, at most so long, and time its alerts.

    Raises:
        BenchError: There was no alert, or the loop lost something.
        ConfigError, ModelError, VideoError: The rig cannot be flown.
    """
    with aircraft(rig, "latency", mono_ns) as plane:
        video = VideoFile(rig.video)
        source = PacedVideo(plane.stages.settings.patrol.camera[0], video)
        with closing_stream(events([source], threading.Event())) as stream:
            fed = with_telemetry(rig, plane.telemetry, stream)
            fly(_until(plane.watched(source, fed), time.monotonic() + seconds), plane.stages)
        return _figures(plane, source.health())


def _until(stream: Iterator[Frame | Tick], mono_s: float) -> Iterator[Frame | Tick]:
    for event in stream:
        yield event
        if time.monotonic() > mono_s:
            return


def _figures(plane: Aircraft, video: VideoHealth) -> LatencyFigures:
    health, took_s = plane.stages.health, plane.frame_to_outbox_s()
    if health.lost_events:
        raise BenchError(f"the loop lost {health.lost_events} events ({health.last_error})")
    if not took_s:
        raise BenchError(
            f"no alert in {health.frames} frames, so nothing to time; give a longer flight or "
            f"more --seconds"
        )
    sizes = [stored.n_bytes for stored in plane.stored]
    return LatencyFigures(
        frame_to_outbox_p99_s=percentile(took_s, 99),
        frame_to_outbox_median_s=median(took_s),
        frame_to_outbox_limit_s=1.0 / video.rate_hz + 2.0 * median(health.inference_s),
        frame_to_outbox_alerts=len(took_s),
        frame_rate_hz=video.rate_hz,
        frames_dropped=video.dropped,
        alert_bytes_median=median(sizes),
        alert_bytes_flown_max=max(sizes),
    )
