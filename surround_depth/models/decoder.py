"""A light U-Net decoder from stride 32 to stride 4, and the upsampling from there to full size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

HEAD_STRIDE = 4
_NEIGHBOURS = 9
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
    """Upsample a stride-4 map to full size; each pixel is a learned convex mix of its 3x3 coarse neighbours.

    A mix of neighbours cannot invent a value between them unless it chooses to, so depth edges stay edges.
    Idea: RAFT (arXiv 2003.12039, section 3.3); written for this project, without unfold or grid_sample.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weights = nn.Conv2d(channels, _NEIGHBOURS * HEAD_STRIDE**2, 1)

    def forward(self, coarse: Tensor, features: Tensor) -> Tensor:
        """Return [B*N, 1, 4h, 4w] in float32, from coarse [B*N, 1, h, w] (float32) and features [B*N, C, h, w]."""
        n, _, h, w = coarse.shape
        # A softmax, written out: over this axis engines on a CPU spend as long on Softmax as on all convolutions.
        # Bounded logits need no maximum subtracted, and e^20 between two weights is as hard an edge as any.
        logits = self.weights(features).float().clamp(-_MAX_LOGIT, _MAX_LOGIT)
        weights = torch.exp(logits).reshape(n, _NEIGHBOURS, HEAD_STRIDE**2, h, w)
        padded = F.pad(coarse, (1, 1, 1, 1), mode="replicate")
        shifts = [padded[:, :, y : y + h, x : x + w] for y in range(3) for x in range(3)]
        neighbours = torch.stack(shifts, dim=1)  # [B*N, 9, 1, h, w]
        mixed = (weights * neighbours).sum(dim=1) / weights.sum(dim=1)  # [B*N, 16, h, w]
        return F.pixel_shuffle(mixed, HEAD_STRIDE)


class BilinearUpsampling(nn.Module):
    """The ablation of `ConvexUpsampling`: no learned weights."""

    def forward(self, coarse: Tensor, features: Tensor) -> Tensor:
        return F.interpolate(coarse, scale_factor=float(HEAD_STRIDE), mode="bilinear", align_corners=False)
