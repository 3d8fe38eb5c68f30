"""Explicit int8 for the convolutions of an exported student: Q/DQ nodes, which say what is quantised and what is not.

Quantised are the convolutions of the encoder and the decoder, weights symmetric per output channel. Not quantised:

- `rays`: geometry, metres and angles in one tensor.
- `head`, `upsample`: 1x1 convolutions whose channels are logits, residuals and weights at once, next to no work. They
  read what the last convolution of the decoder stored.
- the first convolution, where it reads pixels that eight bits do not hold exactly: see `exact_pixels`.

Around them the graph stays float32: at opset 18 a `QuantizeLinear` reads float32 alone, so int8 inside a half graph
would need a cast on either side of every one.

Measured with nano_synthetic at 6 x 192 x 352 on eight moments of the demo's drives, ranges off others (ONNX Runtime;
`deploy/check_parity.py --data out/demo/data --calibration out/synthetic`): depth moves by 0.52 % in the mean and 5.3 %
at p99; AbsRel against exact depth is 0.1382 (float32: 0.1376). Owns onnxruntime.quantization.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from onnx import numpy_helper

from surround_depth.errors import EngineMismatchError
from surround_depth.export.graph_names import student_part
from surround_depth.inference.backend import NetworkInputs

QUANTISED_PARTS = ("encoder", "decoder")
"""The student's children whose convolutions become int8."""
PERCENTILE = 99.99
"""Of a tensor's values, how many in a hundred its range holds. Tried: 99.9 clips what matters (depth moves by 1.2 %
instead of 0.5 %); whole ranges are as good for this student and were worse for the one before (0.63 instead of 0.43 %),
where one activation in ten thousand stretched them so far that all others lost a bit."""

Int8Form = Literal["symmetric", "asymmetric"]
"""`symmetric`: inputs of convolutions int8 around zero, results and biases in float32, as TensorRT wants them.
`asymmetric`: inputs uint8 with a zero point, results and biases quantised too: what ONNX Runtime's integer convolution
asks for on a CPU (it runs the symmetric form in float32, with conversions, at 1.5 times the float32 graph's time);
OpenVINO takes either."""

_OPTIONS: dict[Int8Form, dict[str, Any]] = {
    "symmetric": {
        "ActivationSymmetric": True,
        "QuantizeBias": False,
        "OpTypesToExcludeOutputQuantization": ["Conv"],
    },
    "asymmetric": {},
}
_CLIPPED_BY_RANGE: dict[Int8Form, tuple[str, ...]] = {"symmetric": (), "asymmetric": ("Relu",)}
"""What an unsigned range does by itself: a ReLU that alone reads a quantised convolution is dropped, and no stored
value is spent on what it cuts off. One behind a sum stays."""
_EXACT_MEANS: dict[Int8Form, range] = {"symmetric": range(128, 129), "asymmetric": range(256)}
"""Means that a zero point can be: of signed numbers around zero, half of 256 alone."""
_SEEN = 1.0 + 2.0**-20
"""OpenVINO takes a quantisation that changes nothing out of the graph, and then convolves in float32. A scale that is
off by less than float32's sums are rounds to the same pixels and stays; the normalisation goes instead."""


@dataclass(frozen=True)
class PixelRange:
    """How the first convolution's input is eight bits without rounding: `tensor = (stored - zero_point) * scale`."""

    tensor: str
    scale: float
    zero_point: int
    weight: str
    """Of that convolution."""


def exact_pixels(model: onnx.ModelProto, form: Int8Form) -> PixelRange | None:
    """Return how eight bits hold the normalised pixels exactly, None where they do not.

    They do where all channels have one mean and one standard deviation and the mean is a whole number (for `symmetric`,
    128): then the stored number is the pixel itself. ImageNet's three of each would be rounded once more, to a common
    scale.
    """
    convolutions = _of_type(model, "Conv")
    made_by = {output: node for node in model.graph.node for output in node.output}
    divide = made_by.get(convolutions[0].input[0]) if convolutions else None
    subtract = made_by.get(divide.input[0]) if divide is not None and divide.op_type == "Div" else None
    if divide is None or subtract is None or subtract.op_type != "Sub":
        return None
    mean, std = (_one_value(model, node.input[1]) for node in (subtract, divide))
    if mean is None or std is None or mean not in _EXACT_MEANS[form]:
        return None
    zero_point = int(mean) if form == "asymmetric" else 0
    return PixelRange(divide.output[0], _SEEN / std, zero_point, convolutions[0].input[1])


def quantisable_convolutions(model: onnx.ModelProto, form: Int8Form) -> list[str]:
    """Return the names of the nodes that int8 is for, in the graph's order."""
    found = _of_type(model, "Conv")
    return [node.name for node in (found if exact_pixels(model, form) else found[1:])]


def _of_type(model: onnx.ModelProto, op_type: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == op_type and student_part(node) in QUANTISED_PARTS]


def _one_value(model: onnx.ModelProto, name: str) -> float | None:
    """Return the only value of a constant; None where it has several, or is none."""
    values = {float(v) for t in model.graph.initializer if t.name == name for v in numpy_helper.to_array(t).flat}
    return values.pop() if len(values) == 1 else None


def quantise(
    model: onnx.ModelProto, frames: Sequence[NetworkInputs], path: Path, *, form: Int8Form = "symmetric"
) -> onnx.ModelProto:
    """Write the graph with its convolutions in int8 to `path` and return it.

    Args:
        model: an audited float32 graph with the names of its modules (`export_onnx`); it is not changed.
        frames: what the activations' ranges are read off: frames as the engine will see them.
        form: what the engine computes with.

    Raises:
        EngineMismatchError: no frame, no convolution to quantise, or the quantiser fails.
    """
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    chosen = quantisable_convolutions(model, form)
    if not frames or not chosen:
        what = "frame to calibrate on" if not frames else f"convolution of {' or '.join(QUANTISED_PARTS)}"
        raise EngineMismatchError(f"int8: there is no {what}")
    with _quiet_quantiser():
        try:
            quantize_static(
                onnx.ModelProto.FromString(model.SerializeToString()),  # it changes what it is given
                path,
                _Frames(frames),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv", *_CLIPPED_BY_RANGE[form]],
                nodes_to_quantize=[*chosen, *(n.name for op in _CLIPPED_BY_RANGE[form] for n in _of_type(model, op))],
                per_channel=True,
                activation_type=QuantType.QInt8 if form == "symmetric" else QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.Percentile,
                extra_options={
                    "CalibPercentile": PERCENTILE,
                    "CalibStridedMinMax": 1,  # one frame after another, whatever its name says: all maps of all
                    # frames at once are gigabytes
                    "WeightSymmetric": True,
                    "TensorQuantOverrides": _overrides(exact_pixels(model, form), form),
                    **_OPTIONS[form],
                },
            )
        except (RuntimeError, ValueError, AssertionError) as error:
            raise EngineMismatchError(f"int8: the quantiser fails: {' '.join(str(error).split())[:300]}") from error
    return onnx.load(path)


def _overrides(pixels: PixelRange | None, form: Int8Form) -> dict[str, list[dict[str, Any]]]:
    """The pixels' scale, and for a CPU weights of seven bits: one without VNNI adds two products in 16 bits, and pixels
    fill all eight, unlike the activations of other convolutions. With eight, depth moved by 2.3 % there, not 0.6 %."""
    if pixels is None:
        return {}
    zero_point = np.array(pixels.zero_point, np.int8 if form == "symmetric" else np.uint8)
    overrides: dict[str, list[dict[str, Any]]] = {
        pixels.tensor: [{"scale": np.array(pixels.scale, np.float32), "zero_point": zero_point}]
    }
    if form == "asymmetric":
        overrides[pixels.weight] = [{"axis": 0, "symmetric": True, "reduce_range": True}]
    return overrides


class _Frames:
    """The quantiser's calibration reader: it hands out the frames of a range that is set before."""

    def __init__(self, frames: Sequence[NetworkInputs]) -> None:
        self._frames = frames
        self._rest = iter(frames)

    def __len__(self) -> int:
        return len(self._frames)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._rest = iter(self._frames[start_index:end_index])

    def get_next(self) -> dict[str, np.ndarray] | None:
        frame = next(self._rest, None)
        return None if frame is None else frame.as_feeds()


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
