"""Telemetry logs by suffix; another kind is one function in `READERS`.

A reader yields messages with `get_type`, `get_srcSystem`, `get_srcComponent` and MAVLink's field
names and units, so that `Telemetry.feed` reads a log as it reads a link.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Collection, Iterator
from pathlib import Path

from edge.capture.dispatch import WANTED
from edge.capture.link_frames import LONGEST_FRAME, FrameCutter, frame_length
from edge.capture.log_records import LogMessage, LogReader
from edge.capture.logs_dataflash import read_dataflash
from edge.capture.logs_px4 import read_ulog
from edge.capture.logs_srt import read_srt
from edge.errors import TelemetryError
from edge.records import UtcNs

log = logging.getLogger(__name__)

_TIMESTAMP = struct.Struct(">Q")  # µs since 1970, before each frame
_READ_BYTES = 1 << 16


def read_tlog(path: Path, names: Collection[str] = WANTED) -> Iterator[LogMessage]:
    """Read a MAVLink telemetry log in the order of its recording.

    Args:
        path: The file; big-endian µs before each frame.
        names: Messages to decode; by default all that `Telemetry` reads.

    Raises:
        TelemetryError: The file cannot be read, or holds no MAVLink at all.
    """
    try:
        with path.open("rb") as file:
            yield from _read(iter(lambda: file.read(_READ_BYTES), b""), path, names)
    except OSError as error:
        raise TelemetryError(
            f"{path}: cannot be read ({error.strerror}); check the name and the permissions"
        ) from error


def _read(chunks: Iterator[bytes], path: Path, names: Collection[str]) -> Iterator[LogMessage]:
    cutter = FrameCutter(names)
    rest, skipped = b"", 0
    for chunk in chunks:
        data = rest + chunk
        at = 0
        while at + _TIMESTAMP.size + LONGEST_FRAME <= len(data):
            step, found = _record(data, at, cutter)
            skipped += step == 1
            at += step
            if found is not None:
                yield found
        rest = data[at:]
    at = 0
    while at + _TIMESTAMP.size < len(rest):  # the tail, where a frame may be cut off
        step, found = _record(rest, at, cutter)
        skipped += step == 1
        at += step
        if found is not None:
            yield found
    if cutter.counts.messages == 0:
        raise TelemetryError(f"{path}: holds no MAVLink messages; is it a .tlog?")
    if skipped:
        log.warning("tlog_garbage file=%s bytes=%d", path.name, skipped)


def _record(data: bytes, at: int, cutter: FrameCutter) -> tuple[int, LogMessage | None]:
    """Read the record at `at`; step one byte on where there is none."""
    start = at + _TIMESTAMP.size
    length = frame_length(data, start) if data[start] in (0xFD, 0xFE) else None
    if length is None or start + length > len(data):
        return 1, None
    _, found = cutter.take(data[start : start + length])
    if found is None:
        return 1, None
    (record_us,) = _TIMESTAMP.unpack_from(data, at)
    message = found[1]
    record = None if message is None else LogMessage(UtcNs(record_us * 1000), message)
    return _TIMESTAMP.size + length, record


READERS: dict[str, LogReader] = {
    ".tlog": read_tlog,
    ".mavlink": read_tlog,
    ".bin": read_dataflash,
    ".log": read_dataflash,
    ".ulg": read_ulog,
    ".srt": read_srt,
}
# What a link's recorder wrote: its record time is an arrival.  The others' is the vehicle's own.
FROM_A_LINK = frozenset({".tlog", ".mavlink"})


def read_log(path: Path, names: Collection[str] = WANTED) -> Iterator[LogMessage]:
    """Read a log of any kind that is known, by its suffix.

    Raises:
        TelemetryError: No reader for this suffix, or the reader's own reasons.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise TelemetryError(
            f"{path}: no reader for {path.suffix!r}; there are {', '.join(sorted(READERS))}"
        )
    return reader(path, names)
