"""`calibrate latency` on made flights: what is put in comes out, what shows nothing is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.latency import measure_latency
from calibration.latency_write import write_latency
from edge.bench.geo_latency import PUT_IN_S, TARGET_MS, MadeFlight, make_flight
from edge.capture.recording import open_flight
from edge.errors import ConfigError, LatencyError
from edge.records import ImageArray
from edge.settings import read_settings
from tests.aircraft import command

SHORT = MadeFlight(rate_hz=5.0, lanes=2, lane_m=25.0, seed=2)


@pytest.fixture(scope="module")
def turns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flight of eight turns, 120 ms late, whose flight.toml knows nothing of it."""
    made = MadeFlight(rate_hz=5.0, lanes=4, lane_m=25.0, seed=2)
    return make_flight(made, tmp_path_factory.mktemp("turns"))


def test_the_delay_put_in_comes_out(turns: Path, tmp_path: Path) -> None:
    """120 ms are found within 8, with a sigma that covers the miss, a plot and a next step."""
    plot = tmp_path / "latency.png"
    done = command("calibrate", "latency", str(turns), "--plot", str(plot), "--json")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    miss_ms = abs(figures["delay_ms"] - PUT_IN_S * 1e3)
    assert miss_ms <= TARGET_MS
    assert miss_ms <= 3.5 * figures["delay_sigma_ms"]
    picture = cv2.imread(str(plot))
    assert picture is not None
    assert picture.std() > 20


def water(_time_s: float, image: ImageArray) -> ImageArray:
    """Uniform, but for the sensor's noise."""
    noise = np.random.default_rng(round(_time_s * 1000)).normal(110.0, 40.0, image.shape)
    return np.clip(noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (replace(SHORT, lanes=1, lane_m=40.0), "hardly turns"),
        (replace(SHORT, paint=lambda _s, image: np.zeros_like(image)), "too dark"),
        (replace(SHORT, paint=lambda _s, image: np.full_like(image, 90)), "too dark"),
        (replace(SHORT, paint=water), "follow|as ground does"),
        (replace(SHORT, late_s=lambda _s: 7200.0), "no pose"),
        (replace(SHORT, late_s=lambda time_s: 0.12 - 0.9 * time_s), "."),
    ],
    ids=["straight", "black", "grey", "water", "another clock", "clock runs slow"],
)
def test_a_flight_that_does_not_show_it_is_refused(
    made: MadeFlight, says: str, tmp_path: Path
) -> None:
    """What does not fix the delay says why, and what to fly instead."""
    flight = open_flight(make_flight(made, tmp_path / "flight"))
    with pytest.raises(LatencyError, match=f"(?s)(?:{says}).*hover at .* yaw left and right"):
        measure_latency(flight)


def test_frames_out_of_order_cost_only_themselves(turns: Path, tmp_path: Path) -> None:
    """A clock that jumps back for a frame now and then leaves the rest to tell the delay."""
    for name in ("video.mp4", "telemetry.tlog", "camera.toml", "mount.toml", "flight.toml"):
        (tmp_path / name).symlink_to(turns / name)
    head, *rows = (turns / "frames.csv").read_text().splitlines()
    for i in range(10, len(rows), 25):
        frame, utc_us = rows[i].split(",")
        rows[i] = f"{frame},{int(utc_us) - 700_000}"
    (tmp_path / "frames.csv").write_text("\n".join([head, *rows]) + "\n")
    found = measure_latency(open_flight(tmp_path))
    assert found.unseen["not_in_order"] > 0
    assert abs(found.latency_s - PUT_IN_S) * 1e3 <= TARGET_MS


def test_a_camera_that_is_not_there_is_named(turns: Path) -> None:
    """The message lists those that are."""
    with pytest.raises(LatencyError, match=r"no camera 'thermal'.*main"):
        measure_latency(open_flight(turns), "thermal")


def test_settings_are_written_where_they_were(repo: Path, tmp_path: Path) -> None:
    """Of patrol.toml two values change, and every other byte stays; a second time none does."""
    path = tmp_path / "patrol.toml"
    before = (repo / "patrol.toml").read_text()
    path.write_text(before)
    write_latency(path, "main", 0.1184, 0.021)
    after = path.read_text()
    changed = [b for a, b in zip(before.splitlines(), after.splitlines(), strict=True) if a != b]
    assert [line.split("#")[0].rstrip() for line in changed] == [
        "latency_s = 0.1184",
        "latency_sigma_s = 0.021",
    ]
    camera = read_settings(path).patrol.camera[0]
    assert (camera.latency_s, camera.latency_sigma_s) == (0.1184, 0.021)
    write_latency(path, "main", 0.1184, 0.021)
    assert path.read_text() == after


def test_a_key_that_was_not_there_joins_its_camera(repo: Path, tmp_path: Path) -> None:
    """Of two cameras the named one is changed, also where it had no latency yet."""
    path = tmp_path / "patrol.toml"
    lines = (repo / "patrol.toml").read_text().splitlines(keepends=True)
    second = '[[camera]]\nid = "thermal"\nsource = "csi://1"\nmodel = "m"\ncalibration = "c"\n'
    path.write_text("".join(lines) + second + 'mount = "m"\n')
    write_latency(path, "thermal", 0.08, 0.01)
    main, thermal = read_settings(path).patrol.camera
    assert (main.latency_s, thermal.latency_s, thermal.latency_sigma_s) == (0.12, 0.08, 0.01)


@pytest.mark.parametrize(
    ("text", "camera_id", "says"),
    [
        (None, "thermal", "no camera 'thermal'"),
        ('[[camera]]\nid = "main"\n', "main", "."),
        ("camera = [{INLINE}]\n", "main", "cannot be edited safely"),
    ],
)
def test_a_file_that_cannot_be_edited_stays_as_it_was(
    text: str | None, camera_id: str, says: str, repo: Path, tmp_path: Path
) -> None:
    """Nothing is written, the reason is named, and no file is left beside it."""
    path = tmp_path / "patrol.toml"
    inline = 'id = "main", source = "csi://0", model = "m", calibration = "c", mount = "m"'
    if text is None:
        path.write_text((repo / "patrol.toml").read_text())
    else:
        rules = '[[rule]]\nname = "any"\nlabels = ["smoke"]\nmin_score = 0.3\n'
        inlined = text.replace("INLINE", inline)
        path.write_text('drone_id = "d"\n' + inlined + rules)
    before = path.read_text()
    with pytest.raises(ConfigError, match=says):
        write_latency(path, camera_id, 0.1, 0.02)
    assert path.read_text() == before
    assert [one.name for one in tmp_path.iterdir()] == ["patrol.toml"]
