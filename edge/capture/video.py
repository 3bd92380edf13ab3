"""Where pictures come from: a camera's `source` in the config, opened.

`open_video` chooses; a `LiveVideo` keeps itself alive for ever, a `RecordedVideo` plays to its end.
Live streams go through GStreamer wherever it is installed, files through OpenCV's FFmpeg.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from edge.capture import gstreamer
from edge.capture.files import StillFolder, VideoFile
from edge.capture.gstreamer_recipes import recipe_from_url
from edge.capture.opencv import open_with_opencv
from edge.capture.video_file import RecordedVideo
from edge.capture.video_live import Address, LiveVideo, OpenReader
from edge.capture.video_records import (
    Announced,
    Picture,
    PictureReader,
    TimeSource,
    VideoHealth,
    VideoSource,
    VideoState,
)
from edge.config import CameraConfig

__all__ = [
    "Picture",
    "PictureReader",
    "TimeSource",
    "VideoHealth",
    "VideoSource",
    "VideoState",
    "open_video",
]

# A scheme has two letters at least, so that a Windows drive is a path.
_URL = re.compile(r"^(gst:|[a-z][a-z0-9+.-]+://)")
_OPENCV_URL = re.compile(r"^(rtsp|mpegts(\+udp)?|tcp)://")


def open_video(camera: CameraConfig, announced: Announced) -> VideoSource:
    """Make the source that a camera's config names; it starts with `start`.

    Args:
        camera: its config.
        announced: the stream that the autopilot or camera last announced, for `mavlink`.

    Raises:
        VideoError: a URL that no source has, or a recording that cannot be played.
        MissingExtraError: the source needs GStreamer, and it is not installed.
    """
    source = camera.source
    if source == "mavlink":
        return LiveVideo(camera, _announced_address(camera, announced), _reader(camera))
    if source.startswith("file://"):
        return _recorded(camera, Path(source.removeprefix("file://")))
    if not _URL.match(source):
        return _recorded(camera, Path(source))
    recipe_from_url(source, camera.encoding, camera.jitter_s)  # raises while nobody is flying
    if not gstreamer.is_available() and not _OPENCV_URL.match(source):
        gstreamer.load_gst()  # raises, saying what to install
    return LiveVideo(camera, lambda: Address(source, camera.encoding), _reader(camera))


def _recorded(camera: CameraConfig, path: Path) -> RecordedVideo:
    return RecordedVideo(camera, StillFolder(path) if path.is_dir() else VideoFile(path))


def _reader(camera: CameraConfig) -> OpenReader:
    if gstreamer.is_available():
        return gstreamer.GstOpener(camera.jitter_s).open
    return open_with_opencv


def _announced_address(camera: CameraConfig, announced: Announced) -> Callable[[], Address | None]:
    def address() -> Address | None:
        stream = announced()
        if stream is None:
            return None
        encoding = stream.encoding if stream.encoding != "auto" else camera.encoding
        return Address(stream.url, encoding)

    return address
