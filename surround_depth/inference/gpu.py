"""Which GPU the driver offers, asked of the driver itself: no package, no CUDA context, and no crash without a GPU."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

_DRIVER_LIBRARIES = ("libcuda.so.1", "nvcuda.dll")
# CUdevice_attribute of cuda.h
_COMPUTE_CAPABILITY_MAJOR = 75
_COMPUTE_CAPABILITY_MINOR = 76


@dataclass(frozen=True)
class Gpu:
    """One GPU, as its driver names it."""

    name: str
    compute_capability: tuple[int, int]
    """(major, minor): (8, 7) is an Orin, (9, 0) an H100 or H200."""
    ordinal: int = 0

    @property
    def capability_text(self) -> str:
        """The compute capability as NVIDIA writes it, "9.0"."""
        return "{}.{}".format(*self.compute_capability)


def cuda_device_count() -> int:
    """Return the number of GPUs the driver offers, 0 without a driver.

    Some TensorRT runtimes crash the process on a machine without a GPU, so this question comes before any of theirs.
    """
    driver, count = _driver(), ctypes.c_int(0)
    if driver is None or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def first_gpu() -> Gpu | None:
    """Return the first GPU, None where there is none."""
    driver, device, name = _driver(), ctypes.c_int(0), ctypes.create_string_buffer(256)
    if driver is None or driver.cuDeviceGet(ctypes.byref(device), 0) != 0:
        return None
    if driver.cuDeviceGetName(name, len(name), device) != 0:
        return None
    capability = tuple(
        _attribute(driver, device, which) for which in (_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR)
    )
    return Gpu(name.value.decode(), (capability[0], capability[1]))


def gpu_name() -> str | None:
    """Return the name of the first GPU, None where there is none. A plan of TensorRT is bound to it."""
    gpu = first_gpu()
    return None if gpu is None else gpu.name


def _attribute(driver: Any, device: ctypes.c_int, which: int) -> int:
    value = ctypes.c_int(0)
    driver.cuDeviceGetAttribute(ctypes.byref(value), which, device)
    return value.value


def _driver() -> Any | None:
    for library in _DRIVER_LIBRARIES:
        try:
            driver = ctypes.CDLL(library)
        except OSError:
            continue
        return driver if driver.cuInit(0) == 0 else None
    return None
