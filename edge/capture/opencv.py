"""Live video through OpenCV's own FFmpeg, where GStreamer cannot be used."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import cv2
import numpy as np

from edge.capture.video_records import Picture, TimeSource, without_password
from edge.errors import MissingExtraError, VideoError
from edge.extras import how_to_install
from edge.records import MonoNs

OPEN_TIMEOUT_MS = 5000
READ_TIMEOUT_MS = 3000

# FFmpeg hides the packets' times and its queue's length; a tenth of a second is what its input
# buffer and a frame-threaded decoder typically hold at 30 frames a second.
ARRIVAL_SIGMA_S = 0.1

_FFMPEG_SCHEMES = {"rtsp": "rtsp", "mpegts+udp": "udp", "mpegts": "udp", "tcp": "tcp"}


class OpenCvReader:
    """One connection, a PictureReader.  Knows a picture's arrival only, and says so."""

    decoder = "opencv-ffmpeg"

    def __init__(self, url: str) -> None:
        self._url = without_password(url)
        self._n_grabbed = 0
        self._capture = cv2.VideoCapture(
            _ffmpeg_url(url),
            cv2.CAP_FFMPEG,
            [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                OPEN_TIMEOUT_MS,
                cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                READ_TIMEOUT_MS,
                cv2.CAP_PROP_N_THREADS,  # frame threads would each hold a picture back
                1,
            ],
        )
        if not self._capture.isOpened():
            raise VideoError(
                f"{self._url}: no picture within {OPEN_TIMEOUT_MS // 1000} s; check the address, "
                f"that the camera is on, and try it with `ffplay`"
            )

    def read(self, timeout_s: float) -> Picture | None:
        """Wait for FFmpeg's own timeout: it takes no other once it is open."""
        if not self._capture.grab():
            raise VideoError(f"{self._url}: the stream ended or stalled")
        arrived_ns = MonoNs(time.monotonic_ns())
        index = self._n_grabbed
        self._n_grabbed += 1
        try:
            ok, image = self._capture.retrieve()
        except cv2.error as error:
            raise VideoError(f"{self._url}: a picture does not decode: {error}") from error
        if not ok or image is None:
            return None
        return Picture(
            np.asarray(image, np.uint8), arrived_ns, ARRIVAL_SIGMA_S, TimeSource.ARRIVAL, index
        )

    def close(self) -> None:
        self._capture.release()


def _ffmpeg_url(url: str) -> str:
    parts = urlsplit(url)
    scheme = _FFMPEG_SCHEMES.get(parts.scheme)
    if scheme is None:
        raise MissingExtraError(
            f"{url}: needs GStreamer, which is not usable from Python here; "
            f"{how_to_install('gstreamer')}"
        )
    netloc = parts.netloc if parts.hostname else f"0.0.0.0{parts.netloc}"
    return parts._replace(scheme=scheme, netloc=netloc).geturl()


def open_with_opencv(url: str, _encoding: str) -> OpenCvReader:
    """Open a live stream without GStreamer.

    Raises:
        VideoError: nothing comes.
        MissingExtraError: only GStreamer can open such a URL.
    """
    return OpenCvReader(url)
