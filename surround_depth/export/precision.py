"""A student as a graph of one precision: built into the model or the graph, never left to a builder's choice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx

from surround_depth.errors import EngineMismatchError
from surround_depth.export.onnx_graph import export_onnx
from surround_depth.export.quantize import quantise
from surround_depth.inference.backend import EngineSpec, NetworkInputs
from surround_depth.inference.manifest import EngineKind, Precision
from surround_depth.models.half import HalfStudent
from surround_depth.models.student import Student


def require_precision(engine: EngineKind, precision: Precision) -> None:
    """Refuse a precision from which an engine gains nothing.

    Raises:
        EngineMismatchError: float16 on a CPU: ONNX Runtime computes it in float32 with a cast on either side of each
            operator, so it is slower, and its parity says less than the truth about a GPU that really computes in half.
    """
    if engine == "onnxruntime" and precision == "fp16":
        raise EngineMismatchError(
            "--precision fp16: ONNX Runtime has no half arithmetic on a CPU (it casts to float32 and back, which is "
            "slower than fp32); use fp32 or int8, or fp16 with --engine tensorrt or tensorrt_rtx"
        )


def export_at(
    precision: Precision, student: Student, spec: EngineSpec, path: Path, calibration: Sequence[NetworkInputs]
) -> onnx.ModelProto:
    """Write the student as an audited ONNX file of this precision and return the graph.

    fp32 is the student itself. fp16 is `HalfStudent`: features in half, geometry, normalisations and depth in float32.
    int8 is the fp32 graph with Q/DQ around its convolutions, see `quantize`.

    Args:
        calibration: frames that int8 reads its ranges off; empty for the others.

    Raises:
        EngineMismatchError: as `export_onnx` and `quantise`.
        DataError: a weight that float16 does not hold.
    """
    if precision == "fp16":
        return export_onnx(HalfStudent(student), spec, path)
    graph = export_onnx(student, spec, path)
    return quantise(graph, calibration, path) if precision == "int8" else graph
