"""How good the student is on held-out drives, beside the trivial baseline, by the rule of evaluation and playback."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from surround_depth.data.network_truth import TruthKind
from surround_depth.inference.backend import REACH_FRACTION_OF_MAX_DEPTH
from surround_depth.metrics.depth import DepthErrors
from surround_depth.metrics.scoreboard import DEFAULT_RANGE, ScoreBoard, answered_depth_m
from surround_depth.models.student import Student
from surround_depth.training.dataset import collate
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
    mean_confidence_gap: float
    """|mean confidence - share of pixels within 25 %| over the true pixels (dense where there is any, else LiDAR).

    A mean against a mean: it sees that the student is too sure (or too shy) on the whole, and nothing of whether the
    right pixels are the confident ones.
    """

    @property
    def headline(self) -> float:
        """AbsRel against exact depth where there is any, else against LiDAR."""
        return self.dense.abs_rel if self.dense.n_pixels else self.lidar.abs_rel

    def as_dict(self) -> dict[str, dict[str, float | None] | float]:
        """Return plain values for JSON, which has no NaN: what was not measured is None."""
        kinds: dict[str, DepthErrors] = {n: getattr(self, n) for n in (*_KINDS, *(f"baseline_{k}" for k in _KINDS))}
        errors = {
            kind: {name: value if math.isfinite(value) else None for name, value in e.as_dict().items()}
            for kind, e in kinds.items()
        }
        return {**errors, "mean_confidence_gap": self.mean_confidence_gap}


@dataclass(frozen=True)
class Example:
    """One validated sample, for the picture."""

    sample: PreparedSample
    depth_m: NDArray[np.float32]  # [N, H, W]
    confidence: NDArray[np.float32]  # [N, H, W]
    truth_m: NDArray[np.float32]  # [N, H, W], NaN = unknown


@torch.no_grad()
def validate(
    student: Student, store: SampleStore, indices: list[int], baseline_m: NDArray[np.float32]
) -> tuple[Validation, Example]:
    """Return the errors of `student` (in eval mode) over the samples `indices`, and the first of them as an example.

    Args:
        baseline_m: depth [N, H, W] that ignores the picture (per-pixel training mean).

    Raises:
        ValueError: no sample has any truth.
    """
    boards = {f"{prefix}{kind}": ScoreBoard() for prefix in ("", "baseline_") for kind in _KINDS}
    hits, confidences, example = [], [], None
    for index in indices:
        sample, truths_m = store[index], store.truths_m(index)
        depth_m, confidence = _predict(student, sample)
        names = [str(i) for i in range(len(depth_m))]
        for kind, truth_m in truths_m.items():
            boards[kind].add(names, depth_m, truth_m)
            boards[f"baseline_{kind}"].add(names, baseline_m, truth_m)
        if not truths_m:
            continue
        best_m = next(iter(truths_m.values()))
        example = example or Example(sample, depth_m, confidence, best_m)
        counted = (best_m > DEFAULT_RANGE.min_depth_m) & (best_m < DEFAULT_RANGE.max_depth_m)
        ratio = depth_m[counted] / best_m[counted]
        hits.append(np.maximum(ratio, 1.0 / ratio) < 1.25)
        confidences.append(confidence[counted])
    if example is None:
        raise ValueError("validate: no sample with truth to validate on")
    gap = abs(float(np.concatenate(hits).mean() - np.concatenate(confidences).mean(dtype=np.float64)))
    return Validation(**{kind: board.scores().mean for kind, board in boards.items()}, mean_confidence_gap=gap), example


def _predict(student: Student, sample: PreparedSample) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (depth that is scored, confidence), both [N, H, W]; sky is answered as the pipeline would."""
    batch = collate([sample]).to(next(student.parameters()).device)
    output = student(batch.images, batch.rays, batch.T_ego_cam, batch.camera_valid)
    depth_m = output.depth_m[0].float().cpu().numpy()
    farthest_m = student.config.bins.max_depth_m
    sky = depth_m >= REACH_FRACTION_OF_MAX_DEPTH * farthest_m
    return answered_depth_m(depth_m, sky, farthest_m), output.confidence[0].float().cpu().numpy()
