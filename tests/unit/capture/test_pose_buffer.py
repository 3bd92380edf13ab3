"""Poses between samples: exact where the motion is, and honest where there are none."""

from __future__ import annotations

import math

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from edge.capture.pose_buffer import Fix, PoseBuffer, Turn
from edge.capture.pose_buffer_math import (
    Quaternion,
    angle_between_rad,
    hermite,
    metres_per_degree,
    multiply,
    normalised,
    quaternion_from_euler,
    slerp,
    turned,
)
from edge.capture.pose_buffer_track import GAP_FLOOR_S, KEEP_S, Track
from edge.records import NoPose

MS = 1_000_000
speed = st.floats(-30.0, 30.0)
angle = st.floats(-3.1, 3.1)
fraction = st.floats(0.0, 1.0)
component = st.floats(-1.0, 1.0)
quaternion = (
    st.tuples(component, component, component, component)
    .map(normalised)
    .filter(lambda q: q is not None)
)


def still(euler_rad: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Turn:
    return Turn(None, euler_rad, (0.0, 0.0, 0.0))


def filled(steps_ms: list[int], lat_deg: float = 31.5, lon_deg: float = 120.3) -> PoseBuffer:
    poses = PoseBuffer()
    for at_ms in steps_ms:
        poses.turns.append(at_ms * MS, still())
        poses.fixes.append(at_ms * MS, Fix(lat_deg, lon_deg, 10.0, 5.0, (0.0, 0.0, 0.0)))
    return poses


@settings(deadline=None)
@given(quaternion, quaternion, fraction)
def test_slerp_divides_the_angle_in_the_ratio_of_the_times(
    start: Quaternion, end: Quaternion, at: float
) -> None:
    """Slerp turns by its fraction of the whole angle, whichever sign the quaternions have."""
    between = slerp(start, end, at)
    whole = angle_between_rad(start, end)
    assert math.isclose(angle_between_rad(start, between), at * whole, abs_tol=2e-7)
    flipped = slerp(start, (-end[0], -end[1], -end[2], -end[3]), at)
    if whole < math.pi - 1e-3:  # opposite attitudes have no short way
        assert angle_between_rad(between, flipped) < 1e-6


@settings(deadline=None)
@given(quaternion, st.tuples(speed, speed, speed), fraction)
@example((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0078125), 0.015625)  # hardly a turn, but one
def test_slerp_is_exact_on_constant_rotation(
    start: Quaternion, deg_per_s: tuple[float, float, float], at: float
) -> None:
    """Between two attitudes of a steady turn lies the attitude that the turn really had."""
    rates = tuple(math.radians(rate) for rate in deg_per_s)
    end = turned(start, rates, 0.5)  # type: ignore[arg-type]
    truth = turned(start, rates, 0.5 * at)  # type: ignore[arg-type]
    assert angle_between_rad(slerp(start, end, at), truth) < 1e-6


@settings(deadline=None)
@given(angle, st.floats(-1.5, 1.5), angle, angle)
def test_euler_angles_chain_yaw_then_pitch_then_roll(
    roll: float, pitch: float, yaw: float, more_yaw: float
) -> None:
    """The ZYX quaternion equals the product of the three single turns."""
    yaw_q = quaternion_from_euler(0.0, 0.0, yaw)
    rest_q = multiply(quaternion_from_euler(0.0, pitch, 0.0), quaternion_from_euler(roll, 0.0, 0.0))
    assert (
        angle_between_rad(multiply(yaw_q, rest_q), quaternion_from_euler(roll, pitch, yaw)) < 1e-6
    )


@settings(deadline=None)
@given(st.tuples(speed, speed, speed), st.floats(-70.0, 70.0), st.floats(-180.0, 180.0), fraction)
def test_hermite_is_exact_on_constant_velocity(
    velocity: tuple[float, float, float], lat_deg: float, lon_deg: float, at: float
) -> None:
    """A vehicle of constant velocity is found where it was, also across the date line."""
    north, east, down = velocity
    assume(abs(lat_deg) + abs(lon_deg) > 0.01)  # (0, 0) stands for "no origin yet"
    m_north, m_east = metres_per_degree(lat_deg)
    poses = PoseBuffer()
    for at_ms in (0, 100):
        seconds = at_ms / 1000
        poses.turns.append(at_ms * MS, still())
        lon = (lon_deg + east * seconds / m_east + 180.0) % 360.0 - 180.0
        position = (lat_deg + north * seconds / m_north, lon)
        heights = (100.0 - down * seconds, 40.0 - down * seconds)
        poses.fixes.append(at_ms * MS, Fix(*position, *heights, (north, east, down)))
    motion = poses.at(round(at * 100 * MS))
    assert not isinstance(motion, NoPose)
    moved_north = (motion.fix.lat_deg - lat_deg) * m_north
    moved_east = ((motion.fix.lon_deg - lon_deg + 180.0) % 360.0 - 180.0) * m_east
    seconds = round(at * 100 * MS) * 1e-9
    assert math.isclose(moved_north, north * seconds, abs_tol=1e-3)
    assert math.isclose(moved_east, east * seconds, abs_tol=1e-3)
    assert math.isclose(motion.fix.amsl_m, 100.0 - down * seconds, abs_tol=1e-6)
    assert math.isclose(motion.fix.above_home_m, 40.0 - down * seconds, abs_tol=1e-6)


@settings(deadline=None)
@given(speed, speed, speed, speed, st.floats(0.01, 1.0))
def test_hermite_is_exact_on_cubics(a: float, b: float, c: float, d: float, dt_s: float) -> None:
    """Any cubic is reproduced from its ends and its slopes there."""

    def value(t: float) -> float:
        return a + b * t + c * t * t + d * t**3

    def slope(t: float) -> float:
        return b + 2 * c * t + 3 * d * t * t

    middle = hermite((value(0.0), value(dt_s)), (slope(0.0), slope(dt_s)), dt_s, 0.5)
    assert math.isclose(middle, value(dt_s / 2), abs_tol=1e-9)


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 2000), min_size=2, max_size=60),
    st.integers(-1000, 130_000),
)
def test_no_gap_is_left_in_silence(steps_ms: list[int], ask_ms: int) -> None:
    """A pose is given only where samples stand near; every other instant has its reason."""
    times = [sum(steps_ms[:n]) for n in range(len(steps_ms))]
    poses = filled(times)
    motion = poses.at(ask_ms * MS)
    nominal_s = poses.fixes.nominal_ns() * 1e-9
    reach_s = min(abs(ask_ms - at_ms) for at_ms in poses_times_ms(poses)) / 1000
    if isinstance(motion, NoPose):
        assert reach_s > 0.0
        return
    assert math.isclose(motion.reach_s, reach_s, abs_tol=1e-9)
    assert reach_s <= max(5 * nominal_s, GAP_FLOOR_S) / 2 or ask_ms > times[-1]
    if ask_ms > times[-1]:
        assert reach_s <= nominal_s + 1e-9


def poses_times_ms(poses: PoseBuffer) -> list[float]:
    return [time_ns / MS for time_ns in poses.fixes.times_ns]


def test_every_refusal_names_its_reason() -> None:
    """Nothing yet, before the first, beyond one interval, in a hole, and at lat=lon=0."""
    assert PoseBuffer().at(0) is NoPose.NO_DATA
    poses = filled([1000 + 20 * n for n in range(50)] + [3000 + 20 * n for n in range(50)])
    assert poses.at(900 * MS) is NoPose.NO_DATA
    assert poses.at(2500 * MS) is NoPose.GAP
    assert not isinstance(poses.at(3995 * MS), NoPose)
    assert poses.at(4001 * MS) is NoPose.STALE_POSE
    assert filled([0, 20, 40], 0.0, 0.0).at(30 * MS) is NoPose.NO_FIX


def test_past_the_newest_sample_the_motion_goes_on() -> None:
    """Up to one interval ahead, velocity and body rates carry the pose on."""
    poses = PoseBuffer()
    for at_ms in (0, 100, 200):
        poses.turns.append(at_ms * MS, Turn(None, (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
        poses.fixes.append(at_ms * MS, Fix(31.0, 120.0, 50.0, 20.0, (10.0, 0.0, -2.0)))
    motion = poses.at(250 * MS)
    assert not isinstance(motion, NoPose)
    north_m = (motion.fix.lat_deg - 31.0) * metres_per_degree(31.0)[0]
    assert math.isclose(north_m, 0.5, abs_tol=1e-6)
    assert math.isclose(motion.fix.above_home_m, 20.1, abs_tol=1e-9)
    turned_rad = angle_between_rad(motion.turn.quaternion(), (1.0, 0.0, 0.0, 0.0))
    assert math.isclose(turned_rad, 0.05, abs_tol=1e-9)
    assert math.isclose(motion.reach_s, 0.05)


def test_memory_is_bounded_in_time_and_in_number() -> None:
    """However long or fast samples come, a track keeps its seconds and no more; old is old."""
    poses = filled(list(range(0, 120_000, 20)))
    kept_s = (poses.fixes.times_ns[-1] - poses.fixes.times_ns[0]) * 1e-9
    assert KEEP_S <= kept_s <= KEEP_S * 1.5 + 0.1
    assert poses.at(1000 * MS) is NoPose.TOO_OLD
    fast: Track[int] = Track(max_samples=100)
    for n in range(10_000):
        fast.append(n, n)
    assert len(fast.times_ns) <= 100
    assert fast.values[-1] == 9999


def test_a_straggler_is_refused_and_counted() -> None:
    """Samples that are not newer than the newest change nothing but the count."""
    poses = filled([0, 20, 40])
    poses.fixes.append(20 * MS, Fix(10.0, 10.0, 0.0, 0.0, (0.0, 0.0, 0.0)))
    assert poses.fixes.refused == 1
    assert len(poses.fixes.values) == 3
