"""Small ONNX models, built here, so that no file of anybody else is needed."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge.config import InferenceConfig
from edge.vision.manifest import HeadTable, InputTable, ModelManifest, write_manifest

Outputs = Sequence[NDArray[Any]]
ONE_THREAD = InferenceConfig(threads=1)


def serialised(graph: onnx.GraphProto, metadata: dict[str, str] | None = None) -> bytes:
    """Wrap a graph as a model that every supported runtime reads."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, metadata or {})
    data: bytes = model.SerializeToString()
    return data


def cell_model() -> bytes:
    """Build a model that truly looks: one class, `yolov8` layout, 64 x 64, stride 8.

    The score of a cell is the mean of the tensor's first channel over its 8 x 8 pixels, and its box
    is the cell itself.
    """
    y, x = np.mgrid[0:8, 0:8] * 8.0 + 4.0
    side = np.full(64, 8.0)
    boxes = np.stack([x.ravel(), y.ravel(), side, side])[None].astype(np.float32)
    constants = {
        "boxes": boxes,
        "flat": np.array([1, 1, 64], np.int64),
        "zero": np.array([0], np.int64),
        "one": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("AveragePool", ["images"], ["m"], kernel_shape=[8, 8], strides=[8, 8]),
        helper.make_node("Slice", ["m", "zero", "one", "one"], ["first"]),
        helper.make_node("Reshape", ["first", "flat"], ["scores"]),
        helper.make_node("Concat", ["boxes", "scores"], ["output0"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "cells",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 5, 64])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return serialised(graph)


def brittle_model() -> bytes:
    """Build an `end2end` model that runs on black pictures and fails inside the runtime on others.

    The brightest value picks a row of a table that has one row only.
    """
    constants = {
        "table": np.array([[[8, 8, 24, 24, 0.5, 0]]], np.float32),
        "many": np.array(1000.0, np.float32),
        "shape": np.array([1, 1, 6], np.int64),
    }
    nodes = [
        helper.make_node("ReduceMax", ["images"], ["brightest"], keepdims=0),
        helper.make_node("Mul", ["brightest", "many"], ["row"]),
        helper.make_node("Cast", ["row"], ["index"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "index"], ["picked"], axis=0),
        helper.make_node("Reshape", ["picked", "shape"], ["output0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "brittle",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 1, 6])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    return serialised(graph)


def constant_model(
    outputs: Outputs,
    input_shape: Sequence[int | str] = (1, 3, 64, 64),
    metadata: dict[str, str] | None = None,
    input_type: int = TensorProto.FLOAT,
) -> bytes:
    """Build a model that answers every picture with the same numbers."""
    nodes, infos = [], []
    for index, values in enumerate(outputs):
        tensor = numpy_helper.from_array(np.asarray(values, np.float32))
        nodes.append(helper.make_node("Constant", [], [f"out{index}"], value=tensor))
        infos.append(helper.make_tensor_value_info(f"out{index}", TensorProto.FLOAT, values.shape))
    picture = helper.make_tensor_value_info("images", input_type, list(input_shape))
    return serialised(helper.make_graph(nodes, "constant", [picture], infos), metadata)


def write_model(folder: Path, data: bytes, **keys: Any) -> ModelManifest:
    """Write a model's bytes and a manifest that fits them."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "detector.onnx").write_bytes(data)
    manifest = ModelManifest(
        folder=folder,
        format=1,
        name="tiny",
        sha256=sha256(data).hexdigest(),
        licence="Apache-2.0",
        labels=keys.get("labels", ("shed", "smoke")),
        input=keys.get("input", InputTable(width_px=64, height_px=64)),
        head=keys.get("head", HeadTable(layout="yolov8")),
    )
    write_manifest(manifest)
    return manifest
