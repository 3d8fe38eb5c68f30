"""Where a grid of values lies over a recorded image: the one map between network pixels and recorded pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from surround_depth.errors import DataError
from surround_depth.geometry import Array


@dataclass(frozen=True)
class ImageWindow:
    """A grid cut out of a resized image: the image becomes `resized_*`, then `top_px` rows and `left_px` columns go.

    Sizes in pixels. `grid_*` is what is left: the size of the values [h, w] that lie there.
    """

    image_height_px: int
    image_width_px: int
    resized_height_px: int
    resized_width_px: int
    top_px: int
    left_px: int
    grid_height_px: int
    grid_width_px: int

    def __post_init__(self) -> None:
        rows, columns = self.top_px + self.grid_height_px, self.left_px + self.grid_width_px
        inside = self.top_px >= 0 and self.left_px >= 0
        if not inside or rows > self.resized_height_px or columns > self.resized_width_px:
            raise DataError(
                f"a grid of {self.grid_height_px}x{self.grid_width_px} at ({self.top_px}, {self.left_px}) leaves its "
                f"resized image of {self.resized_height_px}x{self.resized_width_px}"
            )

    @classmethod
    def whole(cls, image_height_px: int, image_width_px: int, grid_height_px: int, grid_width_px: int) -> Self:
        """Return the window of values that cover a whole image, whatever their aspect."""
        return cls(
            image_height_px,
            image_width_px,
            grid_height_px,
            grid_width_px,
            0,
            0,
            grid_height_px,
            grid_width_px,
        )

    @property
    def scale_x(self) -> float:
        """Resized columns per recorded column."""
        return self.resized_width_px / self.image_width_px

    @property
    def scale_y(self) -> float:
        """Resized rows per recorded row."""
        return self.resized_height_px / self.image_height_px

    def to_grid(self, uv_px: Array) -> Array:
        """Return grid coordinates [..., 2] of recorded pixels [..., 2] (u, v): corners of the images coincide."""
        scale = np.array([self.scale_x, self.scale_y])
        return (np.asarray(uv_px, np.float64) + 0.5) * scale - 0.5 - np.array([self.left_px, self.top_px])

    def to_image(self, uv_px: Array) -> Array:
        """Return recorded pixels [..., 2] (u, v) of grid coordinates [..., 2]; the inverse of `to_grid`."""
        scale = np.array([self.scale_x, self.scale_y])
        return (np.asarray(uv_px, np.float64) + np.array([self.left_px, self.top_px]) + 0.5) / scale - 0.5

    def mirrored(self) -> ImageWindow:
        """Return the window of the same grid when image and grid are both flipped left to right."""
        right_px = self.resized_width_px - self.left_px - self.grid_width_px
        return ImageWindow(
            self.image_height_px,
            self.image_width_px,
            self.resized_height_px,
            self.resized_width_px,
            self.top_px,
            right_px,
            self.grid_height_px,
            self.grid_width_px,
        )
