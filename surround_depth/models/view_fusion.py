"""Attention over the tokens of all cameras, with dead cameras masked out exactly."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from surround_depth.errors import ConfigError

_MASKED_SCORE = -1.0e4
"""Finite (representable in fp16), and far enough below any score that its softmax weight underflows to exactly 0."""


class ViewFusion(nn.Module):
    """Let every stride-32 cell of every camera look at all cells of all living cameras.

    Raises:
        ConfigError: the heads do not share the channels evenly.
    """

    def __init__(self, channels: int, n_layers: int, n_heads: int, *, ray_affinity: bool = False) -> None:
        super().__init__()
        self.ray_affinity = ray_affinity and n_layers > 0
        if n_layers and channels % n_heads:
            raise ConfigError(
                f"student.fusion_heads: {n_heads} heads do not divide the encoder's {channels} channels at stride 32; "
                "choose a divisor"
            )
        self.layers = nn.ModuleList(FusionLayer(channels, n_heads, ray_affinity=ray_affinity) for _ in range(n_layers))

    def forward(self, features: Tensor, camera_valid: Tensor, directions: Tensor | None) -> Tensor:
        """Return fused features [B*N, C, h, w].

        Args:
            features: [B*N, C, h, w]; they already carry the ray embedding, which is the positional encoding.
            camera_valid: bool [B, N].
            directions: with `ray_affinity`, where each cell looks, unit vectors in the ego frame [B, N, h, w, 3].
        """
        B, N = camera_valid.shape
        C, h, w = features.shape[1:]
        looks = None if directions is None else directions.reshape(B, N * h * w, 3).to(features.dtype)
        tokens = features.reshape(B, N, C, h * w).transpose(2, 3).reshape(B, N * h * w, C)
        token_valid = camera_valid[:, :, None].expand(B, N, h * w).reshape(B, N * h * w)
        for layer in self.layers:
            tokens = layer(tokens, token_valid, looks)
        return tokens.reshape(B, N, h * w, C).transpose(2, 3).reshape(B * N, C, h, w)


class FusionLayer(nn.Module):
    """One pre-norm transformer layer whose keys and values exist only for living cameras.

    With `ray_affinity` each head adds to its scores a learned multiple of the cosine between two cells' directions:
    which views are neighbours then follows from the geometry, and heads start from "all alike" to "the same way".
    """

    def __init__(self, channels: int, n_heads: int, *, ray_affinity: bool = False) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.head_channels = channels // n_heads
        self.norm_attention = nn.LayerNorm(channels)
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.output = nn.Linear(channels, channels)
        self.sharpness = nn.Parameter(_first_sharpness(n_heads)) if ray_affinity else None
        self.norm_mlp = nn.LayerNorm(channels)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.ReLU(inplace=True), nn.Linear(2 * channels, channels)
        )

    def forward(self, tokens: Tensor, token_valid: Tensor, looks: Tensor | None) -> Tensor:
        tokens = tokens + self.output(self._attend(self.norm_attention(tokens), token_valid, looks))
        return tokens + self.mlp(self.norm_mlp(tokens))

    def _attend(self, tokens: Tensor, token_valid: Tensor, looks: Tensor | None) -> Tensor:
        B, T, C = tokens.shape
        # written out rather than as SDPA: Softmax and Where stay visible to the engines' precision rules
        qkv = self.query_key_value(tokens).reshape(B, T, 3, self.n_heads, self.head_channels).permute(2, 0, 3, 1, 4)
        query, key, value = qkv[0] * self.head_channels**-0.5, qkv[1], qkv[2]  # [B, heads, T, head_channels]
        if self.sharpness is not None and looks is not None:
            # three more channels cost nothing beside a bias over all pairs of cells
            look = looks[:, None].expand(-1, self.n_heads, -1, -1)
            query = torch.cat((query, self.sharpness.to(query.dtype)[:, None, None] * look), dim=-1)
            key = torch.cat((key, look), dim=-1)
        # where(), not a product: a dead camera's values may be anything, and 0 * inf is NaN
        value = torch.where(token_valid[:, None, :, None], value, 0.0)
        scores = torch.matmul(query, key.transpose(-1, -2)).float()
        scores = torch.where(token_valid[:, None, None, :], scores, _MASKED_SCORE)
        weights = torch.softmax(scores, dim=-1).to(value.dtype)
        return torch.matmul(weights, value).transpose(1, 2).reshape(B, T, C)


def _first_sharpness(n_heads: int) -> Tensor:
    """Return factors on the cosine between directions, 0 for the first head, 16 for the last."""
    return torch.linspace(0.0, 4.0, n_heads).square()


def pool_living_cameras(features: Tensor, camera_valid: Tensor) -> Tensor:
    """Return the mean over pixels and living cameras [B, C]; zero where no camera lives.

    Args:
        features: [B*N, C, h, w].
        camera_valid: bool [B, N].
    """
    B, N = camera_valid.shape
    per_camera = features.mean(dim=(2, 3)).reshape(B, N, -1)
    living = torch.where(camera_valid[:, :, None], per_camera, 0.0)
    return living.sum(dim=1) / camera_valid.sum(dim=1, keepdim=True).clamp(min=1).to(living.dtype)
