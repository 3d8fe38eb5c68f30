"""What a teacher is: relative depth for each image of a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError

AS_LINEAGE = "as its lineage, listed next"
"""The licence of what has none of its own: what follows it in a lineage binds."""


@dataclass(frozen=True)
class TeacherInput:
    """One sample at network resolution. A learned teacher looks at the images, a simulated one at the truth."""

    sample_id: str
    camera_names: tuple[str, ...]
    images: NDArray[np.uint8]  # [N, H, W, 3] RGB
    camera_valid: NDArray[np.bool_]  # [N]
    focal_px: NDArray[np.float32] | None = None  # [N], mean of fx and fy at this size; NaN for lenses that have none
    rays: NDArray[np.float32] | None = None
    """[N, h, w, 3], unit, camera frame, of cells of 8 pixels: for a teacher that sees the rig. Those of a window of a
    picture (`teachers.patches`) are of the window enlarged to the size of the whole picture."""
    T_ego_cam: NDArray[np.float32] | None = None  # [N, 4, 4]
    truth_depth_m: NDArray[np.float32] | None = None  # [N, H, W], NaN where none
    truth_sky: NDArray[np.bool_] | None = None  # [N, H, W]
    second_images: NDArray[np.uint8] | None = None
    """[N, H, W, 3] RGB of partners: same K and orientation, framed like `images`; black where a camera has none. For a
    teacher that sees pairs."""
    baseline_m: NDArray[np.float32] | None = None
    """[N], how far each partner lies along its camera's x; NaN where there is none, negative on a mirrored vehicle."""
    label_id: str | None = None
    """SHA-256 of all but the teacher that its label depends on (`training.label_id`), for who keeps labels. None: a
    framing drawn at random, which will not come again."""


@dataclass(frozen=True)
class TeacherLabel:
    """A teacher's opinion: inverse depth up to one unknown scale and shift per image, large = near."""

    inverse_depth: NDArray[np.float32]  # r [N, H, W]; of a metric teacher 1/m
    valid: NDArray[np.bool_]  # [N, H, W]; False where r means nothing, sky included
    sky: NDArray[np.bool_]  # [N, H, W]
    features: NDArray[np.float16] | None = None  # [N, C, h, w]: the last fused ones, of any stride; None: it has none
    trust: NDArray[np.float16] | None = None
    """[N, H, W], 0 to 1: how well its depths of two views agree (D13); None: it looks at one view."""

    def __post_init__(self) -> None:
        shapes = {self.inverse_depth.shape, self.valid.shape, self.sky.shape}
        if len(shapes) != 1 or self.inverse_depth.ndim != 3:
            raise DataError(f"teacher output: inverse_depth, valid and sky must share a shape [N, H, W], got {shapes}")
        if np.any(self.valid & self.sky):
            raise DataError("teacher output: a pixel is both valid and sky")
        if not np.isfinite(self.inverse_depth[self.valid]).all():
            raise DataError("teacher output: inverse_depth is not finite on a valid pixel")
        if self.features is not None and (self.features.ndim != 4 or len(self.features) != len(self.valid)):
            raise DataError(f"teacher output: features must be [N, C, h, w] of N images, got {self.features.shape}")
        if self.features is not None and not np.isfinite(self.features).all():
            raise DataError("teacher output: features are not finite; float16 holds up to 65504: scale them down")
        if self.trust is not None and self.trust.shape != self.valid.shape:
            raise DataError(f"teacher output: trust must be {self.valid.shape} like the rest, got {self.trust.shape}")
        if self.trust is not None and not ((self.trust >= 0) & (self.trust <= 1)).all():
            raise DataError("teacher output: trust is not within 0 to 1")


class Teacher(Protocol):
    """A frozen depth model, relative or metric."""

    @property
    def name(self) -> str: ...
    @property
    def licence(self) -> str:
        """Of the weights; part of the lineage of every student it teaches."""
        ...

    @property
    def fingerprint(self) -> str:
        """Changes whenever its labels may: of weights and settings, what a label cache is keyed by."""
        ...

    @property
    def metric(self) -> bool:
        """Whether `inverse_depth` is 1/m as it stands: then it is not aligned."""
        ...

    def __call__(self, sample: TeacherInput) -> TeacherLabel:
        """Return the relative depth of every camera; a dead camera is valid nowhere."""
        ...
