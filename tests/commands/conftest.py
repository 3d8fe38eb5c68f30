"""A small drive on disk whose every depth is known, for the commands that read drives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from box_world import BoxDrive, make_rig
from whole_trees import write_nuscenes

from surround_depth.data.synthetic.drive_types import RenderedDrive, RenderedSample


def rendered(drive: BoxDrive) -> RenderedDrive:
    """Return a box drive as the renderer would hand it to the tree writer."""

    def samples() -> Iterator[RenderedSample]:
        for index in range(len(drive)):
            sample = drive[index]
            assert sample.truth is not None
            assert sample.lidar is not None
            assert sample.lidar.T_world_ego is not None
            assert sample.frame.T_world_ego is not None
            extra = np.zeros((len(sample.lidar), 2), np.float32)
            yield RenderedSample(
                stamp_ns=sample.lidar.stamp_ns,
                images=tuple(image for image in sample.frame.images if isinstance(image, np.ndarray)),
                depth_m=sample.truth.depth_m,
                stamps_ns=sample.frame.stamps_ns,
                T_world_ego=sample.frame.T_world_ego,
                lidar_points=np.concatenate([sample.lidar.points_m, extra], axis=1),
                lidar_stamp_ns=sample.lidar.stamp_ns,
                T_world_ego_lidar=sample.lidar.T_world_ego,
                boxes=(),
            )

    return RenderedDrive("scene-0001", "boxes", 0, drive.rig, np.eye(4), len(drive), samples())


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A nuScenes-format tree of one scene, three samples of two cameras; do not change it."""
    root = tmp_path_factory.mktemp("tree")
    write_nuscenes(root, [rendered(BoxDrive(rig=make_rig(("F", "B")), n_samples=3))])
    return root
