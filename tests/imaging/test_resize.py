"""The area kernel against OpenCV's, and against a mean taken by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from surround_depth.imaging.resize import resize_into, resize_taps
from surround_depth.window import ImageWindow


def noise(height_px: int, width_px: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)


def test_a_mean_by_hand() -> None:
    """Five columns become two: the first covers 1, 1 and half of the third."""
    image = np.array([[0, 100, 200, 50, 60]], np.uint8)[..., None].repeat(3, axis=-1).repeat(2, axis=0)
    resized = resize_into(image, ImageWindow.whole(2, 5, 2, 2))
    assert resized[0, :, 0].tolist() == [80, 84]  # (0 + 100 + 100) / 2.5, (100 + 50 + 60) / 2.5


SIZES = [(360, 640), (198, 352), (252, 448), (500, 889), (450, 800), (899, 1599), (31, 37), (1200, 1600), (900, 1600)]


@pytest.mark.parametrize("size", SIZES)
def test_values_are_opencvs(size: tuple[int, int]) -> None:
    image = noise(900, 1600)
    shrinks = size[0] <= 900
    kernel = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    expected = cv2.resize(image, size[::-1], interpolation=kernel).astype(int)
    difference = np.abs(resize_into(image, ImageWindow.whole(900, 1600, *size)) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3  # a mean of exactly one half, summed in another order


@pytest.mark.parametrize("resized", [(360, 640), (450, 800), (333, 700), (1000, 1700)])
def test_a_crop_is_the_crop_of_the_whole(resized: tuple[int, int]) -> None:
    image = noise(900, 1600)
    whole = resize_into(image, ImageWindow.whole(900, 1600, *resized))
    cropped = resize_into(image, ImageWindow(900, 1600, *resized, 7, 11, 320, 608))
    np.testing.assert_array_equal(cropped, whole[7:327, 11:619])


def test_white_stays_white_and_black_black() -> None:
    for level in (0, 255):
        image = np.full((301, 407, 3), level, np.uint8)
        assert (resize_into(image, ImageWindow.whole(301, 407, 133, 200)) == level).all()


def test_a_view_that_is_not_contiguous() -> None:
    image = noise(90, 160)
    flipped = resize_into(image[:, ::-1], ImageWindow.whole(90, 160, 40, 64))
    np.testing.assert_array_equal(flipped, resize_into(image[:, ::-1].copy(), ImageWindow.whole(90, 160, 40, 64)))


@pytest.mark.parametrize("size", [*SIZES, (901, 1600), (1, 1), (1000, 800), (2700, 4800)])
@pytest.mark.parametrize("image_size", [(900, 1600), (1, 1), (2, 3), (37, 901)])
def test_taps_lie_inside_the_picture_and_weigh_one(image_size: tuple[int, int], size: tuple[int, int]) -> None:
    """A kernel that follows them reads nothing beside the picture."""
    for (start, weights), n_source, n in zip(
        resize_taps(*image_size, ImageWindow.whole(*image_size, *size)), image_size, size, strict=True
    ):
        assert start.shape == (n,)
        assert len(weights) == n
        assert start.min() >= 0
        assert start.max() + weights.shape[1] <= n_source
        assert weights.min() >= 0.0
        np.testing.assert_allclose(weights.sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
def test_what_the_taps_weigh_is_the_resized_picture(size: tuple[int, int]) -> None:
    image = noise(900, 1600)
    window = ImageWindow(900, 1600, *size, *(side // 5 for side in size), *(side // 2 for side in size))
    (rows, row_weights), (columns, column_weights) = resize_taps(900, 1600, window)
    means = np.einsum("yk,ykxc->yxc", row_weights, image[rows[:, None] + np.arange(row_weights.shape[1])])
    means = np.einsum("xk,yxkc->yxc", column_weights, means[:, columns[:, None] + np.arange(column_weights.shape[1])])
    assert np.abs(np.floor(means + 0.5) - resize_into(image, window)).max() <= 1
