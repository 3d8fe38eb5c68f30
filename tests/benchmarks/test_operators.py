"""The operators of an engine: really timed by either runtime, summed by kind, and refused where nothing is timed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_engine import write_tiny_engine

from surround_depth.benchmarks.operators import OperatorTime, operators_report, profile
from surround_depth.benchmarks.report import Table
from surround_depth.errors import ConfigError
from surround_depth.export.engine_build import ONNX_NAME
from surround_depth.export.frames import timing_frames
from surround_depth.inference.backend import NetworkInputs, open_backend
from surround_depth.inference.manifest import EngineKind


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NetworkInputs]:
    folder = write_tiny_engine(tmp_path_factory.mktemp("operators") / "engine")
    with open_backend(folder, threads=1) as backend:
        (inputs, *_) = timing_frames(backend.spec, None, 1).network_inputs(backend.spec.input)
    return folder / ONNX_NAME, inputs


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_every_operator_is_timed(tiny: tuple[Path, NetworkInputs], engine: EngineKind) -> None:
    if engine == "openvino":
        pytest.importorskip("openvino", reason="OpenVINO is not installed: pip install openvino")
    operators = profile(*tiny[:1], engine, tiny[1], runs=2, threads=1)
    assert operators
    assert all(operator.ms >= 0 for operator in operators)
    assert operators == sorted(operators, key=lambda one: -one.ms)


def test_the_tables_by_hand() -> None:
    operators = [OperatorTime("a", "Conv", 6.0), OperatorTime("b", "Exp", 3.0), OperatorTime("c", "Conv", 1.0)]
    report = operators_report(operators, "onnxruntime", 1, top=2)
    _, kinds, slowest = report.blocks
    assert isinstance(kinds, Table)
    assert isinstance(slowest, Table)
    assert kinds.rows == (("Conv", "7.00", "70.0%"), ("Exp", "3.00", "30.0%"))
    assert slowest.rows == (("a (Conv)", "6.00", "60.0%"), ("b (Exp)", "3.00", "30.0%"))
    assert report.figures["total_ms"] == 10.0


def test_what_is_not_timed_is_refused(tiny: tuple[Path, NetworkInputs]) -> None:
    graph, inputs = tiny
    with pytest.raises(ConfigError, match="give a CPU engine"):
        profile(graph, "tensorrt", inputs, runs=1, threads=1)
    with pytest.raises(ConfigError, match="--runs is 0"):
        profile(graph, "onnxruntime", inputs, runs=0, threads=1)
