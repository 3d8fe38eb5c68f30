"""Weights & Biases as a second board, for who asks for it. Owns wandb here, and imports it only then.

`WANDB_MODE=offline` writes into OUT/wandb and sends nothing; `wandb sync` sends it later.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import ConfigError, MissingDependencyError
from surround_depth.files import write_atomic

IDENTITY_NAME = "wandb_run_id.txt"


class WandbBoard:
    """One run of a W&B project.

    Args:
        out: the run's folder, which keeps the run's name in W&B.
        goes_on: a resumed run shows itself in the same place; another one in the same folder does not.

    Raises:
        MissingDependencyError: wandb is not installed.
        ConfigError: W&B refuses the run: nobody is logged in, no such project.
    """

    def __init__(self, project: str, out: Path, name: str, config: Mapping[str, Any], *, goes_on: bool) -> None:
        try:
            import wandb
        except ImportError as error:
            raise MissingDependencyError("--wandb needs wandb: pip install wandb, or leave --wandb out") from error
        identity = _identity(out / IDENTITY_NAME, goes_on=goes_on)
        self._wandb = wandb
        try:
            self._run = wandb.init(
                project=project, name=name, config=dict(config), dir=str(out), id=identity, resume="allow"
            )
        except wandb.Error as error:
            reason = " ".join(str(error).split())
            raise ConfigError(f"--wandb {project}: {reason}; or WANDB_MODE=offline, which sends nothing") from error
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


def _identity(path: Path, *, goes_on: bool) -> str:
    """Return what W&B knows the run by. Not its folder: on two machines two runs may have folders of one name."""
    if goes_on and path.is_file():
        return path.read_text(encoding="utf-8").strip()
    identity = secrets.token_hex(8)
    write_atomic(path, identity.encode())
    return identity
