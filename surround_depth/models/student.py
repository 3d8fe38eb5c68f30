"""The multi-camera student: raw pixels and calibration in, metres and confidence out.

    images, rays, T_ego_cam, camera_valid
      -> normalise -> encoder -> ray conditioning -> view fusion -> decoder -> bins -> metres, confidence

Letters: B samples, N cameras, C channels, M bins, H W pixels, h w the head grid (stride 4).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surround_depth.models.config import StudentConfig
from surround_depth.models.decoder import HEAD_STRIDE, BilinearUpsampling, ConvexUpsampling, Decoder
from surround_depth.models.depth_bins import (
    BinCenters,
    BinGrid,
    decode_depth,
    mixed_with_ground,
    regress_depth,
    toward_ground,
)
from surround_depth.models.encoder import Encoder
from surround_depth.models.ray_conditioning import (
    RAY_STRIDE,
    RayConditioning,
    canonical_log_scale,
    cell_directions,
    ground_inverse_depth,
)
from surround_depth.models.view_fusion import ViewFusion, pool_living_cameras

_NO_CONFIDENCE = -1.0e4
"""A logit that fp16 holds and whose sigmoid is exactly 0."""


@dataclass(frozen=True)
class StudentOutput:
    """All that the losses need. float32 except `features`."""

    depth_m: Tensor
    """z-depth [B, N, H, W]."""
    confidence_logit: Tensor
    """[B, N, H, W]; its sigmoid is the probability that depth is within 25 % of the truth."""
    head_depth_m: Tensor
    """z-depth before upsampling [B, N, h, w]."""
    logits: Tensor | None
    """Bin logits [B, N, M, h, w]; None with `head: regression`."""
    edges_m: Tensor
    """Bin edges [B, N, M + 1], near to far."""
    centers_m: Tensor
    """Bin centers [B, N, M]."""
    features: Tensor
    """Decoder features at stride 8 [B, N, C, H/8, W/8] (relations between views are distilled from these)."""

    @property
    def confidence(self) -> Tensor:
        """Probability that depth is within 25 % of the truth [B, N, H, W]; 0 on a dead camera."""
        return torch.sigmoid(self.confidence_logit)


class Student(nn.Module):
    """One network for a whole rig of any N cameras."""

    pixel_mean: Tensor
    pixel_std: Tensor

    def __init__(self, config: StudentConfig) -> None:
        super().__init__()
        self.encoder = Encoder(config.encoder)
        self.config = config.model_copy(update={"encoder": self.encoder.resolved_config()})
        channels = self.encoder.channels
        self.rays = _ray_conditioning(channels, config)
        self.fusion = ViewFusion(
            channels[3], config.fusion_layers, config.fusion_heads, ray_affinity=config.ray_affinity
        )
        self.bins = BinCenters(channels[3], config.bins)
        self.decoder = Decoder(channels, config.decoder_channels)
        # per stride-4 cell: M bin logits (if any), then residual or regressed value, confidence logit, ground gate
        self.head = nn.Conv2d(config.decoder_channels[3], self._n_logits + 3, 1)
        convex = config.upsampling == "convex"
        self.upsample = ConvexUpsampling(config.decoder_channels[3]) if convex else BilinearUpsampling()
        self.upsample_confidence = BilinearUpsampling()
        self.register_buffer("pixel_mean", _of_8_bits(self.encoder.pixel_mean), persistent=False)
        self.register_buffer("pixel_std", _of_8_bits(self.encoder.pixel_std), persistent=False)

    def forward(self, images: Tensor, rays: Tensor, T_ego_cam: Tensor, camera_valid: Tensor) -> StudentOutput:
        """Return depth, confidence and what the losses need.

        Args:
            images: uint8 RGB [B, N, H, W, 3]; H, W multiples of 32. A dead camera may hold anything.
            rays: unit rays, camera frame, of the stride-8 cell centres [B, N, H/8, W/8, 3].
            T_ego_cam: [B, N, 4, 4].
            camera_valid: 1 living, 0 dead [B, N]. A dead camera has exactly no influence on the others' outputs
                in eval mode; its own outputs mean nothing.
        """
        B, N = images.shape[:2]
        living = camera_valid > 0.5
        maps = self.encoder(self._normalise(images))
        if self.rays is not None:
            maps = self.rays(maps, rays, T_ego_cam)
        fused = self.fusion(maps[3], living, self._directions(rays, T_ego_cam, maps[3]))
        features_8, features_4 = self.decoder((*maps[:3], fused))
        camera_tokens = fused.mean(dim=(2, 3)).reshape(B, N, -1)
        log_scale = self._log_scale(rays)
        grid = self.bins(pool_living_cameras(fused, living), camera_tokens, log_scale)
        ground_per_m = self._ground(rays, T_ego_cam) if self.config.ground_prior else None
        return self._decode(features_8, features_4, grid, ground_per_m, log_scale, living)

    def forward_metric(
        self, images: Tensor, rays: Tensor, T_ego_cam: Tensor, camera_valid: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return (depth_m, confidence), both float32 [B, N, H, W]."""
        output = self(images, rays, T_ego_cam, camera_valid)
        return output.depth_m, output.confidence

    def _normalise(self, images: Tensor) -> Tensor:
        # Cast first: engines accept no other operator on uint8. The permuted view is channels-last memory.
        pixels = images.to(self.pixel_mean.dtype).flatten(0, 1).permute(0, 3, 1, 2)
        return (pixels - self.pixel_mean) / self.pixel_std

    @property
    def _n_logits(self) -> int:
        return self.config.bins.n_bins if self.config.head == "bins" else 0

    def _directions(self, rays: Tensor, T_ego_cam: Tensor, coarse: Tensor) -> Tensor | None:
        """Return where each stride-32 cell looks, for the fusion that asks for it [B, N, h, w, 3]."""
        if not self.fusion.ray_affinity:
            return None
        with torch.autocast(rays.device.type, enabled=False):
            return cell_directions(rays.float(), T_ego_cam.float(), *coarse.shape[2:])

    def _log_scale(self, rays: Tensor) -> Tensor | None:
        if not self.config.canonical_focal:
            return None
        with torch.autocast(rays.device.type, enabled=False):
            return canonical_log_scale(rays.float())

    def _ground(self, rays: Tensor, T_ego_cam: Tensor) -> Tensor:
        """Inverse depth of a flat ground on the head grid [B, N, h, w], kept within the bins' range.

        Beyond it the depth would be clamped after the mix, and the gate that opened there would have no gradient.
        """
        near_m, far_m = self.config.bins.min_depth_m, self.config.bins.max_depth_m
        with torch.autocast(rays.device.type, enabled=False):
            coarse = ground_inverse_depth(rays.float(), T_ego_cam.float())
            fine = F.interpolate(coarse, scale_factor=float(RAY_STRIDE // HEAD_STRIDE), mode="bilinear")
            return fine.clamp(1.0 / far_m, 1.0 / near_m)

    def _decode(
        self,
        features_8: Tensor,
        features_4: Tensor,
        grid: BinGrid,
        ground_per_m: Tensor | None,
        log_scale: Tensor | None,
        living: Tensor,
    ) -> StudentOutput:
        B, N = living.shape
        h, w = features_4.shape[2:]
        logits, others = self._head(features_4)
        with torch.autocast(others.device.type, enabled=False):
            logits, cells = logits.reshape(B, N, h, w, -1), others.reshape(B, N, 3, h, w)
            head_depth_m, log_probabilities = self._head_depth(logits, cells, grid, ground_per_m, log_scale)
            log_depth = torch.log(head_depth_m).reshape(B * N, 1, h, w)
            confidence_logit = self.upsample_confidence(others[:, 1:2])
        # in logarithm, so that a mix of two depths errs by the same factor near and far
        depth_m = torch.exp(self.upsample(log_depth, features_4))
        H, W = depth_m.shape[2:]
        confidence_logit = torch.where(living[:, :, None, None], confidence_logit.reshape(B, N, H, W), _NO_CONFIDENCE)
        return StudentOutput(
            depth_m=depth_m.reshape(B, N, H, W),
            confidence_logit=confidence_logit,
            head_depth_m=head_depth_m,
            logits=log_probabilities,
            edges_m=grid.edges_m,
            centers_m=grid.centers_m,
            features=features_8.reshape(B, N, *features_8.shape[1:]),
        )

    def _head(self, features_4: Tensor) -> tuple[Tensor, Tensor]:
        """Return the head's bin logits [B*N*h*w, M] and its other channels [B*N, 3, h, w], both float32.

        The one 1x1 convolution in two products: of the first, bins come out last, where softmax wants them. Taken
        apart afterwards they are moved twice, which costs a CPU as much as the sums over them.
        """
        M, C = self._n_logits, features_4.shape[1]
        weight, bias = self.head.weight, self.head.bias
        assert bias is not None
        cells = features_4.permute(0, 2, 3, 1).reshape(-1, C)
        logits = F.linear(cells, weight[:M].reshape(M, C), bias[:M])
        return logits.float(), F.conv2d(features_4, weight[M:], bias[M:]).float()

    def _head_depth(
        self,
        logits: Tensor,
        cells: Tensor,
        grid: BinGrid,
        ground_per_m: Tensor | None,
        log_scale: Tensor | None,
    ) -> tuple[Tensor, Tensor | None]:
        """Return z-depth [B, N, h, w], and for the losses the logits behind it [B, N, M, h, w].

        Args:
            logits: of the bins [B, N, h, w, M]; M is 0 with `head: regression`.
            cells: the head's other channels [B, N, 3, h, w]: residual or regressed value, confidence, ground gate.
        """
        bins, value, gate = self.config.bins, cells[:, :, 0], cells[:, :, 2]
        if self.config.head == "regression":
            depth_m, channels = regress_depth(value, bins, log_scale), None
        else:
            depth_m = decode_depth(logits, grid, value if self.config.residual else None, bins.mean)
            channels = logits.movedim(-1, 2)
        if ground_per_m is not None:
            depth_m = toward_ground(depth_m, gate, ground_per_m)
            channels = None if channels is None else mixed_with_ground(channels, gate, ground_per_m, grid)
        # canonical bins reach beyond this camera's range
        return depth_m.clamp(bins.min_depth_m, bins.max_depth_m), channels


def _of_8_bits(statistics: tuple[float, ...]) -> Tensor:
    """Return statistics of pixels in 0 to 1 as those of pixels in 0 to 255 [3, 1, 1]."""
    return torch.tensor([255.0 * value for value in statistics]).reshape(3, 1, 1)


def _ray_conditioning(channels: tuple[int, ...], config: StudentConfig) -> RayConditioning | None:
    return RayConditioning(channels, config.geometry_channels, config.ray_frame) if config.ray_conditioning else None


class MetricStudent(nn.Module):
    """The graph that is exported: no batch axis, static shapes, metres and confidence only."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = student.eval()

    def forward(self, images: Tensor, rays: Tensor, T_ego_cam: Tensor, camera_valid: Tensor) -> tuple[Tensor, Tensor]:
        """Return (depth_m, confidence), float32 [N, H, W], from unbatched inputs ([N, H, W, 3], ...)."""
        pixels = images.to(torch.float32)[None]  # cast before the reshape: engines take nothing else on uint8
        depth_m, confidence = self.student.forward_metric(pixels, rays[None], T_ego_cam[None], camera_valid[None])
        return depth_m[0], confidence[0]
