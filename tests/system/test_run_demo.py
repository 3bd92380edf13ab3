"""`skywhistle demo` on the flight and with the detector that are shipped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.replay import fresh_folder
from tests.aircraft import skywhistle

pytestmark = pytest.mark.system

# What the README promises to be in `summary.json`.
KEYS = [
    "truth",
    "alerts_new",
    "recall",
    "precision",
    "duplicates",
    "geotag_median_m",
    "geotag_p90_m",
    "ellipse_hit_rate",
    "frame_to_outbox_p99_s",
    "frame_to_desk_p99_s",
    "alert_bytes_median",
    "alert_bytes_max",
    "frames",
    "inferences",
    "detections",
    "frames_dropped",
    "outbox_left",
]


def test_the_demo_reaches_its_mark(repo: Path, tmp_path: Path) -> None:
    """It flies, delivers every alert, scores above the gate, and leaves summary, places and map.

    All of it in a folder that the next demo takes over.
    """
    pytest.importorskip("iotcore")
    assert (repo / "models" / "whistle-n-int8" / "detector.onnx").is_file()
    out = tmp_path / "demo"
    done = skywhistle("demo", "--gate", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert set(KEYS) <= set(summary)
    assert summary["truth"] > 0
    assert summary["alerts_new"] > 0
    assert summary["outbox_left"] == 0
    assert summary["duplicates"] == 0
    assert len(json.loads((out / "alerts.geojson").read_text())["features"]) > 0
    assert (out / "map.png").stat().st_size > 10_000
    assert "Traceback" not in done.stderr
    fresh_folder(out)
    assert list(out.iterdir()) == []
