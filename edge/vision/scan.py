"""Looks into an ONNX file before anything runs it: a model is input from outside.

Reads just enough of the protobuf wire format (onnx.proto3, field numbers below) to refuse external
data, custom operators and things that are not ONNX, without the `onnx` package in flight.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edge.errors import ModelFormatError

# Operators that ONNX Runtime itself brings; any other domain needs a library of its own.
KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc"})
# A precompiled engine: it names files, and code, that this scan cannot see into.
REFUSED_OPERATORS = frozenset({"EPContext"})
MAX_DEPTH = 16  # of graphs inside graphs; real detectors have at most three
MAX_IR_VERSION = 1000

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}
_EXTERNAL = 1  # TensorProto.DataLocation

# Where messages hang below each other: (message, field number) -> message.
_CHILDREN = {
    ("model", 7): "graph",
    ("model", 20): "training",
    ("model", 25): "function",
    ("training", 1): "graph",
    ("training", 2): "graph",
    ("graph", 1): "node",
    ("graph", 5): "tensor",
    ("graph", 15): "sparse",
    ("function", 7): "node",
    ("function", 11): "attribute",
    ("node", 5): "attribute",
    ("attribute", 5): "tensor",
    ("attribute", 6): "graph",
    ("attribute", 10): "tensor",
    ("attribute", 11): "graph",
    ("attribute", 22): "sparse",
    ("attribute", 23): "sparse",
    ("sparse", 1): "tensor",
    ("sparse", 2): "tensor",
}


@dataclass
class _Seen:
    ir_version: int = 0
    n_nodes: int = 0
    external_tensors: list[str] = field(default_factory=list)
    operators: set[tuple[str, str]] = field(default_factory=set)  # (domain, operator)
    function_domains: set[str] = field(default_factory=set)


def refuse_what_must_not_run(data: bytes, path: Path) -> None:
    """Check a model file's bytes; return quietly if they may be given to the runtime.

    Raises:
        ModelFormatError: not ONNX, external data, or an operator that the runtime does not bring.
    """
    seen = _Seen()
    try:
        _walk(memoryview(data), "model", seen, 0)
    except (ValueError, IndexError) as error:
        raise ModelFormatError(_not_onnx(data, path, str(error))) from error
    if not (0 < seen.ir_version <= MAX_IR_VERSION and seen.n_nodes):
        raise ModelFormatError(_not_onnx(data, path, "no graph in it"))
    if seen.external_tensors:
        raise ModelFormatError(
            f"{path} keeps {len(seen.external_tensors)} tensor(s) in other files (first "
            f"{seen.external_tensors[0]!r}), which is refused; export it as one file"
        )
    known = KNOWN_DOMAINS | seen.function_domains
    custom = sorted(
        f"{domain}.{name}" if domain else name
        for domain, name in seen.operators
        if domain not in known or name in REFUSED_OPERATORS
    )
    if custom:
        raise ModelFormatError(
            f"{path} needs custom operators ({', '.join(custom[:5])}), which are refused; "
            "export it with standard ONNX operators"
        )


def _not_onnx(data: bytes, path: Path, why: str) -> str:
    return f"{path} is not an ONNX file ({why}; it begins with {data[:8]!r}); export it to ONNX"


def _walk(view: memoryview, message: str, seen: _Seen, depth: int) -> None:
    """Visit one message and those below it that matter here."""
    if depth > 4 * MAX_DEPTH:  # a graph inside a graph is graph, node, attribute, graph
        raise ValueError("graphs nested too deep")
    texts: dict[int, str] = {}
    numbers: dict[int, int] = {}
    has_external_entries = False
    for number, value in _fields(view):
        if isinstance(value, int):
            numbers[number] = value
        elif child := _CHILDREN.get((message, number)):
            _walk(value, child, seen, depth + 1)
        elif message == "tensor" and number == 13:
            has_external_entries = True
        elif (message, number) in _TEXTS:
            texts[number] = bytes(value).decode("utf-8", "replace")
    if message == "model":
        seen.ir_version = numbers.get(1, 0)
    elif message == "tensor" and (has_external_entries or numbers.get(14, 0) == _EXTERNAL):
        seen.external_tensors.append(texts.get(8, ""))
    elif message == "node":
        seen.n_nodes += 1
        seen.operators.add((texts.get(7, ""), texts.get(4, "")))
    elif message == "function":
        seen.function_domains.add(texts.get(10, ""))


# TensorProto.name; NodeProto.op_type and domain; FunctionProto.domain.
_TEXTS = {("tensor", 8), ("node", 4), ("node", 7), ("function", 10)}


def _fields(view: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield (field number, value) of one message; fixed-width values come as bytes."""
    at = 0
    while at < len(view):
        tag, at = _varint(view, at)
        number, wire = tag >> 3, tag & 7
        if number == 0:
            raise ValueError("field number 0")
        if wire == _VARINT:
            value, at = _varint(view, at)
            yield number, value
            continue
        if wire == _BYTES:
            size, at = _varint(view, at)
        elif wire in _FIXED_SIZES:
            size = _FIXED_SIZES[wire]
        else:
            raise ValueError(f"wire type {wire}")
        if at + size > len(view):
            raise ValueError("cut short")
        yield number, view[at : at + size]
        at += size


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("number too long")
