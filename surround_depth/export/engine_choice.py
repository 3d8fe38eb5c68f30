"""The engine that a machine is served best by, and why: chosen from what is installed, and said, never silently."""

from __future__ import annotations

from importlib.util import find_spec

from surround_depth.errors import MissingDependencyError
from surround_depth.inference.gpu import Gpu, first_gpu
from surround_depth.inference.manifest import EngineKind
from surround_depth.inference.tensorrt_library import TensorRTKind, tensorrt_rtx_runs_on

_ON_A_GPU: tuple[TensorRTKind, ...] = ("tensorrt", "tensorrt_rtx")


def choose_engine() -> tuple[EngineKind, str]:
    """Return the best engine that is installed here, and the reason in words.

    TensorRT, whose kernels are timed on the very GPU, before TensorRT-RTX; both only where there is a GPU that they run
    on. On a CPU OpenVINO, which is there only where somebody wanted it, before ONNX Runtime, which always is.
    """
    gpu = first_gpu()
    kinds = usable_tensorrt(gpu)
    if gpu is not None and kinds:
        return kinds[0], f"{kinds[0]} is installed and the GPU is a {gpu.name}"
    lacking = "no GPU here" if gpu is None else _why_no_tensorrt(gpu)
    if find_spec("openvino") is not None:
        return "openvino", f"{lacking}; OpenVINO is installed"
    return "onnxruntime", f"{lacking}; OpenVINO is not installed"


def usable_tensorrt(gpu: Gpu | None) -> tuple[TensorRTKind, ...]:
    """Return the kinds of TensorRT that are installed and run on this GPU, the better one first; none without a GPU."""
    if gpu is None:
        return ()
    installed = tuple(kind for kind in _ON_A_GPU if find_spec(kind) is not None)
    return tuple(kind for kind in installed if kind != "tensorrt_rtx" or tensorrt_rtx_runs_on(gpu.compute_capability))


def runs_here(kind: TensorRTKind) -> bool:
    """Return whether this machine has a GPU that runs plans of this kind; TensorRT-RTX builds for others as well."""
    return kind in usable_tensorrt(first_gpu())


def _why_no_tensorrt(gpu: Gpu) -> str:
    if find_spec("tensorrt_rtx") is None:
        return f"no TensorRT is installed for the {gpu.name}"
    return (
        f"TensorRT-RTX does not run on the {gpu.name} (compute capability {gpu.capability_text}) "
        "and TensorRT is not installed: pip install tensorrt"
    )


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
