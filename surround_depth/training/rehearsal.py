"""Two short runs to make before a long one: does everything work, and can the student learn at all?"""

from __future__ import annotations

from pathlib import Path

from surround_depth.errors import ConfigError
from surround_depth.training.config import AugmentConfig, DataSetConfig, TrainConfig

_DRY_STEPS = 2
_DRY_SAMPLES = 2
_DRY_DRIVES = 2  # one trains, one validates
_OVERFIT_STEPS = 500
_OVERFIT_EMA = 0.98  # remembers fifty steps: of a short run the usual average would be half its beginning


def dry_run(config: TrainConfig) -> TrainConfig:
    """Return two steps of everything: coarse and fine, each validated and saved, on two samples of every data set.

    Batch size, precision and input stay, so that what does not fit into memory is seen. A tree that the run would
    render is rendered small, beside where the real one belongs; its scenes have other names, so none are asked for.
    """
    data = config.data.model_copy(
        update={
            **_small_tree(config.data),
            "joint": tuple(one.model_copy(update=_small_tree(one)) for one in config.data.joint),
            "limit_samples": _DRY_SAMPLES,
            "n_workers": 0,
        }
    )
    n_val_samples = _DRY_SAMPLES * len(config.data.sets())
    watch = {"log_every": 1, "validate_every": 1, "save_every": 1, "n_val_samples": n_val_samples}
    return config.model_copy(
        update={
            "name": f"{config.name}-dry-run",
            "data": data,
            "coarse": None if config.coarse is None else config.coarse.model_copy(update={"share": 1 / _DRY_STEPS}),
            "optim": config.optim.model_copy(update={"steps": _DRY_STEPS}),
            "watch": config.watch.model_copy(update=watch),
        }
    )


def overfit(config: TrainConfig, n: int) -> TrainConfig:
    """Return a run of at most 500 steps that learns the first `n` samples of every data set by heart.

    Nothing is augmented, no camera is dropped, nothing decays, and it is validated on the very same samples: an error
    that does not fall far below that of the whole run points to a fault, not to too little data.

    Raises:
        ConfigError: `n` is below 1.
    """
    if n < 1:
        raise ConfigError(f"--overfit {n}: give the number of samples to learn by heart, at least 1")
    still = AugmentConfig(flip=0.0, brightness=0.0, contrast=0.0, colour=0.0, camera_dropout=0.0)
    data = {"limit_samples": n, "validate_on": "train", "cache": True, "n_workers": 0}
    optim = {
        "steps": min(config.optim.steps, _OVERFIT_STEPS),
        "ema_decay": min(config.optim.ema_decay, _OVERFIT_EMA),
        "weight_decay": 0.0,
    }
    watch = {
        "validate_every": min(config.watch.validate_every, _OVERFIT_STEPS // 5),
        "n_val_samples": n * len(config.data.sets()),
    }
    return config.model_copy(
        update={
            "name": f"{config.name}-overfit-{n}",
            "coarse": None,
            "augment": still,
            "data": config.data.model_copy(update=data),
            "optim": config.optim.model_copy(update=optim),
            "watch": config.watch.model_copy(update=watch),
        }
    )


def _small_tree(config: DataSetConfig) -> dict[str, object]:
    """Return what changes in a data set that would be rendered; nothing in one that is there."""
    if not config.render or Path(config.root).exists():
        return {}
    # in this process: to start others takes longer than two drives
    few = {"n_drives": _DRY_DRIVES, "n_samples": _DRY_SAMPLES, "n_workers": 1}
    rendering = config.rendering.model_copy(update=few)
    root = f"{config.root.rstrip('/')}-dry-run"
    return {"root": root, "rendering": rendering, "train_scenes": (), "val_scenes": ()}
