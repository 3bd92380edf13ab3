"""Other people's detectors, one of each output layout, on real drone pictures.

The figures are those that a plain reference decoder reached (README of the recordings): recall and
precision for vehicles on AU-AIR at an IoU of 0.4.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.config import InferenceConfig
from edge.vision.adopt import adopt_model
from edge.vision.detector import OnnxDetector
from edge.vision.manifest import read_manifest

TOLERANCE = 0.08
MIN_IOU = 0.4
VEHICLES_IN_AU_AIR = {"Car", "Truck", "Van", "Bus", "Trailer"}
VEHICLES_IN_COCO = {"car", "truck", "bus"}
TWO_THREADS = InferenceConfig(threads=2)

EXPECTED = {
    "yolov5n_640": ("yolov5", 0.34, 0.29),
    "yolov8n_int8": ("yolov8", 0.25, 0.34),
    "yolo26n_int8": ("end2end", 0.25, 0.49),
    "yolox_nano": ("yolox", 0.20, 0.34),
    "picodet_s_416": ("gfl", 0.32, 0.29),
    "nanodet": ("nanodet", 0.08, 0.36),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_third_party_detector_finds_vehicles_as_well_as_its_reference(
    shared_data: Path, tmp_path: Path, name: str, record_property: Callable[[str, object], None]
) -> None:
    """Adopted by looking at the file alone, with the thresholds adoption chose."""
    layout, recall, precision = EXPECTED[name]
    adopt_model(shared_data / "models" / f"{name}.onnx", tmp_path / name)
    manifest = read_manifest(tmp_path / name)
    assert manifest.head.layout == layout
    detector = OnnxDetector(manifest, TWO_THREADS)
    n_true = n_found = n_right = 0
    for image, truth in labelled_pictures(shared_data / "labelled" / "au-air"):
        found = [one for one in detector.detect(image) if one.label in VEHICLES_IN_COCO]
        boxes = np.array([one.box_xyxy_px for one in found]).reshape(-1, 4)
        n_true += len(truth)
        n_found += len(boxes)
        n_right += matches(boxes, truth)
    got = (n_right / n_true, n_right / max(1, n_found))
    record_property("recall_precision", f"{got[0]:.2f}/{got[1]:.2f}")
    assert got == pytest.approx((recall, precision), abs=TOLERANCE)
    assert not detector.dropped.total()


def labelled_pictures(folder: Path) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.float64]]]:
    """Yield each picture and the boxes of the vehicles in it, xyxy."""
    data = json.loads((folder / "annotations.json").read_text())
    vehicles = {data["categories"].index(name) for name in VEHICLES_IN_AU_AIR}
    for picture in data["annotations"]:
        path = folder / "images" / picture["image_name"]
        if path.exists():
            boxes = [box for box in picture["bbox"] if box["class"] in vehicles]
            corners = [
                (b["left"], b["top"], b["left"] + b["width"], b["top"] + b["height"]) for b in boxes
            ]
            image = cv2.imread(str(path))
            yield np.asarray(image, np.uint8), np.array(corners, np.float64).reshape(-1, 4)


def matches(boxes: NDArray[np.float64], truth: NDArray[np.float64]) -> int:
    """Count boxes, best score first, that overlap a vehicle which no better box has taken."""
    taken: set[int] = set()
    for box in boxes:
        overlaps = [
            -1.0 if index in taken else overlap(box, one) for index, one in enumerate(truth)
        ]
        if overlaps and max(overlaps) >= MIN_IOU:
            taken.add(int(np.argmax(overlaps)))
    return len(taken)


def overlap(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Intersection over union of two boxes."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    both = float(np.prod(np.clip(sides, 0, None)))
    area = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]))
    return both / (area - both)
