"""TensorRT-RTX really builds here, without a GPU; TensorRT says what it lacks."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import pytest
from onnx import helper
from tiny_engine import tiny_graph

from surround_depth.errors import EngineMismatchError, MissingDependencyError
from surround_depth.export import tensorrt_build
from surround_depth.export.tensorrt_build import PlanFiles, build_plan, require_buildable


def plan_files(folder: Path) -> PlanFiles:
    return PlanFiles(folder / "model.onnx", folder / "model.plan", folder / "layers.json", folder / "build.log")


@pytest.fixture
def rtx() -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install tensorrt-rtx")


@pytest.mark.usefixtures("rtx")
def test_a_plan_is_built_with_its_layers_and_log(tmp_path: Path) -> None:
    files = plan_files(tmp_path)
    files.onnx.write_bytes(tiny_graph().SerializeToString())
    record = build_plan("tensorrt_rtx", files, workspace_mib=64)
    assert record.library == "tensorrt_rtx"
    assert record.gpu_name is None
    assert files.plan.stat().st_size > 1000
    layers = json.loads(files.layers.read_text())
    assert layers["source"].startswith(("parsed network", "engine inspector"))
    assert len(layers["layers"]) >= 1
    assert files.log.stat().st_size > 0


@pytest.mark.usefixtures("rtx")
def test_a_graph_that_does_not_parse_names_its_node(tmp_path: Path) -> None:
    """The uint8 rule of the audit is the library's own: without the audit, this is what it would say."""
    model = tiny_graph()
    model.graph.node[0].CopyFrom(helper.make_node("Unsqueeze", ["images", "last"], ["pixels"], "batch_axis"))
    files = plan_files(tmp_path)
    files.onnx.write_bytes(model.SerializeToString())
    with pytest.raises(EngineMismatchError, match="refused the graph: error: the graph does not parse: batch_axis"):
        build_plan("tensorrt_rtx", files, workspace_mib=64)
    assert not files.plan.exists()


@pytest.mark.usefixtures("rtx")
def test_a_builder_that_crashes_or_hangs_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "python"
    monkeypatch.setattr(sys, "executable", str(script))
    files = plan_files(tmp_path)
    faults = {"kill -SEGV $$": f"crashed .signal {int(signal.SIGSEGV)}", "exec sleep 30": "took over"}
    for body, complaint in faults.items():
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(0o755)
        with pytest.raises(EngineMismatchError, match=complaint):
            build_plan("tensorrt_rtx", files, time_limit_s=0.3)


def test_tensorrt_without_a_gpu_or_without_itself_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingDependencyError, match="pip install tensorrt "):
        require_buildable("tensorrt")
    monkeypatch.setattr(tensorrt_build, "load_tensorrt", lambda kind: None)
    monkeypatch.setattr(tensorrt_build, "cuda_device_count", lambda: 0)
    with pytest.raises(EngineMismatchError, match="build on the target, or use --engine tensorrt_rtx"):
        require_buildable("tensorrt")
