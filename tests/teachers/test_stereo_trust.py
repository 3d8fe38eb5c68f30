"""Trust between two views, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from surround_depth.teachers.stereo_trust import at_other_view, disparity_trust, pair_trust

NAN = math.nan


def test_trust_by_hand() -> None:
    depth_m = np.array([10.0, 10.0, 10.0, 10.0, NAN, 10.0, math.inf])
    other_m = np.array([10.0, 10.0 * math.exp(0.1), 10.0 * math.exp(-0.2), 10.0, 10.0, -1.0, math.inf])
    visible = np.array([True, True, True, False, True, True, True])
    trust = pair_trust(depth_m, other_m, visible)
    assert trust.dtype == np.float16
    assert trust.tolist() == pytest.approx([1.0, math.exp(-1), math.exp(-2), 0, 0, 0, 0], abs=5e-4)
    assert pair_trust(depth_m, other_m, visible, scale=0.2)[2] == pytest.approx(math.exp(-1), abs=5e-4)


def test_a_pixel_is_looked_up_so_many_columns_to_the_left() -> None:
    other = np.array([[0.0, 10.0, 30.0, 60.0, 100.0]], np.float32)
    disparity_px = np.array([[0.0, 1.0, 0.5, 4.0, 4.0]], np.float32)
    np.testing.assert_array_equal(at_other_view(other, disparity_px), [[0.0, 0.0, 20.0, np.nan, 0.0]])
    assert at_other_view(other, np.zeros((1, 5), np.float32)).tolist() == other.tolist()  # the last column too


def test_trust_of_a_pair_by_hand() -> None:
    """Left pixel u looks at u - d of the right one; there stands what is written in `right_px`."""
    left_px = np.array([[2.0, 2.0, 2.0, 2.0, 2.0, 0.0, 2.0, 2.0]], np.float32)
    right_px = np.array([[2.0, 2.0 * math.exp(0.1), 9.0, NAN, 2.0, 1.0, 2.0, 2.0]], np.float32)
    trust = disparity_trust(left_px, right_px)[0]
    assert trust[0] == trust[1] == 0  # beyond the border of the right picture
    assert trust[2] == 1.0
    assert trust[3] == pytest.approx(math.exp(-1), abs=5e-4)
    assert trust[4] == 0  # something nearer hides it
    assert trust[5] == 0  # a disparity of 0 is no depth
    assert trust[6] == 1.0
    assert trust[7] == pytest.approx(math.exp(-math.log(2) / 0.1), abs=5e-4)  # the other view says twice as far
