"""The student: shapes, exact masking of dead cameras, numerics."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from surround_depth.errors import ConfigError
from surround_depth.models.config import BinConfig, EncoderConfig, StudentConfig
from surround_depth.models.presets import student_preset
from surround_depth.models.ray_conditioning import CANONICAL_FOCAL_CELLS
from surround_depth.models.student import MetricStudent, Student
from surround_depth.models.view_fusion import FusionLayer, ViewFusion

B, N, H, W = 2, 3, 64, 96
torch.set_num_threads(1)

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def inputs(batch: int = B, n_cameras: int = N, seed: int = 0) -> Inputs:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (batch, n_cameras, H, W, 3), dtype=torch.uint8, generator=generator)
    v, u = torch.meshgrid(torch.arange(H // 8) * 8 + 3.5, torch.arange(W // 8) * 8 + 3.5, indexing="ij")
    rays = torch.stack(((u - 47.5) / 70, (v - 31.5) / 70, torch.ones_like(u)), dim=-1)
    rays = (rays / rays.norm(dim=-1, keepdim=True)).expand(batch, n_cameras, -1, -1, -1).contiguous()
    T_ego_cam = torch.eye(4).repeat(batch, n_cameras, 1, 1)
    T_ego_cam[..., :3, :3] = torch.tensor([[0.0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    T_ego_cam[..., :3, 3] = torch.rand(batch, n_cameras, 3, generator=generator) + 1.0
    return images, rays, T_ego_cam, torch.ones(batch, n_cameras)


def build(**changes: object) -> Student:
    """A nano student whose batch norms have seen some data, so that nothing hides behind their initial values."""
    torch.manual_seed(0)
    student = Student(student_preset("nano").model_copy(update=changes))
    with torch.no_grad():
        student.train()(*inputs(seed=5))
    return student.eval()


@pytest.fixture(scope="module")
def nano() -> Student:
    return build()


@torch.no_grad()
def test_shapes_and_ranges(nano: Student) -> None:
    output = nano(*inputs())
    M = nano.config.bins.n_bins
    assert output.depth_m.shape == output.confidence_logit.shape == (B, N, H, W)
    assert output.head_depth_m.shape == (B, N, H // 4, W // 4)
    assert output.logits.shape == (B, N, M, H // 4, W // 4)
    assert output.edges_m.shape == (B, N, M + 1)
    assert output.features.shape[:2] == (B, N)
    assert output.features.shape[-2:] == (H // 8, W // 8)
    assert output.depth_m.dtype == torch.float32
    assert (output.depth_m >= 0.5).all()
    assert (output.depth_m <= 80.0 * 1.0001).all()
    assert ((output.confidence >= 0) & (output.confidence <= 1)).all()


@torch.no_grad()
@pytest.mark.parametrize("dead", [0, 1, 2])
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "ray_affinity": True,
            "ray_frame": "level",
            "fusion_layers": 2,
            "canonical_focal": True,
            "bins": BinConfig(centers="sample"),
        },
        {"head": "regression"},
    ],
    ids=str,
)
def test_a_dead_cameras_picture_has_exactly_no_influence(changes: dict[str, object], dead: int) -> None:
    student = build(**changes)
    images, rays, T_ego_cam, camera_valid = inputs()
    camera_valid[:, dead] = 0.0
    others = [i for i in range(N) if i != dead]
    outputs = []
    for content in (images, images.clone()):
        if outputs:
            content[:, dead] = torch.randint(0, 256, content[:, dead].shape, dtype=torch.uint8)
        outputs.append(student(content, rays, T_ego_cam, camera_valid))
    one, two = outputs
    assert torch.equal(one.depth_m[:, others], two.depth_m[:, others])
    assert torch.equal(one.confidence[:, others], two.confidence[:, others])
    assert torch.equal(one.centers_m[:, others], two.centers_m[:, others])
    assert not torch.equal(one.depth_m[:, dead], two.depth_m[:, dead])  # the content did reach its own branch
    assert (one.confidence[:, dead] == 0).all()


@torch.no_grad()
@pytest.mark.parametrize("dead", [0, 2])
def test_a_dead_cameras_broken_calibration_has_exactly_no_influence(nano: Student, dead: int) -> None:
    images, rays, T_ego_cam, camera_valid = inputs()
    camera_valid[:, dead] = 0.0
    others = [i for i in range(N) if i != dead]
    one = nano(images, rays, T_ego_cam, camera_valid)
    images, rays, T_ego_cam = images.clone(), rays.clone(), T_ego_cam.clone()
    images[:, dead] = 255 - images[:, dead]
    rays[:, dead] = torch.nan
    T_ego_cam[:, dead] = torch.nan
    two = nano(images, rays, T_ego_cam, camera_valid)
    for name in ("depth_m", "confidence", "centers_m"):
        assert torch.equal(getattr(one, name)[:, others], getattr(two, name)[:, others]), name
    assert (two.confidence[:, dead] == 0).all()


@torch.no_grad()
def test_living_cameras_do_talk_to_each_other(nano: Student) -> None:
    images, *rest = inputs()
    other = images.clone()
    other[:, 0] = 255 - other[:, 0]
    assert not torch.equal(nano(images, *rest).depth_m[:, 1], nano(other, *rest).depth_m[:, 1])


@torch.no_grad()
def test_no_camera_alive_gives_numbers_not_nan(nano: Student) -> None:
    images, rays, T_ego_cam, camera_valid = inputs()
    output = nano(images, rays, T_ego_cam, torch.zeros_like(camera_valid))
    assert torch.isfinite(output.depth_m).all()
    assert (output.confidence == 0).all()


@torch.no_grad()
def test_half_precision_features_leave_bins_and_depth_in_float32(nano: Student) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = nano(*inputs())
    full = nano(*inputs())
    for name in ("depth_m", "confidence_logit", "head_depth_m", "logits", "edges_m", "centers_m"):
        assert getattr(half, name).dtype == torch.float32, name
    assert half.features.dtype == torch.bfloat16
    assert (half.depth_m / full.depth_m).log().abs().median() < 0.05


@torch.no_grad()
def test_depth_without_learned_upsampling_is_float32_too() -> None:
    """Bilinear weights are a convolution, which autocast would compute in eight bits."""
    torch.manual_seed(0)
    student = Student(student_preset("pico").model_copy(update={"upsampling": "bilinear"})).eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = student(*inputs())
    assert output.depth_m.dtype == torch.float32
    expected = torch.nn.functional.interpolate(output.head_depth_m.log(), scale_factor=4.0, mode="bilinear").exp()
    assert torch.allclose(output.depth_m, expected, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("level", [0, 255])
def test_blind_images_give_depth_in_range(nano: Student, level: int) -> None:
    images, *rest = inputs()
    output = nano(torch.full_like(images, level), *rest)
    assert torch.isfinite(output.depth_m).all()
    assert (output.depth_m >= 0.5).all()


@torch.no_grad()
def test_cameras_have_no_names_only_places(nano: Student) -> None:
    images, rays, T_ego_cam, camera_valid = inputs()
    order = [2, 0, 1]
    straight = nano(images, rays, T_ego_cam, camera_valid).depth_m
    shuffled = nano(images[:, order], rays[:, order], T_ego_cam[:, order], camera_valid[:, order]).depth_m
    assert torch.allclose(shuffled, straight[:, order], rtol=1e-4)


@torch.no_grad()
def test_a_level_student_does_not_care_where_the_vehicles_x_axis_points() -> None:
    student = build(ray_frame="level", ray_affinity=True)
    images, rays, T_ego_cam, camera_valid = inputs()
    turn = torch.eye(4)
    turn[:2, :2] = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    turn[:2, 3] = torch.tensor([3.0, -2.0])
    straight = student(images, rays, T_ego_cam, camera_valid).depth_m
    assert torch.allclose(student(images, rays, turn @ T_ego_cam, camera_valid).depth_m, straight, rtol=1e-4)


@torch.no_grad()
def test_samples_of_a_batch_are_independent(nano: Student) -> None:
    whole = nano(*inputs()).depth_m
    alone = nano(*(t[1:] for t in inputs())).depth_m
    assert torch.allclose(whole[1:], alone, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("n_cameras", [1, 8])
def test_any_number_of_cameras(nano: Student, n_cameras: int) -> None:
    assert nano(*inputs(1, n_cameras)).depth_m.shape == (1, n_cameras, H, W)


@torch.no_grad()
def test_the_metric_student_is_the_student_without_its_batch_axis(nano: Student) -> None:
    given = inputs(1)
    output = nano(*given)
    depth_m, confidence = MetricStudent(nano)(*(t[0] for t in given))
    assert torch.equal(depth_m, output.depth_m[0])
    assert torch.equal(confidence, output.confidence[0])


def test_every_parameter_learns() -> None:
    student = build().train()
    output = student(*inputs())
    (output.depth_m.log().mean() + output.confidence_logit.mean()).backward()
    idle = [name for name, p in student.named_parameters() if p.grad is None]
    assert idle == []


@torch.no_grad()
@pytest.mark.parametrize(
    "changes",
    [
        {"fusion_layers": 0},
        {"residual": False},
        {"ground_prior": False},
        {"ray_conditioning": False},
        {"ray_frame": "level"},
        {"ray_affinity": True},
        {"canonical_focal": False},
        {"head": "regression"},
        {"head": "regression", "ground_prior": False, "canonical_focal": False},
        {"bins": BinConfig(mean="arithmetic", max_depth_m=200.0)},
        {"upsampling": "bilinear"},
        {"bins": BinConfig(centers="sample")},
        {"bins": BinConfig(centers="image", space="linear", n_bins=16, max_depth_m=200.0)},
    ],
    ids=str,
)
def test_choices(changes: dict[str, object]) -> None:
    output = build(**changes)(*inputs())
    assert ((output.depth_m >= 0.499) & (output.depth_m <= 200.1)).all()
    assert (output.edges_m[..., 1:] > output.edges_m[..., :-1]).all()


@torch.no_grad()
@pytest.mark.parametrize("head", ["bins", "regression"])
@pytest.mark.parametrize("log_scale", [-1.3, 0.0, 1.3])
def test_whatever_the_focal_length_depth_starts_within_its_range_where_gradients_live(
    head: str, log_scale: float
) -> None:
    torch.manual_seed(0)
    student = Student(student_preset("nano").model_copy(update={"head": head, "ground_prior": False})).train()
    images, rays, T_ego_cam, camera_valid = inputs()
    rays = rays.clone()
    focal_cells = CANONICAL_FOCAL_CELLS * math.exp(log_scale)
    v, u = torch.meshgrid(torch.arange(H // 8) - 3.5, torch.arange(W // 8) - 5.5, indexing="ij")
    rays[:] = torch.nn.functional.normalize(torch.stack((u, v, torch.full_like(u, focal_cells)), dim=-1), dim=-1)
    depth_m = student(images, rays, T_ego_cam, camera_valid).head_depth_m
    # a regression may draw an offset that reaches the end in a corner: up to 0.2 over four seeds
    assert ((depth_m <= 0.5) | (depth_m >= 80.0)).float().mean() < (0.05 if head == "bins" else 0.25)


def test_a_gate_that_opened_where_the_ground_is_out_of_reach_can_close() -> None:
    student = build().train()
    images, rays, T_ego_cam, camera_valid = inputs()
    with torch.no_grad():
        student.head.bias[-1] = 5.0  # the ground's share is 99 %
        student.head.weight[-1] = 0.0
    depth_m = student(images, rays, T_ego_cam, camera_valid).head_depth_m
    above = depth_m[..., : H // 16, :]  # rays that never meet the ground
    assert (above > 70.0).all()
    above.log().sum().backward()
    assert student.head.bias.grad is not None
    assert student.head.bias.grad[-1] != 0


@torch.no_grad()
def test_affinity_draws_a_camera_to_those_that_look_the_same_way() -> None:
    fusion = ViewFusion(8, 1, 1, ray_affinity=True)
    layer = fusion.layers[0]
    assert isinstance(layer, FusionLayer)
    for parameter in (layer.query_key_value.weight, layer.query_key_value.bias, layer.mlp[2].weight, layer.mlp[2].bias):
        parameter.zero_()
    layer.query_key_value.weight[16:] = torch.eye(8)  # values are the tokens; queries and keys say nothing
    layer.output.weight.copy_(torch.eye(8))
    layer.output.bias.zero_()
    assert layer.sharpness is not None
    layer.sharpness.fill_(math.log(3.0))
    features = torch.randn(3, 8, 1, 1)
    directions = torch.tensor([[1.0, 0, 0], [1.0, 0, 0], [0, 1.0, 0]]).reshape(1, 3, 1, 1, 3)
    fused = fusion(features, torch.ones(1, 3, dtype=torch.bool), directions)
    values = torch.nn.functional.layer_norm(features.flatten(1), (8,))
    weights = torch.tensor([[3.0, 3, 1], [3, 3, 1], [1, 1, 3]])  # e^(ln 3 cos)
    expected = features.flatten(1) + weights / weights.sum(1, keepdim=True) @ values
    assert torch.allclose(fused.flatten(1), expected, atol=1e-5)


def test_another_backbone_and_the_configuration_that_rebuilds_it() -> None:
    backbone = {"model_type": "convnextv2", "hidden_sizes": [16, 24, 32, 48], "depths": [1, 1, 1, 1], "num_stages": 4}
    config = StudentConfig(encoder=EncoderConfig(backbone=backbone))
    student = Student(config).eval()
    again = Student(student.config).eval()
    again.load_state_dict(student.state_dict())
    assert torch.equal(student(*inputs()).depth_m, again(*inputs()).depth_m)


def test_an_encoder_from_a_local_folder_keeps_its_weights(tmp_path) -> None:  # type: ignore[no-untyped-def]
    original = build()
    original.encoder.backbone.save_pretrained(tmp_path / "resnet")
    student = Student(StudentConfig(encoder=EncoderConfig(source=str(tmp_path / "resnet"))))
    for name, value in original.encoder.state_dict().items():
        assert torch.equal(student.encoder.state_dict()[name], value), name
    assert student.config.encoder.source is None  # rebuilt from its own checkpoint, not from that folder


@pytest.mark.parametrize(
    "encoder, message",
    [
        ({"source": "no/such/folder"}, "allow_download"),
        ({"backbone": {"model_type": "resnet", "downsample_in_first_stage": True}}, "strides"),
    ],
)
def test_encoders_that_do_not_fit_are_refused(encoder: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Student(StudentConfig(encoder=EncoderConfig.model_validate(encoder)))


def test_heads_that_do_not_share_the_channels_are_refused() -> None:
    with pytest.raises(ConfigError, match="fusion_heads: 3 heads"):
        Student(student_preset("nano").model_copy(update={"fusion_heads": 3}))


def test_a_damaged_local_encoder_says_its_real_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.json"):
        Student(student_preset("nano").model_copy(update={"encoder": EncoderConfig(source=str(tmp_path))}))
