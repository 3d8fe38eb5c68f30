"""What the losses learn beside the student: bridges between its features and the teacher's, and the teacher's bin head.

Trained with the student, kept in the states of a run, and left out of the checkpoint: none of it is ever exported.
"""

from __future__ import annotations

from torch import Tensor, nn

from surround_depth.losses.config import LossConfig
from surround_depth.losses.privileged import AttentionAdapter, LogVarianceHead

_HEAD_CHANNELS = 64


class Adapters(nn.Module):
    """Those that a `LossConfig` asks for; the others are None.

    Args:
        student_channels: of `Prediction.features`.
        teacher_channels: of `Targets.features`; None where the losses need none.
        n_bins: of the student.
    """

    def __init__(self, config: LossConfig, *, student_channels: int, teacher_channels: int | None, n_bins: int) -> None:
        super().__init__()
        privileged, wide = config.privileged, teacher_channels or 0
        cosine = config.cross_context.weight > 0 and config.cross_context.feature > 0
        attends = privileged.attention > 0
        responds = privileged.response > 0 and privileged.uncertainty
        self.fitnets = nn.Conv2d(student_channels, wide, 1) if config.fitnets > 0 else None
        self.cosine = nn.Conv2d(student_channels, wide, 1) if cosine else None
        self.attention = (
            AttentionAdapter(student_channels, wide, log_variance=privileged.uncertainty) if attends else None
        )
        self.response = LogVarianceHead(student_channels) if responds else None
        self.teacher_head = TeacherBinHead(wide, n_bins) if config.learns_teacher_head else None


class TeacherBinHead(nn.Module):
    """Bin logits from the teacher's frozen features: D4's head, trained beside the student instead of before it [O].

    It learns from the same LiDAR as the student, on the same bins; what it says reaches the student as a constant.
    """

    def __init__(self, channels: int, n_bins: int) -> None:
        super().__init__()
        # no batch norm: a head that is frozen for the student must not answer by who shares its batch
        self.layers = nn.Sequential(
            nn.GroupNorm(1, channels),
            nn.Conv2d(channels, _HEAD_CHANNELS, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(_HEAD_CHANNELS, n_bins, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return logits [B, N, M, h, w] of features [B, N, C, h, w]."""
        logits: Tensor = self.layers(features.flatten(0, 1))
        return logits.unflatten(0, features.shape[:2])
