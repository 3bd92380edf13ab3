"""What a file is taken for and how sure that is, and that it is drawn where it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.records import Detection
from edge.vision.adopt import Overrides, adopt_model
from edge.vision.drawing import draw_detections
from edge.vision.manifest import HeadTable, InputTable
from edge.vision.opinion import Sureness, judge
from tests.unit.vision import exports
from tests.unit.vision.exports import COCO, export
from tests.unit.vision.tiny_models import cell_model, constant_model, write_model

PICTURE = np.random.default_rng(2).integers(0, 255, (96, 96, 3), np.uint8)
E2E = {"names": COCO, "end2end": "True"}


@pytest.mark.parametrize(
    ("build", "metadata", "sureness", "said"),
    [
        (exports.yolo_grid, {"names": COCO}, Sureness.CERTAIN, "names 80 classes"),
        (exports.yolo_grid, {}, Sureness.LIKELY, "the 189 cells of strides 8, 16, 32"),
        (exports.yolo_end_to_end, E2E, Sureness.CERTAIN, "end2end"),
        (exports.yolo_end_to_end, {"names": COCO}, Sureness.LIKELY, "six columns"),
        (exports.yolo_end_to_end, {}, Sureness.GUESS, ""),
        (exports.rtdetr_and_dfine, {}, Sureness.CERTAIN, "called labels, boxes, scores"),
        (exports.rf_detr, {}, Sureness.CERTAIN, "called dets, labels"),
    ],
)
def test_sureness_is_what_the_file_itself_says(
    tmp_path: Path, build: exports.Builder, metadata: dict, sureness: Sureness, said: str
) -> None:
    """Said by the file: certain; fitting by shape alone: likely; by columns only: a guess."""
    path = tmp_path / "theirs.onnx"
    path.write_bytes(export(build, metadata))
    # Where the input is nought random weights say the same of everything: half a score, half a
    # picture.  RF-DETR's nought is ImageNet's mean, the others' black.
    nought = (104, 116, 124) if build is exports.rf_detr else (0, 0, 0)
    manifest = adopt_model(path, tmp_path / "m", overrides=Overrides(min_score=0.9))
    opinion = judge(manifest, np.full_like(PICTURE, nought))
    assert not opinion.doubts
    assert opinion.sureness is sureness
    assert said in "; ".join(opinion.because)


def test_numbers_that_are_no_scores_are_a_doubt(tmp_path: Path) -> None:
    """Fed with 0 to 255 what wants 0 to 1, a model gives numbers that no score can be."""
    table = InputTable(width_px=64, height_px=64, scale=1.0)
    head = HeadTable(layout="yolov8", strides=(8,))
    manifest = write_model(tmp_path, cell_model(), labels=("red",), input=table, head=head)
    opinion = judge(manifest, PICTURE)
    assert opinion.sureness is Sureness.GUESS
    assert any("score above 1" in doubt for doubt in opinion.doubts)


def test_where_nothing_is_found_the_usual_mistake_is_tried(tmp_path: Path) -> None:
    """A model that sees nothing at its scale and something at the other may have been misread."""
    table = InputTable(width_px=64, height_px=64, scale=1.0 / 255.0)
    head = HeadTable(layout="yolov8", strides=(8,))
    dark = np.full((64, 64, 3), 0, np.uint8)
    dark[:32, :32, 2] = 1  # 0.004 as fed, 1 where bytes are fed as they are
    manifest = write_model(tmp_path, cell_model(), labels=("red",), input=table, head=head)
    opinion = judge(manifest, dark)
    assert opinion.detections == ()
    assert "with scale = 1 in model.toml it finds 16" in opinion.hints[0]
    seen = judge(manifest, np.full((64, 64, 3), 255, np.uint8))
    assert seen.detections
    assert not seen.hints


def test_boxes_without_size_are_a_doubt(tmp_path: Path) -> None:
    """A raw grid read as pixels gives thin boxes: the layout is wrong, and that is said."""
    raw = np.random.default_rng(4).uniform(0.0, 0.9, (1, 84, 7)).astype(np.float32)
    raw[..., :2] *= 64
    raw[..., 4:6] = 0.9
    path = tmp_path / "raw.onnx"
    path.write_bytes(constant_model([raw]))
    given = Overrides(layout="yolov5", labels=("a", "b"))
    opinion = judge(adopt_model(path, tmp_path / "m", overrides=given), PICTURE)
    assert opinion.sureness is Sureness.GUESS
    assert any("no size" in doubt for doubt in opinion.doubts)


def test_boxes_are_drawn_where_they_are_and_nowhere_else() -> None:
    """The line runs along the box; the picture itself is left as it was."""
    picture = np.zeros((200, 300, 3), np.uint8)
    drawn = draw_detections(picture, [Detection("shed", 0.5, (100.0, 80.0, 200.0, 150.0))])
    assert not picture.any()
    assert drawn[150, 100:200].any(axis=1).all()
    assert drawn[80:150, 200].any(axis=1).all()
    assert not drawn[90:140, 110:190].any()
    assert not drawn[160:].any()
