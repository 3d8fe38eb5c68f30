"""How good the student is on held-out drives, against exact depth and against LiDAR, beside the trivial baseline."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from surround_depth.metrics.depth import DepthErrors, depth_errors, mean_errors
from surround_depth.models.student import Student
from surround_depth.training.dataset import collate
from surround_depth.training.samples import PreparedSample, SampleStore

_BASELINES = ("baseline_dense", "baseline_lidar")


@dataclass(frozen=True)
class Validation:
    """Mean errors over images (one camera at one moment each)."""

    dense: DepthErrors
    lidar: DepthErrors
    baseline_dense: DepthErrors
    baseline_lidar: DepthErrors
    confidence_gap: float
    """|mean confidence - share of LiDAR pixels within 25 %|: 0 when confidence means what it says on average."""

    @property
    def headline(self) -> float:
        """AbsRel against exact depth where there is any, else against LiDAR."""
        return self.dense.abs_rel if self.dense.n_pixels else self.lidar.abs_rel

    def as_dict(self) -> dict[str, dict[str, float | None] | float]:
        """Return plain values for JSON, which has no NaN: what was not measured is None."""
        kinds: dict[str, DepthErrors] = {n: getattr(self, n) for n in ("dense", "lidar", *_BASELINES)}
        errors = {
            kind: {name: value if math.isfinite(value) else None for name, value in e.as_dict().items()}
            for kind, e in kinds.items()
        }
        return {**errors, "confidence_gap": self.confidence_gap}


@dataclass(frozen=True)
class Example:
    """One validated sample, for the picture."""

    sample: PreparedSample
    depth_m: NDArray[np.float32]  # [N, H, W]
    confidence: NDArray[np.float32]  # [N, H, W]


@torch.no_grad()
def validate(
    student: Student, store: SampleStore, indices: list[int], baseline_m: NDArray[np.float32] | None
) -> tuple[Validation, Example]:
    """Return the errors of `student` (in eval mode) over the samples `indices`, and the first of them as an example.

    Args:
        baseline_m: depth [N, H, W] that ignores the picture (per-pixel training mean); None: its errors are NaN.
    """
    bins = student.config.bins
    scores: dict[str, list[DepthErrors]] = {"dense": [], "lidar": [], "baseline_dense": [], "baseline_lidar": []}
    hits, confidences, example = [], [], None
    device = next(student.parameters()).device
    for index in indices:
        sample = store[index]
        batch = collate([sample]).to(device)
        output = student(batch.images, batch.rays, batch.T_ego_cam, batch.camera_valid)
        depth_m, confidence = output.depth_m[0].cpu().numpy(), output.confidence[0].cpu().numpy()
        example = example or Example(sample, depth_m, confidence)
        lidar_m = sample.lidar_m
        truths = {"lidar": lidar_m} if sample.truth_m is None else {"lidar": lidar_m, "dense": sample.truth_m}
        for kind, truth_m in truths.items():
            counted = counted_pixels(sample, truth_m, bins.min_depth_m, bins.max_depth_m)
            scores[kind] += _per_image(depth_m, truth_m, counted)
            if baseline_m is not None:
                scores[f"baseline_{kind}"] += _per_image(baseline_m, truth_m, counted)
        counted = counted_pixels(sample, lidar_m, bins.min_depth_m, bins.max_depth_m)
        ratio = depth_m[counted] / lidar_m[counted]
        hits.append((np.maximum(ratio, 1.0 / ratio) < 1.25).astype(np.float64))
        confidences.append(confidence[counted].astype(np.float64))
    if example is None:
        raise ValueError("validate: no sample to validate on")
    gap = abs(float(np.concatenate(hits).mean() - np.concatenate(confidences).mean()))
    return Validation(**{kind: mean_errors(errors) for kind, errors in scores.items()}, confidence_gap=gap), example


def counted_pixels(
    sample: PreparedSample, truth_m: NDArray[np.float32], min_depth_m: float, max_depth_m: float
) -> NDArray[np.bool_]:
    """Return which pixels [N, H, W] are scored: truth inside the range, not the own vehicle, camera alive."""
    return (truth_m > min_depth_m) & (truth_m < max_depth_m) & ~sample.own_body & sample.camera_valid[:, None, None]


def _per_image(
    depth_m: NDArray[np.float32], truth_m: NDArray[np.float32], counted: NDArray[np.bool_]
) -> list[DepthErrors]:
    return [depth_errors(d, g, m) for d, g, m in zip(depth_m, truth_m, counted, strict=True)]
