"""Which module made a node, as the exporter recorded it: for messages, and for rules that go by module."""

from __future__ import annotations

import ast

import onnx

SCOPE_KEY = "pkg.torch.onnx.name_scopes"


def module_path(node: onnx.NodeProto) -> str:
    """Return the dotted module that made a node, as the exporter recorded it ("?" for a graph of another origin)."""
    for entry in node.metadata_props:
        if entry.key == SCOPE_KEY:
            try:
                scopes = [scope for scope in ast.literal_eval(entry.value) if scope]
            except (ValueError, SyntaxError):
                break
            return str(scopes[-2] if len(scopes) > 1 else scopes[-1]) if scopes else "?"
    return "?"


def student_part(node: onnx.NodeProto) -> str:
    """Return the student's child that made a node: "encoder" of "student.encoder.backbone"."""
    return (module_path(node).removeprefix("student.") + ".").split(".")[0]


def describe_node(node: onnx.NodeProto) -> str:
    """Return operator, name and module of a node, for a message."""
    return f"{node.op_type} {node.name!r} of module {module_path(node)!r}"
