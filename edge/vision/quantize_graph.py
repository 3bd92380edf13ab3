"""Which nodes of a detector's graph may work in eight bits.

What follows the last weights is decoding: coordinates of hundreds of pixels and scores of
thousandths do not share 256 steps, so it stays in float always.  How much else must stay differs
from net to net.  The predictors' boxes may need it; and nets whose first layers have channels of
very different size (depthwise ones fed with 0 to 255, as YOLOX's) lose everything there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort

from edge.errors import QuantizationError
from edge.extras import needs_extra
from edge.vision.runtime import RUNTIME_ERRORS

with needs_extra("quantize", "quantizing"):
    import onnx

_WEIGHTED = frozenset({"Conv", "MatMul", "Gemm"})
# Between quantized convolutions these work on the same eight bits, so that nothing is converted
# there and back (a quarter faster than the convolutions alone, measured on a net of ours); all have
# integer kernels in ONNX Runtime's CPU provider or only move data.
_EIGHT_BIT = frozenset(
    {
        *_WEIGHTED,
        *("Add", "Mul", "Sigmoid", "Relu", "LeakyRelu", "Clip", "Concat", "MaxPool"),
        *("AveragePool", "GlobalAveragePool", "Resize", "Split", "Reshape", "Transpose", "Slice"),
    }
)
_ALREADY = frozenset({"QuantizeLinear", "DequantizeLinear", "QLinearConv", "ConvInteger"})
MIN_OPSET = 13  # the first in which QuantizeLinear knows channels


@dataclass(frozen=True, slots=True)
class Plan:
    """One way to quantize a graph."""

    float_layers: int  # weighted layers left in float, counted from the outputs up
    float_begin: float = 0.0  # share of the weighted layers left in float, from the input down

    def __str__(self) -> str:
        kept = []
        if self.float_begin:
            kept.append(f"the first {self.float_begin:.0%} of the layers")
        if self.float_layers:
            kept.append(f"the last {self.float_layers} before each output")
        return "in float: " + " and ".join([*kept, "decoding"])


def prepare(data: bytes, path: Path, folder: Path) -> Path:
    """Fold constants and normalisation into the weights, name every node, and store the result.

    Args:
        data: The float model.
        path: Where it came from, for messages.
        folder: For files of this step.

    Raises:
        QuantizationError: It is quantized already, or cannot be brought to the operator set needed.
    """
    model = onnx.load_from_string(data)
    _drop_weights_from_inputs(model.graph)
    found = sorted({node.op_type for node in model.graph.node} & _ALREADY)
    if found:
        raise QuantizationError(f"{path} is quantized already ({found[0]}); give the float model")
    metadata = {one.key: one.value for one in model.metadata_props}
    opset = next(one.version for one in model.opset_import if one.domain in {"", "ai.onnx"})
    try:
        if opset < MIN_OPSET:
            model = onnx.version_converter.convert_version(model, MIN_OPSET)
        folded = _folded(model, folder)
        folded = onnx.shape_inference.infer_shapes(folded)
    except (
        *RUNTIME_ERRORS,
        onnx.checker.ValidationError,
        onnx.shape_inference.InferenceError,
    ) as e:
        raise QuantizationError(
            f"{path} (operator set {opset}) cannot be prepared: {e}; export it with operator set "
            f"{MIN_OPSET} or newer"
        ) from e
    for index, node in enumerate(folded.graph.node):
        node.name = f"{node.op_type}_{index}"
    del folded.metadata_props[:]
    onnx.helper.set_model_props(folded, metadata)
    prepared = folder / "prepared.onnx"
    onnx.save(folded, prepared)
    return prepared


def _drop_weights_from_inputs(graph: Any) -> None:
    """Make weights constants: listed as inputs, as before 2020, they could be folded into none."""
    weights = {one.name for one in graph.initializer}
    pictures = [one for one in graph.input if one.name not in weights]
    del graph.input[:]
    graph.input.extend(pictures)


def _folded(model: Any, folder: Path) -> Any:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folder / "folded.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return onnx.load(folder / "folded.onnx")


def nodes_to_quantize(prepared: Path, plan: Plan) -> list[str]:
    """Name the nodes that a plan brings to eight bits."""
    graph = onnx.load(prepared, load_external_data=False).graph
    layers = _layers_to_output(graph)
    weighted = [index for index, node in enumerate(graph.node) if node.op_type in _WEIGHTED]
    n_begin = round(plan.float_begin * len(weighted))
    begin = weighted[n_begin] if n_begin < len(weighted) else len(layers)
    return [
        node.name
        for index, (node, layer) in enumerate(zip(graph.node, layers, strict=True))
        if index >= begin and node.op_type in _EIGHT_BIT and layer > plan.float_layers
    ]


def _layers_to_output(graph: Any) -> list[int]:
    """For each node: the fewest weighted layers from it, itself included, to an output."""
    constants = {one.name for one in graph.initializer}
    consumers: dict[str, list[int]] = {}
    for index, node in enumerate(graph.node):
        for name in node.input:
            consumers.setdefault(name, []).append(index)
    outputs = {one.name for one in graph.output}
    layers = [0] * len(graph.node)
    for index in reversed(range(len(graph.node))):  # ONNX keeps nodes in topological order
        node = graph.node[index]
        below = [layers[user] for name in node.output for user in consumers.get(name, ())]
        below += [0] * any(name in outputs for name in node.output)
        is_weighted = node.op_type in _WEIGHTED and any(name in constants for name in node.input)
        layers[index] = min(below, default=0) + is_weighted
    return layers


def plans() -> Iterator[Plan]:
    """Yield what is tried in turn: from the whole net in eight bits towards more of it in float."""
    yield from (Plan(float_layers) for float_layers in (0, 1, 2))
    yield from (Plan(1, begin) for begin in (0.1, 0.25, 0.5))
