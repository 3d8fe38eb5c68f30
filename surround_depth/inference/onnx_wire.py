"""What an ONNX file says of other files, read off its bytes: the runtime side has no onnx package.

A graph may keep a tensor's values in a file beside it, by a path that it names itself. OpenVINO would open that path,
relative to wherever the process was started, whatever the manifest has vouched for.

Source of the format and field numbers: protobuf's encoding guide; onnx.proto3 (IR version 10).
"""

from __future__ import annotations

from collections.abc import Iterator

from surround_depth.errors import EngineMismatchError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT_BYTES = 10
_MAX_DEPTH = 100  # of messages in messages, protobuf's own limit
_EXTERNAL = "external"
# message -> field -> the message it holds; what is not on the way to a tensor is skipped unread
_FIELDS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: _EXTERNAL},
}


def require_self_contained(graph: bytes) -> None:
    """Refuse a graph that keeps values in other files, and bytes that are no message at all.

    Raises:
        EngineMismatchError: one line.
    """
    try:
        external = _holds_external(memoryview(graph), "model", 0)
    except (ValueError, IndexError) as error:
        raise EngineMismatchError("cannot load the graph: it is cut off, or no ONNX file") from error
    if external:
        raise EngineMismatchError(
            "the graph keeps weights in another file, which no manifest vouches for; build the engine with "
            "python deploy/build_engine.py, which writes one file"
        )


def _holds_external(message: memoryview, kind: str, depth: int) -> bool:
    if depth > _MAX_DEPTH:
        raise ValueError("too deep")
    below = _FIELDS[kind]
    for field, content in _fields(message):
        inner = below.get(field)
        if inner == _EXTERNAL or (inner is not None and _holds_external(content, inner, depth + 1)):
            return True
    return False


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield number and content of each field that holds bytes; the others are stepped over."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        if key >> 32:  # protobuf reads 32 bits of it, and would see another field than we do
            raise ValueError("no key")
        wire = key & 7
        if wire == _VARINT:
            _, place = _varint(message, place)
            continue
        if wire == _BYTES:
            length, place = _varint(message, place)
        elif wire in _FIXED_BYTES:
            length = _FIXED_BYTES[wire]
        else:
            raise ValueError(f"wire type {wire}")
        end = place + length
        if end > len(message):
            raise ValueError("cut off")
        if wire == _BYTES:
            yield key >> 3, message[place:end]
        place = end


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for n in range(_MAX_VARINT_BYTES):
        byte = message[place + n]
        value |= (byte & 0x7F) << (7 * n)
        if byte < 0x80:
            return value, place + n + 1
    raise ValueError("a number without an end")
