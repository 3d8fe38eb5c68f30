"""A small cost-volume network: the disparity of the left picture of a rectified pair, and of the right one by flipping.

Our design [O], of known parts: shared features and a correlation volume in groups (GwcNet, arXiv 1903.04025), light 3-D
aggregation with a soft argmax (GC-Net, arXiv 1703.04309), a residual from local correlation at stride 2, and convex
upsampling (RAFT, arXiv 2003.12039). It is the teacher that distillation.md calls privileged (D11 to D13).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor, nn

from surround_depth.config import StrictModel

_STRIDE = 4  # of the cost volume
_MULTIPLE = 8  # of the sides that the layers see; other pictures are padded to it
_HALF_CHANNELS = 16
_REFINE_CHANNELS = 32
_MATCH_GROUPS = 4  # of channels at stride 2
_SHARPNESS = 12.0  # of a softmax over cosines, at the start
_NEARBY = (-2, -1, 0, 1, 2)  # columns at stride 2 around the coarse disparity, so 4 px to either side
FEATURE_STRIDE = 8
"""Of `StereoOutput.features`: that of the students' own."""


class StereoNetConfig(StrictModel):
    """What the network is; stored beside its weights."""

    channels: int = Field(default=32, ge=8)
    """Of the features that are compared, at stride 4."""
    groups: int = Field(default=8, ge=1)
    """Of channels, each with a correlation of its own."""
    volume_channels: int = Field(default=16, ge=4)
    max_disparity_px: int = Field(default=64, ge=16)
    """What is nearer cannot be matched: with 280 px of focal length and 0.3 m between the views, 1.3 m."""

    @model_validator(mode="after")
    def _parts_are_whole(self) -> StereoNetConfig:
        if self.channels % self.groups or self.channels % 4 or self.volume_channels % 4:
            raise ValueError(
                f"channels ({self.channels}) must be a multiple of groups ({self.groups}) and of 4, volume_channels "
                f"({self.volume_channels}) of 4"
            )
        if self.max_disparity_px % _STRIDE:
            raise ValueError(f"max_disparity_px is {self.max_disparity_px}; it must be a multiple of {_STRIDE}")
        return self


@dataclass(frozen=True)
class StereoOutput:
    """What the network says of B left pictures."""

    disparity_px: Tensor  # [B, H, W], column in the left picture minus column in the right one; may fall below 0
    coarse_px: Tensor  # [B, H, W], before the residual: trained too
    features: Tensor  # [B, C, ceil(H/8), ceil(W/8)]: of the left picture, and of how the pair agrees


class StereoNet(nn.Module):
    """Disparity of rectified pairs; see the module. Fewer than a million parameters."""

    def __init__(self, config: StereoNetConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _Encoder(config.channels)
        self.aggregation = _Aggregation(config.groups, config.volume_channels)
        self.refinement = _Refinement()

    @property
    def feature_channels(self) -> int:
        """C of `StereoOutput.features`."""
        return self.config.channels + _REFINE_CHANNELS

    def forward(self, left: Tensor, right: Tensor) -> StereoOutput:
        """Return the disparity of the left pictures.

        Args:
            left, right: RGB in 0 to 1, float32 [B, 3, H, W], rectified; of any size, at least 16 px.
        """
        height_px, width_px = left.shape[-2:]
        pair = _padded(torch.cat((left, right)) * 2.0 - 1.0)
        half, quarter = self.encoder(pair)
        (left_half, right_half), (left_quarter, right_quarter) = half.chunk(2), quarter.chunk(2)
        n_levels = self.config.max_disparity_px // _STRIDE + 1
        volume = correlation_volume(left_quarter, right_quarter, n_levels, self.config.groups)
        coarse = _STRIDE * soft_argmax(self.aggregation(volume))
        coarse_half = F.interpolate(coarse[:, None], scale_factor=2, mode="bilinear")
        hidden, disparity = self.refinement(left_half, right_half, coarse_half)
        features = torch.cat((F.avg_pool2d(left_quarter, 2), F.avg_pool2d(hidden, 4)), dim=1)
        coarse_full = F.interpolate(coarse[:, None], scale_factor=_STRIDE, mode="bilinear")[:, 0]
        return StereoOutput(disparity[:, :height_px, :width_px], coarse_full[:, :height_px, :width_px], features)


def both_views(net: StereoNet, left: Tensor, right: Tensor) -> tuple[StereoOutput, Tensor]:
    """Return the output of the left pictures and the disparity [B, H, W] of the right ones, as positive numbers.

    A pair flipped left to right is a pair whose left picture is the right one: no second network is needed.
    """
    output = net(torch.cat((left, right.flip(-1))), torch.cat((right, left.flip(-1))))
    n = len(left)
    of_left = StereoOutput(output.disparity_px[:n], output.coarse_px[:n], output.features[:n])
    return of_left, output.disparity_px[n:].flip(-1)


def correlation_volume(left: Tensor, right: Tensor, n_levels: int, n_groups: int) -> Tensor:
    """Return [B, G, D, h, w]: per group of channels the cosine between `left[x]` and `right[x - d]`, 0 where x < d.

    Args:
        left, right: features [B, C, h, w]; C is a multiple of `n_groups`.
    """
    width = left.shape[-1]
    left_groups, right_groups = (_directions(side, n_groups) for side in (left, right))
    levels = []
    for d in range(n_levels):
        product = (left_groups[..., d:] * right_groups[..., : max(width - d, 0)]).sum(dim=2)
        levels.append(F.pad(product, (min(d, width), 0)))
    return torch.stack(levels, dim=2)


def _directions(features: Tensor, n_groups: int) -> Tensor:
    """Return features [B, C, h, w] in groups of channels [B, G, C/G, h, w], each of length 1."""
    return F.normalize(features.unflatten(1, (n_groups, -1)), dim=2)


def soft_argmax(scores: Tensor) -> Tensor:
    """Return the mean level [B, h, w] under the softmax of scores [B, D, h, w]; level 0 is the first."""
    levels = torch.arange(scores.shape[1], dtype=scores.dtype, device=scores.device)
    return torch.einsum("bdhw,d->bhw", torch.softmax(scores, dim=1), levels)


def sample_columns(features: Tensor, columns: Tensor) -> Tensor:
    """Return features [B, C, h, w] read at `columns` [B, K, h, w] of the same row, as [B, C, K, h, w].

    Between columns they are mixed; beyond the picture they are 0.
    """
    _, _, height, width = features.shape
    n = columns.shape[1]
    x = (2.0 * columns + 1.0) / width - 1.0  # grid_sample counts from the border of a picture, in halves of its side
    rows = (2.0 * torch.arange(height, dtype=x.dtype, device=x.device) + 1.0) / height - 1.0
    y = rows[:, None].expand(len(features), n, height, width)
    grid = torch.stack((x, y), dim=-1).flatten(1, 2)  # [B, K * h, w, 2]
    sampled = F.grid_sample(features, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return sampled.unflatten(2, (n, height))


def _padded(pictures: Tensor) -> Tensor:
    """Repeat the last row and column up to a multiple of the strides."""
    below, right = (-side % _MULTIPLE for side in pictures.shape[-2:])
    return F.pad(pictures, (0, right, 0, below), mode="replicate")


def _conv(n_in: int, n_out: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    # no batch norm: batches are small, and a label must not depend on who shares one
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, stride, padding=dilation, dilation=dilation, bias=False),
        nn.GroupNorm(4, n_out),
        nn.ReLU(inplace=True),
    )


def _conv3d(n_in: int, n_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(n_in, n_out, 3, stride, padding=1, bias=False), nn.GroupNorm(4, n_out), nn.ReLU(inplace=True)
    )


class _Encoder(nn.Module):
    """Features of one picture at stride 2, and at stride 4 with what lies around from stride 8."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stride_2 = nn.Sequential(_conv(3, _HALF_CHANNELS, 2), _conv(_HALF_CHANNELS, _HALF_CHANNELS))
        self.stride_4 = nn.Sequential(_conv(_HALF_CHANNELS, channels, 2), _conv(channels, channels))
        self.stride_8 = nn.Sequential(
            _conv(channels, channels, 2), _conv(channels, channels, dilation=2), _conv(channels, channels, dilation=4)
        )
        # what is compared is centred: a cosine between features that share most of their length tells little
        self.fused = nn.Sequential(nn.Conv2d(2 * channels, channels, 3, padding=1), nn.InstanceNorm2d(channels))
        self.fine = nn.Sequential(nn.Conv2d(_HALF_CHANNELS, _HALF_CHANNELS, 1), nn.InstanceNorm2d(_HALF_CHANNELS))

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        half = self.stride_2(pictures)
        quarter = self.stride_4(half)
        around = F.interpolate(self.stride_8(quarter), size=quarter.shape[-2:], mode="bilinear")
        return self.fine(half), self.fused(torch.cat((quarter, around), dim=1))


class _Aggregation(nn.Module):
    """From a correlation volume [B, G, D, h, w] to scores [B, D, h, w], with one step down and up again.

    It corrects the plain mean of the groups, which matches from the first step on: random features tell pixels apart.
    """

    def __init__(self, groups: int, channels: int) -> None:
        super().__init__()
        self.first = _conv3d(groups, channels)
        self.wide = nn.Sequential(_conv3d(channels, 2 * channels, 2), _conv3d(2 * channels, 2 * channels))
        self.back = nn.Conv3d(2 * channels, channels, 1)
        self.last = nn.Sequential(_conv3d(channels, channels), nn.Conv3d(channels, 1, 3, padding=1))
        self.sharpness = nn.Parameter(torch.tensor(_SHARPNESS))

    def forward(self, volume: Tensor) -> Tensor:
        fine = self.first(volume)
        wide = F.interpolate(self.back(self.wide(fine)), size=fine.shape[2:], mode="trilinear")
        scores: Tensor = self.last(fine + wide)[:, 0] + self.sharpness * volume.mean(dim=1)
        return scores


class _Refinement(nn.Module):
    """A residual from how well the pair matches around the coarse disparity at stride 2, then learned upsampling."""

    def __init__(self) -> None:
        super().__init__()
        n_in = _HALF_CHANNELS + _MATCH_GROUPS * len(_NEARBY) + 1
        self.hidden = nn.Sequential(
            _conv(n_in, _REFINE_CHANNELS),
            _conv(_REFINE_CHANNELS, _REFINE_CHANNELS, dilation=2),
            _conv(_REFINE_CHANNELS, _REFINE_CHANNELS),
        )
        self.residual = nn.Conv2d(_REFINE_CHANNELS, 1, 3, padding=1)
        self.weights = nn.Conv2d(_REFINE_CHANNELS, 9 * 4, 1)
        nn.init.zeros_(self.residual.weight)  # starts from the coarse disparity
        assert self.residual.bias is not None
        nn.init.zeros_(self.residual.bias)

    def forward(self, left: Tensor, right: Tensor, coarse_px: Tensor) -> tuple[Tensor, Tensor]:
        """Return hidden features [B, C, h, w] at stride 2 and the disparity [B, 2 h, 2 w] in full pixels."""
        # where to look is not trained through the residual's own correlation: the coarse disparity has its own loss
        center = torch.arange(left.shape[-1], device=left.device) - 0.5 * coarse_px.detach()
        columns = torch.cat([center + offset for offset in _NEARBY], dim=1)
        near = sample_columns(right, columns).flatten(2, 3)  # [B, C, K * h, w]
        near = _directions(near, _MATCH_GROUPS).unflatten(3, (len(_NEARBY), -1))
        matches = (_directions(left, _MATCH_GROUPS)[:, :, :, None] * near).sum(dim=2).flatten(1, 2)
        hidden = self.hidden(torch.cat((left, matches, coarse_px.detach() / 64.0), dim=1))
        return hidden, self._upsampled(coarse_px + self.residual(hidden), hidden)

    def _upsampled(self, disparity_px: Tensor, hidden: Tensor) -> Tensor:
        """Return each of 2 x 2 pixels as a convex mix of the 3 x 3 cells around."""
        batch, _, height, width = disparity_px.shape
        weights = torch.softmax(self.weights(hidden).view(batch, 9, 4, height, width), dim=1)
        cells = F.unfold(F.pad(disparity_px, (1, 1, 1, 1), mode="replicate"), 3).view(batch, 9, 1, height, width)
        return F.pixel_shuffle((weights * cells).sum(dim=1), 2)[:, 0]
