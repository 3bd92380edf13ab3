"""The law of the split: what is examined was never trained on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge.errors import ScenarioError
from models.split import (
    DEMO_FAMILY,
    DEMO_SEEDS,
    HELD_OUT_SEEDS,
    LABELS,
    TRAIN_FAMILIES,
    TRAIN_SEEDS,
    train_districts,
)
from sim.scenario import load_scenario
from sim.world_families import FAMILIES
from sim.world_violations import VIOLATIONS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_seeds_of_training_scoring_and_demo_never_meet() -> None:
    """No seed serves two purposes."""
    parts = [set(TRAIN_SEEDS), set(HELD_OUT_SEEDS), set(DEMO_SEEDS)]
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_the_demo_flies_over_a_family_that_is_not_trained_on() -> None:
    """The demo's textures and layout are as new to the detector as its seed."""
    assert DEMO_FAMILY not in TRAIN_FAMILIES
    assert set(TRAIN_FAMILIES) | {DEMO_FAMILY} <= set(FAMILIES)
    assert load_scenario("demo").world.family == DEMO_FAMILY


def test_the_shipped_flight_is_of_a_demo_seed(repo: Path) -> None:
    """The recording in the repository keeps the split too."""
    path = repo / "sim/flights/demo/flight.toml"
    made = tomllib.loads(path.read_text(encoding="utf-8"))["sim"]
    assert made["seed"] in DEMO_SEEDS
    assert made["family"] == DEMO_FAMILY


def test_every_violation_that_is_drawn_is_taught() -> None:
    """A class that the world draws and the detector does not know would be a sure miss."""
    assert set(LABELS) == set(VIOLATIONS)


def test_training_districts_take_families_in_turn() -> None:
    """Every family is trained on alike."""
    families = [family for _, family in train_districts(2 * len(TRAIN_FAMILIES))]
    assert all(families.count(f) == 2 for f in TRAIN_FAMILIES)
    with pytest.raises(ValueError, match="count"):
        train_districts(10_000)


def test_a_scenario_that_is_not_there_names_those_that_are() -> None:
    """The message helps on."""
    with pytest.raises(ScenarioError, match="demo"):
        load_scenario("nowhere")
