"""Laws of the autopilots' own logs: the poses in them are those that were flown."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import pytest

from edge.capture.clock import BootClock, utc_by_record_time
from edge.capture.log_records import gps_utc_ns
from edge.capture.logs import read_log
from edge.capture.recording_spec import FlightTelemetry
from edge.capture.telemetry import Telemetry
from edge.errors import TelemetryError
from edge.records import NoPose, Pose, TimeQuality, YawReference
from tests.unit.capture.log_writers import UlogTopic, dataflash, dataflash_text, ulog
from tests.unit.capture.logged_flight import (
    BOOT_S,
    GIMBAL_PITCH_DEG,
    GPS_MS,
    GPS_WEEK,
    HEIGHT_M,
    HOME_AMSL_M,
    LON_DEG,
    M_PER_LAT_DEG,
    SPEED_MPS,
    UTC_S,
    dataflash_rows,
    fed,
    lat_deg,
    pose_at,
    ulog_topics,
    yaw_rad,
)

KINDS = ("binary", "text", "px4")
START_US = round(BOOT_S * 1e6)


def written(folder: Path, kind: str) -> Path:
    path = folder / {"binary": "00000001.BIN", "text": "1.log", "px4": "log.ulg"}[kind]
    if kind == "text":
        path.write_text(dataflash_text(list(dataflash_rows())))
    else:
        data = ulog(ulog_topics(), START_US) if kind == "px4" else dataflash(list(dataflash_rows()))
        path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("t_s", [2.013, 3.5, 5.0])
def test_a_pose_between_two_rows_is_the_flights(tmp_path: Path, kind: str, t_s: float) -> None:
    """Place, height above home, attitude and velocity are the flight's to the log's rounding."""
    pose = pose_at(fed(written(tmp_path, kind), until_s=t_s + 1), t_s)
    assert isinstance(pose, Pose)
    assert (pose.lat_deg - lat_deg(t_s)) * M_PER_LAT_DEG == pytest.approx(0.0, abs=0.03)
    assert pose.lon_deg == pytest.approx(LON_DEG, abs=1e-7)
    assert pose.above_home_m == pytest.approx(HEIGHT_M, abs=1e-3)
    assert pose.velocity_ned_mps == pytest.approx((SPEED_MPS, 0.0, 0.0), abs=1e-3)
    w, _, _, z = pose.ned_from_body_wxyz
    assert 2 * math.atan2(z, w) == pytest.approx(yaw_rad(t_s), abs=2e-3)
    assert pose.rates_body_radps == pytest.approx((0.0, 0.0, 0.1), abs=1e-3)
    assert pose.h_acc_m == pytest.approx(0.8)
    assert pose.rangefinder_slant_m == pytest.approx(58.5, abs=0.01)
    assert pose.sync_sigma_s < 0.002


@pytest.mark.parametrize("kind", KINDS)
def test_the_gimbal_is_read_with_what_its_yaw_is_from(tmp_path: Path, kind: str) -> None:
    """The gimbal's pitch comes through, and its yaw is from the vehicle's nose."""
    pose = pose_at(fed(written(tmp_path, kind), until_s=4), 3.0)
    assert isinstance(pose, Pose)
    assert pose.gimbal is not None
    assert pose.gimbal.yaw_reference is YawReference.VEHICLE
    w, x, y, z = pose.gimbal.quaternion_wxyz
    assert math.degrees(math.asin(2 * (w * y - z * x))) == pytest.approx(GIMBAL_PITCH_DEG, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_record_time_is_utc_by_gnss(tmp_path: Path, kind: str) -> None:
    """The flight's clock is GNSS time less leap seconds, and the telemetry says so."""
    telemetry = fed(written(tmp_path, kind))
    told = telemetry.utc((UTC_S + 4) * 10**9)
    assert told.quality is TimeQuality.GNSS
    assert told.utc_ns == pytest.approx((UTC_S + 4) * 10**9, abs=2e6)


@pytest.mark.parametrize(
    ("week", "ms", "utc_s"),
    [
        # Midnights of UTC: 2017-01-01 and the day before, 2014-06-01.
        (1930, 18_000, 1_483_228_800),
        (1929, 6 * 86_400_000 + 17_000, 1_483_142_400),
        (1795, 16_000, 1_401_580_800),
    ],
)
def test_gps_time_loses_the_leap_seconds_of_its_day(week: int, ms: int, utc_s: int) -> None:
    """A log of before 2017 is not a second off."""
    assert gps_utc_ns(week, ms) == utc_s * 10**9


@pytest.mark.parametrize("kind", ["binary", "px4"])
def test_a_log_without_gnss_time_counts_from_its_boot_and_says_so(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No UTC is made up: record time is the boot clock's, and a warning tells."""
    path = tmp_path / ("a.ulg" if kind == "px4" else "a.bin")
    if kind == "px4":
        topics = [one for one in ulog_topics() if one.name != "vehicle_gps_position"]
        path.write_bytes(ulog(topics, START_US))
    else:
        path.write_bytes(dataflash([row for row in dataflash_rows() if row[0] != "GPS"]))
    first = next(one for one in read_log(path) if one.message.get_type().startswith("ATTITUDE"))
    assert first.record_utc_ns == round(BOOT_S * 1e9)
    assert "no_utc" in caplog.text


def test_a_servo_log_before_mnt_has_no_gimbal(tmp_path: Path) -> None:
    """ArduPilot before 4.4 logs no gimbal's attitude: none is made of what the vehicle's is."""
    path = tmp_path / "old.bin"
    path.write_bytes(dataflash([row for row in dataflash_rows() if row[0] != "MNT"]))
    pose = pose_at(fed(path, until_s=4), 3.0)
    assert isinstance(pose, Pose)
    assert pose.gimbal is None


def test_without_pos_the_receivers_place_is_above_the_logged_home(tmp_path: Path) -> None:
    """A log of GPS alone still gives height above home, by ORGN."""
    path = tmp_path / "gps.bin"
    path.write_bytes(dataflash([row for row in dataflash_rows() if row[0] != "POS"]))
    pose = pose_at(fed(path, until_s=4), 3.0)
    assert isinstance(pose, Pose)
    assert pose.above_home_m == pytest.approx(HEIGHT_M, abs=0.01)
    assert pose.amsl_m == pytest.approx(HOME_AMSL_M + HEIGHT_M, abs=0.01)


def test_px4_heights_are_of_one_estimator(tmp_path: Path) -> None:
    """Above home is the estimator's height less home's of the same estimator, whatever its zero."""
    path = tmp_path / "log.ulg"
    path.write_bytes(ulog(ulog_topics(), START_US))
    pose = pose_at(fed(path, until_s=4), 3.0)
    assert isinstance(pose, Pose)
    assert (pose.amsl_m, pose.above_home_m) == pytest.approx((548.0, HEIGHT_M), abs=1e-3)


@pytest.mark.parametrize("kind", ["binary", "px4"])
def test_nobody_vouches_for_dead_reckoning(tmp_path: Path, kind: str) -> None:
    """An estimator that has lost its absolute position gives NO_FIX, not a place."""
    path = tmp_path / ("a.ulg" if kind == "px4" else "a.bin")
    if kind == "px4":
        topics = ulog_topics()
        at = next(i for i, one in enumerate(topics) if one.name == "vehicle_global_position")
        lost = [(*row[:4], True) for row in topics[at].rows]
        topics[at] = UlogTopic(topics[at].name, topics[at].fields, lost)
        path.write_bytes(ulog(topics, START_US))
    else:
        rows = [
            (name, dict(row) | ({"SS": 128} if name == "XKF4" else {}))
            for name, row in dataflash_rows()
        ]
        path.write_bytes(dataflash(rows))
    assert pose_at(fed(path, until_s=4), 3.0) is NoPose.NO_FIX


def test_a_gnss_jump_is_no_place(tmp_path: Path) -> None:
    """Where the position jumps by 200 m against its own velocity, no pose is given around it."""
    rows = [
        (name, dict(row) | ({"Lat": row["Lat"] + 200 / M_PER_LAT_DEG} if jumps else {}))
        for name, row in dataflash_rows()
        for jumps in [name == "POS" and row["TimeUS"] >= (BOOT_S + 3.0) * 1e6]
    ]
    path = tmp_path / "jump.bin"
    path.write_bytes(dataflash(rows))
    telemetry = fed(path, until_s=5)
    assert isinstance(pose_at(telemetry, 2.85), Pose)
    assert pose_at(telemetry, 2.95) is NoPose.NO_FIX
    assert pose_at(telemetry, 3.0) is NoPose.NO_FIX
    assert isinstance(pose_at(telemetry, 3.25), Pose)


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_cut_short_loses_only_its_end(tmp_path: Path, kind: str) -> None:
    """Half a log is half a flight."""
    path = written(tmp_path, kind)
    whole = [one.message for one in read_log(path)]
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    cut = [one.message for one in read_log(path)]
    assert 0.5 * len(whole) < len(cut) < len(whole)
    assert all(a == b for a, b in itertools.islice(zip(cut, whole, strict=False), 200))


@pytest.mark.parametrize("suffix", [".bin", ".log", ".ulg", ".srt"])
@pytest.mark.parametrize("content", [b"", b"no log at all\n" * 100, bytes(range(256)) * 40])
def test_what_is_no_log_of_its_kind_is_refused_by_name(
    tmp_path: Path, suffix: str, content: bytes
) -> None:
    """A file of another kind is a TelemetryError that names it."""
    path = tmp_path / f"a{suffix}"
    path.write_bytes(content)
    with pytest.raises(TelemetryError, match=f"a{suffix}"):
        list(read_log(path))


@pytest.mark.parametrize("suffix", [".bin", ".ulg", ".srt"])
def test_a_log_that_is_not_there_is_refused(tmp_path: Path, suffix: str) -> None:
    """The message says that it cannot be read."""
    with pytest.raises(TelemetryError, match="cannot be read"):
        list(read_log(tmp_path / f"none{suffix}"))


def test_the_real_px4_log_is_a_hop_over_its_home(shared_data: Path) -> None:
    """Poses of a real ULog: within metres of home, a metre high at most, upright, no gimbal."""
    path = shared_data / "logs" / "sample_px4_events.ulg"
    telemetry = fed(path)
    last_ns = max(one.record_utc_ns for one in read_log(path))
    poses = [telemetry.at(last_ns - n * 250_000_000) for n in range(4, 60)]
    known = [pose for pose in poses if isinstance(pose, Pose)]
    assert len(known) > 50
    for pose in known:
        assert pose.lat_deg == pytest.approx(47.39774, abs=1e-4)
        assert pose.lon_deg == pytest.approx(8.54559, abs=1e-4)
        assert -1.0 < pose.above_home_m < 10.0
        assert abs(pose.ned_from_body_wxyz[0]) > 0.99
        assert pose.gimbal is None


def test_a_real_flights_poses_are_the_same_from_either_log(
    shared_data: Path, tmp_path: Path
) -> None:
    """What a link carried, written as a DataFlash log, gives the link's poses to its rounding."""
    rows: list[tuple[str, dict[str, float]]] = []
    link = Telemetry(FlightTelemetry(log=Path("a.tlog")), utc_by_record_time, BootClock(1e-3))
    offset_ms = 0
    for one in read_log(shared_data / "logs" / "ardupilot-sitl-tuned.tlog"):
        message, name = one.message, one.message.get_type()
        if message.get_srcComponent() != 1 or name not in {"ATTITUDE", "GLOBAL_POSITION_INT"}:
            continue
        if not 150_000 < message.time_boot_ms < 180_000:
            continue
        offset_ms = offset_ms or UTC_S * 1000 - message.time_boot_ms
        link.feed(message, (message.time_boot_ms + offset_ms) * 1_000_000)
        rows += _rows_of(message, name)
    week_ms = GPS_MS - (UTC_S * 1000 - offset_ms)
    fixes = [
        ("GPS", {"TimeUS": ms * 1000, "Status": 3, "GWk": GPS_WEEK, "GMS": week_ms + ms, "U": 1})
        for ms in range(150_000, 152_000, 200)
    ]
    path = tmp_path / "real.BIN"
    path.write_bytes(dataflash(sorted([*fixes, *rows], key=lambda row: row[1]["TimeUS"])))
    logged = fed(path)
    for t_s in (5.003, 11.017, 17.029, 23.011, 27.007):
        wanted, got = pose_at(link, t_s), pose_at(logged, t_s)
        assert isinstance(wanted, Pose)
        assert isinstance(got, Pose)
        assert (got.lat_deg - wanted.lat_deg) * M_PER_LAT_DEG == pytest.approx(0.0, abs=0.02)
        assert got.above_home_m == pytest.approx(wanted.above_home_m, abs=0.01)
        pairs = zip(got.ned_from_body_wxyz, wanted.ned_from_body_wxyz, strict=True)
        assert abs(sum(a * b for a, b in pairs)) > math.cos(math.radians(0.02) / 2)


def _rows_of(message: Any, name: str) -> list[tuple[str, dict[str, float]]]:
    at: dict[str, float] = {"TimeUS": message.time_boot_ms * 1000}
    if name == "ATTITUDE":
        angles = {"Roll": message.roll, "Pitch": message.pitch, "Yaw": message.yaw % math.tau}
        return [("ATT", at | {key: math.degrees(value) for key, value in angles.items()})]
    velocity = {"VN": message.vx / 100, "VE": message.vy / 100, "VD": message.vz / 100}
    place = {"Lat": message.lat / 1e7, "Lng": message.lon / 1e7, "Alt": message.alt / 1e3}
    return [
        ("XKF1", at | velocity),
        ("POS", at | place | {"RelHomeAlt": message.relative_alt / 1e3}),
    ]
