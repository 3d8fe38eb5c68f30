"""A kernel is compiled once per source and architecture; NVRTC itself where it is installed, a double where not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from surround_depth.errors import EngineMismatchError, MissingDependencyError
from surround_depth.inference import kernel_compiler
from surround_depth.inference.gpu import Gpu
from surround_depth.inference.gpu_resize import kernel_source
from surround_depth.inference.kernel_compiler import compiled, cubin_path, nvrtc_cubin

ORIN, H200 = Gpu("Orin", (8, 7)), Gpu("NVIDIA H200", (9, 0))


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the compiler was asked for; the cache is empty at first."""
    architectures: list[str] = []

    def compile_source(source: str, architecture: str) -> bytes:
        architectures.append(architecture)
        return f"{source} for {architecture}".encode()

    monkeypatch.setenv("SURROUND_DEPTH_CACHE", str(tmp_path))
    monkeypatch.setattr(kernel_compiler, "nvrtc_cubin", compile_source)
    return architectures


def test_each_source_is_compiled_once_for_each_kind_of_gpu(asked: list[str]) -> None:
    assert compiled("a", ORIN) == compiled("a", ORIN) == b"a for sm_87"
    assert compiled("a", H200) == b"a for sm_90"
    assert compiled("b", H200) == compiled("b", H200) == b"b for sm_90"
    assert asked == ["sm_87", "sm_90", "sm_90"]


def test_other_options_are_another_kernel(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    compiled("a", ORIN)
    monkeypatch.setattr(kernel_compiler, "OPTIONS", ("--fmad=true",))
    compiled("a", ORIN)
    assert asked == ["sm_87", "sm_87"]


def test_a_cache_that_cannot_be_written_costs_a_compilation(
    asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kernels").write_text("a file, not a folder")
    assert compiled("a", ORIN) == compiled("a", ORIN) == b"a for sm_87"
    assert asked == ["sm_87", "sm_87"]


def test_what_is_cached_needs_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SURROUND_DEPTH_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(MissingDependencyError, match=r"needs NVRTC .*nvidia-cuda-nvrtc"):
        compiled("a", ORIN)
    path = cubin_path("a", "sm_87")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"made elsewhere")
    assert compiled("a", ORIN) == b"made elsewhere"


@pytest.mark.parametrize("architecture", ["sm_80", "sm_87", "sm_90", "sm_100"])
def test_nvrtc_compiles_the_kernel(architecture: str) -> None:
    pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")
    try:
        cubin = nvrtc_cubin(kernel_source(), architecture)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    assert cubin.startswith(b"\x7fELF")
    assert b"prepare_images" in cubin
    with pytest.raises(EngineMismatchError, match=r"does not compile for sm_80: kernel\.cu"):
        nvrtc_cubin("nonsense;", "sm_80")
