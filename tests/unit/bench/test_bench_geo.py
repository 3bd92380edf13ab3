"""The geometry-only flights judge places fairly."""

from __future__ import annotations

import numpy as np
import pytest

from edge.bench.geo_cells import cells, cep_ratio
from edge.bench.geo_figures import figures_of, flights_of
from edge.bench.geo_flights import Flown, fly
from edge.records import AlertKind
from sim.vehicle.noise import PRESETS, NoiseKnobs


def test_the_chain_adds_nothing_to_the_errors_of_its_sources() -> None:
    """The same draws through telemetry and locator, and by trigonometry, err alike."""
    measured = cells(draws=40)
    assert cep_ratio(measured) <= 1.10
    assert all(0.6 < one.predicted_ratio < 1.7 for one in measured)  # of so few draws


def test_a_flight_judges_each_thing_once() -> None:
    """One flight with typical noise finds most of what it flies over, within metres."""
    told = fly(Flown("typical", seed=1))
    last = [one for one in told if one.kind is AlertKind.END]
    assert 9 <= len(last) <= 14
    assert float(np.median([one.error_m for one in last])) < 6.0
    figures = figures_of("typical", 1, told)
    assert figures.incidents == len(last) == sum(one.of for one in figures.by_label.values())


def test_without_noise_things_are_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of the error is the boxes': half a metre for things that lie flat."""
    monkeypatch.setitem(PRESETS, "typical", NoiseKnobs())
    last = [one for one in fly(Flown("typical", seed=2)) if one.kind is AlertKind.END]
    flat = [one for one in last if one.label in {"floating_waste", "waste_pile", "open_pit"}]
    assert float(np.median([one.error_m for one in flat])) < 0.6


def test_flights_are_planned_in_many_ways() -> None:
    """Heights, pitches and mounts all come, and no two flights share a seed."""
    plans = flights_of("good", 60)
    assert len({plan.seed for plan in plans}) == 60
    assert len({plan.cell for plan in plans}) >= 12
