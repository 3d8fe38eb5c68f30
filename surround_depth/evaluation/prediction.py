"""What is scored: depth on a grid per camera, with the window that says where the grid lies over the recorded image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.frame import SurroundFrame
from surround_depth.window import ImageWindow


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer of one method for one frame, cameras in the frame's order.

    Raises:
        DataError: a grid is not float32 [h, w] of its window's size, or the lists have different lengths.
    """

    depth_m: tuple[NDArray[np.float32], ...]  # N x [h, w] z-depth, NaN = no answer
    windows: tuple[ImageWindow, ...]  # N
    confidence: tuple[NDArray[np.float32], ...] | None = None  # N x [h, w], 0 to 1; None where the method has none

    def __post_init__(self) -> None:
        for name, grids in (("depth_m", self.depth_m), ("confidence", self.confidence)):
            if grids is None:
                continue
            if len(grids) != len(self.windows):
                raise DataError(f"a prediction has {len(grids)} grids of {name} for {len(self.windows)} windows")
            for i, (grid, window) in enumerate(zip(grids, self.windows, strict=True)):
                expected = (window.grid_height_px, window.grid_width_px)
                if grid.dtype != np.float32 or grid.shape != expected:
                    raise DataError(f"{name} of camera {i} is {grid.dtype} {grid.shape}, expected float32 {expected}")


Predictor = Callable[[SurroundFrame], Prediction]
"""Anything that answers for a frame: an engine, a folder of another method's depth maps, a customer's own object."""
