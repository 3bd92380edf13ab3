"""Quantizing: what it needs, what it leaves alone, and how it is judged."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge.config import InferenceConfig
from edge.errors import CalibrationSetError, ModelManifestError, QuantizationError
from edge.records import Detection, ImageArray
from edge.vision.agreement import agreement
from edge.vision.detector import OnnxDetector
from edge.vision.manifest import HeadTable, InputTable, ModelManifest, read_manifest
from edge.vision.quantize import MIN_PICTURES, Quantized, quantize_model
from edge.vision.quantize_graph import Plan, nodes_to_quantize, prepare
from tests.unit.vision.tiny_models import ONE_THREAD, constant_model, serialised, write_model


def layered_model(input_type: int = TensorProto.FLOAT) -> bytes:
    """Build a net of three convolutions: the score of a cell is how red its 8 × 8 pixels are.

    `yolov8` layout, 64 × 64, stride 8.  Bytes are scaled inside.
    """
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:8, 0:8] * 8.0 + 4.0
    boxes = np.stack([x.ravel(), y.ravel(), np.full(64, 8.0), np.full(64, 8.0)])
    red = np.zeros((8, 3, 2, 2))
    red[:, 0] = rng.uniform(0.5, 1.5, 8)[:, None, None] / 4
    weights = {
        "w1": red,
        "w2": np.eye(8)[:, :, None, None] * np.full((1, 1, 2, 2), 0.25),
        "w3": (np.full(8, 1 / 8) / red[:, 0].sum(axis=(1, 2)))[None, :, None, None]
        * np.full((1, 1, 2, 2), 0.25),
        "boxes": boxes[None],
        "scale": np.array(1 / 255),
    }
    strides = {"kernel_shape": [2, 2], "strides": [2, 2]}
    is_bytes = input_type == TensorProto.UINT8
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels", "scale"], ["scaled"]),
    ] * is_bytes
    nodes += [
        helper.make_node("Conv", ["scaled" if is_bytes else "images", "w1"], ["c1"], **strides),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], **strides),
        helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Conv", ["r2", "w3"], ["c3"], **strides),
        helper.make_node("Reshape", ["c3", "flat"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["output0"], axis=1),
    ]
    constants = {name: values.astype(np.float32) for name, values in weights.items()}
    constants["flat"] = np.array([1, 1, 64], np.int64)
    picture = helper.make_tensor_value_info("images", input_type, [1, 3, 64, 64])
    output = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 5, 64])
    tensors = [numpy_helper.from_array(values, name) for name, values in constants.items()]
    return serialised(helper.make_graph(nodes, "layers", [picture], [output], tensors))


def written(folder: Path, data: bytes, scale: float = 1 / 255) -> ModelManifest:
    table = InputTable(width_px=64, height_px=64, scale=scale)
    head = HeadTable(layout="yolov8", strides=(8,))
    return write_model(folder, data, labels=("red",), input=table, head=head)


def pictures(count: int = 24) -> list[ImageArray]:
    """Black ones with red squares of different size and place."""
    made = []
    for index in range(count):
        picture = np.zeros((128, 128, 3), np.uint8)
        top, left = 16 * (index % 7), 16 * (index // 7)
        picture[top : top + 16, left : left + 16, 2] = 150 + 4 * index
        picture[:, :, 1] = 10 * index
        made.append(picture)
    return made


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Quantized:
    folder = tmp_path_factory.mktemp("float")
    return quantize_model(written(folder / "m", layered_model()), pictures(), folder / "m-int8")


@pytest.mark.parametrize(
    ("input_type", "scale"), [(TensorProto.FLOAT, 1 / 255), (TensorProto.UINT8, 1.0)]
)
def test_a_quantized_model_flies_and_sees_the_same(
    tmp_path: Path, input_type: int, scale: float
) -> None:
    """The new folder loads by its own hash, and its boxes are the float model's."""
    manifest = written(tmp_path / "m", layered_model(input_type), scale)
    done = quantize_model(manifest, pictures(), tmp_path / "q")
    assert done.best.share > 0.95
    assert done.best.agreement.n_boxes >= 6
    own = read_manifest(tmp_path / "q")
    assert own.scores["quantized_from"] == manifest.sha256
    picture = pictures()[3]
    old = OnnxDetector(manifest, ONE_THREAD).detect(picture)
    new = OnnxDetector(own, ONE_THREAD).detect(picture)
    assert [one.box_xyxy_px for one in new] == [one.box_xyxy_px for one in old]
    assert [one.score for one in new] == pytest.approx([one.score for one in old], abs=0.03)


def test_weights_take_seven_bits_for_each_channel(quantized: Quantized) -> None:
    """Eight overflow on processors without VNNI; one scale for all loses the small channels."""
    model = onnx.load(quantized.manifest.model_path)
    assert "QLinearConv" not in {node.op_type for node in model.graph.node}
    weights = [
        numpy_helper.to_array(one)
        for one in model.graph.initializer
        if one.data_type == TensorProto.INT8 and len(one.dims) == 4
    ]
    assert len(weights) == 3
    for values in weights:
        largest = np.abs(values.astype(int)).reshape(len(values), -1).max(axis=1)
        assert largest.max() <= 64
        assert largest.min() >= 63  # each channel fills its own scale


def test_decoding_stays_in_float(tmp_path: Path) -> None:
    """What follows the last weights never works in eight bits; more of the net need not either."""
    manifest = written(tmp_path / "m", layered_model())
    prepared = prepare(manifest.model_path.read_bytes(), manifest.model_path, tmp_path)

    def kinds(plan: Plan) -> list[str]:
        return [name.split("_")[0] for name in nodes_to_quantize(prepared, plan)]

    assert kinds(Plan(0)) == ["Conv", "Relu", "Conv", "Relu", "Conv"]
    assert kinds(Plan(1)) == ["Conv", "Relu", "Conv"]
    assert kinds(Plan(0, float_begin=0.34)) == ["Conv", "Relu", "Conv"]
    assert kinds(Plan(3)) == []


def test_too_few_different_pictures_are_refused(tmp_path: Path) -> None:
    """A hovering drone's minute is one picture: what is counted is what differs."""
    manifest = written(tmp_path / "m", layered_model())
    few = pictures(MIN_PICTURES - 1)
    with pytest.raises(CalibrationSetError, match=rf"{MIN_PICTURES - 1} different .* of 45 given"):
        quantize_model(manifest, few * 3, tmp_path / "q")
    assert not (tmp_path / "q").exists()


def test_what_cannot_be_quantized_is_named(quantized: Quantized, tmp_path: Path) -> None:
    """Quantized already, without layers, or into another model's folder: each says so."""
    with pytest.raises(QuantizationError, match="quantized already"):
        quantize_model(quantized.manifest, pictures(), tmp_path / "q")
    bare = written(tmp_path / "bare", constant_model([np.zeros((1, 5, 64))]))
    with pytest.raises(QuantizationError, match="no layer"):
        quantize_model(bare, pictures(), tmp_path / "q")
    with pytest.raises(ModelManifestError, match=r"model\.toml exists"):
        quantize_model(bare, pictures(), quantized.manifest.folder)


class Saying(OnnxDetector):
    """A detector that loads as usual and then says what it is told."""

    def __init__(self, manifest: ModelManifest, boxes: list[Detection]) -> None:
        super().__init__(manifest, InferenceConfig(threads=1))
        self.boxes = boxes

    def detect(self, image_bgr: ImageArray) -> list[Detection]:
        return [box for box in self.boxes if box.score >= self.min_score]


def test_agreement_counts_boxes_of_both_sides(tmp_path: Path) -> None:
    """The same boxes agree wholly, others not at all, one of two by two thirds, none is unknown."""
    manifest = written(tmp_path / "m", layered_model())
    first, far = Detection("red", 0.9, (0, 0, 10, 10)), Detection("red", 0.9, (50, 50, 60, 60))
    near = Detection("red", 0.8, (1, 0, 10, 10))
    other = Detection("blue", 0.9, (0, 0, 10, 10))

    def share(one: list[Detection], two: list[Detection]) -> float | None:
        return agreement(Saying(manifest, one), Saying(manifest, two), pictures(1)).share

    assert share([first], [near]) == 1.0
    assert share([first], [far]) == 0.0
    assert share([first], [other]) == 0.0
    assert share([first, far], [near]) == pytest.approx(2 / 3)
    assert share([], []) is None


def test_a_score_that_falls_below_the_threshold_is_no_loss(tmp_path: Path) -> None:
    """Rounding moves scores about a threshold; a box that only does that has not gone."""
    manifest = written(tmp_path / "m", layered_model())
    above = [Detection("red", 0.26, (10.0 * i, 0, 10.0 * i + 9, 9)) for i in range(30)]
    below = [Detection("red", 0.24, one.box_xyxy_px) for one in above]
    got = agreement(Saying(manifest, above), Saying(manifest, below), pictures(1))
    assert (got.share, got.at_score) == (1.0, 0.25)
    assert got.mean_score_shift == pytest.approx(-0.02)
