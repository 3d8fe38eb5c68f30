"""numba's compiler with its disk cache where there is room for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def cached_njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Return `numba.njit(cache=True, **options)`, without the cache where numba finds no folder to write it to.

    numba looks beside the source file, then in the user's cache folder, or in `NUMBA_CACHE_DIR`. A read-only
    installation run by a user without a home has neither; there every process compiles for itself.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, **options)(function)
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
            return njit(**options)(function)

    return decorate
