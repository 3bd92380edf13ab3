"""DETRs and the newer YOLOs: exports as their tools write them are read by looking at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.errors import ModelLayoutError
from edge.vision.adopt import Overrides, adopt_model
from edge.vision.coco import COCO_LABELS_BY_ID
from edge.vision.detector import OnnxDetector
from edge.vision.sniff import make_head, sniff
from tests.unit.vision import exports
from tests.unit.vision.exports import COCO, export
from tests.unit.vision.tiny_models import ONE_THREAD

FRAME = np.random.default_rng(1).integers(0, 255, (90, 160, 3), np.uint8)
ULTRALYTICS = {"names": COCO, "task": "detect", "stride": "32", "imgsz": "[96, 96]"}
E2E = {**ULTRALYTICS, "end2end": "True"}
DETR = {**ULTRALYTICS, "description": "Ultralytics RT-DETR-l model"}


@pytest.mark.parametrize(
    ("build", "metadata", "picture", "layout", "resize", "std"),
    [
        (exports.yolo_grid, ULTRALYTICS, "images", "yolov8", "letterbox_centre", 1.0),
        (exports.yolo_end_to_end, ULTRALYTICS, "images", "end2end", "letterbox_centre", 1.0),
        (exports.yolo_end_to_end, E2E, "images", "end2end", "letterbox_centre", 1.0),
        (exports.ultralytics_rtdetr, DETR, "images", "detr_rows", "stretch", 1.0),
        (exports.ultralytics_rtdetr, {}, "images", "detr_rows", "stretch", 1.0),
        (exports.rtdetr_and_dfine, {}, "images", "detr_triple", "stretch", 1.0),
        (exports.rf_detr, {}, "input", "detr_logits", "stretch", 58.395),
        (exports.transformers_detr, {}, "pixel_values", "detr_logits", "stretch", 1.0),
    ],
)
def test_exports_of_every_tool_are_adopted_and_fly(
    *, tmp_path: Path, build: exports.Builder, metadata: dict, picture: str, layout: str,
    resize: str, std: float,
) -> None:  # fmt: skip
    """Names, shapes and metadata name the layout and its input, and boxes come out in the frame."""
    path = tmp_path / "theirs.onnx"
    path.write_bytes(export(build, metadata, picture))
    manifest = adopt_model(path, tmp_path / "m", overrides=Overrides(min_score=0.01))
    assert (manifest.head.layout, manifest.input.resize) == (layout, resize)
    assert (manifest.input.colour, manifest.input.std[0]) == ("rgb", std)
    detector = OnnxDetector(manifest, ONE_THREAD)
    found = detector.detect(FRAME)
    assert found
    assert detector.dropped["not_a_score"] == 0
    sides = np.array([one.box_xyxy_px for one in found])
    assert sides.min() >= 0
    assert sides[:, [0, 2]].max() <= 159
    assert sides[:, [1, 3]].max() <= 89


WH = (64, 32)  # a width that is not the height: an order that is swapped shows


def test_three_ways_to_write_the_same_box() -> None:
    """Fractions, pixels, logits: the same thing in the picture is the same candidate."""
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, 7] = (0.5, 0.25, 0.25, 0.5, 0.1, 0.75)  # cx cy w h, two scores
    logits = np.full((1, 300, 3), -9.0, np.float32)
    logits[0, 7, 1] = np.log(3.0)  # 0.75
    labels = np.zeros((1, 300), np.int64)
    labels[0, 7] = 1
    boxes = np.zeros((1, 300, 4), np.float32)
    boxes[0, 7] = (24, 0, 40, 16)
    ways = {
        "detr_rows": [rows],
        "detr_logits": [rows[:, :, :4], logits],
        "detr_triple": [labels, boxes, rows[:, :, 5]],
    }
    for layout, outputs in ways.items():
        shapes = [output.shape for output in outputs]
        head = make_head(layout, (8,), shapes, WH, n_labels=2)
        found = head.decode(outputs, 0.5)
        assert found.boxes_xyxy.tolist() == [[24, 0, 40, 16]], layout
        assert found.scores == pytest.approx([0.75])
        assert found.classes.tolist() == [1]


@pytest.mark.parametrize("layout", ["detr_rows", "detr_logits", "detr_triple"])
def test_not_a_number_is_counted_and_never_a_box(layout: str) -> None:
    """A broken query is lost, counted, and takes no other with it."""
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, 3, 4:] = np.nan
    ways = {
        "detr_rows": [rows],
        "detr_logits": [rows[:, :, :4], np.where(np.isnan(rows[:, :, 4:]), np.nan, -9.0)],
        "detr_triple": [rows[:, :, 0], rows[:, :, :4], rows[:, :, 5]],
    }
    outputs = ways[layout]
    head = make_head(layout, (8,), [output.shape for output in outputs], WH, n_labels=2)
    found = head.decode(outputs, 0.5)
    assert (len(found.scores), found.n_not_a_number) == (0, 1)


def test_the_boxes_of_four_classes_are_told_by_name() -> None:
    """With three labels and "no object" logits are as wide as boxes: only the names tell."""
    boxes = np.full((1, 300, 4), 0.5, np.float32)
    logits = np.full((1, 300, 4), -9.0, np.float32)
    logits[0, 0, 2] = 9.0
    shapes = [(1, 300, 4)] * 2
    for names, outputs in (
        (("dets", "labels"), [boxes, logits]),
        (("labels", "dets"), [logits, boxes]),
    ):
        head = make_head("detr_logits", (8,), shapes, WH, names=names, n_labels=3)
        assert head.decode(outputs, 0.5).boxes_xyxy.tolist() == [[16, 8, 48, 24]]


def test_no_object_is_no_class() -> None:
    """A last logit that no label has is not looked at, however high it is."""
    boxes = np.full((1, 300, 4), 0.5, np.float32)
    logits = np.full((1, 300, 3), 9.0, np.float32)
    head = make_head("detr_logits", (8,), [boxes.shape, logits.shape], WH, n_labels=2)
    assert set(head.decode([boxes, logits], 0.5).classes.tolist()) == {0, 1}


def test_rf_detr_of_ones_own_classes_takes_one_label_less(tmp_path: Path) -> None:
    """With K labels RF-DETR has K + 1 columns, and both counts of labels are taken."""
    path = tmp_path / "rf.onnx"
    path.write_bytes(export(exports.rf_detr, picture="input"))
    assert adopt_model(path, tmp_path / "coco").labels == COCO_LABELS_BY_ID
    own = tuple(f"c{index}" for index in range(90))
    assert adopt_model(path, tmp_path / "own", overrides=Overrides(labels=own)).labels == own
    with pytest.raises(ModelLayoutError, match="91 classes, but 3 labels"):
        adopt_model(path, tmp_path / "bad", overrides=Overrides(labels=("a", "b", "c")))


def test_coco_ids_keep_their_names() -> None:
    """Id 1 is person and id 90 toothbrush; ids that COCO never used say so."""
    named = {1: "person", 13: "stop sign", 90: "toothbrush", 12: "unused-12", 0: "unused-0"}
    assert {index: COCO_LABELS_BY_ID[index] for index in named} == named


def test_two_classes_of_a_detr_are_not_taken_for_corners() -> None:
    """[1, 300, 6] is end-to-end, unless names and description say a DETR of two classes."""
    two = {"names": "{0: 'a', 1: 'b'}"}
    described = {**two, "description": "Ultralytics rtdetr-l model trained on x"}
    shapes = [(1, 300, 6)]
    assert sniff(shapes, (64, 64), two).layout == "end2end"
    assert sniff(shapes, (64, 64), described).layout == "detr_rows"
    assert sniff(shapes, (64, 64), {**described, "end2end": "True"}).layout == "end2end"
