"""The photometric term on a textured wall that OpenCV pictures from known places."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from surround_depth.losses.photometric import (
    PhotometricConfig,
    ViewContext,
    photometric,
    photometric_error,
    smoothness,
    warp,
)

H, W, FOCAL_PX, WALL_M = 48, 64, 60.0, 8.0
K = np.array([[FOCAL_PX, 0, 31.5], [0, FOCAL_PX, 23.5], [0, 0, 1]])
PX_PER_M = 16.0  # of the texture
AHEAD = (0.3, -0.1, 0.8)


def pose(t_m: tuple[float, float, float], yaw_rad: float = 0.0) -> np.ndarray:
    """T_ref_cam of a camera (x right, y down, z forward); the wall is the plane z = 8 m of the reference."""
    c, s = math.cos(yaw_rad), math.sin(yaw_rad)
    T = np.eye(4)
    T[:3, :3] = [[c, 0, s], [0, 1, 0], [-s, 0, c]]
    T[:3, 3] = t_m
    return T


def picture(T_ref_cam: np.ndarray) -> np.ndarray:
    """Return what a camera there sees of the wall, uint8 RGB [H, W, 3]."""
    texture = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, (640, 640, 3)), (0, 0), 3.0)
    texture = ((texture - texture.mean()) * 8 + 127).clip(0, 255)
    metres = np.array([[1 / PX_PER_M, 0, -20.0], [0, 1 / PX_PER_M, -20.0], [0, 0, 0], [0, 0, 1]])  # of texture pixels
    metres[2, 2] = WALL_M
    texture_to_picture = K @ np.linalg.inv(T_ref_cam)[:3] @ metres
    return cv2.warpPerspective(texture.astype(np.float32), texture_to_picture, (W, H)).round().astype(np.uint8)


def context(poses: list[list[np.ndarray]], neighbours: list[list[int]] | None = None) -> ViewContext:
    """Return the context [1, T, N] of cameras at poses[moment][camera]."""
    T, N = len(poses), len(poses[0])
    images = np.stack([[picture(p) for p in moment] for moment in poses])
    return ViewContext(
        images=torch.from_numpy(images)[None],
        valid=torch.ones(1, T, N, dtype=torch.bool),
        T_ref_cam=torch.from_numpy(np.array(poses, np.float32))[None],
        K=torch.from_numpy(K.astype(np.float32)).expand(1, N, 3, 3),
        neighbours=torch.tensor(neighbours or [[-1, -1]] * N)[None],
        own_body=torch.zeros(1, N, H, W, dtype=torch.bool),
    )


def wall(scale: float = 1.0, n_cameras: int = 1) -> torch.Tensor:
    return torch.full((1, n_cameras, H, W), WALL_M * scale)


IN_TIME = context([[pose((0, 0, 0))], [pose((-0.3, 0.1, -0.8), -0.04)], [pose(AHEAD, 0.05)]])
IN_SPACE = context([[pose((0, 0, 0)), pose((0.6, 0, 0))]], [[1, -1], [0, -1]])
IN_BOTH = context([[pose((0, 0, 0)), pose((0.6, 0, 0))], [pose((0, 0, 0.7)), pose((0.6, 0, 0.7))]], [[1, -1], [-1, 0]])


@pytest.mark.parametrize("views", [IN_TIME, IN_SPACE, IN_BOTH], ids=["time", "space", "both"])
def test_the_true_depth_explains_the_pictures_best(views: ViewContext) -> None:
    n_cameras = views.K.shape[1]
    scales = np.geomspace(0.5, 2.0, 41)
    losses = np.array([photometric(wall(scale, n_cameras), views).value.item() for scale in scales])
    assert scales[losses.argmin()] == pytest.approx(1.0)
    assert losses.min() < 0.01
    assert losses[[14, 26]].min() > 5 * losses.min()  # 21 % too near, 23 % too far
    assert (np.diff(losses[12:21]) < 0).all()
    assert (np.diff(losses[20:29]) > 0).all()


@pytest.mark.parametrize("views", [IN_TIME, IN_SPACE], ids=["time", "space"])
def test_the_gradient_leads_to_the_true_depth(views: ViewContext) -> None:
    for scale, sign in ((0.95, -1), (1.05, 1)):
        depth_m = wall(scale, views.K.shape[1]).requires_grad_()
        photometric(depth_m, views).value.backward()
        assert depth_m.grad is not None
        assert torch.isfinite(depth_m.grad).all()
        towards = torch.sign(depth_m.grad) == sign
        assert (towards & (depth_m.grad != 0)).sum() > 0.85 * (depth_m.grad != 0).sum()


def test_warp_is_opencvs_homography() -> None:
    """A wall at one depth: `u' = K (R + t n / d) K^-1 u`, sampled by cv2.remap."""
    T = np.linalg.inv(pose(AHEAD, 0.05))
    homography = K @ (T[:3, :3] + np.outer(T[:3, 3], [0, 0, 1 / WALL_M])) @ np.linalg.inv(K)
    u, v = np.meshgrid(np.arange(W), np.arange(H))
    there = cv2.perspectiveTransform(np.stack([u, v], -1).reshape(1, -1, 2).astype(np.float64), homography)
    there = there.reshape(H, W, 2).astype(np.float32)
    source = picture(pose(AHEAD, 0.05)).astype(np.float32)
    expected = cv2.remap(source, there[..., 0], there[..., 1], cv2.INTER_LINEAR)
    K_px, T_source_target = torch.from_numpy(K)[None], torch.from_numpy(T)[None]
    pixels = torch.from_numpy(source).permute(2, 0, 1)[None].double()
    found, in_view = warp(pixels, wall()[0].double(), K_px, K_px, T_source_target)
    inside = ((there >= 0) & (there <= [W - 1, H - 1])).all(-1)
    np.testing.assert_array_equal(in_view[0].numpy(), inside)
    assert 0.5 < inside.mean() < 1.0
    assert np.abs(found[0].permute(1, 2, 0).numpy() - expected)[inside].max() < 1.5  # cv2 samples in 1/32 pixels


def test_what_lies_behind_the_source_is_not_in_view() -> None:
    K_px = torch.from_numpy(K)[None]
    past_the_wall = torch.from_numpy(np.linalg.inv(pose((0, 0, 9.0))))[None]
    _, in_view = warp(torch.zeros(1, 1, H, W).double(), wall()[0].double(), K_px, K_px, past_the_wall)
    assert not in_view.any()


def test_a_moment_that_looks_the_same_unmoved_says_nothing() -> None:
    """The vehicle stands, or what it sees drives along: any depth would do, so none is learnt."""
    standing = replace(IN_TIME, images=IN_TIME.images[:, :1].expand_as(IN_TIME.images))
    assert photometric(wall(1.2), standing).count.item() == 0
    still = replace(standing, T_ref_cam=IN_TIME.T_ref_cam[:, :1].expand_as(IN_TIME.T_ref_cam))
    assert photometric(wall(1.2), still).count.item() == 0
    # but the camera beside it still says something
    beside = replace(IN_BOTH, images=IN_BOTH.images[:, :1].expand_as(IN_BOTH.images))
    assert photometric(wall(1.0, 2), beside).count.item() == photometric(wall(1.0, 2), IN_SPACE).count.item() > 0


def test_a_dead_camera_is_neither_target_nor_source() -> None:
    dead = IN_BOTH.valid.clone()
    dead[:, :, 1] = False
    one = replace(IN_BOTH, valid=dead)
    images = IN_BOTH.images.clone()
    images[:, :, 1] = 200
    other = replace(one, images=images)
    depth_m = wall(1.1, 2).requires_grad_()
    term = photometric(depth_m, one)
    assert term.value.item() == photometric(depth_m, other).value.item()
    alone = context([[pose((0, 0, 0))], [pose((0, 0, 0.7))]])
    assert term.value.item() == pytest.approx(photometric(wall(1.1), alone).value.item(), rel=1e-5)
    assert term.count.item() == photometric(wall(1.1), alone).count.item()
    (term.value + smoothness(depth_m, one).value).backward()
    assert depth_m.grad is not None
    assert (depth_m.grad[:, 1] == 0).all()


def test_own_body_counts_on_neither_side() -> None:
    """Rows 40 to 47 are the vehicle's: with a window of 3 x 3, and 2 px lost at each border, rows 2 to 38 can count."""
    own_body = IN_SPACE.own_body.clone()
    own_body[:, :, 40:] = True
    depth_m = wall(1.02, 2).requires_grad_()
    masked = photometric(depth_m, replace(IN_SPACE, own_body=own_body))
    masked.value.backward()
    assert depth_m.grad is not None
    assert (depth_m.grad[:, :, 40:] == 0).all()
    painted = IN_SPACE.images.clone()
    painted[:, :, :, 40:] = 255  # what the vehicle looks like does not matter
    again = photometric(depth_m, replace(IN_SPACE, own_body=own_body, images=painted))
    assert again.value.item() == masked.value.item()
    only_source = own_body.clone()
    only_source[:, 0] = False
    target = photometric(depth_m, replace(IN_SPACE, own_body=only_source))
    assert target.count.item() == masked.count.item()  # level cameras: the same rows drop out of the other one


def test_nothing_to_compare_with_is_zero_without_nan() -> None:
    alone = context([[pose((0, 0, 0))]])
    depth_m = wall().requires_grad_()
    nobody = replace(IN_TIME, valid=torch.zeros_like(IN_TIME.valid))
    for views in (alone, nobody):
        term = photometric(depth_m, views)
        term.value.backward()
        assert (term.value.item(), term.count.item()) == (0.0, 0)
    unseen = smoothness(depth_m, nobody)
    unseen.value.backward()
    assert (unseen.value.item(), unseen.count.item()) == (0.0, 0)
    assert depth_m.grad is not None
    assert (depth_m.grad == 0).all()


def test_gradients_agree_with_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    depth_m = (
        WALL_M * (1.1 + 0.05 * torch.rand(1, 1, H, W, generator=generator, dtype=torch.float64))
    ).requires_grad_()
    small = replace(IN_TIME, K=IN_TIME.K.double(), T_ref_cam=IN_TIME.T_ref_cam.double())
    for term in (photometric, smoothness):
        (gradient,) = torch.autograd.grad(term(depth_m, small).value, depth_m)
        for _ in range(3):
            direction = torch.randn(depth_m.shape, generator=generator, dtype=torch.float64)
            step = 1e-7 * direction
            difference = (term(depth_m + step, small).value - term(depth_m - step, small).value) / 2e-7
            assert difference.item() == pytest.approx((gradient * direction).sum().item(), rel=1e-4, abs=1e-9)


def test_photometric_error_by_hand() -> None:
    """Flat pictures a and b: no variance, so SSIM is (2 a b + C1) / (a^2 + b^2 + C1)."""
    a, b = torch.full((1, 3, 4, 5), 0.2), torch.full((1, 3, 4, 5), 0.6)
    similar = (2 * 0.2 * 0.6 + 1e-4) / (0.04 + 0.36 + 1e-4)
    expected = 0.85 * (1 - similar) / 2 + 0.15 * 0.4
    assert photometric_error(a, b).flatten().tolist() == pytest.approx([expected] * 20, abs=5e-5)
    assert photometric_error(a, a).abs().max().item() < 1e-6


def test_smoothness_by_hand() -> None:
    """Inverse depths 1, 2, 3 have mean 2: steps of a half, the second across the strongest edge there is."""
    images = torch.zeros(1, 1, 1, 1, 3, 3, dtype=torch.uint8)
    images[..., 2, :] = 255
    views = ViewContext(
        images,
        torch.ones(1, 1, 1, dtype=torch.bool),
        torch.eye(4).expand(1, 1, 1, 4, 4),
        torch.eye(3).expand(1, 1, 3, 3),
        torch.full((1, 1, 2), -1),
        torch.zeros(1, 1, 1, 3, dtype=torch.bool),
    )
    depth_m = (1.0 / torch.tensor([1.0, 2.0, 3.0])).reshape(1, 1, 1, 3)
    assert smoothness(depth_m, views).value.item() == pytest.approx((0.5 + 0.5 * math.exp(-1)) / 2)
    assert smoothness(7 * depth_m, views).value.item() == pytest.approx((0.5 + 0.5 * math.exp(-1)) / 2)  # no scale
    blind = replace(views, own_body=torch.tensor([[[[False, False, True]]]]))
    assert smoothness(depth_m, blind).value.item() == pytest.approx(1 / 1.5)  # one step of 1, mean 1.5


def test_context_is_asked_for_only_where_the_term_is_on() -> None:
    assert PhotometricConfig().context_gap_s is None
    assert PhotometricConfig(weight=1.0, max_gap_s=0.2).context_gap_s == 0.2
