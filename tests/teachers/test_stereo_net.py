"""The parts of the cost-volume network worked by hand; its sizes, its two views, and its checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from surround_depth.errors import DataError
from surround_depth.imaging import InputSpec
from surround_depth.teachers.stereo_checkpoint import (
    StereoCheckpointConfig,
    load_stereo,
    read_stereo_config,
    save_stereo,
)
from surround_depth.teachers.stereo_net import (
    FEATURE_STRIDE,
    StereoNet,
    StereoNetConfig,
    both_views,
    correlation_volume,
    sample_columns,
    soft_argmax,
)

TINY = StereoNetConfig(channels=8, groups=4, volume_channels=4, max_disparity_px=16)
SPEC = InputSpec(height_px=32, width_px=64)


def tiny(seed: int = 0) -> StereoNet:
    torch.manual_seed(seed)
    net = StereoNet(TINY).eval()
    with torch.no_grad():
        net.refinement.residual.weight.normal_(std=0.1)  # it starts at 0, where it could not be seen
    return net


def pictures(height_px: int = 32, width_px: int = 64, n: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    left, right = torch.rand(2, n, 3, height_px, width_px, generator=torch.Generator().manual_seed(1))
    return left, right


def test_the_volume_is_the_cosine_with_the_column_so_many_to_the_left() -> None:
    left = torch.tensor([[3.0, 0.0, -2.0], [4.0, 5.0, 0.0]]).reshape(1, 2, 1, 3)  # (0.6, 0.8), (0, 1), (-1, 0)
    right = torch.tensor([[7.0, 0.3, 0.0], [0.0, 0.4, 0.1]]).reshape(1, 2, 1, 3)  # (1, 0), (0.6, 0.8), (0, 1)
    together = correlation_volume(left, right, 3, 1)[0, 0, :, 0]
    torch.testing.assert_close(together, torch.tensor([[0.6, 0.8, 0.0], [0.0, 0.0, -0.6], [0.0, 0.0, -1.0]]))
    apart = correlation_volume(left, right, 2, 2)[0, :, :, 0]  # of one channel only the signs are left
    assert apart.tolist() == [[[1, 0, 0], [0, 0, -1]], [[0, 1, 0], [0, 0, 0]]]
    assert correlation_volume(left, right, 5, 1).shape == (1, 1, 5, 1, 3)  # more levels than columns


def test_the_soft_argmax_is_the_mean_level() -> None:
    scores = torch.log(torch.tensor([0.2, 0.0, 0.5, 0.3]) + 1e-30).reshape(1, 4, 1, 1)
    assert soft_argmax(scores).item() == pytest.approx(0.5 * 2 + 0.3 * 3)


def test_columns_are_read_between_pixels_as_numpy_interpolates() -> None:
    row = np.array([3.0, 7.0, 1.0, 4.0])
    columns = np.array([[0.0, 0.5, 2.75, 3.0], [-0.0, 1.0, 1.25, 2.0]])
    features = torch.tensor(np.stack([row, row + 10]), dtype=torch.float32).reshape(1, 1, 2, 4)
    at = torch.tensor(np.stack([columns, columns]), dtype=torch.float32).transpose(0, 1)[None]  # [1, K, h, w]
    found = sample_columns(features, at)[0, 0].numpy()
    for k in range(2):
        np.testing.assert_allclose(found[k, 0], np.interp(columns[k], range(4), row), rtol=1e-5)
        np.testing.assert_allclose(found[k, 1], np.interp(columns[k], range(4), row + 10), rtol=1e-5)
    assert sample_columns(features, torch.full((1, 1, 2, 4), -1.0)).abs().max() == 0  # beyond the picture


def test_it_is_small_and_answers_at_any_size() -> None:
    assert sum(weight.numel() for weight in StereoNet(StereoNetConfig()).parameters()) < 1_000_000
    net = tiny()
    with torch.no_grad():
        output = net(*pictures(37, 51))
    assert output.disparity_px.shape == output.coarse_px.shape == (2, 37, 51)
    assert output.features.shape == (2, net.feature_channels, -(-37 // FEATURE_STRIDE), -(-51 // FEATURE_STRIDE))
    assert (output.coarse_px >= 0).all()
    assert (output.coarse_px <= 16).all()


def test_the_right_view_is_the_left_one_of_the_flipped_pair() -> None:
    net, (left, right) = tiny(), pictures()
    with torch.no_grad():
        of_left, right_px = both_views(net, left, right)
        alone, flipped = net(left, right), net(right.flip(-1), left.flip(-1))
    torch.testing.assert_close(of_left.disparity_px, alone.disparity_px)
    torch.testing.assert_close(of_left.features, alone.features)
    torch.testing.assert_close(right_px, flipped.disparity_px.flip(-1))
    assert (right_px - of_left.disparity_px).abs().max() > 1e-3


def test_a_pair_is_judged_alone_and_its_features_see_both_pictures() -> None:
    net, (left, right) = tiny(), pictures()
    with torch.no_grad():
        both, one = net(left, right), net(left[:1], right[:1])
        other = net(left, right.flip(0))
    torch.testing.assert_close(both.disparity_px[:1], one.disparity_px)
    assert (other.features - both.features).abs().max() > 1e-3


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValidationError, match="multiple of groups"):
        StereoNetConfig(channels=20, groups=8)
    with pytest.raises(ValidationError, match="max_disparity_px is 30"):
        StereoNetConfig(max_disparity_px=30)


def saved(folder: Path) -> Path:
    save_stereo(folder, tiny(), StereoCheckpointConfig(net=TINY, input=SPEC, provenance={"steps": 3}), "a card\n")
    return folder


def test_a_checkpoint_comes_back_frozen(tmp_path: Path) -> None:
    folder = saved(tmp_path / "teacher")
    net = load_stereo(folder)
    assert not net.training
    assert not any(weight.requires_grad for weight in net.parameters())
    with torch.no_grad():
        torch.testing.assert_close(net(*pictures()).disparity_px, tiny()(*pictures()).disparity_px, rtol=0, atol=0)
    assert read_stereo_config(folder).provenance == {"steps": 3}
    assert (folder / "README.md").read_text() == "a card\n"


def test_what_is_no_stereo_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no config\.json; is this a checkpoint of tools/train_stereo\.py"):
        load_stereo(tmp_path)
    folder = saved(tmp_path / "teacher")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "format_version": 9}))
    with pytest.raises(DataError, match="of no stereo network of format 1"):
        load_stereo(folder)
    (folder / "config.json").write_text(json.dumps({**config, "net": {**config["net"], "channels": 12}}))
    with pytest.raises(DataError, match="weights do not fit"):
        load_stereo(folder)
    (folder / "config.json").write_text(json.dumps(config))
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(weights[:100])
    with pytest.raises(DataError, match=r"model\.safetensors: damaged or truncated"):
        load_stereo(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(DataError, match=r"no model\.safetensors"):
        load_stereo(folder)
