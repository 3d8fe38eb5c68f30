"""An engine beside others: a stand-in network in its own runtime, another engine folder, and every cell."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_engine import write_tiny_engine
from torch import Tensor, nn

from surround_depth.benchmarks import rivals
from surround_depth.benchmarks.against import Versus, against_table, race
from surround_depth.errors import ConfigError
from surround_depth.export.frames import random_frames
from surround_depth.inference.backend import open_backend


class OneConvolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 1, 3)

    def forward(self, pixels: Tensor) -> Tensor:
        depth: Tensor = self.convolution(pixels)
        return depth


@pytest.mark.slow
def test_an_engine_is_timed_beside_a_network_and_another_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rivals, "SurroundDepthSized", OneConvolution)
    engine, other = write_tiny_engine(tmp_path / "engine"), write_tiny_engine(tmp_path / "other")
    with open_backend(engine, threads=1) as backend:
        frames = random_frames(backend.spec, 1, dead_cameras=False, height_px=64, width_px=96)
        names = ["surrounddepth", str(other)]
        network, folder = race(backend, "onnxruntime", frames, names, runs=2, threads=1)
        with pytest.raises(ConfigError, match="beside a CPU engine"):
            race(backend, "tensorrt", frames, names, runs=2, threads=1)
    assert network.what == "a network of SurroundDepth's size (0.0 M), 2 x 64 x 96, onnxruntime fp32"
    assert folder.name == "other"
    assert folder.what == "onnxruntime fp32, 2 x 64 x 96"
    assert min(network.own_p50_ms, network.other_p50_ms, folder.other_p50_ms) > 0


def test_every_cell_says_what_was_measured() -> None:
    versus = Versus("dav2-s", "Depth Anything V2 S", own_p50_ms=40.0, other_p50_ms=2300.0, runs=10)
    assert against_table([versus]).splitlines()[2] == "| dav2-s: Depth Anything V2 S | 40.0 | 2300.0 | 57.50 |"
    assert versus.as_json()["times_as_fast"] == 57.5
