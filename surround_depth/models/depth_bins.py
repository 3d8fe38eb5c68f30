"""Hybrid depth bins (distillation.md, D1 [O]; the widths rule is AdaBins@0952d91e [C]).

All of it runs in float32, whatever the precision of the features.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from surround_depth.models.config import BinConfig


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


def decode_depth(logits: Tensor, grid: BinGrid, residual: Tensor | None) -> Tensor:
    """Return z-depth in metres [B, N, h, w]: `sum_k p_k c_k`, moved by at most half a bin.

    `d = d_bin exp(rho sum_k p_k ln(E_k / E_{k-1}))` with `rho = 0.5 tanh(q)`.

    Args:
        logits: [B, N, M, h, w] float32.
        residual: q, [B, N, h, w] float32; None leaves the bins alone.
    """
    B, N, M, h, w = logits.shape
    log_widths = torch.log(grid.edges_m[..., 1:] / grid.edges_m[..., :-1])
    # probabilities with bins last: softmax over the innermost axis, then one small product for both sums
    probabilities = torch.softmax(logits.reshape(B, N, M, h * w).transpose(2, 3), dim=-1)
    sums = torch.matmul(probabilities, torch.stack((grid.centers_m, log_widths), dim=-1))  # [B, N, h*w, 2]
    depth_m, width = sums[..., 0].reshape(B, N, h, w), sums[..., 1].reshape(B, N, h, w)
    return depth_m if residual is None else depth_m * torch.exp(0.5 * torch.tanh(residual) * width)


def ground_logits(gate: Tensor, ground_per_m: Tensor, grid: BinGrid) -> Tensor:
    """Return what the calibration says for each bin [B, N, M, h, w]: `gate` times a bump of one bin around the ground.

    Where the gate is high the pixel is on the road, and its depth follows from camera height and ray alone; the network
    need not have seen that road, that rig or that focal length. A negative gate says "not the ground".

    Args:
        gate: [B, N, h, w].
        ground_per_m: inverse depth of the flat ground [B, N, h, w], positive.

    Source: ours [O]. Hand-worked in tests/models/test_depth_bins.py.
    """
    M = grid.centers_m.shape[-1]
    bin_width = torch.log(grid.edges_m[..., -1:] / grid.edges_m[..., :1])[..., None, None] / M
    deviation = (torch.log(grid.centers_m)[..., None, None] + torch.log(ground_per_m)[:, :, None]) / bin_width
    return gate[:, :, None] * torch.exp(-0.5 * deviation.square())


class BinCenters(nn.Module):
    """Predict the bin grid of a frame from the tokens of its cameras."""

    def __init__(self, channels: int, config: BinConfig) -> None:
        super().__init__()
        self.config = config
        if config.centers == "fixed":
            self.widths = None
            return
        final = nn.Linear(channels, config.n_bins)
        nn.init.normal_(final.weight, std=0.01)
        nn.init.ones_(final.bias)  # starts log-uniform, and every width alive under the ReLU
        self.widths = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(inplace=True), final)

    def forward(self, frame_token: Tensor, camera_tokens: Tensor) -> BinGrid:
        """Return the grid, float32.

        Args:
            frame_token: [B, C], the living cameras' mean (used by `centers: sample`).
            camera_tokens: [B, N, C] (used by `centers: image`).
        """
        B, N, _ = camera_tokens.shape
        M = self.config.n_bins
        with torch.autocast(camera_tokens.device.type, enabled=False):
            if self.widths is None:
                widths = torch.full((B, N, M), 1.0 / M, device=camera_tokens.device)
            else:
                tokens = camera_tokens if self.config.centers == "image" else frame_token[:, None].expand(B, N, -1)
                raw = torch.relu(self.widths(tokens.float())) + 0.1
                widths = raw / raw.sum(dim=-1, keepdim=True)
            return bin_grid(widths, self.config)
