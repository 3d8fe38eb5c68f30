"""A student as a graph of one precision: built into the model or the graph, never left to a builder's choice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx

from surround_depth.errors import EngineMismatchError
from surround_depth.export.audit import audit_graph
from surround_depth.export.onnx_graph import export_onnx
from surround_depth.export.quantize import Int8Form, quantise
from surround_depth.inference.backend import EngineSpec, NetworkInputs
from surround_depth.inference.manifest import EngineKind, Precision
from surround_depth.models.half import HalfStudent
from surround_depth.models.student import Student

CPU_ENGINES: tuple[EngineKind, ...] = ("onnxruntime", "openvino")


def require_precision(engine: EngineKind, precision: Precision) -> None:
    """Refuse a precision from which an engine gains nothing.

    Raises:
        EngineMismatchError: float16 on a CPU. ONNX Runtime computes it in float32 with a cast on either side of each
            operator, so it is slower, and its parity says less than the truth about a GPU that really computes in half.
    """
    if precision == "fp16" and engine in CPU_ENGINES:
        raise EngineMismatchError(
            f"--precision fp16: {engine} runs on a CPU, which computes half precision in float32 and is slower for it; "
            "use fp32 or int8, or fp16 with --engine tensorrt or tensorrt_rtx"
        )


def int8_form(engine: EngineKind) -> Int8Form:
    """Return the form of int8 that this engine computes in integers."""
    return "asymmetric" if engine in CPU_ENGINES else "symmetric"


def export_at(
    precision: Precision,
    student: Student,
    spec: EngineSpec,
    path: Path,
    *,
    calibration: Sequence[NetworkInputs] = (),
    form: Int8Form = "symmetric",
) -> onnx.ModelProto:
    """Write the student as an audited ONNX file of this precision and return the graph.

    fp32 is the student itself. fp16 is `HalfStudent`: features in half, geometry, normalisations and depth in float32.
    int8 is the fp32 graph with Q/DQ around its convolutions, see `quantize`.

    Args:
        calibration: frames that int8 reads its ranges off; the others need none.
        form: of int8.

    Raises:
        EngineMismatchError: as `export_onnx` and `quantise`.
        DataError: a weight that float16 does not hold.
    """
    if precision == "fp16":
        return export_onnx(HalfStudent(student), spec, path)
    graph = export_onnx(student, spec, path)
    if precision == "int8":
        graph = quantise(graph, calibration, path, form=form)
        audit_graph(graph, spec)
    return graph
