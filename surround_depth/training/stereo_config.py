"""The configuration of a training of the stereo teacher: one strict tree."""

from __future__ import annotations

from pydantic import Field, model_validator

from surround_depth.config import StrictModel
from surround_depth.data.stereo_build import StereoDataConfig
from surround_depth.imaging import InputSpec
from surround_depth.teachers.stereo_net import StereoNetConfig
from surround_depth.training.config import RenderConfig


class StereoTrainConfig(StrictModel):
    """A whole training of the stereo teacher. `resolved.yaml` beside its output repeats it."""

    name: str
    seed: int = 0
    input: InputSpec
    """Pairs are brought to this size: take that of the student, disparities are of its pixels."""
    net: StereoNetConfig = StereoNetConfig()
    data: StereoDataConfig
    rendering: RenderConfig | None = None
    """How a synthetic tree is made where `data.root` is missing; its rig must have partners."""
    brightness: float = Field(default=0.2, ge=0.0, lt=1.0)
    contrast: float = Field(default=0.2, ge=0.0, lt=1.0)
    colour: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Largest relative change of a pair's light, one for both views (`training.augment.jitter`)."""
    steps: int = Field(default=1500, ge=1)
    batch_size: int = Field(default=2, ge=1)
    lr: float = Field(default=1.0e-3, gt=0.0)
    """Peak of a one-cycle schedule."""
    weight_decay: float = Field(default=1.0e-4, ge=0.0)
    clip_norm: float = Field(default=1.0, gt=0.0)

    @model_validator(mode="after")
    def _only_streets_of_our_own_are_rendered(self) -> StereoTrainConfig:
        if self.rendering is not None and self.data.kind != "synthetic":
            raise ValueError(f"rendering makes synthetic streets, but data.kind is {self.data.kind!r}; leave it out")
        return self
