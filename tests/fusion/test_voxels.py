from __future__ import annotations

import numpy as np

from surround_depth.fusion.points import FusedPoints
from surround_depth.fusion.voxels import merge_voxels


def points(xyz: object, *, range_m: object, confidence: object, camera: object, rgb: object = None) -> FusedPoints:
    points_m = np.array(xyz, np.float32).reshape(-1, 3)
    colors = np.zeros((len(points_m), 3)) if rgb is None else np.array(rgb)
    return FusedPoints(
        points_m,
        colors.astype(np.uint8),
        np.array(confidence, np.float32),
        np.array(camera, np.int16),
        np.array(range_m, np.float32),
    )


def test_a_voxel_is_the_mean_of_its_points_seen_by_the_nearest_camera() -> None:
    given = points(
        [(0.1, 0.1, 0.1), (0.3, 0.1, 0.1), (0.9, 0.1, 0.1)],
        range_m=[8.0, 5.0, 2.0],
        confidence=[0.9, 0.6, 0.7],
        camera=[3, 4, 5],
        rgb=[(10, 0, 255), (13, 0, 255), (7, 7, 7)],
    )
    merged = merge_voxels(given, 0.5)
    np.testing.assert_allclose(merged.points_m, [(0.2, 0.1, 0.1), (0.9, 0.1, 0.1)], rtol=1e-6)
    assert merged.rgb.tolist() == [[12, 0, 255], [7, 7, 7]]  # 11.5 rounds up
    assert merged.confidence.tolist() == np.array([0.9, 0.7], np.float32).tolist()
    assert merged.camera_index.tolist() == [4, 5]
    assert merged.camera_range_m.tolist() == [5.0, 2.0]


def test_zero_is_a_border_between_voxels() -> None:
    given = points([(-0.1, 0, 0), (0.1, 0, 0)], range_m=[1, 1], confidence=[1, 1], camera=[0, 0])
    assert len(merge_voxels(given, 0.5).points_m) == 2


def test_agrees_with_numpy_unique() -> None:
    random = np.random.default_rng(3)
    xyz = random.uniform(-20.0, 20.0, (20_000, 3)).astype(np.float32)
    given = points(xyz, range_m=random.uniform(1, 9, 20_000), confidence=random.random(20_000), camera=np.zeros(20_000))
    merged = merge_voxels(given, 2.0)
    voxels, number = np.unique(np.floor(xyz / np.float32(2.0)).astype(int), axis=0, return_inverse=True)
    assert len(merged.points_m) == len(voxels)
    means = np.stack([np.bincount(number.ravel(), xyz[:, axis]) for axis in range(3)], 1)
    means /= np.bincount(number.ravel())[:, None]
    order = np.lexsort(np.floor(merged.points_m / 2.0).T[::-1])
    np.testing.assert_allclose(merged.points_m[order], means, atol=1e-4)


def test_nothing_stays_nothing() -> None:
    assert len(merge_voxels(points([], range_m=[], confidence=[], camera=[]), 0.2).points_m) == 0
