"""A recorded flight is complete, readable by the flight program, and true."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.capture.recording import open_flight
from edge.errors import ScenarioError
from edge.geo.terrain import read_tile
from edge.records import Frame
from sim.record import VideoFile, check_covered, record, vehicle_of
from sim.scenario import CameraTable, Scenario, load_scenario

SHORT = """
format = 1
name = "short"
[world]
family = "suburb"
counts = { structure = 40, waste_pile = 40, pool = 15 }
[flight]
start_east_m = 0.0
start_north_m = -20.0
lanes = 1
lane_m = 30.0
[camera]
rate_hz = 1.0
rolling_shutter_s = 0.02
bit_rate_mbps = 8.0
latency_s = 0.3
mount = "servo_gimbal"
[noise]
preset = "none"
"""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """A flight of a few seconds."""
    path = tmp_path_factory.mktemp("scenario") / "short.toml"
    path.write_text(SHORT, encoding="utf-8")
    return load_scenario(path)


@pytest.fixture(scope="module")
def flight(needs_egl: None, scenario: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That flight, recorded."""
    folder = tmp_path_factory.mktemp("flight")
    record(scenario, 7, folder)
    return folder


def test_the_flight_program_reads_every_frame_and_the_telemetry(
    flight: Path, scenario: Scenario
) -> None:
    """The folder opens, each frame has picture and time, the autopilot's state is fed."""
    fed: dict[str, int] = {}

    def feed(message: object, _time: int) -> None:
        name = message.get_type()  # type: ignore[attr-defined]
        fed[name] = fed.get(name, 0) + 1

    frames = [e for e in open_flight(flight).events(feed) if isinstance(e, Frame)]
    vehicle = vehicle_of(scenario, 7)
    assert len(frames) == int(vehicle.duration_s)
    assert all(frame.image_bgr.shape == (720, 1280, 3) for frame in frames)
    assert all(frame.image_bgr.std() > 10 for frame in frames)
    first_s = (frames[0].captured_mono_ns - vehicle.start_utc_us * 1000) * 1e-9
    assert first_s == pytest.approx(0.5, abs=1e-6)
    assert {"ATTITUDE", "GLOBAL_POSITION_INT", "GIMBAL_DEVICE_ATTITUDE_STATUS"} <= set(fed)


def test_truth_poses_and_boxes_tell_of_the_same_flight(flight: Path, scenario: Scenario) -> None:
    """Truth counts the frames that the boxes show, and poses are the vehicle's."""
    truth = json.loads((flight / "truth.geojson").read_text(encoding="utf-8"))
    coco = json.loads((flight / "boxes.json").read_text(encoding="utf-8"))
    boxed = {a["truth_id"] for a in coco["annotations"]}
    for feature in truth["features"]:
        kept = feature["properties"]
        assert kept["kind"] in {"violation", "distractor"}
        assert ("label" if kept["kind"] == "violation" else "cause") in kept
        if kept["seen_frames"]:
            assert kept["id"] in boxed
            assert kept["from_s"] <= kept["to_s"]
        assert feature["geometry"]["coordinates"][0][0] == feature["geometry"]["coordinates"][0][-1]
    assert any(f["properties"]["seen_frames"] for f in truth["features"])
    with (flight / "poses.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    vehicle = vehicle_of(scenario, 7)
    for row in rows:
        there = vehicle.camera_pose(float(row["time_s"]), scenario.camera.lever_arm_m).position_m
        written = [float(row[key]) for key in ("east_m", "north_m", "up_m")]
        assert written == pytest.approx(there.tolist(), abs=2e-3)
        assert float(row["camera_pitch_deg"]) == pytest.approx(-65.0, abs=0.01)


def test_boxes_lie_inside_the_frame(flight: Path) -> None:
    """COCO boxes are cut at the frame's edge."""
    coco = json.loads((flight / "boxes.json").read_text(encoding="utf-8"))
    boxes = np.array([a["bbox"] for a in coco["annotations"]])
    assert boxes[:, :2].min() >= -0.6
    assert (boxes[:, 0] + boxes[:, 2]).max() <= 1279.6
    assert (boxes[:, 1] + boxes[:, 3]).max() <= 719.6


def test_the_dem_is_the_ground_below_the_flight(flight: Path) -> None:
    """The heights beside the flight are of its streets, and cover every frame's place."""
    heights_m = np.loadtxt(flight / "dem.txt")
    assert float(np.median(heights_m)) == pytest.approx(4.2, abs=0.5)
    with (flight / "poses.csv").open(encoding="utf-8") as stream:
        places = [(float(r["east_m"]), float(r["north_m"])) for r in csv.DictReader(stream)]
    assert np.abs(places).max() <= (len(heights_m) - 1) * 2.0 / 2


def test_the_flight_names_its_ground_as_a_tile(flight: Path) -> None:
    """The flight program finds the same heights in the tile that flight.toml names."""
    recorded = open_flight(flight)
    assert recorded.spec.ground.terrain is not None
    tile = read_tile(recorded.path(recorded.spec.ground.terrain))
    heights_m = np.loadtxt(flight / "dem.txt")
    assert float(np.nanmedian(tile.heights_m)) == pytest.approx(
        float(np.median(heights_m)), abs=0.5
    )
    assert tile.low_high_m == pytest.approx((heights_m.min(), heights_m.max()), abs=0.5)


def test_a_flight_that_leaves_the_district_is_refused(tmp_path: Path) -> None:
    """Wind that carries the vehicle over the edge is named before anything is drawn."""
    path = tmp_path / "edge.toml"
    at_edge = SHORT.replace("start_east_m = 0.0", "start_east_m = 192.0")
    path.write_text(at_edge.replace('"none"', '"none"\nsway_m = 3.0'), encoding="utf-8")
    scenario = load_scenario(path)
    with pytest.raises(ScenarioError, match="DEM end at 192 m"):
        check_covered(scenario, vehicle_of(scenario, 3))


def test_a_frames_bits_are_those_of_the_stream(tmp_path: Path) -> None:
    """Half of the stream's frames take half of its bits, at 1 and at 4 Mbit/s."""
    noise = np.random.default_rng(0).integers(0, 255, (25, 180, 320, 3), np.uint8)
    for mbps in (1.0, 4.0):
        camera = CameraTable(bit_rate_mbps=mbps, rate_hz=12.5)
        video = VideoFile(tmp_path / "v.mp4", camera, (320, 180))
        for image in noise:
            video.add(np.asarray(cv2.GaussianBlur(image, (9, 9), 3), np.uint8))
        video.close()
        took_mbps = (tmp_path / "v.mp4").stat().st_size * 8e-6 / (len(noise) / 12.5)
        assert took_mbps == pytest.approx(mbps / 2, rel=0.5)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            'family = "suburb"',
            'family = "atlantis"',
        ),
        ("lanes = 1", "lanes = 0"),
        ("lanes = 1", "lunes = 1"),
        ("lane_m = 30.0", "lane_m = 300.0"),
        ("rolling_shutter_s = 0.02", "rolling_shutter_s = 2.0"),
        ('mount = "servo_gimbal"', 'mount = "balloon"'),
        ("bit_rate_mbps = 8.0", "bit_rate_mbps = 400.0"),
        ('preset = "none"', 'preset = "hopeful"'),
        ("structure = 40", "dragon = 40"),
    ],
)
def test_an_impossible_scenario_is_refused_by_name(tmp_path: Path, change: str, named: str) -> None:
    """The message names the file and the key or value at fault, before anything is drawn."""
    path = tmp_path / "bad.toml"
    path.write_text(SHORT.replace(change, named), encoding="utf-8")
    at_fault = named.split("=", maxsplit=1)[0].strip() if "preset" not in named else "hopeful"
    with pytest.raises(ScenarioError, match=at_fault) as caught:
        load_scenario(path)
    assert "bad.toml:" in str(caught.value)
