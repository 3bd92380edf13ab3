"""ArduPilot's own log: DataFlash, binary (`.BIN`) or as text (`.log`), read by pymavlink.

Attitude comes from ATT, which is what ATTITUDE says on a link: the estimator's quaternions (XKQ)
leave out the trim between autopilot and airframe, and AHR2 is the estimator that was not flown on.
"""

from __future__ import annotations

import logging
import math
import os
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from edge.capture.dispatch import WANTED
from edge.capture.gimbal import FLAG_YAW_IN_EARTH_FRAME, FLAG_YAW_IN_VEHICLE_FRAME
from edge.capture.log_records import (
    NS_PER_MS,
    NS_PER_US,
    ForeignReader,
    LogMessage,
    Report,
    gps_utc_ns,
    is_plausible_utc,
)
from edge.capture.pose_buffer_math import quaternion_from_euler
from edge.errors import TelemetryError
from edge.records import UtcNs

log = logging.getLogger(__name__)

WHAT = "ArduPilot DataFlash log"
_MAGIC = b"\xa3\x95\x80"  # a log begins with the format of its formats
_HEAD_BYTES = 4096
_BATCH = 512
_STDERR = 2
# UTC − boot is the largest of the first fixes': a fix is logged after the instant that it is of.
_CLOCK_FIXES = 50
_CLOCK_AGREE_NS = 2 * 10**9
_FIX_3D, _RTK_FIXED = 3, 6
_KEPT_S = 0.5  # a velocity or a rate older than this is not the sample's
_DOWNWARD = 25  # of RFND.Orient, as in MAVLink
_RANGE_GOOD = 4
_TERRAIN_HEALTHY = 2
# What EKF_STATUS_REPORT and the logged status have in common; above, the bits differ.
_STATUS_BITS = 0x3FF

Row: TypeAlias = Any  # pymavlink's DFMessage
_Maker: TypeAlias = "Callable[[_Vehicle, Row, int], Report | None]"


@dataclass
class _Vehicle:
    """What one row needs of earlier ones."""

    has_pos: bool  # POS is logged: then GPS is not the position
    velocity: tuple[float, tuple[float, float, float]] | None = None  # boot s, NED m/s
    has_estimator: bool = False
    rates: tuple[float, tuple[float, float, float]] | None = None  # boot s, rad/s
    home_amsl_m: float | None = None
    accuracy: dict[int, tuple[float, float]] = field(default_factory=dict)  # GPS no.: h, v, m
    unix_from_boot_ns: int | None = None

    def velocity_at(self, boot_ms: int) -> tuple[float, float, float]:
        """Return the newest velocity; none known is standing still, which is honest only then."""
        return _fresh(self.velocity, boot_ms) or (0.0, 0.0, 0.0)


def read_dataflash(path: Path, names: Collection[str] = WANTED) -> Iterator[LogMessage]:
    """Read a DataFlash log as the messages that a link would have carried.

    Record time is UTC by the log's own GNSS time.  Where it has none, it counts from the
    autopilot's boot, as if that were 1970-01-01, and a warning says so.

    Raises:
        TelemetryError: The file cannot be read, or is no such log.
    """
    reader = _open(path)
    try:
        counts = _counts(reader)
        vehicle = _Vehicle(has_pos=counts.get("POS", 0) > 0)
        with ForeignReader(path, WHAT):
            vehicle.unix_from_boot_ns = _unix_from_boot_ns(reader)
            reader.rewind()
        if vehicle.unix_from_boot_ns is None:
            log.warning("dataflash_no_utc file=%s: times count from the boot", path.name)
        base_ns = vehicle.unix_from_boot_ns or 0
        n_read = 0
        for boot_ms, report in _reports(reader, vehicle, path):
            n_read += 1
            if report.get_type() in names:
                yield LogMessage(UtcNs(base_ns + boot_ms * NS_PER_MS), report)
        if n_read == 0:
            raise TelemetryError(
                f"{path}: a DataFlash log without ATT, POS or GPS; was LOG_BITMASK 0?"
            )
    finally:
        with ForeignReader(path, WHAT):
            reader.close()


def _open(path: Path) -> Any:
    from pymavlink.DFReader import DFReader_binary, DFReader_text

    with ForeignReader(path, WHAT):
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        if _MAGIC in head:
            return _opened(DFReader_binary, path)
        if b"FMT," in head:
            return _opened(DFReader_text, path)
    raise TelemetryError(f"{path}: is no {WHAT}: no table of formats at its start")


def _opened(kind: Any, path: Path) -> Any:
    """Make a reader; one that fails while it looks through the file leaves it open otherwise."""

    class Onward(kind):  # type: ignore[misc]  # a class of a package without types
        """Ends in an error where a damaged format has messages of no length."""

        def recv_msg(self) -> Any:
            before = self.offset
            message = super().recv_msg()
            if message is not None and self.offset <= before:
                raise TelemetryError(f"{path}: damaged so that its end is never reached")
            return message

    reader = Onward.__new__(Onward)
    try:
        with _silenced():
            reader.__init__(str(path))  # type: ignore[misc]
    except BaseException:
        if (file := getattr(reader, "filehandle", None)) is not None:
            file.close()
        raise
    return reader


@contextmanager
def _silenced() -> Iterator[None]:
    """Drop what C code writes to stderr: pymavlink's indexer writes a line for each bad byte."""
    sys.stderr.flush()
    kept, nowhere = os.dup(_STDERR), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _STDERR)
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)
        os.close(nowhere)


def _counts(reader: Any) -> dict[str, int]:
    """Return how many rows of each kind there are; text and binary count by name and by number."""
    names: dict[str, int] = reader.name_to_id
    counts = reader.counts
    if isinstance(counts, dict):
        return dict(counts)
    return {name: counts[number] for name, number in names.items()}


def _unix_from_boot_ns(reader: Any) -> int | None:
    offsets: list[int] = []
    while len(offsets) < _CLOCK_FIXES:
        row = reader.recv_match(type=["GPS"], strict=True)
        if row is None:
            break
        if _number(row, "Status") < _FIX_3D:
            continue
        week, ms, boot_us = (_number(row, name) for name in ("GWk", "GMS", "TimeUS"))
        if not math.isfinite(week + ms + boot_us):
            continue
        if 0 <= week < 10_000 and 0 <= ms < 7 * 86_400_000:
            utc_ns = gps_utc_ns(int(week), int(ms))
            if is_plausible_utc(utc_ns):
                offsets.append(utc_ns - int(boot_us) * NS_PER_US)
    if len(offsets) < 2:  # one alone may be a receiver that does not know yet
        return None
    middle = sorted(offsets)[len(offsets) // 2]
    agreeing = [one for one in offsets if abs(one - middle) < _CLOCK_AGREE_NS]
    return max(agreeing) // NS_PER_MS * NS_PER_MS


def _reports(reader: Any, vehicle: _Vehicle, path: Path) -> Iterator[tuple[int, Report]]:
    while True:
        batch: list[tuple[int, Report]] = []
        with ForeignReader(path, WHAT):
            rows = [reader.recv_match(type=list(_MAKERS), strict=True) for _ in range(_BATCH)]
            for row in rows:
                if row is not None:
                    batch.extend(_told(vehicle, row))
        yield from batch
        if rows[-1] is None:
            return


def _told(vehicle: _Vehicle, row: Row) -> Iterator[tuple[int, Report]]:
    boot_us = _number(row, "TimeUS")
    if not 0.0 <= boot_us < 2**53:
        return
    boot_ms = int(boot_us) // 1000
    name = row.get_type()
    report = _MAKERS[name](vehicle, row, boot_ms)
    if report is not None:
        yield boot_ms, report
    if name == "GPS" and vehicle.unix_from_boot_ns is not None and _is_used(row):
        unix_us = vehicle.unix_from_boot_ns // NS_PER_US + boot_ms * 1000
        yield boot_ms, Report("SYSTEM_TIME", time_unix_usec=unix_us, time_boot_ms=boot_ms)
        if not vehicle.has_pos:
            yield from _position_by_gps(vehicle, row, boot_ms)


def _attitude(vehicle: _Vehicle, row: Row, boot_ms: int) -> Report:
    rates = _fresh(vehicle.rates, boot_ms) or (0.0, 0.0, 0.0)
    roll, pitch, yaw = (math.radians(_number(row, name)) for name in ("Roll", "Pitch", "Yaw"))
    return Report(
        "ATTITUDE", time_boot_ms=boot_ms, roll=roll, pitch=pitch, yaw=yaw,
        rollspeed=rates[0], pitchspeed=rates[1], yawspeed=rates[2],
    )  # fmt: skip


def _rate(vehicle: _Vehicle, row: Row, boot_ms: int) -> None:
    rates = tuple(math.radians(_number(row, name)) for name in ("R", "P", "Y"))
    if all(map(math.isfinite, rates)):
        vehicle.rates = (boot_ms * 1e-3, (rates[0], rates[1], rates[2]))


def _estimator_velocity(vehicle: _Vehicle, row: Row, boot_ms: int) -> None:
    if _number(row, "C", 0.0) == 0.0:  # of several cores, the first
        velocity = tuple(_number(row, name) for name in ("VN", "VE", "VD"))
        if all(map(math.isfinite, velocity)):
            vehicle.velocity = (boot_ms * 1e-3, (velocity[0], velocity[1], velocity[2]))
            vehicle.has_estimator = True


def _position(vehicle: _Vehicle, row: Row, boot_ms: int) -> Report:
    above_home_m = _number(row, "RelHomeAlt", _number(row, "RelAlt"))
    return _global_position(vehicle, row, boot_ms, above_home_m)


def _position_by_gps(vehicle: _Vehicle, row: Row, boot_ms: int) -> Iterator[tuple[int, Report]]:
    """The receiver's own position, where the estimator's is not logged and home is known."""
    if vehicle.home_amsl_m is not None and _number(row, "Status") >= _FIX_3D:
        above_home_m = _number(row, "Alt") - vehicle.home_amsl_m
        yield boot_ms, _global_position(vehicle, row, boot_ms, above_home_m)


def _global_position(vehicle: _Vehicle, row: Row, boot_ms: int, above_home_m: float) -> Report:
    velocity = vehicle.velocity_at(boot_ms)
    return Report(
        "GLOBAL_POSITION_INT", time_boot_ms=boot_ms,
        lat=_number(row, "Lat") * 1e7, lon=_number(row, "Lng") * 1e7,
        alt=_number(row, "Alt") * 1e3, relative_alt=above_home_m * 1e3,
        vx=velocity[0] * 1e2, vy=velocity[1] * 1e2, vz=velocity[2] * 1e2,
    )  # fmt: skip


def _gps(vehicle: _Vehicle, row: Row, boot_ms: int) -> Report | None:
    if not _is_used(row):
        return None
    if not vehicle.has_estimator:
        _velocity_by_gps(vehicle, row, boot_ms)
    h_acc_m, v_acc_m = vehicle.accuracy.get(int(_number(row, "I", 0.0)), (0.0, 0.0))
    status = _number(row, "Status")
    return Report(
        "GPS_RAW_INT",
        fix_type=int(status) if 0.0 <= status <= _RTK_FIXED else 0,
        h_acc=h_acc_m * 1e3, v_acc=v_acc_m * 1e3,
    )  # fmt: skip


def _velocity_by_gps(vehicle: _Vehicle, row: Row, boot_ms: int) -> None:
    speed_mps, down_mps = _number(row, "Spd"), _number(row, "VZ", 0.0)
    course_rad = math.radians(_number(row, "GCrs"))
    velocity = (speed_mps * math.cos(course_rad), speed_mps * math.sin(course_rad), down_mps)
    if all(map(math.isfinite, velocity)):
        vehicle.velocity = (boot_ms * 1e-3, velocity)


def _gps_accuracy(vehicle: _Vehicle, row: Row, _boot_ms: int) -> None:
    h_acc_m, v_acc_m = _number(row, "HAcc", 0.0), _number(row, "VAcc", 0.0)
    vehicle.accuracy[int(_number(row, "I", 0.0))] = (h_acc_m, v_acc_m)


def _origin(vehicle: _Vehicle, row: Row, _boot_ms: int) -> None:
    is_home = _number(row, "Type") == 1.0
    if is_home and math.isfinite(_number(row, "Alt")):
        vehicle.home_amsl_m = _number(row, "Alt")


def _estimator_status(_vehicle: _Vehicle, row: Row, _boot_ms: int) -> Report | None:
    status = _number(row, "SS")
    if _number(row, "C", 0.0) != _number(row, "PI", 0.0) or not math.isfinite(status):
        return None  # of several cores, the one that is flown on
    return Report("EKF_STATUS_REPORT", flags=int(status) & _STATUS_BITS)


def _range(_vehicle: _Vehicle, row: Row, _boot_ms: int) -> Report | None:
    is_good = _number(row, "Stat", _RANGE_GOOD) == _RANGE_GOOD
    looks_down = _number(row, "Orient", _number(row, "Orient1", _DOWNWARD)) == _DOWNWARD
    distance_m = _number(row, "Dist", _number(row, "Dist1"))
    return Report("RANGEFINDER", distance=distance_m) if is_good and looks_down else None


def _terrain(_vehicle: _Vehicle, row: Row, _boot_ms: int) -> Report | None:
    if _number(row, "Status") != _TERRAIN_HEALTHY:
        return None
    return Report(
        "TERRAIN_REPORT", spacing=_number(row, "Spacing"), lat=_number(row, "Lat"),
        lon=_number(row, "Lng"), current_height=_number(row, "CHeight"),
    )  # fmt: skip


def _mount(_vehicle: _Vehicle, row: Row, boot_ms: int) -> Report | None:
    """MNT since ArduPilot 4.4: the first gimbal's reported angles; YawB from the nose, YawE north.

    They are the angles of GIMBAL_DEVICE_ATTITUDE_STATUS and, like it, a servo mount's are in body
    axes.  Earlier versions log no gimbal; CAM's R, P, Y are the vehicle's.
    """
    if _number(row, "I", 0.0) != 0.0:
        return None
    roll, pitch = _number(row, "Roll"), _number(row, "Pitch")
    yaw, flags = _number(row, "YawB"), FLAG_YAW_IN_VEHICLE_FRAME
    if not math.isfinite(yaw):
        yaw, flags = _number(row, "YawE"), FLAG_YAW_IN_EARTH_FRAME
    if not all(map(math.isfinite, (roll, pitch, yaw))):
        return None
    q = quaternion_from_euler(math.radians(roll), math.radians(pitch), math.radians(yaw))
    return Report("GIMBAL_DEVICE_ATTITUDE_STATUS", time_boot_ms=boot_ms, q=q, flags=flags)


_MAKERS: dict[str, _Maker] = {
    "ATT": _attitude,
    "RATE": _rate,
    "POS": _position,
    "XKF1": _estimator_velocity,
    "NKF1": _estimator_velocity,
    "GPS": _gps,
    "GPA": _gps_accuracy,
    "ORGN": _origin,
    "XKF4": _estimator_status,
    "NKF4": _estimator_status,
    "RFND": _range,
    "TERR": _terrain,
    "MNT": _mount,
}


def _number(row: Row, name: str, default: float = math.nan) -> float:
    """Return a column as a number; `default` where the row has no such column."""
    value = getattr(row, name, None)
    return default if value is None else float(value)


def _is_used(row: Row) -> bool:
    """Of several receivers: the one in use, where the row tells, else the first."""
    return _number(row, "U", 1.0) == 1.0 if hasattr(row, "U") else _number(row, "I", 0.0) == 0.0


def _fresh(
    kept: tuple[float, tuple[float, float, float]] | None, boot_ms: int
) -> tuple[float, float, float] | None:
    return kept[1] if kept is not None and abs(boot_ms * 1e-3 - kept[0]) <= _KEPT_S else None
