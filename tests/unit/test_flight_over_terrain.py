"""A flight over a terrain tile: named by config or recording, flown, and doubted in the log."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.capture.recording import open_flight
from edge.district import read_inputs
from edge.errors import FlightError, TerrainError
from edge.geo.terrain import TerrainTile, write_tile
from edge.replay import ReplayRequest, ReplayResult, replay, replay_settings
from tests.painted import HOME_AMSL_M, HOME_LAT_DEG, HOME_LON_DEG, paint

STEP_DEG = 5e-5
# It rises by a tenth to the east; home lies in its middle, at home's height.
SLOPE = 0.1
EAST_M = 111_320.0 * np.cos(np.radians(HOME_LAT_DEG))
TILTED = TerrainTile(
    np.tile(HOME_AMSL_M + SLOPE * STEP_DEG * EAST_M * np.arange(-100.0, 101.0), (201, 1)),
    HOME_LAT_DEG + 100 * STEP_DEG,
    HOME_LON_DEG - 100 * STEP_DEG,
    STEP_DEG,
    STEP_DEG,
    "msl",
)


def painted(folder: Path, tile: TerrainTile = TILTED, source: str = "auto") -> Path:
    """Paint a flight that names a tile beside it."""
    paint(folder)
    write_tile(tile, folder / "tile.npz")
    spec = folder / "flight.toml"
    spec.write_text(spec.read_text() + '[ground]\nterrain = "tile.npz"\n')
    config = folder / "patrol.toml"
    config.write_text(config.read_text().replace('source = "home"', f'source = "{source}"'))
    return folder


def flown(folder: Path, out: Path) -> tuple[ReplayResult, list[dict[str, object]]]:
    """Replay it; return the places of its detections, too."""
    out.mkdir()
    flight = open_flight(folder)
    result = replay(ReplayRequest(flight, replay_settings(flight, out), out))
    result.mailbox.close()
    lines = (out / "detections.jsonl").read_text().splitlines()
    return result, [seen for line in lines for seen in json.loads(line)["detections"]]


def test_a_recording_s_tile_is_flown_with(tmp_path: Path) -> None:
    """Places and their heights are the tile's; where the config says home, they are not."""
    result, seen = flown(painted(tmp_path / "a"), tmp_path / "out-a")
    assert {one["ground"] for one in seen} == {"terrain_tile"}
    assert result.stages.heights is not None
    assert result.stages.heights.doubt is None
    # Half a cell east of home: a third of a metre up.
    heights = [float(str(one["ground_amsl_m"])) for one in seen]
    assert np.median(heights) == pytest.approx(HOME_AMSL_M + SLOPE * 3.1, abs=0.15)
    _, level = flown(painted(tmp_path / "b", source="home"), tmp_path / "out-b")
    assert {one["ground"] for one in level} == {"home"}


def test_a_tile_of_another_datum_than_its_name_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Thirty metres between tile and autopilot are said once, with what to look at."""
    wrong = replace(TILTED, heights_m=TILTED.heights_m + 30.0)
    flown(painted(tmp_path / "a", wrong), tmp_path / "out")
    told = [line for line in caplog.messages if line.startswith("height_doubt")]
    assert len(told) == 1
    assert "kind=amsl" in told[0]
    assert "+30.0 m" in told[0]


def test_a_tile_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    """A recording without its tile is no flight; a config without its tile flies nothing."""
    folder = painted(tmp_path / "a")
    (folder / "tile.npz").write_bytes(b"no tile")
    out = tmp_path / "out"
    out.mkdir()
    flight = open_flight(folder)
    with pytest.raises(TerrainError, match="terrain import"):
        read_inputs(replay_settings(flight, out).patrol)
    (folder / "tile.npz").unlink()
    with pytest.raises(FlightError, match=r"tile\.npz"):
        open_flight(folder)
