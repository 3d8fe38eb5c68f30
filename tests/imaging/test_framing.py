"""Nearer and shifted pictures: what is cut, and that a point keeps its content."""

from __future__ import annotations

import numpy as np
import pytest

from surround_depth.errors import ConfigError
from surround_depth.geometry import project, rigid, unit_rays
from surround_depth.imaging import Framing, InputSpec, plan_image
from surround_depth.rig import Camera

SPEC = InputSpec(height_px=192, width_px=352)
K = np.array([[1266.4, 0.0, 816.3], [0.0, 1266.4, 491.5], [0.0, 0.0, 1.0]])
FRONT = np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]])


def camera() -> Camera:
    return Camera("CAM", 900, 1600, K, rigid(FRONT, [1.7, 0.0, 1.5]))


def test_zoom_and_shift_by_hand() -> None:
    plan = plan_image(camera(), SPEC, Framing(zoom=1.5, shift=(0.25, 0.5)))
    # 0.22 covers; 0.33 makes 297 x 528. Of 105 excess rows half go off the top, of 176 columns a quarter on the left.
    assert (plan.resized_height_px, plan.resized_width_px, plan.top_px, plan.left_px) == (297, 528, 52, 44)
    assert plan.network_camera.K[0, 0] == pytest.approx(1266.4 * 0.33)
    assert plan.network_camera.K[0, 2] == pytest.approx((816.3 + 0.5) * 0.33 - 0.5 - 44)
    assert plan.window.to_grid(np.array([44 / 0.33 - 0.5, 52 / 0.33 - 0.5])) == pytest.approx([-0.5, -0.5])


@pytest.mark.parametrize("framing", [Framing(1.3, (0.0, 0.0)), Framing(2.2, (1.0, 0.4)), Framing(6.0, (0.3, 0.9))])
def test_a_point_keeps_its_content_whatever_the_framing(framing: Framing) -> None:
    """The picture says where it was recorded: red is its column, green its row."""
    v, u = np.mgrid[0:900, 0:1600]
    image = np.stack([u / 1600 * 255, v / 900 * 255, np.zeros_like(u)], axis=-1).round().astype(np.uint8)
    plan = plan_image(camera(), SPEC, framing)
    rows, columns = np.mgrid[4:188:23, 4:348:43]
    prepared = plan.prepare(image)[rows, columns]
    source = project(unit_rays(np.stack([columns, rows], axis=-1), plan.network_camera.K), K)
    np.testing.assert_allclose(prepared[..., 0], source[..., 0] / 1600 * 255, atol=1.0)
    np.testing.assert_allclose(prepared[..., 1], source[..., 1] / 900 * 255, atol=1.0)
    depth_m = np.broadcast_to((u + 1.0).astype(np.float32), (900, 1600))
    np.testing.assert_allclose(plan.sample_depth(depth_m)[rows, columns], source[..., 0] + 1, rtol=0.02)


@pytest.mark.parametrize("shift", [(-0.1, 0.5), (0.5, 1.1), (float("nan"), 0.5)])
def test_a_shift_stays_inside_the_picture(shift: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        Framing(shift=shift)


@pytest.mark.parametrize("zoom", [0.9, float("nan"), float("inf")])
def test_a_zoom_covers_the_input(zoom: float) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        Framing(zoom=zoom)
