"""A teacher that sees more than the student: features and response, weighed by its trust (distillation.md, D11 to D13).

Our design [O], in the spirit of ADU-Depth (arXiv 2309.14744; its equations are not available to us). Known of it is:
distillation of features through attention, of the response with a focus on depth, and uncertainty guiding both.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from surround_depth.losses.masked import Term, at_least_float32, log_difference, masked_mean

MAX_LOG_VARIANCE = 4.0
_LEAST_HIDDEN = 8  # a ReLU of very few units may be dead for every image
_LEAST_NORM = 1e-3  # shorter features are not stretched to 1: the gradient of that would be as large as they are small


def attention_feature(
    adapted_student: Tensor,
    adapted_teacher: Tensor,
    log_variance: Tensor | None,
    mask: Tensor,
    trust: Tensor | None = None,
) -> Term:
    """Return `<t (0.5 exp(-s) e^2 + 0.5 s)>` over the mask, with `e^2 = |A_S - A_T|^2` of features of length 1. D11.

    The gradient reaches the student's features and s. Without s: `0.5 e^2`, which is 0 where the directions agree; with
    it the best s is `ln e^2`, and the term goes below 0. Both features lie on one grid: resize the teacher's first.
    Of several levels the caller takes the mean.

    Args:
        adapted_student, adapted_teacher: [B, N, C, h, w] of `AttentionAdapter`; NaN allowed outside the mask.
        log_variance: s [B, N, h, w] within +-4, as `LogVarianceHead` makes it; None leaves it out.
        mask: m_kd, bool [B, N, h, w].
        trust: t of D13 [B, N, h, w] (`teachers.stereo_trust`); no gradient; None is 1.

    Source: ours [O], in the spirit of arXiv 2309.14744 (its equations are not available to us).
    """
    student = _directions(adapted_student, mask)
    teacher = _directions(adapted_teacher.detach(), mask)
    half = 0.5 * (student - teacher).square().sum(dim=2)
    if log_variance is not None:
        s = _inside(log_variance, mask)
        half = torch.exp(-s) * half + 0.5 * s
    return masked_mean(_trusted(half, trust, mask), mask)


def focal_response(
    depth_m: Tensor,
    teacher_m: Tensor,
    log_variance: Tensor | None,
    mask: Tensor,
    gamma: float = 1.0,
    trust: Tensor | None = None,
) -> Term:
    """Return `<t (exp(-s) q e + s)>` over the mask, with `e = |ln d_S - ln d_T|` and `q = sg[(e / max e)^gamma]`. D12.

    The maximum is the image's: its worst pixels count most. Without s: `q e`, which is 0 where the depths agree. The
    gradient reaches the student's depth and s.

    Args:
        depth_m, teacher_m: z-depth [B, N, h, w], positive inside the mask; NaN allowed outside.
        log_variance: s [B, N, h, w] within +-4: here the logarithm of a Laplace scale; None leaves it out.
        mask: m_kd, bool [B, N, h, w].
        gamma: 0 weighs all pixels alike.
        trust: t of D13 [B, N, h, w] (`teachers.stereo_trust`); no gradient; None is 1.

    Source: ours [O]; the name follows arXiv 2309.14744, the formula does not (it is not available to us).
    """
    e = log_difference(depth_m, teacher_m.detach(), mask).abs()
    worst = e.detach().amax(dim=(2, 3), keepdim=True).clamp(min=torch.finfo(e.dtype).tiny)
    response = (e.detach() / worst).pow(gamma) * e
    if log_variance is not None:
        s = _inside(log_variance, mask)
        response = torch.exp(-s) * response + s
    return masked_mean(_trusted(response, trust, mask), mask)


class AttentionAdapter(nn.Module):
    """`A(f) = conv1(f * sigmoid(mlp(mean_xy f)) * sigmoid(conv7([mean_c f, max_c f])))`, to a given width. D11.

    Both attentions start half open everywhere, so training starts from a plain 1x1 convolution. The student's learns
    beside the student; the teacher's is fitted with the teacher's head and then frozen: trained jointly it could shrink
    the target to a constant. Neither is part of the exported student.

    Source: ours [O], in the spirit of arXiv 2309.14744 (its equations are not available to us).
    """

    def __init__(self, channels: int, out_channels: int, *, log_variance: bool = False, reduction: int = 4) -> None:
        super().__init__()
        hidden = max(_LEAST_HIDDEN, channels // reduction)
        self.channel = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, channels))
        self.spatial = nn.Conv2d(2, 1, 7, padding=3)
        self.project = nn.Conv2d(channels, out_channels, 1)
        self.log_variance = LogVarianceHead(channels) if log_variance else None
        for gate in (self.channel[2], self.spatial):
            _zero(gate)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the adapted features [B, N, C_out, h, w] and s [B, N, h, w], None unless asked for.

        Args:
            features: [B, N, C, h, w].
        """
        attended = features * self._attention(features.flatten(0, 1)).reshape_as(features)
        adapted = self.project(attended.flatten(0, 1)).unflatten(0, features.shape[:2])
        return adapted, None if self.log_variance is None else self.log_variance(attended)

    def _attention(self, f: Tensor) -> Tensor:
        """Return the product of both attentions [B * N, C, h, w]."""
        channel = torch.sigmoid(self.channel(f.mean(dim=(2, 3))))[:, :, None, None]
        spatial = torch.sigmoid(self.spatial(torch.stack((f.mean(dim=1), f.amax(dim=1)), dim=1)))
        return channel * spatial


class LogVarianceHead(nn.Module):
    """Predict s of D11 or D12 from features, within +-4; starts at 0.

    The bound is `4 tanh(x / 4)`: a hard clamp would leave a pixel that once crossed it without a gradient. Features and
    response want one head each: their errors differ in size.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 1)
        _zero(self.conv)

    def forward(self, features: Tensor) -> Tensor:
        """Return s [B, N, h, w] of features [B, N, C, h, w]."""
        raw = at_least_float32(self.conv(features.flatten(0, 1)))
        return (MAX_LOG_VARIANCE * torch.tanh(raw / MAX_LOG_VARIANCE))[:, 0].unflatten(0, features.shape[:2])


def _zero(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def _directions(features: Tensor, mask: Tensor) -> Tensor:
    """Return features of length 1 per pixel, a constant outside the mask."""
    return F.normalize(torch.where(mask[:, :, None], at_least_float32(features), 1.0), dim=2, eps=_LEAST_NORM)


def _inside(values: Tensor, mask: Tensor) -> Tensor:
    return torch.where(mask, at_least_float32(values), 0.0)


def _trusted(values: Tensor, trust: Tensor | None, mask: Tensor) -> Tensor:
    return values if trust is None else values * _inside(trust.detach(), mask)
