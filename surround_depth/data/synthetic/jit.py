"""How the numba kernels are compiled, and a disk cache that notices a change in any of their files.

numba keys a cached kernel by the file that defines it, not by the files of the functions it calls. Entry kernels that
call into other modules are therefore built by a factory whose argument `sources` (a closure value, which numba does
put into its key) is the fingerprint of this package.
"""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path

from numba import njit

from surround_depth.jit import cached_njit

device = njit(error_model="numpy", forceinline=True)
"""For functions that only other kernels call."""

entry = cached_njit(error_model="numpy")
"""For kernels that Python calls; cached on disk where there is room."""


@cache
def sources_fingerprint() -> int:
    """Return a checksum of the kernels' source files."""
    folder = Path(__file__).parent
    files = sorted(file for file in folder.glob("*.py") if "@device" in file.read_text("utf-8"))
    return zlib.crc32(b"".join(file.read_bytes() for file in files))
