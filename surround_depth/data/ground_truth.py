"""The truth a protocol scores against, camera by camera: only the places that have any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.lidar_depth import T_cam_lidar_ego
from surround_depth.data.lidar_occlusion import visible
from surround_depth.data.lidar_raster import SparseDepth, project_points, rasterise_sparse, resize_sparse_preserve
from surround_depth.data.network_truth import TruthKind, truth_depth_m
from surround_depth.data.sample import DenseTruth, Sample
from surround_depth.errors import ConfigError, DataError
from surround_depth.frame import PointCloud
from surround_depth.geometry import Array, invert_rigid
from surround_depth.imaging import ImagePlan, ImagePlans, InputSpec
from surround_depth.metrics.lanczos_mask import kept_after_lanczos
from surround_depth.metrics.overlap import InsideRule, Neighbour, overlap_mask, ring_neighbours
from surround_depth.metrics.protocols import DatasetRule, Protocol
from surround_depth.rig import Camera, Rig
from surround_depth.window import ImageWindow


@dataclass(frozen=True, eq=False)
class CameraTruth:
    """What one camera is scored against, also beyond the scored range."""

    uv_px: Array  # [P, 2] places (u, v): of the recorded image, or of the prediction's grid if `on_grid`
    depth_m: NDArray[np.float32]  # [P] z along the optical axis
    on_grid: bool


class GroundTruth:
    """Makes the truth of samples by one protocol; masks and plans are kept from sample to sample.

    Args:
        dataset: "nuscenes", "ddad" or "synthetic"; decides between the protocol's rules.
        kind: LiDAR, which every published protocol means, or exact dense depth.

    Raises:
        ConfigError: dense truth for a protocol that is about a fault of LiDAR truth.
    """

    def __init__(self, protocol: Protocol, dataset: str, kind: TruthKind = "lidar") -> None:
        self.protocol = protocol
        self.kind = kind
        self.dataset = dataset
        self.rule: DatasetRule = protocol.rule(dataset)
        self._plans: dict[tuple[str, tuple[ImageWindow, ...]], ImagePlans] = {}
        self._kept: dict[tuple[str, str, ImageWindow], NDArray[np.bool_]] = {}
        self._recent: list[tuple[Sample, tuple[SparseDepth, ...]]] = []  # flicker goes between two samples
        if kind == "dense" and self.rule.vertical_K_factor != 1.0:
            raise ConfigError(f"protocol {protocol.name} is a fault in how LiDAR is projected; score it against lidar")

    def truths(self, sample: Sample, windows: Sequence[ImageWindow]) -> tuple[CameraTruth, ...]:
        """Return the truth of every camera; empty for one without an image.

        Args:
            windows: where each camera's prediction lies over its recorded image.

        Raises:
            DataError: the sample has no truth of this kind.
            ConfigError: the protocol scores at network size and the predictions have none.
        """
        if self.protocol.truth == "network":
            return self._on_network(sample, tuple(windows))
        cameras = sample.frame.rig.cameras
        if self.protocol.truth == "points" and self.kind == "lidar":
            return tuple(
                self._points(sample, i, camera) if sample.frame.camera_valid[i] else _NOTHING
                for i, camera in enumerate(cameras)
            )
        return self._brought_to(sample.frame.rig, self.recorded(sample), windows)

    def overlaps(self, sample: Sample, windows: Sequence[ImageWindow]) -> tuple[CameraTruth, ...] | None:
        """Return the truth that a neighbour sees too; None where the protocol has no truth on recorded pixels.

        The rest is taken out at recorded resolution, before anything is brought to another size, as CylinderDepth
        exports it: static extrinsics on nuScenes, poses at image time on DDAD, no occlusion test of its own.
        """
        if self.protocol.truth in ("network", "points"):
            return None
        inside: InsideRule = "width" if self.dataset == "ddad" else "last_pixel"
        kept = tuple(
            depth.where(overlap_mask(depth.uv_px, depth.depth_m, camera, neighbours, inside))
            for depth, camera, neighbours in zip(
                self.recorded(sample), sample.frame.rig.cameras, self._neighbours(sample), strict=True
            )
        )
        return self._brought_to(sample.frame.rig, kept, windows)

    def on_grids(self, sample: Sample, windows: Sequence[ImageWindow]) -> tuple[NDArray[np.float32], ...]:
        """Return N maps [h, w] of the recorded truth on the predictions' grids, value by value; NaN = none."""
        pairs = zip(self.recorded(sample), windows, strict=True)
        return tuple(
            resize_sparse_preserve(depth, window).dense(window.grid_height_px, window.grid_width_px)
            for depth, window in pairs
        )

    def recorded(self, sample: Sample) -> tuple[SparseDepth, ...]:
        """Return the truth [N] on the pixels of the recorded images, kept for the two samples asked for last."""
        for known, depths in self._recent:
            if known is sample:
                return depths
        cameras, valid = sample.frame.rig.cameras, sample.frame.camera_valid
        depths = tuple(self._recorded(sample, i, c) if valid[i] else NO_PIXEL for i, c in enumerate(cameras))
        self._recent = [*self._recent[-1:], (sample, depths)]
        return depths

    def _brought_to(
        self, rig: Rig, depths: Sequence[SparseDepth], windows: Sequence[ImageWindow]
    ) -> tuple[CameraTruth, ...]:
        triples = zip(rig.cameras, depths, windows, strict=True)
        return tuple(self._camera_truth(rig, camera, depth, window) for camera, depth, window in triples)

    def _camera_truth(self, rig: Rig, camera: Camera, depth: SparseDepth, window: ImageWindow) -> CameraTruth:
        if self.protocol.own_body == "masked" and camera.own_body is not None:
            depth = depth.where(~camera.own_body[depth.row, depth.column])
        if self.protocol.truth != "downsampled":
            return _pixels(depth, on_grid=False)
        depth = resize_sparse_preserve(depth, window)
        if self.protocol.own_body == "any_non_zero" and camera.own_body is not None:
            depth = depth.where(self._keeps(rig, camera, window)[depth.row, depth.column])
        return _pixels(depth, on_grid=True)

    def _recorded(self, sample: Sample, i: int, camera: Camera) -> SparseDepth:
        """Return the truth on the pixels of the recorded image."""
        if self.kind == "dense":
            return _sparse(_dense(sample).depth_m[i])
        seen_by = self._truth_camera(camera)
        depth = rasterise_sparse(
            _lidar(sample).points_m,
            self._T_cam_lidar(sample, i, camera),
            seen_by.K,
            seen_by.lens,
            camera.height_px,
            camera.width_px,
            self.rule.rasteriser,
        )
        return visible(depth, camera) if self.protocol.occlusion_test else depth

    def _neighbours(self, sample: Sample) -> list[list[Neighbour]]:
        """Return each camera's ring neighbours and the way to them."""
        rig, poses = sample.frame.rig, sample.frame.T_world_ego
        T = rig.T_ego_cam if poses is None or self.dataset != "ddad" else poses @ rig.T_ego_cam
        return [
            [Neighbour(rig.cameras[j], invert_rigid(T[j]) @ T[i]) for j in around if sample.frame.camera_valid[j]]
            for i, around in enumerate(ring_neighbours(rig))
        ]

    def _points(self, sample: Sample, i: int, camera: Camera) -> CameraTruth:
        """Return the points inside the image where they fell: strictly inside, as SelfOcc asks."""
        T_cam_lidar = self._T_cam_lidar(sample, i, camera)
        points = project_points(_lidar(sample).points_m, T_cam_lidar, camera.K, camera.lens)
        size = np.array([camera.width_px, camera.height_px])
        inside = ((points.uv_px > 0) & (points.uv_px < size)).all(axis=1)
        return _places(points.uv_px[inside], points.depth_m[inside].astype(np.float32), on_grid=False)

    def _T_cam_lidar(self, sample: Sample, i: int, camera: Camera) -> Array:
        poses = sample.frame.T_world_ego
        return T_cam_lidar_ego(_lidar(sample), None if poses is None else poses[i], camera)

    def _truth_camera(self, camera: Camera) -> Camera:
        """Return the camera whose K makes the truth: the recorded one, or R3D3's with a wrong vertical scale."""
        if self.rule.vertical_K_factor == 1.0:
            return camera
        K = camera.K.copy()
        K[1, 1:] *= self.rule.vertical_K_factor
        return replace(camera, K=K)

    def _on_network(self, sample: Sample, windows: tuple[ImageWindow, ...]) -> tuple[CameraTruth, ...]:
        rig = sample.frame.rig
        key = (rig.fingerprint, windows)
        if key not in self._plans:
            self._plans[key] = _plans_of(rig, windows)
        depth_m = truth_depth_m(sample, self._plans[key], self.kind)
        return tuple(_pixels(_sparse(values), on_grid=True) for values in depth_m)

    def _keeps(self, rig: Rig, camera: Camera, window: ImageWindow) -> NDArray[np.bool_]:
        """Return where the camera's published mask keeps the grid's pixels [h, w]."""
        key = (rig.fingerprint, camera.name, window)
        if key not in self._kept:
            assert camera.own_body is not None
            kept = kept_after_lanczos(camera.own_body, window.resized_height_px, window.resized_width_px)
            rows = slice(window.top_px, window.top_px + window.grid_height_px)
            self._kept[key] = kept[rows, window.left_px : window.left_px + window.grid_width_px]
        return self._kept[key]


NO_PIXEL = SparseDepth(*(np.empty(0, np.int64),) * 2, np.empty(0, np.float32), np.empty(0, np.int64))
_NOTHING = CameraTruth(np.empty((0, 2)), np.empty(0, np.float32), on_grid=False)


def _plans_of(rig: Rig, windows: tuple[ImageWindow, ...]) -> ImagePlans:
    """Return the plans whose windows these are."""
    sizes = {(window.grid_height_px, window.grid_width_px) for window in windows}
    if len(sizes) > 1:
        raise ConfigError(f"protocol network needs predictions of one size, these have {sorted(sizes)}; use strict")
    height_px, width_px = sizes.pop()
    spec = InputSpec(height_px=height_px, width_px=width_px)
    plans = (
        ImagePlan(camera, spec, window.resized_height_px, window.resized_width_px, window.top_px, window.left_px)
        for camera, window in zip(rig.cameras, windows, strict=True)
    )
    return ImagePlans(rig, spec, tuple(plans))


def _lidar(sample: Sample) -> PointCloud:
    if sample.lidar is None:
        raise DataError(f"frame {sample.frame.frame_id} has no LiDAR sweep to be scored against")
    return sample.lidar


def _dense(sample: Sample) -> DenseTruth:
    if sample.truth is None:
        raise DataError(f"frame {sample.frame.frame_id} has no dense truth; score it against lidar")
    return sample.truth


def _sparse(depth_m: NDArray[np.float32]) -> SparseDepth:
    row, column = np.nonzero(np.isfinite(depth_m))
    return SparseDepth(row, column, depth_m[row, column], np.arange(len(row)))


def _pixels(depth: SparseDepth, *, on_grid: bool) -> CameraTruth:
    return _places(depth.uv_px, depth.depth_m, on_grid=on_grid)


def _places(uv_px: NDArray[np.generic], depth_m: NDArray[np.float32], *, on_grid: bool) -> CameraTruth:
    return CameraTruth(uv_px.astype(np.float64), depth_m, on_grid)
