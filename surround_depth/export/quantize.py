"""Explicit int8 for the convolutions of an exported student: Q/DQ nodes, the one form every engine reads alike.

Quantised are the convolutions of the encoder and the decoder: weights symmetric per output channel, their inputs
symmetric per tensor (TensorRT takes no zero point), biases and results in float32. Never quantised, by module name:
`rays` (geometry: metres and angles in one tensor), `head` and `upsample` (1x1 convolutions whose output channels are
metres, logits and weights at once, and cost next to nothing). Around them the graph stays float32: at opset 18 a
`QuantizeLinear` reads float32 alone, so int8 inside a half graph would need a cast on either side of every one.

Owns onnxruntime.quantization.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from surround_depth.errors import EngineMismatchError
from surround_depth.export.audit import module_path
from surround_depth.inference.backend import NetworkInputs

QUANTISED_PARTS = ("encoder", "decoder")
"""The student's children whose convolutions become int8."""
PERCENTILE = 99.99
"""Of a tensor's values, how many in a hundred its range holds. On streets the one largest in ten thousand stretches the
range so far that all others lose a bit: with the whole range (or entropy's) int8 moves depth by 0.63 %, with this one
by 0.43 % (nano_synthetic, four held-out moments of six cameras)."""


def quantisable_convolutions(model: onnx.ModelProto) -> list[str]:
    """Return the names of the nodes that int8 is for, in the graph's order."""
    return [node.name for node in model.graph.node if node.op_type == "Conv" and _part(node) in QUANTISED_PARTS]


def quantise(model: onnx.ModelProto, frames: Sequence[NetworkInputs], path: Path) -> onnx.ModelProto:
    """Write the graph with its convolutions in int8 to `path` and return it.

    Args:
        model: an audited float32 graph with the names of its modules (`export_onnx`); it is not changed.
        frames: what the activations' ranges are read off: frames as the engine will see them.

    Raises:
        EngineMismatchError: no frame, no convolution to quantise, or the quantiser fails.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    chosen = quantisable_convolutions(model)
    if not frames or not chosen:
        what = "frames to calibrate on" if not frames else f"convolution of {' or '.join(QUANTISED_PARTS)}"
        raise EngineMismatchError(f"int8: there is no {what}")
    with _quiet_quantiser():
        try:
            quantize_static(
                onnx.ModelProto.FromString(model.SerializeToString()),  # it changes what it is given
                path,
                _Frames(frames),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                nodes_to_quantize=chosen,
                per_channel=True,
                activation_type=QuantType.QInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.Percentile,
                extra_options={
                    "CalibPercentile": PERCENTILE,
                    "ActivationSymmetric": True,
                    "WeightSymmetric": True,
                    "QuantizeBias": False,  # int32 biases are ONNX Runtime's own; TensorRT adds them in float32
                    "OpTypesToExcludeOutputQuantization": ["Conv"],
                },
            )
        except (RuntimeError, ValueError, AssertionError) as error:
            raise EngineMismatchError(f"int8: the quantiser fails: {' '.join(str(error).split())[:300]}") from error
    return onnx.load(path)


class _Frames:
    """The quantiser's calibration reader."""

    def __init__(self, frames: Sequence[NetworkInputs]) -> None:
        self._rest = iter(frames)

    def get_next(self) -> dict[str, np.ndarray] | None:
        frame = next(self._rest, None)
        return None if frame is None else frame.as_feeds()


def _part(node: onnx.NodeProto) -> str:
    """Return the student's child that made a node: "encoder" of "student.encoder.backbone"."""
    return (module_path(node).removeprefix("student.") + ".").split(".")[0]


@contextlib.contextmanager
def _quiet_quantiser() -> Iterator[None]:
    """It prints its progress and recommends, through the root logger, a pre-processing that the exporter has done."""
    root: Any = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
