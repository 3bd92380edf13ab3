"""Laws of the simulated vehicle: its motion, and what its telemetry says of it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pymap3d
import pytest

from sim.vehicle.noise import PRESETS, NoiseKnobs, knobs, wander
from sim.vehicle.path import FlightPlan
from sim.vehicle.vehicle import RATES_HZ, Origin, Vehicle

PLAN = FlightPlan((-20.0, -30.0), 20.0, 2, 70.0, 30.0, 60.0, 8.0, -65.0)
ORIGIN = Origin(31.4912, 120.3119, 4.2, 10.6)


@pytest.fixture(scope="module")
def exact() -> Vehicle:
    """A vehicle whose instruments are perfect."""
    return Vehicle(PLAN, NoiseKnobs(), ORIGIN, 1, 1_700_000_000_000_000)


def test_without_noise_the_telemetry_is_the_truth(exact: Vehicle) -> None:
    """With all knobs at zero each message says the truth, to the wire's own rounding."""
    for time_s in (2.0, 9.37, 14.9):
        true = exact.true_pose(time_s)
        position = exact.message("GLOBAL_POSITION_INT", time_s)
        east, north, _ = pymap3d.geodetic2enu(
            position.lat * 1e-7, position.lon * 1e-7, 14.8, ORIGIN.lat_deg, ORIGIN.lon_deg, 14.8
        )
        assert (east, north) == pytest.approx(true.position_m[:2], abs=0.02)
        assert position.relative_alt == pytest.approx(60_000, abs=1)
        attitude = exact.message("ATTITUDE", time_s)
        assert (attitude.roll, attitude.pitch) == pytest.approx(true.rpy_rad[:2], abs=1e-6)
        w, x, y, z = exact.message("GIMBAL_DEVICE_ATTITUDE_STATUS", time_s).q
        pitch = math.asin(2 * (w * y - x * z))
        assert pitch == pytest.approx(math.radians(-65.0), abs=1e-6)


def test_the_gimbal_report_is_of_a_true_mavlink_gimbal(exact: Vehicle) -> None:
    """Roll and pitch are against the horizon, however the vehicle leans; yaw is the vehicle's."""
    leaning = max(np.arange(0.0, 15.0, 0.2), key=lambda t: abs(exact.true_pose(t).rpy_rad[1]))
    assert abs(exact.true_pose(leaning).rpy_rad[1]) > math.radians(8)
    report = exact.message("GIMBAL_DEVICE_ATTITUDE_STATUS", float(leaning))
    assert report.flags == 44
    assert report.q[0] == pytest.approx(math.cos(math.radians(-32.5)), abs=1e-6)


def test_the_vehicle_leans_forward_to_speed_up_and_back_to_brake(exact: Vehicle) -> None:
    """Nose down while gaining speed, nose up while losing it, as a quadrotor must."""
    times = np.arange(0.0, exact.duration_s, 0.05)
    speed = np.array([np.linalg.norm(exact.true_pose(t).velocity_mps) for t in times])
    pitch = np.array([exact.true_pose(t).rpy_rad[1] for t in times])
    gain = np.gradient(speed, times)
    assert pitch[gain > 1.2].max() < 0.0
    assert pitch[gain < -1.2].mean() > 0.0


def test_the_vehicle_flies_its_lanes(exact: Vehicle) -> None:
    """It passes within two metres of each corner and keeps to its speed."""
    track = np.array(
        [exact.true_pose(t).position_m[:2] for t in np.arange(0, exact.duration_s, 0.05)]
    )
    for corner in PLAN.waypoints():
        assert np.linalg.norm(track - corner, axis=1).min() < 2.5
    speeds = np.linalg.norm(np.diff(track, axis=0), axis=1) / 0.05
    assert speeds.max() < 8.8


def test_a_seed_flies_the_same_flight_twice() -> None:
    """The same seed gives the same messages, bit for bit; another seed does not."""
    first, again, other = (Vehicle(PLAN, PRESETS["typical"], ORIGIN, s) for s in (5, 5, 6))
    pairs = zip(first.messages(3.0, 4.0), again.messages(3.0, 4.0), strict=True)
    assert all(a[0] == b[0] and a[1].to_dict() == b[1].to_dict() for a, b in pairs)
    said = [v.message("GLOBAL_POSITION_INT", 3.0).to_dict() for v in (first, other)]
    assert said[0] != said[1]


def test_messages_come_in_order_and_at_their_rates(exact: Vehicle) -> None:
    """Ten seconds hold ten seconds' worth of each type, in order of time."""
    sent = list(exact.messages(2.0, 12.0))
    times = [t for t, _ in sent]
    assert times == sorted(times)
    for name, rate in RATES_HZ.items():
        count = sum(m.get_type() == name for _, m in sent)
        assert count == pytest.approx(10 * rate, abs=1)


def test_the_noise_is_as_large_as_its_knob_says() -> None:
    """Over many flights the position error's spread is the knob's, per axis."""
    errors = []
    hop = replace(PLAN, lanes=1, lane_m=21.0)
    for seed in range(60):
        vehicle = Vehicle(hop, NoiseKnobs(gnss_h_m=1.5), ORIGIN, seed)
        message = vehicle.message("GLOBAL_POSITION_INT", 3.0)
        lat, _ = ORIGIN.geodetic(*vehicle.true_pose(3.0).position_m[:2])
        errors.append((message.lat * 1e-7 - lat) * 111_000)
    assert 1.0 < float(np.std(errors)) < 2.1


def test_a_wander_keeps_its_spread_and_its_memory() -> None:
    """Drift has the asked deviation, and neighbours in time are alike."""
    values = wander(np.random.default_rng(0), np.arange(0, 20_000.0, 1.0), 2.0, 30.0)
    assert float(values.std()) == pytest.approx(2.0, rel=0.15)
    assert float(np.corrcoef(values[:-1], values[1:])[0, 1]) > 0.95


@pytest.mark.parametrize(
    ("preset", "changes"),
    [
        ("nice", {}),
        ("good", {"gnss": 1.0}),
        ("good", {"gnss_h_m": -1.0}),
        ("good", {"gnss_h_m": "1"}),
        ("good", {"gnss_h_m": float("nan")}),
    ],
)
def test_impossible_noise_is_refused(preset: str, changes: dict[str, float | bool]) -> None:
    """Unknown presets and knobs, and errors that are negative or no number, are named."""
    with pytest.raises(ValueError, match=r"nice|gnss"):
        knobs(preset, changes)


def test_degrees_on_the_ground_agree_with_an_ellipsoid_library() -> None:
    """The simulator's own geodesy stays within a centimetre of pymap3d's over the district."""
    for east, north in ((150.0, -170.0), (-192.0, 192.0), (3.0, 90.0)):
        lat, lon = ORIGIN.geodetic(east, north)
        there = pymap3d.enu2geodetic(east, north, 0.0, ORIGIN.lat_deg, ORIGIN.lon_deg, 14.8)
        back = pymap3d.geodetic2enu(lat, lon, there[2], ORIGIN.lat_deg, ORIGIN.lon_deg, 14.8)
        assert back[:2] == pytest.approx((east, north), abs=0.01)
        assert ORIGIN.local(lat, lon) == pytest.approx((east, north), abs=1e-6)


def test_a_crossed_pattern_is_flown_across_itself() -> None:
    """The second half has the first one's lanes, turned right about the same middle."""
    plan = replace(PLAN, is_crossed=True)
    once, across = np.split(plan.waypoints(), 2)
    assert np.allclose(once, PLAN.waypoints())
    middles = [(corners.min(axis=0) + corners.max(axis=0)) / 2 for corners in (once, across)]
    lanes = [corners[1] - corners[0] for corners in (once, across)]
    assert abs(float(lanes[0] @ lanes[1])) < 1e-9
    assert np.linalg.norm(lanes[0]) == pytest.approx(np.linalg.norm(lanes[1]))
    assert np.linalg.norm(middles[0] - middles[1]) < 30.0


def test_flown_again_the_gimbal_looks_elsewhere() -> None:
    """The second time the report and the truth have the other pitch."""
    vehicle = Vehicle(replace(PLAN, again_pitch_deg=-45.0), NoiseKnobs(), ORIGIN, 1)
    for time_s, pitch_deg in ((2.0, -65.0), (vehicle.duration_s - 2.0, -45.0)):
        true_rad = vehicle.true_pose(time_s).gimbal_rpy_rad[1]
        assert math.degrees(true_rad) == pytest.approx(pitch_deg, abs=0.1)
        w, x, y, z = vehicle.message("GIMBAL_DEVICE_ATTITUDE_STATUS", time_s).q
        assert math.asin(2 * (w * y - x * z)) == pytest.approx(true_rad, abs=1e-5)


def test_a_camera_put_askew_is_askew_and_not_told() -> None:
    """The camera is turned by just that, and no message changes."""
    straight = Vehicle(PLAN, NoiseKnobs(), ORIGIN, 1)
    askew = Vehicle(replace(PLAN, askew_deg=(0.0, 2.0, 0.0)), NoiseKnobs(), ORIGIN, 1)
    axes = [vehicle.camera_pose(5.0).enu_from_camera[:, 2] for vehicle in (straight, askew)]
    assert math.degrees(math.acos(float(axes[0] @ axes[1]))) == pytest.approx(2.0, abs=1e-6)
    assert axes[1][2] > axes[0][2]  # pitch lifts
    reports = [v.message("GIMBAL_DEVICE_ATTITUDE_STATUS", 5.0).q for v in (straight, askew)]
    assert reports[0] == reports[1]
