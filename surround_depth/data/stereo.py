"""Rectified stereo pairs: what a stereo teacher learns from, whatever recorded or rendered them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.frame import check_image
from surround_depth.geometry import Array
from surround_depth.imaging import ImagePlan, InputSpec, plan_image
from surround_depth.rig import Camera


@dataclass(frozen=True, eq=False)
class StereoPair:
    """Two pictures of one moment: the same K and orientation, the right camera `baseline_m` along the left one's x.

    Raises:
        DataError: pictures or disparity are not of one size, K or baseline are not usable, or a disparity is negative.
    """

    name: str
    left: NDArray[np.uint8]  # [H, W, 3] RGB
    right: NDArray[np.uint8]  # [H, W, 3]
    K: Array  # [3, 3], of both
    baseline_m: float
    disparity_px: NDArray[np.float32]
    """[H, W]: column in the left picture minus column in the right one, at the left one's pixels; 0 = infinitely far
    (sky), NaN = not known."""

    def __post_init__(self) -> None:
        height_px, width_px = self.left.shape[:2]
        for side in ("left", "right"):
            check_image(getattr(self, side), height_px, width_px, f"stereo pair {self.name}, {side}")
        if self.disparity_px.shape != (height_px, width_px) or self.disparity_px.dtype != np.float32:
            raise DataError(
                f"stereo pair {self.name}: disparity_px must be float32 {(height_px, width_px)}, got "
                f"{self.disparity_px.dtype} {self.disparity_px.shape}"
            )
        with np.errstate(invalid="ignore"):
            if (self.disparity_px < 0).any() or np.isinf(self.disparity_px).any():
                raise DataError(f"stereo pair {self.name}: a disparity is negative or infinite; unknown ones are NaN")
        usable = self.K.shape == (3, 3) and np.isfinite(self.K).all() and self.K[0, 0] > 0
        if not usable or not 0.0 < self.baseline_m < np.inf:
            raise DataError(
                f"stereo pair {self.name}: K must be [3, 3] with fx > 0 and baseline_m positive, got K "
                f"{self.K.tolist()} and {self.baseline_m}"
            )

    @cached_property
    def depth_m(self) -> NDArray[np.float32]:
        """z-depth [H, W] of the left picture: infinite where the disparity is 0, NaN where it is not known."""
        with np.errstate(divide="ignore"):
            return (self.K[0, 0] * self.baseline_m / self.disparity_px).astype(np.float32)


class StereoPairs(Protocol):
    """Pairs of one data set, read when indexed, in order of drives."""

    @property
    def name(self) -> str: ...

    @property
    def licence(self) -> str: ...

    @property
    def drives(self) -> tuple[str, ...]:
        """The drive of every pair; pairs of one drive show one street, and train or validate together."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> StereoPair:
        """Return a pair at its recorded size.

        Raises:
            DataError: a file of it is missing or damaged.
        """
        ...


@dataclass(frozen=True)
class ListedPairs:
    """Pairs that a function reads by their place: what every reader of a stereo tree hands out."""

    name: str
    licence: str
    drives: tuple[str, ...]
    read: Callable[[int], StereoPair]

    def __len__(self) -> int:
        return len(self.drives)

    def __getitem__(self, index: int) -> StereoPair:
        return self.read(index)


def resized_pair(pair: StereoPair, spec: InputSpec) -> StereoPair:
    """Return the pair as the network sees it: both pictures framed as the engine frames one camera.

    Depth is sampled where the pixels' centres come to lie, never averaged across an edge (`ImagePlan.sample_depth`);
    disparities are of the new pixels.
    """
    plan = _plan_of(pair, spec)
    small = replace(
        pair,
        left=plan.prepare(pair.left),
        right=plan.prepare(pair.right),
        K=np.array(plan.network_camera.K),
        disparity_px=np.full((spec.height_px, spec.width_px), np.nan, np.float32),
    )
    depth_m = plan.sample_depth(pair.depth_m)
    return replace(small, disparity_px=(small.K[0, 0] * small.baseline_m / depth_m).astype(np.float32))


def _plan_of(pair: StereoPair, spec: InputSpec) -> ImagePlan:
    height_px, width_px = pair.left.shape[:2]
    return plan_image(Camera(pair.name, height_px, width_px, pair.K, np.eye(4)), spec)
