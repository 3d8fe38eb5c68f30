"""The folder of a run: whose it is, and whether a run may begin or go on in it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from surround_depth.errors import ConfigError, DataError
from surround_depth.files import clear_leftovers
from surround_depth.training.config import TrainConfig
from surround_depth.training.logbook import METRICS_NAME
from surround_depth.training.resume import require_same_config
from surround_depth.training.state import StoredState, newest_state, stored_steps

STUDENT_FOLDER = "student"
STATE_FOLDER = "state"
CONFIG_NAME = "resolved.yaml"


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Keep `out` for this run while the body runs: two that write the same states would spoil both.

    The lock ends with its process, however that ends.

    Raises:
        ConfigError: another run has it.
        DataError: the folder cannot be made or written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        folder = os.open(out, os.O_RDONLY)  # the folder itself: no file is left behind
    except OSError as error:
        raise DataError(f"{out} cannot be written ({error.strerror}); choose another --out") from error
    try:
        _lock(folder, out)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, out: Path) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConfigError(f"{out}: another run is at work there; wait for it, or choose another --out") from error


def require_startable(config: TrainConfig, out: Path, *, resume: bool) -> None:
    """Check what `run_training` would refuse about `out` and the configuration, before anything that takes long.

    Raises:
        ConfigError: as `run_training`.
        DataError: no state in `out` is whole.
    """
    # claiming clears what a killed run was writing, which a run at work would miss
    with alone_in(out) if out.is_dir() else nullcontext():
        state = claim_folder(out, lambda text: None, resume=resume)
    if state is not None:
        require_same_config(state, config)


def claim_folder(out: Path, notice: Callable[[str], None], *, resume: bool) -> StoredState | None:
    """Return the newest whole state to go on from, or None: `out` holds no run, and nothing that a kill left behind.

    Args:
        notice: told of states that are damaged.

    Raises:
        ConfigError: there are states and `resume` is not asked for, or the other way round.
        DataError: no state is whole.
    """
    folder = out / STATE_FOLDER
    steps = stored_steps(folder)
    if steps == [0] and not resume:  # a run that never took a step is none
        shutil.rmtree(folder)
        steps = []
    if steps and not resume:
        raise ConfigError(
            f"{out} holds the states of a run, the newest of step {steps[-1]}; go on with --resume, or choose another "
            "--out"
        )
    if resume and not steps:
        raise ConfigError(f"--resume: {out} holds no state of a run; start it without --resume, or correct --out")
    clear_leftovers(folder, "step-*")
    clear_leftovers(out, STUDENT_FOLDER, CONFIG_NAME, METRICS_NAME)
    return newest_state(folder, notice) if resume else None


def way_on(step: int, n_steps: int) -> str:
    """Say where a run goes on."""
    if step >= n_steps:
        return f"the run was finished after step {step}; it is validated and exported once more"
    return f"going on after step {step}"
