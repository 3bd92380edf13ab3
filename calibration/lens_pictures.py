"""Pictures of a board, from wherever they are: stills, a pattern of them, video, a camera."""

from __future__ import annotations

import glob
import re
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from calibration.board import GrayImage
from edge.capture.files import StillFolder, VideoFile
from edge.capture.slots import LatestFrame
from edge.capture.video import open_video
from edge.config import CameraConfig
from edge.errors import VideoError
from edge.records import ImageArray

_URL = re.compile(r"^(gst:|[a-z][a-z0-9+.-]+://)")
VIDEO_RATE_HZ = 4.0  # a board that is moved by hand is elsewhere after a quarter of a second
LIVE_WAIT_S = 10.0  # for a next picture of a live camera
POLL_S = 0.02


@dataclass(frozen=True)
class Pictures:
    """Grey pictures with a name each."""

    is_video: bool  # many of one movement: to be chosen from; else each was taken on purpose
    total: int | None  # None: nobody knows
    images: Generator[tuple[str, GrayImage], None, None]


def open_pictures(source: str, seconds: float) -> Pictures:
    """Open a source.

    Args:
        source: A folder, a pattern such as `stills/left*.jpg`, a picture, a video file, or the URL
            of a live camera.
        seconds: How long to look at a live camera.

    Raises:
        VideoError: It is not there, or cannot be played.
        MissingExtraError: The camera needs GStreamer.
    """
    if _URL.match(source) and not source.startswith("file://"):
        return Pictures(True, None, _live(source, seconds))
    path = Path(source.removeprefix("file://"))
    if path.is_dir():
        folder = StillFolder(path)
        return Pictures(False, len(folder.paths), _stills(folder))
    if glob.has_magic(source):
        folder = StillFolder(path.parent, path.name)
        return Pictures(False, len(folder.paths), _stills(folder))
    video = VideoFile(path)
    step = max(1, round(video.rate_hz / VIDEO_RATE_HZ))
    return Pictures(True, video.n_frames // step or None, _video(video, step))


def _stills(folder: StillFolder) -> Generator[tuple[str, GrayImage], None, None]:
    for _, path, image in folder:
        yield path.name, _gray(image)


def _video(video: VideoFile, step: int) -> Generator[tuple[str, GrayImage], None, None]:
    for index, pts_ns, image in video:
        if index % step == 0:
            yield f"{video.path.name}@{pts_ns * 1e-9:.2f}s", _gray(image)


def _live(url: str, seconds: float) -> Generator[tuple[str, GrayImage], None, None]:
    nothing = Path()  # a camera of a patrol has a model and a mount; this one is only looked at
    camera = CameraConfig(
        id="calibrated", source=url, model=nothing, calibration=nothing, mount=nothing
    )
    source, slot = open_video(camera, lambda: None), LatestFrame()
    source.start(slot)
    started = last = time.monotonic()
    try:
        while (now := time.monotonic()) - started < seconds:
            frame = slot.take()
            if frame is not None:
                last = now
                yield f"{now - started:.2f}s", _gray(frame.image_bgr)
            elif now - last > LIVE_WAIT_S:
                told = source.health().last_error or f"{url}: no picture for {LIVE_WAIT_S:g} s"
                raise VideoError(f"{told}; check the camera with `ffplay`")
            else:
                time.sleep(POLL_S)
    finally:
        slot.close()
        source.close()


def _gray(image_bgr: ImageArray) -> GrayImage:
    return np.asarray(cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), np.uint8)
