"""Laws of the shipped scenarios, above all of the exam."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.errors import ScenarioError
from models.split import DEMO_SEEDS, HELD_OUT_SEEDS, TRAIN_FAMILIES, TRAIN_SEEDS
from sim.record import recorded_faults, vehicle_of
from sim.scenario import SHIPPED, Scenario, load_scenario
from sim.scenario_exam import exam_flights, record_exam
from sim.world.violations import VIOLATIONS

NAMES = sorted(path.stem for path in SHIPPED.glob("*.toml"))
EXAM = [name for name in NAMES if name.startswith("exam-")]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_scenario_is_called_as_its_file_and_can_be_recorded(name: str) -> None:
    """Each file loads, has its file's name, and faults that a recording can hold."""
    scenario = load_scenario(name)
    assert scenario.name == name
    if scenario.fault:
        recorded_faults(scenario, vehicle_of(scenario, 1))


@pytest.mark.parametrize("name", EXAM)
def test_the_exam_is_flown_where_nothing_was_learnt(name: str) -> None:
    """Neither the family nor a seed of an exam flight is trained on or scored in training."""
    scenario = load_scenario(name)
    assert scenario.world.family not in TRAIN_FAMILIES
    assert scenario.seeds
    used = {*TRAIN_SEEDS, *HELD_OUT_SEEDS, *DEMO_SEEDS}
    assert not used & set(scenario.seeds)


def test_no_two_exam_flights_share_a_seed() -> None:
    """Every exam flight has a district of its own."""
    seeds = [seed for name in EXAM for seed in load_scenario(name).seeds]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize("name", EXAM)
def test_exam_flights_have_typical_noise_and_honest_rates(name: str) -> None:
    """The instruments are typical, untouched; 5 to 10 frames a second, or 2 in quiet flights."""
    scenario = load_scenario(name)
    assert scenario.noise.preset == "typical"
    assert not scenario.noise.model_extra
    assert 2.0 <= (scenario.camera.bit_rate_mbps or 0.0) <= 8.0
    assert 45.0 <= scenario.flight.height_m <= 100.0
    assert -90.0 <= scenario.flight.gimbal_pitch_deg <= -50.0
    low, high = (2.0, 10.0) if _is_quiet(scenario) else (5.0, 10.0)
    assert low <= scenario.camera.rate_hz <= high


@pytest.mark.parametrize("name", [name for name in EXAM if "quiet" in name])
def test_quiet_flights_have_distractors_only(name: str) -> None:
    """Nothing that asks for an alert is placed, and what must not alert is."""
    placed = load_scenario(name).world.placed()
    assert not set(placed) & set(VIOLATIONS)
    assert sum(placed.values()) > 20


def test_an_exam_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    """Finished flights are kept, one that was not finished is flown anew, and only those asked."""
    flown: list[int] = []

    def recorder(scenario: Scenario, seed: int, folder: Path) -> None:
        assert not list(folder.iterdir())
        (folder / "video.mp4").write_bytes(b"x")
        flown.append(seed)
        if len(flown) == 2:
            raise KeyboardInterrupt
        (folder / "flight.toml").write_text(scenario.name)

    wanted = [flight.seed for flight in exam_flights("exam-quiet-*")]
    assert len(wanted) >= 3
    with pytest.raises(KeyboardInterrupt):
        list(record_exam(tmp_path, "exam-quiet-*", recorder))
    seen = list(record_exam(tmp_path, "exam-quiet-*", recorder))
    assert [is_there for _, is_there in seen] == [True, *[False] * (len(wanted) - 1)]
    assert flown == [wanted[0], *wanted[1:2], *wanted[1:]]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f.name for f, _ in seen)


def test_two_processes_never_record_into_the_same_exam(tmp_path: Path) -> None:
    """The second one is refused before it touches the first one's draft."""
    first = record_exam(tmp_path, "exam-quiet-*", lambda *_: None)
    next(first)
    with pytest.raises(ScenarioError, match="another process"):
        next(record_exam(tmp_path, "exam-quiet-*", lambda *_: None))
    first.close()
    next(record_exam(tmp_path, "exam-quiet-*", lambda *_: None))


def test_an_exam_flight_that_is_not_there_is_named() -> None:
    """A pattern that fits nothing is refused, with what there is."""
    with pytest.raises(ScenarioError, match="exam-quiet"):
        exam_flights("exam-moon-*")


def _is_quiet(scenario: Scenario) -> bool:
    return not scenario.world.violations
