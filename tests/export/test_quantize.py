"""Which convolutions become int8, by module; scales that can be worked by hand; and an engine that still sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from surround_depth.benchmarks.operators import profile
from surround_depth.errors import EngineMismatchError
from surround_depth.export.audit import audit_graph
from surround_depth.export.frames import random_frames
from surround_depth.export.graph_names import module_path, student_part
from surround_depth.export.parity import Rung, measure_parity, require_parity
from surround_depth.export.quantize import (
    QUANTISED_PARTS,
    Int8Form,
    exact_pixels,
    quantisable_convolutions,
    quantise,
)
from surround_depth.inference.backend import EngineSpec, NetworkInputs, engine_spec
from surround_depth.inference.manifest import load_manifest
from surround_depth.inference.onnxruntime_backend import OnnxRuntimeBackend

Graph = tuple[onnx.ModelProto, EngineSpec, tuple[NetworkInputs, ...]]
FORMS: tuple[Int8Form, ...] = ("symmetric", "asymmetric")


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


def test_geometry_and_head_stay_exact(quantised: Path) -> None:
    model = onnx.load(quantised)
    made_by = producers(model)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    int8 = set()
    for node in convolutions:
        read, weight = (made_by.get(name) for name in node.input[:2])
        if weight is not None and weight.op_type == "DequantizeLinear":  # the head may read what was stored
            assert read is not None
            assert read.op_type == "DequantizeLinear", node.name
            int8.add(module_path(node))
    features = {m for m in map(module_path, convolutions) if m.startswith(("student.encoder", "student.decoder"))}
    assert int8 == features
    assert len(int8) >= 20


def test_weights_are_symmetric_per_channel(exact: Graph, quantised: Path) -> None:
    """By hand: scale = max |w| of an output channel / 127."""
    floats = {t.name: numpy_helper.to_array(t) for t in exact[0].graph.initializer}
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(quantised).graph.initializer}
    name = "student.decoder.to_16.reduce.weight"
    largest = np.abs(floats[name]).max(axis=(1, 2, 3))
    np.testing.assert_allclose(stored[f"{name}_scale"], largest / 127.0, rtol=1e-5)
    # the first, which reads pixels of full range: seven bits for a CPU without VNNI, which adds two products in 16
    first = next(node for node in exact[0].graph.node if node.op_type == "Conv").input[1]
    is_unsigned = any(t.dtype == np.uint8 for n, t in stored.items() if n.endswith("_zero_point"))
    assert np.abs(stored[f"{first}_quantized"].astype(int)).max() == (64 if is_unsigned else 127)
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


def set_constant(model: onnx.ModelProto, name: str, values: list[float]) -> None:
    (stored,) = [tensor for tensor in model.graph.initializer if tensor.name == name]
    stored.CopyFrom(numpy_helper.from_array(np.array(values, np.float32).reshape(-1, 1, 1), name))


def test_pixels_are_eight_bits_without_rounding(exact: Graph, quantised: Path) -> None:
    """By hand: the graph's (p - 128) / 64 of all 256 pixels, through the stored scale and zero point."""
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(quantised).graph.initializer}
    tensor = next(node.input[0] for node in exact[0].graph.node if node.op_type == "Conv")
    scale, zero_point = stored[f"{tensor}_scale"], stored[f"{tensor}_zero_point"]
    pixels = (np.arange(256) - 128.0) / 64.0
    limits = np.iinfo(zero_point.dtype)
    rounded = np.clip(np.rint(pixels / scale) + zero_point, limits.min, limits.max)
    np.testing.assert_array_equal(rounded - zero_point, np.arange(256) - 128)
    np.testing.assert_allclose((rounded - zero_point) * scale, pixels, rtol=2e-6)


def test_openvino_convolves_the_pixels_in_int8(exact: Graph, tmp_path: Path) -> None:
    """It drops a quantisation that changes nothing, and would then convolve them in float32."""
    pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install openvino")
    model, _, frames = exact
    quantise(model, frames, tmp_path / "int8.onnx", form="asymmetric")
    first = next(node.name for node in model.graph.node if node.op_type == "Conv")
    times = profile(tmp_path / "int8.onnx", "openvino", frames[0], runs=1, threads=1)
    (kernel,) = [one.kind for one in times if one.name.startswith(first)]
    assert "I8" in kernel


@pytest.mark.parametrize("form", FORMS)
def test_pixels_that_eight_bits_do_not_hold_are_convolved_in_float(exact: Graph, form: Int8Form) -> None:
    model = onnx.ModelProto.FromString(exact[0].SerializeToString())
    all_of_them = quantisable_convolutions(model, form)
    set_constant(model, "student.pixel_std", [58.4, 57.1, 57.4])  # ImageNet's: each channel has its own scale
    assert exact_pixels(model, form) is None
    assert quantisable_convolutions(model, form) == all_of_them[1:]


def test_only_an_unsigned_zero_point_can_be_another_grey(exact: Graph) -> None:
    model = onnx.ModelProto.FromString(exact[0].SerializeToString())
    set_constant(model, "student.pixel_mean", [114.0] * 3)
    found = exact_pixels(model, "asymmetric")
    assert found is not None
    assert (found.zero_point, found.scale) == (114, pytest.approx(1.0 / 64.0, rel=2e-6))
    assert exact_pixels(model, "symmetric") is None
    set_constant(model, "student.pixel_mean", [114.5] * 3)
    assert exact_pixels(model, "asymmetric") is None


def test_no_relu_is_left_behind_an_unsigned_convolution(exact: Graph, tmp_path: Path) -> None:
    model, spec, frames = exact
    graph = quantise(model, frames, tmp_path / "int8.onnx", form="asymmetric")
    audit_graph(graph, spec)
    made_by = producers(graph)
    relus = [node for node in graph.graph.node if node.op_type == "Relu" and student_part(node) in QUANTISED_PARTS]
    assert relus  # those behind a sum
    assert "DequantizeLinear" not in {made_by[node.input[0]].op_type for node in relus}


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
    assert quantisable_convolutions(nameless, "asymmetric") == []
    with pytest.raises(EngineMismatchError, match="no convolution of encoder or decoder"):
        quantise(nameless, frames, tmp_path / "int8.onnx")
