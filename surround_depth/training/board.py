"""What a run shows: TensorBoard scalars and pictures. Owns tensorboard here."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from surround_depth.losses.build import LossReport
from surround_depth.training.validation import Example, Validation
from surround_depth.viz.colors import DepthScale

_PICTURE_CAMERAS = 6


class Board:
    """Writes event files under a directory."""

    def __init__(self, directory: Path) -> None:
        self._writer = SummaryWriter(str(directory))

    def losses(self, report: LossReport, step: int, *, lr: float, gradient_norm: float) -> None:
        """Write the total, every raw term and its count."""
        self._writer.add_scalar("loss/total", float(report.total.detach()), step)
        for name, term in report.terms.items():
            self._writer.add_scalar(f"loss/{name}", float(term.value.detach()), step)
            self._writer.add_scalar(f"count/{name}", float(term.count), step)
        self._writer.add_scalar("optim/lr", lr, step)
        self._writer.add_scalar("optim/gradient_norm", gradient_norm, step)

    def validation(self, validation: Validation, step: int) -> None:
        """Write every metric of a validation."""
        for kind in ("dense", "lidar", "baseline_dense", "baseline_lidar"):
            for name, value in getattr(validation, kind).as_dict().items():
                if np.isfinite(value):
                    self._writer.add_scalar(f"val_{kind}/{name}", value, step)
        self._writer.add_scalar("val/mean_confidence_gap", validation.mean_confidence_gap, step)

    def picture(self, picture: NDArray[np.uint8], step: int) -> None:
        """Write one RGB picture [H, W, 3]."""
        self._writer.add_image("val/example", picture, step, dataformats="HWC")

    def __enter__(self) -> Board:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()


def example_picture(example: Example, scale: DepthScale | None = None) -> NDArray[np.uint8]:
    """Return rows of image, predicted depth, truth (or LiDAR) and confidence; one column per camera [H, W, 3]."""
    scale = scale or DepthScale()
    truth_m = example.truth_m
    columns = []
    for i in range(min(len(example.depth_m), _PICTURE_CAMERAS)):
        truth = scale.colors(truth_m[i])
        truth[~np.isfinite(truth_m[i])] = 0
        confidence = np.repeat((example.confidence[i] * 255).astype(np.uint8)[..., None], 3, axis=-1)
        columns.append(np.concatenate((example.sample.images[i], scale.colors(example.depth_m[i]), truth, confidence)))
    return np.concatenate(columns, axis=1)
