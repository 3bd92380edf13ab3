"""PX4's own log, ULog (`.ulg`), read by pyulog (the extra `logs`).

Heights: `vehicle_global_position.alt` and `home_position.alt` are both of the estimator, which
follows the barometer, the receiver or both.  Their difference is the height above home; either
alone may be metres off sea level, which is why nothing here compares them with a terrain model.
"""

from __future__ import annotations

import heapq
import logging
import math
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from edge.capture.clock import BOOT_WRAP_MS
from edge.capture.dispatch import WANTED
from edge.capture.log_records import (
    NS_PER_MS,
    NS_PER_US,
    ForeignReader,
    LogMessage,
    Report,
    is_plausible_utc,
)
from edge.errors import TelemetryError
from edge.extras import needs_extra
from edge.records import FloatArray, UtcNs

log = logging.getLogger(__name__)

WHAT = "PX4 ULog"
TOPICS = (
    "vehicle_attitude", "vehicle_angular_velocity", "vehicle_global_position",
    "vehicle_local_position", "vehicle_gps_position", "sensor_gps", "home_position",
    "distance_sensor", "gimbal_device_attitude_status",
)  # fmt: skip
_MOST_READS = 140_000  # without coming further: two for each byte of 64 KiB, and some
MAX_BYTES = 2 << 30  # it is read into memory as a whole
_LONGEST_US = 10 * 86_400 * 10**6  # a time stamp further from the log's start is damage
_CLOCK_FIXES = 50
_FIX_3D = 3
_ESTIMATOR_EVERY_US = 500_000
_POSITION_ABSOLUTE, _CONSTANT_POSITION = 16, 128  # ESTIMATOR_STATUS flags
_KEPT_US = 500_000  # a rate or a velocity further away in time is not the sample's


@dataclass(frozen=True)
class Topic:
    """One topic's rows in the order of their time: columns by name, each of shape (N,)."""

    times_us: FloatArray  # whole µs: exact up to 2^53
    columns: dict[str, Any]

    def __len__(self) -> int:
        return len(self.times_us)

    def column(self, name: str, default: float = math.nan) -> FloatArray:
        """Return a column as floats; `default` throughout where this version has none."""
        values = self.columns.get(name)
        if values is None:
            return np.full(len(self), default)
        with np.errstate(invalid="ignore"):  # a damaged log's NaN of the signalling kind
            return np.asarray(values, np.float64)

    def at(self, name: str, times_us: FloatArray) -> FloatArray:
        """Interpolate a column; NaN where no sample is near."""
        if len(self) == 0:
            return np.full(len(times_us), np.nan)
        after = np.clip(np.searchsorted(self.times_us, times_us), 0, len(self) - 1)
        before = np.maximum(after - 1, 0)
        near_us = np.minimum(
            np.abs(self.times_us[after] - times_us), np.abs(self.times_us[before] - times_us)
        )
        values = np.interp(times_us, self.times_us, self.column(name))
        return np.where(near_us <= _KEPT_US, values, np.nan)


Stream = Iterator[tuple[int, Report]]


def read_ulog(path: Path, names: Collection[str] = WANTED) -> Iterator[LogMessage]:
    """Read a ULog as the messages that a link would have carried.

    Record time is UTC by the log's GNSS time.  Where it has none, it is the log's own clock, as if
    that had started on 1970-01-01, and a warning says so.

    Raises:
        TelemetryError: The file cannot be read, is no ULog, or holds neither attitude nor position.
        MissingExtraError: pyulog is not installed.
    """
    topics = _load(path)
    if not len(topics["vehicle_attitude"]) and not len(topics["vehicle_global_position"]):
        raise TelemetryError(
            f"{path}: holds neither vehicle_attitude nor vehicle_global_position; set "
            "SDLOG_PROFILE so that they are logged"
        )
    offset_ns = _unix_from_log_ns(_gnss_of(topics))
    if offset_ns is None:
        log.warning("ulog_no_utc file=%s: times are the log's own clock", path.name)
    streams = [make(topics) for make in _STREAMS]
    for time_us, report in heapq.merge(*streams, key=lambda item: item[0]):
        if report.get_type() in names:
            yield LogMessage(UtcNs((offset_ns or 0) + time_us // 1000 * NS_PER_MS), report)


def _load(path: Path) -> dict[str, Topic]:
    with needs_extra("logs", str(path)):
        from pyulog import ULog
    with ForeignReader(path, WHAT):
        if path.stat().st_size > MAX_BYTES:
            raise TelemetryError(f"{path}: more than {MAX_BYTES >> 30} GiB; cut it first")
        with path.open("rb") as file:
            read = ULog(_Onward(file, path), message_name_filter_list=list(TOPICS))
        found: dict[str, Topic] = {}
        for data in sorted(read.data_list, key=lambda one: one.multi_id, reverse=True):
            found[data.name] = _topic(data.data, float(read.start_timestamp))
    return {name: found.get(name, Topic(np.empty(0), {})) for name in TOPICS}


class _Onward:
    """A file for a reader that goes round in circles on some damage: it ends in an error then.

    Past a damaged message pyulog goes on byte by byte, and may have read 64 KiB ahead before.
    """

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self.seek, self.tell, self.close = file.seek, file.tell, file.close
        self._furthest = self._n_reads = 0

    def read(self, size: int = -1) -> bytes:
        data, at = self._file.read(size), self._file.tell()
        self._n_reads += 1
        if at > self._furthest:
            self._furthest, self._n_reads = at, 0
        elif self._n_reads > _MOST_READS:
            raise TelemetryError(f"{self._path}: damaged so that its end is never reached")
        return data


def _topic(data: dict[str, Any], start_us: float) -> Topic:
    times_us = np.asarray(data["timestamp"], np.float64)
    good = (times_us > 0.0) & (np.abs(times_us - start_us) < _LONGEST_US)
    order = np.argsort(times_us[good], kind="stable")
    columns = {name: np.asarray(values)[good][order] for name, values in data.items()}
    return Topic(times_us[good][order], columns)


def _gnss_of(topics: dict[str, Topic]) -> Topic:
    merged = topics["vehicle_gps_position"]
    return merged if len(merged) else topics["sensor_gps"]


def _unix_from_log_ns(gnss: Topic) -> int | None:
    """UTC less log time: the largest of the first fixes', as a fix comes after its instant."""
    offsets: list[int] = []
    utc_us = gnss.column("time_utc_usec", 0.0)
    for i in np.flatnonzero(gnss.column("fix_type", 0.0) >= _FIX_3D)[:_CLOCK_FIXES]:
        if math.isfinite(utc_us[i]) and is_plausible_utc(int(utc_us[i]) * NS_PER_US):
            offsets.append((int(utc_us[i]) - int(gnss.times_us[i])) * NS_PER_US)
    if len(offsets) < 2:
        return None
    middle = sorted(offsets)[len(offsets) // 2]
    return max(one for one in offsets if abs(one - middle) < 2 * 10**9) // NS_PER_MS * NS_PER_MS


def _boot_ms(time_us: int) -> int:
    return time_us // 1000 % BOOT_WRAP_MS


def _attitudes(topics: dict[str, Topic]) -> Stream:
    turned, spun = topics["vehicle_attitude"], topics["vehicle_angular_velocity"]
    own = turned if "rollspeed" in turned.columns else None  # before PX4 1.10
    names = (
        ("rollspeed", "pitchspeed", "yawspeed") if own is not None
        else ("xyz[0]", "xyz[1]", "xyz[2]")
    )  # fmt: skip
    source = spun if own is None else own
    rates = [source.at(name, turned.times_us) for name in names]
    columns = [turned.column(f"q[{i}]") for i in range(4)]
    rows = np.column_stack([turned.times_us, *columns, *rates]).tolist()
    for time_us, w, x, y, z, roll, pitch, yaw in rows:
        yield int(time_us), Report(
            "ATTITUDE_QUATERNION", time_boot_ms=_boot_ms(int(time_us)), q1=w, q2=x, q3=y, q4=z,
            rollspeed=roll, pitchspeed=pitch, yawspeed=yaw,
        )  # fmt: skip


def _positions(topics: dict[str, Topic]) -> Stream:
    fixes, local = topics["vehicle_global_position"], topics["vehicle_local_position"]
    if "vel_n" in fixes.columns:  # before PX4 1.11
        velocity = [fixes.column(name) for name in ("vel_n", "vel_e", "vel_d")]
    else:
        velocity = [local.at(name, fixes.times_us) for name in ("vx", "vy", "vz")]
    velocity = [np.nan_to_num(one, nan=0.0, posinf=0.0, neginf=0.0) for one in velocity]
    above_home_m = _above_home_m(fixes, topics["home_position"], local)
    columns = (fixes.column("lat"), fixes.column("lon"), fixes.column("alt"), above_home_m)
    rows = np.column_stack([fixes.times_us, *columns, *velocity]).tolist()
    for time_us, lat_deg, lon_deg, amsl_m, home_m, north, east, down in rows:
        yield int(time_us), Report(
            "GLOBAL_POSITION_INT", time_boot_ms=_boot_ms(int(time_us)),
            lat=lat_deg * 1e7, lon=lon_deg * 1e7, alt=amsl_m * 1e3, relative_alt=home_m * 1e3,
            vx=north * 1e2, vy=east * 1e2, vz=down * 1e2,
        )  # fmt: skip


def _above_home_m(fixes: Topic, home: Topic, local: Topic) -> FloatArray:
    """Height above home, else above the estimator's origin (where it started); else NaN."""
    known = np.flatnonzero(home.column("valid_alt", 1.0) != 0.0)
    if len(known):
        latest = np.searchsorted(home.times_us[known], fixes.times_us, side="right") - 1
        home_amsl_m = home.column("alt")[known][np.maximum(latest, 0)]
        with np.errstate(invalid="ignore"):  # of a damaged log, an infinity less another
            above: FloatArray = fixes.column("alt") - home_amsl_m
        return above
    if len(fixes):
        log.warning("ulog_no_home: heights are above the estimator's origin")
    return -local.at("z", fixes.times_us)


def _vouched(topics: dict[str, Topic]) -> Stream:
    fixes = topics["vehicle_global_position"]
    lost = (fixes.column("dead_reckoning", 0.0) != 0.0) | (
        fixes.column("lat_lon_valid", 1.0) == 0.0
    )
    told_us, told = -_ESTIMATOR_EVERY_US, None
    for time_us, is_lost in zip(fixes.times_us.tolist(), lost.tolist(), strict=True):
        if is_lost != told or time_us - told_us >= _ESTIMATOR_EVERY_US:
            told_us, told = time_us, is_lost
            flags = _CONSTANT_POSITION if is_lost else _POSITION_ABSOLUTE
            yield int(time_us), Report("ESTIMATOR_STATUS", flags=flags)


def _fixes(topics: dict[str, Topic]) -> Stream:
    gnss = _gnss_of(topics)
    offset_ns = _unix_from_log_ns(gnss)
    names = ("fix_type", "eph", "epv")
    columns = [np.nan_to_num(gnss.column(name, 0.0), posinf=0.0) for name in names]
    for time_us, fix, h_acc_m, v_acc_m in np.column_stack([gnss.times_us, *columns]).tolist():
        yield (
            int(time_us),
            Report("GPS_RAW_INT", fix_type=int(fix), h_acc=h_acc_m * 1e3, v_acc=v_acc_m * 1e3),
        )
        if offset_ns is not None:
            ms = int(time_us) // 1000
            unix_us = offset_ns // NS_PER_US + ms * 1000
            yield (
                int(time_us),
                Report("SYSTEM_TIME", time_unix_usec=unix_us, time_boot_ms=ms % BOOT_WRAP_MS),
            )


def _ranges(topics: dict[str, Topic]) -> Stream:
    ranges = topics["distance_sensor"]
    names = ("current_distance", "max_distance", "orientation", "signal_quality")
    columns = [ranges.column(name, -1.0) for name in names]
    for row in np.column_stack([ranges.times_us, *columns]).tolist():
        time_us, range_m, max_m, orientation, quality = row
        if math.isfinite(range_m + max_m) and quality != 0.0:  # 0: the sensor calls it invalid
            yield int(time_us), Report(
                "DISTANCE_SENSOR", orientation=int(orientation),
                current_distance=range_m * 1e2, max_distance=max(max_m, 0.0) * 1e2,
            )  # fmt: skip


def _gimbals(topics: dict[str, Topic]) -> Stream:
    """The gimbal's own report.  `mount_orientation` is what was asked of it: not read."""
    gimbal = topics["gimbal_device_attitude_status"]
    columns = [gimbal.column(f"q[{i}]") for i in range(4)]
    flags = np.nan_to_num(gimbal.column("device_flags", 0.0), posinf=0.0, neginf=0.0)
    for time_us, w, x, y, z, flag in np.column_stack([gimbal.times_us, *columns, flags]).tolist():
        yield int(time_us), Report(
            "GIMBAL_DEVICE_ATTITUDE_STATUS", time_boot_ms=_boot_ms(int(time_us)),
            q=(w, x, y, z), flags=int(flag),
        )  # fmt: skip


_STREAMS: tuple[Callable[[dict[str, Topic]], Stream], ...] = (
    _fixes, _vouched, _attitudes, _positions, _ranges, _gimbals,
)  # fmt: skip
