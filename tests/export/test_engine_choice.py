"""The best engine that is installed, by what a machine has; and what no engine takes."""

from __future__ import annotations

from importlib.machinery import ModuleSpec

import pytest

from surround_depth.errors import EngineMismatchError, MissingDependencyError
from surround_depth.export import engine_choice
from surround_depth.export.engine_choice import choose_engine, require_runtime, runs_here, usable_tensorrt
from surround_depth.export.precision import require_precision
from surround_depth.inference.gpu import Gpu
from surround_depth.inference.tensorrt_library import tensorrt_rtx_runs_on

ORIN, ADA, H200 = Gpu("Orin", (8, 7)), Gpu("RTX 4090", (8, 9)), Gpu("NVIDIA H200", (9, 0))


@pytest.mark.parametrize(
    "gpu, installed, engine, reason",
    [
        (None, (), "onnxruntime", "no GPU here; OpenVINO is not installed"),
        (None, ("tensorrt", "tensorrt_rtx"), "onnxruntime", "no GPU here"),
        (None, ("openvino",), "openvino", "OpenVINO is installed"),
        (ADA, ("tensorrt_rtx", "openvino"), "tensorrt_rtx", "tensorrt_rtx is installed and the GPU is a RTX 4090"),
        (ORIN, ("tensorrt_rtx", "tensorrt"), "tensorrt", "tensorrt is installed"),
        (ORIN, ("openvino",), "openvino", "no TensorRT is installed for the Orin; OpenVINO is installed"),
        (ORIN, (), "onnxruntime", "no TensorRT is installed for the Orin"),
        (H200, ("tensorrt_rtx", "tensorrt"), "tensorrt", "tensorrt is installed and the GPU is a NVIDIA H200"),
        (
            H200,
            ("tensorrt_rtx",),
            "onnxruntime",
            "TensorRT-RTX does not run on the NVIDIA H200 (compute capability 9.0)",
        ),
        (H200, ("tensorrt_rtx", "openvino"), "openvino", "TensorRT is not installed: pip install tensorrt; OpenVINO"),
    ],
)
def test_the_choice_and_its_reason(
    gpu: Gpu | None, installed: tuple[str, ...], engine: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "first_gpu", lambda: gpu)
    monkeypatch.setattr(engine_choice, "find_spec", lambda name: ModuleSpec(name, None) if name in installed else None)
    chosen, said = choose_engine()
    assert chosen == engine
    assert reason in said


def test_tensorrt_rtx_runs_on_what_its_own_refusal_lists() -> None:
    # "Supported compute capabilities: 8.0 8.6 8.9 12.0 12.1 >12.0", TensorRT-RTX 1.7.1 on an H200
    listed = [(8, 0), (8, 6), (8, 9), (12, 0), (12, 1), (12, 2), (13, 0)]
    assert all(map(tensorrt_rtx_runs_on, listed))
    assert not any(map(tensorrt_rtx_runs_on, [(7, 5), (8, 7), (9, 0), (10, 0), (11, 0)]))


@pytest.mark.parametrize("gpu, kinds", [(None, ()), (H200, ("tensorrt",)), (ADA, ("tensorrt", "tensorrt_rtx"))])
def test_a_plan_is_proven_where_the_gpu_runs_it(
    gpu: Gpu | None, kinds: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_choice, "first_gpu", lambda: gpu)
    monkeypatch.setattr(engine_choice, "find_spec", lambda name: ModuleSpec(name, None))
    assert usable_tensorrt(gpu) == kinds
    assert (runs_here("tensorrt"), runs_here("tensorrt_rtx")) == ("tensorrt" in kinds, "tensorrt_rtx" in kinds)


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
