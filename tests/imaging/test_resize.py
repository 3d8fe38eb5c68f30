"""The area kernel against OpenCV's, and against a mean taken by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from surround_depth.imaging.resize import resize_into
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
