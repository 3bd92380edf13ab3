"""The law of the split: what is examined was never trained on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge.errors import ScenarioError
from edge.records import CLASS_NUMBERS
from models.split import (
    DEMO_FAMILY,
    DEMO_SEEDS,
    EXAM_FAMILIES,
    EXAM_PICTURE_SEEDS,
    EXAM_SEEDS,
    HELD_OUT_SEEDS,
    LABELS,
    TRAIN_FAMILIES,
    TRAIN_SEEDS,
    exam_districts,
    held_districts,
    train_districts,
)
from sim.scenario import SHIPPED, load_scenario
from sim.world.families import FAMILIES
from sim.world.violations import VIOLATIONS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXAMS = sorted(path.stem for path in SHIPPED.glob("exam-*.toml"))


def test_seeds_of_training_scoring_exam_and_demo_never_meet() -> None:
    """No seed serves two purposes."""
    ranges = (TRAIN_SEEDS, HELD_OUT_SEEDS, EXAM_SEEDS, EXAM_PICTURE_SEEDS, DEMO_SEEDS)
    parts = [set(seeds) for seeds in ranges]
    assert sum(map(len, parts)) == len(set.union(*parts))


def test_no_family_of_the_exam_or_the_demo_is_trained_on() -> None:
    """Textures and layouts of the exam are as new to the detector as its seeds."""
    assert not {DEMO_FAMILY, *EXAM_FAMILIES} & set(TRAIN_FAMILIES)
    assert {DEMO_FAMILY, *EXAM_FAMILIES, *TRAIN_FAMILIES} <= set(FAMILIES)
    assert load_scenario("demo").world.family == DEMO_FAMILY


@pytest.mark.parametrize("name", EXAMS)
def test_every_exam_flies_over_what_was_never_trained_on(name: str) -> None:
    """A scenario of the exam names a family of the exam and seeds kept for it."""
    table = tomllib.loads((SHIPPED / f"{name}.toml").read_text(encoding="utf-8"))
    assert table["world"]["family"] in EXAM_FAMILIES
    assert table["seeds"]
    assert set(table["seeds"]) <= set(EXAM_SEEDS)


@pytest.mark.parametrize("name", sorted(path.stem for path in SHIPPED.glob("tune-*.toml")))
def test_thresholds_are_chosen_neither_on_the_exam_nor_on_what_was_taught(name: str) -> None:
    """A scenario for tuning names a trained family and seeds kept out of the training."""
    scenario = load_scenario(name)
    assert scenario.world.family in TRAIN_FAMILIES
    assert scenario.seeds
    assert set(scenario.seeds) <= set(HELD_OUT_SEEDS)


def test_there_are_exams() -> None:
    """The law above is about something."""
    assert EXAMS


def test_the_shipped_flight_is_of_a_demo_seed(repo: Path) -> None:
    """The recording in the repository keeps the split too."""
    path = repo / "sim/flights/demo/flight.toml"
    made = tomllib.loads(path.read_text(encoding="utf-8"))["sim"]
    assert made["seed"] in DEMO_SEEDS
    assert made["family"] == DEMO_FAMILY


def test_every_violation_that_is_drawn_is_taught() -> None:
    """A class that the world draws and the detector does not know would be a sure miss."""
    assert set(LABELS) == set(VIOLATIONS)


def test_labels_are_in_the_order_of_their_numbers_on_the_wire() -> None:
    """Output i is the class with number i + 1, as the design numbers them."""
    assert [CLASS_NUMBERS[label] for label in LABELS] == list(range(1, len(LABELS) + 1))


def test_districts_take_families_in_turn() -> None:
    """Every family is trained and scored on alike."""
    for districts, families in (
        (train_districts, TRAIN_FAMILIES),
        (held_districts, TRAIN_FAMILIES),
        (exam_districts, EXAM_FAMILIES),
    ):
        drawn = [family for _, family in districts(2 * len(families))]
        assert all(drawn.count(family) == 2 for family in families)
    with pytest.raises(ValueError, match="count"):
        train_districts(10_000)


def test_a_scenario_that_is_not_there_names_those_that_are() -> None:
    """The message helps on."""
    with pytest.raises(ScenarioError, match="demo"):
        load_scenario("nowhere")
