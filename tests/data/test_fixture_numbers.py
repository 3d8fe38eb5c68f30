"""The numbers of the real fixtures (reference: protocols, sections 9 and 10), by our own readers and geometry."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from surround_depth.data.ddad import DdadDataset, DdadSequence
from surround_depth.data.lidar_depth import T_cam_lidar_ego
from surround_depth.data.lidar_raster import project_points, rasterise_sparse
from surround_depth.frame import EncodedImage, SurroundFrame
from surround_depth.geometry import Array, invert_rigid, project, transform
from surround_depth.metrics.protocols import protocol

# Columns: given pose, identity, inverse pose, depth x 1.15, x 0.85, x 1.5; then the number of points.
TEMPORAL_NCC = {
    "CAMERA_05": (0.928, 0.260, 0.062, 0.653, 0.566, 0.436, 6501),
    "CAMERA_01": (0.947, 0.152, 0.014, 0.843, 0.809, 0.668, 2687),
    "CAMERA_06": (0.707, 0.147, 0.095, 0.362, 0.324, 0.237, 7505),
    "CAMERA_07": (0.862, 0.253, 0.123, 0.583, 0.553, 0.426, 7263),
    "CAMERA_09": (0.955, 0.386, 0.191, 0.870, 0.819, 0.712, 5088),
    "CAMERA_08": (0.916, 0.211, 0.126, 0.613, 0.563, 0.330, 5788),
}
PATCH_PX = np.stack(np.meshgrid(np.arange(-5, 6), np.arange(-5, 6)), axis=-1).reshape(-1, 2)  # 11 x 11


@pytest.fixture(scope="module")
def scene_02(real_data) -> DdadSequence:
    masks = real_data / "ddad_masks" / "0"
    return DdadDataset(real_data / "ddad", mask_dir=masks).sequence("scene_02")


def grey(frame: SurroundFrame, i: int) -> np.ndarray:
    image = frame.images[i]
    assert isinstance(image, EncodedImage)
    return cv2.imdecode(np.frombuffer(image.data, np.uint8), cv2.IMREAD_GRAYSCALE).astype(np.float32)


def patches(image: np.ndarray, uv_px: Array) -> np.ndarray:
    """Return bilinear patches [P, 121] without their mean."""
    places = (uv_px[:, None] + PATCH_PX).astype(np.float32)
    values = cv2.remap(image, places[..., 0], places[..., 1], cv2.INTER_LINEAR)
    return values - values.mean(axis=1, keepdims=True)


def correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the normalised cross-correlation [P] of patches without mean."""
    return (first * second).sum(axis=1) / np.maximum(np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1)), 1e-9)


@pytest.mark.parametrize("name", TEMPORAL_NCC)
def test_lidar_moved_by_the_poses_finds_the_same_texture(scene_02, name):
    """Pose direction and metric scale, without any model: only the given pose at the given depth meets the texture."""
    now, later = scene_02[0], scene_02[1]
    i, camera = now.frame.rig.index(name), now.frame.rig.camera(name)

    def inside(uv_px: Array, margin_px: int) -> np.ndarray:
        low, high = margin_px, (camera.width_px - 1 - margin_px, camera.height_px - 1 - margin_px)
        return ((uv_px >= low) & (uv_px <= high)).all(axis=1)

    points_m = transform(T_cam_lidar_ego(now.lidar, now.frame.T_world_ego[i], camera), now.lidar.points_m.astype(float))
    points_m = points_m[points_m[:, 2] > 1.0]
    points_m = points_m[inside(project(points_m, camera.K), 10)]
    column, row = np.floor(project(points_m, camera.K)).astype(int).T
    points_m = points_m[~camera.own_body[row, column]]
    texture = patches(grey(now.frame, i), project(points_m, camera.K))
    textured = texture.std(axis=1) > 6
    points_m, texture = points_m[textured], texture[textured]

    T_world_cam = [sample.frame.T_world_ego[i] @ camera.T_ego_cam for sample in (now, later)]
    T_later_now = invert_rigid(T_world_cam[1]) @ T_world_cam[0]
    moved = [transform(T_later_now, points_m), points_m, transform(invert_rigid(T_later_now), points_m)]
    moved += [transform(T_later_now, scale * points_m) for scale in (1.15, 0.85, 1.5)]
    seen = np.all([(p[:, 2] > 0.5) & inside(project(p, camera.K), 8) for p in moved], axis=0)
    found = [
        np.median(correlation(texture[seen], patches(grey(later.frame, i), project(p[seen], camera.K)))) for p in moved
    ]
    *expected, n_points = TEMPORAL_NCC[name]
    np.testing.assert_allclose(found, expected, atol=0.01)
    assert seen.sum() == pytest.approx(n_points, rel=0.002)
    given, identity, inverse, *scaled = found
    assert given > max(scaled)
    assert min(scaled) > identity > inverse


def test_truncation_and_rounding_agree_on_a_quarter_of_the_points(scene_02):
    sample = scene_02[0]
    same = total = 0
    for i, camera in enumerate(sample.frame.rig.cameras):
        T = T_cam_lidar_ego(sample.lidar, sample.frame.T_world_ego[i], camera)
        uv_px = project_points(sample.lidar.points_m, T, camera.K).uv_px
        uv_px = uv_px[((uv_px >= 0) & (uv_px < (camera.width_px, camera.height_px))).all(axis=1)]
        same += (np.trunc(uv_px) == np.rint(uv_px)).all(axis=1).sum()
        total += len(uv_px)
    assert same / total == pytest.approx(0.25, abs=0.005)


def test_storing_clouds_as_float32_moves_one_point_of_the_published_truth(scene_02, real_data):
    """The files hold float64, and so did the points of dgp's truth; `PointCloud` is float32."""
    sample = scene_02[0]
    with np.load(next((real_data / "ddad/scene_02/point_cloud/LIDAR").glob("15616458250027900.npz"))) as archive:
        exact_m = archive["data"][:, :3]
    assert np.abs(sample.lidar.points_m - exact_m).max() < 1e-5
    rule = replace(protocol("sd").ddad.rasteriser, winner="nearest")
    pixels, moved = 0, 0
    for i, camera in enumerate(sample.frame.rig.cameras):
        T = T_cam_lidar_ego(sample.lidar, sample.frame.T_world_ego[i], camera)
        ours, theirs = (
            rasterise_sparse(points, T, camera.K, camera.lens, camera.height_px, camera.width_px, rule)
            for points in (sample.lidar.points_m, exact_m)
        )
        pixels += len(theirs.row)
        moved += len(set(zip(theirs.row, theirs.column, strict=True)) - set(zip(ours.row, ours.column, strict=True)))
    assert (moved, pixels) == (1, 58610)
