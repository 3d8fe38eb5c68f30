"""The predictor that has seen the training drives but never looks at an image: the mean depth of each pixel.

A street is much the same everywhere (road below, facades left and right), so this is the number to beat: a student that
is not clearly better has learnt the layout of the rig and nothing of the picture.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.metrics.scoreboard import DEFAULT_RANGE, ScoredRange


def per_pixel_mean_m(
    truth_maps_m: Iterable[NDArray[np.float32]], scored_range: ScoredRange = DEFAULT_RANGE
) -> NDArray[np.float32]:
    """Return the mean depth [N, H, W] over training frames of true depth [N, H, W] (NaN = unknown).

    Only truth that the scores count is averaged: a hill a kilometre away would make the baseline easy to beat.
    A pixel without truth in any frame takes the mean of its image row, and a row without any that of its camera,
    so that the baseline answers everywhere (also with sparse LiDAR).

    Raises:
        DataError: no frame, or a camera without a single true depth.
    """
    total, count = np.zeros(()), np.zeros(())
    for truth_m in truth_maps_m:
        # False on NaN
        known = (truth_m > scored_range.min_depth_m) & (truth_m < scored_range.max_depth_m)
        total = total + np.where(known, truth_m, 0.0)
        count = count + known
    if total.ndim != 3:
        raise DataError("the per-pixel mean needs at least one training frame with true depth")
    row_total, row_count = total.sum(axis=2, keepdims=True), count.sum(axis=2, keepdims=True)
    camera_total, camera_count = row_total.sum(axis=1, keepdims=True), row_count.sum(axis=1, keepdims=True)
    if not camera_count.all():
        blind = np.flatnonzero(camera_count.ravel() == 0).tolist()
        raise DataError(
            f"cameras {blind} have no true depth in any training frame; the per-pixel mean is undefined there"
        )
    mean_m = camera_total / camera_count
    mean_m = np.where(row_count > 0, row_total / np.maximum(row_count, 1), mean_m)
    return np.where(count > 0, total / np.maximum(count, 1), mean_m).astype(np.float32)
