"""Depth from pictures alone: a camera's picture, warped into another by depth and known poses, must look the same.

The sources of a picture lie in time (the same camera a moment before and after), in space (the neighbouring cameras at
the same moment) and in both. Poses are known, not learnt, so the depth comes out in metres. For training only: nothing
of it is in an exported graph.

What is whose. [C] As in nianticlabs/monodepth2@1a8c031e and weiyithu/SurroundDepth@22dfecfe (arXiv 2204.03636): 0.85
SSIM + 0.15 L1, the minimum over sources, leaving out what explains itself without a warp, smoothness of the
mean-normalised inverse depth. [O] Ours: one minimum over all three kinds of sources (SurroundDepth adds its spatial
term apart), the static test for each moment apart, calibrated poses, and which pixels count. Their code is for
non-commercial use only; none of it is here.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from surround_depth.config import StrictModel
from surround_depth.losses.masked import Term, at_least_float32, masked_mean

_SSIM_SHARE = 0.85
_SSIM_C1, _SSIM_C2 = 0.01**2, 0.03**2  # for pictures in 0..1
_NEAREST_M = 0.1  # in front of the source camera
_OWN_BODY_SHARE = 0.01  # of a sampled source pixel


class PhotometricConfig(StrictModel):
    """The self-supervised term. Off by default: samples then carry no neighbouring pictures."""

    weight: float = Field(default=0.0, ge=0.0)
    smoothness: float = Field(default=1.0e-3, ge=0.0)
    """Weight of the edge-aware smoothness of inverse depth. Counts only beside a `weight` above 0."""
    max_gap_s: float = Field(default=0.6, gt=0.0)
    """Moments of a drive further apart than this are no neighbours. Keyframes lie 0.5 s apart in nuScenes, 0.1 s in
    DDAD."""

    @property
    def context_gap_s(self) -> float | None:
        """`max_gap_s` where the term is on; None where samples need no context."""
        return self.max_gap_s if self.weight > 0 else None


@dataclass(frozen=True)
class ViewContext:
    """The pictures that a sample's own are compared with. B samples, T moments (the sample's own first), N cameras."""

    images: Tensor  # uint8 RGB [B, T, N, H, W, 3], as recorded: no colour change, no corruption
    valid: Tensor  # bool [B, T, N]: there is such a moment, and the camera lives in it
    T_ref_cam: Tensor  # float32 [B, T, N, 4, 4]: camera poses in one frame of the sample, any that all moments share
    K: Tensor  # float32 [B, N, 3, 3], pinhole; the same at all moments
    neighbours: Tensor  # int64 [B, N, 2]: cameras whose view overlaps; -1 = none
    own_body: Tensor  # bool [B, N, H, W]; the same at all moments

    def to(self, device: torch.device) -> ViewContext:
        """Return the context on `device`."""
        return ViewContext(*(getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)))


@dataclass(frozen=True)
class _Comparison:
    """One source against the target pictures, both [B, N, H, W]."""

    error: Tensor
    usable: Tensor


def photometric(depth_m: Tensor, context: ViewContext) -> Term:
    """Return the mean over pixels of the least photometric error over all sources.

    A pixel counts for a source where the source's camera and its own live, the warped 3 x 3 window of both pictures
    lies in view, in front of the camera and off the own vehicle, and where the moment is not static there: at another
    moment the camera's own picture, left unwarped, must not explain the pixel as well (the vehicle stands, or something
    drives along with it).

    Args:
        depth_m: z-depth [B, N, H, W], positive.
    """
    depth_m = at_least_float32(depth_m)
    target = _pictures(context.images[:, 0], depth_m.dtype)
    itself = torch.arange(depth_m.shape[1], device=depth_m.device).expand(depth_m.shape[:2])
    comparisons = []
    for moment in range(context.images.shape[1]):
        moving = torch.ones_like(depth_m, dtype=torch.bool)
        if moment > 0:
            own = _compare(depth_m, target, context, moment, itself)
            unmoved = photometric_error(_pictures(context.images[:, moment], depth_m.dtype), target)
            moving = ~own.usable | (own.error < unmoved.unflatten(0, depth_m.shape[:2]))
            comparisons.append(_Comparison(own.error, own.usable & moving))
        for slot in range(context.neighbours.shape[-1]):
            beside = _compare(depth_m, target, context, moment, context.neighbours[..., slot])
            comparisons.append(_Comparison(beside.error, beside.usable & moving))
    errors = torch.stack([torch.where(c.usable, c.error, torch.inf) for c in comparisons])
    least = errors.min(dim=0).values
    explained = torch.isfinite(least)
    return masked_mean(torch.where(explained, least, 0.0), explained)


def smoothness(depth_m: Tensor, context: ViewContext) -> Term:
    """Return the mean step of the inverse depth between neighbouring pixels, less where the picture has an edge.

    The inverse depth is divided by its mean over the picture, or the term would pull everything away from the camera.
    Own vehicle and dead cameras are left out. The count is of steps to the right.
    """
    seen = ~context.own_body & context.valid[:, 0, :, None, None]
    inverse = torch.where(seen, 1.0 / at_least_float32(depth_m), 0.0)
    n_seen = seen.sum(dim=(2, 3), keepdim=True)
    mean = torch.where(n_seen > 0, inverse.sum(dim=(2, 3), keepdim=True) / n_seen.clamp(min=1), 1.0)
    picture = _pictures(context.images[:, 0], inverse.dtype).unflatten(0, depth_m.shape[:2])
    right, down = (_edge_aware_steps(inverse / mean, picture, seen, axis) for axis in (-1, -2))
    return Term(right.value + down.value, right.count)


def warp(
    source: Tensor, depth_m: Tensor, K_target: Tensor, K_source: Tensor, T_source_target: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the target's view out of the source's picture [X, C, H, W], and where it is in view, bool [X, H, W].

    Args:
        source: [X, C, H, W].
        depth_m: the target's z-depth [X, H, W].
        K_target, K_source: [X, 3, 3]; pixel (0, 0) is the centre of the top left one.
        T_source_target: [X, 4, 4].
    """
    X, H, W = depth_m.shape
    u = torch.arange(W, dtype=depth_m.dtype, device=depth_m.device).repeat(H)
    v = torch.arange(H, dtype=depth_m.dtype, device=depth_m.device).repeat_interleave(W)
    # One 3 x 3 and one shift take a pixel times its depth to the source's pixel times its depth. In float64, and pixels
    # without a matrix product: a GPU may round the factors of one to 10 bits (TF32), which is half a pixel.
    K_source, K_target, T = K_source.double(), K_target.double(), T_source_target.double()
    turn = (K_source @ T[:, :3, :3] @ torch.linalg.inv_ex(K_target).inverse).to(depth_m.dtype)
    shift = (K_source @ T[:, :3, 3:]).to(depth_m.dtype)
    directions = turn[..., 0:1] * u + turn[..., 1:2] * v + turn[..., 2:3]  # [X, 3, HW]
    moved = directions * depth_m.flatten(1)[:, None] + shift
    z = moved[:, 2].clamp(min=_NEAREST_M)
    u_source, v_source = moved[:, 0] / z, moved[:, 1] / z
    inside = (u_source >= 0) & (u_source <= W - 1) & (v_source >= 0) & (v_source <= H - 1)
    in_view = (inside & (moved[:, 2] > _NEAREST_M)).reshape(X, H, W)
    grid = torch.stack((2.0 * u_source / (W - 1) - 1.0, 2.0 * v_source / (H - 1) - 1.0), dim=-1).reshape(X, H, W, 2)
    return F.grid_sample(source, grid, mode="bilinear", padding_mode="zeros", align_corners=True), in_view


def photometric_error(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return `0.85 (1 - SSIM) / 2 + 0.15 L1`, mean over channels [X, H, W], of pictures [X, C, H, W] in 0..1.

    SSIM of 3 x 3 windows, mirrored at the border.
    """
    dissimilar = (0.5 * (1.0 - _ssim(ours, theirs))).clamp(0.0, 1.0)
    return (_SSIM_SHARE * dissimilar + (1.0 - _SSIM_SHARE) * (ours - theirs).abs()).mean(dim=1)


def _compare(depth_m: Tensor, target: Tensor, context: ViewContext, moment: int, camera: Tensor) -> _Comparison:
    """Compare each target picture with the one that `camera` [B, N] (-1 = none) took at `moment`."""
    shape = depth_m.shape[:2]
    exists, camera = camera >= 0, camera.clamp(min=0)
    batch = torch.arange(shape[0], device=depth_m.device)[:, None]
    living = exists & context.valid[batch, moment, camera] & context.valid[:, 0]
    T_ref_cam = context.T_ref_cam.double()
    T_source_target = torch.linalg.inv_ex(T_ref_cam[batch, moment, camera]).inverse @ T_ref_cam[:, 0]
    pictures = _pictures(context.images[batch, moment, camera], depth_m.dtype)
    source = torch.cat((pictures, context.own_body[batch, camera].flatten(0, 1)[:, None]), dim=1)
    K_target, K_source = context.K.flatten(0, 1), context.K[batch, camera].flatten(0, 1)
    warped, in_view = warp(source, depth_m.flatten(0, 1), K_target, K_source, T_source_target.flatten(0, 1))
    seen = in_view & (warped[:, 3] < _OWN_BODY_SHARE) & ~context.own_body.flatten(0, 1)
    whole_window = F.max_pool2d((~seen).to(depth_m.dtype)[:, None], 3, stride=1, padding=1)[:, 0] == 0
    error = photometric_error(warped[:, :3], target)
    return _Comparison(error.unflatten(0, shape), whole_window.unflatten(0, shape) & living[:, :, None, None])


def _pictures(images: Tensor, dtype: torch.dtype) -> Tensor:
    """Return uint8 [B, N, H, W, 3] as [B * N, 3, H, W] in 0..1."""
    return images.flatten(0, 1).permute(0, 3, 1, 2).to(dtype) / 255.0


def _ssim(x: Tensor, y: Tensor) -> Tensor:
    """Return the structural similarity [X, C, H, W] (Wang et al. 2004) with 3 x 3 box windows."""

    def mean(values: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(values, (1, 1, 1, 1), mode="reflect"), 3, stride=1)

    mean_x, mean_y = mean(x), mean(y)
    variance_x, variance_y = mean(x * x) - mean_x.square(), mean(y * y) - mean_y.square()
    covariance = mean(x * y) - mean_x * mean_y
    similar = (2.0 * mean_x * mean_y + _SSIM_C1) * (2.0 * covariance + _SSIM_C2)
    return similar / ((mean_x.square() + mean_y.square() + _SSIM_C1) * (variance_x + variance_y + _SSIM_C2))


def _edge_aware_steps(values: Tensor, picture: Tensor, seen: Tensor, axis: int) -> Term:
    """Return mean `|step of values| exp(-|step of picture|)` along an axis of [B, N, H, W]; picture [B, N, 3, H, W]."""
    n = values.shape[axis] - 1

    def step(x: Tensor) -> Tensor:
        return x.narrow(axis, 1, n) - x.narrow(axis, 0, n)

    both = seen.narrow(axis, 1, n) & seen.narrow(axis, 0, n)
    return masked_mean(step(values).abs() * torch.exp(-step(picture).abs().mean(dim=2)), both)
