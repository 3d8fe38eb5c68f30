"""Plans of the shipped student, really built without a GPU: the compiled layers compute in what the precision says.

fp16 is audited in test_half_graph.py, whose graph it is.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import surround_depth
from surround_depth.export.checkpoint import read_trained_student
from surround_depth.export.frames import random_frames
from surround_depth.export.onnx_graph import export_onnx
from surround_depth.export.quantize import quantisable_convolutions, quantise
from surround_depth.export.tensorrt_build import PlanFiles, PlanOptions, build_plan
from surround_depth.imaging import InputSpec

pytestmark = pytest.mark.slow
SHIPPED = Path(surround_depth.__file__).parent / "weights" / "nano_synthetic"
SMALL = InputSpec(height_px=64, width_px=96)


@pytest.fixture(scope="module")
def layers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """Precision -> the layers of its plan."""
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install tensorrt-rtx")
    folder = tmp_path_factory.mktemp("plans")
    trained = read_trained_student(SHIPPED)
    spec = trained.engine_spec(2, SMALL)
    graph = export_onnx(trained.student, spec, folder / "fp32.onnx")
    quantise(graph, random_frames(spec, 1).network_inputs(SMALL), folder / "int8.onnx")
    found = {}
    for precision in ("fp32", "int8"):
        files = PlanFiles(*(folder / f"{precision}.{end}" for end in ("onnx", "plan", "json", "log")))
        build_plan("tensorrt_rtx", files, PlanOptions(workspace_mib=256))
        assert files.plan.stat().st_size > 1_000_000
        found[precision] = json.loads(files.layers.read_text())["layers"]
    found["graph"] = [{"name": name} for name in quantisable_convolutions(graph, "symmetric")]
    return found


def test_fp32_computes_in_float_alone(layers: dict[str, list[dict[str, Any]]]) -> None:
    types = {kind for layer in layers["fp32"] for kind in (*layer["inputs"], *layer["outputs"])}
    assert "Float" in types
    assert types.isdisjoint({"Half", "BFloat16", "Int8"})


def test_int8_convolves_in_int8(layers: dict[str, list[dict[str, Any]]]) -> None:
    chosen = [layer["name"] for layer in layers["graph"]]
    assert len(chosen) == 33
    for name in chosen:
        compiled = [layer for layer in layers["int8"] if layer["name"].startswith(f"{name}_")]
        assert compiled, name
        assert any("Int8" in layer["inputs"] for layer in compiled), name
