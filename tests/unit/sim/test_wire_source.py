"""From a name to a flight folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edge.errors import ScenarioError
from sim.serve_source import find_flight
from tests.wire_flights import MadeFlight, write_flight

Progress = Callable[[str], None]


class Recorder:
    """Writes a small flight instead of simulating one, and keeps count."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def __call__(self, scenario: Path, seed: int, out_dir: Path, progress: Progress) -> None:
        self.seeds.append(seed)
        write_flight(out_dir, MadeFlight(0.2))


def test_a_folder_is_its_own_flight(tmp_path: Path) -> None:
    """A recorded flight is served from where it lies."""
    write_flight(tmp_path / "f", MadeFlight(0.2))
    assert find_flight(tmp_path / "f", None, tmp_path, print) == tmp_path / "f"


def test_a_scenario_is_recorded_once_for_each_seed(tmp_path: Path) -> None:
    """The cache knows scenario and seed: the same is not recorded twice, another is."""
    scenario, recorder, said = tmp_path / "town.toml", Recorder(), list[str]()
    scenario.write_text("format = 1\n")
    folders = [
        find_flight(scenario, seed, tmp_path / "cache", said.append, recorder)
        for seed in (3, 3, 4, None)
    ]
    assert recorder.seeds == [3, 4, 1]
    assert folders[0] == folders[1] != folders[2]
    assert all((folder / "flight.toml").is_file() for folder in folders)
    assert len(said) == 3
    scenario.write_text("format = 1\n# changed\n")
    assert find_flight(scenario, 3, tmp_path / "cache", print, recorder) != folders[0]


def test_a_recording_that_fails_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    """Half a flight is never served: the next start records again."""
    scenario = tmp_path / "town.toml"
    scenario.write_text("format = 1\n")

    def breaks(scenario: Path, seed: int, out_dir: Path, progress: Progress) -> None:
        (out_dir / "flight.toml").write_text("format = 1\n")
        raise ScenarioError("no OpenGL here")

    with pytest.raises(ScenarioError, match="OpenGL"):
        find_flight(scenario, 1, tmp_path / "cache", print, breaks)
    assert list((tmp_path / "cache").iterdir()) == []


def test_an_unknown_name_lists_what_there_is(tmp_path: Path) -> None:
    """Whoever mistypes a scenario sees the names."""
    with pytest.raises(ScenarioError, match="demo"):
        find_flight("demmo", None, tmp_path, print)
