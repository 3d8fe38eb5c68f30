"""Arrays in one file: what was written comes back, and no changed byte passes."""

from __future__ import annotations

import numpy as np
import pytest

from surround_depth.data.array_file import read_arrays, write_arrays
from surround_depth.errors import DataError

POINT = np.dtype([("x", "<f8"), ("name", "S5"), ("flag", "?")])
TYPES = {"points": POINT, "none": np.dtype("<i4"), "bytes": np.dtype("u1")}
ARRAYS = {
    "points": np.array([(1.5, b"ab", True), (np.nan, b"", False)], POINT),
    "none": np.empty(0, "<i4"),
    "bytes": np.arange(200, dtype=np.uint8),
}


@pytest.fixture
def path(tmp_path):
    write_arrays(tmp_path / "a" / "file", {"text": "ü", "rows": [[1, "b"]]}, ARRAYS)
    return tmp_path / "a" / "file"


def test_round_trip(path):
    header, arrays = read_arrays(path, TYPES)
    assert header == {"text": "ü", "rows": [[1, "b"]]}
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        assert arrays[name].tobytes() == array.tobytes()
    with pytest.raises(ValueError, match="read-only"):
        arrays["bytes"][0] = 1


def test_who_has_it_mapped_keeps_it(path):
    _, arrays = read_arrays(path, TYPES)
    write_arrays(path, {}, ARRAYS | {"bytes": np.zeros(3, np.uint8)})
    assert arrays["bytes"].tolist() == list(range(200))
    assert read_arrays(path, TYPES)[1]["bytes"].tolist() == [0, 0, 0]
    assert [other.name for other in path.parent.iterdir()] == [path.name]


def test_other_types_are_refused(path):
    for types in ({}, TYPES | {"more": np.dtype("u1")}, TYPES | {"points": np.dtype("<f8")}):
        with pytest.raises(DataError, match="not a whole array file"):
            read_arrays(path, types)


def test_every_cut_and_every_flip_is_refused(path):
    whole = path.read_bytes()
    for n_bytes in range(len(whole)):
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(DataError, match="not a whole array file"):
            read_arrays(path, TYPES)
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << place % 8
        path.write_bytes(flipped)
        with pytest.raises(DataError, match="not a whole array file"):
            read_arrays(path, TYPES)
    path.write_bytes(whole + b"\0")
    with pytest.raises(DataError, match="longer than its header says"):
        read_arrays(path, TYPES)
