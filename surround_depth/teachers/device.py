"""Where a learned teacher runs."""

from __future__ import annotations

from typing import Literal

import torch

from surround_depth.errors import ConfigError

Device = Literal["cpu", "cuda"]


def require_device(device: Device, key: str) -> None:
    """Raise `ConfigError`, naming the configuration's key, where there is no such device."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"{key}: torch {torch.__version__} sees no CUDA GPU; give cpu")
