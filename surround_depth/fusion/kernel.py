"""How the hot loops of fusion are compiled."""

from __future__ import annotations

from surround_depth.jit import cached_njit

# Not parallel: not every threading layer of numba allows a threaded kernel to be called from two threads of a host.
# `nogil` lets the host's other threads run meanwhile; numpy's error model spares a branch in every division.
kernel = cached_njit(nogil=True, error_model="numpy")
