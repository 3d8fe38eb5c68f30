"""The short runs before a long one: what they change, and what they must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from surround_depth.config import load_config, parse_config
from surround_depth.errors import ConfigError
from surround_depth.training.config import AugmentConfig, TrainConfig
from surround_depth.training.rehearsal import dry_run, overfit


@pytest.fixture
def config() -> TrainConfig:
    joint = "data.joint=[{kind: ddad, root: real, val_scenes: ['000150']}]"
    return load_config(TrainConfig, "synthetic_demo", [joint, "data.n_workers=4", "augment.augmix=0.5"])


def test_a_dry_run_is_one_coarse_and_one_fine_step_of_few_samples(config: TrainConfig) -> None:
    dry = dry_run(config)
    assert dry.coarse is not None
    assert (dry.optim.steps, round(dry.coarse.share * dry.optim.steps)) == (2, 1)
    assert (dry.watch.validate_every, dry.watch.save_every, dry.watch.n_val_samples) == (1, 1, 4)
    assert (dry.data.limit_samples, dry.data.n_workers) == (2, 0)
    assert dry.name == "synthetic_demo-dry-run"
    assert (dry.optim.batch_size, dry.input, dry.student, dry.augment) == (
        2,
        config.input,
        config.student,
        config.augment,
    )
    assert dry_run(config.model_copy(update={"coarse": None})).coarse is None
    assert parse_config(TrainConfig, dry.model_dump(), "dry") == dry


def test_a_dry_run_renders_a_small_tree_of_its_own_and_keeps_real_scenes(config: TrainConfig, tmp_path: Path) -> None:
    missing = config.data.model_copy(update={"root": str(tmp_path / "missing")})
    dry = dry_run(config.model_copy(update={"data": missing}))
    assert dry.data.root == str(tmp_path / "missing-dry-run")
    assert (dry.data.rendering.n_drives, dry.data.rendering.n_samples, dry.data.val_scenes) == (2, 2, ())
    assert dry.data.rendering.first_seed == config.data.rendering.first_seed
    assert dry.data.joint == config.data.joint


def test_overfitting_changes_nothing_at_random_and_validates_what_it_trains(config: TrainConfig) -> None:
    short = overfit(config, 8)
    drawn = {
        name: value for name, value in short.augment.model_dump().items() if name not in ("zoom", "augmix_severity")
    }
    assert set(drawn.values()) == {0.0}
    assert set(drawn) == set(AugmentConfig.model_fields) - {"zoom", "augmix_severity"}
    assert short.augment.zoom == (1.0, 1.0)
    assert (short.data.limit_samples, short.data.validate_on, short.data.n_workers) == (8, "train", 0)
    assert (short.optim.steps, short.watch.n_val_samples, short.coarse) == (500, 16, None)
    assert short.data.joint == config.data.joint
    assert short.name == "synthetic_demo-overfit-8"
    few = config.model_copy(update={"optim": config.optim.model_copy(update={"steps": 30})})
    assert overfit(few, 1).optim.steps == 30
    assert parse_config(TrainConfig, short.model_dump(), "short") == short


def test_overfitting_nothing_is_refused(config: TrainConfig) -> None:
    with pytest.raises(ConfigError, match=r"--overfit 0: .*at least 1"):
        overfit(config, 0)


def test_a_dry_run_takes_the_tree_that_is_there(config: TrainConfig, tmp_path: Path) -> None:
    data = config.data.model_copy(update={"root": str(tmp_path)})
    dry = dry_run(config.model_copy(update={"data": data}))
    assert (dry.data.root, dry.data.val_scenes, dry.data.limit_samples) == (str(tmp_path), config.data.val_scenes, 2)
