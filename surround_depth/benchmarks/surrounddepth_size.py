"""A six-view network of SurroundDepth's size: an honest stand-in for its cost, no code and no weights of theirs.

SurroundDepth (Wei et al., CoRL 2022) has a ResNet-34 encoder, a cross-view transformer at every scale and a
convolutional decoder: about 59 M parameters and 236.5 GMAC for six views of 384 x 640. This network has these parts in
plain form and, within a few per cent, these two numbers; the test counts them. It says nothing about their accuracy.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (64, 64, 128, 256, 512)  # of the maps at strides 2, 4, 8, 16, 32
_BLOCKS = (3, 4, 6, 3)
_DECODER_WIDTHS = (16, 32, 64, 128, 256)
_LAYERS, _HEADS = 8, 8


class SurroundDepthSized(nn.Module):
    """Pixels float32 [N, 3, H, W] of one rig to a depth map [N, 1, H, W]; H and W are multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv_norm(3, WIDTHS[0], 7, stride=2)
        ends = zip(WIDTHS[:-1], WIDTHS[1:], _BLOCKS, strict=True)
        self.stages = nn.ModuleList(
            nn.Sequential(
                _Block(before, after, stride=1 if index == 0 else 2), *(_Block(after, after) for _ in range(blocks - 1))
            )
            for index, (before, after, blocks) in enumerate(ends)
        )
        self.views = nn.ModuleList(_CrossView(width, 16 >> scale) for scale, width in enumerate(WIDTHS))
        self.decoder = _Decoder()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return a positive map; what it means is not learnt."""
        maps = [F.relu(self.stem(pixels))]
        x = F.max_pool2d(maps[0], 3, stride=2, padding=1)
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        mixed = [view(one) for view, one in zip(self.views, maps, strict=True)]
        depth: Tensor = self.decoder(mixed)
        return depth


class _Block(nn.Module):
    """ResNet's basic block."""

    def __init__(self, before: int, after: int, stride: int = 1) -> None:
        super().__init__()
        self.first = _conv_norm(before, after, 3, stride)
        self.second = _conv_norm(after, after, 3)
        same = before == after and stride == 1
        self.short = nn.Identity() if same else _conv_norm(before, after, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + self.short(x))


class _CrossView(nn.Module):
    """Every cell of every view attends to all: the map is pooled to stride 32, mixed, and added back."""

    def __init__(self, width: int, pool: int) -> None:
        super().__init__()
        self.pool = pool
        self.layers = nn.ModuleList(_Layer(width) for _ in range(_LAYERS))

    def forward(self, x: Tensor) -> Tensor:
        coarse = F.avg_pool2d(x, self.pool)
        n, c, h, w = coarse.shape
        tokens = coarse.permute(0, 2, 3, 1).reshape(1, n * h * w, c)
        for layer in self.layers:
            tokens = layer(tokens)
        mixed = tokens.reshape(n, h, w, c).permute(0, 3, 1, 2)
        return x + F.interpolate(mixed, scale_factor=float(self.pool), mode="bilinear")


class _Layer(nn.Module):
    """A transformer layer, normalised before its parts."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_attention, self.norm_hidden = nn.LayerNorm(width), nn.LayerNorm(width)
        self.project, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.hidden = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        b, t, c = tokens.shape
        heads = self.project(self.norm_attention(tokens)).reshape(b, t, 3, _HEADS, c // _HEADS).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(heads[0], heads[1], heads[2])
        tokens = tokens + self.output(mixed.transpose(1, 2).reshape(b, t, c))
        return tokens + self.hidden(self.norm_hidden(tokens))


class _Decoder(nn.Module):
    """Up from stride 32: a convolution, twice the size, the encoder's map beside it, a convolution."""

    def __init__(self) -> None:
        super().__init__()
        deep = (*_DECODER_WIDTHS[1:], WIDTHS[-1])
        skips = (0, *WIDTHS[:-1])
        self.before = nn.ModuleList(nn.Conv2d(i, o, 3, padding=1) for i, o in zip(deep, _DECODER_WIDTHS, strict=True))
        self.after = nn.ModuleList(
            nn.Conv2d(o + skip, o, 3, padding=1) for o, skip in zip(_DECODER_WIDTHS, skips, strict=True)
        )
        self.head = nn.Conv2d(_DECODER_WIDTHS[0], 1, 3, padding=1)

    def forward(self, maps: list[Tensor]) -> Tensor:
        x = maps[-1]
        for scale in reversed(range(len(_DECODER_WIDTHS))):
            x = F.interpolate(F.elu(self.before[scale](x)), scale_factor=2.0, mode="nearest")
            if scale > 0:
                x = torch.cat((x, maps[scale - 1]), dim=1)
            x = F.elu(self.after[scale](x))
        return torch.sigmoid(self.head(x))


def _conv_norm(before: int, after: int, kernel: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after))
