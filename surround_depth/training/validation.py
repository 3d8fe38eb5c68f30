"""How good the student is on held-out drives, beside the trivial baseline, by the rule of evaluation and playback."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from surround_depth.data.network_truth import TruthKind
from surround_depth.inference.backend import REACH_FRACTION_OF_MAX_DEPTH
from surround_depth.metrics.depth import DepthErrors, mean_errors
from surround_depth.metrics.scoreboard import DEFAULT_RANGE, ScoreBoard, answered_depth_m
from surround_depth.models.student import Student
from surround_depth.training.dataset import collate
from surround_depth.training.held_out import ValidationSet
from surround_depth.training.prepared import PreparedSample

_KINDS: tuple[TruthKind, ...] = ("dense", "lidar")


@dataclass(frozen=True)
class Validation:
    """Errors by the rule of `metrics.scoreboard`: mean over the images of a camera, then over cameras."""

    dense: DepthErrors
    lidar: DepthErrors
    baseline_dense: DepthErrors
    baseline_lidar: DepthErrors
    abs_rel_of_sets: Mapping[str, float]
    """The headline of each data set alone: sets of other rigs are not equally hard."""
    mean_confidence_gap: float
    """|mean confidence - share of pixels within 25 %| over the true pixels (dense where there is any, else LiDAR).

    A mean against a mean: it sees that the student is too sure (or too shy) on the whole, and nothing of whether the
    right pixels are the confident ones.
    """

    @property
    def headline(self) -> float:
        """AbsRel against exact depth where there is any, else against LiDAR."""
        return self.dense.abs_rel if self.dense.n_pixels else self.lidar.abs_rel

    def as_dict(self) -> dict[str, dict[str, float | None] | float | None]:
        """Return plain values for JSON, which has no NaN: what was not measured is None."""
        kinds: dict[str, DepthErrors] = {n: getattr(self, n) for n in (*_KINDS, *(f"baseline_{k}" for k in _KINDS))}
        errors = {kind: {name: _or_none(value) for name, value in e.as_dict().items()} for kind, e in kinds.items()}
        sets = {key: _or_none(value) for key, value in self.abs_rel_of_sets.items()}
        return {**errors, "abs_rel_of_sets": sets, "mean_confidence_gap": _or_none(self.mean_confidence_gap)}


@dataclass(frozen=True)
class Example:
    """One validated sample, for the picture."""

    sample: PreparedSample
    depth_m: NDArray[np.float32]  # [N, H, W]
    confidence: NDArray[np.float32]  # [N, H, W]
    truth_m: NDArray[np.float32]  # [N, H, W], NaN = unknown
    centers_m: NDArray[np.float32] | None  # of the bins [N, M], or None: the student has none
    bin_share: NDArray[np.float32] | None  # their probabilities, mean over a picture [N, M]


class _Tally:
    """What validation has seen so far."""

    def __init__(self) -> None:
        self.boards = {f"{prefix}{kind}": ScoreBoard() for prefix in ("", "baseline_") for kind in _KINDS}
        self._hits: list[NDArray[np.bool_]] = []
        self._confidences: list[NDArray[np.float32]] = []

    def add(self, one: ValidationSet, answer: _Answer, truths_m: Mapping[TruthKind, NDArray[np.float32]]) -> None:
        """Score one sample of a data set; its baseline is left out where it is of another number of cameras."""
        depth_m, baseline_m = answer.depth_m, one.baseline_m
        names = [_camera(one.name, i) for i in range(len(depth_m))]
        for kind, truth_m in truths_m.items():
            self.boards[kind].add(names, depth_m, truth_m)
            if baseline_m is not None and len(baseline_m) == len(truth_m):
                self.boards[f"baseline_{kind}"].add(names, baseline_m, truth_m)
        for best_m in islice(truths_m.values(), 1):
            counted = (best_m > DEFAULT_RANGE.min_depth_m) & (best_m < DEFAULT_RANGE.max_depth_m)
            ratio = depth_m[counted] / best_m[counted]
            self._hits.append(np.maximum(ratio, 1.0 / ratio) < 1.25)
            self._confidences.append(answer.confidence[counted])

    def result(self, names: Sequence[str]) -> Validation:
        """Return the means over all that was added; `names` of the data sets."""
        scores = {kind: board.scores() for kind, board in self.boards.items()}
        best = scores["dense"] if scores["dense"].mean.n_pixels else scores["lidar"]
        of_sets = {
            name: mean_errors([e for camera, e in best.cameras.items() if camera.startswith(_camera(name, ""))]).abs_rel
            for name in names
        }
        gap = math.nan
        if sum(map(len, self._hits)):
            confidence = np.concatenate(self._confidences).mean(dtype=np.float64)
            gap = abs(float(np.concatenate(self._hits).mean() - confidence))
        return Validation(
            **{kind: score.mean for kind, score in scores.items()}, abs_rel_of_sets=of_sets, mean_confidence_gap=gap
        )


def _camera(name: str, number: int | str) -> str:
    """Return what the boards call a camera of a data set."""
    return f"{name} {number}"


@torch.no_grad()
def validate(student: Student, sets: Sequence[ValidationSet]) -> tuple[Validation, Example]:
    """Return the errors of `student` (in eval mode) over the samples of all sets, and the first of them as an example.

    Without any truth every error is NaN: drives without LiDAR can be trained on, and their pictures looked at.

    Raises:
        ValueError: there is no sample.
    """
    tally, example = _Tally(), None
    for one, index in ((held_out, index) for held_out in sets for index in held_out.indices):
        sample, truths_m = one.store[index], one.store.truths_m(index)
        answer = _predict(student, sample)
        tally.add(one, answer, truths_m)
        if example is None:
            truth_m = next(iter(truths_m.values()), np.full_like(answer.depth_m, np.nan))
            example = Example(sample, answer.depth_m, answer.confidence, truth_m, *answer.bins)
    if example is None:
        raise ValueError("validate: no sample to validate on")
    return tally.result([one.name for one in sets]), example


@dataclass(frozen=True)
class _Answer:
    depth_m: NDArray[np.float32]  # that is scored [N, H, W]
    confidence: NDArray[np.float32]  # [N, H, W]
    bins: tuple[NDArray[np.float32], NDArray[np.float32]] | tuple[None, None]  # centers_m and bin_share of `Example`


def _predict(student: Student, sample: PreparedSample) -> _Answer:
    """Return what the student says of a sample; sky is answered as the pipeline would."""
    batch = collate([sample]).to(next(student.parameters()).device)
    output = student(batch.images, batch.rays, batch.T_ego_cam, batch.camera_valid)
    depth_m = output.depth_m[0].float().cpu().numpy()
    farthest_m = student.config.bins.max_depth_m
    sky = depth_m >= REACH_FRACTION_OF_MAX_DEPTH * farthest_m
    bins: tuple[NDArray[np.float32], NDArray[np.float32]] | tuple[None, None] = (None, None)
    if output.logits is not None and output.centers_m is not None:
        share = output.logits[0].float().softmax(dim=1).mean(dim=(2, 3))
        bins = output.centers_m[0].float().cpu().numpy(), share.cpu().numpy()
    return _Answer(
        depth_m=answered_depth_m(depth_m, sky, farthest_m),
        confidence=output.confidence[0].float().cpu().numpy(),
        bins=bins,
    )


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
