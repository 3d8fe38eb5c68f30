"""The real fixtures play to their end: their sizes, their missing cameras, their clocks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from box_world import ENGINE, BoxDrive, OracleBackend

from surround_depth.data.build import DatasetKind, open_dataset
from surround_depth.inference.backend import NetworkInputs, NetworkOutputs
from surround_depth.runtime.pacing import PlaybackOptions
from surround_depth.runtime.session import play_headless


class FlatGuess(OracleBackend):
    """Answers 12 m everywhere: plumbing is tested here, not depth."""

    def __init__(self) -> None:
        super().__init__(BoxDrive())

    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        inputs.require(self.spec)
        self.calls.append(inputs)
        answer = np.full((ENGINE.n_cameras, ENGINE.input.height_px, ENGINE.input.width_px), 12.0, np.float32)
        return NetworkOutputs(answer, np.ones_like(answer))


@pytest.mark.parametrize(
    "kind, scene, n_samples, n_cameras",
    [("nuscenes", "scene-0061", 1, 6), ("ddad", "scene_01", 3, 3), ("ddad", "scene_02", 3, 6)],
)
def test_real_drives_play_to_their_end(
    real_data: Path, tmp_path: Path, kind: DatasetKind, scene: str, n_samples: int, n_cameras: int
) -> None:
    sequence = open_dataset(kind, real_data / kind).sequence(scene)
    backend = FlatGuess()
    play_headless(backend, sequence, PlaybackOptions(rate=0.0), tmp_path, source={"dataset": kind})
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["frames"] == {"played": n_samples, "dropped": 0, "failed": 0}
    errors = report["error_lidar"]["per_camera"]
    assert len(errors) == n_cameras
    assert all(camera["n_pixels"] > 200 and 0.05 < camera["abs_rel"] < 5.0 for camera in errors.values())
    assert report["error_lidar"]["coverage"] == 1.0
    assert all(inputs.camera_valid.sum() == n_cameras for inputs in backend.calls)
    assert backend.calls[0].images[:n_cameras].std(axis=(1, 2, 3)).min() > 10  # real pictures in every used slot
