"""A real flight of stills: its delay by turns agrees with its delay by the ground."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.latency import measure_latency
from edge.bench.geo_boresight import cuav_flight
from edge.capture.recording import open_flight

# By the disagreement of matched ground points, see tests/system/test_cuav_consistency.py.
BY_THE_GROUND_S = 0.30


@pytest.fixture
def flight(shared_data: Path, tmp_path: Path) -> Path:
    recording = shared_data / "flights" / "cuav-2018"
    if not recording.is_dir():
        pytest.skip(f"needs the third-party flight {recording}, which is not shipped")
    return cuav_flight(recording, tmp_path)


def test_stills_show_the_delay_that_the_ground_shows(flight: Path) -> None:
    """Eighteen stills and a 4 Hz log: the delay, with a sigma that covers what is off."""
    found = measure_latency(open_flight(flight))
    assert found.sigma_s < 0.04
    assert abs(found.latency_s - BY_THE_GROUND_S) < 3 * found.sigma_s
    assert found.delay.n_turns >= 15
