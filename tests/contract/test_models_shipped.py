"""The models that the project itself ships."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.config import InferenceConfig
from edge.vision.detector import OnnxDetector
from edge.vision.manifest import read_manifest

MODELS = Path(__file__).resolve().parents[2] / "models"
FOLDERS = sorted(path.parent for path in MODELS.glob("*/model.toml"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_shipped_model_loads_runs_and_may_be_given_away(folder: Path) -> None:
    """Hash, layout and labels agree with the file, a grey picture holds nothing, and the licence
    is the project's own.
    """
    manifest = read_manifest(folder)
    detector = OnnxDetector(manifest, InferenceConfig(threads=1))
    detector.warm_up()
    assert manifest.licence == "Apache-2.0"
    assert detector.detect(np.full((720, 1280, 3), 114, np.uint8)) == []
    assert not detector.dropped.total()
