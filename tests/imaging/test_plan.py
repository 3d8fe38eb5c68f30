"""Pixels and K move together; damaged files are refused by name."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import cv2
import numpy as np
import pytest

from surround_depth.errors import ConfigError, DataError
from surround_depth.frame import EncodedImage
from surround_depth.geometry import Lens, project, quaternion_to_R, ray_grid, rigid, unit_rays
from surround_depth.imaging import InputSpec, decode_image, encode_jpeg, plan_image, plan_images, read_encoded
from surround_depth.rig import Camera, Rig, load_rig

SPEC = InputSpec(height_px=192, width_px=352)
K = np.array([[1266.4, 0.0, 816.3], [0.0, 1266.4, 491.5], [0.0, 0.0, 1.0]])
T_EGO_CAM = rigid(quaternion_to_R([0.5, -0.5, 0.5, -0.5]), [1.7, 0.0, 1.5])


def make_camera(height_px=900, width_px=1600, **changes):
    return Camera("CAM", height_px, width_px, K, T_EGO_CAM, **changes)


@pytest.fixture(scope="module")
def smooth_image():
    """Low frequencies only, so that any honest resize gives the same picture."""
    v, u = np.mgrid[0:900, 0:1600]
    return np.stack([u / 1600 * 255, v / 900 * 255, 127 + 100 * np.sin(u / 200)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("size", [(192, 352), (256, 448), (384, 640), (928, 1632), (352, 352)])
def test_a_point_keeps_its_content_through_the_plan(smooth_image, size):
    camera = make_camera()
    plan = plan_image(camera, InputSpec(height_px=size[0], width_px=size[1]))
    prepared = plan.prepare(smooth_image)
    assert prepared.shape == (*size, 3)
    rng = np.random.default_rng(3)
    network = plan.network_camera
    uv = rng.uniform([4, 4], [size[1] - 5, size[0] - 5], (50, 2)).round()
    source = project(unit_rays(uv, network.K), camera.K)
    expected = smooth_image[source[:, 1].round().astype(int), source[:, 0].round().astype(int)].astype(int)
    found = prepared[uv[:, 1].astype(int), uv[:, 0].astype(int)].astype(int)
    assert np.abs(found - expected).max() <= 4


def test_cover_and_crop_by_hand():
    plan = plan_image(make_camera(), SPEC)
    # 352 / 1600 = 0.22 covers (0.22 * 900 = 198 >= 192): six rows go off the top, no column.
    assert (plan.resized_height_px, plan.resized_width_px, plan.top_px, plan.left_px) == (198, 352, 6, 0)
    network = plan.network_camera
    assert network.K[0, 0] == pytest.approx(1266.4 * 0.22)
    assert network.K[0, 2] == pytest.approx((816.3 + 0.5) * 0.22 - 0.5)
    assert network.K[1, 2] == pytest.approx((491.5 + 0.5) * 0.22 - 0.5 - 6)


def test_reduced_decode_gives_the_same_picture(smooth_image):
    camera = make_camera()
    encoded = EncodedImage(encode_jpeg(smooth_image, quality=95), "a.jpg")
    assert decode_image(encoded, camera, 112, 200).shape == (225, 400, 3)
    assert decode_image(encoded, camera, 198, 352).shape == (450, 800, 3)  # never below twice what is asked
    assert decode_image(encoded, camera, 226, 401).shape == (900, 1600, 3)
    plan = plan_image(camera, SPEC)
    difference = plan.prepare(encoded).astype(int) - plan.prepare(smooth_image).astype(int)
    assert np.abs(difference).mean() < 1.0
    assert np.abs(difference).max() <= 8


def test_odd_sizes_are_never_decoded_reduced():
    image = np.zeros((901, 1601, 3), np.uint8)
    encoded = EncodedImage(encode_jpeg(image), "odd.jpg")
    assert decode_image(encoded, make_camera(901, 1601), 100, 100).shape == (901, 1601, 3)


def test_png_is_read_as_rgb(smooth_image):
    data = cv2.imencode(".png", smooth_image[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(decode_image(EncodedImage(data, "a.png"), make_camera(), 900, 1600), smooth_image)


@pytest.mark.parametrize("kept", [2, 64, 1000, -2])
def test_truncated_jpegs_are_refused_by_name(smooth_image, kept):
    data = encode_jpeg(smooth_image)[:kept]
    with pytest.raises(DataError, match=r"cut\.jpg.*damaged or truncated"):
        decode_image(EncodedImage(data, "cut.jpg"), make_camera(), 100, 100)


def test_truncated_png_foreign_bytes_and_wrong_sizes(smooth_image):
    png = cv2.imencode(".png", smooth_image)[1].tobytes()
    with pytest.raises(DataError, match=r"cut\.png"):
        decode_image(EncodedImage(png[:3000], "cut.png"), make_camera(), 100, 100)
    with pytest.raises(DataError, match=r"x\.jpg: neither JPEG nor PNG"):
        decode_image(EncodedImage(b"GIF89a", "x.jpg"), make_camera(), 100, 100)
    for data in (png, encode_jpeg(smooth_image)):
        with pytest.raises(DataError, match="1600x900 pixels, but CAM is calibrated for 1640x930"):
            decode_image(EncodedImage(data, "x"), make_camera(930, 1640), 100, 100)


def test_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"none\.jpg: the image cannot be read"):
        read_encoded(tmp_path / "none.jpg")


@pytest.mark.parametrize("size", [(200, 352), (192, 350), (0, 352), (-32, 352)])
def test_sizes_that_no_student_takes(size):
    with pytest.raises(ConfigError, match="multiple of 32"):
        InputSpec(height_px=size[0], width_px=size[1])


def test_rays_are_those_of_the_network_camera():
    plans = plan_images(load_rig("ddad"), SPEC)
    assert plans.rays.shape == (6, 24, 44, 3)
    assert plans.rays.dtype == np.float32
    camera = plans.network_rig.cameras[2]
    np.testing.assert_allclose(plans.rays[2, 5, 7], unit_rays(np.array([59.5, 43.5]), camera.K), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(plans.rays, axis=-1), 1.0, atol=1e-6)
    assert plans.pixel_rays.shape == (6, 192, 352, 3)


def test_lens_corners_without_rays_are_zero_in_the_engine_input():
    wide = np.array([[300.0, 0, 800.0], [0, 300.0, 450.0], [0, 0, 1]])
    lens = Lens("radtan", (-0.4, 0.0, 0.0, 0.0))
    rig = Rig("wide", (Camera("WIDE", 900, 1600, wide, T_EGO_CAM, lens),))
    plans = plan_images(rig, SPEC)
    assert (plans.rays[0, 0, 0] == 0).all()
    assert np.isfinite(plans.rays).all()
    assert np.isnan(plans.pixel_rays[0, 0, 0]).all()


def test_own_body_covers_every_touched_pixel_and_labels_are_picked():
    mask = np.zeros((900, 1600), bool)
    mask[899, 0] = True  # a single source pixel
    plan = plan_image(make_camera(own_body=mask), SPEC)
    assert plan.network_camera.own_body.sum() == 1
    assert plan.network_camera.own_body[191, 0]
    depth_m = np.arange(900 * 1600, dtype=np.float32).reshape(900, 1600)
    sampled = plan.sample_nearest(depth_m)
    assert sampled.shape == (192, 352)
    assert np.isin(sampled, depth_m).all()
    v, u = divmod(int(sampled[100, 200]), 1600)
    source = project(unit_rays(np.array([200.0, 100.0]), plan.network_camera.K), K)
    assert abs(u - source[0]) <= 0.5 + 1e-6
    assert abs(v - source[1]) <= 0.5 + 1e-6


def test_a_pool_prepares_the_same_bytes_and_names_the_first_damaged_camera(smooth_image):
    cameras = tuple(replace(make_camera(), name=name) for name in "ABCD")
    plans = plan_images(Rig("four", cameras), SPEC)
    jpeg = EncodedImage(encode_jpeg(smooth_image[::-1]), "b.jpg")
    images = (smooth_image, jpeg, None, smooth_image[:, ::-1])
    with ThreadPoolExecutor(3) as pool:
        np.testing.assert_array_equal(plans.prepare(images, pool), plans.prepare(images))
        with pytest.raises(DataError, match=r"c\.jpg"):
            plans.prepare((smooth_image, jpeg, EncodedImage(b"no", "c.jpg"), EncodedImage(b"no", "d.jpg")), pool)


def test_a_missing_image_is_black():
    rig = Rig("one", (make_camera(),))
    assert not plan_images(rig, SPEC).prepare((None,)).any()


@pytest.mark.parametrize("size", [(192, 352), (448, 800), (928, 1632)])
def test_dense_depth_of_a_plane_stays_exact(size):
    camera = make_camera()
    plan = plan_image(camera, InputSpec(height_px=size[0], width_px=size[1]))
    normal = np.array([0.1, 0.9, 0.2])  # n . p = 1.5: a tilted road under the camera

    def plane_depth(rays):
        with np.errstate(divide="ignore"):
            depth_m = 1.5 * rays[..., 2] / (rays @ normal)
        return np.where((depth_m > 0) & (depth_m < 60.0), depth_m, np.nan).astype(np.float32)

    recorded = plane_depth(ray_grid(900, 1600, camera.K))
    network = plan.network_camera
    expected = plane_depth(ray_grid(*size, network.K))
    sampled = plan.sample_depth(recorded)
    both = np.isfinite(sampled) & np.isfinite(expected)
    assert both.mean() > 0.3
    assert np.abs(sampled / expected - 1)[both & (expected < 50.0)].max() < 1e-3


def test_dense_depth_across_an_edge_is_one_side_or_the_other():
    depth_m = np.full((900, 1600), 40.0, np.float32)
    depth_m[:, 801:] = 5.0
    depth_m[:300] = np.nan
    sampled = plan_image(make_camera(), SPEC).sample_depth(depth_m)
    finite = sampled[np.isfinite(sampled)]
    np.testing.assert_array_equal(np.unique(finite.round(4)), [5.0, 40.0])
    assert np.isnan(sampled[:50]).all()


def textured_image(height_px, width_px, sigma_px):
    noise = np.random.default_rng(2).normal(127, 250 * sigma_px, (height_px, width_px)).astype(np.float32)
    grey = cv2.GaussianBlur(noise, (0, 0), sigma_px).clip(0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


@pytest.mark.parametrize("size", [(192, 352), (448, 800), (928, 1632)])
def test_pixels_and_K_agree_to_a_fiftieth_of_a_pixel(size):
    """Compare with cv2's own bilinear sampling at the source positions that the mapped K names: least-squares shift."""
    image = textured_image(900, 1600, 12.0)
    camera = make_camera()
    plan = plan_image(camera, InputSpec(height_px=size[0], width_px=size[1]))
    v, u = np.mgrid[8 : size[0] - 8, 8 : size[1] - 8]
    source = project(unit_rays(np.stack([u, v], axis=-1), plan.network_camera.K), camera.K).astype(np.float32)
    expected = cv2.remap(image, source[..., 0], source[..., 1], cv2.INTER_LINEAR).astype(float).mean(axis=-1)
    found = plan.prepare(image)[8:-8, 8:-8].astype(float).mean(axis=-1)
    gradient = np.stack(np.gradient(expected), axis=-1).reshape(-1, 2)
    shift_px = np.linalg.lstsq(gradient, (found - expected).ravel(), rcond=None)[0]
    assert np.abs(shift_px).max() < 0.02


def test_a_cameras_jpeg_and_its_live_array_look_the_same_to_the_network():
    image = textured_image(900, 1600, 2.0)
    plan = plan_image(make_camera(), SPEC)
    encoded = EncodedImage(encode_jpeg(image, quality=98), "a.jpg")
    difference = plan.prepare(encoded).astype(int) - plan.prepare(image).astype(int)
    # A texture of standard deviation 66: a half-size decode loses 4 % of it, a bare quarter decode 17 %.
    assert np.abs(difference).mean() < 0.05 * image.std()


@pytest.mark.parametrize("size", [(256, 704), (192, 640), (320, 1024)])
def test_a_wide_input_from_a_tall_camera_is_lawful(size):
    tall = Camera("TALL", 960, 1280, np.array([[700.0, 0, 640], [0, 700.0, 480], [0, 0, 1]]), T_EGO_CAM)
    plan = plan_image(tall, InputSpec(height_px=size[0], width_px=size[1]))
    assert plan.network_camera.K[1, 2] < plan.resized_height_px / 2
    assert plan.prepare(np.zeros((960, 1280, 3), np.uint8)).shape == (*size, 3)


def test_a_turned_png_is_not_turned_again():
    from PIL import Image as PillowImage

    exif = PillowImage.Exif()
    exif[0x0112] = 6  # orientation: rotate by a quarter turn to display
    buffer = io.BytesIO()
    PillowImage.fromarray(np.zeros((900, 1600, 3), np.uint8)).save(buffer, "PNG", exif=exif)
    assert decode_image(EncodedImage(buffer.getvalue(), "a.png"), make_camera(), 900, 1600).shape == (900, 1600, 3)


def test_a_real_jpeg_shrinks_to_what_opencv_makes_of_it(real_data):
    """Colour is repeated and not smoothed when a JPEG is decoded: a shrunken street must not show it."""
    paths = sorted((real_data / "nuscenes" / "samples").glob("CAM_*/*.jpg"))
    assert len(paths) == 6
    rig = load_rig("nuscenes")
    for path in paths:
        plan = plan_image(rig.camera(path.parent.name), InputSpec(height_px=352, width_px=640))
        witness = cv2.imread(str(path), cv2.IMREAD_COLOR_RGB)
        witness = cv2.resize(witness, (640, 360), interpolation=cv2.INTER_AREA)[plan.top_px :]
        difference = np.abs(plan.prepare(read_encoded(path)).astype(int) - witness)
        assert difference.mean() < 0.15  # grey levels
        assert np.percentile(difference, 99.9) <= 3
