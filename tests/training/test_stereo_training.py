"""Training the stereo teacher: its loss and errors by hand, its split of drives, and that it learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from stereo_world import shifted_pair

from surround_depth.data.stereo import ListedPairs
from surround_depth.data.stereo_build import StereoDataConfig
from surround_depth.errors import ConfigError
from surround_depth.imaging import InputSpec
from surround_depth.teachers.stereo_checkpoint import load_stereo, read_stereo_config
from surround_depth.teachers.stereo_net import StereoNetConfig, StereoOutput
from surround_depth.training.stereo import disparity_loss, predicted, split_drives, train_stereo
from surround_depth.training.stereo_config import StereoTrainConfig
from surround_depth.training.stereo_report import mean_errors

NET = StereoNetConfig(channels=16, groups=8, volume_channels=8, max_disparity_px=16)


def config(**changes: object) -> StereoTrainConfig:
    base = StereoTrainConfig(
        name="tiny", input=InputSpec(height_px=32, width_px=64), net=NET, data=StereoDataConfig(root="nowhere")
    )
    return base.model_copy(update=changes)


def textures(n: int) -> ListedPairs:
    """Pairs of textures at 2 to 5 and at 8 to 12 px; each is a drive."""
    steps = np.random.default_rng(7).integers(0, 4, (n, 2))
    pairs = [shifted_pair(seed, 2 + int(a), 8 + int(b)) for seed, (a, b) in enumerate(steps)]
    return ListedPairs("textures", "none", tuple(pair.name for pair in pairs), lambda index: pairs[index])


def test_the_loss_counts_what_is_known_and_within_reach() -> None:
    truth_px = torch.tensor([[[2.0, 4.0, float("nan"), 16.0]]])
    fine = torch.tensor([[[2.125, 5.0, 99.0, 99.0]]], requires_grad=True)  # 0.125^2 / (2 * 0.25), then 1 - 0.125
    coarse = torch.tensor([[[3.0, 4.0, 0.0, 0.0]]])  # 1 - 0.125, then 0
    loss = disparity_loss(StereoOutput(fine, coarse, torch.empty(0)), truth_px, 16)
    assert loss.item() == pytest.approx((0.03125 + 0.875) / 2 + 0.5 * 0.875 / 2)
    loss.backward()
    assert fine.grad is not None
    assert fine.grad[0, 0].tolist() == pytest.approx([0.25, 0.5, 0.0, 0.0])
    nothing = disparity_loss(StereoOutput(fine, coarse, torch.empty(0)), torch.full((1, 1, 4), 99.0), 16)
    assert nothing.item() == 0.0


def test_errors_by_hand() -> None:
    """fx b = 24: disparities 3 and 9 are 8 m and 2.67 m; a half each, one of them off by 4 px."""
    pair = shifted_pair(0)
    found = mean_errors([(pair, pair.disparity_px + np.where(pair.disparity_px == 3, 4.0, 0.0))])
    assert (found.epe_px, found.d1, found.n_pixels) == (pytest.approx(2.0), 0.5, 32 * 64)
    assert found.abs_rel == pytest.approx(0.5 * (1 - 3 / 7))
    sky = replace(pair, disparity_px=np.zeros_like(pair.disparity_px))
    assert np.isnan(mean_errors([(sky, sky.disparity_px)]).abs_rel)  # sky has no depth
    assert mean_errors([(sky, sky.disparity_px)]).epe_px == 0.0


def test_the_last_drives_are_held_out() -> None:
    assert split_drives(["a", "a", "b", "c", "c"], 1, "root") == ([0, 1, 2], [3, 4])
    assert split_drives(["a", "a", "b", "c", "c"], 2, "root") == ([0, 1], [2, 3, 4])
    with pytest.raises(ConfigError, match=r"data\.n_val_drives: root has 1 drive\(s\) and 1 are held out"):
        split_drives(["a", "a"], 1, "root")


def test_it_learns_to_match_textures_that_it_has_not_seen(tmp_path: Path) -> None:
    losses: list[float] = []
    run = config(steps=50, batch_size=4, lr=4e-3, data=StereoDataConfig(root="nowhere", n_val_drives=3))
    result = train_stereo(run, textures(12), tmp_path, on_step=lambda step, loss: losses.append(loss))
    assert len(losses) == 50
    assert result.constant.epe_px > 2.0
    assert result.errors.epe_px < 0.5 * result.constant.epe_px
    net = load_stereo(result.directory)
    pair = textures(12)[11]
    again = mean_errors((textures(12)[i], predicted(net, textures(12)[i])) for i in (9, 10, 11))
    assert again == result.errors
    assert np.median(predicted(net, pair)[:16]) < np.median(predicted(net, pair)[16:])
    facts = read_stereo_config(result.directory).provenance
    assert facts["n_pairs"] == {"train": 9, "val": 3}
    assert facts["licence"]["name"] == "none"
    assert "in the\nspirit of ADU-Depth" in (result.directory / "README.md").read_text()


def test_a_seed_is_a_run(tmp_path: Path) -> None:
    def weights(seed: int, name: str) -> bytes:
        run = config(steps=2, seed=seed)
        result = train_stereo(run, textures(3), tmp_path / name, on_step=lambda step, loss: None)
        return (result.directory / "model.safetensors").read_bytes()

    first = weights(0, "first")
    assert weights(0, "again") == first
    assert weights(1, "other") != first
