"""The exported half student is strongly typed: convolutions in float16, what float16 breaks in float32."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from extreme_inputs import CAMERAS, HEIGHT_PX, WIDTH_PX, extreme_inputs
from onnx import TensorProto
from tiny_backbones import TINY_BACKBONES

import surround_depth
from surround_depth.export.graph_names import module_path
from surround_depth.export.onnx_graph import export_onnx
from surround_depth.export.tensorrt_build import PlanFiles, PlanOptions, build_plan
from surround_depth.imaging import InputSpec
from surround_depth.inference.backend import EngineSpec, NetworkInputs
from surround_depth.inference.onnxruntime_backend import OnnxRuntimeBackend
from surround_depth.models.checkpoint import load_student
from surround_depth.models.config import BinConfig, EncoderConfig, StudentConfig
from surround_depth.models.half import HalfStudent
from surround_depth.models.student import Student

torch.set_num_threads(1)

SHIPPED = Path(surround_depth.__file__).parent / "weights" / "nano_synthetic"
SPEC = EngineSpec(InputSpec(height_px=HEIGHT_PX, width_px=WIDTH_PX), CAMERAS, 0.5, 80.0, model_hash="")
HALF, FULL = TensorProto.FLOAT16, TensorProto.FLOAT
ISLANDS = {"LayerNormalization", "Softmax", "ReduceSum", "ReduceMean", "ReduceL2", "Exp", "Log", "Pow", "Sqrt", "Tanh"}
FEATURES = {"Conv", "Gemm"}
BILINEAR = [16, 1, 3, 3]
"""Shape of the fixed kernels that upsample the confidence, a float32 map."""


def typed(model: onnx.ModelProto) -> dict[str, int]:
    """Return the element type of every tensor, by onnx's own inference, which refuses a graph of mixed types."""
    graph = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True).graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input, *graph.output)}
    return types | {tensor.name: tensor.data_type for tensor in graph.initializer}


def types_by_op(model: onnx.ModelProto) -> dict[str, set[int]]:
    types = typed(model)
    shapes = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    found: dict[str, set[int]] = defaultdict(set)
    for node in model.graph.node:
        if node.op_type == "Conv" and shapes.get(node.input[1]) == BILINEAR:
            continue
        found[node.op_type] |= {types[name] for name in (*node.input, *node.output) if types.get(name) in (HALF, FULL)}
    return found


def convnext_student() -> Student:
    torch.manual_seed(0)
    encoder = EncoderConfig(backbone={"model_type": "convnextv2", **TINY_BACKBONES["convnextv2"]})
    sizes: dict[str, Any] = {"geometry_channels": 8, "fusion_heads": 2, "decoder_channels": (16, 16, 8, 8)}
    return Student(StudentConfig(encoder=encoder, bins=BinConfig(n_bins=16), **sizes)).eval()


@pytest.fixture(scope="module")
def nano_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("half") / "nano.onnx"
    export_onnx(HalfStudent(load_student(SHIPPED).student), SPEC, path)
    return path


def test_each_operator_has_its_type(nano_graph: Path) -> None:
    model = onnx.load(nano_graph)
    found = types_by_op(model)
    for op in ISLANDS & found.keys():
        assert found[op] == {FULL}, op
    for op in FEATURES & found.keys():
        assert found[op] == {HALF}, op
    assert found["Cast"] == {HALF, FULL}
    assert {"LayerNormalization", "Softmax", "Conv", "Exp", "Log", "Tanh", "Sqrt"} <= found.keys()
    assert "BatchNormalization" not in found
    heavy = [tensor for tensor in model.graph.initializer if tensor.data_type == FULL and np.prod(tensor.dims) > 1024]
    assert heavy == []  # no weight is stored in float32 and cast at run time


def test_geometry_and_bins_are_float32(nano_graph: Path) -> None:
    model = onnx.load(nano_graph)
    types = typed(model)
    made_by = {
        output: (module_path(node).removeprefix("student."), node.op_type)
        for node in model.graph.node
        for output in node.output
    }
    geometry = [name for name, (module, op) in made_by.items() if module == "rays" and op in ("Div", "Sub", "Clip")]
    bins = [name for name, (module, op) in made_by.items() if module == "student" and op in ("Mul", "Exp", "Div")]
    assert len(geometry) >= 6
    assert len(bins) >= 4
    assert {types[name] for name in (*geometry, *bins)} == {FULL}


def test_it_runs_and_its_depth_is_float32s_in_metres(nano_graph: Path) -> None:
    exact = load_student(SHIPPED).student
    with OnnxRuntimeBackend(nano_graph.read_bytes(), SPEC, threads=1) as engine:
        for name, tensors in extreme_inputs().items():
            outputs = engine.infer(NetworkInputs(*(tensor[0].contiguous().numpy() for tensor in tensors)))
            with torch.no_grad():
                depth_m = exact(*tensors).depth_m[0].numpy()
            assert np.isfinite(outputs.depth_m).all()
            assert np.quantile(np.abs(np.log(outputs.depth_m / depth_m)), 0.99) < 0.02, name
            assert np.abs(outputs.depth_m - depth_m)[depth_m < 72.0].max() < 1.5, name


@pytest.mark.slow
def test_the_norms_inside_a_backbone_are_float32_too(tmp_path: Path) -> None:
    model = export_onnx(HalfStudent(convnext_student()), SPEC, tmp_path / "model.onnx")
    found = types_by_op(model)
    for op in ("LayerNormalization", "ReduceL2", "ReduceMean"):  # the last two: global response normalisation
        assert found[op] == {FULL}, op
    assert found["Conv"] == {HALF}


def test_tensorrt_rtx_builds_it_strongly_typed(nano_graph: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install tensorrt-rtx")
    files = PlanFiles(nano_graph, tmp_path / "model.plan", tmp_path / "layers.json", tmp_path / "build.log")
    build_plan("tensorrt_rtx", files, PlanOptions(workspace_mib=256))
    assert files.plan.stat().st_size > 1_000_000
    layers = json.loads(files.layers.read_text())["layers"]
    convolutions = [layer for layer in layers if layer["type"] == "correlation"]
    assert len(convolutions) >= 30  # the rest is fused into other kernels
    full = [layer for layer in convolutions if layer["inputs"][0] != "Half"]
    assert len(full) == 1  # the bilinear one
    assert {"Half", "Float"} <= {kind for layer in layers for kind in layer["outputs"]}
