"""What ran, and on what: the line that stands under every measured number."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from surround_depth.inference.cpu import allowed_cpus, physical_cores
from surround_depth.inference.gpu import gpu_name
from surround_depth.provenance import package_versions, source_commit

_PACKAGES = ("surround_depth", "numpy", "torch", "onnx", "onnxruntime", "openvino")
_GPU_PACKAGES = ("tensorrt", "tensorrt-rtx", "cuda-bindings")
_CPUINFO = Path("/proc/cpuinfo")


def engine_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that make or run engines, as far as they are installed."""
    return package_versions(_PACKAGES + _GPU_PACKAGES)


def describe_machine() -> dict[str, str]:
    """Return the machine as short texts: CPU, cores this process may use, memory, GPU, system, commit."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 0
    return {
        "cpu": cpu_model(),
        "cores": f"{physical_cores()} physical, {len(allowed_cpus())} logical",
        "memory": f"{memory_bytes / 2**30:.1f} GiB",
        "gpu": gpu_name() or "none",
        "system": f"{platform.system()} {platform.machine()}",
        "commit": source_commit(),
    }


def cpu_model(cpuinfo: Path = _CPUINFO) -> str:
    """Return the processor's name and widest vector instructions, as Linux tells them."""
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or "unknown"
    fields = dict(line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    trimmed = {key.strip(): value.strip() for key, value in fields.items()}
    flags = trimmed.get("flags", "").split()
    vectors = [flag for flag in ("avx512f", "avx2", "avx") if flag in flags][:1]
    return " ".join([trimmed.get("model name", platform.machine()), *vectors])
