"""How far the depth is from what was measured: LiDAR for real drives, exact depth for rendered ones."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.lidar_depth import lidar_depth_maps
from surround_depth.data.sample import DenseTruth, Sample
from surround_depth.frame import SurroundDepth
from surround_depth.imaging import ImagePlans
from surround_depth.metrics.depth import DepthErrors, depth_errors, mean_errors

# Truth beyond this range is not counted; both ends are excluded, as in the published protocols.
SCORED_RANGE_M = (0.5, 80.0)


class DepthScore:
    """Errors per camera against one kind of truth, gathered frame by frame.

    Every image counts once in its camera's mean and every camera once in the overall mean. A pixel counts where both
    truth and prediction have a depth; `coverage` tells how much of the truth that is, so that a prediction cannot
    look better by staying silent.
    """

    def __init__(self) -> None:
        self._errors: dict[str, list[DepthErrors]] = defaultdict(list)
        self._n_truth = 0
        self._n_answered = 0

    def add(self, depth: SurroundDepth, truth_m: NDArray[np.float32]) -> None:
        """Count one frame. `truth_m` [N, H, W] lies on the pixels of `depth`, NaN = none."""
        low_m, high_m = SCORED_RANGE_M
        with np.errstate(invalid="ignore"):
            scored = (truth_m > low_m) & (truth_m < high_m) & depth.camera_valid[:, None, None]
        for i, camera in enumerate(depth.rig.cameras):
            if camera.own_body is not None:
                scored[i] &= ~camera.own_body
            self._errors[camera.name].append(depth_errors(depth.depth_m[i], truth_m[i], scored[i]))
        self._n_truth += int(scored.sum())
        self._n_answered += int((scored & depth.valid).sum())

    def as_dict(self) -> dict[str, object] | None:
        """Return the errors for a report, None when there was no truth at all."""
        if self._n_truth == 0:
            return None
        per_camera = {name: mean_errors(errors) for name, errors in self._errors.items()}
        return {
            "range_m": list(SCORED_RANGE_M),
            "n_pixels": self._n_answered,
            "coverage": self._n_answered / self._n_truth,
            "mean": mean_errors(list(per_camera.values())).as_dict(),
            "per_camera": {name: errors.as_dict() for name, errors in per_camera.items()},
        }


def lidar_truth(sample: Sample, depth: SurroundDepth) -> NDArray[np.float32] | None:
    """Return the sweep as sparse depth [N, H, W] on the depth's pixels, None without a sweep."""
    return None if sample.lidar is None else lidar_depth_maps(sample, depth.rig)


def dense_truth(truth: DenseTruth, plans: ImagePlans) -> NDArray[np.float32]:
    """Return exact depth [N, H, W] on the network's pixels: the recorded pixel nearest to each, never an average."""
    return np.stack(
        [plan.sample_depth(depth_m) for plan, depth_m in zip(plans.plans, truth.depth_m, strict=True)]
    ).astype(np.float32)
