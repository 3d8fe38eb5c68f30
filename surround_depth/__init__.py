"""Surround-view metric depth: calibrated cameras in, depth for every pixel and one fused point cloud out.

The public names below are resolved on first use, so importing the package loads no engine, no numba and no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from surround_depth.data.build import open_dataset as open_dataset
    from surround_depth.errors import CalibrationError as CalibrationError
    from surround_depth.errors import ConfigError as ConfigError
    from surround_depth.errors import DataError as DataError
    from surround_depth.errors import EngineMismatchError as EngineMismatchError
    from surround_depth.errors import MissingDependencyError as MissingDependencyError
    from surround_depth.errors import SurroundDepthError as SurroundDepthError
    from surround_depth.frame import EncodedImage as EncodedImage
    from surround_depth.frame import PointCloud as PointCloud
    from surround_depth.frame import SurroundDepth as SurroundDepth
    from surround_depth.frame import SurroundFrame as SurroundFrame
    from surround_depth.fusion import fuse as fuse
    from surround_depth.geometry import Lens as Lens
    from surround_depth.inference.backend import open_backend as open_backend
    from surround_depth.inference.pipeline import SurroundDepthPipeline as SurroundDepthPipeline
    from surround_depth.rig import Camera as Camera
    from surround_depth.rig import Rig as Rig
    from surround_depth.rig import load_rig as load_rig
    from surround_depth.rig import save_rig as save_rig

__version__ = "0.1.0"

_HOMES = {
    "SurroundDepthError": "errors",
    "ConfigError": "errors",
    "CalibrationError": "errors",
    "DataError": "errors",
    "EngineMismatchError": "errors",
    "MissingDependencyError": "errors",
    "Lens": "geometry",
    "Camera": "rig",
    "Rig": "rig",
    "load_rig": "rig",
    "save_rig": "rig",
    "EncodedImage": "frame",
    "SurroundFrame": "frame",
    "SurroundDepth": "frame",
    "PointCloud": "frame",
    "open_dataset": "data.build",
    "open_backend": "inference.backend",
    "SurroundDepthPipeline": "inference.pipeline",
    "fuse": "fusion",
}

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'surround_depth' has no attribute {name!r}")
    return getattr(import_module(f"surround_depth.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
