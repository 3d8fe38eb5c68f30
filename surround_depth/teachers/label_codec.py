"""A teacher's label as bytes: half precision, compressed without further loss, under one checksum.

    b"SDLABEL1" | SHA-256 of all that follows | length of the header | header, JSON | masks | codes | features | trust

Per image r is moved to 0 (its smallest valid value) .. 1 and stored as float16, with that value and the span beside it,
so the values themselves come back, of a metric teacher too:

    |r' - r| <= 2^-11 (r - low) + 2^-25 (high - low) + 2^-24 |r|

that is rounding to float16, its smallest step, and the float32 of the answer. For a metric teacher (r = 1/depth > 0)
the first term is at most 0.05 % of the depth, the second 0.0012 % at 200 m where the nearest pixel is at 0.5 m.

float16 values of 0 to 1 rise with their bit patterns, so neighbours are close as integers too: differences along a row,
signs folded into the lowest bit, high bytes apart from low ones, then zlib.
"""

from __future__ import annotations

import hashlib
import json
import struct
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.teachers.teacher import TeacherLabel

_MAGIC = b"SDLABEL1"
_DIGEST_BYTES = 32
_LENGTH = struct.Struct("<I")
_ZLIB_LEVEL = 6


def encode_label(label: TeacherLabel, facts: Mapping[str, str]) -> bytes:
    """Return the bytes of a label; the same label gives the same bytes.

    Args:
        facts: what it is the label of; `decode_label` gives them back.
    """
    lows, spans, fractions = _to_unit_range(label)
    parts = [
        zlib.compress(np.packbits(np.stack([label.valid, label.sky])).tobytes(), _ZLIB_LEVEL),
        _squeezed(_folded_differences(fractions.view(np.uint16))),
    ]
    if label.features is not None:
        parts.append(_squeezed(label.features.astype(np.float16).view(np.uint16)))
    if label.trust is not None:
        parts.append(_squeezed(_folded_differences(label.trust.astype(np.float16).view(np.uint16))))
    header = {
        "facts": dict(facts),
        "shape": label.valid.shape,
        "low": lows,
        "span": spans,
        "features": None if label.features is None else label.features.shape,
        "trust": label.trust is not None,
        "bytes": [len(part) for part in parts],
    }
    head = json.dumps(header, sort_keys=True).encode()
    body = b"".join((_LENGTH.pack(len(head)), head, *parts))
    return _MAGIC + hashlib.sha256(body).digest() + body


def decode_label(data: bytes) -> tuple[TeacherLabel, dict[str, str]]:
    """Return the label and the facts that `encode_label` was given; r is 0 where it is not valid.

    Raises:
        DataError: the bytes are of something else, cut short or damaged; the message goes on after a file's name.
    """
    if not data.startswith(_MAGIC):
        raise DataError("is no label of this version")
    body = memoryview(data)[len(_MAGIC) + _DIGEST_BYTES :]
    if hashlib.sha256(body).digest() != data[len(_MAGIC) : len(_MAGIC) + _DIGEST_BYTES]:
        raise DataError("is cut short or damaged (its checksum is another)")
    (n_head,) = _LENGTH.unpack_from(body)
    head, parts = body[_LENGTH.size : _LENGTH.size + n_head], body[_LENGTH.size + n_head :]
    header = json.loads(bytes(head))
    shape = tuple(header["shape"])
    masks, codes, *further = _split(parts, header["bytes"])
    features = further.pop(0) if header["features"] else None
    trust = further.pop(0) if header.get("trust") else None  # labels made before there was any do not say
    valid, sky = _unpacked(zlib.decompress(masks), (2, *shape))
    fractions = _undo_differences(_spread(codes, shape)).view(np.float16)
    label = TeacherLabel(
        _from_unit_range(fractions, valid, header["low"], header["span"]),
        valid,
        sky,
        None if features is None else _spread(features, tuple(header["features"])).view(np.float16),
        None if trust is None else _undo_differences(_spread(trust, shape)).view(np.float16),
    )
    return label, header["facts"]


def _to_unit_range(label: TeacherLabel) -> tuple[list[float], list[float], NDArray[np.float16]]:
    """Return low and span of every image and (r - low) / span [N, H, W], 0 where not valid."""
    lows, spans, fractions = [], [], np.zeros(label.valid.shape, np.float16)
    for r, valid, fraction in zip(label.inverse_depth, label.valid, fractions, strict=True):
        seen = r[valid].astype(np.float64)
        low, high = (float(seen.min()), float(seen.max())) if seen.size else (0.0, 0.0)
        lows.append(low)
        spans.append(high - low)
        if high > low:
            fraction[valid] = (seen - low) / (high - low)
    return lows, spans, fractions


def _from_unit_range(
    fractions: NDArray[np.float16], valid: NDArray[np.bool_], lows: list[float], spans: list[float]
) -> NDArray[np.float32]:
    r = np.zeros(fractions.shape, np.float32)
    for i, (low, span) in enumerate(zip(lows, spans, strict=True)):
        r[i] = np.where(valid[i], low + span * fractions[i].astype(np.float64), 0.0)
    return r


def _folded_differences(codes: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return each code minus its left neighbour, modulo 2^16, as 0, -1, 1, -2, 2, ... -> 0, 1, 2, 3, 4, ..."""
    differences = codes.copy()
    differences[..., 1:] -= codes[..., :-1]
    signed = differences.view(np.int16)
    return ((signed << 1) ^ (signed >> 15)).view(np.uint16)


def _undo_differences(folded: NDArray[np.uint16]) -> NDArray[np.uint16]:
    differences = (folded >> 1) ^ -(folded & 1)
    return np.cumsum(differences, axis=-1, dtype=np.uint16)


def _squeezed(values: NDArray[np.uint16]) -> bytes:
    """Return the low bytes of all values, then their high ones, compressed."""
    pairs = np.ascontiguousarray(values, "<u2").view(np.uint8).reshape(-1, 2)
    return zlib.compress(np.ascontiguousarray(pairs.T).tobytes(), _ZLIB_LEVEL)


def _spread(squeezed: memoryview, shape: tuple[int, ...]) -> NDArray[np.uint16]:
    pairs = np.frombuffer(zlib.decompress(squeezed), np.uint8).reshape(2, -1).T
    return np.ascontiguousarray(pairs).view("<u2").astype(np.uint16, copy=False).reshape(shape)


def _unpacked(packed: bytes, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=int(np.prod(shape)))
    return bits.astype(np.bool_).reshape(shape)


def _split(parts: memoryview, lengths: list[int]) -> Iterator[memoryview]:
    start = 0
    for length in lengths:
        yield parts[start : start + length]
        start += length
