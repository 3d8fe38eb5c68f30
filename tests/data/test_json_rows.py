"""Tables read in windows: the same rows as the standard parser finds, wherever a window cuts the text."""

from __future__ import annotations

import json

import pytest

from surround_depth.data import json_rows
from surround_depth.data.json_rows import iter_row_batches
from surround_depth.errors import DataError

ROWS = [
    {"token": f"t{i}", "text": '},{"[ü€😀\\', "nested": {"a": [1, {"b": None}]}, "number": -1.5e-7 * i}
    for i in range(40)
]


@pytest.fixture(params=[1, 2, 3, 7, 64, 1 << 20])
def window(request, monkeypatch):
    monkeypatch.setattr(json_rows, "_CHUNK_BYTES", request.param)


def read(path) -> list:
    return [row for batch in iter_row_batches(path) for row in batch]


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("layout", [{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}])
def test_every_window(tmp_path, layout):
    path = tmp_path / "rows.json"
    for rows in ([], [{}], ROWS):
        path.write_text(json.dumps(rows, **layout), "utf-8")
        assert read(path) == rows == json.loads(path.read_text("utf-8"))
    path.write_text("\ufeff \n[ ] \n", "utf-8")
    assert read(path) == []


REFUSED = [
    "", " ", "[", "[{}", "[{},", "[{},]", "[,{}]", "[{}{}]", "[{}]]", "[{}] x", "[{}],[{}]", '[{"a": 1}', '[{"a":}]',
    "{", '{"a": 1}', "7", '"x"', "[1]", '["x"]', "[{}, 1]", "[{}, [{}]]", "[[{}]]", "nul", "[{} {}]", '[{"a": 1]}',
    "[{'a': 1}]", '[{"a": "\n"}]',
]  # fmt: skip


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("text", REFUSED)
def test_refused(tmp_path, text):
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"rows\.json"):
        read(path)


def test_each_cut_of_a_file(tmp_path):
    path, whole = tmp_path / "rows.json", json.dumps(ROWS[:3]).encode()
    for n_bytes in range(len(whole)):
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(DataError, match="not valid JSON"):
            read(path)


@pytest.mark.parametrize(
    "content, message",
    [
        (b'[{"a": "\xff"}]', "not UTF-8"),
        (b"[" * 200_000, "not valid JSON"),
        (b'[{"a": ' + b"[" * 200_000, "not valid JSON"),
        (b'[{"a": ' + b"9" * 5000 + b"}]", "not valid JSON"),
    ],
)
def test_hostile(tmp_path, content, message):
    (tmp_path / "rows.json").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "rows.json")


def test_a_row_without_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(json_rows, "_CHUNK_BYTES", 100)
    monkeypatch.setattr(json_rows, "_MAX_ROW_CHARS", 1000)
    path = tmp_path / "rows.json"
    path.write_text('[{"a": "' + "x" * 900 + '"}]')
    assert len(read(path)) == 1
    path.write_text('[{"a": "' + "x" * 9000 + '"}]')
    with pytest.raises(DataError, match="not valid JSON"):
        read(path)


def test_the_place_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(json_rows, "_CHUNK_BYTES", 10)
    text = json.dumps([{"a": 1}] * 50).replace("[{", "[ {") + "?"
    (tmp_path / "rows.json").write_text(text)
    with pytest.raises(DataError, match=f"at character {len(text) - 1}"):
        read(tmp_path / "rows.json")
