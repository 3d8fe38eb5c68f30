"""The engines of a parity ladder, opened one after another: a graph, or a plan where a GPU can run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from surround_depth.inference.backend import Backend, EngineSpec
from surround_depth.inference.manifest import EngineKind, Precision, TensorRTRecord
from surround_depth.inference.onnxruntime_backend import OnnxRuntimeBackend
from surround_depth.inference.tensorrt_backend import TensorRTBackend


@dataclass(frozen=True)
class PlannedRung:
    """One engine to prove: its bound goes by its precision."""

    name: str
    precision: Precision
    open: Callable[[], Backend]


def graph_rung(engine: EngineKind, precision: Precision, onnx: Path, spec: EngineSpec) -> PlannedRung:
    """Return the rung of a graph as a CPU engine runs it; a TensorRT engine's graph is run by ONNX Runtime."""
    if engine == "openvino":
        return PlannedRung(f"openvino {precision}", precision, lambda: _openvino(onnx, spec))
    return PlannedRung(f"onnxruntime {precision}", precision, lambda: OnnxRuntimeBackend(onnx.read_bytes(), spec))


def plan_rung(record: TensorRTRecord, precision: Precision, plan: Path, spec: EngineSpec) -> PlannedRung:
    """Return the rung of a plan, for a machine with a GPU."""
    return PlannedRung(
        f"{record.library} {precision}",
        precision,
        lambda: TensorRTBackend(plan.read_bytes(), spec, kind=record.library, build=record),
    )


def _openvino(onnx: Path, spec: EngineSpec) -> Backend:
    from surround_depth.inference.openvino_backend import OpenVinoBackend

    return OpenVinoBackend(onnx.read_bytes(), spec)
