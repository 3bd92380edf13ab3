"""Telling layouts apart, and adopting somebody's file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from edge.errors import ModelError, ModelFormatError, ModelLayoutError, ModelManifestError
from edge.vision.adopt import Overrides, adopt_model
from edge.vision.coco import COCO_LABELS
from edge.vision.detector import OnnxDetector
from edge.vision.manifest import read_manifest
from edge.vision.sniff import make_head, names_from_metadata, sniff
from tests.unit.vision.tiny_models import ONE_THREAD, cell_model, constant_model, serialised

S640, S416, S320 = (640, 640), (416, 416), (320, 320)
PICODET = [(1, n, w) for w in (80, 32) for n in (2704, 676, 169, 49)]
NANODET = [(1600, 80), (400, 80), (100, 80), (1600, 32), (400, 32), (100, 32)]
TWO = {"names": "{0: 'shed', 1: 'smoke'}"}


@pytest.mark.parametrize(
    ("shapes", "size", "metadata", "layout", "strides", "classes"),
    [
        ([(1, 25200, 85)], S640, {}, "yolov5", (8, 16, 32), 80),
        ([(1, 102000, 85)], (1280, 1280), {}, "yolov5", (8, 16, 32, 64), 80),
        ([(1, 84, 8400)], S640, {}, "yolov8", (8, 16, 32), 80),
        ([(1, 6, 5040)], (640, 384), {}, "yolov8", (8, 16, 32), 2),
        ([(1, 8400, 6)], S640, TWO, "yolov8", (8, 16, 32), 2),
        ([(1, 8400, 5)], S640, {}, "yolov8", (8, 16, 32), 1),
        ([(1, 300, 6)], S640, {}, "end2end", (8, 16, 32), None),
        ([(1, 84, 6)], (64, 64), {"end2end": "True"}, "end2end", (8, 16, 32), None),
        ([(1, 84, 6)], (64, 64), {}, "yolox", (8, 16, 32), 1),
        ([(1, 3549, 85)], S416, {}, "yolox", (8, 16, 32), 80),
        (PICODET, S416, {}, "gfl", (8, 16, 32, 64), 80),
        (NANODET, S320, {}, "nanodet", (8, 16, 32), 80),
        (NANODET[::2] + NANODET[1::2], S320, {}, "nanodet", (8, 16, 32), 80),
    ],
)
def test_layouts_are_told_apart(
    *, shapes: list, size: tuple, metadata: dict, layout: str, strides: tuple, classes: int | None
) -> None:
    """Shapes, input size and metadata name the layout, its strides and its classes."""
    found = sniff(shapes, size, metadata)
    assert (found.layout, found.strides, found.n_classes) == (layout, strides, classes)
    assert make_head(found.layout, found.strides, shapes, size).n_classes == classes


@pytest.mark.parametrize(
    "shapes",
    [
        [(1, 1000)],
        [(1, 3, 80, 80, 85)],
        [(2, 84, 8400)],
        [(1, 84, 8399)],
        [(1, 25200, 4), (1, 25200, 80)],
        [(1, 0, 6)],
        [(1, 20_000, 20_000)],
        [],
        PICODET[:-1],
        [(1, n, 32) for n in (2704, 676, 169, 49)] * 2,
    ],
)
def test_unknown_outputs_are_refused_with_their_shapes(shapes: list) -> None:
    """What fits no head is named by its shapes."""
    seen = str(list(shapes[0])) if shapes else "(none)"
    with pytest.raises(ModelLayoutError) as refused:
        sniff(shapes, S640, {})
    assert seen in str(refused.value)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{0: 'a', 1: 'b'}", ("a", "b")),
        ("['a', 'b']", ("a", "b")),
        ("{1: 'b', 0: 'a'}", ("a", "b")),
        ("{0: 'a', 2: 'c'}", ()),
        ("{0: 1}", ()),
        ("{'a': 'b', 0: 'c'}", ()),
        ("__import__('os')", ()),
        ("(" * 5000, ()),
        ("", ()),
    ],
)
def test_names_in_metadata_are_read_and_never_run(text: str, names: tuple) -> None:
    """Names come as a literal; anything else is no names."""
    assert names_from_metadata({"names": text}) == names


def written(folder: Path, data: bytes, name: str = "their model.onnx") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def test_an_adopted_model_flies(tmp_path: Path) -> None:
    """Adopted by looking at it alone, a model loads from its folder and finds what is there."""
    path = written(tmp_path, cell_model())
    adopt_model(path, tmp_path / "eye", "eye", "MIT", Overrides(labels=("bright",)))
    manifest = read_manifest(tmp_path / "eye")
    assert (manifest.name, manifest.licence, manifest.head.strides) == ("eye", "MIT", (8,))
    frame = np.zeros((128, 256, 3), np.uint8)
    frame[32:64, 64:96] = (0, 0, 255)
    found = OnnxDetector(manifest, ONE_THREAD).detect(frame)
    assert found[0].box_xyxy_px == pytest.approx((63.5, 31.5, 95.5, 63.5))


def test_names_and_licence_come_from_the_file(tmp_path: Path) -> None:
    """What the exporter wrote down need not be typed again."""
    data = constant_model([np.zeros((1, 6, 84))], metadata={**TWO, "license": "BSD-3-Clause"})
    manifest = adopt_model(written(tmp_path, data), tmp_path / "eye")
    assert (manifest.labels, manifest.licence) == (("shed", "smoke"), "BSD-3-Clause")
    assert manifest.name == "their model"


def test_eighty_nameless_classes_are_cocos(tmp_path: Path) -> None:
    """A model of 80 classes without names is taken for one trained on COCO."""
    data = constant_model([np.zeros((1, 84, 84))])
    assert adopt_model(written(tmp_path, data), tmp_path / "eye").labels == COCO_LABELS
    assert (len(COCO_LABELS), COCO_LABELS[2], COCO_LABELS[79]) == (80, "car", "toothbrush")


@pytest.mark.parametrize(
    ("outputs", "colour", "resize", "scale", "mean"),
    [
        ([(1, 85, 84)], "rgb", "letterbox_centre", 1 / 255, 0.0),
        ([(1, 84, 86)], "bgr", "letterbox_top_left", 1.0, 0.0),
        ([(1, n, w) for n in (64, 16, 4) for w in (81, 32)], "bgr", "stretch", 1.0, 103.53),
    ],
)
def test_the_input_is_guessed_from_the_layouts_own_code(
    *, tmp_path: Path, outputs: list, colour: str, resize: str, scale: float, mean: float
) -> None:
    """Each family normalises in its own way; the manifest says which was taken."""
    data = constant_model([np.zeros(shape) for shape in outputs])
    labels = tuple(f"c{index}" for index in range(81))
    got = adopt_model(
        written(tmp_path, data), tmp_path / "e", overrides=Overrides(labels=labels)
    ).input
    assert (got.colour, got.resize, got.scale, got.mean[0]) == (colour, resize, scale, mean)


def test_a_yolox_that_decodes_itself_is_read_in_pixels(tmp_path: Path) -> None:
    """Shapes are those of the raw grid, numbers are not: the head differs, the input does not."""
    raw = np.zeros((1, 84, 85))
    raw[0, :, :4] = (32, 32, 16, 8)
    raw[0, 7, 4:6] = (0.9, 1.0)
    manifest = adopt_model(written(tmp_path, constant_model([raw])), tmp_path / "e")
    assert (manifest.head.layout, manifest.input.colour) == ("yolov5", "bgr")
    found = OnnxDetector(manifest, ONE_THREAD).detect(np.zeros((64, 64, 3), np.uint8))
    assert [one.box_xyxy_px for one in found] == [pytest.approx((23.5, 27.5, 39.5, 35.5))]


def test_overrides_win_over_the_look(tmp_path: Path) -> None:
    """Mean and std follow a colour order that the person corrects."""
    shapes = [(1, n, w) for n in (64, 16, 4) for w in (80, 32)]
    path = written(tmp_path, constant_model([np.zeros(shape) for shape in shapes]))
    given = Overrides(colour="rgb", resize="letterbox_centre", min_score=0.4)
    manifest = adopt_model(path, tmp_path / "e", overrides=given)
    assert manifest.input.mean == (123.675, 116.28, 103.53)
    assert (manifest.input.resize, manifest.thresholds.min_score) == ("letterbox_centre", 0.4)


def test_open_sizes_are_asked_for(tmp_path: Path) -> None:
    """A model of any picture size needs one; its outputs are then those of a real run."""
    data = constant_model([np.zeros((1, 84, 84))], ("batch", 3, "h", "w"))
    path = written(tmp_path, data)
    with pytest.raises(ModelLayoutError, match="width_px and height_px"):
        adopt_model(path, tmp_path / "e")
    manifest = adopt_model(path, tmp_path / "e", overrides=Overrides(width_px=64, height_px=64))
    assert (manifest.input.width_px, manifest.head.layout) == (64, "yolov8")
    stated = constant_model([np.zeros((1, 84, 84))], (1, 3, "h", "w"), {"imgsz": "[64, 64]"})
    assert adopt_model(written(tmp_path, stated), tmp_path / "f").input.height_px == 64


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((1, 1, 64, 64), r"\[1, 1, 64, 64\].*one picture"),
        ((1, 3, 64), r"\[1, 3, 64\].*one picture"),
        ((8, 3, 64, 64), "8 pictures at once"),
        ((1, 3, 64, 100_000), "100000×64"),
    ],
)
def test_what_takes_no_single_picture_is_refused(tmp_path: Path, shape: tuple, said: str) -> None:
    """Grey, flat, batched or absurdly large inputs say what was seen."""
    path = written(tmp_path, constant_model([np.zeros((1, 84, 84))], shape))
    with pytest.raises(ModelLayoutError, match=said):
        adopt_model(path, tmp_path / "e")


def test_a_byte_model_of_channels_last_is_understood(tmp_path: Path) -> None:
    """Element type and axis order are read from the file."""
    data = constant_model([np.zeros((1, 84, 84))], (1, 64, 64, 3), input_type=TensorProto.UINT8)
    manifest = adopt_model(written(tmp_path, data), tmp_path / "e")
    assert (manifest.input.layout, manifest.input.scale) == ("nhwc", 1.0)
    assert OnnxDetector(manifest, ONE_THREAD).detect(np.zeros((90, 160, 3), np.uint8)) == []


def test_nothing_is_written_when_the_model_is_refused(tmp_path: Path) -> None:
    """Not ONNX, custom operator, unknown classes, wrong labels: no folder is left behind."""
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])
    node = helper.make_node("Exec", ["images"], ["out"], domain="evil")
    custom = serialised(helper.make_graph([node], "custom", [picture], [picture]))
    nameless = constant_model([np.zeros((1, 9, 84))])
    wrong = constant_model([np.zeros((1, 9, 84))], metadata=TWO)
    for data, error in (
        (b"GIF89a", ModelFormatError),
        (custom, ModelFormatError),
        (nameless, ModelLayoutError),
        (wrong, ModelLayoutError),
    ):
        with pytest.raises(error, match="their model"):
            adopt_model(written(tmp_path, data), tmp_path / "eye")
    with pytest.raises(ModelError, match=r"none\.onnx"):
        adopt_model(tmp_path / "none.onnx", tmp_path / "eye")
    assert not (tmp_path / "eye").exists()


def test_a_folder_that_holds_a_model_is_left_alone(tmp_path: Path) -> None:
    """Adoption never overwrites."""
    path = written(tmp_path, constant_model([np.zeros((1, 84, 84))]))
    adopt_model(path, tmp_path / "eye")
    before = (tmp_path / "eye" / "model.toml").read_bytes()
    with pytest.raises(ModelManifestError, match="exists"):
        adopt_model(path, tmp_path / "eye")
    assert (tmp_path / "eye" / "model.toml").read_bytes() == before


def test_an_impossible_override_is_refused(tmp_path: Path) -> None:
    """A layout that the shapes contradict, or a value out of range, is named."""
    path = written(tmp_path, constant_model([np.zeros((1, 84, 84))]))
    with pytest.raises(ModelLayoutError, match=r"\[1, 84, 84\].*'gfl'"):
        adopt_model(path, tmp_path / "eye", overrides=Overrides(layout="gfl"))
    with pytest.raises(ModelManifestError, match="min_score = 7"):
        adopt_model(path, tmp_path / "eye", overrides=Overrides(min_score=7.0))
