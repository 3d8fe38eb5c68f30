"""Tokens as keys: exact for any text, and joined as a dictionary would join them."""

from __future__ import annotations

import numpy as np
import pytest

from surround_depth.data.tokens import KEY, KeyLookup, TokenBook

HEX = ["0" * 32, "f" * 32, "00ff" * 8, "ff00" * 8]
ODD = ["F" * 32, "x", "0" * 31, "0" * 33, "0 " * 16, "g" * 32, "ü" * 32, "a" * 100_000]


def test_every_token_comes_back():
    book = TokenBook()
    for tokens in (HEX, ODD, HEX + ODD, ODD + HEX):
        keys = book.keys(tokens)
        assert [book.text(key) for key in keys] == tokens
        assert len(np.unique(keys)) == len(tokens)
    again = TokenBook(book.odd_tokens())
    assert [again.text(key) for key in book.keys(HEX + ODD)] == HEX + ODD
    assert sorted(again.odd_tokens().values()) == sorted(ODD)


@pytest.mark.parametrize(
    "tokens", [["a", ""], [None], [1], [["a"]], ["0" * 32, True], [b"a"], ["\ud800"], ["0" * 31 + "\n"]]
)
def test_what_is_no_token(tokens):
    assert TokenBook().keys(tokens) is None


@pytest.mark.parametrize("kind", ["random", "same first half", "trailing zeros"])
def test_a_join_equals_a_dictionary(kind):
    rng = np.random.default_rng(0)
    raw = rng.integers(0, 256, (500, 16), dtype=np.uint8)
    if kind == "same first half":
        raw[:, :8] = raw[0, :8]
    if kind == "trailing zeros":
        raw[:, 1:] = 0
    keys = np.frombuffer(raw.tobytes(), KEY)
    table, needles = keys[:300], keys[rng.integers(0, 500, 1000)]
    row_of = {}
    for row, key in enumerate(table.tolist()):
        row_of.setdefault(key, row)
    lookup = KeyLookup.of(table)
    assert lookup.find(needles).tolist() == [row_of.get(key, -1) for key in needles.tolist()]
    assert lookup.repeated_rows().tolist() == [row for row, key in enumerate(table.tolist()) if row_of[key] != row]
    assert KeyLookup.of(table[:0]).find(needles).tolist() == [-1] * 1000
    assert lookup.find(needles[:0]).tolist() == []
