"""Exports with random weights, with the names, shapes, types and metadata of the real exporters.

Each graph is small, but it looks: its numbers come from the picture through a convolution.  Inputs
are 96 px, so that grids have 189 cells where the originals have 8400.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from tests.unit.vision.tiny_models import serialised

SIDE = 96
CELLS = 189  # 12 × 12 + 6 × 6 + 3 × 3
QUERIES = 300
COCO = str({index: f"class{index}" for index in range(80)})


@dataclass
class Graph:
    """Nodes and weights as they are added."""

    nodes: list[NodeProto] = field(default_factory=list)
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(3))

    def add(self, operator: str, inputs: list[str], output: str, **attributes: object) -> str:
        self.nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def constant(self, name: str, values: np.ndarray) -> str:
        self.weights[name] = np.asarray(values)
        return name

    def random(self, name: str, *shape: int) -> str:
        return self.constant(name, self.rng.normal(size=shape).astype(np.float32))

    def looked(self, picture: str) -> str:
        """[1, 8] numbers that depend on the picture."""
        self.add("Conv", [picture, self.random("w", 8, 3, 8, 8)], "conv", strides=[8, 8])
        self.add("GlobalAveragePool", ["conv"], "pooled")
        return self.add("Flatten", ["pooled"], "features")

    def head(self, name: str, *shape: int) -> str:
        """Random numbers of a shape, from the features."""
        self.add(
            "MatMul", ["features", self.random(f"{name}_w", 8, int(np.prod(shape)))], f"{name}_f"
        )
        return self.add("Reshape", [f"{name}_f", self.constant(f"{name}_s", np.array(shape))], name)

    def fractions(self, name: str, *shape: int) -> str:
        return self.add("Sigmoid", [self.head(f"{name}_raw", *shape)], name)


def yolo_grid(graph: Graph) -> list[tuple[str, int, list[int]]]:
    """YOLOv8, YOLO11, YOLO12: `output0` [1, 4 + classes, cells], boxes in px."""
    graph.add("Mul", [graph.fractions("b", 1, 4, CELLS), px(graph)], "boxes")
    graph.add("Concat", ["boxes", graph.fractions("s", 1, 80, CELLS)], "output0", axis=1)
    return [("output0", TensorProto.FLOAT, [1, 84, CELLS])]


def yolo_end_to_end(graph: Graph) -> list[tuple[str, int, list[int]]]:
    """YOLOv10, YOLO26: `output0` [1, 300, 6], duplicates gone."""
    graph.add("Mul", [graph.fractions("b", 1, QUERIES, 2), px(graph)], "low")
    graph.add("Add", ["low", "px"], "high")
    graph.add("Mul", [graph.fractions("c", 1, QUERIES, 1), px(graph, "n", 79.0)], "class_f")
    graph.add("Floor", ["class_f"], "class")
    graph.fractions("s", 1, QUERIES, 1)
    graph.add("Concat", ["low", "high", "s", "class"], "output0", axis=2)
    return [("output0", TensorProto.FLOAT, [1, QUERIES, 6])]


def ultralytics_rtdetr(graph: Graph) -> list[tuple[str, int, list[int]]]:
    """Ultralytics RT-DETR: `output0` [1, 300, 4 + classes], fractions, scores already squashed."""
    graph.fractions("b", 1, QUERIES, 4)
    graph.add("Concat", ["b", graph.fractions("s", 1, QUERIES, 80)], "output0", axis=2)
    return [("output0", TensorProto.FLOAT, [1, QUERIES, 84])]


def rtdetr_and_dfine(graph: Graph) -> list[tuple[str, int, list[int]]]:
    """RT-DETR, RT-DETRv2, D-FINE: labels, boxes px of the size that is fed, scores."""
    graph.add("Cast", ["orig_target_sizes"], "size", to=TensorProto.FLOAT)
    graph.add("Concat", ["size", "size"], "size4", axis=1)
    graph.add("Reshape", ["size4", graph.constant("s4", np.array([1, 1, 4]))], "scale")
    graph.fractions("low", 1, QUERIES, 2)
    graph.add("Add", ["low", graph.fractions("wh", 1, QUERIES, 2)], "high")
    graph.add("Concat", ["low", "high"], "xyxy", axis=2)
    graph.add("Mul", ["xyxy", "scale"], "boxes")
    graph.add("Mul", [graph.fractions("l", 1, QUERIES), px(graph, "n", 79.0)], "label_f")
    graph.add("Cast", ["label_f"], "labels", to=TensorProto.INT64)
    graph.fractions("scores", 1, QUERIES)
    return [
        ("labels", TensorProto.INT64, [1, QUERIES]),
        ("boxes", TensorProto.FLOAT, [1, QUERIES, 4]),
        ("scores", TensorProto.FLOAT, [1, QUERIES]),
    ]


def rf_detr(graph: Graph) -> list[tuple[str, int, list[int]]]:
    """RF-DETR: `dets` as fractions, `labels` as logits, one column a COCO id."""
    graph.fractions("dets", 1, QUERIES, 4)
    graph.head("labels", 1, QUERIES, 91)
    return [
        ("dets", TensorProto.FLOAT, [1, QUERIES, 4]),
        ("labels", TensorProto.FLOAT, [1, QUERIES, 91]),
    ]


def transformers_detr(graph: Graph) -> list[tuple[str, int, list[int]]]:
    """RT-DETR and D-FINE of transformers: `logits` first, then `pred_boxes`."""
    graph.head("logits", 1, QUERIES, 80)
    graph.fractions("pred_boxes", 1, QUERIES, 4)
    return [
        ("logits", TensorProto.FLOAT, [1, QUERIES, 80]),
        ("pred_boxes", TensorProto.FLOAT, [1, QUERIES, 4]),
    ]


def px(graph: Graph, name: str = "px", value: float = SIDE) -> str:
    """A number to multiply by."""
    return graph.constant(name, np.array(value, np.float32))


Builder = Callable[[Graph], list[tuple[str, int, list[int]]]]


def export(
    build: Builder, metadata: dict[str, str] | None = None, picture: str = "images"
) -> bytes:
    """Build the whole file."""
    graph = Graph()
    graph.looked(picture)
    outputs = build(graph)
    inputs = [helper.make_tensor_value_info(picture, TensorProto.FLOAT, [1, 3, SIDE, SIDE])]
    if build is rtdetr_and_dfine:  # the batch is open in theirs
        inputs = [helper.make_tensor_value_info(picture, TensorProto.FLOAT, ["N", 3, SIDE, SIDE])]
        inputs += [helper.make_tensor_value_info("orig_target_sizes", TensorProto.INT64, ["N", 2])]
    return serialised(
        helper.make_graph(
            graph.nodes,
            "export",
            inputs,
            [helper.make_tensor_value_info(*output) for output in outputs],
            [numpy_helper.from_array(values, name) for name, values in graph.weights.items()],
        ),
        metadata,
    )
