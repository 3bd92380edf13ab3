"""A model file is input from outside: what must not run is refused before anything runs it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from edge.errors import ModelFormatError
from edge.vision.scan import refuse_what_must_not_run
from tests.unit.vision.tiny_models import cell_model, constant_model, serialised

PATH = Path("some/model.onnx")
GOOD = cell_model()
PICTURE = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])
ANSWER = helper.make_tensor_value_info("out", TensorProto.FLOAT, [1])


def test_honest_models_pass() -> None:
    """Standard operators and data inside the file are let through."""
    refuse_what_must_not_run(GOOD, PATH)
    refuse_what_must_not_run(constant_model([np.zeros((1, 6, 84))]), PATH)


@pytest.mark.parametrize(
    "data", [b"", b"\x89PNG\r\n\x1a\n" + bytes(100), b"not a model at all", bytes(64), GOOD[:-40]]
)
def test_what_is_not_onnx_is_refused(data: bytes) -> None:
    """Empty, another format, plain text, zeros, cut short: each names the file and the fix."""
    with pytest.raises(ModelFormatError, match=r"some/model\.onnx is not an ONNX file"):
        refuse_what_must_not_run(data, PATH)


@given(at=st.integers(0, len(GOOD) - 1), byte=st.integers(0, 255), cut=st.integers(0, len(GOOD)))
def test_damaged_files_never_raise_anything_else(at: int, byte: int, cut: int) -> None:
    """Any byte changed, any length: passed or refused by name, never another exception."""
    damaged = bytearray(GOOD)
    damaged[at] = byte
    try:
        refuse_what_must_not_run(bytes(damaged[:cut]), PATH)
    except ModelFormatError:
        return


@given(st.binary(max_size=200))
def test_any_bytes_are_passed_or_refused_by_name(data: bytes) -> None:
    """No bytes at all make the scan fail in any other way."""
    try:
        refuse_what_must_not_run(data, PATH)
    except ModelFormatError:
        return


def test_data_in_other_files_is_refused(tmp_path: Path) -> None:
    """Weights outside the file would escape the hash, and could name any path."""
    weights = numpy_helper.from_array(np.ones(4096, np.float32), "weights")
    node = helper.make_node("ReduceSum", ["weights"], ["out"])
    model = onnx.load_from_string(
        serialised(helper.make_graph([node], "external", [PICTURE], [ANSWER], [weights]))
    )
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="secret.bin")
    with pytest.raises(ModelFormatError, match=r"1 tensor\(s\) in other files.*'weights'"):
        refuse_what_must_not_run((tmp_path / "m.onnx").read_bytes(), PATH)


def test_external_data_hidden_in_a_nested_graph_is_refused() -> None:
    """A constant inside a branch inside a branch is found too."""
    tensor = TensorProto(name="deep", data_type=TensorProto.FLOAT, dims=[1])
    tensor.data_location = TensorProto.EXTERNAL
    node = helper.make_node("Constant", [], ["x"], value=tensor)
    for _ in range(2):
        branch = helper.make_graph([node], "branch", [], [ANSWER])
        node = helper.make_node("If", ["c"], ["x"], then_branch=branch, else_branch=branch)
    data = serialised(helper.make_graph([node], "outer", [PICTURE], [ANSWER]))
    with pytest.raises(ModelFormatError, match=r"other files.*'deep'"):
        refuse_what_must_not_run(data, PATH)


@pytest.mark.parametrize(("domain", "name"), [("evil.ops", "Exec"), ("com.microsoft", "EPContext")])
def test_custom_operators_are_refused_by_name(domain: str, name: str) -> None:
    """An operator that needs somebody's library, or a compiled engine, does not fly."""
    node = helper.make_node(name, ["images"], ["out"], domain=domain)
    data = serialised(helper.make_graph([node], "custom", [PICTURE], [ANSWER]))
    with pytest.raises(ModelFormatError, match=rf"custom operators \({domain}\.{name}\)"):
        refuse_what_must_not_run(data, PATH)


def test_functions_that_the_file_itself_defines_are_no_custom_operators() -> None:
    """Newer exporters keep local functions in a domain of their own."""
    function = helper.make_function(
        "own", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 13)],
    )  # fmt: skip
    node = helper.make_node("Twice", ["images"], ["out"], domain="own")
    model = onnx.load_from_string(
        serialised(helper.make_graph([node], "local", [PICTURE], [ANSWER]))
    )
    model.functions.append(function)
    refuse_what_must_not_run(model.SerializeToString(), PATH)


def test_graphs_nested_without_end_are_refused() -> None:
    """A crafted file cannot exhaust the stack."""
    data = b""
    for _ in range(500):  # graph.node.attribute.graph …, by hand: helpers would copy for ever
        for tag in (0x32, 0x2A, 0x0A):
            size = len(data)
            varint = b""
            while size > 0x7F:
                varint += bytes([size & 0x7F | 0x80])
                size >>= 7
            data = bytes([tag]) + varint + bytes([size]) + data
    size = len(data)
    varint = bytes([size & 0x7F | 0x80, size >> 7]) if size > 0x7F else bytes([size])
    with pytest.raises(ModelFormatError, match="not an ONNX file"):
        refuse_what_must_not_run(b"\x08\x08\x3a" + varint + data, PATH)
