"""From depth per camera to one point cloud: masks, unprojection, ego motion, voxels."""

from __future__ import annotations

from surround_depth.fusion.cloud import fuse as fuse
