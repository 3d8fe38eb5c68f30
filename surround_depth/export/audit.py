"""Refuse a graph that some engine cannot take, or would take wrongly, naming the node and the module that made it.

The rules are those of the engines (TensorRT 10.x to 11.x, TensorRT-RTX, OpenVINO), each seen failing by experiment:
a graph that passes here is one that parses everywhere and means the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from surround_depth.errors import EngineMismatchError
from surround_depth.export.audit_precision import precision_findings
from surround_depth.export.graph_names import describe_node
from surround_depth.inference.backend import EngineSpec

OPSET = 18
"""From opset 20 the parsers of TensorRT 10.x to 11.1 read bilinear GridSample as NEAREST (NVIDIA/TensorRT#4646)."""
MAX_NODES = 20_000
MAX_GRAPH_BYTES = 2**31 - 1

_REFUSED_OPS = {
    "GridSample": "several parsers read bilinear as NEAREST, none reads 5-D; sample with gathers",
    "Inverse": "no engine has it; write the closed form",
    "Det": "no engine has it; write the closed form",
    "Attention": "an opset-23 node that crashes the TensorRT builder; use MatMul and Softmax",
    "Loop": "control flow is not static",
    "If": "control flow is not static",
    "Scan": "control flow is not static",
    "NonZero": "its output size depends on the data",
}


def audit_graph(model: onnx.ModelProto, spec: EngineSpec) -> None:
    """Check the graph against the engines' rules and the engine's declared tensors.

    Raises:
        EngineMismatchError: lists every finding, each with its node, the module that made it, and the way out.
    """
    findings = [*_file_findings(model), *_tensor_findings(model, spec), *_uint8_findings(model)]
    for node in model.graph.node:
        findings += [f"{describe_node(node)}: {reason}" for reason in _node_findings(node)]
    if not findings:  # types are inferred of a graph that is otherwise sound
        findings += precision_findings(model)
    if findings:
        raise EngineMismatchError("the graph is not for engines: " + "; ".join(findings))


def _file_findings(model: onnx.ModelProto) -> Iterator[str]:
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if versions.get("") != OPSET:
        yield f"opset {versions.get('')}, expected {OPSET}"
    for domain in sorted(set(versions) - {"", "ai.onnx"}):
        yield f"operators of domain {domain!r}: engines know the standard ones"
    if len(model.functions):
        yield f"local function {model.functions[0].name!r}: inline it"
    if len(model.graph.node) > MAX_NODES:
        yield f"{len(model.graph.node)} nodes, over {MAX_NODES}"
    if model.ByteSize() > MAX_GRAPH_BYTES:
        yield f"{model.ByteSize()} bytes, over {MAX_GRAPH_BYTES} (one protobuf file)"
    for tensor in _tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data):
            yield f"tensor {tensor.name!r} lies in external data; the graph must be one file"


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t


def _tensor_findings(model: onnx.ModelProto, spec: EngineSpec) -> Iterator[str]:
    for kind, values, expected in (
        ("input", model.graph.input, spec.input_shapes()),
        ("output", model.graph.output, spec.output_shapes()),
    ):
        if [value.name for value in values] != list(expected):
            yield f"{kind}s {[value.name for value in values]}, expected {list(expected)} in this order"
            continue
        for value in values:
            tensor = value.type.tensor_type
            shape = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in tensor.shape.dim)
            wanted = onnx.TensorProto.UINT8 if value.name == "images" else onnx.TensorProto.FLOAT
            if shape != expected[value.name] or tensor.elem_type != wanted:
                name = onnx.TensorProto.DataType.Name(tensor.elem_type)
                yield f"{kind} {value.name!r} is {name} {list(shape)}, expected static {list(expected[value.name])}"


def _uint8_findings(model: onnx.ModelProto) -> Iterator[str]:
    for node in model.graph.node:
        if "images" in node.input and node.op_type != "Cast":
            yield f"{describe_node(node)}: reads the uint8 input; Cast must come first, engines take nothing else on it"


def _node_findings(node: onnx.NodeProto) -> Iterator[str]:
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    if node.op_type in _REFUSED_OPS:
        yield _REFUSED_OPS[node.op_type]
    if node.op_type.startswith("Scatter") and attributes.get("reduction", b"none") != b"none":
        yield "scatter with a reduction; gather, or sum by a matrix product"
    if node.op_type == "Resize":
        if attributes.get("antialias", 0):
            yield "antialiased resize; set antialias=False"
        if attributes.get("mode", b"nearest") == b"cubic" and attributes.get("exclude_outside", 0):
            yield "cubic resize with exclude_outside; engines ignore it"
        if len(node.input) > 1 and node.input[1]:
            yield "resize with a region of interest; crop before it"
