"""Tiles are chosen by camera and by height, from the config that everybody writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.capture.recording import open_flight
from edge.errors import ConfigError
from edge.replay import ReplayRequest, replay, replay_settings
from edge.settings import read_patrol
from edge.toml_text import patrol_as_toml
from tests.painted import N_FRAMES, paint

CAMERA = 'mount = "mount.toml"\n'


def with_tiles(folder: Path, tiles: str) -> Path:
    config = paint(folder).folder / "patrol.toml"
    config.write_text(config.read_text().replace(CAMERA, f"{CAMERA}tiles = {tiles}\n"))
    return config


@pytest.mark.parametrize(
    ("tiles", "inferences"),
    [
        ("{ columns = 2, rows = 3 }", N_FRAMES * 7),
        ("{ columns = 2, rows = 3, and_whole = false }", N_FRAMES * 6),
        # Flown at 50 m; how high is known from the first frame's pose, so from the second on.
        ("{ columns = 2, rows = 3, from_agl_m = 49 }", (N_FRAMES - 1) * 7 + 1),
        ("{ columns = 2, rows = 3, from_agl_m = 51 }", N_FRAMES),
    ],
)
def test_tiles_are_flown_from_their_height_on(tmp_path: Path, tiles: str, inferences: int) -> None:
    """Below the height one inference a frame, from it on one for each tile and the whole."""
    flight = open_flight(with_tiles(tmp_path / "flight", tiles).parent)
    (tmp_path / "out").mkdir()
    settings = replay_settings(flight, tmp_path / "out")
    result = replay(ReplayRequest(flight, settings, tmp_path / "out"))
    result.mailbox.close()
    assert result.stages.health.frames == N_FRAMES
    assert result.stages.health.inferences == inferences
    assert result.stages.health.lost_events == 0


def test_a_mistake_in_tiles_is_named_and_a_written_config_keeps_them(tmp_path: Path) -> None:
    """Impossible grids stop the start by key; what is written for a child reads the same."""
    config = with_tiles(tmp_path / "flight", "{ columns = 3, overlap = 0.3 }")
    patrol = read_patrol(config)
    again = tmp_path / "again.toml"
    again.write_text(patrol_as_toml(patrol))
    assert read_patrol(again).camera[0].tiles == patrol.camera[0].tiles
    config.write_text(config.read_text().replace("columns = 3", "columns = 30"))
    with pytest.raises(ConfigError, match=r"tiles\.columns = 30"):
        read_patrol(config)
