"""Which labels a training run asks its teacher for: of which samples, at which sizes, under which names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from surround_depth.data.sample import SampleSequence
from surround_depth.errors import ConfigError
from surround_depth.imaging import InputSpec
from surround_depth.losses.build import needs_patches
from surround_depth.teachers.build import SingleTeacherConfig, TeacherConfig
from surround_depth.teachers.device import Device
from surround_depth.teachers.patches import patch_windows, window_label_id
from surround_depth.training.config import TrainConfig
from surround_depth.training.drives import Drives

SamplePlace = tuple[InputSpec, SampleSequence, int]
"""A size, a drive and a place in it."""


@dataclass(frozen=True)
class LabelTask:
    """Which samples get labels, at which sizes, and whether windows of their pictures do too (`teachers.patches`)."""

    sequences: tuple[SampleSequence, ...]
    specs: tuple[InputSpec, ...]
    windows: bool = False

    def share(self, rank: int, n_processes: int) -> list[SamplePlace]:
        """Return every n-th sample: neighbours are equally dear, so no process is left waiting."""
        places = [
            (spec, sequence, i) for spec in self.specs for sequence in self.sequences for i in range(len(sequence))
        ]
        return places[rank::n_processes]

    def label_sizes(self, spec: InputSpec) -> list[tuple[int, int]]:
        """Return height and width of each label of a sample that is brought to `spec`."""
        whole = (spec.height_px, spec.width_px)
        windows = patch_windows(*whole).tolist() if self.windows else []
        return [whole, *((height, width) for _, _, height, width in windows)]

    def label_ids(self, own_id: str) -> list[str]:
        """Return what each label of a sample is kept under, its own first."""
        n_windows = len(self.label_sizes(self.specs[0])) - 1
        return [own_id, *(window_label_id(own_id, index) for index in range(n_windows))]


def label_task(config: TrainConfig, drives: Drives, *, validation: bool = False) -> LabelTask:
    """Return every training sample of a run, once, at the input's size and the coarse stage's.

    Args:
        validation: those that validate too; validation itself looks at no label.
    """
    sequences = [sequence for one in drives.sets for sequence in (*one.train, *(one.val if validation else ()))]
    once = tuple({id(sequence): sequence for sequence in sequences}.values())
    specs = (config.input,) if config.coarse is None else (config.input, config.coarse.input)
    return LabelTask(once, tuple(dict.fromkeys(specs)), windows=needs_patches(config.loss))


def labels_ahead(config: TrainConfig) -> bool:
    """Return whether a run's labels must all lie in its cache: a learned teacher, and a loader with workers.

    Workers cannot share a GPU, and on a CPU a foundation model takes seconds for each sample.

    Raises:
        ConfigError: no cache is given, or pictures are drawn of which none can be kept.
    """
    if config.data.n_workers == 0 or not _is_learned(config.teacher):
        return False
    asked = f"teacher.kind {config.teacher.kind!r} with data.n_workers {config.data.n_workers}"
    if config.teacher.cache is None:
        raise ConfigError(
            f"{asked}: the loader's workers cannot share a GPU and would ask it about every picture on the CPU; label "
            "once, ahead of the run (tools/cache_teacher.py with the same --config and --set, and --cache DIR), and "
            "give --set teacher.cache=DIR; or set data.n_workers=0: then it runs in the process that trains"
        )
    if config.augment.zoom != (1.0, 1.0) or config.augment.shift > 0.0:
        raise ConfigError(
            f"{asked}: augment.zoom and augment.shift draw pictures that no label is kept of; set them to [1, 1] and "
            "0, or data.n_workers to 0"
        )
    return True


def _is_learned(teacher: TeacherConfig) -> bool:
    if teacher.kind == "assistant" and teacher.assistant is not None:
        return any(one.kind != "simulated" for one in (teacher.assistant.primary, teacher.assistant.assistant))
    return teacher.kind not in ("simulated", "none")


def teacher_on(device: Device, config: TeacherConfig) -> TeacherConfig:
    """Return the same teacher with its model on `device` and nothing kept; neither labels nor fingerprint depend on it.

    A run's own setting is that of the loader's workers, who cannot share a GPU.
    """
    place: dict[str, Any] = {"cache": None, **_models_on(device, config)}
    if (pair := config.assistant) is not None:
        moved = {
            role: one.model_copy(update=_models_on(device, one))
            for role, one in (("primary", pair.primary), ("assistant", pair.assistant))
        }
        place["assistant"] = pair.model_copy(update=moved)
    return config.model_copy(update=place)


def _models_on(device: Device, config: TeacherConfig | SingleTeacherConfig) -> dict[str, Any]:
    models = {name: getattr(config, name) for name in ("depth_anything", "student", "stereo")}
    return {name: model.model_copy(update={"device": device}) for name, model in models.items()}
