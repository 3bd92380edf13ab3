"""Pictures of flights for commands that need some: from a flight folder, a video, or stills."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from edge.capture.files import StillFolder, VideoFile
from edge.capture.recording import open_flight
from edge.errors import ConfigError
from edge.records import ImageArray

_VIDEO_SUFFIXES = frozenset({".mp4", ".mkv", ".avi", ".mov", ".ts"})


def spread_pictures(sources: Sequence[Path], at_most: int) -> list[ImageArray]:
    """Take pictures evenly over all of every source, as many from each.

    Raises:
        FlightError, VideoError: A source is not a flight, a video, nor a folder of stills.
    """
    share = -(-at_most // max(1, len(sources)))
    return [picture for source in sources for picture in _spread(source, share)][:at_most]


def one_picture(path: Path) -> ImageArray:
    """Read a still, or take the middle picture of a flight, a video or a folder.

    Raises:
        ConfigError: It is not there, or no picture.
        FlightError, VideoError: As `spread_pictures`.
    """
    if path.is_dir() or path.suffix.lower() in _VIDEO_SUFFIXES:
        return spread_pictures([path], 1)[0]
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ConfigError(f"{path}: is no picture that can be read; give a JPEG or PNG")
    return np.asarray(image, np.uint8)


def _spread(source: Path, wanted: int) -> Iterator[ImageArray]:
    for count, pictures in _series(source):
        step = max(1, count // wanted)
        yield from islice(pictures, step // 2, wanted * step, step)


def _series(source: Path) -> Iterator[tuple[int, Iterator[ImageArray]]]:
    """Yield how many pictures a camera took, and those."""
    if source.is_file():
        yield _of_video(source)
    elif (source / "flight.toml").exists():
        flight = open_flight(source)
        for camera in flight.spec.camera:
            if camera.video is not None:
                yield _of_video(flight.path(camera.video))
            else:
                yield _of_stills(source, camera.stills)
    else:
        yield _of_stills(source, None)


def _of_video(path: Path) -> tuple[int, Iterator[ImageArray]]:
    video = VideoFile(path)
    return video.n_frames, (image for _, _, image in video.decode())


def _of_stills(folder: Path, pattern: str | None) -> tuple[int, Iterator[ImageArray]]:
    stills = StillFolder(folder, pattern)
    return len(stills.paths), (image for _, _, image in stills.decode())
