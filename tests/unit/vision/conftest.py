"""What the vision tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.vision.detector import OnnxDetector
from edge.vision.manifest import HeadTable
from tests.unit.vision.tiny_models import ONE_THREAD, Outputs, constant_model, write_model


@pytest.fixture
def make_detector(tmp_path: Path) -> Callable[..., OnnxDetector]:
    """Make a detector that answers every picture with given outputs."""

    def make(outputs: Outputs, layout: str, **keys: Any) -> OnnxDetector:
        head = HeadTable(layout=layout, strides=keys.pop("strides", (8, 16, 32)))
        manifest = write_model(tmp_path, constant_model(outputs), head=head, **keys)
        return OnnxDetector(manifest, ONE_THREAD)

    return make
