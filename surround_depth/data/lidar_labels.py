"""LiDAR that a network learns from: in each camera's pixels, visible, and kept as sparse as it is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.lidar_depth import T_cam_lidar_ego
from surround_depth.data.lidar_occlusion import visible
from surround_depth.data.lidar_raster import rasterise_sparse
from surround_depth.data.sample import Sample
from surround_depth.metrics.protocols import STRICT
from surround_depth.rig import Rig


class LidarLabels(NamedTuple):
    """The pixels of a rig's images [N, H, W] that have LiDAR depth."""

    flat_index: NDArray[np.int32]  # [P] into the flat [N, H, W], ascending
    depth_m: NDArray[np.float32]  # [P] z along the optical axis


def visible_lidar(sample: Sample, rig: Rig) -> LidarLabels:
    """Return the sweep on the pixels of `rig`, without the points that its cameras cannot see.

    The same as `lidar_depth.lidar_depth_maps` with `lidar_occlusion.visible` after it, without building the maps, which
    are 99 % empty.

    Args:
        rig: the sample's cameras at any one resolution, e.g. `plans.network_rig`.
    """
    frame, lidar = sample.frame, sample.lidar
    if lidar is None:
        return LidarLabels(np.zeros(0, np.int32), np.zeros(0, np.float32))
    index, depth_m = [], []
    for i in np.flatnonzero(frame.camera_valid):
        camera = rig.cameras[i]
        T_world_ego = None if frame.T_world_ego is None else frame.T_world_ego[i]
        found = rasterise_sparse(
            lidar.points_m,
            T_cam_lidar_ego(lidar, T_world_ego, camera),
            camera.K,
            camera.lens,
            camera.height_px,
            camera.width_px,
            STRICT.nuscenes.rasteriser,
        )
        seen = visible(found, camera)
        index.append((i * camera.height_px + seen.row) * camera.width_px + seen.column)
        depth_m.append(seen.depth_m)
    return LidarLabels(np.concatenate(index).astype(np.int32), np.concatenate(depth_m))
