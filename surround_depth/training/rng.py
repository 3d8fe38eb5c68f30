"""The random generators of a process as tensors, to be stored and set again."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor

_MERSENNE_WORDS = 624


def seed_generators(seed: int) -> None:
    """Start every generator from `seed`, whichever of them an encoder or a library draws from."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


def rng_states() -> dict[str, Tensor]:
    """Return the states of Python's, numpy's and torch's own generators, and of every GPU's that torch has used."""
    version, words, gauss = random.getstate()
    python = np.array([version, *words], np.int64)
    _, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002
    states = {
        "python": torch.from_numpy(python),
        "python_gauss": torch.tensor([] if gauss is None else [gauss], dtype=torch.float64),
        "numpy": torch.from_numpy(np.array([*keys, position, has_gauss], np.int64)),
        "numpy_gauss": torch.tensor([cached], dtype=torch.float64),
        "torch": torch.get_rng_state(),
    }
    if torch.cuda.is_initialized():
        states["cuda"] = torch.cuda.get_rng_state()
    return states


def set_rng_states(states: dict[str, Tensor]) -> None:
    """Set what `rng_states` returned; a GPU's state waits for a run that uses one."""
    version, *words = states["python"].tolist()
    gauss = states["python_gauss"].tolist()
    random.setstate((version, tuple(words), gauss[0] if gauss else None))
    keys, (position, has_gauss) = states["numpy"][:_MERSENNE_WORDS], states["numpy"][_MERSENNE_WORDS:].tolist()
    cached = float(states["numpy_gauss"][0])
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, cached))  # noqa: NPY002
    torch.set_rng_state(states["torch"])
    if "cuda" in states and torch.cuda.is_initialized():
        torch.cuda.set_rng_state(states["cuda"])
