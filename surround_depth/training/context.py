"""The neighbouring pictures of a sample, for the photometric term: where they were taken from, and by which lens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import ConfigError
from surround_depth.frame import SurroundFrame
from surround_depth.geometry import invert_rigid
from surround_depth.imaging import ImagePlans, mirrored_mount
from surround_depth.rig import Rig


@dataclass(frozen=True)
class PreparedContext:
    """The numpy twin of `losses.photometric.ViewContext`, of one sample. T moments, the sample's own first."""

    images: tuple[NDArray[np.uint8], ...]  # T x [N, H, W, 3]: no colour change, no corruption
    valid: NDArray[np.bool_]  # [T, N]
    T_ref_cam: NDArray[np.float32]  # [T, N, 4, 4]; the reference is the ego frame of the sample's first living camera
    K: NDArray[np.float32]  # [N, 3, 3]


def prepare_context(
    frame: SurroundFrame,
    images: NDArray[np.uint8],
    around: Sequence[SurroundFrame | None],
    plans: ImagePlans,
) -> PreparedContext:
    """Return the context of a frame whose network images [N, H, W, 3] are `images`.

    Args:
        around: the frames before and after, None where there is none. One that another rig recorded is left out.
        plans: those of `frame`; the others are prepared by them too.

    Raises:
        ConfigError: a lens is no pinhole, or the ego poses are unknown.
        DataError: an image of a neighbouring frame is damaged.
    """
    for camera in plans.network_rig.cameras:
        if camera.lens.model != "pinhole":
            raise ConfigError(
                f"loss.photometric: {camera.name} of {frame.frame_id} has a {camera.lens.model} lens; the term warps "
                "pinhole pictures only: set its weight to 0"
            )
    T_world_cam = _T_world_cam(frame, plans.network_rig)
    T_ref_world = invert_rigid(_T_world_ego(frame)[int(np.argmax(frame.camera_valid))])
    blank = np.zeros_like(images)
    pictures, valid, poses = [images], [frame.camera_valid], [T_ref_world @ T_world_cam]
    for other in around:
        if other is None or other.rig.fingerprint != frame.rig.fingerprint:
            pictures.append(blank)
            valid.append(np.zeros_like(frame.camera_valid))
            poses.append(poses[0])
        else:
            pictures.append(plans.prepare(other.images))
            valid.append(other.camera_valid)
            poses.append(T_ref_world @ _T_world_cam(other, plans.network_rig))
    living = np.stack(valid)
    # the pose of a dead camera may be anything: one that cannot spoil a gradient takes its place
    T_ref_cam = np.where(living[..., None, None], np.stack(poses), np.eye(4))
    return PreparedContext(
        images=tuple(pictures),
        valid=living,
        T_ref_cam=T_ref_cam.astype(np.float32),
        K=np.stack([camera.K for camera in plans.network_rig.cameras]).astype(np.float32),
    )


def mirror_context(context: PreparedContext) -> PreparedContext:
    """Return the context that the mirrored vehicle would have recorded; see `imaging.mirroring`."""
    width_px = context.images[0].shape[2]
    K = context.K.copy()
    K[:, 0, 2] = width_px - 1 - K[:, 0, 2]
    K[:, 0, 1] = -K[:, 0, 1]
    return replace(
        context,
        images=tuple(np.stack([cv2.flip(image, 1) for image in images]) for images in context.images),
        T_ref_cam=mirrored_mount(context.T_ref_cam),
        K=K,
    )


def without_camera(context: PreparedContext, camera: int) -> PreparedContext:
    """Return the context in which a camera is dead at all moments: neither target nor source."""
    valid = context.valid.copy()
    valid[:, camera] = False
    return replace(context, valid=valid)


def pad_context(context: PreparedContext, n_cameras: int) -> PreparedContext:
    """Return the context with dead cameras behind its own, `n_cameras` in all."""
    n_dead = n_cameras - context.valid.shape[1]

    def behind(array: NDArray[Any], axis: int, value: float) -> NDArray[Any]:
        return np.pad(array, _behind(array.ndim, axis, n_dead), constant_values=value)

    def repeated(array: NDArray[Any], axis: int) -> NDArray[Any]:
        """A repeated pose or K keeps the geometry invertible."""
        return np.pad(array, _behind(array.ndim, axis, n_dead), "edge")

    return PreparedContext(
        images=tuple(behind(images, 0, 0) for images in context.images),
        valid=behind(context.valid, 1, False),
        T_ref_cam=repeated(context.T_ref_cam, 1),
        K=repeated(context.K, 0),
    )


def _behind(n_axes: int, axis: int, n: int) -> list[tuple[int, int]]:
    return [(0, n if a == axis else 0) for a in range(n_axes)]


def _T_world_ego(frame: SurroundFrame) -> NDArray[np.float64]:
    if frame.T_world_ego is None:
        raise ConfigError(
            f"loss.photometric: {frame.frame_id} has no ego poses, and the term needs to know how the vehicle moved; "
            "set its weight to 0"
        )
    return frame.T_world_ego


def _T_world_cam(frame: SurroundFrame, rig: Rig) -> NDArray[np.float64]:
    return np.asarray(_T_world_ego(frame) @ rig.T_ego_cam)
