"""The weights and choices of the training objective: one entry for each term of `losses.build.TERMS`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from surround_depth.config import StrictModel
from surround_depth.losses.baselines import Density
from surround_depth.losses.bin_distillation import Assignment, check_variant
from surround_depth.losses.cross_context import CrossContextConfig
from surround_depth.losses.photometric import PhotometricConfig
from surround_depth.losses.supervised import Pool
from surround_depth.losses.view_relation import ViewRelationConfig

BinSource = Literal["depth", "head", "relative"]
_VARIANTS: dict[BinSource, Literal["A", "B", "Bn"]] = {"head": "A", "depth": "B", "relative": "Bn"}


class PrivilegedConfig(StrictModel):
    """What a teacher that saw more is used for (D11 to D13, in the spirit of arXiv 2309.14744)."""

    attention: float = Field(default=0.0, ge=0.0)
    """Features, through attention (D11)."""
    response: float = Field(default=0.0, ge=0.0)
    """Depth, the pixels that are worst counting most (D12)."""
    gamma: float = Field(default=1.0, ge=0.0)
    """How much more they count."""
    uncertainty: bool = True
    """Let the student predict how far it is off, and weigh both terms by it."""
    trust: bool = False
    """Weigh both terms by how well the teacher's depths of both views agree (D13); only `teacher.kind: stereo` says."""


class LossConfig(StrictModel):
    """Weights and choices. A weight of 0 leaves the term out; terms of the teacher are ramped in."""

    # against LiDAR
    silog: float = Field(default=1.0, ge=0.0)
    """Always reported, so that runs with another one can be compared."""
    l1: float = Field(default=0.0, ge=0.0)
    """|d - g| in metres."""
    log_l1: float = Field(default=0.0, ge=0.0)
    laplace: float = Field(default=0.0, ge=0.0)
    """Log likelihood with the scale that the confidence stands for: trains both."""
    chamfer: float = Field(default=0.0, ge=0.0)
    """Pulls adaptive bin centers to the LiDAR depths; with fixed centers a run refuses it."""
    sky: float = Field(default=0.5, ge=0.0)
    confidence: float = Field(default=0.5, ge=0.0)
    confidence_sky: float = Field(default=0.1, ge=0.0)
    pool: Pool = "sample"

    # over bins: CKD
    kl: float = Field(default=1.0, ge=0.0)
    """The teacher's probabilities over the bins (D4, D5)."""
    bins_from: BinSource = "depth"
    """Where these come from. `depth`: its aligned depth (CKD-B). `head`: a bin head on its features, which learns from
    LiDAR beside the student (CKD-A). `relative`: its relative depth alone (CKD-Bn, wants centers 'image')."""
    assign: Assignment = "gauss"
    """How a teacher's depth becomes probabilities. Two-hot ones are as sharp as the grid: a student that learns them
    is as good on its own rig and worse on others (docs/results/2026-11-26-student.md)."""
    sigma: float = Field(default=2.0, gt=0.0)
    """Width of `assign: gauss` and of `bins_from: relative`, in mean bin widths."""
    tau: float = Field(default=1.0, gt=0.0)
    """Temperature of the divergence."""
    x1: float = Field(default=0.0, ge=0.0)
    """Teacher's probabilities, student's centers (D6); with fixed centers a run refuses it."""
    x2: float = Field(default=0.0, ge=0.0)
    """Student's probabilities, teacher's centers (D6)."""

    # over depth
    dense: float = Field(default=0.0, ge=0.0)
    """|ln d_S - ln d_A| at full size (the log form of KD-L1, D14)."""
    kd_l1: float = Field(default=0.0, ge=0.0)
    kd_silog: float = Field(default=0.0, ge=0.0)
    tie: float = Field(default=0.0, ge=0.0)
    tie_density: Density = "published"
    ssi: float = Field(default=0.0, ge=0.0)
    """Inverse depth up to one scale and shift per image."""
    hdn: float = Field(default=0.0, ge=0.0)
    """The same within ranges of depth too (D9)."""
    cross_context: CrossContextConfig = CrossContextConfig()

    # over features and relations
    fitnets: float = Field(default=0.0, ge=0.0)
    rkd: float = Field(default=0.0, ge=0.0)
    relation: float = Field(default=0.0, ge=0.0)
    """VRKD (D7)."""
    view_relation: ViewRelationConfig = ViewRelationConfig()
    privileged: PrivilegedConfig = PrivilegedConfig()

    photometric: PhotometricConfig = PhotometricConfig()
    """Depth from the pictures alone, over space and time."""
    ramp: float = Field(default=0.05, ge=0.0, le=1.0)
    """Share of the steps over which teacher terms grow from 0 to their weight."""

    @model_validator(mode="after")
    def _bins_come_from_one_place(self) -> LossConfig:
        if self.x2 > 0 and self.bins_from == "relative":
            check_variant("Bn", "image", x2=True)
        return self

    @property
    def learns_teacher_head(self) -> bool:
        """Whether a bin head on the teacher's features is trained: some term asks what it says."""
        asked = self.kl > 0 or self.x1 > 0 or (self.relation > 0 and self.view_relation.variant == "v3")
        return self.bins_from == "head" and asked

    def require_centers(self, centers: Literal["sample", "image", "fixed"]) -> None:
        """Check that the terms over bins mean something with the student's centers.

        Raises:
            ConfigError: names the key.
        """
        if self.kl > 0 or self.x1 > 0 or self.x2 > 0:
            check_variant(_VARIANTS[self.bins_from], centers, x2=self.x2 > 0)
