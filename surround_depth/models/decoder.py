"""A light U-Net decoder from stride 32 to stride 4, and the upsampling from there to full size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD_STRIDE = 4
_NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, 2), (2, 1))
"""Row and column, in a window of 3x3, of a cell itself and the four beside it."""
_MAX_LOGIT = 10.0


def conv_norm_relu(in_channels: int, out_channels: int) -> nn.Sequential:
    """Return 3x3 convolution, batch norm, ReLU: what every engine folds into one kernel."""
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))


class UpBlock(nn.Module):
    """Double the resolution and add the encoder's map of that stride."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(in_channels, out_channels, 1)
        self.lateral = nn.Conv2d(skip_channels, out_channels, 1)
        self.refine = nn.Sequential(
            conv_norm_relu(out_channels, out_channels), conv_norm_relu(out_channels, out_channels)
        )

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        return self.refine(F.interpolate(self.reduce(coarse), scale_factor=2.0, mode="nearest") + self.lateral(skip))


class Decoder(nn.Module):
    """Fuse the four maps into stride-8 and stride-4 features."""

    def __init__(self, encoder_channels: tuple[int, ...], channels: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.bottom = conv_norm_relu(encoder_channels[3], channels[0])
        self.to_16 = UpBlock(channels[0], encoder_channels[2], channels[1])
        self.to_8 = UpBlock(channels[1], encoder_channels[1], channels[2])
        self.to_4 = UpBlock(channels[2], encoder_channels[0], channels[3])

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Return features at stride 8 [B*N, C8, h, w] and at stride 4 [B*N, C4, 2h, 2w]."""
        features_8 = self.to_8(self.to_16(self.bottom(maps[3]), maps[2]), maps[1])
        return features_8, self.to_4(features_8, maps[0])


class ConvexUpsampling(nn.Module):
    """Upsample a stride-4 map to full size; each pixel is a learned convex mix of its cell and the four beside it.

    A mix of neighbours cannot invent a value between them unless it chooses to, so depth edges stay edges. Five of
    them hold every map that is affine (here of log depth) exactly: a pixel lies at most 3/8 of a cell off the centre in
    either direction, and the two sum to less than one. Beside the picture's border neither five nor nine can. What the
    four at the corners cost and bring: docs/results/2026-11-27-engines.md.
    Idea: RAFT (arXiv 2003.12039, section 3.3), which mixes all nine; written for this project, without unfold or
    grid_sample.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weights = nn.Conv2d(channels, len(_NEIGHBOURS) * HEAD_STRIDE**2, 1)

    def forward(self, coarse: Tensor, features: Tensor) -> Tensor:
        """Return [B*N, 1, 4h, 4w] in float32, from coarse [B*N, 1, h, w] (float32) and features [B*N, C, h, w]."""
        h, w = coarse.shape[2:]
        padded = F.pad(coarse, (1, 1, 1, 1), mode="replicate")
        shifts = [padded[:, :, y : y + h, x : x + w] for y, x in _NEIGHBOURS]
        # The one 1x1 convolution neighbour by neighbour: an axis of neighbours, or a split of its result, costs the
        # engines of a CPU more than the sums themselves.
        weights = [self._weight(features, k) for k in range(len(_NEIGHBOURS))]
        mixed, total = weights[0] * shifts[0], weights[0]
        for weight, neighbour in zip(weights[1:], shifts[1:], strict=True):
            mixed, total = mixed + weight * neighbour, total + weight
        return F.pixel_shuffle(mixed / total, HEAD_STRIDE)

    def _weight(self, features: Tensor, k: int) -> Tensor:
        """Return the weights of neighbour k at the 16 places in a cell [B*N, 16, h, w], positive, not yet normalised.

        Bounded logits need no maximum subtracted, and e^20 between two weights is as hard an edge as any.
        """
        part = slice(k * HEAD_STRIDE**2, (k + 1) * HEAD_STRIDE**2)
        assert self.weights.bias is not None
        logits = F.conv2d(features, self.weights.weight[part], self.weights.bias[part])
        return torch.exp(logits.float().clamp(-_MAX_LOGIT, _MAX_LOGIT))


class BilinearUpsampling(nn.Module):
    """Plain bilinear upsampling to full size: of the confidence, and the ablation of `ConvexUpsampling`.

    What `F.interpolate(scale_factor=4, mode="bilinear", align_corners=False)` computes, as a convolution: a fine pixel
    lies at one of four places between cells, so its weights are one of 16 fixed kernels of 3x3. On a CPU the engines'
    own operator is slower, OpenVINO's ten times.
    """

    kernels: Tensor

    def __init__(self) -> None:
        super().__init__()
        offsets = (torch.arange(HEAD_STRIDE) + 0.5) / HEAD_STRIDE - 0.5  # of fine pixels from their cell, in cells
        cells = torch.tensor([-1.0, 0.0, 1.0])
        along = (1.0 - (offsets[:, None] - cells).abs()).clamp(min=0.0)  # [4, 3]
        kernels = along[:, None, :, None] * along[None, :, None, :]
        self.register_buffer("kernels", kernels.reshape(HEAD_STRIDE**2, 1, 3, 3), persistent=False)

    def forward(self, coarse: Tensor, features: Tensor | None = None) -> Tensor:
        """Return [n, 1, 4h, 4w] from coarse [n, 1, h, w]; `features` are not looked at."""
        padded = F.pad(coarse, (1, 1, 1, 1), mode="replicate")
        kernels = self.kernels.to(coarse.dtype)  # a half student halves them, which is exact: they are 64ths
        with torch.autocast(coarse.device.type, enabled=False):  # a convolution of depth is no feature
            return F.pixel_shuffle(F.conv2d(padded, kernels), HEAD_STRIDE)
