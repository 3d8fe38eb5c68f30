"""Hand-built graphs that round what must not be rounded: the audit names the node and its module; features may be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from surround_depth.export.audit_precision import precision_findings
from surround_depth.export.graph_names import SCOPE_KEY

HALF, FULL = TensorProto.FLOAT16, TensorProto.FLOAT
ZERO_POINT = ("scale", "zero")


def node(op: str, inputs: Sequence[str], output: str, part: str = "rays", **attributes: object) -> onnx.NodeProto:
    made = helper.make_node(op, inputs, [output], f"{op}_{output}", **attributes)
    made.metadata_props.add(key=SCOPE_KEY, value=f"['', 'student', 'student.{part}', 'leaf']")
    return made


def graph(nodes: Sequence[onnx.NodeProto]) -> onnx.ModelProto:
    """Rays in, depth out, both [1, 3, 4, 4], with the weights of a 1x1 convolution in float32 and in half."""
    constants = {
        "weight": np.ones((3, 3, 1, 1), np.float32),
        "weight_half": np.ones((3, 3, 1, 1), np.float16),
        "scale": np.float32(0.1),
        "zero": np.int8(0),
        "axis": np.array([0], np.int64),
    }
    inputs = [
        helper.make_tensor_value_info("rays", FULL, [1, 3, 4, 4]),
        helper.make_tensor_value_info("T_ego_cam", FULL, [1]),
    ]
    outputs = [helper.make_tensor_value_info("depth_m", FULL, [1, 3, 4, 4])]
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    body = helper.make_graph(list(nodes), "tiny", inputs, outputs, initializers)
    return helper.make_model(body, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


EMBED_IN_HALF = [
    node("Log", ["rays"], "log"),
    node("Cast", ["log"], "half", to=HALF),
    node("Conv", ["half", "weight_half"], "features", "decoder"),
    node("Relu", ["features"], "active", "decoder"),
    node("Cast", ["active"], "wide", "head", to=FULL),
    node("Conv", ["wide", "weight"], "logits", "head"),
    node("Exp", ["logits"], "depth_m", "upsample"),
]

REFUSED = {
    "rays are scaled in half": (
        [
            node("Cast", ["rays"], "half", to=HALF),
            node("Mul", ["half", "half"], "squared"),
            node("Conv", ["squared", "weight_half"], "features", "decoder"),
            node("Cast", ["features"], "depth_m", to=FULL),
        ],
        "Mul 'Mul_squared' of module 'student.rays': geometry in half precision",
    ),
    "a pose is subtracted in half, after a reshape": (
        [
            node("Cast", ["T_ego_cam"], "half", to=HALF),
            node("Unsqueeze", ["half", "axis"], "moved"),
            node("Sub", ["moved", "moved"], "difference"),
            node("Cast", ["difference"], "wide", to=FULL),
            node("Add", ["rays", "wide"], "shifted"),
            node("Conv", ["shifted", "weight"], "depth_m", "head"),
        ],
        "Sub 'Sub_difference' of module 'student.rays': geometry in half precision",
    ),
    "depth is decoded in half": (
        [
            node("Conv", ["rays", "weight"], "logits", "head"),
            node("Cast", ["logits"], "half", "bins", to=HALF),
            node("Exp", ["half"], "metres", "bins"),
            node("Cast", ["metres"], "depth_m", "bins", to=FULL),
        ],
        "Exp 'Exp_metres' of module 'student.bins': depth in half precision",
    ),
    "rays are quantised": (
        [
            node("QuantizeLinear", ["rays", *ZERO_POINT], "q"),
            node("DequantizeLinear", ["q", *ZERO_POINT], "dq"),
            node("Conv", ["dq", "weight"], "depth_m", "decoder"),
        ],
        "QuantizeLinear 'QuantizeLinear_q' of module 'student.rays': int8 on geometry",
    ),
    "bins are quantised": (
        [
            node("Conv", ["rays", "weight"], "logits", "head"),
            node("QuantizeLinear", ["logits", *ZERO_POINT], "q", "bins"),
            node("DequantizeLinear", ["q", *ZERO_POINT], "dq", "bins"),
            node("Exp", ["dq"], "depth_m", "bins"),
        ],
        "int8 on depth",
    ),
}


@pytest.mark.parametrize("nodes, complaint", REFUSED.values(), ids=REFUSED.keys())
def test_what_must_be_exact_is_named(nodes: list[onnx.NodeProto], complaint: str) -> None:
    assert any(complaint in finding for finding in precision_findings(graph(nodes)))


def test_features_may_be_half_or_int8() -> None:
    assert list(precision_findings(graph(EMBED_IN_HALF))) == []
    quantised = [
        node("Conv", ["rays", "weight"], "embedded", "rays"),
        node("QuantizeLinear", ["embedded", *ZERO_POINT], "q", "decoder"),
        node("DequantizeLinear", ["q", *ZERO_POINT], "dq", "decoder"),
        node("Conv", ["dq", "weight"], "logits", "head"),
        node("Exp", ["logits"], "depth_m", "upsample"),
    ]
    assert list(precision_findings(graph(quantised))) == []
