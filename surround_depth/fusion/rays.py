"""The rays of a camera's pixels, computed once per calibration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from surround_depth.geometry import Lens, ray_grid
from surround_depth.rig import Camera


@dataclass(frozen=True, eq=False)
class RayTable:
    """Unit rays of every pixel, and how far apart those of neighbours end; NaN where the lens has none. Read only."""

    rays: np.ndarray  # float32 [H, W, 3]
    chord_across: np.ndarray  # float32 [H, W - 1], to the pixel on the right
    chord_down: np.ndarray  # float32 [H - 1, W], to the pixel below


def camera_rays(camera: Camera) -> RayTable:
    """Return the rays of a camera; kept, because a lens is inverted by iteration and a rig rarely changes."""
    return _ray_table(camera.height_px, camera.width_px, camera.K.tobytes(), camera.lens)


@lru_cache(maxsize=32)
def _ray_table(height_px: int, width_px: int, K_bytes: bytes, lens: Lens) -> RayTable:
    rays = ray_grid(height_px, width_px, np.frombuffer(K_bytes, np.float64).reshape(3, 3), lens)
    tables = (rays, *(np.linalg.norm(np.diff(rays, axis=axis), axis=-1) for axis in (1, 0)))
    return RayTable(*(_read_only(table.astype(np.float32)) for table in tables))


def _read_only(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array
