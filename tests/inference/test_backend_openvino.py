"""OpenVINO on the tiny engine (known by heart) and on a real student beside ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_engine import SPEC, tiny_graph, tiny_inputs, write_tiny_engine

from surround_depth.errors import EngineMismatchError, MissingDependencyError
from surround_depth.export.onnx_graph import export_onnx
from surround_depth.imaging import InputSpec
from surround_depth.inference.backend import EngineSpec, open_backend
from surround_depth.inference.onnxruntime_backend import OnnxRuntimeBackend
from surround_depth.inference.openvino_backend import OpenVinoBackend
from surround_depth.models.presets import student_preset
from surround_depth.models.student import Student

GRAPH = tiny_graph().SerializeToString()


@pytest.fixture(autouse=True)
def openvino() -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install openvino")


def test_the_manifest_opens_it_and_it_says_what_the_tiny_engine_says(tmp_path: Path) -> None:
    with open_backend(write_tiny_engine(tmp_path / "engine", engine="openvino"), threads=1) as backend:
        assert isinstance(backend, OpenVinoBackend)
        first = backend.infer(tiny_inputs(seed=1))
        kept = first.depth_m.copy()
        inputs = tiny_inputs(seed=2)
        outputs = backend.infer(inputs)
    np.testing.assert_array_equal(first.depth_m, kept)  # the arrays belong to the caller
    np.testing.assert_allclose(outputs.depth_m, 1 + inputs.images.mean(axis=-1) / 4, rtol=1e-6)
    np.testing.assert_array_equal(outputs.confidence[:, 0, 0], [0.5, 0.0])
    with pytest.raises(EngineMismatchError, match="closed"):
        backend.infer(inputs)


@pytest.mark.slow
def test_it_computes_a_student_as_onnxruntime_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    export_onnx(Student(student_preset("pico")), SPEC, tmp_path / "pico.onnx")
    content = (tmp_path / "pico.onnx").read_bytes()
    with OpenVinoBackend(content, SPEC, threads=1) as ours, OnnxRuntimeBackend(content, SPEC, threads=1) as theirs:
        got, expected = ours.infer(tiny_inputs()), theirs.infer(tiny_inputs())
    # bfloat16, which OpenVINO would choose by itself where the CPU has it, keeps eight bits: 4e-3
    np.testing.assert_allclose(got.depth_m[0], expected.depth_m[0], rtol=1e-4)
    np.testing.assert_allclose(got.confidence, expected.confidence, atol=1e-4)


def test_what_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EngineMismatchError, match="cannot load the graph"):
        OpenVinoBackend(b"not a graph at all", SPEC)
    with pytest.raises(EngineMismatchError, match="at least 1"):
        OpenVinoBackend(GRAPH, SPEC, threads=0)
    other = EngineSpec(InputSpec(height_px=96, width_px=96), SPEC.n_cameras, 0.5, 80.0, "0" * 64)
    with pytest.raises(EngineMismatchError, match=r"'images' is u8 \[2, 64, 96, 3\].*u8 \[2, 96, 96, 3\]"):
        OpenVinoBackend(GRAPH, other)
    renamed = tiny_graph()
    renamed.graph.input[1].name = "K"
    renamed.graph.node[3].input[0] = "K"
    with pytest.raises(EngineMismatchError, match="inputs are"):
        OpenVinoBackend(renamed.SerializeToString(), SPEC)
    monkeypatch.setitem(__import__("sys").modules, "openvino", None)
    with pytest.raises(MissingDependencyError, match="pip install openvino"):
        OpenVinoBackend(GRAPH, SPEC)
