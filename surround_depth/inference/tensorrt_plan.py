"""Opens a plan: what must hold before TensorRT sees its bytes, and what its tensors must be afterwards."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from surround_depth.errors import EngineMismatchError
from surround_depth.inference.backend import EngineSpec
from surround_depth.inference.gpu import Gpu, cuda_device_count
from surround_depth.inference.manifest import VERSION_COMPATIBLE, TensorRTRecord
from surround_depth.inference.tensorrt_library import TensorRTKind, tensorrt_rtx_runs_on

_REBUILD = "rebuild on this machine with python deploy/build_engine.py --engine {kind}"
_RELEASE = re.compile(r"\d+(\.\d+)*")


def require_version(trt: Any, kind: TensorRTKind, build: TensorRTRecord | None) -> None:
    """Refuse a plan of another library version, unless it was built to run on this one.

    Raises:
        EngineMismatchError: another version; of a version-compatible plan an older one or another major version.
    """
    here = trt.__version__
    if build is not None and (build.version == here or _accepts_later(build, here)):
        return
    built = build.version if build else "an unknown version"
    portable = " for itself and later versions of its major release" if is_version_compatible(build) else ""
    raise EngineMismatchError(
        f"the plan was built by {kind} {built}{portable}, this host has {here}; {_REBUILD.format(kind=kind)}"
    )


def is_version_compatible(build: TensorRTRecord | None) -> bool:
    """Return whether the plan was built with --version-compatible; it then carries a lean runtime of its own."""
    return build is not None and VERSION_COMPATIBLE in build.flags


def require_a_gpu(kind: TensorRTKind) -> None:
    """Refuse a machine without a GPU.

    Raises:
        EngineMismatchError: the driver offers none.
    """
    if cuda_device_count() == 0:
        raise EngineMismatchError(
            f"a {kind} plan runs on an NVIDIA GPU and the driver offers none here; "
            "for a CPU rebuild with python deploy/build_engine.py --engine onnxruntime"
        )


def require_gpu(kind: TensorRTKind, build: TensorRTRecord | None, gpu: Gpu) -> None:
    """Refuse another GPU than the plan's. One built ahead of time (gpu_name None) is finished for the GPU it meets.

    Raises:
        EngineMismatchError: another GPU.
    """
    if build is not None and build.gpu_name is not None and build.gpu_name != gpu.name:
        raise EngineMismatchError(
            f"the plan was built for '{build.gpu_name}', this GPU is '{gpu.name}'; {_REBUILD.format(kind=kind)}"
        )


def deserialize(
    trt: Any, logger: Any, plan_bytes: bytes, kind: TensorRTKind, build: TensorRTRecord | None, gpu: Gpu
) -> Any:
    """Return the engine in the plan.

    A plan may carry GPU code. Host code, a lean runtime, only where its manifest, which vouches for its bytes, says
    that it was built version-compatible: TensorRT refuses such a plan otherwise.

    Raises:
        EngineMismatchError: the library refuses it; its own words, and what to build instead.
    """
    runtime = trt.Runtime(logger)
    if is_version_compatible(build):
        runtime.engine_host_code_allowed = True
    engine = runtime.deserialize_cuda_engine(plan_bytes)
    if engine is None:
        if kind == "tensorrt_rtx" and not tensorrt_rtx_runs_on(gpu.compute_capability):
            raise EngineMismatchError(
                f"TensorRT-RTX does not run on the {gpu.name} (compute capability {gpu.capability_text}); install "
                "tensorrt and rebuild on this machine with python deploy/build_engine.py --engine tensorrt"
            )
        said = f"{_validity(runtime, plan_bytes)}{logger.errors()}"
        raise EngineMismatchError(f"{kind} refuses the plan: {said}; {_REBUILD.format(kind=kind)}")
    return engine


def require_declared(trt: Any, engine: Any, spec: EngineSpec) -> None:
    """Refuse a plan whose tensors are not the manifest's.

    Raises:
        EngineMismatchError: other names, shapes or types.
    """
    expected = spec.input_shapes() | spec.output_shapes()
    names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
    if set(names) != set(expected):
        raise EngineMismatchError(f"the plan's tensors are {sorted(names)}, expected {sorted(expected)}")
    for name, shape in expected.items():
        dtype = np.dtype(trt.nptype(engine.get_tensor_dtype(name)))
        wanted = np.dtype(np.uint8 if name == "images" else np.float32)
        if tuple(engine.get_tensor_shape(name)) != shape or dtype != wanted:
            raise EngineMismatchError(
                f"the plan's '{name}' is {dtype} {list(engine.get_tensor_shape(name))}, "
                f"the manifest promises {wanted} {list(shape)}"
            )


def create_context(trt: Any, engine: Any) -> tuple[Any, bool]:
    """Return the execution context, and whether the library captures the CUDA graph by itself."""
    if not hasattr(trt, "CudaGraphStrategy"):
        return engine.create_execution_context(), False
    config = engine.create_runtime_config()
    config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    return engine.create_execution_context(config), True


def _accepts_later(build: TensorRTRecord, here: str) -> bool:
    """NVIDIA promises later runtimes of the same major release: docs.nvidia.com, TensorRT, Engine Compatibility."""
    built, host = _release(build.version), _release(here)
    return is_version_compatible(build) and built[:1] == host[:1] and host >= built


def _release(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: (10, 13, 3, 9) of "10.13.3.9.post1"."""
    match = _RELEASE.match(version)
    return tuple(map(int, match[0].split("."))) if match else ()


def _validity(runtime: Any, plan_bytes: bytes) -> str:
    """Ask a library that can say whether it finds a plan valid for this GPU; it is no proof against tampering."""
    if not hasattr(runtime, "get_engine_validity"):
        return ""
    validity, diagnostics = runtime.get_engine_validity(plan_bytes)
    return f"validity {validity}, diagnostics {diagnostics}; "
