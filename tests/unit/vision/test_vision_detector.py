"""The detector as a whole: what it refuses, what it says of itself, what it sees."""

from __future__ import annotations

import logging
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from edge.config import InferenceConfig
from edge.errors import (
    ModelError,
    ModelFormatError,
    ModelHashError,
    ModelLayoutError,
)
from edge.vision import runtime
from edge.vision.detector import OnnxDetector
from edge.vision.manifest import HeadTable, InputTable, read_manifest
from edge.vision.probe import probe_model
from tests.unit.vision.tiny_models import (
    ONE_THREAD,
    brittle_model,
    cell_model,
    constant_model,
    serialised,
    write_model,
)

CELLS = HeadTable(layout="yolov8", strides=(8,))
ENDS = HeadTable(layout="end2end")
RED, BLUE = (0, 0, 255), (255, 0, 0)  # BGR


def seeing(folder: Path, **table: object) -> OnnxDetector:
    values: dict[str, object] = {"width_px": 64, "height_px": 64, **table}
    manifest = write_model(
        folder, cell_model(), labels=("bright",), head=CELLS, input=InputTable(**values)
    )
    return OnnxDetector(manifest, ONE_THREAD)


def picture_with_patch(wh: tuple[int, int], box: tuple[int, ...], bgr: tuple) -> np.ndarray:
    image = np.zeros((wh[1], wh[0], 3), np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = bgr
    return image


def test_a_patch_is_found_where_it_is(tmp_path: Path) -> None:
    """Through resize, padding, inference and back: the box is the patch, to the pixel's edge."""
    detector = seeing(tmp_path)
    for wh, box in (((256, 128), (64, 32, 96, 64)), ((128, 256), (32, 96, 64, 128))):
        found = detector.detect(picture_with_patch(wh, box, RED))
        best = found[0]
        edges = tuple(value - 0.5 for value in box)
        assert (best.label, best.score) == ("bright", pytest.approx(1.0))
        assert best.box_xyxy_px == pytest.approx(edges)


def test_colours_arrive_in_the_order_of_the_manifest(tmp_path: Path) -> None:
    """The first channel is red for an RGB model and blue for a BGR model."""
    box = (64, 32, 96, 64)
    red, blue = (picture_with_patch((256, 128), box, colour) for colour in (RED, BLUE))
    for colour, seen, unseen in (("rgb", red, blue), ("bgr", blue, red)):
        detector = seeing(tmp_path, colour=colour, pad_value=0)
        assert len(detector.detect(seen)) == 1
        assert detector.detect(unseen) == []


@settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.data(),
    scale=st.integers(2, 6),
    resize=st.sampled_from(["letterbox_centre", "letterbox_top_left", "stretch"]),
)
def test_any_cell_of_any_frame_comes_back_exactly(
    tmp_path: Path, data: st.DataObject, scale: int, resize: str
) -> None:
    """Whatever the frame's shape, the box of a lit cell is that cell in the frame's pixels."""
    detector = seeing(tmp_path, resize=resize, pad_value=0)
    columns, rows = data.draw(st.sampled_from([(8, 8), (8, 4), (4, 8)]))
    column = data.draw(st.integers(0, columns - 1))
    row = data.draw(st.integers(0, rows - 1))
    cell_wh = (8 * scale, 8 * scale)
    if resize == "stretch":
        columns = rows = 8
        cell_wh = (8 * scale, 8 * (scale + 1))
    x, y = column * cell_wh[0], row * cell_wh[1]
    box = (x, y, x + cell_wh[0], y + cell_wh[1])
    wh = (columns * cell_wh[0], rows * cell_wh[1])
    best = detector.detect(picture_with_patch(wh, box, RED))[0]
    limits = (wh[0] - 1, wh[1] - 1) * 2
    expected = [min(max(v - 0.5, 0), limit) for v, limit in zip(box, limits, strict=True)]
    assert best.box_xyxy_px == pytest.approx(expected, abs=1e-3)


def test_the_detector_says_what_it_is(tmp_path: Path) -> None:
    """Hash, labels, provider and time are there for the status."""
    detector = seeing(tmp_path)
    assert detector.model_hash == sha256(cell_model()).digest()[:8]
    assert detector.labels == ("bright",)
    assert (detector.provider_asked, detector.provider_got) == ("cpu", "cpu")
    assert detector.provider_is_as_asked
    assert np.isnan(detector.last_inference_s)
    detector.warm_up()
    assert detector.last_inference_s > 0


def test_a_provider_that_is_not_there_is_said_loudly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Asked for TensorRT, got the CPU: it works, and a warning and the status say so."""
    manifest = write_model(tmp_path, cell_model(), labels=("bright",), head=CELLS)
    with caplog.at_level(logging.WARNING):
        detector = OnnxDetector(manifest, InferenceConfig(providers=("tensorrt", "cuda")))
    if detector.provider_is_as_asked:
        pytest.skip("this machine really has TensorRT")
    assert detector.provider_asked == "tensorrt"
    assert f"provider_not_as_asked model=tiny asked=tensorrt got={detector.provider_got}" in (
        caplog.text
    )


def test_a_provider_that_fails_to_start_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU that is there but does not start costs speed, not the flight."""
    real = runtime.ort.InferenceSession

    def without_gpu(data: bytes, options: object, providers: list, **rest: object) -> object:
        if providers[0][0] == "CUDAExecutionProvider":
            raise RuntimeError("CUDA failure 100: no CUDA-capable device is detected")
        return real(data, options, providers=providers, **rest)

    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(runtime.ort, "get_available_providers", lambda: available)
    monkeypatch.setattr(runtime.ort, "InferenceSession", without_gpu)
    manifest = write_model(tmp_path, cell_model(), labels=("bright",), head=CELLS)
    with caplog.at_level(logging.WARNING):
        detector = OnnxDetector(manifest, InferenceConfig(providers=("cuda", "cpu")))
    detector.warm_up()
    assert (detector.provider_asked, detector.provider_got) == ("cuda", "cpu")
    assert "provider_failed provider=cuda" in caplog.text
    assert "provider_not_as_asked" in caplog.text


def test_a_changed_file_does_not_load(tmp_path: Path) -> None:
    """One byte more and the hash differs: both hashes and the way out are named."""
    manifest = write_model(tmp_path, cell_model(), labels=("bright",), head=CELLS)
    manifest.model_path.write_bytes(cell_model() + b"\0")
    with pytest.raises(ModelHashError, match=r"detector\.onnx.*SHA-256.*skywhistle model add"):
        OnnxDetector(manifest, ONE_THREAD)


@pytest.mark.parametrize(
    ("head", "layout_in_message"),
    [(ENDS, "end2end"), (HeadTable(layout="yolox"), "yolox"), (HeadTable(layout="gfl"), "gfl")],
)
def test_a_wrong_layout_is_refused_with_the_shapes(
    tmp_path: Path, head: HeadTable, layout_in_message: str
) -> None:
    """The message lists the shapes seen and the layout that they are not."""
    manifest = write_model(tmp_path, cell_model(), head=head)
    with pytest.raises(ModelLayoutError, match=rf"\[1, 5, 64\].*{layout_in_message}"):
        OnnxDetector(manifest, ONE_THREAD)


def test_a_manifest_of_another_input_size_is_refused(tmp_path: Path) -> None:
    """The model's own size and the manifest's are both in the message."""
    manifest = write_model(
        tmp_path, cell_model(), head=CELLS, input=InputTable(width_px=96, height_px=64)
    )
    with pytest.raises(ModelLayoutError, match=r"\[1, 3, 64, 64\].*\[1, 3, 64, 96\]"):
        OnnxDetector(manifest, ONE_THREAD)


def test_a_model_of_two_inputs_is_refused(tmp_path: Path) -> None:
    """A detector has one picture; the message lists what this one wants."""
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 64, 64])
        for name in ("first", "second", "sum")
    ]
    node = helper.make_node("Add", ["first", "second"], ["sum"])
    data = serialised(helper.make_graph([node], "two", infos[:2], infos[2:]))
    with pytest.raises(ModelLayoutError, match=r"2 inputs.*second"):
        OnnxDetector(write_model(tmp_path, data, head=ENDS), ONE_THREAD)


def test_absurd_outputs_are_refused(tmp_path: Path) -> None:
    """An image-to-image network is no detector."""
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 64, 64])
        for name in ("images", "same")
    ]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["images"], ["same"])], "same", infos[:1], infos[1:]
    )
    with pytest.raises(ModelLayoutError, match=r"\[1, 3, 64, 64\]"):
        OnnxDetector(write_model(tmp_path, serialised(graph), head=ENDS), ONE_THREAD)


def test_a_graph_that_the_runtime_refuses_is_a_model_error(tmp_path: Path) -> None:
    """The runtime's own complaint is translated and names the file."""
    infos = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 64, 64]) for name in "ab"
    ]
    node = helper.make_node("NoSuchOperator", ["a"], ["b"])
    data = serialised(helper.make_graph([node], "bad", infos[:1], infos[1:]))
    with pytest.raises(ModelFormatError, match=r"detector\.onnx.*NoSuchOperator"):
        OnnxDetector(write_model(tmp_path, data, head=ENDS), ONE_THREAD)


def test_a_frame_on_which_the_runtime_fails_costs_that_frame_only(tmp_path: Path) -> None:
    """The failure is a model error that names the file; the next picture is looked at."""
    manifest = write_model(
        tmp_path, brittle_model(), head=ENDS, input=InputTable(width_px=64, height_px=64)
    )
    detector = OnnxDetector(manifest, ONE_THREAD)
    black, white = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)
    assert len(detector.detect(black)) == 1
    with pytest.raises(ModelError, match=r"detector\.onnx failed on cpu"):
        detector.detect(white)
    assert len(detector.detect(black)) == 1


def test_labels_that_do_not_match_the_head_are_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """More classes than labels loads, since unknown classes are counted, but is warned of."""
    manifest = write_model(tmp_path, constant_model([np.zeros((1, 9, 84))]))
    with caplog.at_level(logging.WARNING):
        OnnxDetector(manifest, ONE_THREAD)
    assert "labels_do_not_match model=tiny classes=5 labels=2" in caplog.text


def test_a_probe_measures_what_a_flight_would_load(tmp_path: Path) -> None:
    """`check` gets the model's facts and a real measurement, or the named error."""
    write_model(tmp_path, cell_model(), labels=("bright",), head=CELLS)
    probe = probe_model(tmp_path, ONE_THREAD)
    assert (probe.input_wh_px, probe.labels, probe.layout) == ((64, 64), ("bright",), "yolov8")
    assert probe.provider_is_as_asked
    assert 0 < probe.inference_ms <= probe.detect_ms
    with pytest.raises(ModelError, match="nowhere"):
        probe_model(tmp_path / "nowhere", ONE_THREAD)


def test_a_manifest_read_back_flies(tmp_path: Path) -> None:
    """What is written is what is read: the detector loads from the folder."""
    write_model(tmp_path, cell_model(), labels=("bright",), head=CELLS)
    assert OnnxDetector(read_manifest(tmp_path), ONE_THREAD, min_score=0.9).min_score == 0.9
