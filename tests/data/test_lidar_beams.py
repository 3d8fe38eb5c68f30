"""Fewer beams of a sweep: which stay, and what goes with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from surround_depth.data.lidar_beams import with_beams
from surround_depth.data.nuscenes import NuScenesDataset
from surround_depth.errors import ConfigError
from surround_depth.frame import PointCloud


def cloud(n_beams: int) -> PointCloud:
    beam = np.repeat(np.arange(n_beams, dtype=np.uint8), 2)
    points_m = np.column_stack([beam, beam, beam]).astype(np.float32)
    return PointCloud(points_m, "ego", 1, frame_id="f", intensity=beam.astype(np.float32), beam=beam)


@pytest.mark.parametrize(
    "n_sensor,n_kept,kept",
    [
        (32, 4, [4, 12, 20, 28]),
        (32, 32, list(range(32))),
        (31, 2, [8, 24]),
        (16, 3, [2, 8, 13]),
        (5, 1, [4]),
        (40, 4, [5, 15, 25, 35]),
    ],
)
def test_the_beams_that_stay_are_spread_evenly(n_sensor: int, n_kept: int, kept: list[int]) -> None:
    """31: the topmost of 32 saw nothing. 16 in thirds: centers 2.67, 8 and 13.3. 5: a sensor of 8."""
    thin = with_beams(cloud(n_sensor), n_kept)
    assert thin.beam is not None
    assert thin.intensity is not None
    np.testing.assert_array_equal(thin.beam, np.repeat(kept, 2))
    np.testing.assert_array_equal(thin.points_m[:, 2], thin.beam)
    np.testing.assert_array_equal(thin.intensity, thin.beam)


def test_what_cannot_be_thinned_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"data\.lidar_beams: the LiDAR of f does not say which beam"):
        with_beams(PointCloud(np.zeros((1, 3), np.float32), "ego", 1, frame_id="f"), 4)
    in_one = PointCloud(np.zeros((9, 3), np.float32), "ego", 1, frame_id="f", beam=np.zeros(9, np.uint8))
    with pytest.raises(ConfigError, match=r"does not say which beam"):
        with_beams(in_one, 1)
    with pytest.raises(ConfigError, match=r"64 are asked for and the LiDAR of f has 32"):
        with_beams(cloud(32), 64)


def test_real_nuscenes_sweeps_tell_their_beams(real_data: Path) -> None:
    lidar = NuScenesDataset(real_data / "nuscenes").sequence("scene-0061")[0].lidar
    assert lidar is not None
    assert lidar.beam is not None
    assert set(np.unique(lidar.beam)) == set(range(32))
    share = len(with_beams(lidar, 4)) / len(lidar)
    assert 0.08 < share < 0.17  # an eighth, give or take what the sky swallows
