"""Training of the stereo teacher: smooth L1 on the disparity of rectified pairs, one device, minutes.

It is finished before any student learns from it, as in ADU-Depth (arXiv 2309.14744 [V]); all else of the recipe is ours
[O]. Leaves OUT/teacher (see `teachers.stereo_checkpoint`) and OUT/resolved.yaml.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from surround_depth.config import dump_config
from surround_depth.data.stereo import StereoPair, StereoPairs, resized_pair
from surround_depth.errors import ConfigError
from surround_depth.files import write_atomic
from surround_depth.losses.masked import masked_mean
from surround_depth.teachers.stereo_checkpoint import StereoCheckpointConfig, save_stereo
from surround_depth.teachers.stereo_net import StereoNet, StereoNetConfig, StereoOutput
from surround_depth.training.augment import jitter
from surround_depth.training.config import AugmentConfig
from surround_depth.training.folder import CONFIG_NAME, alone_in
from surround_depth.training.rng import seed_generators
from surround_depth.training.stereo_config import StereoTrainConfig
from surround_depth.training.stereo_report import DisparityErrors, mean_errors, stereo_card, stereo_provenance

TEACHER_FOLDER = "teacher"
_BETA_PX = 0.25  # below it the loss is a square: a pixel at 60 m has a disparity of little more than 1 px
_COARSE_WEIGHT = 0.5


@dataclass(frozen=True)
class StereoResult:
    """What came of a training."""

    directory: Path
    errors: DisparityErrors
    """On the drives that were held out."""
    constant: DisparityErrors
    """Of one disparity for all pixels, the median of the training pairs: what the network must beat."""


StepWatcher = Callable[[int, float], object]
"""Told the step (1-based) and its loss."""


def train_stereo(
    config: StereoTrainConfig, pairs: StereoPairs, out: Path, *, on_step: StepWatcher, device: str = "cpu"
) -> StereoResult:
    """Train on all drives of `pairs` but the last ones, and write the checkpoint with its errors on those.

    Raises:
        ConfigError: too few drives, or another run is at work in `out`.
        DataError: a pair cannot be read, or `out` cannot be written.
    """
    train, val = split_drives(pairs.drives, config.data.n_val_drives, config.data.root)
    with alone_in(out):
        write_atomic(out / CONFIG_NAME, dump_config(config).encode())
        seed_generators(config.seed)
        net = StereoNet(config.net).to(device)
        read = lru_cache(maxsize=None)(lambda index: resized_pair(pairs[index], config.input))
        fit(net, [partial(read, index) for index in train], config, on_step=on_step)
        held_out = [read(index) for index in val]
        errors = mean_errors((one, predicted(net, one)) for one in held_out)
        typical_px = np.median(np.concatenate([_known(read(index), config.net) for index in train]))
        constant = mean_errors((one, np.full_like(one.disparity_px, typical_px)) for one in held_out)
        facts = stereo_provenance(config, pairs, (train, val), errors, constant)
        directory = out / TEACHER_FOLDER
        kept = StereoCheckpointConfig(net=config.net, input=config.input, provenance=facts)
        save_stereo(directory, net, kept, stereo_card(config, facts))
    return StereoResult(directory, errors, constant)


def split_drives(drives: Sequence[str], n_val_drives: int, root: str) -> tuple[list[int], list[int]]:
    """Return the places of pairs that train and of those of the last drives, which are held out.

    Raises:
        ConfigError: no drive is left to train on.
    """
    names = list(dict.fromkeys(drives))
    if len(names) <= n_val_drives:
        raise ConfigError(
            f"data.n_val_drives: {root} has {len(names)} drive(s) and {n_val_drives} are held out; none is left to "
            "train on: give fewer, or more drives"
        )
    held_out = set(names[-n_val_drives:])
    places: tuple[list[int], list[int]] = ([], [])
    for place, drive in enumerate(drives):
        places[drive in held_out].append(place)
    return places


def fit(
    net: StereoNet, pairs: Sequence[Callable[[], StereoPair]], config: StereoTrainConfig, *, on_step: StepWatcher
) -> None:
    """Train `net` in place, on the device it lies on; every draw comes from the seed.

    Args:
        pairs: read when drawn, at the size of `config.input`.
    """
    device = next(net.parameters()).device
    optimiser = torch.optim.AdamW(net.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.lr, total_steps=config.steps + 1)
    light = AugmentConfig(brightness=config.brightness, contrast=config.contrast, colour=config.colour)
    net.train()
    for step, drawn in enumerate(_batches(len(pairs), config), start=1):
        rng = np.random.default_rng((config.seed, 1, step))
        batch = [pairs[index]() for index in drawn]
        left, right = (tensor.to(device) for tensor in _pictures(batch, light, rng))
        truth_px = torch.from_numpy(np.stack([one.disparity_px for one in batch])).to(device)
        loss = disparity_loss(net(left, right), truth_px, config.net.max_disparity_px)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), config.clip_norm)
        optimiser.step()
        schedule.step()
        on_step(step, loss.item())
    net.eval()


def disparity_loss(output: StereoOutput, truth_px: Tensor, max_disparity_px: int) -> Tensor:
    """Return smooth L1 of the disparity and, at half weight, of the coarse one, over what is known and within reach.

    Args:
        truth_px: [B, H, W], NaN = not known.
    """
    known = truth_px < max_disparity_px  # False on NaN
    truth_px = torch.where(known, truth_px, 0.0)
    fine, coarse = (
        masked_mean(F.smooth_l1_loss(found, truth_px, reduction="none", beta=_BETA_PX), known).value
        for found in (output.disparity_px, output.coarse_px)
    )
    return fine + _COARSE_WEIGHT * coarse


def predicted(net: StereoNet, pair: StereoPair) -> NDArray[np.float32]:
    """Return the network's disparity [H, W] of the left picture, not below 0."""
    device = next(net.parameters()).device
    left, right = (torch.from_numpy(side)[None].to(device) for side in (pair.left, pair.right))
    with torch.no_grad():
        output = net(_to_unit(left), _to_unit(right))
    return np.asarray(output.disparity_px[0].clamp(min=0.0).cpu().numpy())


def _batches(n_pairs: int, config: StereoTrainConfig) -> Iterator[list[int]]:
    """Yield the pairs of every step; each pass over the data is shuffled anew."""
    rng = np.random.default_rng((config.seed, 0))
    queue: list[int] = []
    for _ in range(config.steps):
        while len(queue) < config.batch_size:
            queue += rng.permutation(n_pairs).tolist()
        yield queue[: config.batch_size]
        queue = queue[config.batch_size :]


def _pictures(batch: Sequence[StereoPair], light: AugmentConfig, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return left and right pictures as tensors, each pair under a light of its own."""
    lit = np.stack([jitter(np.stack((one.left, one.right)), light, rng) for one in batch])
    left, right = torch.from_numpy(lit).unbind(1)
    return _to_unit(left), _to_unit(right)


def _to_unit(pictures: Tensor) -> Tensor:
    return pictures.permute(0, 3, 1, 2).float() / 255.0


def _known(pair: StereoPair, net: StereoNetConfig) -> NDArray[np.float32]:
    return pair.disparity_px[pair.disparity_px < net.max_disparity_px]
