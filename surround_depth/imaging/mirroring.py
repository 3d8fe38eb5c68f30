"""The mirrored vehicle: what a rig, its poses and its LiDAR become when left and right change sides (ego y -> -y).

A picture flipped left to right is the picture that a mirrored camera took of the mirrored street. The mirrored camera
must again be a camera: its rotation proper, its lens of the same model. `S` below is the reflection of a frame: y of
the ego, world and box frames, x of a camera. Cameras keep their names and order: a mirrored front left camera looks to
the right.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import DataError
from surround_depth.frame import PointCloud, SurroundFrame
from surround_depth.geometry import Array, Lens
from surround_depth.imaging.decode import decode_image
from surround_depth.rig import Camera

Real = TypeVar("Real", np.float32, np.float64)

_S_EGO = np.diag([1.0, -1.0, 1.0, 1.0])
_S_CAM = np.diag([-1.0, 1.0, 1.0, 1.0])


def mirrored_camera(camera: Camera) -> Camera:
    """Return the camera whose picture of the mirrored street is `camera`'s picture of the street, flipped.

    Column u becomes W - 1 - u, so cx moves there and the skew changes its sign. Of the lens only p2 is odd in x.
    """
    K = camera.K.copy()
    K[0, 2] = camera.width_px - 1 - K[0, 2]
    K[0, 1] = -K[0, 1]
    return replace(
        camera,
        K=K,
        T_ego_cam=mirrored_mount(camera.T_ego_cam),
        lens=_mirrored_lens(camera.lens),
        own_body=None if camera.own_body is None else camera.own_body[:, ::-1],
        own_body_polygons_px=tuple(
            tuple((camera.width_px - 1 - u, v) for u, v in outline) for outline in camera.own_body_polygons_px
        ),
    )


def mirrored_mount(T_ego_cam: NDArray[Real]) -> NDArray[Real]:
    """Return camera poses [..., 4, 4] on the mirrored vehicle: `T' = S_ego T S_cam`.

    Both factors change the sign of the determinant, so the rotation stays proper.
    """
    return _S_EGO.astype(T_ego_cam.dtype) @ T_ego_cam @ _S_CAM.astype(T_ego_cam.dtype)


def mirrored_pose(T: Array) -> Array:
    """Return poses [..., 4, 4] between two frames that both mirror in y: ego and box poses, in world or ego."""
    return np.asarray(_S_EGO @ T @ _S_EGO)


def mirrored_cloud(cloud: PointCloud) -> PointCloud:
    """Return the cloud of the mirrored street; what is known of each point stays with it.

    Raises:
        DataError: the cloud is in a sensor's own frame, of which nobody says where its left is.
    """
    if cloud.coordinate_frame == "sensor":
        raise DataError(f"cloud {cloud.frame_id}: bring it to the ego or world frame before it is mirrored")
    points_m = cloud.points_m * np.array([1.0, -1.0, 1.0], np.float32)
    T_world_ego = None if cloud.T_world_ego is None else mirrored_pose(cloud.T_world_ego)
    return replace(cloud, points_m=points_m, T_world_ego=T_world_ego)


def mirrored_frame(frame: SurroundFrame) -> SurroundFrame:
    """Return the frame of the mirrored street: pictures decoded and flipped, cameras and poses mirrored.

    Raises:
        DataError: an image cannot be decoded.
    """
    cameras = tuple(mirrored_camera(camera) for camera in frame.rig.cameras)
    pictures = (
        None if image is None or not valid else decode_image(image, camera, camera.height_px, camera.width_px)
        for image, valid, camera in zip(frame.images, frame.camera_valid, frame.rig.cameras, strict=True)
    )
    return replace(
        frame,
        rig=frame.rig.with_cameras(cameras),
        images=tuple(None if picture is None else np.ascontiguousarray(picture[:, ::-1]) for picture in pictures),
        T_world_ego=None if frame.T_world_ego is None else mirrored_pose(frame.T_world_ego),
    )


def _mirrored_lens(lens: Lens) -> Lens:
    if lens.model != "radtan":
        return lens
    k1, k2, p1, p2, *higher = lens.coefficients
    return Lens("radtan", (k1, k2, p1, -p2, *higher))
