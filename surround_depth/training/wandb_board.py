"""Weights & Biases as a second board, for who asks for it. Owns wandb here, and imports it only then.

`WANDB_MODE=offline` writes into OUT/wandb and sends nothing; `wandb sync` sends it later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import MissingDependencyError


class WandbBoard:
    """One run of a W&B project.

    Args:
        out: the run's folder, which names the run: a resumed one goes on in the same place.

    Raises:
        MissingDependencyError: wandb is not installed.
    """

    def __init__(self, project: str, out: Path, name: str, config: Mapping[str, Any]) -> None:
        try:
            import wandb
        except ImportError as error:
            raise MissingDependencyError("--wandb needs wandb: pip install wandb, or leave --wandb out") from error
        identity = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:16]
        self._wandb = wandb
        self._run = wandb.init(
            project=project, name=name, config=dict(config), dir=str(out), id=identity, resume="allow"
        )
        # An axis of our own: W&B's refuses the steps that a resumed run repeats.
        self._run.define_metric("*", step_metric="step")

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Show numbers of a step."""
        self._run.log({**values, "step": step})

    def pictures(self, pictures: Mapping[str, NDArray[np.uint8]], step: int) -> None:
        """Show RGB pictures [H, W, 3] of a step."""
        images = {name: self._wandb.Image(picture) for name, picture in pictures.items()}
        self._run.log({**images, "step": step})

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()
