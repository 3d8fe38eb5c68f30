"""All that a term of the objective may look at, and what several of them share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from surround_depth.errors import ConfigError
from surround_depth.losses import bin_distillation
from surround_depth.losses.adapters import Adapters
from surround_depth.losses.config import LossConfig
from surround_depth.losses.masked import at_least_float32
from surround_depth.losses.photometric import ViewContext


class Prediction(Protocol):
    """What a student's output must offer (shapes as in `models.student.StudentOutput`)."""

    @property
    def depth_m(self) -> Tensor: ...
    @property
    def confidence_logit(self) -> Tensor: ...
    @property
    def head_depth_m(self) -> Tensor: ...
    @property
    def logits(self) -> Tensor | None: ...
    @property
    def edges_m(self) -> Tensor: ...
    @property
    def centers_m(self) -> Tensor: ...
    @property
    def features(self) -> Tensor: ...


class Bins(Protocol):
    """What the losses must know about the student's bins (`models.config.BinConfig`)."""

    @property
    def min_depth_m(self) -> float: ...
    @property
    def max_depth_m(self) -> float: ...
    @property
    def mean(self) -> bin_distillation.BinMean: ...


@dataclass(frozen=True)
class Patches:
    """What the teacher said of pieces of each picture, seen alone; P pieces, the same of every picture."""

    inverse_depth: Tensor  # r [B, N, P, h, w], each in its own affine frame
    valid: Tensor  # bool [B, N, P, h, w]
    windows: Tensor  # int64 [P, 4]: top, left, height, width in network pixels

    def to(self, device: torch.device) -> Patches:
        """Return the patches on `device`."""
        return Patches(self.inverse_depth.to(device), self.valid.to(device), self.windows)


@dataclass(frozen=True)
class Targets:
    """What the student is compared with, all [B, N, H, W] unless they say otherwise."""

    lidar_m: Tensor
    """z-depth, NaN where no point fell."""
    lidar_mask: Tensor
    """m_gt: LiDAR pixel inside the depth range, not own body, camera alive."""
    sky: Tensor
    """The teacher calls it sky; camera alive, not own body."""
    teacher_m: Tensor
    """d_A, the teacher aligned to metres (D3): positive everywhere, meaningful inside `teacher_mask`."""
    teacher_mask: Tensor
    """m_kd: camera alive, not own body, not sky, teacher finite, alignment usable."""
    relative: Tensor
    """r, 0 (farthest) to 1 (nearest) per image."""
    relative_mask: Tensor
    """As `teacher_mask`, whether the alignment is usable or not."""
    seen: Tensor
    """Camera alive, not own body."""
    camera_valid: Tensor
    """bool [B, N]."""
    neighbours: Tensor
    """Cameras whose view overlaps, int64 [B, N, 2]; -1 = none."""
    features: Tensor | None = None
    """Of the teacher [B, N, C, h, w]; None where no loss asks for them."""
    patches: Patches | None = None
    trust: Tensor | None = None
    """How well the teacher's depths of two views agree, 0 to 1 (D13)."""
    context: ViewContext | None = None
    """What the photometric term compares with; None where that is off."""


@dataclass(frozen=True)
class Case:
    """One batch to judge."""

    prediction: Prediction
    targets: Targets
    config: LossConfig
    bins: Bins
    adapters: Adapters | None

    @property
    def features(self) -> Tensor:
        """The student's features [B, N, C, h, w] in float32, which the adapters compute in, whatever theirs is."""
        return at_least_float32(self.prediction.features)

    @property
    def logits(self) -> Tensor:
        """Bin logits of the student [B, N, M, h, w].

        Raises:
            ConfigError: it has no bins.
        """
        if self.prediction.logits is None:
            raise ConfigError("loss: a term that compares bins, and this student has none; set its weight to 0")
        return self.prediction.logits

    @property
    def size_of_head(self) -> tuple[int, int]:
        """Rows and columns of the bins' grid."""
        h, w = self.prediction.head_depth_m.shape[-2:]
        return h, w

    def of_cells(self, full: Tensor) -> Tensor:
        """Return a map [B, N, H, W] on the bins' grid."""
        return at_cell_centers(full, full.shape[-1] // self.size_of_head[1])

    @property
    def trust(self) -> Tensor | None:
        """How far the teacher is to be trusted [B, N, H, W]; None where the config does not ask.

        Raises:
            ConfigError: it asks, and the teacher does not say.
        """
        if not self.config.privileged.trust:
            return None
        if self.targets.trust is None:
            raise ConfigError("loss.privileged.trust: this teacher looks at one view and cannot say; set it to false")
        return self.targets.trust

    @property
    def range_m(self) -> tuple[float, float]:
        """Nearest and farthest depth of the student."""
        return self.bins.min_depth_m, self.bins.max_depth_m

    @cached_property
    def teacher_bins(self) -> tuple[Tensor, Tensor]:
        """The teacher's probabilities [B, N, M, h, w], and where they mean something [B, N, h, w]. No gradient."""
        targets, prediction, config = self.targets, self.prediction, self.config
        if config.bins_from == "head":
            p = torch.softmax(self.teacher_logits.detach(), dim=2)
            return bin_distillation.resize_probabilities(p, self.size_of_head), self.of_cells(targets.relative_mask)
        if config.bins_from == "relative":
            r, mask = self.of_cells(targets.relative), self.of_cells(targets.relative_mask)
            return bin_distillation.assign_scale_free(r, mask, prediction.centers_m.shape[-1], config.sigma)
        teacher_m, mask = self.of_cells(targets.teacher_m), self.of_cells(targets.teacher_mask)
        p = bin_distillation.assign_to_bins(
            teacher_m, prediction.edges_m, prediction.centers_m, config.assign, config.sigma
        )
        return p, mask

    @cached_property
    def teacher_logits(self) -> Tensor:
        """What the bin head makes of the teacher's features, on their grid; the gradient reaches that head alone."""
        assert self.adapters is not None
        assert self.adapters.teacher_head is not None  # `bins_from: head`
        logits: Tensor = self.adapters.teacher_head(self.teacher_features.float())
        return logits

    @cached_property
    def teacher_centers_m(self) -> Tensor:
        """c_T [B, N, M]: the student's own where its bins take the teacher's depth; those of the bin head lie even, in
        logarithm, over the range of the student's, whatever the picture."""
        if self.config.bins_from == "depth":
            return self.prediction.centers_m
        ends = torch.log(self.prediction.edges_m.detach()[..., (0, -1)])
        M = self.prediction.centers_m.shape[-1]
        middles = (torch.arange(M, device=ends.device) + 0.5) / M
        return torch.exp(ends[..., :1] + middles * (ends[..., 1:] - ends[..., :1]))

    @property
    def teacher_features(self) -> Tensor:
        """Features of the teacher [B, N, C, h', w'].

        Raises:
            ConfigError: samples were prepared without.
        """
        if self.targets.features is None:
            raise ConfigError("loss: a term on the teacher's features, but the samples were prepared without them")
        return self.targets.features

    @cached_property
    def resized_features(self) -> Tensor:
        """Features of the teacher on the grid of the student's [B, N, C, h, w], float32."""
        features = self.teacher_features.float()
        size = self.prediction.features.shape[-2:]
        resized = F.interpolate(features.flatten(0, 1), size, mode="bilinear")
        return resized.unflatten(0, features.shape[:2])

    def of_features(self, full: Tensor) -> Tensor:
        """Return a map [B, N, H, W] on the grid of the student's features."""
        return at_cell_centers(full, full.shape[-1] // self.prediction.features.shape[-1])

    def adapted(self, name: str) -> Tensor:
        """Return the student's features through the 1x1 convolution `name` of the adapters [B, N, C', h, w]."""
        bridge = getattr(self.adapters, name)
        adapted: Tensor = bridge(self.features.flatten(0, 1))
        return adapted.unflatten(0, self.features.shape[:2])


def at_cell_centers(full: Tensor, stride: int) -> Tensor:
    """Return one pixel per cell [B, N, H/stride, W/stride]; a mean would invent depths on edges.

    With an even stride the cell's centre lies between four pixels; this is the one below and right of it, half a pixel
    off in both directions.
    """
    return full[..., stride // 2 :: stride, stride // 2 :: stride]
