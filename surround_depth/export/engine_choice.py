"""The engine that a machine is served best by, and why: chosen from what is installed, and said, never silently."""

from __future__ import annotations

from importlib.util import find_spec

from surround_depth.errors import MissingDependencyError
from surround_depth.inference.manifest import EngineKind
from surround_depth.inference.tensorrt_library import TensorRTKind, gpu_name

_ON_A_GPU: tuple[TensorRTKind, ...] = ("tensorrt", "tensorrt_rtx")


def choose_engine() -> tuple[EngineKind, str]:
    """Return the best engine that is installed here, and the reason in words.

    TensorRT, whose kernels are timed on the very GPU, before TensorRT-RTX; both only where there is a GPU. On a CPU
    OpenVINO, which is there only where somebody wanted it, before ONNX Runtime, which always is.
    """
    gpu = gpu_name()
    if gpu is not None:
        for kind in _ON_A_GPU:
            if find_spec(kind) is not None:
                return kind, f"{kind} is installed and the GPU is a {gpu}"
    lacking = "no GPU here" if gpu is None else f"no TensorRT is installed for the {gpu}"
    if find_spec("openvino") is not None:
        return "openvino", f"{lacking}; OpenVINO is installed"
    return "onnxruntime", f"{lacking}; OpenVINO is not installed"


def require_runtime(engine: EngineKind) -> None:
    """Refuse, before anything is exported, a CPU engine whose library is not installed; TensorRT's is its builder's.

    Raises:
        MissingDependencyError: OpenVINO is not installed.
    """
    if engine == "openvino" and find_spec("openvino") is None:
        raise MissingDependencyError(
            "engine 'openvino': the package is not installed; install it with pip install openvino "
            "(or build with --engine onnxruntime)"
        )
