"""The one home of open3d in the renderer: lazy import, and a ray scene that is deterministic to the bit.

open3d links libusb (for depth cameras nobody here has), which a bare Debian or a container lacks. Where the system
library is missing, the copy inside the `libusb-package` wheel is loaded first, with its symbols made global.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from surround_depth.errors import MissingDependencyError

_INSTALL_HINT = "the synthetic renderer needs open3d: pip install surround_depth[sim]"


def _preload_libusb() -> None:
    """Make libusb-1.0 available to the loader; nothing to do where the system has it."""
    if ctypes.util.find_library("usb-1.0") is not None:
        return
    try:
        import libusb_package
    except ImportError as error:
        raise MissingDependencyError(f"libusb-1.0 is missing and so is libusb-package; {_INSTALL_HINT}") from error
    ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)


@cache
def import_open3d() -> ModuleType:
    """Return the open3d module.

    Raises:
        MissingDependencyError: open3d or libusb cannot be loaded; the message says what to install.
    """
    try:
        _preload_libusb()
        import open3d
    except (ImportError, OSError) as error:
        raise MissingDependencyError(f"{_INSTALL_HINT} ({error})") from error
    return open3d


@dataclass(frozen=True)
class Hits:
    """Nearest hit of each ray: t in units of the ray direction (inf = none), triangle index, barycentric (u, v)."""

    t: np.ndarray  # f32 [R], inf where nothing is hit
    triangle: np.ndarray  # i32 [R], -1 where nothing is hit
    barycentric: np.ndarray  # f32 [R, 2], weights of corners 1 and 2


class RayScene:
    """Triangles under one bounding volume hierarchy.

    Build and queries run on one thread: with several, the hierarchy, and with it the winner of a tie on a shared edge,
    could change from run to run. Parallelism belongs one level up, over scenes.
    """

    def __init__(self, corners_m: np.ndarray) -> None:
        """Build from triangle corners [T, 3, 3] in metres."""
        open3d = import_open3d()
        self._core: Any = open3d.core
        self._scene: Any = open3d.t.geometry.RaycastingScene(nthreads=1)
        self._n_triangles = int(corners_m.shape[0])
        if self._n_triangles:
            vertices = np.ascontiguousarray(corners_m.reshape(-1, 3), dtype=np.float32)
            indices = np.arange(vertices.shape[0], dtype=np.uint32).reshape(-1, 3)
            self._scene.add_triangles(self._core.Tensor.from_numpy(vertices), self._core.Tensor.from_numpy(indices))

    def cast(self, rays: np.ndarray) -> Hits:
        """Return the nearest hits of rays f32 [R, 6] (origin, direction)."""
        if self._n_triangles == 0 or rays.shape[0] == 0:
            n = rays.shape[0]
            return Hits(np.full(n, np.inf, np.float32), np.full(n, -1, np.int32), np.zeros((n, 2), np.float32))
        answer = self._scene.cast_rays(self._core.Tensor.from_numpy(rays), nthreads=1)
        # the invalid id 0xFFFFFFFF reads as -1 in int32
        triangle = answer["primitive_ids"].numpy().view(np.int32)
        return Hits(answer["t_hit"].numpy(), triangle, answer["primitive_uvs"].numpy())

    def occluded(self, rays: np.ndarray) -> np.ndarray:
        """Return bool [R]: does anything lie on the ray f32 [R, 6]?"""
        if self._n_triangles == 0 or rays.shape[0] == 0:
            return np.zeros(rays.shape[0], dtype=bool)
        return np.asarray(self._scene.test_occlusions(self._core.Tensor.from_numpy(rays), nthreads=1).numpy())
