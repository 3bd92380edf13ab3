"""The fused place knows what its looks err by in common."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import FRAME_NS, SECOND_NS, by_source, holds, incidents, sighting

from edge.config import AccuracyConfig
from edge.patrol import snapshot
from edge.patrol.covariance import eigenvalues, ellipse_radii_m
from edge.patrol.fusion import Fused, fused_from
from edge.patrol.look import Look, look_at
from edge.patrol.memory import Memory
from edge.patrol.passes import no_narrower
from edge.records import Covariance2, SharedSource, Sighting

N_SOURCES = len(SharedSource)
MEMORY = Memory(AccuracyConfig())


def _outer(columns: np.ndarray) -> Covariance2:
    total = columns @ columns.T
    return (float(total[0, 0]), float(total[0, 1]), float(total[1, 1]))


def _look(east_m: float, north_m: float, columns: np.ndarray, noise_m: float = 0.5) -> Look:
    rows = (tuple(columns[0].tolist()), tuple(columns[1].tolist()))
    shared = _outer(columns)
    return look_at(sighting(east_m, north_m, look=noise_m, size_m=0.0, shared=shared, columns=rows))


def _fuse(looks: list[Look], times_ns: list[int]) -> Fused:
    fused = fused_from(looks[0], 1.0, times_ns[0])
    for look, at_ns in zip(looks[1:], times_ns[1:], strict=True):
        fused = fused.with_look(look, 1.0, at_ns, MEMORY)
    return fused


def _matrix(covariance: Covariance2) -> np.ndarray:
    return np.array([[covariance[0], covariance[1]], [covariance[1], covariance[2]]])


def _whole_covariance(looks: list[Look], times_ns: list[int]) -> np.ndarray:
    """Return that of all looks' places, (2N, 2N), straight from the model."""
    total = np.zeros((2 * len(looks), 2 * len(looks)))
    for i, one in enumerate(looks):
        for j, other in enumerate(looks):
            kept = np.array(Memory(AccuracyConfig()).kept(abs(times_ns[i] - times_ns[j])))
            mine, its = (
                np.array(one.sighting.shared_errors_m),
                np.array(other.sighting.shared_errors_m),
            )
            block = (mine * kept) @ its.T
            total[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = block + (i == j) * _matrix(one.noise)
    return total


numbers = st.floats(-3.0, 3.0)
many = st.lists(
    st.tuples(
        st.lists(numbers, min_size=2 * N_SOURCES, max_size=2 * N_SOURCES), st.integers(0, 90)
    ),
    min_size=2,
    max_size=5,
)


@settings(max_examples=40, deadline=None)
@given(drawn=many)
def test_the_covariance_is_that_of_the_weighted_looks(
    drawn: list[tuple[list[float], int]],
) -> None:
    """Whatever the weights of the looks turn out to be, the error told is that of their sum."""
    times_ns = np.cumsum([gap * SECOND_NS for _, gap in drawn]).tolist()
    columns = [np.array(values).reshape(2, N_SOURCES) for values, _ in drawn]
    looks = [_look(0.0, 0.0, one) for one in columns]
    fused = _fuse(looks, times_ns)
    weights = np.empty((2, 2 * len(looks)))
    for i in range(len(looks)):
        for axis, (east_m, north_m) in enumerate(((1.0, 0.0), (0.0, 1.0))):
            moved = [*looks]
            moved[i] = _look(east_m, north_m, columns[i])
            at = _fuse(moved, times_ns)
            weights[:, 2 * i + axis] = at.east_m, at.north_m
    exact = weights @ _whole_covariance(looks, times_ns) @ weights.T
    assert np.allclose(_matrix(fused.covariance), exact, rtol=1e-6, atol=1e-9)
    assert np.allclose(weights.reshape(2, len(looks), 2).sum(axis=1), np.eye(2), atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(drawn=many, turn=st.floats(0.0, 6.3), shift=st.tuples(numbers, numbers))
def test_the_fused_place_turns_and_moves_with_its_looks(
    drawn: list[tuple[list[float], int]], turn: float, shift: tuple[float, float]
) -> None:
    """North is no special direction, and the plane's origin no special place."""
    times_ns = np.cumsum([gap * SECOND_NS for _, gap in drawn]).tolist()
    columns = [np.array(values).reshape(2, N_SOURCES) for values, _ in drawn]
    places = [one[:, :1].ravel() for one in columns]
    s, c = math.sin(turn), math.cos(turn)
    turned = np.array([[c, s], [-s, c]])
    plain = _fuse([_look(*p, k) for p, k in zip(places, columns, strict=True)], times_ns)
    moved = _fuse(
        [_look(*(turned @ p + shift), turned @ k) for p, k in zip(places, columns, strict=True)],
        times_ns,
    )
    assert np.allclose(
        (moved.east_m, moved.north_m),
        turned @ (plain.east_m, plain.north_m) + shift,
        atol=1e-6,
    )
    assert np.allclose(
        _matrix(moved.covariance), turned @ _matrix(plain.covariance) @ turned.T, atol=1e-6
    )


def _seen(bearing_deg: float, heading_m: float = 3.0, height_m: float = 2.0) -> Sighting:
    """A look whose heading error lies across the line of sight and whose height error along it."""
    s, c = math.sin(math.radians(bearing_deg)), math.cos(math.radians(bearing_deg))
    columns = by_source(
        gnss_east=(0.5, 0.0),
        gnss_north=(0.0, 0.5),
        heading=(heading_m * c, -heading_m * s),
        height=(height_m * s, height_m * c),
    )
    shared = _outer(np.array(columns))
    return sighting(0, 0, look=0.3, shared=shared, columns=columns, bearing_deg=bearing_deg)


def _radius_m(passes: list[float], gap_s: float, looks: int = 5) -> float:
    found = incidents(forget_tentative_s=1e6, gate_sigma=8, min_gate_m=20)
    for flown, bearing_deg in enumerate(passes):
        for number in range(looks):
            at_ns = round(flown * gap_s * SECOND_NS) + number * FRAME_NS
            found.add([_seen(bearing_deg)], at_ns)
    (one,) = found
    return ellipse_radii_m(one.covariance)[0]


def test_a_bias_of_the_whole_flight_counts_once() -> None:
    """A second pass from the same side, a minute later, errs by the same heading again."""
    once, twice = _radius_m([20.0], 60.0), _radius_m([20.0, 20.0], 60.0)
    assert twice > 0.9 * once
    assert _radius_m([20.0, 20.0], 7200.0) < 0.8 * once  # on another day it is another draw


def test_the_other_side_shrinks_what_the_same_side_cannot() -> None:
    """Errors that turn with the view cancel between opposite looks, and from an orbit most."""
    same, opposite = _radius_m([20.0, 20.0], 60.0), _radius_m([20.0, 200.0], 60.0)
    assert opposite < 0.5 * same
    around = _radius_m([20.0, 110.0, 200.0, 290.0], 60.0)
    assert around <= opposite * 1.05


def test_many_looks_from_one_side_are_one_look() -> None:
    """Within seconds nothing is another draw but noise."""
    assert _radius_m([20.0], 60.0, looks=50) > 0.97 * _radius_m([20.0], 60.0, looks=10)


def test_a_flight_in_two_halves_is_the_same_flight(tmp_path: Path) -> None:
    """Saved, restored and flown on: the same place, and an ellipse that is no smaller."""
    sides = [20.0, 110.0, 200.0]

    def fly_on(found: object, legs: list[int]) -> None:
        for leg in legs:
            for number in range(6):
                at_ns = leg * 60 * SECOND_NS + number * FRAME_NS
                found.add([_seen(sides[leg])], at_ns)  # type: ignore[attr-defined]

    whole, first, second = (incidents(forget_tentative_s=1e6, gate_sigma=8) for _ in range(3))
    fly_on(whole, [0, 1, 2])
    fly_on(first, [0, 1])
    for dossier in first.dossiers():
        first.decide(dossier.incident_id, snapshot.IncidentState.CONFIRMED, None)
    between_ns = 90 * SECOND_NS
    snapshot.save(tmp_path / "incidents.json", first, between_ns)
    snapshot.load(tmp_path / "incidents.json", second, between_ns)
    fly_on(second, [2])
    (one,), (other,) = whole, second
    assert (other.east_m, other.north_m) == pytest.approx((one.east_m, one.north_m), abs=1e-9)
    for mine, its in zip(eigenvalues(other.covariance), eigenvalues(one.covariance), strict=True):
        assert mine >= its * (1.0 - 1e-9)
        assert mine == pytest.approx(its, rel=1e-6)


def test_two_records_of_one_thing_are_joined_without_counting_a_bias_twice() -> None:
    """Joining does not make two looks at one instant independent."""
    columns = np.zeros((2, N_SOURCES))
    columns[0, SharedSource.HEIGHT], columns[1, SharedSource.HEADING] = 4.0, 3.0
    a, b = (_fuse([_look(0, 0, columns)], [0]) for _ in range(2))
    joined = a.joined(b, MEMORY)
    assert joined.covariance[0] >= 4.0**2
    assert joined.covariance[2] >= 3.0**2


@pytest.mark.parametrize("gap_s", [0.2, 20.0, 100.0])
def test_the_ellipse_holds_the_truth_when_errors_last(gap_s: float) -> None:
    """Over flights whose biases wander as the memory says, nine in ten ellipses hold the truth."""
    rng = np.random.default_rng(8)
    kept = np.array(MEMORY.kept(round(gap_s * SECOND_NS)))
    held, flights = 0, 400
    for _ in range(flights):
        bias = rng.standard_normal(N_SOURCES)
        fused: Fused | None = None
        for number, bearing_deg in enumerate((10.0, 10.0, 190.0, 100.0, 40.0)):
            model = _seen(bearing_deg)
            shift = np.array(model.shared_errors_m) @ bias + rng.normal(0.0, 0.3, 2)
            look = look_at(
                replace(model, east_m=float(shift[0]), north_m=float(shift[1]), width_m=0.0,
                        depth_m=0.0)
            )  # fmt: skip
            at_ns = round(number * gap_s * SECOND_NS)
            fused = (
                fused_from(look, 1.0, at_ns)
                if fused is None
                else fused.with_look(look, 1.0, at_ns, MEMORY)
            )
            bias = bias * kept + rng.standard_normal(N_SOURCES) * np.sqrt(1.0 - kept**2)
        assert fused is not None
        held += holds(fused.covariance, fused.east_m, fused.north_m)
    assert 0.86 <= held / flights <= 0.94


@given(
    var=st.tuples(st.floats(0.0, 9.0), st.floats(-0.9, 0.9), st.floats(0.0, 9.0)),
    sigma_m=st.floats(0.0, 3.0),
)
def test_a_floor_raises_only_what_lies_below_it(
    var: tuple[float, float, float], sigma_m: float
) -> None:
    """Each axis is the larger of itself and the floor."""
    whole = (var[0], var[1] * math.sqrt(var[0] * var[2]), var[2])
    raised = eigenvalues(no_narrower(whole, sigma_m))
    expected = [max(value, sigma_m**2) for value in eigenvalues(whole)]
    assert raised == pytest.approx(expected, abs=1e-6)


def test_a_place_whose_every_error_is_this_ones_too_adds_nothing() -> None:
    """Two that err by the same alone, as a damaged file may hold them, stay one of them."""
    columns = (tuple([2.0] + [0.0] * (N_SOURCES - 1)), tuple([0.0, 2.0] + [0.0] * (N_SOURCES - 2)))
    one = Fused(3.0, 4.0, (4.0, 0.0, 4.0), columns, 0)
    joined = one.joined(replace(one, east_m=5.0), MEMORY)
    assert (joined.east_m, joined.north_m) == (3.0, 4.0)
    assert joined.covariance == one.covariance
