"""What one trained student is worth on every evaluation set: numbers per held-out drive, so that drives can be drawn.

    scores = score_student(run / "student", study.evaluation, data)
    scores["nuscenes"]["clean"]["abs_rel"]["scene-0900"]

By protocol "strict" against exact dense depth, in torch, at the resolution the student was trained at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from surround_depth.data.build import open_dataset
from surround_depth.data.sample import Sample, SampleSequence
from surround_depth.evaluation.moment import ListedSample
from surround_depth.evaluation.prediction import Predictor
from surround_depth.evaluation.predictors import EnginePredictor
from surround_depth.evaluation.protocol_run import Evaluator
from surround_depth.export.checkpoint import read_trained_student
from surround_depth.imaging import decode_image
from surround_depth.inference.torch_backend import TorchBackend
from surround_depth.metrics.protocol_means import protocol_means
from surround_depth.metrics.protocols import protocol
from surround_depth.metrics.records import Record
from surround_depth.studies.config import Condition, EvaluationSet
from surround_depth.studies.corruptions import OPERATIONS

PerDrive = Mapping[str, float]
SetScores = dict[Condition, dict[str, dict[str, float]]]
"""Condition -> measure -> drive -> value; NaN where a drive has none."""

MEASURES: Mapping[str, tuple[str, str]] = {
    "abs_rel": ("metric", "abs_rel"),
    "sq_rel": ("metric", "sq_rel"),
    "rmse": ("metric", "rmse"),
    "rmse_log": ("metric", "rmse_log"),
    "a1": ("metric", "a1"),
    "a2": ("metric", "a2"),
    "a3": ("metric", "a3"),
    "overlap_abs_rel": ("overlap", "abs_rel"),
    "consistency": ("consistency+", "abs_rel"),
    "ause": ("confidence", "ause_abs_rel"),
    "ece": ("confidence", "ece"),
    "edges_abs_rel": ("edges", "abs_rel_near_edges"),
}
"""Our name -> group and value of the evaluation's records."""
DEPTH_MEASURES = tuple(name for name, (group, _) in MEASURES.items() if group == "metric")
HEALTHY, HEALTHY_BEFORE = "abs_rel", "abs_rel_all_alive"
"""Of condition `dead`: the healthy cameras' errors, and those of the same cameras while all were alive."""
_PROTOCOL = protocol("strict")
CORRUPTION_SEED = 20_191_216
"""The same spoilt pictures for every student."""

Change = Callable[[Sample, int], Sample]
"""(sample, place in the list) -> another sample."""


@dataclass(frozen=True)
class ChangedSequence:
    """A drive whose samples are changed as they are read; `places` are those of its samples in the list."""

    sequence: SampleSequence
    places: Sequence[int]
    change: Change

    @property
    def name(self) -> str:
        """Name of the drive."""
        return self.sequence.name

    def __len__(self) -> int:
        return len(self.sequence)

    def __getitem__(self, index: int) -> Sample:
        return self.change(self.sequence[index], self.places[index])


def score_student(
    checkpoint: Path, sets: Iterable[EvaluationSet], data: Path, *, device: str = "cpu"
) -> dict[str, SetScores]:
    """Return set -> condition -> measure -> drive -> value of a checkpoint directory.

    Args:
        data: folder with one rendered tree per set.
        device: where the student runs.

    Raises:
        DataError: the checkpoint or a tree is damaged.
    """
    trained = read_trained_student(checkpoint)
    found = {}
    for entry in sets:
        dataset = open_dataset("synthetic", data / entry.set)
        sequences = [dataset.sequence(scene) for scene in dataset.scenes()]
        # torch takes any number of cameras: nothing of the weights depends on it
        spec = trained.engine_spec(len(sequences[0][0].frame.rig))
        predictor = EnginePredictor(TorchBackend(trained.student, spec, device=device))
        found[entry.set] = score_drives(predictor, sequences, entry.conditions)
    return found


def score_drives(
    predictor: Predictor, sequences: Sequence[SampleSequence], conditions: Sequence[Condition]
) -> SetScores:
    """Return condition -> measure -> drive -> value over drives of one rig; see `EvaluationSet.conditions`."""
    scores: SetScores = {}
    whole = Evaluator(predictor, _PROTOCOL, "synthetic", kind="dense", cloud=False)
    errors = Evaluator(predictor, _PROTOCOL, "synthetic", kind="dense", only_depth=True)
    clean = _records(whole if "clean" in conditions else errors, sequences)
    if "clean" in conditions:
        scores["clean"] = _per_drive(clean, MEASURES)
    if "corrupted" in conditions:
        spoilt = _records(errors, _changed(sequences, corrupted))
        scores["corrupted"] = _per_drive(spoilt, {name: MEASURES[name] for name in DEPTH_MEASURES})
    if "dead" in conditions:
        scores["dead"] = _beside(clean, _records(errors, _changed(sequences, with_dead_camera)))
    return scores


def with_dead_camera(sample: Sample, place: int) -> Sample:
    """Return the sample without the image of camera `place` modulo their number; truth of the dead one goes too."""
    valid = sample.frame.camera_valid.copy()
    valid[place % len(valid)] = False
    return replace(sample, frame=replace(sample.frame, camera_valid=valid))


def corrupted(sample: Sample, place: int) -> Sample:
    """Return the sample with all its pictures spoilt in one way, that of its place in the list; always the same."""
    frame, truth = sample.frame, sample.truth
    assert truth is not None  # rendered
    spoil = OPERATIONS[place % len(OPERATIONS)]
    images = []
    for i, (camera, image) in enumerate(zip(frame.rig.cameras, frame.images, strict=True)):
        assert image is not None  # rendered
        picture = decode_image(image, camera, camera.height_px, camera.width_px)
        images.append(spoil(picture, truth.depth_m[i], np.random.default_rng((CORRUPTION_SEED, place, i))))
    return replace(sample, frame=replace(frame, images=tuple(images)))


def _changed(sequences: Iterable[SampleSequence], change: Change) -> Iterator[SampleSequence]:
    first = 0
    for sequence in sequences:
        yield ChangedSequence(sequence, range(first, first + len(sequence)), change)
        first += len(sequence)


def _records(evaluator: Evaluator, sequences: Iterable[SampleSequence]) -> list[Record]:
    """Return the records of all samples, each by itself: moments a second apart say nothing about flicker."""
    places = [(sequence, position) for sequence in sequences for position in range(len(sequence))]
    return [
        record
        for index, (sequence, position) in enumerate(places)
        for record in evaluator.score((ListedSample(index, sequence, position),)).records
    ]


def _per_drive(records: Sequence[Record], measures: Mapping[str, tuple[str, str]]) -> dict[str, dict[str, float]]:
    """Return measure -> drive -> mean by the protocol's rule (images of a camera first, then cameras)."""
    drives = dict.fromkeys(record.sequence for record in records)
    means = {drive: protocol_means((r for r in records if r.sequence == drive), _PROTOCOL) for drive in drives}
    return {
        name: {drive: means[drive][group].mean.get(value, math.nan) for drive in drives}
        for name, (group, value) in measures.items()
    }


def _beside(clean: Sequence[Record], dead: Sequence[Record]) -> dict[str, dict[str, float]]:
    """Return the errors of healthy cameras beside a dead one, and of the same images while all were alive."""
    group, value = MEASURES["abs_rel"]
    after, before = (
        {(r.sequence, r.index, r.camera): r.values[value] for r in records if r.group == group and r.n_pixels > 0}
        for records in (dead, clean)
    )
    drives = dict.fromkeys(unit[0] for unit in after)
    return {
        name: {d: float(np.mean([errors[unit] for unit in after if unit[0] == d])) for d in drives}
        for name, errors in ((HEALTHY, after), (HEALTHY_BEFORE, before))
    }
