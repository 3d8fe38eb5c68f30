"""Torch as an engine runs it: the same metres as the student, and modes that a CPU has not got."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from surround_depth.benchmarks.gpu_nets import Net, preset_net
from surround_depth.benchmarks.torch_runner import TorchRunner, _network, _prepared
from surround_depth.errors import EngineMismatchError
from surround_depth.imaging import InputSpec

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def net() -> Net:
    return preset_net("pico", InputSpec(height_px=64, width_px=96), 2, ())


def test_eager_fp32_says_what_the_student_says(net: Net) -> None:
    with TorchRunner(net.student, net.spec, CPU, "eager fp32") as runner:
        for inputs in net.inputs:
            outputs, expected = runner.infer(inputs), net.reference.infer(inputs)
            np.testing.assert_allclose(outputs.depth_m, expected.depth_m, rtol=1e-5)
            np.testing.assert_allclose(outputs.confidence, expected.confidence, atol=1e-5)
        times = runner.last_times()
    assert times.engine_ms > times.upload_ms >= 0
    with pytest.raises(EngineMismatchError, match="closed"):
        runner.infer(net.inputs[0])


@pytest.mark.parametrize("mode", ["eager bf16", "eager fp16"])
def test_sixteen_bits_are_near_and_are_not_the_same(mode: str, net: Net) -> None:
    expected = net.reference.infer(net.inputs[0]).depth_m
    with TorchRunner(net.student, net.spec, CPU, mode) as runner:  # type: ignore[arg-type]
        got = runner.infer(net.inputs[0]).depth_m
    assert 0 < np.abs(got / expected - 1).max() < 0.05


@pytest.mark.parametrize("mode", ["graph fp32", "graph fp16", "compile fp16"])
def test_a_cpu_has_no_cuda_graph(mode: str, net: Net) -> None:
    with pytest.raises(EngineMismatchError, match="needs a CUDA device, this one is 'cpu'"):
        TorchRunner(net.student, net.spec, CPU, mode)  # type: ignore[arg-type]


def test_what_is_compiled_is_the_traced_half_student(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trace alone: the compiler and the capture need a GPU."""
    monkeypatch.setattr(torch, "compile", lambda graph: graph)
    monkeypatch.setattr("surround_depth.benchmarks.torch_runner._captured", lambda call, inputs: lambda: call(*inputs))
    inputs = [torch.from_numpy(array) for array in net.inputs[0].as_feeds().values()]
    with torch.no_grad():
        module = _network(net.student, "compile fp16")
        for got, expected in zip(_prepared(module, inputs, "compile fp16")(), module(*inputs), strict=True):
            torch.testing.assert_close(got, expected)
