"""A mount's kind shows in how its gimbal reports; where the config disagrees, it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.capture.clock import utc_by_record_time
from edge.capture.gimbal import GimbalKind
from edge.capture.logs import read_tlog
from edge.capture.telemetry import Telemetry
from edge.config import AutopilotConfig
from edge.errors import CalibrationError
from edge.mount_kind import Agreement, mount_word
from sim.vehicle.mount import MountKind
from sim.vehicle.noise import PRESETS
from sim.vehicle.path import FlightPlan
from sim.vehicle.vehicle import Origin, Vehicle

TELLING = ("HEARTBEAT", "ATTITUDE", "GIMBAL_DEVICE_ATTITUDE_STATUS")
ENOUGH_S = 240  # of minutes of a flight that says the same to its end
SHOWN_BY = {
    MountKind.FIXED: GimbalKind.NONE,
    MountKind.STABILISED_GIMBAL: GimbalKind.STABILISED,
    MountKind.SERVO_GIMBAL: GimbalKind.SERVO,
}
FILES = {
    MountKind.FIXED: "nadir-fixed",
    MountKind.STABILISED_GIMBAL: "stabilised-gimbal",
    MountKind.SERVO_GIMBAL: "servo-gimbal",
}


@pytest.fixture
def mounts(repo: Path) -> Path:
    return repo / "calibration" / "mounts"


def shown_in(log: Path, gimbal_component_id: int) -> GimbalKind:
    config = AutopilotConfig(gimbal_component_id=gimbal_component_id)
    telemetry = Telemetry(config, utc_by_record_time)
    start_ns = None
    for entry in read_tlog(log, TELLING):
        start_ns = start_ns or entry.record_utc_ns
        if entry.record_utc_ns > start_ns + ENOUGH_S * 10**9:
            break
        telemetry.feed(entry.message, entry.record_utc_ns)
    return telemetry.health().gimbal_kind


@pytest.mark.parametrize(
    ("name", "component_id", "kind"),
    [
        ("ardupilot-sitl-tuned", 1, GimbalKind.SERVO),
        ("ardupilot-sitl-gimbal", 154, GimbalKind.STABILISED),
        ("ardupilot-sitl-gimbal", 1, GimbalKind.STABILISED),
    ],
)
def test_real_logs_show_their_mount(
    shared_data: Path, mounts: Path, name: str, component_id: int, kind: GimbalKind
) -> None:
    """Both ArduPilot logs tell their mount's kind, from the gimbal itself and from the relay."""
    log = shared_data / "logs" / f"{name}.tlog"
    if not log.is_file():
        pytest.skip(f"needs the third-party log {log}, which is not shipped")
    shown = shown_in(log, component_id)
    assert shown is kind
    right, wrong = ("servo", "stabilised") if kind is GimbalKind.SERVO else ("stabilised", "servo")
    assert mount_word(mounts / f"{right}-gimbal.toml", shown).agreement is Agreement.AGREES
    word = mount_word(mounts / f"{wrong}-gimbal.toml", shown)
    assert word.agreement is Agreement.DISAGREES
    assert f"the config says {wrong}_gimbal, but it moves like a {right} one" in word.text


def flown(kind: MountKind, seconds: float, speed_mps: float) -> GimbalKind:
    """Fly a mount in the simulator, with instruments as they are, and return what it shows."""
    plan = FlightPlan((-20.0, -30.0), 20.0, 4, 40.0, 15.0, 60.0, speed_mps, -65.0, kind)
    vehicle = Vehicle(plan, PRESETS["typical"], Origin(31.5, 120.3, 4.2, 10.6), 3, 10**15)
    telemetry = Telemetry(AutopilotConfig(), utc_by_record_time)
    for time_s, message in vehicle.sent(0.0, min(seconds, vehicle.duration_s)):
        telemetry.feed(message, vehicle.utc_us(time_s) * 1000)
    return telemetry.health().gimbal_kind


@pytest.mark.parametrize("kind", list(MountKind))
def test_a_simulated_mount_shows_its_kind_to_every_config(kind: MountKind, mounts: Path) -> None:
    """Each of the three mounts agrees with its own file and with neither other."""
    shown = flown(kind, 60.0, 9.0)
    assert shown is SHOWN_BY[kind]
    for other, name in FILES.items():
        word = mount_word(mounts / f"{name}.toml", shown)
        assert (word.agreement is Agreement.AGREES) == (other is kind)


def test_a_vehicle_that_hardly_tilts_leaves_it_open(mounts: Path) -> None:
    """Without tilt nobody can tell, and the sentence says what to do."""
    assert flown(MountKind.SERVO_GIMBAL, 2.0, 9.0) is GimbalKind.UNKNOWN
    for name in ("servo-gimbal", "stabilised-gimbal"):
        word = mount_word(mounts / f"{name}.toml", GimbalKind.UNKNOWN)
        assert word.agreement is Agreement.UNTOLD
        assert "did not tilt enough" in word.text


@pytest.mark.parametrize(
    ("name", "shown", "agreement"),
    [
        ("servo-gimbal", GimbalKind.NONE, Agreement.SILENT),
        ("stabilised-gimbal", GimbalKind.NONE, Agreement.SILENT),
        ("nadir-fixed", GimbalKind.STABILISED, Agreement.EXTRA),
        ("nadir-fixed", GimbalKind.UNKNOWN, Agreement.EXTRA),
    ],
)
def test_a_gimbal_too_few_or_too_many_is_told(
    mounts: Path, name: str, shown: GimbalKind, agreement: Agreement
) -> None:
    """A gimbal that never reports, and one that reports beside a fixed mount, are words of their
    own.
    """
    assert mount_word(mounts / f"{name}.toml", shown).agreement is agreement


def test_a_mount_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """No verdict on a file that is not there."""
    with pytest.raises(CalibrationError, match=r"none\.toml"):
        mount_word(tmp_path / "none.toml", GimbalKind.SERVO)
