"""What ran, and on what: the line that stands under every measured number."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import surround_depth
from surround_depth.inference.cpu import allowed_cpus, physical_cores
from surround_depth.inference.tensorrt_library import gpu_name

_PACKAGES = ("surround_depth", "numpy", "torch", "onnx", "onnxruntime", "tensorrt", "tensorrt-rtx", "cuda-bindings")
_CPUINFO = Path("/proc/cpuinfo")


def package_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that make or run engines, as far as they are installed."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


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


def source_commit() -> str:
    """Return the git commit of the checkout this package is imported from, "+changes" if edited, else "no checkout"."""
    root = Path(surround_depth.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return "no checkout"
    commit = _git(root, "rev-parse", "--short=12", "HEAD")
    return commit + ("+changes" if _git(root, "status", "--porcelain") else "") if commit else "no checkout"


def _git(root: Path, *arguments: str) -> str:
    try:
        run = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip() if run.returncode == 0 else ""
