"""What a student is: sizes and bins. Stored beside the weights, so a checkpoint rebuilds itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from surround_depth.config import StrictModel

Head = Literal["bins", "regression"]
BinMean = Literal["arithmetic", "geometric"]
RayFrame = Literal["ego", "level"]


class EncoderConfig(StrictModel):
    """The shared image encoder, any four-scale backbone that `transformers.AutoBackbone` knows."""

    source: str | None = None
    """Local directory or hub id of pretrained weights. None: random initialisation from `backbone`."""
    allow_download: bool = False
    """Whether a hub id may be fetched; False reads local files only."""
    backbone: dict[str, Any] = Field(default_factory=dict)
    """A transformers backbone configuration (`model_type` included); filled in from `source` when that is given."""

    @field_validator("backbone", mode="before")
    @classmethod
    def _sequences_are_lists(cls, backbone: dict[str, Any]) -> dict[str, Any]:
        # the YAML door makes tuples; transformers compares with lists, and a stored config must equal the given one
        return {key: list(value) if isinstance(value, tuple) else value for key, value in backbone.items()}

    @model_validator(mode="after")
    def _has_an_origin(self) -> EncoderConfig:
        if self.source is None and "model_type" not in self.backbone:
            raise ValueError("encoder: give `source`, or `backbone` with a `model_type`")
        return self


class BinConfig(StrictModel):
    """Depth bins (distillation.md, D1)."""

    n_bins: int = Field(default=64, ge=8, le=256)
    min_depth_m: float = Field(default=0.5, gt=0.0)
    max_depth_m: float = Field(default=80.0, gt=0.0)
    """The far end of the last bin. It also means "beyond range": sky is trained towards it."""
    space: Literal["log", "linear"] = "log"
    mean: BinMean = "geometric"
    """Depth as the mean of the centers themselves, or of their logarithms; see `decode_depth`."""
    centers: Literal["sample", "image", "fixed"] = "fixed"
    """One adaptive set of centers per frame (all cameras share it), one per camera, or log-uniform constants.

    Adaptive centers move the scale of a whole frame; in short runs that costs more than it brings (the loss of an
    overfitted pair of frames stays six times higher), so constants are the default.
    """

    @model_validator(mode="after")
    def _near_before_far(self) -> BinConfig:
        if self.min_depth_m >= self.max_depth_m:
            raise ValueError(f"bins: min_depth_m {self.min_depth_m} must be below max_depth_m {self.max_depth_m}")
        return self


class StudentConfig(StrictModel):
    """Everything that fixes the student's graph except the image size and the number of cameras."""

    encoder: EncoderConfig
    geometry_channels: int = Field(default=32, ge=8)
    """Width of the ray embedding."""
    fusion_layers: int = Field(default=1, ge=0)
    """Attention layers over the tokens of all cameras; 0 looks at each camera alone."""
    fusion_heads: int = Field(default=4, ge=1)
    decoder_channels: tuple[int, int, int, int] = (96, 64, 48, 32)
    """Widths at stride 32, 16, 8, 4."""
    head: Head = "bins"
    """Depth as a mean over classified bins, or one regressed logarithm (the ablation: `supervised-nobins`)."""
    bins: BinConfig = BinConfig()
    """With `head: regression` only their range counts."""
    residual: bool = True
    """Regress a residual inside the bin (the hybrid of D1)."""
    ray_conditioning: bool = True
    """Tell the features where each pixel looks, from where, and how finely it samples the world."""
    ray_frame: RayFrame = "ego"
    """In which frame: the vehicle's, with the camera's position, or one that only knows up; see `ray_features`."""
    ray_affinity: bool = False
    """Let view fusion prefer cells that look the same way: overlap between cameras, from the geometry alone."""
    canonical_focal: bool = True
    """Scale the bins of each camera by its focal length in network pixels, as if all had one canonical camera."""
    ground_prior: bool = True
    """Mix each pixel's depth with that of a flat ground, by a learned gate."""
    upsampling: Literal["convex", "bilinear"] = "convex"
    """How stride 4 becomes full size: learned convex weights keep edges, bilinear is the ablation."""
