"""What a run must remember to go on as if nothing had happened, and what may not change meanwhile."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from surround_depth.errors import ConfigError, DataError
from surround_depth.models.checkpoint import load_weights
from surround_depth.training.config import TrainConfig
from surround_depth.training.loop import Trainer
from surround_depth.training.rng import set_rng_states
from surround_depth.training.state import StoredState, TensorFiles

_MAY_DIFFER = re.compile(
    r"watch\..*|teacher\.(.*\.)?(directory|device)|teacher\.cache|data\.(n_workers|cache|root|joint\.\d+\.root)"
)
"""What a run looks at, keeps and how it loads changes no weight; nor where data and labels lie: they have hashes."""


@dataclass
class Progress:
    """What a run carries along beside its student."""

    origin: dict[str, Any]
    """`provenance` of the checkpoint; of the first start, for that is where the weights come from."""
    history: list[dict[str, Any]] = field(default_factory=list)
    """One entry per validation."""


def state_tensors(trainer: Trainer, rng_by_rank: list[dict[str, Tensor]]) -> TensorFiles:
    """Return all tensors of a run by file: weights, running average, optimiser and generators of every process."""
    slots = trainer.optimizer.state_dict()["state"]
    beside = {} if trainer.adapters is None else {"adapters": trainer.adapters.state_dict()}
    return beside | {
        "student": trainer.student.state_dict(),
        "average": trainer.average.student.state_dict(),
        "optimizer": {f"{i}.{name}": value for i, slot in slots.items() for name, value in slot.items()},
        "rng": {f"{rank}.{name}": value for rank, states in enumerate(rng_by_rank) for name, value in states.items()},
    }


def state_facts(config: TrainConfig, trainer: Trainer, progress: Progress) -> dict[str, Any]:
    """Return everything else, as plain values; the place in the data is the step's (`stages`)."""
    processes, scaler = trainer.processes, trainer.processes.accelerator.scaler
    return {
        "config": config.model_dump(mode="json"),
        "n_processes": processes.count,
        "n_skipped": trainer.n_skipped,
        "scaler": None if scaler is None else scaler.state_dict(),
        "history": progress.history,
        "origin": progress.origin,
    }


def restore(state: StoredState, trainer: Trainer) -> None:
    """Put the trainer, and this process's generators, where they were.

    Raises:
        DataError: the state is of another student.
    """
    origin = f"the state of step {state.step}"
    load_weights(trainer.student, dict(state.tensors["student"]), origin)
    load_weights(trainer.average.student, dict(state.tensors["average"]), origin)
    if trainer.adapters is not None:
        trainer.adapters.load_state_dict(state.tensors["adapters"])  # the configuration is the same: so are they
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in state.tensors["optimizer"].items():
        index, name = key.split(".", 1)
        slots.setdefault(int(index), {})[name] = value
    groups = trainer.optimizer.state_dict()["param_groups"]  # the schedule sets what changes in them
    trainer.optimizer.load_state_dict({"state": slots, "param_groups": groups})
    if trainer.processes.accelerator.scaler is not None:
        trainer.processes.accelerator.scaler.load_state_dict(state.facts["scaler"])
    trainer.step, trainer.n_skipped = state.step, state.facts["n_skipped"]
    prefix = f"{trainer.processes.rank}."
    own = {key.removeprefix(prefix): value for key, value in state.tensors["rng"].items() if key.startswith(prefix)}
    set_rng_states(own)


def require_same_run(state: StoredState, config: TrainConfig, origin: Mapping[str, Any], n_processes: int) -> None:
    """Check that going on gives what the undisturbed run would have given.

    `optim.steps` must stay too: learning rate, ramps, coarse stage and settling are shares of it, so with another
    number the steps that are done would have been others.

    Args:
        origin: of a run that would start now (`provenance.run_origin`).

    Raises:
        ConfigError: names every key that differs, or the number of processes.
        DataError: the data or the teacher have changed.
    """
    require_same_config(state, config)
    if (before := state.facts["n_processes"]) != n_processes:
        raise ConfigError(
            f"--resume: the run has {before} process(es) and this start {n_processes}, which would give each step "
            f"other samples; start {before}, or another run: --init OUT/student --out ANOTHER"
        )
    if origin["teacher_sha256"] != state.facts["origin"].get("teacher_sha256", origin["teacher_sha256"]):
        raise DataError(
            "--resume: the teacher changed since the run began (weights or settings), so the steps left would learn "
            "from another; bring the old one back, or start another run: --init OUT/student --out ANOTHER"
        )
    if origin["data_sha256"] != state.facts["origin"]["data_sha256"]:
        sets = [
            one["key"] for one, was in zip(origin["data"], state.facts["origin"]["data"], strict=True) if one != was
        ]
        raise DataError(
            f"--resume: {', '.join(sets)} changed since the run began (drives, samples or tables), so its steps would "
            "be others; bring the old files back, or start another run: --init OUT/student --out ANOTHER"
        )


def require_same_config(state: StoredState, config: TrainConfig) -> None:
    """Check that `config` is the one of the run.

    Raises:
        ConfigError: names every key that differs and may not.
    """
    differing = config_differences(state.facts["config"], config.model_dump(mode="json"))
    if differing:
        raise ConfigError(
            f"--resume: {'; '.join(differing)}; go on with the same configuration (leave --config and --set away, and "
            "it is OUT's own; watch.*, data.n_workers, data.cache and data.root may change), or start another run: "
            "--init OUT/student --out ANOTHER"
        )


def config_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return "key: was A, is B" for every dotted key that differs and may not."""
    old, new = dict(_leaves(before)), dict(_leaves(now))
    keys = sorted(key for key in old.keys() | new.keys() if not _MAY_DIFFER.fullmatch(key))
    absent = "absent"
    return [
        f"{key} was {old.get(key, absent)}, is {new.get(key, absent)}"
        for key in keys
        if old.get(key, absent) != new.get(key, absent)
    ]


def _leaves(tree: Any, key: str = "") -> list[tuple[str, Any]]:
    if isinstance(tree, list) and any(isinstance(value, Mapping) for value in tree):
        tree = {str(i): value for i, value in enumerate(tree)}
    if not isinstance(tree, Mapping):
        return [(key, tree)]
    return [leaf for name, value in tree.items() for leaf in _leaves(value, f"{key}.{name}" if key else str(name))]
