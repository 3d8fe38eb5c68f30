"""Rasterisers: by hand at the borders, against plain numpy on random clouds, against torch and cv2 on real sweeps."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import pytest
import torch

from surround_depth.benchmarks import lidar_numpy
from surround_depth.data.ddad import DdadDataset
from surround_depth.data.lidar_depth import T_cam_lidar_ego
from surround_depth.data.lidar_raster import (
    PINHOLE,
    project_points,
    rasterise,
    rasterise_sparse,
    resize_depth_preserve,
    resize_sparse_preserve,
)
from surround_depth.data.nuscenes import NuScenesDataset
from surround_depth.geometry import Lens, rigid
from surround_depth.metrics.protocols import Rasteriser, protocol
from surround_depth.window import ImageWindow

H, W = 4, 20
# A focal length of 1 and a centre at 0: a point at depth 1 is its own pixel.
UNIT_K = np.eye(3)
SD, VF, DDAD, STRICT = (
    protocol("sd").nuscenes.rasteriser,
    protocol("vf").nuscenes.rasteriser,
    protocol("sd").ddad.rasteriser,
    protocol("strict").nuscenes.rasteriser,
)
EVERY_RULE = [
    Rasteriser(*switches)
    for switches in product(
        ("half_even", "half_up", "truncate"),
        ("unrounded", "rounded"),
        ("last", "nearest"),
        ("float64", "float32_product"),
        (0.0, 0.5),
    )
]


def columns(rule: Rasteriser) -> list[int | None]:
    """Return the column that a point at each border case falls into; None = lost."""
    found = []
    for u in (-0.4, -0.6, 0.5, 1.5, W - 1, W - 0.6, W - 0.4):
        map_m = rasterise(np.array([[u, 1.0, 1.0]], np.float32), np.eye(4), UNIT_K, PINHOLE, H, W, rule)
        hit = np.argwhere(np.isfinite(map_m))
        found.append(None if len(hit) == 0 else int(hit[0, 1]))
    return found


def test_borders_by_hand():
    """-0.4 and -0.6 left of the image, ties at 0.5 and 1.5, the last column, and past it."""
    assert columns(SD) == [0, None, 0, 2, 19, 19, None]  # 19.4 rounds to 19, 19.6 to 20
    assert columns(VF) == [None, None, 0, 2, 19, None, None]  # tested before rounding: nothing past 19
    assert columns(DDAD) == [0, 0, 0, 1, 19, 19, 19]  # towards zero: (-1, 0) passes
    assert columns(STRICT) == [0, None, 1, 2, 19, 19, None]  # pixel 0 spans [-0.5, 0.5)


def test_two_points_on_one_pixel():
    points_m = np.array([[12.0, 4.0, 4.0], [6.0, 2.0, 2.0], [9.0, 3.0, 3.0]], np.float32)  # all at (3, 1)
    for rule, depth_m, winner in ((SD, 3.0, 2), (DDAD, 3.0, 2), (STRICT, 2.0, 1)):
        found = rasterise_sparse(points_m, np.eye(4), UNIT_K, PINHOLE, H, W, rule)
        assert [values.tolist() for values in found] == [[1], [3], [depth_m], [winner]]


def test_depth_counts_strictly_beyond_the_least():
    points_m = np.array([[0.5, 0.5, 0.5], [1.5, 0.75, 0.75], [2.0, 1.0, -1.0]], np.float32)
    found = rasterise_sparse(points_m, np.eye(4), UNIT_K, PINHOLE, H, W, STRICT)
    assert found.point_index.tolist() == [1]


def random_cloud(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return points around a small camera, many on one pixel, many exactly on borders and ties, some at z = 0."""
    loose_m = rng.uniform((-8, -4, -2), (8, 4, 12), (400, 3))
    depth_m = rng.integers(1, 5, (400, 1)).astype(np.float64)
    ties_m = np.concatenate([rng.integers(-4, 44, (400, 1)) / 2, rng.integers(-4, 24, (400, 1)) / 2, depth_m], 1)
    ties_m[:, :2] *= depth_m
    flat_m = np.concatenate([rng.normal(size=(20, 2)), np.zeros((20, 1))], axis=1)
    points_m = np.concatenate([loose_m, ties_m, flat_m]).astype(np.float32)
    return points_m[rng.permutation(len(points_m))], np.eye(4), UNIT_K


@pytest.mark.parametrize("rule", EVERY_RULE, ids=lambda rule: "-".join(map(str, vars(rule).values())))
def test_every_switch_equals_plain_numpy(rule):
    rng = np.random.default_rng(7)
    turned = cv2.Rodrigues(np.array([0.02, -0.03, 0.01]))[0]
    for T, K in (
        (np.eye(4), UNIT_K),
        (rigid(turned, [0.1, -0.2, 0.3]), np.array([[7.3, 0.2, 9.4], [0, 7.1, 4.6], [0, 0, 1]])),
    ):
        points_m, _, _ = random_cloud(rng)
        expected_m = lidar_numpy.rasterise(points_m, T, K, H, W, rule)
        assert np.isfinite(expected_m).sum() > 30
        np.testing.assert_array_equal(rasterise(points_m, T, K, PINHOLE, H, W, rule), expected_m)


def test_the_sparse_form_is_the_map_row_by_row():
    points_m, T, K = random_cloud(np.random.default_rng(1))
    map_m = rasterise(points_m, T, K, PINHOLE, H, W, SD)
    found = rasterise_sparse(points_m, T, K, PINHOLE, H, W, SD)
    row, column = np.nonzero(np.isfinite(map_m))
    np.testing.assert_array_equal(found.row, row)
    np.testing.assert_array_equal(found.column, column)
    np.testing.assert_array_equal(found.depth_m, map_m[row, column])
    np.testing.assert_array_equal(found.depth_m, points_m[found.point_index, 2])


def test_an_empty_cloud():
    nothing = np.empty((0, 3), np.float32)
    assert np.isnan(rasterise(nothing, np.eye(4), UNIT_K, PINHOLE, H, W, SD)).all()


@pytest.mark.parametrize(
    "lens, oracle",
    [(Lens("radtan", (0.1, -0.05, 0.001, 0.002)), cv2.projectPoints), (Lens("fisheye", (0.1,) * 4), None)],
)
def test_distorted_lenses_follow_cv2(lens, oracle):
    rng = np.random.default_rng(3)
    points_m = (rng.uniform((-1, -0.5, 1), (1, 0.5, 2), (200, 3))).astype(np.float32)
    K = np.array([[8.0, 0, 9.5], [0, 8.0, 1.5], [0, 0, 1]])
    found = project_points(points_m, np.eye(4), K, lens)
    project = oracle or (lambda p, r, t, k, d: cv2.fisheye.projectPoints(p[:, None], r, t, k, d))
    uv_px = project(points_m.astype(np.float64), np.zeros(3), np.zeros(3), K, np.array(lens.coefficients))[0]
    np.testing.assert_allclose(found.uv_px, uv_px.reshape(-1, 2), atol=1e-9)
    expected = np.floor(uv_px.reshape(-1, 2) + 0.5)
    inside = ((expected >= 0) & (expected < (W, H))).all(axis=1)
    map_m = rasterise(points_m, np.eye(4), K, lens, H, W, STRICT)
    assert set(map(tuple, np.argwhere(np.isfinite(map_m)))) == {(int(v), int(u)) for u, v in expected[inside]}


def surround_depth_exporter(points_m, T, K, height_px, width_px):
    """Return SurroundDepth's nuScenes truth, the arithmetic of tools/export_gt_depth_nusc.py in torch."""
    homogeneous = torch.from_numpy(np.concatenate([points_m, np.ones((len(points_m), 1))], axis=1)).float()
    camera_m = torch.mm(homogeneous, torch.from_numpy(T).float().t())
    camera_m = camera_m[camera_m[:, 2] > 0]
    viewpad = torch.eye(4)
    viewpad[:3, :3] = torch.tensor(K).float()
    pixels = torch.mm(camera_m, viewpad.t())[:, :3]
    uv_px = (pixels[:, :2] / pixels[:, 2:3]).numpy()
    return uv_px, camera_m[:, 2].numpy()


def test_float32_product_is_the_published_one_on_a_real_sweep(real_data):
    """Depths to the last bits, and the same pixel wherever the coordinate is not within a thousandth of a tie."""
    sample = NuScenesDataset(real_data / "nuscenes", version="v1.0-test").sequence("scene-0061")[0]
    for i, camera in enumerate(sample.frame.rig.cameras):
        T = T_cam_lidar_ego(sample.lidar, sample.frame.T_world_ego[i], camera)
        points_m = sample.lidar.points_m
        uv_px, depth_m = surround_depth_exporter(points_m, T, camera.K, camera.height_px, camera.width_px)
        ours = project_points(points_m, T, camera.K, arithmetic="float32_product")
        assert ours.uv_px.dtype == ours.depth_m.dtype == np.float32
        assert len(ours.depth_m) == len(depth_m)
        near = (np.abs(uv_px) < 2000).all(axis=1)  # beside the image, at grazing z, coordinates grow without end
        np.testing.assert_allclose(ours.depth_m[near], depth_m[near], rtol=1e-6)
        tie = np.abs(np.abs(uv_px - np.floor(uv_px)) - 0.5).min(axis=1) < 1e-3
        same = (np.rint(ours.uv_px) == np.rint(uv_px)).all(axis=1)
        assert same[near & ~tie].all()


def test_truncation_is_the_published_one_on_a_real_sweep(real_data):
    """dgp's `generate_depth_map`, written out here with cv2, against ours: every pixel and every bit of depth."""
    sample = DdadDataset(real_data / "ddad").sequence("scene_02")[0]
    for i, camera in enumerate(sample.frame.rig.cameras):
        T = T_cam_lidar_ego(sample.lidar, sample.frame.T_world_ego[i], camera)
        points_cam_m = sample.lidar.points_m.astype(np.float64) @ T[:3, :3].T + T[:3, 3]
        uv = cv2.projectPoints(points_cam_m, np.zeros(3), np.zeros(3), camera.K, np.zeros(5))[0].reshape(-1, 2)
        column, row = uv.astype(int).T
        size = camera.height_px, camera.width_px
        seen = (column >= 0) & (row >= 0) & (column < size[1]) & (row < size[0]) & (points_cam_m[:, 2] > 0)
        expected_m = np.full(size, np.nan, np.float32)
        expected_m[row[seen], column[seen]] = points_cam_m[seen, 2]
        map_m = rasterise(sample.lidar.points_m, T, camera.K, camera.lens, *size, DDAD)
        np.testing.assert_array_equal(map_m, expected_m)


WINDOWS = {
    "vfdepth_ddad": ImageWindow.whole(60, 96, 19, 32),
    "cropped": ImageWindow(60, 96, 30, 50, 5, 3, 20, 40),
    "enlarged": ImageWindow.whole(20, 30, 41, 77),
    "same": ImageWindow.whole(20, 30, 20, 30),
}


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)
def test_resize_preserve_equals_the_loop(window):
    rng = np.random.default_rng(5)
    shape = window.image_height_px, window.image_width_px
    depth_m = np.where(rng.random(shape) < 0.3, rng.uniform(1, 80, shape), np.nan).astype(np.float32)
    kept_m = resize_depth_preserve(depth_m, window)
    np.testing.assert_array_equal(kept_m, lidar_numpy.resize_depth_preserve(depth_m, window))
    # Every value is one of the given ones, and lies within a cell of where it was.
    sources = {float(value): index for index, value in np.ndenumerate(depth_m)}
    scale = np.array([window.scale_y, window.scale_x])
    assert np.isfinite(kept_m).sum() > 50
    for index in np.argwhere(np.isfinite(kept_m)):
        place = np.array(sources[float(kept_m[tuple(index)])]) * scale - (window.top_px, window.left_px)
        assert (np.abs(index - place) < 1.0).all()


def test_resize_preserve_by_hand():
    """Halved: rows 0 and 1 share a row, columns likewise; of the cell's values the last in row-major order stays."""
    depth_m = np.full((4, 4), np.nan, np.float32)
    depth_m[0, 0], depth_m[1, 1], depth_m[0, 1], depth_m[3, 2] = 9.0, 2.0, 5.0, 7.0
    kept_m = resize_depth_preserve(depth_m, ImageWindow.whole(4, 4, 2, 2))
    np.testing.assert_array_equal(kept_m, np.array([[2.0, np.nan], [np.nan, 7.0]], np.float32))


def test_resize_preserve_of_the_sparse_form():
    points_m, T, K = random_cloud(np.random.default_rng(2))
    window = ImageWindow(H, W, 3, 13, 1, 2, 2, 9)
    found = resize_sparse_preserve(rasterise_sparse(points_m, T, K, PINHOLE, H, W, SD), window)
    np.testing.assert_array_equal(
        found.dense(2, 9), resize_depth_preserve(rasterise(points_m, T, K, PINHOLE, H, W, SD), window)
    )
    np.testing.assert_array_equal(found.depth_m, points_m[found.point_index, 2])
