"""Geometry features worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from surround_depth.models.ray_conditioning import (
    N_RAY_FEATURES,
    canonical_log_scale,
    cell_directions,
    ground_inverse_depth,
    ray_features,
)

R_EGO_CAM = torch.tensor([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
MIDDLE = 0.5 * (math.log(0.5) + math.log(200.0))


def features_of(directions: list[list[list[float]]], height_m: float = 1.5) -> torch.Tensor:
    rays = torch.tensor(directions)[None, None]
    rays = rays / rays.norm(dim=-1, keepdim=True)
    T_ego_cam = torch.eye(4)[None, None].clone()
    T_ego_cam[..., :3, :3] = R_EGO_CAM
    T_ego_cam[..., :3, 3] = torch.tensor([1.0, -0.5, height_m])
    return ray_features(rays, T_ego_cam, "ego")[0]


def test_a_camera_looking_forward() -> None:
    # rows: level, and 0.1 down per unit forward; columns: straight, and 0.2 to the right
    features = features_of([[[0, 0, 1], [0.2, 0, 1]], [[0, 0.1, 1], [0.2, 0.1, 1]]])
    assert features.shape == (N_RAY_FEATURES["ego"], 2, 2)
    assert features[:3, 0, 0].tolist() == pytest.approx([1, 0, 0], abs=1e-6)  # forward is ego x
    right = features[:3, 0, 1]
    assert right[1].item() == pytest.approx(-0.2 / math.sqrt(1.04), rel=1e-5)  # image right is ego -y
    assert features[3, 0, 1].item() == pytest.approx(1 / math.sqrt(1.04), rel=1e-5)
    assert features[4:7, 0, 0].tolist() == pytest.approx([0.5, -0.25, 0.75])


def test_ground_depth_is_camera_height_over_slope() -> None:
    features = features_of([[[0, 0, 1], [0.2, 0, 1]], [[0, 0.1, 1], [0.2, 0.1, 1]]])
    # z-depth 1.5 / 0.1 = 15 m, the same beside the centre: z is not range
    assert features[9, 1].tolist() == pytest.approx([1 / 15, 1 / 15], rel=1e-4)
    assert features[10, 1].tolist() == pytest.approx([math.log(15) - MIDDLE] * 2, rel=1e-4)
    assert features[10, 0, 0].item() == pytest.approx(math.log(200) - MIDDLE, rel=1e-4)  # level: as far as it goes


def test_inverse_ground_depth_is_affine_in_the_pixel() -> None:
    directions = torch.tensor([[[0.1 * x, 0.05 + 0.1 * y, 1.0] for x in range(3)] for y in range(3)])
    rays = (directions / directions.norm(dim=-1, keepdim=True))[None, None]
    T_ego_cam = torch.eye(4)[None, None].clone()
    T_ego_cam[..., :3, :3], T_ego_cam[..., 2, 3] = R_EGO_CAM, 2.0
    inverse = ground_inverse_depth(rays, T_ego_cam)[0, 0]
    assert inverse[:, 0].tolist() == pytest.approx([0.025, 0.075, 0.125], rel=1e-5)  # (0.05 + 0.1 y) / 2 m
    assert torch.allclose(inverse[1, 1], inverse[::2, ::2].mean())


def test_footprint_is_the_angle_between_neighbours() -> None:
    step = 0.02
    features = features_of([[[0, 0, 1], [step, 0, 1]], [[0, 2 * step, 1], [step, 2 * step, 1]]])
    assert features[7, 0, 0].item() == pytest.approx(0.0, abs=1e-3)
    assert features[8, 0, 0].item() == pytest.approx(math.log(2), abs=1e-3)
    assert torch.equal(features[7, :, 1], features[7, :, 0])  # the last cell repeats its neighbour


def test_rays_that_a_lens_does_not_have_give_numbers() -> None:
    rays = torch.zeros(1, 1, 2, 2, 3)
    assert torch.isfinite(ray_features(rays, torch.eye(4)[None, None], "ego")).all()


def pinhole_rays(focal_cells: float, n: int = 8) -> torch.Tensor:
    v, u = torch.meshgrid(torch.arange(n) - n / 2 + 0.5, torch.arange(n) - n / 2 + 0.5, indexing="ij")
    rays = torch.stack((u / focal_cells, v / focal_cells, torch.ones_like(u)), dim=-1)
    return rays / rays.norm(dim=-1, keepdim=True)


def test_the_canonical_scale_is_the_focal_length_over_thirty_cells() -> None:
    rays = torch.stack([pinhole_rays(f) for f in (30.0, 60.0, 7.5)])[None]
    assert canonical_log_scale(rays)[0].exp().tolist() == pytest.approx([1.0, 2.0, 0.25], rel=1e-4)


@pytest.mark.parametrize("nothing", [0.0, math.nan])
def test_cells_that_a_lens_does_not_reach_do_not_change_its_focal_length(nothing: float) -> None:
    rays = pinhole_rays(15.0)
    rays[:2, :3] = nothing
    rays[-1] = torch.tensor([0.8, 0.6, 0.0])  # sideways
    found = canonical_log_scale(rays[None, None])
    assert found.exp().item() == pytest.approx(0.5, rel=1e-4)
    blind = canonical_log_scale(torch.zeros(1, 1, 4, 4, 3))
    assert torch.isfinite(blind).all()


def test_cells_look_where_the_rays_between_them_look() -> None:
    T_ego_cam = torch.eye(4)[None, None].clone()
    T_ego_cam[..., :3, :3] = R_EGO_CAM
    directions = cell_directions(pinhole_rays(4.0)[None, None], T_ego_cam, 2, 2)[0, 0]
    assert directions.shape == (2, 2, 3)
    assert directions.norm(dim=-1).flatten().tolist() == pytest.approx([1.0] * 4, abs=1e-5)
    forward, left, up = directions[0, 0].tolist()  # the upper left quarter
    assert forward > 0.8
    assert left == pytest.approx(up, abs=1e-6)
    assert left > 0.3
    assert directions[1, 1].tolist() == pytest.approx([forward, -left, -up], abs=1e-6)


def test_level_features_do_not_depend_on_where_the_vehicle_is_said_to_point_or_to_be() -> None:
    T_ego_cam = torch.eye(4)[None, None].clone()
    T_ego_cam[..., :3, :3] = R_EGO_CAM
    T_ego_cam[..., :3, 3] = torch.tensor([1.0, -0.5, 1.5])
    turn = torch.eye(4)  # a quarter to the left, and moved on the ground
    turn[:2, :2] = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    turn[:2, 3] = torch.tensor([3.0, -2.0])
    rays = pinhole_rays(4.0)[None, None]
    level, turned = (ray_features(rays, T, "level") for T in (T_ego_cam, turn @ T_ego_cam))
    assert level.shape[1] == N_RAY_FEATURES["level"]
    assert torch.allclose(level, turned, atol=1e-6)
    ego = ray_features(rays, T_ego_cam, "ego")
    assert torch.equal(level, ego[:, [2, 3, 7, 8, 9, 10]])
    assert not torch.allclose(ego, ray_features(rays, turn @ T_ego_cam, "ego"))
