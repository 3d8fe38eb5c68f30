"""A mirrored rig sees the flipped picture of the mirrored street; OpenCV is the witness."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from surround_depth.errors import DataError
from surround_depth.frame import PointCloud
from surround_depth.geometry import Lens, invert_rigid, project, rigid, transform
from surround_depth.imaging import (
    Framing,
    InputSpec,
    mirrored_camera,
    mirrored_cloud,
    mirrored_pose,
    plan_image,
    plan_images,
)
from surround_depth.rig import Camera, load_rig

HEIGHT_PX, WIDTH_PX = 900, 1600
RADTAN = (-0.2, 0.05, 0.003, -0.004, 0.001)
FISHEYE = (-0.02, 0.003, -0.001, 0.0002)


def front_left(lens: Lens, skew: float = 0.0) -> Camera:
    yaw_rad = 0.9  # to the left
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    R_ego_forward = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
    R_forward_cam = np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]])
    tilt, _ = cv2.Rodrigues(np.array([0.03, -0.02, 0.05]))
    K = np.array([[800.0, skew, 770.25], [0.0, 790.0, 470.5], [0.0, 0.0, 1.0]])
    own_body = np.zeros((HEIGHT_PX, WIDTH_PX), bool)
    own_body[-100:, :300] = True
    T_ego_cam = rigid(R_ego_forward @ R_forward_cam @ tilt, [1.5, 0.5, 1.6])
    return Camera("CAM_FRONT_LEFT", HEIGHT_PX, WIDTH_PX, K, T_ego_cam, lens, own_body=own_body)


def points_ego_m(camera: Camera) -> np.ndarray:
    """Random points before the camera, well inside its picture."""
    rng = np.random.default_rng(4)
    depth_m = rng.uniform(3, 40, 200)
    sideways = rng.uniform(-0.6, 0.6, (200, 2))
    points_cam_m = np.column_stack([sideways * depth_m[:, None], depth_m])
    return transform(camera.T_ego_cam, points_cam_m)


def opencv_pixels(points_m: np.ndarray, camera: Camera) -> np.ndarray:
    T_cam_ego = invert_rigid(camera.T_ego_cam)
    rotation, translation = cv2.Rodrigues(T_cam_ego[:3, :3])[0], T_cam_ego[:3, 3]
    coefficients = np.array(camera.lens.coefficients)
    if camera.lens.model == "fisheye":
        uv, _ = cv2.fisheye.projectPoints(points_m[:, None], rotation, translation, camera.K, coefficients)
    else:
        uv, _ = cv2.projectPoints(points_m, rotation, translation, camera.K, coefficients)
    return uv.reshape(-1, 2)


@pytest.mark.parametrize(
    "lens", [Lens(), Lens("radtan", RADTAN), Lens("fisheye", FISHEYE)], ids=lambda lens: lens.model
)
def test_opencv_sees_mirrored_points_at_flipped_pixels(lens: Lens) -> None:
    camera = front_left(lens)
    points_m = points_ego_m(camera)
    uv_px = opencv_pixels(points_m, camera)
    mirrored_px = opencv_pixels(points_m * [1, -1, 1], mirrored_camera(camera))
    np.testing.assert_allclose(mirrored_px, np.column_stack([WIDTH_PX - 1 - uv_px[:, 0], uv_px[:, 1]]), atol=1e-6)


def test_a_skewed_picture_leans_the_other_way() -> None:
    """OpenCV knows no skew: K by hand."""
    camera = front_left(Lens(), skew=12.0)
    points_m = points_ego_m(camera)

    def pixels(points_m: np.ndarray, camera: Camera) -> np.ndarray:
        homogeneous = transform(invert_rigid(camera.T_ego_cam), points_m) @ camera.K.T
        return homogeneous[:, :2] / homogeneous[:, 2:]

    expected = pixels(points_m, camera) * [-1, 1] + [WIDTH_PX - 1, 0]
    np.testing.assert_allclose(pixels(points_m * [1, -1, 1], mirrored_camera(camera)), expected, atol=1e-8)


def test_left_becomes_right_and_twice_is_the_same() -> None:
    camera = front_left(Lens("radtan", RADTAN), skew=3.0)
    mirrored = mirrored_camera(camera)
    assert camera.yaw_rad > 0.5
    assert mirrored.yaw_rad < -0.5
    assert mirrored.T_ego_cam[1, 3] == -0.5
    assert np.linalg.det(mirrored.T_ego_cam[:3, :3]) == pytest.approx(1.0)
    assert mirrored.own_body is not None
    assert mirrored.own_body[-1, -1]
    assert not mirrored.own_body[-1, 0]
    twice = mirrored_camera(mirrored)
    np.testing.assert_allclose(twice.K, camera.K)
    np.testing.assert_array_equal(twice.T_ego_cam, camera.T_ego_cam)
    assert twice.lens == camera.lens


def test_outlines_of_the_own_body_are_flipped() -> None:
    outline = (((0.0, 800.0), (300.0, 899.0), (0.0, 899.0)),)
    plain = front_left(Lens()).with_own_body(None)
    camera = Camera(plain.name, HEIGHT_PX, WIDTH_PX, plain.K, plain.T_ego_cam, own_body_polygons_px=outline)
    mirrored = mirrored_camera(camera)
    assert mirrored.own_body_polygons_px == (((1599.0, 800.0), (1299.0, 899.0), (1599.0, 899.0)),)


def test_motion_and_points_are_mirrored_together() -> None:
    """A point fixed in the world stays where it is, whichever ego pose it is seen from."""
    rotation, _ = cv2.Rodrigues(np.array([0.01, 0.02, 0.7]))
    T_world_ego = rigid(rotation, [100.0, 50.0, 1.0])
    cloud = PointCloud(np.array([[10.0, 3.0, 1.0]], np.float32), "ego", 1, T_world_ego=T_world_ego)
    world_m = transform(T_world_ego, cloud.points_m.astype(float))
    mirrored = mirrored_cloud(cloud)
    assert mirrored.points_m.tolist() == [[10.0, -3.0, 1.0]]
    assert mirrored.T_world_ego is not None
    assert np.linalg.det(mirrored.T_world_ego[:3, :3]) == pytest.approx(1.0)
    np.testing.assert_allclose(transform(mirrored.T_world_ego, mirrored.points_m.astype(float)), world_m * [1, -1, 1])
    np.testing.assert_array_equal(mirrored.T_world_ego, mirrored_pose(T_world_ego))


def test_a_cloud_in_a_sensors_frame_has_no_known_left() -> None:
    with pytest.raises(DataError, match="ego or world"):
        mirrored_cloud(PointCloud(np.zeros((1, 3), np.float32), "sensor", 1))


@pytest.mark.parametrize("framing", [Framing(mirrored=True), Framing(1.37, (0.2, 0.7), mirrored=True)])
def test_a_mirrored_plan_gives_the_flipped_values_of_its_twin_to_the_bit(framing: Framing) -> None:
    spec = InputSpec(height_px=352, width_px=608)  # an odd excess of columns: its halves differ
    camera = front_left(Lens("radtan", RADTAN))
    twin = plan_image(camera, spec, Framing(framing.zoom, framing.shift))
    plan = plan_image(camera, spec, framing)
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
    depth_m = np.random.default_rng(1).uniform(1, 80, (HEIGHT_PX, WIDTH_PX)).astype(np.float32)
    np.testing.assert_array_equal(plan.prepare(image), twin.prepare(image)[:, ::-1])
    np.testing.assert_array_equal(plan.sample_nearest(depth_m), twin.sample_nearest(depth_m)[:, ::-1])
    np.testing.assert_array_equal(plan.sample_depth(depth_m), twin.sample_depth(depth_m)[:, ::-1])
    assert plan.network_camera.own_body is not None
    assert twin.network_camera.own_body is not None
    np.testing.assert_array_equal(plan.network_camera.own_body, twin.network_camera.own_body[:, ::-1])
    points_m = points_ego_m(camera)
    expected = opencv_pixels(points_m, twin.network_camera) * [-1, 1] + [607, 0]
    np.testing.assert_allclose(opencv_pixels(points_m * [1, -1, 1], plan.network_camera), expected, atol=1e-6)


def test_the_window_of_a_mirrored_plan_lies_over_the_flipped_picture() -> None:
    spec = InputSpec(height_px=352, width_px=608)
    plan = plan_image(front_left(Lens()), spec, Framing(1.2, (0.25, 1.0), mirrored=True))
    mirrored_recorded = mirrored_camera(plan.camera)
    points_m = points_ego_m(plan.camera) * [1, -1, 1]
    T_cam_ego = invert_rigid(mirrored_recorded.T_ego_cam)
    recorded_px = project(transform(T_cam_ego, points_m), mirrored_recorded.K)
    network_px = project(transform(T_cam_ego, points_m), plan.network_camera.K)
    np.testing.assert_allclose(plan.window.to_grid(recorded_px), network_px, atol=1e-9)


def test_a_mirrored_rigs_front_left_camera_looks_right() -> None:
    rig = load_rig("nuscenes")
    spec = InputSpec(height_px=192, width_px=352)
    mirrored = plan_images(rig, spec, Framing(mirrored=True)).network_rig
    assert mirrored.names == rig.names
    left, right = (mirrored.camera(f"CAM_FRONT_{side}").yaw_rad for side in ("LEFT", "RIGHT"))
    assert left < 0 < right
