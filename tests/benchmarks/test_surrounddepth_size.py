"""The stand-in has the size it stands for."""

from __future__ import annotations

import pytest
import torch

from surround_depth.benchmarks.roofline import count_macs
from surround_depth.benchmarks.surrounddepth_size import SurroundDepthSized


def test_parameters_and_multiplications_are_surrounddepths_within_five_per_cent() -> None:
    with torch.device("meta"):
        network = SurroundDepthSized().eval()
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(59e6, rel=0.05)
    pixels = torch.zeros(6, 3, 384, 640, device="meta")
    assert count_macs(network, [pixels]) == pytest.approx(236.5e9, rel=0.05)
