"""ONNX to a TensorRT or TensorRT-RTX plan. One module for both and for every version: it asks what the library has.

The builder runs in a process of its own (`python -m surround_depth.export.tensorrt_build`), because it is native code
that has been seen to crash on a graph it did not like: a crash becomes one line here, and the log stays on disk.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surround_depth.errors import EngineMismatchError, MissingDependencyError, SurroundDepthError
from surround_depth.files import write_atomic
from surround_depth.inference.gpu import cuda_device_count, gpu_name
from surround_depth.inference.manifest import VERSION_COMPATIBLE, EngineKind, TensorRTRecord
from surround_depth.inference.tensorrt_library import TensorRTKind, load_tensorrt, make_logger

DEFAULT_WORKSPACE_MIB = 2048
LAYERS_NAME = "layers.json"
LOG_NAME = "build.log"
TIME_LIMIT_S = 3600.0
_LISTED_LAYER = re.compile(
    r"Name: (?P<name>.+), LayerType: (?P<type>\w+), Inputs: \[(?P<inputs>.*?)\](?:, Constants: .*?\])?, "
    r"Outputs: \[(?P<outputs>.*)\], TacticName"
)
_DATATYPE = re.compile(r"Datatype: (\w+)")
_FLAGS = ("STRONGLY_TYPED", "ProfilingVerbosity.DETAILED", "no TF32")


@dataclass(frozen=True)
class PlanOptions:
    """What the builder may use, and where else its plan shall run. All but the workspace are TensorRT's alone."""

    workspace_mib: int = DEFAULT_WORKSPACE_MIB
    timing_cache: Path | None = None
    """A file of kernel timings to read and to extend: a second build of the same layers on the same GPU is faster."""
    hardware_compatible: bool = False
    """The plan also runs on other GPUs from Ampere on, more slowly than one that was timed there."""
    version_compatible: bool = False
    """The plan also runs on later versions of the same major TensorRT, with the lean runtime inside it."""


@dataclass(frozen=True)
class PlanFiles:
    """Where a build reads and writes."""

    onnx: Path
    plan: Path
    layers: Path
    log: Path


def require_buildable(kind: TensorRTKind) -> None:
    """Refuse, before anything is exported, an engine that cannot be built here.

    Raises:
        MissingDependencyError: the library is not installed.
        EngineMismatchError: TensorRT without a GPU (TensorRT-RTX builds without one).
    """
    load_tensorrt(kind)
    if kind == "tensorrt" and cuda_device_count() == 0:
        raise EngineMismatchError(
            "engine 'tensorrt' times its kernels on the GPU it builds for, and the driver offers none; build on the "
            "target, or use --engine tensorrt_rtx (builds without a GPU) or --engine onnxruntime"
        )


def tensorrt_kind(engine: EngineKind) -> TensorRTKind | None:
    """Return which TensorRT compiles a plan of this engine, None for one that runs the graph itself."""
    return engine if engine == "tensorrt" or engine == "tensorrt_rtx" else None


def require_plan_options(kind: TensorRTKind | None, options: PlanOptions) -> None:
    """Refuse an option that this engine's builder has not.

    Raises:
        EngineMismatchError: an option of TensorRT with another engine.
    """
    if kind == "tensorrt":
        return
    reasons = {
        "--timing-cache": (options.timing_cache is not None, "nothing is timed before the plan is loaded"),
        "--hardware-compatible": (options.hardware_compatible, "its engines are not bound to the GPU that built them"),
        "--version-compatible": (options.version_compatible, "TensorRT-RTX cannot build such a plan without a GPU"),
    }
    for option, (is_set, reason) in reasons.items():
        if is_set:
            raise EngineMismatchError(f"{option} is for --engine tensorrt alone: {reason}; leave it out")


def build_plan(
    kind: TensorRTKind,
    files: PlanFiles,
    options: PlanOptions = PlanOptions(),
    *,
    time_limit_s: float = TIME_LIMIT_S,
) -> TensorRTRecord:
    """Build the plan in a child process and return what it is bound to. Writes the plan, the layers and the log.

    Raises:
        EngineMismatchError: the parser or the builder refuses the graph, crashes, or takes longer than `time_limit_s`.
        MissingDependencyError: the library is not installed.
    """
    require_buildable(kind)
    command = [sys.executable, "-m", __name__, kind, str(files.onnx), str(files.plan), str(files.layers)]
    command += _as_arguments(options)
    with files.log.open("w", encoding="utf-8") as log:
        try:
            status = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, timeout=time_limit_s).returncode
        except subprocess.TimeoutExpired as error:
            raise EngineMismatchError(f"the {kind} builder took over {time_limit_s:.0f} s and was stopped") from error
    if status != 0:
        how = f"crashed (signal {-status})" if status < 0 else "refused the graph"
        raise EngineMismatchError(f"the {kind} builder {how}: {_last_error(files.log)}")
    trt = load_tensorrt(kind)
    # An RTX plan is finished for the GPU that loads it; a TensorRT plan belongs to the GPU that it was timed on.
    bound_to = gpu_name() if kind == "tensorrt" and not options.hardware_compatible else None
    asked = {"AMPERE_PLUS": options.hardware_compatible, VERSION_COMPATIBLE: options.version_compatible}
    flags = (*_FLAGS, *(flag for flag, is_set in asked.items() if is_set))
    return TensorRTRecord(library=kind, version=trt.__version__, gpu_name=bound_to, flags=flags)


def build_in_process(kind: TensorRTKind, files: PlanFiles, options: PlanOptions) -> list[str]:
    """Build the plan and its layers here and return the library's log lines (the child's work).

    Raises:
        EngineMismatchError: the graph does not parse, or does not build.
    """
    trt = load_tensorrt(kind)
    logger = make_logger(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(files.onnx.read_bytes()):
        reasons = [f"{parser.get_error(i).node_name()}: {parser.get_error(i).desc()}" for i in range(parser.num_errors)]
        raise EngineMismatchError("the graph does not parse: " + "; ".join(" ".join(r.split()) for r in reasons)[:600])
    config = _builder_config(trt, builder, options)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise EngineMismatchError(f"the builder made no plan: {logger.errors() or 'no reason given'}")
    files.plan.write_bytes(bytes(plan))
    if options.timing_cache is not None:
        write_atomic(options.timing_cache, bytes(config.get_timing_cache().serialize()))
    files.layers.write_text(json.dumps(_layers(trt, logger, bytes(plan)), indent=1), encoding="utf-8")
    return list(logger.lines)


def _builder_config(trt: Any, builder: Any, options: PlanOptions) -> Any:
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_mib << 20)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.clear_flag(trt.BuilderFlag.TF32)  # on by default: float32 with float16's ten bits, against what fp32 says
    if options.hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.timing_cache is not None:
        known = options.timing_cache.read_bytes() if options.timing_cache.is_file() else b""
        if not config.set_timing_cache(config.create_timing_cache(known), False):
            raise EngineMismatchError(
                f"{options.timing_cache}: timings of another GPU or TensorRT version; name another file"
            )
    return config


def _layers(trt: Any, logger: Any, plan: bytes) -> dict[str, Any]:
    """The engine's own account of its layers needs a GPU; without one, what the builder logged of them."""
    if cuda_device_count() > 0:
        engine = trt.Runtime(logger).deserialize_cuda_engine(plan)  # None of a plan with a lean runtime: host code
        if engine is not None:
            text = engine.create_engine_inspector().get_engine_information(trt.LayerInformationFormat.JSON)
            return {"source": "engine inspector", "layers": json.loads(text)}
    return {"source": "builder's log (no GPU here to inspect the plan with)", "layers": logged_layers(logger.lines)}


def logged_layers(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return the compiled layers as the builder lists them at the end of its log: what runs, with its element types."""
    listed = (_LISTED_LAYER.match(line) for message in lines for line in message.splitlines())
    return [
        {
            "name": layer["name"],
            "type": layer["type"],
            "inputs": _DATATYPE.findall(layer["inputs"]),
            "outputs": _DATATYPE.findall(layer["outputs"]),
        }
        for layer in listed
        if layer is not None
    ]


def _last_error(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    wanted = [line for line in lines if line.startswith(("error:", "ERROR", "INTERNAL_ERROR"))]
    return (wanted or lines or ["no output"])[-1][:600]


def _as_arguments(options: PlanOptions) -> list[str]:
    arguments = ["--workspace-mib", str(options.workspace_mib)]
    if options.timing_cache is not None:
        arguments += ["--timing-cache", str(options.timing_cache)]
    arguments += ["--hardware-compatible"] if options.hardware_compatible else []
    return arguments + (["--version-compatible"] if options.version_compatible else [])


def _child() -> int:
    parser = argparse.ArgumentParser(description="Build one plan (called by build_plan).")
    parser.add_argument("kind", choices=("tensorrt", "tensorrt_rtx"))
    for name in ("onnx", "plan", "layers"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--workspace-mib", type=int, required=True)
    parser.add_argument("--timing-cache", type=Path)
    parser.add_argument("--hardware-compatible", action="store_true")
    parser.add_argument("--version-compatible", action="store_true")
    given = vars(parser.parse_args())
    kind, onnx, plan, layers = (given.pop(name) for name in ("kind", "onnx", "plan", "layers"))
    files = PlanFiles(onnx, plan, layers, log=plan.with_name(LOG_NAME))  # the log is this process's output
    try:
        lines = build_in_process(kind, files, PlanOptions(**given))
    except SurroundDepthError as error:
        sys.stdout.write(f"error: {error}\n")
        return 2 if isinstance(error, MissingDependencyError) else 1
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(_child())
