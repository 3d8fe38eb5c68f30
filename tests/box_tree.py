"""Box drives as trees on disk, for what reads drives from files."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from box_world import BoxDrive

from surround_depth.data.synthetic.drive_types import RenderedDrive, RenderedSample


def rendered(drive: BoxDrive, name: str = "scene-0001") -> RenderedDrive:
    """Return a box drive as the renderer would hand it to the tree writer."""

    def samples() -> Iterator[RenderedSample]:
        for index in range(len(drive)):
            sample = drive[index]
            assert sample.truth is not None
            assert sample.lidar is not None
            assert sample.lidar.T_world_ego is not None
            assert sample.frame.T_world_ego is not None
            assert sample.lidar.beam is not None
            extra = np.stack([np.zeros(len(sample.lidar)), sample.lidar.beam], axis=1).astype(np.float32)
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

    return RenderedDrive(name, "boxes", 0, drive.rig, np.eye(4), len(drive), samples())
