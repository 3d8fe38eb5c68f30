"""Kernels compile where numba may cache them, and where it may not."""

from __future__ import annotations

from pathlib import Path

import numba
import pytest
from numba.core import caching

from surround_depth.jit import cached_njit


def halve(value: float) -> float:
    return value / 2.0


def test_the_cache_is_used_where_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    assert cached_njit(error_model="numpy")(halve)(3.0) == 1.5
    assert list(tmp_path.rglob("*.nbi"))


def test_compiles_where_there_is_no_place_for_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read-only installation run by a user without a home: every locator of numba declines."""
    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
    assert cached_njit(error_model="numpy")(halve)(3.0) == 1.5


def test_another_failure_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_out_of_memory(*_: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(caching.CacheImpl, "__init__", raise_out_of_memory)
    with pytest.raises(RuntimeError, match="out of memory"):
        cached_njit()(halve)
