"""Tokens of data-set tables as 16-byte keys: compact, and joined by sorting instead of by dictionaries.

A token of 32 hexadecimal digits is its own key. Any other text is hashed to a key, and its text kept in a book.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

KEY = np.dtype("S16")
Keys: TypeAlias = NDArray[np.bytes_]

_HEX_DIGITS = 32


class TokenBook:
    """Keys of tokens, and the texts of those tokens that a key does not tell."""

    def __init__(self, odd: Mapping[str, str] | None = None) -> None:
        self._odd: dict[bytes, str] = {bytes.fromhex(key): text for key, text in (odd or {}).items()}

    def keys(self, tokens: list[Any]) -> Keys | None:
        """Return one key per token, None where one of them is not text, is empty, or holds control characters."""
        if set(map(type, tokens)) - {str}:
            return None
        if set(map(len, tokens)) <= {_HEX_DIGITS}:
            joined = "".join(tokens)
            try:
                packed = bytes.fromhex(joined)
            except ValueError:
                packed = b""
            if packed.hex() == joined:  # neither upper case nor spaces, which fromhex takes too
                return np.frombuffer(packed, KEY)
        if "" in tokens or not "".join(tokens).isprintable():  # halves of characters are not printable either
            return None
        return np.array([self._key(token) for token in tokens], KEY)

    def text(self, key: bytes) -> str:
        """Return the token of a key. numpy drops zero bytes at the end of a key; they are put back."""
        whole = bytes(key).ljust(KEY.itemsize, b"\0")
        return self._odd.get(whole) or whole.hex()

    def odd_tokens(self) -> dict[str, str]:
        """Return the texts by the hexadecimal form of their keys, as JSON may hold them."""
        return {key.hex(): text for key, text in self._odd.items()}

    def _key(self, token: str) -> bytes:
        if len(token) == _HEX_DIGITS:
            try:
                packed = bytes.fromhex(token)
            except ValueError:
                packed = b""
            if packed.hex() == token:
                return packed
        packed = hashlib.blake2b(token.encode(), digest_size=KEY.itemsize).digest()
        self._odd[packed] = token
        return packed


@dataclass(frozen=True)
class KeyLookup:
    """Where keys stand in a table: a sorted copy, searched by halves."""

    sorted_keys: Keys
    order: NDArray[np.int64]  # row of the table, per sorted key
    halves: NDArray[np.uint64] | None  # first eight bytes of each key, where these differ already

    @classmethod
    def of(cls, keys: Keys) -> KeyLookup:
        """Sort the keys of a table; of equal ones the first row stands first."""
        order = np.argsort(keys, kind="stable").astype(np.int64)
        sorted_keys = keys[order]
        halves = _first_half(sorted_keys)
        return cls(sorted_keys, order, halves if bool((halves[1:] > halves[:-1]).all()) else None)

    def repeated_rows(self) -> NDArray[np.int64]:
        """Return the rows whose key an earlier row has, in order of the table."""
        return np.sort(self.order[1:][self.sorted_keys[1:] == self.sorted_keys[:-1]])

    def find(self, keys: Keys) -> NDArray[np.int64]:
        """Return per key the first row that has it, -1 where none has."""
        if not len(self.sorted_keys):
            return np.full(len(keys), -1, np.int64)
        # integers compare faster than bytes
        found = (
            np.searchsorted(self.sorted_keys, keys)
            if self.halves is None
            else np.searchsorted(self.halves, _first_half(keys))
        )
        place = np.minimum(found, len(self.sorted_keys) - 1)
        return np.where(self.sorted_keys[place] == keys, self.order[place], -1)


def _first_half(keys: Keys) -> NDArray[np.uint64]:
    return np.ascontiguousarray(keys).view(">u8")[::2].astype(np.uint64)
