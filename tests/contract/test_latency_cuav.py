"""A real flight of stills: its delay by turns agrees with its delay by the ground."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from calibration.latency import measure_latency
from edge.capture.recording import open_flight

# By the disagreement of matched ground points, see tests/system/test_cuav_consistency.py.
BY_THE_GROUND_S = 0.30

_FLIGHT = """\
format = 1
name = "cuav-2018"
[[camera]]
id = "main"
stills = "*.jpg"
calibration = "camera.toml"
mount = "mount.toml"
[telemetry]
log = "flight.tlog"
[time]
rule = "filename"
pattern = "%Y%m%d%H%M%S%fZ.jpg"
"""


@pytest.fixture
def flight(shared_data: Path, repo: Path, tmp_path: Path) -> Path:
    source = shared_data / "flights" / "cuav-2018"
    if not source.is_dir():
        pytest.skip(f"needs the third-party flight {source}, which is not shipped")
    for file in source.iterdir():
        (tmp_path / file.name).symlink_to(file)
    known = json.loads((source / "camera.json").read_text())
    (fx, _, cx), (_, fy, cy), _ = known["K"]
    (tmp_path / "camera.toml").write_text(
        f'id = "pi-v2"\nwidth_px = {known["xresolution"]}\nheight_px = {known["yresolution"]}\n'
        f"fx_px = {fx}\nfy_px = {fy}\ncx_px = {cx}\ncy_px = {cy}\ndistortion = {known['D'][0]}\n"
    )
    shutil.copy(repo / "calibration" / "mounts" / "nadir-fixed.toml", tmp_path / "mount.toml")
    (tmp_path / "flight.toml").write_text(_FLIGHT)
    return tmp_path


def test_stills_show_the_delay_that_the_ground_shows(flight: Path) -> None:
    """Eighteen stills and a 4 Hz log: the delay, with a sigma that covers what is off."""
    found = measure_latency(open_flight(flight))
    assert found.sigma_s < 0.04
    assert abs(found.latency_s - BY_THE_GROUND_S) < 3 * found.sigma_s
    assert found.delay.n_turns >= 15
