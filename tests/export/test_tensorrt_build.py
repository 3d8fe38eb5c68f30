"""TensorRT-RTX really builds here, without a GPU; TensorRT says what it lacks."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from unittest import mock

import pytest
from onnx import helper
from tiny_engine import tiny_graph

from surround_depth.errors import EngineMismatchError, MissingDependencyError
from surround_depth.export import tensorrt_build
from surround_depth.export.tensorrt_build import (
    PlanFiles,
    PlanOptions,
    _builder_config,
    build_in_process,
    build_plan,
    logged_layers,
    require_buildable,
    require_plan_options,
    tensorrt_kind,
)
from surround_depth.inference.tensorrt_library import load_tensorrt, make_logger


def plan_files(folder: Path) -> PlanFiles:
    return PlanFiles(folder / "model.onnx", folder / "model.plan", folder / "layers.json", folder / "build.log")


@pytest.fixture
def rtx() -> None:
    pytest.importorskip("tensorrt_rtx", reason="TensorRT-RTX is not installed: pip install tensorrt-rtx")


@pytest.mark.usefixtures("rtx")
def test_a_plan_is_built_with_its_layers_and_log(tmp_path: Path) -> None:
    files = plan_files(tmp_path)
    files.onnx.write_bytes(tiny_graph().SerializeToString())
    record = build_plan("tensorrt_rtx", files, PlanOptions(workspace_mib=64))
    assert record.library == "tensorrt_rtx"
    assert record.gpu_name is None
    assert files.plan.stat().st_size > 1000
    layers = json.loads(files.layers.read_text())
    assert layers["source"].startswith(("builder's log", "engine inspector"))
    assert any("UInt8" in layer["inputs"] for layer in layers["layers"])  # the one that reads the images
    assert files.log.stat().st_size > 0


@pytest.mark.usefixtures("rtx")
def test_a_graph_that_does_not_parse_names_its_node(tmp_path: Path) -> None:
    """The uint8 rule of the audit is the library's own: without the audit, this is what it would say."""
    model = tiny_graph()
    model.graph.node[0].CopyFrom(helper.make_node("Unsqueeze", ["images", "last"], ["pixels"], "batch_axis"))
    files = plan_files(tmp_path)
    files.onnx.write_bytes(model.SerializeToString())
    with pytest.raises(EngineMismatchError, match="refused the graph: error: the graph does not parse: batch_axis"):
        build_plan("tensorrt_rtx", files, PlanOptions(workspace_mib=64))
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


LOGGED = (
    "VERBOSE: Layers:\n"
    "Name: conv_1, LayerType: correlation, Inputs: [ { Name: x, Dimensions: [6,3,4,4], Strides: [48,1,12,3], Datatype: "
    "Int8, Format: (NHWC) Channel major format }, { Name: y, Dimensions: [6], Datatype: Float, Format: (Linear) }], "
    "Constants: [ { Name: w, Dimensions: [3,3], Datatype: Half, Format: (Linear) }], Outputs: [ { Name: z, Dimensions: "
    "[6,3,4,4], Datatype: Float, Format: (Linear) }], TacticName: t, StreamId: 0, Metadata: \n"
    "Name: wait_1, LayerType: wait, Inputs: [], Outputs: [], TacticName: , StreamId: 0, Metadata: "
)


def test_the_builders_log_tells_the_compiled_layers() -> None:
    assert logged_layers(["INFO: nothing", LOGGED]) == [
        {"name": "conv_1", "type": "correlation", "inputs": ["Int8", "Float"], "outputs": ["Float"]},
        {"name": "wait_1", "type": "wait", "inputs": [], "outputs": []},
    ]


@pytest.mark.parametrize(
    "options, option",
    [
        (PlanOptions(timing_cache=Path("t")), "--timing-cache"),
        (PlanOptions(hardware_compatible=True), "--hardware-compatible"),
        (PlanOptions(version_compatible=True), "--version-compatible"),
    ],
)
def test_what_a_builder_has_not_is_refused(options: PlanOptions, option: str) -> None:
    for engine in ("tensorrt_rtx", "onnxruntime"):
        with pytest.raises(EngineMismatchError, match=f"{option} is for --engine tensorrt alone"):
            require_plan_options(tensorrt_kind(engine), options)  # type: ignore[arg-type]
    require_plan_options("tensorrt", options)
    require_plan_options(None, PlanOptions(workspace_mib=1))


@pytest.mark.usefixtures("rtx")
def test_the_options_reach_the_librarys_own_configuration(tmp_path: Path) -> None:
    """TensorRT-RTX has the names too, and takes all settings but the GPUs' level, which it does not know."""
    trt = load_tensorrt("tensorrt_rtx")
    builder = trt.Builder(make_logger(trt))
    config = _builder_config(trt, builder, PlanOptions(64, hardware_compatible=True, version_compatible=True))
    assert config.hardware_compatibility_level == trt.HardwareCompatibilityLevel.NONE
    assert config.get_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    assert not config.get_flag(trt.BuilderFlag.TF32)
    assert config.get_memory_pool_limit(trt.MemoryPoolType.WORKSPACE) == 64 << 20


def test_other_gpus_and_known_timings_are_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A double of the library that knows how many bytes it was given; the file grows by what was timed."""
    cache = tmp_path / "timings"
    cache.write_bytes(b"old ")
    files = plan_files(tmp_path)
    files.onnx.write_bytes(b"graph")
    trt = mock.MagicMock()
    trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED = 0
    builder = trt.Builder.return_value
    builder.build_serialized_network.return_value = b"plan"
    config = builder.create_builder_config.return_value
    config.get_timing_cache.return_value.serialize.return_value = b"old new"
    monkeypatch.setattr(tensorrt_build, "load_tensorrt", lambda kind: trt)
    monkeypatch.setattr(tensorrt_build, "make_logger", lambda trt: mock.Mock(lines=[]))
    monkeypatch.setattr(tensorrt_build, "cuda_device_count", lambda: 0)
    build_in_process("tensorrt", files, PlanOptions(timing_cache=cache, hardware_compatible=True))
    assert config.hardware_compatibility_level is trt.HardwareCompatibilityLevel.AMPERE_PLUS
    config.create_timing_cache.assert_called_once_with(b"old ")
    assert cache.read_bytes() == b"old new"
    config.set_timing_cache.return_value = False
    with pytest.raises(EngineMismatchError, match="timings of another GPU or TensorRT version"):
        build_in_process("tensorrt", files, PlanOptions(timing_cache=cache))
