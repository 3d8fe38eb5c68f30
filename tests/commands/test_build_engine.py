"""What users type, as they type it: exit codes and one-line errors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def run_command(checkout: Path, script: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "deploy" / script), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--checkpoint", "nowhere", "--out", "e"], "nowhere: no such folder"),
        (["--checkpoint", "c", "--out", "e", "--size", "big"], "--size 'big': write height x width"),
        (["--checkpoint", "c", "--out", "e", "--size", "100x448"], "height_px is 100"),
        (["--checkpoint", "c", "--out", "e", "--cameras", "0"], "must be at least 1"),
        (["--checkpoint", "c", "--out", "e", "--calibration", "d"], "--calibration is for --precision int8"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], complaint: str, checkout: Path, tmp_path: Path) -> None:
    result = run_command(checkout, "build_engine.py", *arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_tensorrt_is_never_replaced_silently(checkout: Path, tmp_path: Path) -> None:
    try:
        import tensorrt  # noqa: F401
    except ImportError:
        (tmp_path / "c").mkdir()
        (tmp_path / "c" / "config.json").write_text("{}")
        arguments = ("--checkpoint", "c", "--out", "e", "--engine", "tensorrt")
        result = run_command(checkout, "build_engine.py", *arguments, cwd=tmp_path)
        assert result.returncode == 2
        assert "pip install tensorrt" in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
    else:
        pytest.skip("TensorRT is installed here: nothing is missing")


def test_an_engine_that_is_not_there_is_one_line(checkout: Path, tmp_path: Path) -> None:
    for script, extra in (("benchmark.py", ()), ("check_parity.py", ("--checkpoint", "c"))):
        result = run_command(checkout, script, "--engine", "nowhere", *extra, cwd=tmp_path)
        assert result.returncode == 2
        assert "engine nowhere: no such engine directory; rebuild with" in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_the_whole_way_from_checkpoint_to_benchmark(checkout: Path, tmp_path: Path) -> None:
    weights = checkout / "surround_depth" / "weights" / "nano_synthetic"
    if not weights.is_dir():
        pytest.skip(f"no shipped student at {weights}")
    build = ("--checkpoint", str(weights), "--out", "e", "--cameras", "2", "--size", "64x96")
    result = run_command(checkout, "build_engine.py", *build, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("engine   ")  # which one was chosen, and why
    assert "next     python deploy/benchmark.py --engine e" in result.stdout
    half = (*build, "--engine", "onnxruntime", "--precision", "fp16")
    refused = run_command(checkout, "build_engine.py", *half, cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1
    assert "--precision fp16: onnxruntime runs on a CPU" in refused.stderr
    timing = (
        "--engine",
        "e",
        "--runs",
        "20",
        "--rates",
        "20",
        "--rate-seconds",
        "0.5",
        "--highest-rate-seconds",
        "0.3",
    )
    result = run_command(checkout, "benchmark.py", *timing, "--out", "b", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "b" / "benchmark.json").stat().st_size > 0
    check = ("--engine", "e", "--checkpoint", str(weights), "--frames", "1", "--out", "p")
    result = run_command(checkout, "check_parity.py", *check, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "p" / "parity.html").is_file()
    result = run_command(checkout, "export_onnx.py", "--checkpoint", str(weights), "--out", "s.onnx", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
