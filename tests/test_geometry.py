"""Golden numbers come from cv2 and from hand: nothing here is our own output."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from surround_depth.errors import CalibrationError
from surround_depth.geometry import (
    Lens,
    R_to_quaternion,
    _fold_limit,
    cropped_K,
    depth_from_range,
    invert_rigid,
    project,
    quaternion_to_R,
    range_from_depth,
    ray_grid,
    resized_K,
    rigid,
    transform,
    unit_rays,
    unproject,
)

K = np.array([[1266.4, 0.0, 816.3], [0.0, 1266.4, 491.5], [0.0, 0.0, 1.0]])
RADTAN = [
    (-0.3, 0.1, 0.001, -0.002),
    (-0.3, 0.1, 0.001, -0.002, 0.01),
    (0.2, -0.1, 0.001, 0.002, 0.05, 0.1, 0.02, 0.003),
]
FISHEYE = [(0.05, -0.01, 0.003, -0.001), (-0.02, 0.004, 0.0, 0.0)]


@pytest.fixture
def points_cam_m():
    return np.random.default_rng(7).uniform([-10, -5, 5], [10, 5, 60], (500, 3))


def test_project_pinhole_by_hand():
    np.testing.assert_allclose(project(np.array([2.0, 1.0, 10.0]), K), [1069.58, 618.14], atol=1e-9)


def test_project_pinhole_equals_cv2(points_cam_m):
    expected = cv2.projectPoints(points_cam_m, np.zeros(3), np.zeros(3), K, None)[0][:, 0]
    np.testing.assert_allclose(project(points_cam_m, K), expected, rtol=1e-9)


@pytest.mark.parametrize("coefficients", RADTAN)
def test_project_radtan_equals_cv2(points_cam_m, coefficients):
    expected = cv2.projectPoints(points_cam_m, np.zeros(3), np.zeros(3), K, np.array(coefficients))[0][:, 0]
    np.testing.assert_allclose(project(points_cam_m, K, Lens("radtan", coefficients)), expected, rtol=1e-9)


@pytest.mark.parametrize("coefficients", FISHEYE)
def test_project_fisheye_equals_cv2(points_cam_m, coefficients):
    expected = cv2.fisheye.projectPoints(points_cam_m[:, None], np.zeros(3), np.zeros(3), K, np.array(coefficients))[0]
    np.testing.assert_allclose(project(points_cam_m, K, Lens("fisheye", coefficients)), expected[:, 0], rtol=1e-9)


@pytest.mark.parametrize(
    "lens", [Lens(), *(Lens("radtan", c) for c in RADTAN), *(Lens("fisheye", c) for c in FISHEYE)], ids=str
)
def test_unit_rays_invert_project(points_cam_m, lens):
    rays = unit_rays(project(points_cam_m, K, lens), K, lens)
    expected = points_cam_m / np.linalg.norm(points_cam_m, axis=1, keepdims=True)
    np.testing.assert_allclose(rays, expected, atol=1e-9)


def test_undistortion_equals_cv2(points_cam_m):
    lens = Lens("radtan", RADTAN[1])
    uv = project(points_cam_m, K, lens)
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
    expected = cv2.undistortPoints(uv[:, None], K, np.array(RADTAN[1]), criteria=criteria)[:, 0]
    rays = unit_rays(uv, K, lens)
    np.testing.assert_allclose(rays[:, :2] / rays[:, 2:], expected, atol=1e-9)


def test_points_behind_a_pinhole_have_no_pixel():
    assert np.isnan(project(np.array([[0.0, 0.0, -1.0], [1.0, 1.0, 0.0]]), K)).all()


def test_fisheye_sees_behind_the_image_plane():
    lens = Lens("fisheye", (0.0, 0.0, 0.0, 0.0))  # equidistant: the pixel radius is f times the angle
    point = np.array([1.0, 0.0, -1.0])  # 135 degrees off axis
    u, v = project(point, K, lens)
    assert u == pytest.approx(816.3 + 1266.4 * np.deg2rad(135.0))
    assert v == pytest.approx(491.5)
    np.testing.assert_allclose(unit_rays(np.array([u, v]), K, lens), point / np.sqrt(2.0), atol=1e-12)


def test_folded_distortion_is_refused_where_cv2_gives_a_false_pixel():
    coefficients = (-0.4, 0.0, 0.0, 0.0)  # r (1 - 0.4 r^2) turns back at r = sqrt(1 / 1.2) = 0.913
    far_off_axis = np.array([[1.45, 0.0, 1.0]])
    false_pixel = cv2.projectPoints(far_off_axis, np.zeros(3), np.zeros(3), K, np.array(coefficients))[0].ravel()
    assert 0 < false_pixel[0] < 1600
    assert np.isnan(project(far_off_axis, K, Lens("radtan", coefficients))).all()
    assert np.isfinite(project(np.array([[0.9, 0.0, 1.0]]), K, Lens("radtan", coefficients))).all()


def test_pixels_outside_the_image_circle_have_no_ray():
    lens = Lens("radtan", (-0.4, 0.0, 0.0, 0.0))  # largest distorted radius: 0.913 (1 - 0.4 * 0.8333) = 0.6086
    inside, outside = 816.3 + 0.60 * 1266.4, 816.3 + 0.62 * 1266.4
    rays = unit_rays(np.array([[inside, 491.5], [outside, 491.5]]), K, lens)
    assert np.isfinite(rays[0]).all()
    assert np.isnan(rays[1]).all()


@pytest.mark.parametrize(
    ("model", "coefficients"),
    [("pinhole", (0.1,)), ("radtan", (0.1, 0.2)), ("fisheye", (0.1,) * 5), ("radtan", (np.nan,) * 4), ("mei", ())],
)
def test_bad_lenses_are_refused(model, coefficients):
    with pytest.raises(CalibrationError):
        Lens(model, coefficients)


def test_resized_K_by_hand_keeps_the_corners():
    resized = resized_K(K, 0.4, 0.4)
    np.testing.assert_allclose([resized[0, 2], resized[1, 2]], [326.22, 196.30], atol=1e-9)
    corner = unit_rays(np.array([-0.5, -0.5]), K)
    np.testing.assert_allclose(project(corner, resized), [-0.5, -0.5], atol=1e-9)


def test_cropped_K_moves_the_centre_only():
    np.testing.assert_array_equal(cropped_K(K, 10.0, 20.0), [[1266.4, 0, 806.3], [0, 1266.4, 471.5], [0, 0, 1]])
    assert K[0, 2] == 816.3


def test_quaternion_order_is_wxyz():
    half = np.sqrt(0.5)
    np.testing.assert_allclose(quaternion_to_R([half, 0, 0, half]) @ [1, 0, 0], [0, 1, 0], atol=1e-12)


@given(hnp.arrays(np.float64, 4, elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1))
@settings(max_examples=50, deadline=None)
def test_quaternion_round_trip_and_proper_rotation(q):
    q = q / np.linalg.norm(q)
    R = quaternion_to_R(q)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1.0)
    assert abs(R_to_quaternion(R) @ q) == pytest.approx(1.0)  # q and -q are one rotation


@pytest.mark.parametrize("q", [[1, 0, 0], [2.0, 0, 0, 0], [np.nan, 0, 0, 1], [0, 0, 0, 0]])
def test_bad_quaternions_are_refused(q):
    with pytest.raises(CalibrationError, match="quaternion"):
        quaternion_to_R(q)


def test_rigid_transforms_by_hand():
    quarter_turn_left = quaternion_to_R([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
    T_a_b = rigid(quarter_turn_left, [10.0, 0.0, 1.0])
    np.testing.assert_allclose(transform(T_a_b, np.array([[2.0, 0.0, 0.0]])), [[10.0, 2.0, 1.0]], atol=1e-12)
    np.testing.assert_allclose(invert_rigid(T_a_b) @ T_a_b, np.eye(4), atol=1e-12)
    stacked = np.stack([T_a_b, np.eye(4)])
    np.testing.assert_allclose(invert_rigid(stacked)[1], np.eye(4))
    points = np.ones((2, 5, 3))
    np.testing.assert_allclose(transform(stacked, points)[0, 0], T_a_b[:3, :3] @ np.ones(3) + T_a_b[:3, 3])


def test_depth_and_range_differ_by_the_ray():
    corner = unit_rays(np.array([[0.0, 0.0]]), K)
    factor = range_from_depth(np.array([1.0]), corner)
    assert factor[0] == pytest.approx(np.sqrt(1 + (816.3**2 + 491.5**2) / 1266.4**2))  # 1.251, by Pythagoras
    np.testing.assert_allclose(depth_from_range(factor, corner), [1.0])


def test_unproject_inverts_project_at_pixel_centres():
    rays = ray_grid(4, 6, K)
    assert rays.shape == (4, 6, 3)
    depth_m = np.full((4, 6), 7.0)
    depth_m[1, 2] = np.nan
    points = unproject(depth_m, rays)
    assert np.isnan(points[1, 2]).all()
    np.testing.assert_allclose(points[3, 5, 2], 7.0)
    np.testing.assert_allclose(project(points[3, 5], K), [5.0, 3.0], atol=1e-9)


def test_ray_grid_of_cells_points_at_cell_centres():
    cells = ray_grid(16, 24, K, stride_px=8)
    assert cells.shape == (2, 3, 3)
    np.testing.assert_allclose(cells[1, 2], unit_rays(np.array([19.5, 11.5]), K))


def test_unproject_gives_no_point_along_the_image_plane():
    sideways = np.array([[[1.0, 0.0, 0.0]]])
    assert np.isnan(unproject(np.ones((1, 1)), sideways)).all()
    assert np.isnan(range_from_depth(np.ones((1, 1)), sideways)).all()


def random_lenses(n):
    rng = np.random.default_rng(11)
    for _ in range(n):
        yield Lens("fisheye", tuple(rng.normal(0, [0.1, 0.05, 0.05, 0.02])))
        yield Lens("radtan", tuple(rng.normal(0, [0.3, 0.2, 0.002, 0.002, 0.05])))


def test_every_pixel_within_the_fold_has_its_ray():
    rng = np.random.default_rng(5)
    for lens in random_lenses(60):
        limit = min(_fold_limit(lens), np.deg2rad(170.0) if lens.model == "fisheye" else 3.0)
        radius, azimuth = rng.uniform(0, 0.97 * limit, 200), rng.uniform(0, 2 * np.pi, 200)
        angle = radius if lens.model == "fisheye" else np.arctan(radius)
        rays = np.stack([np.sin(angle) * np.cos(azimuth), np.sin(angle) * np.sin(azimuth), np.cos(angle)], axis=-1)
        found = unit_rays(project(rays, K, lens), K, lens)
        np.testing.assert_allclose(found, rays, atol=1e-6, err_msg=str(lens))


def test_fisheye_near_its_fold_by_cv2():
    lens = Lens("fisheye", (0.1004, -0.0494, 0.0911, -0.0264))  # folds at 94 degrees
    intrinsics = np.array([[400.0, 0, 640.0], [0, 400.0, 480.0], [0, 0, 1]])
    ray = np.array([np.sin(np.deg2rad(80.0)), 0.0, np.cos(np.deg2rad(80.0))])
    pixel = cv2.fisheye.projectPoints(
        (ray / ray[2])[None, None], np.zeros(3), np.zeros(3), intrinsics, np.array(lens.coefficients)
    )[0].ravel()
    np.testing.assert_allclose(unit_rays(pixel, intrinsics, lens), ray, atol=1e-9)
    beyond = np.array([np.sin(np.deg2rad(100.0)), 0.0, np.cos(np.deg2rad(100.0))])
    assert np.isnan(project(beyond, intrinsics, lens)).all()


def test_an_equidistant_lens_ends_at_half_a_turn():
    lens = Lens("fisheye", (0.0, 0.0, 0.0, 0.0))
    assert np.isnan(unit_rays(np.array([816.3 + 5.0 * 1266.4, 491.5]), K, lens)).all()


def test_a_rational_lens_ends_at_its_pole():
    lens = Lens("radtan", (0.0, 0.0, 0.0, 0.0, 0.0, -0.5, 0.0, 0.0))  # 1 / (1 - 0.5 r^2): pole at r = 1.414
    assert np.isfinite(project(np.array([1.3, 0.0, 1.0]), K, lens)).all()
    assert np.isnan(project(np.array([1.5, 0.0, 1.0]), K, lens)).all()


def test_skew_by_hand():
    skewed = K.copy()
    skewed[0, 1] = 10.0
    uv = project(np.array([2.0, 1.0, 10.0]), skewed)
    np.testing.assert_allclose(uv, [1069.58 + 10.0 * 0.1, 618.14], atol=1e-9)
    np.testing.assert_allclose(unit_rays(uv, skewed) * np.sqrt(1.05), [0.2, 0.1, 1.0], atol=1e-12)


def test_lens_coefficients_may_come_from_cv2_as_an_array():
    lens = Lens("radtan", np.array([[-0.3, 0.1, 0.001, -0.002]]))
    assert lens == Lens("radtan", (-0.3, 0.1, 0.001, -0.002))
    assert np.isfinite(project(np.array([0.1, 0.1, 1.0]), K, lens)).all()
    assert Lens("fisheye", (0, 0, 0, 0)) == Lens("fisheye", (0.0, 0.0, 0.0, 0.0))


def test_inverting_an_integer_matrix_keeps_fractions():
    T = np.eye(4, dtype=int)
    T[0, 3] = 3
    assert invert_rigid(T)[0, 3] == -3.0
