"""TensorRT and TensorRT-RTX behind one door: import, log, on which GPUs. Owns both imports; builder and runtime use it.

Their Python APIs are almost equal (10.x, 11.x and RTX 1.x), so callers ask what a module has, never which it is.
"""

from __future__ import annotations

import importlib
from typing import Any, Literal

from surround_depth.errors import MissingDependencyError

TensorRTKind = Literal["tensorrt", "tensorrt_rtx"]

_INSTALL = {"tensorrt": "pip install tensorrt", "tensorrt_rtx": "pip install tensorrt-rtx"}
_RTX_CAPABILITIES = ((8, 0), (8, 6), (8, 9))
_RTX_CAPABILITIES_FROM = (12, 0)


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


def tensorrt_rtx_runs_on(compute_capability: tuple[int, int]) -> bool:
    """Return whether TensorRT-RTX 1.7 names this compute capability among those it runs on: 8.0, 8.6, 8.9, from 12.0.

    Source: its own refusal on an H200 (9.0), docs/results/2026-11-27-gpu.md.
    """
    return compute_capability in _RTX_CAPABILITIES or compute_capability >= _RTX_CAPABILITIES_FROM


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
