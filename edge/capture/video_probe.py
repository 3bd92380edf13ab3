"""A short look through a camera before the flight: does it open, how large, how fast."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from edge.capture.slots import LatestFrame, NextFrame
from edge.capture.video import open_video
from edge.capture.video_records import Announced, VideoHealth, VideoSource, VideoState
from edge.config import CameraConfig
from edge.errors import MissingExtraError, VideoError

# Enough pictures to name a rate.
ENOUGH_S = 2.0
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class CameraProbe:
    """What a look through a camera found."""

    opened: bool  # at least one picture came
    width_px: int = 0
    height_px: int = 0
    rate_hz: float = 0.0
    decoder: str = ""
    time_source: str = "none"
    error: str = ""  # also where it opened, but shows black or frozen pictures


def probe_camera(camera: CameraConfig, announced: Announced, seconds: float) -> CameraProbe:
    """Open a camera, look for at most `seconds`, and close it.  Raises nothing for a bad camera."""
    try:
        source = open_video(camera, announced)
    except (VideoError, MissingExtraError) as error:
        return CameraProbe(opened=False, error=str(error))
    slot = LatestFrame(threading.Condition()) if source.is_live else NextFrame()
    source.start(slot)
    try:
        health = _looked(source, seconds)
    finally:
        slot.close()
        source.close()
    opened = health.width_px > 0 and (source.is_live or health.frames > 0)
    return CameraProbe(
        opened=opened,
        width_px=health.width_px,
        height_px=health.height_px,
        rate_hz=health.rate_hz,
        decoder=health.decoder,
        time_source=health.time_source.value,
        error=health.last_error or ("" if opened else f"no picture within {seconds:g} s"),
    )


def _looked(source: VideoSource, seconds: float) -> VideoHealth:
    """Health after enough pictures, or after the time is up."""
    deadline = time.monotonic() + seconds
    first: float | None = None
    while (now := time.monotonic()) < deadline:
        health = source.health()
        if health.frames and first is None:
            first = now
        seen_enough = first is not None and (not source.is_live or now - first >= ENOUGH_S)
        if seen_enough or health.state is VideoState.ENDED:
            break
        time.sleep(LOOK_S)
    return source.health()
