"""A folder of own-body masks as the readers use it: one PNG per camera, 255 = keep, 0 = own vehicle."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.paths import path_inside, read_own_body, reason_of, require_root
from surround_depth.errors import DataError

DDAD_SUFFIX = "_mask"
"""What follows the camera's name in a mask folder for DDAD; nuScenes has nothing there."""


@dataclass(frozen=True)
class MaskFolder:
    """Masks by camera. Those that a user asks for must all be there: a mask that is missing hides nothing, silently."""

    folder: Path  # resolved
    suffix: str = ""  # between the camera's name and ".png"
    may_lack: bool = False  # a camera without a file has no mask, as in trees that bring their own

    @classmethod
    def asked_for(cls, folder: str | Path, suffix: str = "") -> MaskFolder:
        """Return the folder that a user named, in which every camera must have its mask.

        Raises:
            DataError: it is no folder.
        """
        return cls(require_root(folder, "own-body mask"), suffix)

    def require(self, cameras: Iterable[str]) -> None:
        """Raise `DataError` for the first camera that lacks its mask, where none may."""
        for camera in cameras:
            path = self.path_of(camera)
            if not self.may_lack and not path.is_file():
                raise DataError(
                    f"own-body mask of {camera}: {str(path)!r} does not exist; give a folder with a mask for every "
                    "camera (tools/derive_masks.py makes one), or none"
                )

    def read(self, camera: str, height_px: int, width_px: int) -> NDArray[np.bool_] | None:
        """Return True [H, W] where the camera sees the own vehicle; None where it may lack its mask and does.

        Raises:
            DataError: the mask is missing, damaged, or of another size.
        """
        path = self.path_of(camera)
        if self.may_lack and not path.is_file():
            return None
        self.require((camera,))
        return read_own_body(path_inside(self.folder, path.name, f"own-body mask of {camera}"), height_px, width_px)

    def path_of(self, camera: str) -> Path:
        """Return where a camera's mask lies."""
        return self.folder / f"{camera}{self.suffix}.png"


def masks_sha256(root: Path, files: Iterable[Path]) -> str:
    """Return one hash over mask files below `root`, by name and content; "" where there are none.

    Raises:
        DataError: a file cannot be read.
    """
    lines = []
    for path in sorted(files):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise DataError(f"own-body mask {path} cannot be read ({reason_of(error)}); copy it again") from error
        lines.append(f"{path.relative_to(root).as_posix()} {hashlib.sha256(content).hexdigest()}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest() if lines else ""
