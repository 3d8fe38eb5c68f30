"""Encoders of every family: strides, gradients, storage, pretrained weights, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_backbones import TINY_BACKBONES
from transformers import AutoConfig, ResNetForImageClassification, SwinForImageClassification
from transformers.utils import logging

from surround_depth.errors import ConfigError
from surround_depth.imaging import InputSpec
from surround_depth.models.backbones import FOUR_SCALE_TYPES
from surround_depth.models.checkpoint import CheckpointConfig, load_student, save_student
from surround_depth.models.config import BinConfig, EncoderConfig, StudentConfig
from surround_depth.models.encoder import Encoder
from surround_depth.models.student import Student

torch.set_num_threads(1)


def tiny_encoder(name: str, **options: Any) -> Encoder:
    torch.manual_seed(0)
    return Encoder(EncoderConfig(backbone={"model_type": name, **TINY_BACKBONES.get(name, {}), **options}))


def tiny_student(name: str) -> Student:
    torch.manual_seed(0)
    encoder = EncoderConfig(backbone={"model_type": name, **TINY_BACKBONES[name]})
    sizes: dict[str, Any] = {"geometry_channels": 8, "fusion_heads": 2, "decoder_channels": (16, 16, 8, 8)}
    return Student(StudentConfig(encoder=encoder, bins=BinConfig(n_bins=16), **sizes))


def some_inputs() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (1, 2, 64, 96, 3), dtype=torch.uint8, generator=generator)
    v, u = torch.meshgrid(torch.linspace(-0.3, 0.3, 8), torch.linspace(-0.5, 0.5, 12), indexing="ij")
    rays = torch.nn.functional.normalize(torch.stack((u, v, torch.ones_like(u)), dim=-1), dim=-1)
    T_ego_cam = torch.tensor([[0.0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]])
    return images, rays.expand(1, 2, 8, 12, 3), T_ego_cam.expand(1, 2, 4, 4), torch.ones(1, 2)


def test_the_families_that_messages_name_are_those_tested_here() -> None:
    assert set(FOUR_SCALE_TYPES) == set(TINY_BACKBONES)


@pytest.mark.parametrize("name", TINY_BACKBONES)
def test_a_family_trains_a_step_and_is_stored_bit_equal(name: str, tmp_path: Path) -> None:
    student = tiny_student(name)
    assert [m.shape[2:] for m in student.encoder(torch.zeros(1, 3, 64, 96))] == [(16, 24), (8, 12), (4, 6), (2, 3)]
    learning = {n: p for n, p in student.train().named_parameters() if p.requires_grad}
    before = {n: p.detach().clone() for n, p in learning.items()}
    output = student(*some_inputs())
    (output.depth_m.log().mean() + output.confidence_logit.mean()).backward()
    assert [n for n, p in learning.items() if p.grad is None] == []
    torch.optim.SGD(learning.values(), lr=0.1).step()
    assert any(not torch.equal(before[n], p) for n, p in learning.items() if "encoder" in n)

    save_student(
        tmp_path / name, student, CheckpointConfig(student=student.config, input=InputSpec(height_px=64, width_px=96))
    )
    loaded = load_student(tmp_path / name)
    assert loaded.config.student == student.config
    with torch.no_grad():
        assert torch.equal(loaded.student(*some_inputs()).depth_m, student.eval()(*some_inputs()).depth_m)


def test_what_no_map_depends_on_is_frozen_for_ddp() -> None:
    encoder = tiny_encoder("swin")
    frozen = [n for n, p in encoder.named_parameters() if not p.requires_grad]
    assert frozen == ["backbone.swin.layernorm.weight", "backbone.swin.layernorm.bias"]
    assert all(p.requires_grad for p in tiny_encoder("resnet").parameters())


@pytest.mark.parametrize("family", [ResNetForImageClassification, SwinForImageClassification])
def test_a_classifiers_weights_start_an_encoder(family: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = family.config_class.model_type
    torch.manual_seed(1)
    classifier = family(AutoConfig.for_model(name, **TINY_BACKBONES[name], num_labels=1000))
    classifier.half().save_pretrained(tmp_path, max_shard_size="1GB")
    capfd.readouterr()
    encoder = Encoder(EncoderConfig(source=str(tmp_path)))
    assert "".join(capfd.readouterr()) == ""
    own = {k.removeprefix(f"{name}."): v for k, v in classifier.state_dict().items()}
    loaded = {k.removeprefix(f"{name}."): v for k, v in encoder.backbone.state_dict().items()}
    shared = own.keys() & loaded.keys()
    assert len(shared) > 30
    for key in shared:
        assert torch.equal(loaded[key], own[key].to(loaded[key].dtype)), key
    assert {p.dtype for p in encoder.parameters()} == {torch.float32}
    assert all("hidden_states_norms" in key for key in loaded.keys() - shared)
    again = encoder.resolved_config()
    assert again.source is None
    assert "id2label" not in again.backbone
    Encoder(again).load_state_dict(encoder.state_dict())


def test_an_encoder_gets_the_pixel_statistics_it_was_trained_with(tmp_path: Path) -> None:
    original = tiny_encoder("resnet").eval()
    original.backbone.save_pretrained(tmp_path)
    mean, std = (0.5, 0.4, 0.3), (0.5, 0.25, 0.2)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": mean, "image_std": std}))
    encoder = Encoder(EncoderConfig(source=str(tmp_path))).eval()
    again = Encoder(EncoderConfig.model_validate_json(encoder.resolved_config().model_dump_json())).eval()
    again.load_state_dict(encoder.state_dict())

    images = torch.randint(0, 256, (1, 1, 64, 64, 3), dtype=torch.uint8)
    pixels = images[0].permute(0, 3, 1, 2) / 255.0
    own = (pixels - torch.tensor(mean).reshape(3, 1, 1)) / torch.tensor(std).reshape(3, 1, 1)
    with torch.no_grad():
        expected = original.backbone(own).feature_maps
        for kind in (encoder, again):
            student = Student(StudentConfig(encoder=kind.resolved_config())).eval()
            student.encoder.load_state_dict(kind.state_dict())
            for got, wanted in zip(student.encoder(student._normalise(images)), expected, strict=True):
                torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)


def test_raw_pixels_are_given_to_an_encoder_that_does_not_normalise(tmp_path: Path) -> None:
    tiny_encoder("resnet").backbone.save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False, "image_mean": [0.5] * 3}))
    assert Encoder(EncoderConfig(source=str(tmp_path))).resolved_config().backbone["image_std"] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "key, values, message",
    [
        ("image_mean", [0.5], "want three finite numbers, got"),
        ("image_mean", [0.5, 0.5, float("nan")], "want three finite numbers, got"),
        ("image_std", [0.2, 0.0, 0.2], "want three finite numbers above 0, got"),
    ],
)
def test_statistics_that_normalise_no_pixel_are_refused(key: str, values: list[float], message: str) -> None:
    with pytest.raises(ConfigError, match=rf"encoder\.backbone\.{key}: {message}"):
        tiny_encoder("resnet", **{key: values})


def test_a_source_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    tiny_encoder("resnet").backbone.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"depths": [1, 1, 1, 2]}))
    with pytest.raises(ConfigError, match=r"12 weights of the resnet backbone are not in it, for example encoder\.st"):
        Encoder(EncoderConfig(source=str(tmp_path)))


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("resnet", {"hiden_sizes": [8, 8, 8, 8]}, r"'resnet' has no key 'hiden_sizes' \(did you mean 'hidden_sizes'"),
        ("resnet", {"layer_type": "thin"}, "'resnet' cannot be built: .*thin"),
        ("resnet", {"downsample_in_first_stage": True}, r"gives strides \(8, 16, 32, 64\); .* needs \(4, 8, 16, 32\)"),
        ("resmet", {}, "'resmet' cannot be built: Unrecognized model identifier.*Known to work: resnet, conv"),
        ("bert", {}, "'bert' is no backbone"),
        (
            "dinov2",
            {"hidden_size": 16, "num_hidden_layers": 4, "num_attention_heads": 2},
            r"'dinov2' gives strides \(16, 16, 16, 16\)",
        ),
    ],
)
def test_a_backbone_that_does_not_fit_is_refused_in_one_line(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        tiny_encoder(name, **options)
    assert "\n" not in str(caught.value)


def test_transformers_speaks_as_loudly_as_before(tmp_path: Path) -> None:
    tiny_encoder("resnet").backbone.save_pretrained(tmp_path)
    logging.set_verbosity_info()
    try:
        Encoder(EncoderConfig(source=str(tmp_path)))
        assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == (logging.INFO, True)
    finally:
        logging.set_verbosity_warning()
