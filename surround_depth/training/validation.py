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
from surround_depth.training.held_out import HeldOutSet
from surround_depth.training.prepared import PreparedSample
from surround_depth.training.samples import SampleStore

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


@dataclass(frozen=True)
class ValidationSet:
    """Samples of rigs with equally many cameras, which share a baseline."""

    name: str
    store: SampleStore
    indices: list[int]
    baseline_m: NDArray[np.float32]
    """Depth [N, H, W] that ignores the picture (per-pixel training mean)."""


class _Tally:
    """What validation has seen so far."""

    def __init__(self) -> None:
        self.boards = {f"{prefix}{kind}": ScoreBoard() for prefix in ("", "baseline_") for kind in _KINDS}
        self._hits: list[NDArray[np.bool_]] = []
        self._confidences: list[NDArray[np.float32]] = []

    def add(
        self,
        key: str,
        depth_m: NDArray[np.float32],
        confidence: NDArray[np.float32],
        truths_m: Mapping[TruthKind, NDArray[np.float32]],
        baseline_m: NDArray[np.float32] | None,
    ) -> None:
        """Score one sample of the data set `key`; arrays are [N, H, W], and a baseline of another N is left out."""
        names = [f"{key} {i}" for i in range(len(depth_m))]
        for kind, truth_m in truths_m.items():
            self.boards[kind].add(names, depth_m, truth_m)
            if baseline_m is not None and len(baseline_m) == len(truth_m):
                self.boards[f"baseline_{kind}"].add(names, baseline_m, truth_m)
        for best_m in islice(truths_m.values(), 1):
            counted = (best_m > DEFAULT_RANGE.min_depth_m) & (best_m < DEFAULT_RANGE.max_depth_m)
            ratio = depth_m[counted] / best_m[counted]
            self._hits.append(np.maximum(ratio, 1.0 / ratio) < 1.25)
            self._confidences.append(confidence[counted])

    def result(self, keys: Sequence[str]) -> Validation:
        """Return the means over all that was added."""
        scores = {kind: board.scores() for kind, board in self.boards.items()}
        best = scores["dense"] if scores["dense"].mean.n_pixels else scores["lidar"]
        of_sets = {
            key: mean_errors([e for name, e in best.cameras.items() if name.startswith(f"{key} ")]).abs_rel
            for key in keys
        }
        gap = math.nan
        if sum(map(len, self._hits)):
            confidence = np.concatenate(self._confidences).mean(dtype=np.float64)
            gap = abs(float(np.concatenate(self._hits).mean() - confidence))
        return Validation(
            **{kind: score.mean for kind, score in scores.items()}, abs_rel_of_sets=of_sets, mean_confidence_gap=gap
        )


@torch.no_grad()
def validate(student: Student, sets: Sequence[ValidationSet]) -> tuple[Validation, Example]:
    """Return the errors of `student` (in eval mode) over the samples of all sets, and the first of them as an example.

    Raises:
        ValueError: no sample has any truth.
    """
    boards = {f"{prefix}{kind}": ScoreBoard() for prefix in ("", "baseline_") for kind in _KINDS}
    hits, confidences, example = [], [], None
    for one, index in ((one, index) for one in sets for index in one.indices):
        sample, truths_m = one.store[index], one.store.truths_m(index)
        answer = _predict(student, sample)
        names = [f"{one.name}/{i}" for i in range(len(answer.depth_m))]
        for kind, truth_m in truths_m.items():
            boards[kind].add(names, answer.depth_m, truth_m)
            boards[f"baseline_{kind}"].add(names, one.baseline_m, truth_m)
        if not truths_m:
            continue
        best_m = next(iter(truths_m.values()))
        example = example or Example(sample, answer.depth_m, answer.confidence, best_m, *answer.bins)
        counted = (best_m > DEFAULT_RANGE.min_depth_m) & (best_m < DEFAULT_RANGE.max_depth_m)
        ratio = answer.depth_m[counted] / best_m[counted]
        hits.append(np.maximum(ratio, 1.0 / ratio) < 1.25)
        confidences.append(answer.confidence[counted])
    if example is None:
        raise ValueError("validate: no sample with truth to validate on")
    gap = abs(float(np.concatenate(hits).mean() - np.concatenate(confidences).mean(dtype=np.float64)))
    return Validation(**{kind: board.scores().mean for kind, board in boards.items()}, mean_confidence_gap=gap), example


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
    share = output.logits[0].float().softmax(dim=1).mean(dim=(2, 3))
    has_bins = student.config.head == "bins"
    return _Answer(
        depth_m=answered_depth_m(depth_m, sky, farthest_m),
        confidence=output.confidence[0].float().cpu().numpy(),
        bins=(output.centers_m[0].float().cpu().numpy(), share.cpu().numpy()) if has_bins else (None, None),
    )
