"""TensorRT and TensorRT-RTX behind one door: import, log, GPU count. Owns both imports; builder and runtime use it.

Their Python APIs are almost equal (10.x, 11.x and RTX 1.x), so callers ask what a module has, never which it is.
"""

from __future__ import annotations

import ctypes
import importlib
from typing import Any, Literal

from surround_depth.errors import MissingDependencyError

TensorRTKind = Literal["tensorrt", "tensorrt_rtx"]

_INSTALL = {"tensorrt": "pip install tensorrt", "tensorrt_rtx": "pip install tensorrt-rtx"}
_DRIVER_LIBRARIES = ("libcuda.so.1", "nvcuda.dll")


def load_tensorrt(kind: TensorRTKind) -> Any:
    """Return the `tensorrt` or `tensorrt_rtx` module.

    Raises:
        MissingDependencyError: it is not installed, or its libraries do not load; the message says what to install.
    """
    try:
        return importlib.import_module(kind)
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == kind
        reason = "is not installed" if missing else f"does not load ({error})"
        raise MissingDependencyError(
            f"engine '{kind}': the package {reason}; install it with {_INSTALL[kind]} "
            "(or build for the CPU with --engine onnxruntime)"
        ) from error
    except OSError as error:  # a stub package whose shared libraries were never downloaded
        hint = f"its libraries do not load ({error}); {_INSTALL[kind]}"
        raise MissingDependencyError(f"engine '{kind}': {hint}") from error


def cuda_device_count() -> int:
    """Return the number of GPUs the driver offers, 0 without a driver.

    Asked of the driver itself through ctypes: some TensorRT runtimes crash the process on a machine without a GPU,
    so this question comes before any of theirs and needs none of their packages.
    """
    driver, count = _driver(), ctypes.c_int(0)
    if driver is None or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def gpu_name() -> str | None:
    """Return the name of the first GPU, None where there is none. A plan of TensorRT is bound to it."""
    driver, device, name = _driver(), ctypes.c_int(0), ctypes.create_string_buffer(256)
    if driver is None or driver.cuDeviceGet(ctypes.byref(device), 0) != 0:
        return None
    return name.value.decode() if driver.cuDeviceGetName(name, len(name), device) == 0 else None


def _driver() -> Any | None:
    for library in _DRIVER_LIBRARIES:
        try:
            driver = ctypes.CDLL(library)
        except OSError:
            continue
        return driver if driver.cuInit(0) == 0 else None
    return None


def make_logger(trt: Any) -> Any:
    """Return a TensorRT logger that keeps the library's lines in `.lines` instead of printing them."""

    class LineLogger(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            # list.append is atomic under the interpreter lock; the builder logs from its worker threads
            self.lines.append(f"{severity.name}: {message}")

        def errors(self) -> str:
            """Return what the library called an error, on one line."""
            wanted = [line for line in self.lines if line.startswith(("ERROR", "INTERNAL_ERROR"))]
            return " | ".join(" ".join(line.split()) for line in wanted)[:400]

    return LineLogger()
