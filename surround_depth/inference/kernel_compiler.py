"""CUDA C to machine code, once per source and kind of GPU. Owns the import of NVRTC's bindings.

A compiled kernel is kept in the cache folder, named by the hash of its source and options and by the architecture: a
machine that has it needs no NVRTC any more. What lies there is executed, so the folder belongs to its own user alone.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from surround_depth.errors import DataError, EngineMismatchError, MissingDependencyError
from surround_depth.files import cache_folder, write_atomic
from surround_depth.inference.gpu import Gpu

OPTIONS = ("--std=c++17", "--fmad=false")  # fused multiply-adds round once: the CPU's values would be missed

_LOG = logging.getLogger(__name__)
_INSTALL = (
    "pip install cuda-bindings and, of the same CUDA version, nvidia-cuda-nvrtc (CUDA 13) or nvidia-cuda-nvrtc-cu12 "
    "(CUDA 12); a CUDA toolkit or JetPack brings the latter"
)


def compiled(source: str, gpu: Gpu) -> bytes:
    """Return the cubin of a CUDA C source for this GPU, from the cache where it lies there.

    Raises:
        MissingDependencyError: NVRTC is needed and not installed.
        EngineMismatchError: it refuses the source or does not know the GPU.
    """
    architecture = "sm_{}{}".format(*gpu.compute_capability)
    path = cubin_path(source, architecture)
    if path.is_file():
        return path.read_bytes()
    cubin = nvrtc_cubin(source, architecture)
    try:
        write_atomic(path, cubin)
    except DataError as error:
        _LOG.info("a kernel is compiled anew by every process: %s", error)
    return cubin


def cubin_path(source: str, architecture: str) -> Path:
    """Return where the cubin of a source is kept for an architecture such as "sm_87"."""
    digest = hashlib.sha256("\0".join((source, *OPTIONS)).encode()).hexdigest()
    return cache_folder() / "kernels" / f"{digest[:32]}-{architecture}.cubin"


def nvrtc_cubin(source: str, architecture: str) -> bytes:
    """Return the cubin that NVRTC makes of a CUDA C source for an architecture such as "sm_87".

    Raises:
        MissingDependencyError: cuda-bindings or NVRTC is not installed.
        EngineMismatchError: it refuses the source, or does not know the architecture.
    """
    try:
        from cuda.bindings import nvrtc

        status, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], [])
    except (ImportError, RuntimeError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise MissingDependencyError(f"resizing on the GPU needs NVRTC ({first_line}): {_INSTALL}") from error
    _require(nvrtc, "nvrtcCreateProgram", status)
    try:
        return _compile(nvrtc, program, architecture)
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _compile(nvrtc: Any, program: Any, architecture: str) -> bytes:
    options = [option.encode() for option in (f"--gpu-architecture={architecture}", *OPTIONS)]
    (status,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        log = _text(nvrtc, program)
        raise EngineMismatchError(f"NVRTC does not compile for {architecture}: {log or _words(nvrtc, status)}")
    status, n_bytes = nvrtc.nvrtcGetCUBINSize(program)
    _require(nvrtc, "nvrtcGetCUBINSize", status)
    cubin = bytearray(n_bytes)
    (status,) = nvrtc.nvrtcGetCUBIN(program, cubin)
    _require(nvrtc, "nvrtcGetCUBIN", status)
    return bytes(cubin)


def _text(nvrtc: Any, program: Any) -> str:
    """Return what the compiler said, on one line."""
    _, n_bytes = nvrtc.nvrtcGetProgramLogSize(program)
    log = bytearray(n_bytes)
    nvrtc.nvrtcGetProgramLog(program, log)
    return " ".join(log.rstrip(b"\0").decode(errors="replace").split())[:600]


def _require(nvrtc: Any, call: str, status: Any) -> None:
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise EngineMismatchError(f"{call} failed: {_words(nvrtc, status)}")


def _words(nvrtc: Any, status: Any) -> str:
    _, text = nvrtc.nvrtcGetErrorString(status)
    return text.decode() if isinstance(text, bytes) else str(text)
