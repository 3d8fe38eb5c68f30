"""The CUDA kernel of the project compiled for this machine's CPU: the same source behind a header of CUDA's words.

One launch runs the grid thread by thread. What it proves is the arithmetic and the indexing; what it cannot prove is
that a GPU runs it: `nvrtc` compiles it, and a GPU has to execute it.
"""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from surround_depth.inference.gpu_resize import kernel_source

_WORDS_OF_CUDA = """
struct dim3_t { int x, y, z; };
static dim3_t blockIdx, blockDim, threadIdx, gridDim;
#define __global__
"""
_LAUNCH = """
extern "C" void launch(const void* const* arguments, const int* grid, const int* block) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    for (blockIdx.z = 0; blockIdx.z < gridDim.z; ++blockIdx.z)
    for (blockIdx.y = 0; blockIdx.y < gridDim.y; ++blockIdx.y)
    for (blockIdx.x = 0; blockIdx.x < gridDim.x; ++blockIdx.x)
    for (threadIdx.z = 0; threadIdx.z < blockDim.z; ++threadIdx.z)
    for (threadIdx.y = 0; threadIdx.y < blockDim.y; ++threadIdx.y)
    for (threadIdx.x = 0; threadIdx.x < blockDim.x; ++threadIdx.x)
        prepare_images(*(const Picture* const*)arguments[0], *(unsigned char* const*)arguments[1],
                       *(const int*)arguments[2], *(const int*)arguments[3]);
}
"""


@cache
def host_kernel() -> Any:
    """Return the compiled `launch(arguments, grid, block)`, or skip the test where there is no C++ compiler."""
    compiler = next((path for name in ("g++", "clang++", "c++") if (path := shutil.which(name))), None)
    if compiler is None:
        pytest.skip("no C++ compiler here (g++, clang++): the CUDA kernel is not run")
    source = _WORDS_OF_CUDA + kernel_source() + _LAUNCH
    with tempfile.TemporaryDirectory() as folder:
        code, library = Path(folder, "kernel.cpp"), Path(folder, "kernel.so")
        code.write_text(source)
        # as NVRTC's --fmad=false: a product and a sum round twice
        options = ["-O2", "-std=c++17", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        subprocess.run([compiler, *options, "-o", library, code], check=True)
        return ctypes.CDLL(str(library)).launch


def launch(grid: tuple[int, ...], block: tuple[int, ...], arguments: list[Any]) -> None:
    """Run the kernel once; `arguments` are ctypes values, in its order."""
    pointers = (ctypes.c_void_p * len(arguments))(*(ctypes.addressof(argument) for argument in arguments))
    host_kernel()(pointers, (ctypes.c_int * 3)(*grid), (ctypes.c_int * 3)(*block))


def fake_cubin(source: str, architecture: str) -> bytes:
    """Stand in for NVRTC: bytes that name what was compiled for what, which the doubles of CUDA check."""
    return f"{hashlib.sha256(source.encode()).hexdigest()} {architecture}".encode()
