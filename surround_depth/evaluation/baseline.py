"""Predictors that have seen the training drives but never look at an image: the mean or median depth of each pixel.

A street is much the same everywhere (road below, facades left and right): a student that is not clearly better has
learnt the layout of the rig and nothing of the picture. AbsRel punishes depths that are too large most, so the median,
which the far tail does not pull, is the harder of the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.metrics.scoreboard import DEFAULT_RANGE, ScoredRange

_NO_FRAME = "a per-pixel baseline needs at least one training frame with true depth"
_MEDIAN_BINS = 128  # 4 % each from 0.5 to 80 m, and the median is interpolated inside its bin


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
        raise DataError(_NO_FRAME)
    row_total, row_count = total.sum(axis=2, keepdims=True), count.sum(axis=2, keepdims=True)
    camera_total, camera_count = row_total.sum(axis=1, keepdims=True), row_count.sum(axis=1, keepdims=True)
    _require_seen(camera_count)
    mean_m = camera_total / camera_count
    mean_m = np.where(row_count > 0, row_total / np.maximum(row_count, 1), mean_m)
    return np.where(count > 0, total / np.maximum(count, 1), mean_m).astype(np.float32)


def per_pixel_median_m(
    truth_maps_m: Iterable[NDArray[np.float32]], scored_range: ScoredRange = DEFAULT_RANGE
) -> NDArray[np.float32]:
    """Return the median depth [N, H, W] over training frames, with the rules of `per_pixel_mean_m`.

    Taken from a histogram in the logarithm of depth, so that memory does not grow with the frames; it is off by less
    than one bin, 4 % of the depth.

    Raises:
        DataError: as `per_pixel_mean_m`.
    """
    low, high = np.log(scored_range.min_depth_m), np.log(scored_range.max_depth_m)
    counts = np.zeros((0,), np.uint16)
    for truth_m in truth_maps_m:
        if counts.ndim == 1:
            counts = np.zeros((*truth_m.shape, _MEDIAN_BINS), np.uint16)
        known = (truth_m > scored_range.min_depth_m) & (truth_m < scored_range.max_depth_m)
        place = (np.log(truth_m[known]) - low) / (high - low) * _MEDIAN_BINS
        counts[(*np.nonzero(known), place.astype(int).clip(0, _MEDIAN_BINS - 1))] += 1
    if counts.ndim == 1:
        raise DataError(_NO_FRAME)
    rows = counts.sum(axis=2, keepdims=True, dtype=np.int64)
    cameras = rows.sum(axis=1, keepdims=True)
    _require_seen(cameras.sum(axis=-1))
    place = np.stack(
        [_median_place(counts[i]) for i in range(len(counts))]
    )  # one by one: the sums are larger than the counts
    for coarser in (_median_place(rows), _median_place(cameras)):
        place = np.where(np.isnan(place), coarser, place)
    return np.exp(low + place / _MEDIAN_BINS * (high - low)).astype(np.float32)


def _median_place(counts: NDArray[Any]) -> NDArray[np.float32]:
    """Return where the median of a histogram [..., M] lies, in bins from its beginning; NaN where it is empty."""
    below = counts.cumsum(axis=-1, dtype=np.float32)
    total = below[..., -1:]
    index = (below < total / 2).sum(axis=-1, keepdims=True)
    inside = np.take_along_axis(counts, index, axis=-1).astype(np.float32)
    before = np.take_along_axis(below, index, axis=-1) - inside
    place = index + (total / 2 - before) / np.maximum(inside, 1)
    return np.where(total > 0, place, np.nan)[..., 0].astype(np.float32)


def _require_seen(camera_count: NDArray[Any]) -> None:
    """Raise `DataError` naming the cameras whose count of true depths is zero."""
    if not camera_count.all():
        blind = np.flatnonzero(camera_count.ravel() == 0).tolist()
        raise DataError(f"cameras {blind} have no true depth in any training frame; a baseline is undefined there")
