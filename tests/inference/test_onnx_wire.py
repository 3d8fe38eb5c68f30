"""Graphs that nobody vouched for: values in other files, wherever they hide, and bytes of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tiny_engine import SPEC, tiny_graph, tiny_inputs, write_tiny_engine

from surround_depth.errors import EngineMismatchError
from surround_depth.inference.backend import open_backend
from surround_depth.inference.onnx_wire import require_self_contained
from surround_depth.inference.onnxruntime_backend import OnnxRuntimeBackend
from surround_depth.inference.openvino_backend import OpenVinoBackend

LONG_KEY = b"\xea\x80\x80\x80\x10\x00"  # protobuf would read it as field 13
BACKENDS: dict[str, Any] = {"onnxruntime": OnnxRuntimeBackend, "openvino": OpenVinoBackend}


@pytest.fixture(params=BACKENDS)
def engine(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return str(request.param)


def outside(name: str = "w") -> TensorProto:
    """Return a tensor whose values lie in a file of the working directory."""
    tensor = numpy_helper.from_array(np.ones(4, np.float32), name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "w.bin"
    return tensor


def in_initializer(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(outside())


def in_constant(model: onnx.ModelProto) -> None:
    model.graph.node.append(helper.make_node("Constant", [], ["c"], value=outside()))


def in_branch(model: onnx.ModelProto) -> None:
    branch = helper.make_graph([], "branch", [], [], [outside()])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch))


def in_sparse(model: onnx.ModelProto) -> None:
    sparse = model.graph.sparse_initializer.add()
    sparse.values.CopyFrom(outside())


def in_function(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["c"], value=outside())
    model.functions.append(helper.make_function("own", "f", [], ["c"], [node], [helper.make_opsetid("", 18)]))


@pytest.mark.parametrize("hide", [in_initializer, in_constant, in_branch, in_sparse, in_function])
def test_values_in_another_file_are_found_wherever_they_hide(hide: Callable[[onnx.ModelProto], None]) -> None:
    model = tiny_graph()
    require_self_contained(model.SerializeToString())
    hide(model)
    with pytest.raises(EngineMismatchError, match="keeps weights in another file"):
        require_self_contained(model.SerializeToString())


def test_an_engine_whose_graph_reads_another_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """The manifest vouches for the graph's bytes; the file is where the runtime would look."""
    model = tiny_graph()
    tensor = next(t for t in model.graph.initializer if list(t.dims) == [3])
    values = numpy_helper.to_array(tensor).tobytes()
    tensor.CopyFrom(outside(tensor.name))
    (tensor.dims[:], tensor.data_type) = ([3], TensorProto.INT64)
    (tmp_path / "w.bin").write_bytes(values)
    monkeypatch.chdir(tmp_path)
    folder = write_tiny_engine(tmp_path / "engine", engine=engine, graph=model)
    with pytest.raises(EngineMismatchError, match="keeps weights in another file"):
        open_backend(folder)


def test_damaged_graphs_are_one_line_or_run(engine: str) -> None:
    whole = tiny_graph().SerializeToString()
    rng = np.random.default_rng(0)
    complaints = []
    for trial in range(150):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), rng.integers(1, 5)):
            content[place] = rng.integers(0, 256)
        if trial % 5 == 0:
            del content[rng.integers(0, len(content)) :]
        try:
            with BACKENDS[engine](bytes(content), SPEC, threads=1) as backend:
                backend.infer(tiny_inputs())
        except EngineMismatchError as error:
            complaints.append(str(error))
    assert len(complaints) > 100
    assert not any("\n" in complaint for complaint in complaints)


@pytest.mark.parametrize("content", [b"\xff" * 40, b"\x3a\x05", b"\x3b", b"\x3a" * 400, b"\x09\x00", LONG_KEY])
def test_what_is_no_message_is_refused(content: bytes) -> None:
    with pytest.raises(EngineMismatchError, match="cut off, or no ONNX file"):
        require_self_contained(content)


def test_messages_in_messages_without_end_are_refused() -> None:
    content = b""
    for _ in range(200):  # graph in attribute in node in graph ...
        for key in (0x32, 0x2A, 0x0A):
            content = bytes([key]) + _length(len(content)) + content
    content = b"\x3a" + _length(len(content)) + content
    with pytest.raises(EngineMismatchError, match="cut off, or no ONNX file"):
        require_self_contained(content)


def _length(n: int) -> bytes:
    return bytes([n]) if n < 0x80 else bytes([n & 0x7F | 0x80]) + _length(n >> 7)
