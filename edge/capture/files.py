"""Recorded pictures: a video file or a folder of stills, decoded ahead in a thread of their own."""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import cv2
import numpy as np

from edge.capture.slots import AHEAD_FRAMES
from edge.errors import VideoConfigError, VideoError
from edge.records import ImageArray

log = logging.getLogger(__name__)

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000

# FFmpeg's frame threads cost a fifth more CPU a frame (2.6 ms against 3.1 at 720p H.264), and the
# decoder already runs beside the inference.
DECODE_THREADS = 1

# Where a file does not say its rate.
FALLBACK_RATE_HZ = 25.0

# A container's frame count may be an estimate (duration × rate); only more than this is missed.
MISSED_FRACTION = 0.02
MISSED_FRAMES = 2

STILL_PATTERNS = ("*.jpg", "*.jpeg", "*.png", "*.tif", "*.tiff", "*.webp", "*.bmp")

Item = TypeVar("Item")


class VideoFile:
    """A video file.  Iterating gives `(index, pts_ns, image_bgr)`, decoded ahead of the caller.

    `pts_ns` counts from the file's start and always grows.  Images are H×W×3 and belong to the
    caller.  All have the first one's size: where the size changes midway, OpenCV scales what
    follows, so that a calibration for the first size still fits.

    Raises:
        VideoError: the file is missing, or not one picture of it decodes.
    """

    def __init__(
        self, path: Path | str, threads: int = DECODE_THREADS, ahead: int = AHEAD_FRAMES
    ) -> None:
        self.path = Path(path)
        self.problem = ""  # what was wrong with the file as played, "" while nothing is
        self._threads = threads
        self._ahead = ahead
        self._capture: cv2.VideoCapture | None = self._open()
        first = _read(self._capture)
        if first is None:
            raise VideoError(
                f"{self.path}: opened, but not one picture decodes; it is empty, cut short, or in "
                f"a codec that this OpenCV lacks; convert it: ffmpeg -i in -c:v libx264 out.mp4"
            )
        self._first: ImageArray | None = first
        self.height_px, self.width_px = first.shape[:2]
        rate_hz = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate_hz = rate_hz if 0.0 < rate_hz < 1000.0 else FALLBACK_RATE_HZ
        # What the container says; 0 where it says nothing.
        self.n_frames = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)

    def _open(self) -> cv2.VideoCapture:
        if not self.path.is_file():
            raise VideoConfigError(f"{self.path}: no such video file; check `source` of the camera")
        if not os.access(self.path, os.R_OK):
            raise VideoConfigError(f"{self.path}: may not be read by this user; check its mode")
        capture = cv2.VideoCapture(
            str(self.path.absolute()), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, self._threads]
        )
        if not capture.isOpened():
            size = self.path.stat().st_size
            raise VideoError(
                f"{self.path}: {size} bytes, but no video that FFmpeg knows; it is cut short (an "
                f"MP4 without its index cannot be read) or no video; try `ffprobe` on it"
            )
        return capture

    def __iter__(self) -> Generator[tuple[int, int, ImageArray], None, None]:
        return decoded_ahead(self.decode(), self._ahead)

    def decode(self) -> Iterator[tuple[int, int, ImageArray]]:
        """The same without a thread."""
        capture, first = self._capture, self._first
        self._capture = self._first = None
        if capture is None or first is None:  # a second pass over the file
            capture = self._open()
            first = _read(capture)
        self.problem = ""
        index, pts_ns, image = 0, -1, first
        try:
            while image is not None:
                pts_ns = self._pts_ns(capture, pts_ns)
                yield index, pts_ns, image
                index += 1
                image = _read(capture)
            self._look_back(index)
        finally:
            capture.release()

    def _pts_ns(self, capture: cv2.VideoCapture, last_ns: int) -> int:
        """The time of the picture just read; a file without times gets them from its rate."""
        pts_ns = round(float(capture.get(cv2.CAP_PROP_POS_MSEC)) * NS_PER_MS)
        if pts_ns > last_ns:
            return pts_ns
        return 0 if last_ns < 0 else last_ns + round(NS_PER_S / self.rate_hz)

    def _look_back(self, n_decoded: int) -> None:
        missed = self.n_frames - n_decoded
        if missed > max(MISSED_FRAMES, MISSED_FRACTION * self.n_frames):
            self.problem = (
                f"{self.path}: ended after {n_decoded} of {self.n_frames} pictures; it is cut "
                f"short or damaged; what decodes was played"
            )
            log.warning(
                "video_file_short path=%s decoded=%d said=%d", self.path, n_decoded, self.n_frames
            )


class StillFolder:
    """A folder of stills by name.  Iterating gives `(index, path, image_bgr)`, decoded ahead.

    Stills that do not decode are left out and counted in `unreadable`; `index` counts them too.

    Raises:
        VideoError: the folder is missing, nothing in it matches, or not one still decodes.
    """

    def __init__(
        self, folder: Path | str, pattern: str | None = None, ahead: int = AHEAD_FRAMES
    ) -> None:
        self.path = Path(folder)
        self._ahead = ahead
        if not self.path.is_dir():
            raise VideoConfigError(f"{self.path}: no such folder of stills")
        patterns = (pattern,) if pattern else STILL_PATTERNS
        wanted = {path for one in patterns for path in self.path.glob(one) if path.is_file()}
        self.paths = tuple(sorted(wanted))
        if not self.paths:
            raise VideoConfigError(f"{self.path}: no still matches {' '.join(patterns)}")
        self.unreadable = 0
        self.size_changes = 0
        self.problem = ""
        self.height_px, self.width_px = self._first_size()

    def _first_size(self) -> tuple[int, int]:
        for path in self.paths:
            image = _imread(path)
            if image is not None:
                return int(image.shape[0]), int(image.shape[1])
        raise VideoError(
            f"{self.path}: none of {len(self.paths)} stills decodes; open {self.paths[0].name} in "
            f"a viewer to see what it is"
        )

    def __iter__(self) -> Generator[tuple[int, Path, ImageArray], None, None]:
        return decoded_ahead(self.decode(), self._ahead)

    def decode(self) -> Iterator[tuple[int, Path, ImageArray]]:
        """The same without a thread."""
        self.unreadable = 0
        size = (self.height_px, self.width_px)
        for index, path in enumerate(self.paths):
            image = _imread(path)
            if image is None:
                self.unreadable += 1
                self.problem = f"{path}: does not decode ({self.unreadable} such); left out"
                log.warning("still_unreadable path=%s", path)
                continue
            if image.shape[:2] != size:
                size = image.shape[:2]
                self.size_changes += 1
            yield index, path, image


def _read(capture: cv2.VideoCapture) -> ImageArray | None:
    """The next picture in memory of its own; None at the end."""
    ok, image = capture.read()
    return np.asarray(image, np.uint8) if ok and image is not None else None


def _imread(path: Path) -> ImageArray | None:
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    return None if image is None else np.asarray(image, np.uint8)


class _Ahead(Generic[Item]):
    """A bounded queue that a thread fills from an iterable.  Who fills waits: nothing is lost."""

    def __init__(self, items: Iterable[Item], places: int) -> None:
        self._items = items
        self._places = places
        self._queue: deque[Item] = deque()
        self._changed = threading.Condition()
        self._is_done = False
        self._is_closed = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._fill, name="decode-ahead", daemon=True)
        self._thread.start()

    def _fill(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except (VideoError, cv2.error, OSError, MemoryError) as error:
            self._error = error  # raised where the items are taken
        finally:
            with self._changed:
                self._is_done = True
                self._changed.notify_all()

    def _put(self, item: Item) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: len(self._queue) < self._places or self._is_closed)
            if not self._is_closed:
                self._queue.append(item)
                self._changed.notify_all()
            return not self._is_closed

    def take(self) -> tuple[Item] | None:
        """The next item in a one-tuple, or None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._queue) or self._is_done)
            if self._queue:
                self._changed.notify_all()
                return (self._queue.popleft(),)
        if self._error is not None:
            raise self._error
        return None

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._queue.clear()
            self._changed.notify_all()
        self._thread.join()


def decoded_ahead(items: Iterable[Item], places: int) -> Generator[Item, None, None]:
    """Run an iterable in a thread, at most `places` items ahead of the caller.

    The thread starts with the first item asked for and ends with the generator.
    """
    ahead = _Ahead(items, places)
    try:
        while (taken := ahead.take()) is not None:
            yield taken[0]
    finally:
        ahead.close()
