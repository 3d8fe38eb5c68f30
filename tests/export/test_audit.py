"""One failing graph per rule: the audit names the node, the module that made it, and the way out."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import onnx
import pytest
from onnx import TensorProto, helper
from tiny_engine import SPEC, tiny_graph

from surround_depth.errors import EngineMismatchError
from surround_depth.export.audit import audit_graph
from surround_depth.export.graph_names import SCOPE_KEY, module_path

Spoil = Callable[[onnx.ModelProto], object]


def append(op: str, *inputs: str, scopes: str | None = None, **attributes: object) -> Spoil:
    def spoil(model: onnx.ModelProto) -> None:
        node = helper.make_node(op, list(inputs), [f"{op}_out"], f"bad_{op}", **attributes)
        if scopes is not None:
            node.metadata_props.add(key=SCOPE_KEY, value=scopes)
        model.graph.node.append(node)

    return spoil


def make_external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def make_dynamic(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"


def drop_cast(model: onnx.ModelProto) -> None:
    model.graph.node[0].CopyFrom(helper.make_node("Unsqueeze", ["images", "last"], ["pixels"], "batch_axis"))


def swap_outputs(model: onnx.ModelProto) -> None:
    first, second = (onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in model.graph.output)
    del model.graph.output[:]
    model.graph.output.extend([second, first])


def round_poses(model: onnx.ModelProto) -> None:
    """The sum over a pose in half, cast back at once: nothing but the audit would tell."""
    (place,) = (i for i, node in enumerate(model.graph.node) if node.name == "poses_sum")
    total = model.graph.node[place]
    narrow = helper.make_node("Cast", ["T_ego_cam"], ["half_pose"], "narrow", to=TensorProto.FLOAT16)
    wide = helper.make_node("Cast", ["half_sum"], ["poses_sum"], "wide", to=TensorProto.FLOAT)
    total.input[0], total.output[0] = "half_pose", "half_sum"
    nodes = [*model.graph.node[:place], narrow, total, wide, *model.graph.node[place + 1 :]]
    kept = [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del model.graph.node[:]
    model.graph.node.extend(kept)


RULES: dict[str, tuple[Spoil, str]] = {
    "grid sample": (
        append("GridSample", "depth_m", "rays"),
        "module '.': several parsers read bilinear as NEAREST",
    ),
    "nearest grid sample": (append("GridSample", "depth_m", "rays", mode="nearest"), "read bilinear as NEAREST"),
    "inverse": (append("Inverse", "T_ego_cam"), "write the closed form"),
    "determinant": (append("Det", "T_ego_cam"), "write the closed form"),
    "attention": (append("Attention", "rays", "rays", "rays"), "opset-23"),
    "loop": (append("Loop", "one"), "control flow"),
    "antialias": (append("Resize", "depth_m", "", "one", antialias=1), "antialiased resize"),
    "region": (append("Resize", "depth_m", "roi", "one"), "region of interest"),
    "scatter": (append("ScatterND", "a", "b", "c", reduction="add"), "scatter with a reduction"),
    "scatter elements": (append("ScatterElements", "a", "b", "c", reduction="max"), "scatter with a reduction"),
    "external": (make_external, "external data"),
    "dynamic": (make_dynamic, r"input 'images' is UINT8 \['N', 64, 96, 3\], expected static \[2, 64, 96, 3\]"),
    "uint8": (drop_cast, "Unsqueeze 'batch_axis' of module '.': reads the uint8 input; Cast must come first"),
    "domain": (lambda m: m.opset_import.append(helper.make_opsetid("com.microsoft", 1)), "domain 'com.microsoft'"),
    "function": (lambda m: m.functions.add(name="helper"), "local function 'helper'"),
    "half geometry": (round_poses, r"ReduceSum 'poses_sum' of module '.': geometry in half precision"),
    "order": (swap_outputs, r"outputs \['confidence', 'depth_m'\], expected \['depth_m', 'confidence'\]"),
}


@pytest.mark.parametrize("spoil, complaint", RULES.values(), ids=RULES.keys())
def test_the_rule_bites(spoil: Spoil, complaint: str) -> None:
    model = tiny_graph()
    spoil(model)
    with pytest.raises(EngineMismatchError, match=complaint):
        audit_graph(model, SPEC)


@pytest.mark.parametrize("opset", [17, 20, 23])
def test_another_opset_is_refused(opset: int) -> None:
    with pytest.raises(EngineMismatchError, match=f"opset {opset}, expected 18"):
        audit_graph(tiny_graph(opset), SPEC)


def test_a_good_graph_passes_and_another_rig_does_not() -> None:
    audit_graph(tiny_graph(), SPEC)
    with pytest.raises(EngineMismatchError, match=r"expected static \[3, 64, 96, 3\]"):
        audit_graph(tiny_graph(), dataclasses.replace(SPEC, n_cameras=3))


def test_a_plain_scatter_and_resize_pass() -> None:
    model = tiny_graph()
    append("ScatterND", "a", "b", "c")(model)
    append("Resize", "depth_m", "", "one", mode="linear")(model)
    audit_graph(model, SPEC)


def test_the_module_is_named() -> None:
    model = tiny_graph()
    append("Inverse", "T_ego_cam", scopes="['', 'metric', 'metric.student', 'metric.student.rays', 'inverse']")(model)
    assert module_path(model.graph.node[-1]) == "metric.student.rays"
    with pytest.raises(EngineMismatchError, match=r"Inverse 'bad_Inverse' of module 'metric\.student\.rays'"):
        audit_graph(model, SPEC)
    model.graph.node[-1].metadata_props[0].value = "__import__('os')"
    assert module_path(model.graph.node[-1]) == "?"
