"""Hybrid depth bins (distillation.md, D1 [O]; widths as a softmax is AdaBins' other rule, the bound on it ours).

All of it runs in float32, whatever the precision of the features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from surround_depth.models.config import BinConfig, BinMean

_LEAST_PROBABILITY = 1e-8  # its logarithm is finite, and far below any that matters
_GROUND_WIDTH = 2.0
"""Standard deviation of the ground's bump, in bins: that of the targets (`losses.config.LossConfig.sigma`). A street is
no plane; a bump of one bin punishes the ground wherever it is a tenth off, and the gate learns to stay shut."""
_MAX_LOG_WIDTH = 1.0  # an adaptive bin is at most e^2 times as wide as another
CANONICAL_REACH = 4.0
"""How far a camera's focal length may lie from the canonical one, in network pixels, either way."""


@dataclass(frozen=True)
class BinGrid:
    """Where the bins lie, near to far, in metres; bin k means the same in teacher and student."""

    edges_m: Tensor  # [B, N, M + 1]
    centers_m: Tensor  # [B, N, M]


def bin_grid(widths: Tensor, config: BinConfig) -> BinGrid:
    """Return the grid whose relative bin widths are `widths` [B, N, M], which sum to 1.

    Log space: `E_k = E_{k-1} + w_k (ln dmax - ln dmin)`, centers at the geometric mean. Linear: as AdaBins.
    """
    shares = torch.cumsum(widths, dim=-1)
    shares = torch.cat((torch.zeros_like(shares[..., :1]), shares), dim=-1)
    if config.space == "linear":
        edges_m = config.min_depth_m + shares * (config.max_depth_m - config.min_depth_m)
        return BinGrid(edges_m, 0.5 * (edges_m[..., :-1] + edges_m[..., 1:]))
    log_min = math.log(config.min_depth_m)
    log_edges = log_min + shares * (math.log(config.max_depth_m) - log_min)
    return BinGrid(torch.exp(log_edges), torch.exp(0.5 * (log_edges[..., :-1] + log_edges[..., 1:])))


def decode_depth(logits: Tensor, grid: BinGrid, residual: Tensor | None, mean: BinMean) -> Tensor:
    """Return z-depth in metres [B, N, h, w]: the mean center, moved by at most half a bin.

    `d = d_bin exp(rho sum_k p_k ln(E_k / E_{k-1}))` with `rho = 0.5 tanh(q)` and `d_bin = exp(sum_k p_k ln c_k)`
    (`geometric`) or `sum_k p_k c_k` (`arithmetic`, as AdaBins). In metres the far bins outweigh the near ones: a tail
    of two percent at 80 m moves a wall at 3 m by half its distance, in logarithm by seven percent.

    Args:
        logits: [B, N, h, w, M] float32; bins last, where engines are fast at softmax.
        residual: q, [B, N, h, w] float32; None leaves the bins alone.
    """
    B, N, h, w, M = logits.shape
    log_widths = torch.log(grid.edges_m[..., 1:] / grid.edges_m[..., :-1])
    probabilities = torch.softmax(logits.reshape(B, N, h * w, M), dim=-1)
    centers = torch.log(grid.centers_m) if mean == "geometric" else grid.centers_m
    sums = torch.matmul(probabilities, torch.stack((centers, log_widths), dim=-1))  # [B, N, h*w, 2]
    center, width = sums[..., 0].reshape(B, N, h, w), sums[..., 1].reshape(B, N, h, w)
    depth_m = torch.exp(center) if mean == "geometric" else center
    return depth_m if residual is None else depth_m * torch.exp(0.5 * torch.tanh(residual) * width)


def toward_ground(depth_m: Tensor, gate: Tensor, ground_per_m: Tensor) -> Tensor:
    """Return depth that gives way, in logarithm, to the flat ground's where the gate opens; all [B, N, h, w].

    On the road depth follows from camera height and ray alone: the network need not have seen that road, that rig or
    that focal length. The gate starts half open, so that the ground is there from the first step, and has to be
    unlearned where there is none; as one more logit among the bins' it was found late, and carried less far.

    Args:
        gate: its sigmoid is the share of the ground.
        ground_per_m: inverse depth of the flat ground, positive.

    Source: ours [O]. Hand-worked in tests/models/test_depth_bins.py; measured in docs/results.
    """
    log_depth = torch.log(depth_m)
    return torch.exp(log_depth + torch.sigmoid(gate) * (-torch.log(ground_per_m) - log_depth))


def mixed_with_ground(logits: Tensor, gate: Tensor, ground_per_m: Tensor, grid: BinGrid) -> Tensor:
    """Return log probabilities [B, N, M, h, w] of bins and ground together, for the losses that compare distributions.

    The ground is a bump around its depth; its share is that of `toward_ground`.

    Args:
        logits: of the bins alone [B, N, M, h, w].
        gate, ground_per_m: as in `toward_ground`.
    """
    M = grid.centers_m.shape[-1]
    bin_width = torch.log(grid.edges_m[..., -1:] / grid.edges_m[..., :1])[..., None, None] / M
    off = torch.log(grid.centers_m)[..., None, None] + torch.log(ground_per_m)[:, :, None]
    deviation = off / (_GROUND_WIDTH * bin_width)
    ground = torch.softmax(-0.5 * deviation.square(), dim=2)
    share = torch.sigmoid(gate)[:, :, None]
    return torch.log(torch.softmax(logits, dim=2) * (1.0 - share) + ground * share + _LEAST_PROBABILITY)


def regress_depth(value: Tensor, config: BinConfig, log_scale: Tensor | None) -> Tensor:
    """Return z-depth in metres [B, N, h, w] of a plain regression: the ablation of the bins.

    The logarithm runs over the same range, `ln dmin + sigmoid(value) (ln dmax - ln dmin)`.

    Args:
        value: [B, N, h, w] float32.
        log_scale: `canonical_log_scale` [B, N]: what is regressed is the canonical camera's depth, as in `BinCenters`.
    """
    reach = 1.0 if log_scale is None else CANONICAL_REACH
    log_min, log_max = math.log(config.min_depth_m / reach), math.log(config.max_depth_m * reach)
    log_depth = log_min + torch.sigmoid(value) * (log_max - log_min)
    if log_scale is not None:
        log_depth = log_depth + _bounded(log_scale)[..., None, None]
    return torch.exp(log_depth)


class BinCenters(nn.Module):
    """Predict the bin grid of a frame from the tokens of its cameras.

    Adaptive widths stay within a factor of the even ones, and start there: a grid that may move freely carries the
    scale of the whole frame away before the classification has learned anything.
    """

    def __init__(self, channels: int, config: BinConfig) -> None:
        super().__init__()
        self.config, self.canonical = config, canonical_range(config)
        if config.centers == "fixed":
            self.widths = None
            return
        final = nn.Linear(channels, config.n_bins)
        nn.init.zeros_(final.weight)
        nn.init.zeros_(final.bias)
        self.widths = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, channels), nn.ReLU(inplace=True), final)

    def forward(self, frame_token: Tensor, camera_tokens: Tensor, log_scale: Tensor | None = None) -> BinGrid:
        """Return the grid, float32.

        Args:
            frame_token: [B, C], the living cameras' mean (used by `centers: sample`).
            camera_tokens: [B, N, C] (used by `centers: image`).
            log_scale: `canonical_log_scale` [B, N]: the grid is that of the canonical camera, wider at both ends, moved
                by it.
        """
        B, N, _ = camera_tokens.shape
        M = self.config.n_bins
        with torch.autocast(camera_tokens.device.type, enabled=False):
            if self.widths is None:
                widths = torch.full((B, N, M), 1.0 / M, device=camera_tokens.device)
            else:
                tokens = camera_tokens if self.config.centers == "image" else frame_token[:, None].expand(B, N, -1)
                widths = torch.softmax(_MAX_LOG_WIDTH * torch.tanh(self.widths(tokens.float())), dim=-1)
            if log_scale is None:
                return bin_grid(widths, self.config)
            return _moved(bin_grid(widths, self.canonical), log_scale)


def canonical_range(config: BinConfig) -> BinConfig:
    """Return the bins of the canonical camera: every camera's range lies within theirs, once moved by its scale."""
    near_m, far_m = config.min_depth_m / CANONICAL_REACH, config.max_depth_m * CANONICAL_REACH
    return config.model_copy(update={"min_depth_m": near_m, "max_depth_m": far_m})


def _moved(grid: BinGrid, log_scale: Tensor) -> BinGrid:
    scale = torch.exp(_bounded(log_scale))[..., None]
    return BinGrid(grid.edges_m * scale, grid.centers_m * scale)


def _bounded(log_scale: Tensor) -> Tensor:
    limit = math.log(CANONICAL_REACH)
    return log_scale.float().clamp(-limit, limit)
