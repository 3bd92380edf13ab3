"""What every reader of recorded telemetry yields, and how foreign readers' errors become ours.

A log that no link carried (a flight controller's own, subtitles, stills) is told in `Report`s:
objects with MAVLink's names, fields and units, so that `Telemetry.feed` reads them as it reads a
link.  Their sender is always system 1, component 1: such a log is of one vehicle.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, TypeAlias

from edge.errors import SkywhistleError, TelemetryError
from edge.records import UtcNs

NS_PER_US = 1_000
NS_PER_MS = 1_000_000
SYSTEM_ID = COMPONENT_ID = 1
# GNSS and boot times of such logs are cut to a millisecond; nothing else lies between them.
LOGGER_SIGMA_S = 1e-3
# 2015 to 2100: what a receiver says before it knows lies outside.
PLAUSIBLE_UTC_NS = (1_420_070_400 * 10**9, 4_102_444_800 * 10**9)
_GPS_EPOCH = datetime(1980, 1, 6, tzinfo=timezone.utc)
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# GPS − UTC, s, from each day on (IERS Bulletin C).
_LEAP_SECONDS = (
    (datetime(2017, 1, 1, tzinfo=timezone.utc), 18),
    (datetime(2015, 7, 1, tzinfo=timezone.utc), 17),
    (datetime(2012, 7, 1, tzinfo=timezone.utc), 16),
)
_OLDEST_LEAP_S = 15


@dataclass(frozen=True, slots=True)
class LogMessage:
    """One message, and when the recorder wrote it."""

    record_utc_ns: UtcNs
    message: Any


LogReader: TypeAlias = "Callable[[Path, Collection[str]], Iterator[LogMessage]]"


class Report(SimpleNamespace):
    """A message with MAVLink's name and fields, made from another kind of log."""

    def __init__(self, name: str, **fields: Any) -> None:
        super().__init__(**fields)
        self._name = name

    def get_type(self) -> str:
        return self._name

    def get_srcSystem(self) -> int:  # noqa: N802  (pymavlink's name)
        return SYSTEM_ID

    def get_srcComponent(self) -> int:  # noqa: N802  (pymavlink's name)
        return COMPONENT_ID


def gps_utc_ns(week: int, ms_of_week: int) -> int:
    """Turn a GPS week and its milliseconds into Unix time, ns, by the leap seconds of that day."""
    moment = _GPS_EPOCH + timedelta(days=7 * week, milliseconds=ms_of_week)
    leap_s = next((s for since, s in _LEAP_SECONDS if moment >= since), _OLDEST_LEAP_S)
    return unix_ns(moment) - leap_s * 10**9


def unix_ns(moment: datetime) -> int:
    """Turn an aware time into Unix time, ns; one without a zone is taken as UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    since = aware - _UNIX_EPOCH
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * NS_PER_US


def is_plausible_utc(utc_ns: int) -> bool:
    """Tell whether a receiver's time can be meant."""
    return PLAUSIBLE_UTC_NS[0] <= utc_ns <= PLAUSIBLE_UTC_NS[1]


class _Nowhere(io.TextIOBase):
    def write(self, text: str, /) -> int:
        return len(text)


class ForeignReader:
    """A `with` around a library that reads a file from outside: all that it raises is ours.

    Such libraries meet damaged bytes with whatever Python raises, pymavlink with a bare
    `Exception` too, and print about it.  Nothing is swallowed here: each error goes on as a
    `TelemetryError` (or what `kind` says) that names the file, and only the printing is dropped.
    """

    def __init__(self, path: Path, what: str, kind: type[SkywhistleError] = TelemetryError) -> None:
        self._path, self._what, self._kind = path, what, kind
        self._quiet = ExitStack()

    def __enter__(self) -> None:
        self._quiet.enter_context(redirect_stdout(_Nowhere()))
        self._quiet.enter_context(redirect_stderr(_Nowhere()))

    def __exit__(
        self,
        _type: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._quiet.close()
        if error is None or isinstance(error, (SkywhistleError, StopIteration)):
            return
        if isinstance(error, OSError) and error.strerror:
            raise self._kind(
                f"{self._path}: cannot be read ({error.strerror}); check the name and the "
                "permissions"
            ) from error
        if isinstance(error, Exception):
            said = f"{type(error).__name__}: {error}"[:200]
            raise self._kind(
                f"{self._path}: is no {self._what}, or a damaged one ({said}); copy it again from "
                "the aircraft"
            ) from error
