"""Which labels a training run asks its teacher for: of which samples, at which sizes, under which names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from surround_depth.data.sample import SampleSequence
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


def labels_in_workers(config: TrainConfig) -> bool:
    """Return whether a learned teacher would run in worker processes, which cannot share a GPU."""
    learned = config.teacher.kind not in ("simulated", "none")
    return learned and config.teacher.cache is None and config.data.n_workers > 0


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
