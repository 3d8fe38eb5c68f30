"""Which convolutions become int8, by module; scales that can be worked by hand; and an engine that still sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from surround_depth.errors import EngineMismatchError
from surround_depth.export.audit import audit_graph
from surround_depth.export.frames import random_frames
from surround_depth.export.graph_names import module_path
from surround_depth.export.parity import Rung, measure_parity, require_parity
from surround_depth.export.quantize import quantisable_convolutions, quantise
from surround_depth.inference.backend import EngineSpec, NetworkInputs, engine_spec
from surround_depth.inference.manifest import load_manifest
from surround_depth.inference.onnxruntime_backend import OnnxRuntimeBackend

Graph = tuple[onnx.ModelProto, EngineSpec, tuple[NetworkInputs, ...]]
FORMS = ("symmetric", "asymmetric")


@pytest.fixture(scope="module")
def exact(engine: Path) -> Graph:
    """The float32 graph of the small student, its facts, and frames."""
    spec = engine_spec(load_manifest(engine))
    return onnx.load(engine / "model.onnx"), spec, random_frames(spec, 2).network_inputs(spec.input)


@pytest.fixture(scope="module", params=FORMS)
def quantised(exact: Graph, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, _, frames = exact
    path: Path = tmp_path_factory.mktemp(request.param) / "int8.onnx"
    quantise(model, frames, path, form=request.param)
    return path


def producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    return {output: node for node in model.graph.node for output in node.output}


def test_geometry_head_and_pixels_stay_exact(quantised: Path) -> None:
    model = onnx.load(quantised)
    made_by = producers(model)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    int8 = set()
    for node in convolutions:
        read, weight = (made_by.get(name) for name in node.input[:2])
        ends = [source is not None and source.op_type == "DequantizeLinear" for source in (read, weight)]
        assert ends[0] == ends[1], node.name
        if all(ends):
            int8.add(module_path(node))
    features = {m for m in map(module_path, convolutions) if m.startswith(("student.encoder", "student.decoder"))}
    assert int8 == {module for module in features if "embedder" not in module}
    assert len(int8) >= 20


def test_weights_are_symmetric_per_channel(exact: Graph, quantised: Path) -> None:
    """By hand: scale = max |w| of an output channel / 127."""
    floats = {t.name: numpy_helper.to_array(t) for t in exact[0].graph.initializer}
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(quantised).graph.initializer}
    name = "student.decoder.to_16.reduce.weight"
    largest = np.abs(floats[name]).max(axis=(1, 2, 3))
    np.testing.assert_allclose(stored[f"{name}_scale"], largest / 127.0, rtol=1e-5)
    assert stored[f"{name}_quantized"].dtype == np.int8
    assert not stored[f"{name}_zero_point"].any()


def test_tensorrts_form_has_no_zero_point_and_float_biases(exact: Graph, tmp_path: Path) -> None:
    model, spec, frames = exact
    graph = quantise(model, frames, tmp_path / "int8.onnx")
    audit_graph(graph, spec)
    stored = {t.name: numpy_helper.to_array(t) for t in graph.graph.initializer}
    zero_points = [stored[n.input[2]] for n in graph.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert {point.dtype for point in zero_points} == {np.dtype(np.int8)}
    assert not any(point.any() for point in zero_points)
    biases = [stored[n.input[2]] for n in graph.graph.node if n.op_type == "Conv" and len(n.input) > 2]
    assert {bias.dtype for bias in biases} == {np.dtype(np.float32)}


def test_it_still_sees(exact: Graph, quantised: Path) -> None:
    model, spec, frames = exact
    with (
        OnnxRuntimeBackend(model.SerializeToString(), spec, threads=1) as whole,
        OnnxRuntimeBackend(quantised.read_bytes(), spec, threads=1) as rounded,
    ):
        record = measure_parity(Rung("fp32", whole), Rung("int8", rounded), frames, "random")
    require_parity(record, "int8")
    assert record.abs_rel_difference > 1e-6  # it does round


def test_nothing_to_quantise_is_refused(exact: Graph, tmp_path: Path) -> None:
    model, _, frames = exact
    with pytest.raises(EngineMismatchError, match="no frame to calibrate on"):
        quantise(model, (), tmp_path / "int8.onnx")
    nameless = onnx.ModelProto.FromString(model.SerializeToString())
    for node in nameless.graph.node:
        del node.metadata_props[:]
    assert quantisable_convolutions(nameless) == []
    with pytest.raises(EngineMismatchError, match="no convolution of encoder or decoder"):
        quantise(nameless, frames, tmp_path / "int8.onnx")
