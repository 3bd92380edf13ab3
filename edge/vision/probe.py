"""What `skywhistle check` says about a model: loads it, runs it, measures it."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.config import InferenceConfig
from edge.vision.detector import OnnxDetector
from edge.vision.manifest import read_manifest

PROBE_RUNS = 5


@dataclass(frozen=True, slots=True)
class ModelProbe:
    """A model that loaded and ran; its hash is therefore the manifest's."""

    folder: Path
    name: str
    licence: str
    sha256: str
    layout: str
    input_wh_px: tuple[int, int]
    labels: tuple[str, ...]
    advisory: tuple[str, ...]  # labels that the model often misses
    provider_asked: str
    provider_got: str
    inference_ms: float  # median of a few runs after warming up
    detect_ms: float  # the same with preprocessing and decoding of a 720p picture

    @property
    def provider_is_as_asked(self) -> bool:
        """Whether the provider that runs is the one that was asked for."""
        return self.provider_asked == self.provider_got


def probe_model(folder: Path, inference: InferenceConfig) -> ModelProbe:
    """Load the model in a folder as a flight would, and run it a few times.

    Raises:
        ModelError: whatever keeps it from flying; see `read_manifest` and `OnnxDetector`.
    """
    manifest = read_manifest(folder)
    detector = OnnxDetector(manifest, inference)
    detector.warm_up()
    picture = np.full((720, 1280, 3), manifest.input.pad_value, np.uint8)
    inferences, wholes = [], []
    for _ in range(PROBE_RUNS):
        started_s = time.perf_counter()
        detector.detect(picture)
        wholes.append(time.perf_counter() - started_s)
        inferences.append(detector.last_inference_s)
    return ModelProbe(
        folder=folder,
        name=manifest.name,
        licence=manifest.licence,
        sha256=manifest.sha256,
        layout=manifest.head.layout,
        input_wh_px=(manifest.input.width_px, manifest.input.height_px),
        labels=manifest.labels,
        advisory=manifest.advisory,
        provider_asked=detector.provider_asked,
        provider_got=detector.provider_got,
        inference_ms=1e3 * statistics.median(inferences),
        detect_ms=1e3 * statistics.median(wholes),
    )
