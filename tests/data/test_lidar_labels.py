"""Sparse labels are the dense maps, read out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from box_world import BoxDrive, make_rig

from surround_depth.data.lidar_depth import lidar_depth_maps
from surround_depth.data.lidar_labels import visible_lidar
from surround_depth.data.lidar_occlusion import occluded


def test_labels_are_the_visible_part_of_the_maps() -> None:
    sample = BoxDrive(rig=make_rig(("F", "B")), n_samples=1)[0]
    rig = sample.frame.rig
    maps_m = lidar_depth_maps(sample, rig)
    expected_m = maps_m.copy()
    for depth_m, camera in zip(expected_m, rig.cameras, strict=True):
        row, column = np.nonzero(np.isfinite(depth_m))
        hidden = occluded(row, column, depth_m[row, column], camera)
        depth_m[row[hidden], column[hidden]] = np.nan
    labels = visible_lidar(sample, rig)
    assert len(labels.flat_index) > 100
    np.testing.assert_array_equal(labels.flat_index, np.flatnonzero(np.isfinite(expected_m)))
    np.testing.assert_array_equal(labels.depth_m, expected_m.reshape(-1)[labels.flat_index])


def test_a_dead_camera_and_a_missing_sweep_have_no_labels() -> None:
    sample = BoxDrive(rig=make_rig(("F", "B")), n_samples=1)[0]
    rig = sample.frame.rig
    one = replace(sample, frame=replace(sample.frame, camera_valid=np.array([False, True])))
    n_pixels = rig.cameras[0].height_px * rig.cameras[0].width_px
    assert visible_lidar(one, rig).flat_index.min() >= n_pixels
    nothing = visible_lidar(replace(sample, lidar=None), rig)
    assert len(nothing.flat_index) == len(nothing.depth_m) == 0
