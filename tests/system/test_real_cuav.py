"""A real flight, its stills and its log, through `skywhistle replay` with a model of others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.bench.geo_boresight import cuav_flight
from tests.aircraft import command

pytestmark = pytest.mark.system

N_STILLS = 18
# The pictures' names are late against the log by what `calibrate boresight --time` finds.
LATENCY = "latency_s = 0.30"


@pytest.fixture
def flight(shared_data: Path, tmp_path: Path) -> Path:
    """A flight folder beside the recording: links to it, and what the format asks for."""
    recording = shared_data / "flights" / "cuav-2018"
    if not recording.is_dir():
        pytest.skip(f"needs the third-party flight {recording}, which is not shipped")
    folder = tmp_path / "cuav-2018"
    folder.mkdir()
    cuav_flight(recording, folder)
    path = folder / "flight.toml"
    path.write_text(path.read_text().replace("[telemetry]", f"{LATENCY}\n[telemetry]"))
    return folder


def test_all_stills_of_a_real_flight_are_geotagged(
    flight: Path, shared_data: Path, tmp_path: Path
) -> None:
    """`model add`, then `replay`: every still has its place from the real log; all results are."""
    model = shared_data / "models" / "yolov8n_int8.onnx"
    if not model.is_file():
        pytest.skip(f"needs the third-party model {model}, which is not shipped")
    added = command("model", "add", str(model), "--into", str(tmp_path / "models"))
    assert added.returncode == 0, added.stderr
    assert "layout yolov8" in added.stdout
    out = tmp_path / "out"
    arguments = ("--model", str(tmp_path / "models" / model.stem), "--out", str(out))
    done = command("replay", str(flight), *arguments)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (out / "detections.jsonl").read_text().splitlines()]
    assert len(lines) == N_STILLS
    for line in lines:
        # The flight was at Canberra Model Aircraft Club.
        assert -35.38 < line["centre"]["lat_deg"] < -35.35
        assert 149.14 < line["centre"]["lon_deg"] < 149.19
    summary = json.loads((out / "summary.json").read_text())
    assert summary["frames"] == N_STILLS
    assert summary["truth"] is None
    assert (out / "map.png").stat().st_size > 10_000
    assert json.loads((out / "alerts.geojson").read_text())["type"] == "FeatureCollection"
