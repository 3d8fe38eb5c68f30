"""Answers at places of the recorded image, against cv2 and torch, which the published evaluations use."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from surround_depth.errors import DataError
from surround_depth.metrics.resample import answers_at
from surround_depth.window import ImageWindow

HEIGHT, WIDTH = 90, 160
GRIDS = [(35, 64), (22, 40), (90, 160), (36, 53)]


def grid(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(1.0, 80.0, shape).astype(np.float32)


def every_pixel() -> np.ndarray:
    u, v = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    return np.stack([u.ravel(), v.ravel()], axis=-1).astype(np.float64)


@pytest.mark.parametrize("shape", GRIDS)
def test_linear_is_cv2_and_torch_without_align_corners(shape: tuple[int, int]) -> None:
    depth_m = grid(shape)
    answers = answers_at(depth_m, ImageWindow.whole(HEIGHT, WIDTH, *shape), every_pixel(), "linear")
    resized = cv2.resize(depth_m, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(answers.reshape(HEIGHT, WIDTH), resized, rtol=2e-5)
    upsampled = torch.nn.functional.interpolate(torch.from_numpy(depth_m)[None, None], (HEIGHT, WIDTH), mode="bilinear")
    np.testing.assert_allclose(answers.reshape(HEIGHT, WIDTH), upsampled[0, 0].numpy(), rtol=2e-4)  # float32 places


@pytest.mark.parametrize("shape", GRIDS)
def test_linear_corners_is_torch_with_align_corners(shape: tuple[int, int]) -> None:
    depth_m = grid(shape)
    answers = answers_at(depth_m, ImageWindow.whole(HEIGHT, WIDTH, *shape), every_pixel(), "linear_corners")
    upsampled = torch.nn.functional.interpolate(
        torch.from_numpy(depth_m)[None, None], (HEIGHT, WIDTH), mode="bilinear", align_corners=True
    )
    np.testing.assert_allclose(answers.reshape(HEIGHT, WIDTH), upsampled[0, 0].numpy(), rtol=2e-4)


def test_sub_pixel_is_grid_sample() -> None:
    depth_m, rng = grid((22, 40)), np.random.default_rng(1)
    uv_px = rng.uniform(0.0, 1.0, (500, 2)) * (WIDTH, HEIGHT)
    places = torch.from_numpy((uv_px / (WIDTH, HEIGHT) * 2 - 1).astype(np.float32))
    sampled = torch.nn.functional.grid_sample(
        torch.from_numpy(depth_m)[None, None], places[None, None], padding_mode="border", align_corners=True
    )
    answers = answers_at(depth_m, ImageWindow.whole(HEIGHT, WIDTH, 22, 40), uv_px, "sub_pixel")
    np.testing.assert_allclose(answers, sampled[0, 0, 0].numpy(), rtol=2e-4)


def test_the_three_differ_where_they_must() -> None:
    """Grid 1, 2, 3 over six pixels, at u = 1: half-pixel 1.25 - 0.5 - ... worked for each rule."""
    depth_m, window = np.array([[1.0, 2.0, 3.0]], np.float32), ImageWindow.whole(1, 6, 1, 3)
    uv_px = np.array([[1.0, 0.0]])
    # (1 + 0.5) / 2 - 0.5 = 0.25;  1 * 2 / 5 = 0.4;  1 / 6 * 2 = 0.3333
    for resampling, expected in (("linear", 1.25), ("linear_corners", 1.4), ("sub_pixel", 4 / 3)):
        (answer,) = answers_at(depth_m, window, uv_px, resampling)  # type: ignore[arg-type]
        assert answer == pytest.approx(expected, rel=1e-6)


def test_a_cropped_window_answers_for_what_it_saw_and_extends_its_edge() -> None:
    """The lower half of an image at half size: a pixel above the crop takes the nearest row of the grid."""
    window = ImageWindow(8, 8, 4, 4, top_px=2, left_px=0, grid_height_px=2, grid_width_px=4)
    depth_m = np.array([[5.0] * 4, [9.0] * 4], np.float32)
    rows = answers_at(depth_m, window, np.array([[3.0, 0.0], [3.0, 4.0], [3.0, 5.5], [3.0, 7.0]]), "linear")
    # v = 4 -> 2.25 - 0.5 - 2 = -0.25 -> row 0;  v = 5.5 -> 0.5;  v = 7 -> 1.25 -> row 1
    np.testing.assert_allclose(rows, [5.0, 5.0, 7.0, 9.0])


def test_holes_stay_holes_and_weights_of_zero_do_not_spread_them() -> None:
    depth_m = np.array([[1.0, np.nan, 3.0, 4.0]], np.float32)
    window = ImageWindow.whole(1, 4, 1, 4)
    answers = answers_at(depth_m, window, np.array([[0.0, 0.0], [0.5, 0.0], [1.0, 0.0], [2.0, 0.0]]), "linear")
    np.testing.assert_array_equal(np.isnan(answers), [False, True, True, False])


def test_a_grid_that_does_not_fill_its_window_is_refused() -> None:
    with pytest.raises(DataError, match="does not fill its window 3x4"):
        answers_at(grid((2, 4)), ImageWindow.whole(6, 8, 3, 4), np.zeros((1, 2)), "linear")
