"""Masks over images: red exactly on the vehicle, every camera in its place."""

from __future__ import annotations

import numpy as np

from surround_depth.rig import load_rig
from surround_depth.viz.mask_overlay import draw_mask, draw_mask_mosaic


def test_masked_pixels_are_half_red_and_the_rest_untouched():
    picture = np.full((2, 3, 3), 100, np.uint8)
    own_body = np.array([[False, False, True], [False, False, False]])
    tinted = draw_mask(picture, own_body)
    assert tinted[0, 2].tolist() == [177, 70, 70]
    assert (tinted[~own_body] == 100).all()
    assert (picture == 100).all()


def test_cameras_stand_in_ring_order_and_a_missing_one_is_said():
    rig = load_rig("nuscenes")
    green = np.full((90, 160, 3), (0, 255, 0), np.uint8)
    mosaic = draw_mask_mosaic(rig, {"CAM_FRONT": green}, "title", cell_width_px=160)
    # Three columns of 160 + 4 px, the header 40 px: CAM_FRONT is in the middle of the upper row.
    is_green = (mosaic == (0, 255, 0)).all(axis=2)
    rows, columns = np.nonzero(is_green)
    assert (rows.min(), rows.max()) == (40, 40 + 89)
    assert (columns.min(), columns.max()) == (164, 164 + 159)
    without = draw_mask_mosaic(rig, {}, "title", cell_width_px=160)
    assert not (without == (0, 255, 0)).all(axis=2).any()
