"""Depth models of transformers as teachers: read as they are, fed as they were trained, their output read right."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from no_student import no_student
from PIL import Image
from tiny_depth_models import MEAN, STD, GreyIsDepth, save_depth_anything, save_dpt, save_square_dpt
from torch.nn import functional as F
from transformers import AutoModelForDepthEstimation

from surround_depth.errors import ConfigError, DataError
from surround_depth.teachers.build import TeacherConfig, build_teacher
from surround_depth.teachers.depth_anything import (
    DepthAnythingConfig,
    DepthAnythingTeacher,
    inverse_of,
    is_sky,
    model_pixels,
    processed_size,
)
from surround_depth.teachers.teacher import TeacherInput

LOAD = "surround_depth.teachers.pretrained_depth.DepthModelFiles.load"
H, W = 28, 42  # multiples of 14: the model sees the pictures as they are


def given(height_px: int = H, width_px: int = W, **facts: Any) -> TeacherInput:
    images = np.random.default_rng(0).integers(0, 256, (2, height_px, width_px, 3), dtype=np.uint8)
    return TeacherInput("frame-1", ("LEFT", "RIGHT"), images, np.ones(2, bool), **facts)


def teacher_of(folder: Path, **options: Any) -> DepthAnythingTeacher:
    return DepthAnythingTeacher(DepthAnythingConfig(source=str(folder), **options))


def normalised(images: np.ndarray, mean: Sequence[float] = MEAN, std: Sequence[float] = STD) -> torch.Tensor:
    pixels = (images.astype(np.float32) / 255 - np.float32(mean)) / np.float32(std)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def resized(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    pictures = [Image.fromarray(image).resize(size[::-1], Image.Resampling.BICUBIC) for image in images]
    return np.stack([np.asarray(picture) for picture in pictures])


@pytest.fixture(scope="module")
def relative(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("relative")
    save_depth_anything(folder)
    return folder


def test_a_saved_model_labels_as_transformers_runs_it(relative: Path) -> None:
    sample = given()
    label = teacher_of(relative)(sample)
    model = AutoModelForDepthEstimation.from_pretrained(relative)
    with torch.no_grad():
        expected = model(normalised(sample.images)).predicted_depth.numpy()
    assert expected.std() > 1e-3  # else anything would agree
    assert np.allclose(label.inverse_depth, expected, rtol=1e-5)
    assert label.valid.all()
    assert not label.sky.any()
    assert label.features is None


def test_a_metric_model_gives_inverse_metres(tmp_path: Path) -> None:
    model = save_depth_anything(tmp_path, depth_estimation_type="metric", max_depth=80)
    model.head.conv3.bias.data.fill_(0.0)  # mid of the sigmoid: depths that differ
    model.save_pretrained(tmp_path)
    teacher, sample = teacher_of(tmp_path), given(32, 48)  # the model sees 42 x 56
    assert teacher.metric
    label = teacher(sample)
    with torch.no_grad():
        depth_m = model(normalised(resized(sample.images, (42, 56)))).predicted_depth
    # interpolated in metres and then inverted; the other way round is another label
    expected, other = (F.interpolate(one[:, None], (32, 48), mode="bilinear")[:, 0] for one in (depth_m, 1 / depth_m))
    error = np.abs(label.inverse_depth * expected.numpy() - 1)[label.valid]
    assert error.max() < 0.02  # grey levels may differ by one
    assert (other * expected - 1).abs().max() > 0.1
    assert label.valid.mean() > 0.9


@pytest.mark.parametrize("shape, size", [((60, 90), (56, 84)), ((40, 60), (84, 126))])
def test_pixels_are_those_of_the_model_s_own_processor(shape: tuple[int, int], size: tuple[int, int]) -> None:
    """Shrunk and enlarged noise, where kernels differ most, within one grey level of transformers' own processor."""
    from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil

    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    processor = DPTImageProcessorPil(
        size={"height": size[0], "width": size[1]},
        keep_aspect_ratio=True,
        ensure_multiple_of=14,
        image_mean=MEAN,
        image_std=STD,
    )
    expected = processor(images=image, return_tensors="pt").pixel_values
    found = model_pixels(image[None], processed_size(*shape, 14, size[0]), tuple(MEAN), tuple(STD))
    assert found.shape == expected.shape == (1, 3, *size)
    grey_levels = (found - expected).abs() * 255 * torch.tensor(STD)[:, None, None]
    assert grey_levels.max() < 1.01
    assert grey_levels.mean() < 0.02


def test_processed_sizes_by_hand() -> None:
    assert processed_size(256, 448, 14, None) == (266, 448)
    assert processed_size(252, 448, 14, None) == (252, 448)
    assert processed_size(256, 448, 14, 518) == (518, 910)  # 448 * 518 / 256 = 906.5
    assert processed_size(448, 256, 14, 518) == (910, 518)


def test_what_comes_out_is_read_from_the_configuration_or_asked_for(tmp_path: Path, relative: Path) -> None:
    assert teacher_of(relative).output == "inverse"
    save_dpt(tmp_path)
    with pytest.raises(ConfigError, match=r"dpt model does not say.*depth_anything\.output"):
        teacher_of(tmp_path)
    assert not teacher_of(tmp_path, output="depth").metric
    with pytest.raises(ConfigError, match="canonical_focal_px makes metres, but its output is inverse"):
        teacher_of(relative, canonical_focal_px=300.0)


def test_another_architecture_runs_too(tmp_path: Path) -> None:
    model, sample = save_dpt(tmp_path), given(30, 40)  # the model sees 42 x 42
    label = teacher_of(tmp_path, output="inverse", features=True, feature_stride_px=16)(sample)
    pixels = resized(sample.images, (42, 42))
    with torch.no_grad():
        expected = model(normalised(pixels, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])).predicted_depth
    expected = F.interpolate(expected[:, None], (30, 40), mode="bilinear")[:, 0].numpy()
    assert expected.std() > 1e-3
    assert np.allclose(label.inverse_depth, expected, rtol=1e-2)  # as above
    assert label.features is not None
    assert label.features.shape == (2, 6, 2, 3)


def test_a_size_that_the_model_cannot_take_is_one_line(tmp_path: Path) -> None:
    save_square_dpt(tmp_path)
    with pytest.raises(ConfigError, match="cannot process 32x48 px"):
        teacher_of(tmp_path, output="inverse")(given(32, 48))


def test_features_are_what_the_head_reads_averaged_to_the_stride(relative: Path) -> None:
    sample = given()
    label = teacher_of(relative, features=True, feature_stride_px=14)(sample)
    model = AutoModelForDepthEstimation.from_pretrained(relative)
    read: list[torch.Tensor] = []
    model.head.conv1.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
    with torch.no_grad():
        model(normalised(sample.images))
    (fused,) = read  # [2, 6, 16, 24]: 8 cells for each patch of 14 pixels
    blocks = fused.numpy().reshape(2, 6, 2, 8, 3, 8).mean(axis=(3, 5))
    assert label.features is not None
    assert np.allclose(label.features, blocks, rtol=2e-3, atol=2e-3)
    dead = TeacherInput("frame-1", ("LEFT", "RIGHT"), sample.images, np.zeros(2, bool))
    without = teacher_of(relative, features=True, feature_stride_px=14)(dead).features
    assert without is not None
    assert without.shape == label.features.shape
    assert not without.any()


def test_metres_of_a_canonical_focal_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Depth Anything 3: metres = focal x output / 300, the focal length at the size that the model sees."""
    save_depth_anything(tmp_path)
    monkeypatch.setattr(LOAD, lambda _: GreyIsDepth(lambda grey: grey))
    teacher = teacher_of(tmp_path, output="metric", canonical_focal_px=300.0, short_side_px=56)
    sample = given(focal_px=np.array([100.0, 150.0], np.float32))
    sample.images[:] = 102  # output 0.4; twice the size, so focal lengths of 200 and 300 px
    label = teacher(sample)
    assert np.allclose(1.0 / label.inverse_depth[0], 0.4 * 200 / 300, rtol=1e-5)
    assert np.allclose(1.0 / label.inverse_depth[1], 0.4, rtol=1e-5)
    with pytest.raises(DataError, match="camera RIGHT has no focal length"):
        teacher(given(focal_px=np.array([100.0, np.nan], np.float32)))
    with pytest.raises(DataError, match="camera LEFT has no focal length"):
        teacher(given())


def test_inverse_by_hand() -> None:
    nan, inf = torch.nan, torch.inf
    depth = torch.tensor([[[2.0, 4.0, 5.0, 0.004, 0.0, -1.0, nan, inf]]])  # the median of the finite ones is 2
    r, meaningful = inverse_of(depth, "depth")
    assert meaningful.tolist() == [[[True, True, True, True, False, False, False, False]]]
    assert torch.allclose(r, torch.tensor([[[0.5, 0.25, 0.2, 250.0, 0.0, 0.0, 0.0, 0.0]]]))
    assert not inverse_of(torch.tensor([[[2.0, 2.0, 0.001]]]), "metric")[1][0, 0, 2]  # below a thousandth of 2
    r, meaningful = inverse_of(torch.tensor([[[0.0, -3.0, nan]]]), "inverse")
    assert (r.tolist(), meaningful.tolist()) == ([[[0.0, -3.0, 0.0]]], [[[True, True, False]]])
    assert not inverse_of(torch.full((1, 1, 2), nan), "depth")[1].any()


def test_sky_by_hand() -> None:
    r = torch.linspace(0.0, 1.0, 101)[None, None]  # its 98 % is 0.98
    everywhere = torch.ones_like(r, dtype=torch.bool)
    assert is_sky(r, everywhere, 0.05).sum() == 5  # 0, 0.01 .. 0.04 are at most 0.049
    assert not is_sky(r, everywhere, 0.0).any()
    assert not is_sky(r, ~everywhere, 0.05).any()


def test_sky_is_not_valid(relative: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOAD, lambda _: GreyIsDepth(lambda grey: grey))
    sample = given()
    sample.images[:] = 200
    sample.images[:, :14] = 1
    label = teacher_of(relative, sky_fraction=0.02)(sample)
    assert label.sky[:, :14].all()
    assert not label.sky[:, 14:].any()
    assert np.array_equal(label.valid, ~label.sky)


def test_build(relative: Path) -> None:
    config = TeacherConfig(kind="depth_anything", depth_anything=DepthAnythingConfig(source=str(relative)))
    teacher = build_teacher(config, no_student)
    assert isinstance(teacher, DepthAnythingTeacher)
    assert teacher.name == relative.name  # not where it lies on this machine
