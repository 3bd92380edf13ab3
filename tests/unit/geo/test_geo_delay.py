"""The delay of turns seen against turns told: found whatever it is, or refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.geo.delay import Delay, NoDelay, TurnCurve, solve_delay
from edge.geo.turning import SeenTurn
from edge.records import FloatArray

START_NS = 1_700_000_000_000_000_000
STEP_S = 0.02
FLIGHT_S = 40.0


def turned_rad(times_s: FloatArray) -> FloatArray:
    """Yaw left and right, each time a little slower, with some sway in roll and pitch."""
    yaw = np.deg2rad(60.0) * np.sin(2 * np.pi * times_s / (4.0 + times_s / 20.0))
    return np.stack([0.01 * np.sin(1.3 * times_s), 0.015 * np.cos(0.9 * times_s), yaw], axis=1)


def curve() -> TurnCurve:
    """What the telemetry tells of it."""
    return TurnCurve(START_NS, STEP_S, turned_rad(np.arange(0.0, FLIGHT_S, STEP_S)))


def seen(
    delay_s: float, rate_hz: float = 10.0, jitter_s: float = 0.0, noise_rad: float = 0.0
) -> list[SeenTurn]:
    """What pictures show of it, their times late by the delay and jittering."""
    rng = np.random.default_rng(5)
    true_s = np.arange(2.0, FLIGHT_S - 2.0, 1.0 / rate_hz)
    told_s = true_s + delay_s + jitter_s * rng.standard_normal(len(true_s))
    told_ns = START_NS + np.round(told_s * 1e9).astype(np.int64)
    turns = np.diff(turned_rad(true_s), axis=0)
    turns += noise_rad * rng.standard_normal(turns.shape)
    return [
        SeenTurn(int(a), int(b), turn, 1e-4, 100)
        for a, b, turn in zip(told_ns[:-1], told_ns[1:], turns, strict=True)
    ]


@settings(max_examples=25, deadline=None)
@given(st.floats(-0.5, 0.5), st.floats(5.0, 30.0))
def test_an_exact_delay_is_found_to_half_a_millisecond(delay_s: float, rate_hz: float) -> None:
    """Whatever the delay and the rate of frames, without noise the answer is the delay."""
    found = solve_delay(seen(delay_s, rate_hz), curve())
    assert isinstance(found, Delay)
    assert abs(found.delay_s - delay_s) < 0.5e-3
    assert found.jitter_s < 1e-3


def test_the_sigma_says_how_far_off_the_answers_are() -> None:
    """Over many flights with jittering frames the errors are as large as they are said to be."""
    rng = np.random.default_rng(1)
    misses = []
    for _ in range(40):
        turns = seen(0.12, 5.0)
        frames = 0.02 * rng.standard_normal(len(turns) + 1) * 1e9
        turns = [
            replace(
                turn,
                start_ns=turn.start_ns + int(frames[i]),
                end_ns=turn.end_ns + int(frames[i + 1]),
                turn_ned_rad=turn.turn_ned_rad + 5e-4 * rng.standard_normal(3),
            )
            for i, turn in enumerate(turns)
        ]
        found = solve_delay(turns, curve())
        assert isinstance(found, Delay)
        assert found.jitter_s == pytest.approx(0.02, rel=0.5)
        misses.append((found.delay_s - 0.12) / found.sigma_s)
    assert 0.6 < float(np.std(misses)) < 1.4


def test_whole_turns_are_used_not_their_flanks_alone() -> None:
    """With frames that jitter by 20 ms, forty seconds of turning tell the delay to 3 ms."""
    found = solve_delay(seen(0.12, 10.0, jitter_s=0.02, noise_rad=5e-4), curve())
    assert isinstance(found, Delay)
    assert found.sigma_s < 0.003
    assert abs(found.delay_s - 0.12) < 3 * found.sigma_s


def test_mistaken_turns_change_nothing() -> None:
    """One turn in twenty that is nonsense is left out."""
    turns = seen(0.12, noise_rad=2e-4)
    for i in range(0, len(turns), 20):
        turns[i] = replace(turns[i], turn_ned_rad=np.array([0.3, -0.2, 0.5]))
    found = solve_delay(turns, curve())
    assert isinstance(found, Delay)
    assert abs(found.delay_s - 0.12) < 2e-3
    assert not found.is_used[::20].any()


def test_a_wrong_scale_of_the_turns_is_no_delay() -> None:
    """A focal length or a gyro that is 3 % off leaves the delay where it is."""
    turns = [replace(t, turn_ned_rad=1.03 * t.turn_ned_rad) for t in seen(0.12)]
    found = solve_delay(turns, curve())
    assert isinstance(found, Delay)
    assert abs(found.delay_s - 0.12) < 2e-3


def _still(curve: TurnCurve, turns: list[SeenTurn]) -> tuple[TurnCurve, list[SeenTurn]]:
    flat = replace(curve, turned_rad=0.001 * curve.turned_rad)
    return flat, [replace(turn, turn_ned_rad=0.001 * turn.turn_ned_rad) for turn in turns]


def _silent(curve: TurnCurve, turns: list[SeenTurn]) -> tuple[TurnCurve, list[SeenTurn]]:
    holes = curve.turned_rad.copy()
    holes[::20] = np.nan
    return replace(curve, turned_rad=holes), turns


def _strangers(curve: TurnCurve, turns: list[SeenTurn]) -> tuple[TurnCurve, list[SeenTurn]]:
    rng = np.random.default_rng(2)
    return curve, [replace(t, turn_ned_rad=0.05 * rng.standard_normal(3)) for t in turns]


def _jumped(curve: TurnCurve, turns: list[SeenTurn]) -> tuple[TurnCurve, list[SeenTurn]]:
    hour_ns = 3_600_000_000_000
    return curve, [replace(t, start_ns=t.start_ns - hour_ns, end_ns=t.end_ns) for t in turns]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (_still, NoDelay.NO_TURNS),
        (lambda curve, _turns: (curve, []), NoDelay.NO_TURNS),
        (_silent, NoDelay.NO_POSES),
        (_jumped, NoDelay.NO_POSES),
        (_strangers, NoDelay.NO_PEAK),
    ],
)
def test_what_does_not_show_the_delay_has_a_reason(
    spoil: Callable[[TurnCurve, list[SeenTurn]], tuple[TurnCurve, list[SeenTurn]]],
    reason: NoDelay,
) -> None:
    """Too little turning, holes, a clock that jumped, or another flight's log: never a number."""
    told, turns = spoil(curve(), seen(0.12))
    assert solve_delay(turns, told) is reason
