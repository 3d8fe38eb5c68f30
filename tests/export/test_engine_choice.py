"""The best engine that is installed, by what a machine has; and what no engine takes."""

from __future__ import annotations

from importlib.machinery import ModuleSpec

import pytest

from surround_depth.errors import EngineMismatchError, MissingDependencyError
from surround_depth.export import engine_choice
from surround_depth.export.engine_choice import choose_engine, require_runtime
from surround_depth.export.precision import require_precision


@pytest.mark.parametrize(
    "gpu, installed, engine, reason",
    [
        (None, (), "onnxruntime", "no GPU here; OpenVINO is not installed"),
        (None, ("tensorrt", "tensorrt_rtx"), "onnxruntime", "no GPU here"),
        (None, ("openvino",), "openvino", "OpenVINO is installed"),
        ("Orin", ("tensorrt_rtx", "openvino"), "tensorrt_rtx", "tensorrt_rtx is installed and the GPU is a Orin"),
        ("Orin", ("tensorrt_rtx", "tensorrt"), "tensorrt", "tensorrt is installed"),
        ("Orin", ("openvino",), "openvino", "no TensorRT is installed for the Orin; OpenVINO is installed"),
        ("Orin", (), "onnxruntime", "no TensorRT is installed for the Orin"),
    ],
)
def test_the_choice_and_its_reason(
    gpu: str | None, installed: tuple[str, ...], engine: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "gpu_name", lambda: gpu)
    monkeypatch.setattr(engine_choice, "find_spec", lambda name: ModuleSpec(name, None) if name in installed else None)
    chosen, said = choose_engine()
    assert chosen == engine
    assert reason in said


def test_openvino_that_is_not_installed_is_named_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="pip install openvino"):
        require_runtime("openvino")
    require_runtime("onnxruntime")


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_half_precision_on_a_cpu_is_refused(engine: str) -> None:
    with pytest.raises(EngineMismatchError, match=f"--precision fp16: {engine} runs on a CPU"):
        require_precision(engine, "fp16")  # type: ignore[arg-type]
    require_precision(engine, "int8")  # type: ignore[arg-type]
    require_precision("tensorrt_rtx", "fp16")
