"""A loader of the kind research code uses, to hold ours against: Pillow, LANCZOS, numpy.

It does what the data sets of Monodepth2 and SurroundDepth do per sample: `Image.open`, LANCZOS resize, flip, colour
jitter through `ImageEnhance`, `ToTensor`, and LiDAR depth by numpy. Where those do more than ours, it does not: no hue,
no second copy of every picture without jitter, no image pyramid, and points that share a pixel are settled by a sort
instead of a Python loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from surround_depth.benchmarks.loading_moment import StoredMoment
from surround_depth.errors import MissingDependencyError
from surround_depth.geometry import invert_rigid
from surround_depth.imaging import InputSpec

try:
    from PIL import Image, ImageEnhance
except ImportError as error:
    raise MissingDependencyError(
        "the research loader needs Pillow; install it with pip install 'surround_depth[crosscheck]'"
    ) from error

_MIN_DEPTH_M = 0.5
_ENHANCERS = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)


class ResearchLoader(Dataset[dict[str, Tensor]]):
    """Sample k = images float32 [N, 3, H, W] in 0..1 and LiDAR depth float32 [N, H, W], 0 = none."""

    def __init__(self, moment: StoredMoment, spec: InputSpec) -> None:
        self.moment = moment
        self.spec = spec

    def __len__(self) -> int:
        return len(self.moment)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        rng = np.random.default_rng(index)
        flip, factors = bool(rng.random() < 0.5), rng.uniform(0.8, 1.2, 3)
        points_m = np.fromfile(self.moment.lidar_path, np.float32).reshape(-1, 3)
        images, depths_m = [], []
        for i in range(len(self.moment.rig)):
            images.append(self._image(i, flip, factors))
            depth_m = self._depth_m(i, points_m)
            depths_m.append(torch.from_numpy(np.ascontiguousarray(depth_m[:, ::-1]) if flip else depth_m))
        return {"images": torch.stack(images), "depth_m": torch.stack(depths_m)}

    def _image(self, i: int, flip: bool, factors: NDArray[np.float64]) -> Tensor:
        with self.moment.image_path(self.moment.rig.names[i]).open("rb") as file:
            image: Any = Image.open(file).convert("RGB")
        if flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        image = image.resize((self.spec.width_px, self.spec.height_px), Image.Resampling.LANCZOS)
        for enhancer, factor in zip(_ENHANCERS, factors, strict=True):
            image = enhancer(image).enhance(float(factor))
        pixels = np.array(image, dtype=np.float32) / 255.0
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))

    def _depth_m(self, i: int, points_m: NDArray[np.float32]) -> NDArray[np.float32]:
        camera, spec = self.moment.rig.cameras[i], self.spec
        T_cam_lidar = (
            invert_rigid(camera.T_ego_cam) @ invert_rigid(self.moment.T_world_ego[i]) @ self.moment.T_world_ego_lidar
        )
        homogeneous = np.hstack([points_m, np.ones((len(points_m), 1), np.float32)])
        points_cam_m = (T_cam_lidar @ homogeneous.T)[:3]
        pixels = camera.K @ points_cam_m
        points_cam_m, pixels = (
            points_cam_m[:, points_cam_m[2] > _MIN_DEPTH_M],
            pixels[:, points_cam_m[2] > _MIN_DEPTH_M],
        )
        column = np.floor(pixels[0] / pixels[2] * (spec.width_px / camera.width_px)).astype(int)
        row = np.floor(pixels[1] / pixels[2] * (spec.height_px / camera.height_px)).astype(int)
        inside = (column >= 0) & (column < spec.width_px) & (row >= 0) & (row < spec.height_px)
        column, row, z_m = column[inside], row[inside], points_cam_m[2, inside]
        farthest_first = np.argsort(-z_m)
        depth_m = np.zeros((spec.height_px, spec.width_px), np.float32)
        depth_m[row[farthest_first], column[farthest_first]] = z_m[farthest_first]
        return depth_m
