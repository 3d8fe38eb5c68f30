"""A LiDAR of fewer beams than the one that was driven: what a student is worth with a cheaper sensor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from surround_depth.errors import ConfigError
from surround_depth.frame import PointCloud

_SENSORS = (8, 16, 32, 40, 64, 128, 256)


def with_beams(cloud: PointCloud, n_beams: int) -> PointCloud:
    """Return the points of `n_beams` of the sensor's beams, spread evenly from the lowest to the highest.

    Of 32 beams, 4 are the beams 4, 12, 20 and 28. Sensors have 8, 16, 32, 40, 64 or 128: the smallest of these that
    holds every beam of the cloud is taken for the sensor's number, since its topmost beam may see nothing but sky.

    Raises:
        ConfigError: the cloud does not tell its beams (all in one is not telling), or the sensor has fewer.
    """
    if cloud.beam is None or (len(cloud) > 0 and not cloud.beam.any()):
        raise ConfigError(
            f"data.lidar_beams: the LiDAR of {cloud.frame_id or 'this data set'} does not say which beam a point is of "
            "(nuScenes does); leave the key out"
        )
    highest = int(cloud.beam.max(initial=0))
    n_sensor = next(n for n in _SENSORS if n > highest)
    if n_beams > n_sensor:
        raise ConfigError(f"data.lidar_beams: {n_beams} are asked for and the LiDAR of {cloud.frame_id} has {n_sensor}")
    kept = ((np.arange(n_beams) + 0.5) * n_sensor / n_beams).astype(int)
    keep = np.isin(cloud.beam, kept)
    of_each = {
        name: values[keep]
        for name in ("points_m", "rgb", "confidence", "camera_index", "intensity", "beam")
        if (values := getattr(cloud, name)) is not None
    }
    return replace(cloud, **of_each)
