"""Refuse a graph that computes geometry, bins or depth in anything less than float32.

Two walks find what that is, without a list of names. Forwards from `rays` and `T_ego_cam`, until a layer with weights
makes features of them: half precision there displaced projections by most of a pixel (tensorrt.md, 3). Backwards from
`depth_m` to the last layers with weights: the bins, the ground prior and the upsampling, where half has three decimals
for eighty metres. In between lie features, which bear half precision and int8.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import TensorProto

from surround_depth.export.graph_names import describe_node, student_part

GEOMETRY_INPUTS = ("rays", "T_ego_cam")
_HALF = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
_QUANTISERS = {"QuantizeLinear", "DequantizeLinear"}
_MOVES = {"Cast", "Concat", "Expand", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose"}
_MOVES |= {"Unsqueeze", "Flatten"}
"""They round nothing that is not rounded already."""


def precision_findings(model: onnx.ModelProto) -> Iterator[str]:
    """Yield one line for each node that rounds geometry or depth, with the node and the module that made it."""
    inferred = onnx.shape_inference.infer_shapes(model).graph
    types = {value.name: value.type.tensor_type.elem_type for value in (*inferred.value_info, *inferred.output)}
    weights = {tensor.name for tensor in model.graph.initializer}
    for where, nodes in (
        ("geometry", _of_geometry(model, weights)),
        ("depth", _of_depth(model, weights)),
    ):
        for node in nodes:
            if node.op_type in _QUANTISERS:
                yield f"{describe_node(node)}: int8 on {where}; quantise convolutions of encoder and decoder alone"
            elif node.op_type not in _MOVES and any(types.get(name) in _HALF for name in node.output):
                yield f"{describe_node(node)}: {where} in half precision; compute it in float32"


def _of_geometry(model: onnx.ModelProto, weights: set[str]) -> list[onnx.NodeProto]:
    """The nodes that compute with rays and poses, before a layer with weights or the fusion makes features of them."""
    reached, found = set(GEOMETRY_INPUTS), []
    for node in model.graph.node:  # in topological order, as ONNX demands
        if not reached.isdisjoint(node.input) and not _makes_features(node, weights):
            reached.update(node.output)
            found.append(node)
    return found


def _of_depth(model: onnx.ModelProto, weights: set[str]) -> list[onnx.NodeProto]:
    """The nodes between the last layers with weights and the metres."""
    needed, found = {"depth_m"}, []
    for node in reversed(model.graph.node):
        if not needed.isdisjoint(node.output) and not _makes_features(node, weights):
            needed.update(node.input)
            found.append(node)
    return found


def _makes_features(node: onnx.NodeProto, weights: set[str]) -> bool:
    linear = node.op_type == "MatMul" and not weights.isdisjoint(node.input)
    return node.op_type in ("Conv", "Gemm") or linear or student_part(node) == "fusion"
