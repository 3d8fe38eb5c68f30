"""Partners: second cameras beside those of a rig, for a teacher that sees pairs. One rendered tree serves both.

A partner is named after its camera, `CAM_FRONT` -> `CAM_FRONT_PARTNER`, and stands behind all own cameras in the rig.
It lies to the right of its camera, along that camera's x, with the same K, size, orientation and trigger time: the two
are a rectified pair by construction. `SyntheticSequence` splits them off (`split_partners`) before anybody else looks:
the frames of students, labels and scores are of the rig's own cameras alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from surround_depth.data.sample import DenseTruth, PartnerViews, Sample
from surround_depth.errors import CalibrationError
from surround_depth.frame import SurroundFrame
from surround_depth.geometry import Array, invert_rigid, rigid
from surround_depth.rig import Camera, Rig

PARTNER_SUFFIX = "_PARTNER"
BASELINE_M = 0.3
_SAME_MOMENT_NS = 1_000_000
_TOLERANCE = 1e-4  # metres, and entries of a rotation: what a tree's tables keep of a pose


def with_partners(rig: Rig, cameras: tuple[str, ...] | None = None, baseline_m: float = BASELINE_M) -> Rig:
    """Return the rig with a partner for each of `cameras` (None: of all) behind its own.

    They come last, so that a seed renders the own cameras' pictures as it does without them.

    Raises:
        CalibrationError: there is no such camera, its lens is no pinhole, or a name is that of a partner already.
    """
    for camera in rig.cameras:
        if camera.name.endswith(PARTNER_SUFFIX):
            raise CalibrationError(f"rig {rig.name!r}: {camera.name} is a partner already; take the rig without")
    partners = tuple(_partner_of(rig.camera(name), baseline_m) for name in (rig.names if cameras is None else cameras))
    return rig.with_cameras((*rig.cameras, *partners))


def _partner_of(camera: Camera, baseline_m: float) -> Camera:
    if camera.lens.model != "pinhole":
        raise CalibrationError(
            f"{camera.name}: a {camera.lens.model} lens; only pinhole cameras make rectified pairs, leave it out"
        )
    T_cam_partner = rigid(np.eye(3), [baseline_m, 0.0, 0.0])
    return replace(
        camera,
        name=camera.name + PARTNER_SUFFIX,
        T_ego_cam=camera.T_ego_cam @ T_cam_partner,
        own_body=None,
        own_body_polygons_px=(),
    )


@dataclass(frozen=True)
class _Split:
    """Where own cameras and partners stand in a rig that has both."""

    own_rig: Rig
    own: tuple[int, ...]
    partner: tuple[int | None, ...]  # per own camera
    baseline_m: tuple[float, ...]  # per own camera, NaN = none


def split_partners(sample: Sample) -> Sample:
    """Return the sample of the rig's own cameras, the partners' pictures beside it; as it is where there are none.

    Raises:
        CalibrationError: a partner has no camera, or they are no rectified pair.
        DataError: no own camera is valid.
    """
    frame, truth = sample.frame, sample.truth
    split = _split_of(frame.rig)
    if split is None:
        return sample
    own = list(split.own)
    own_frame = replace(
        frame,
        rig=split.own_rig,
        images=tuple(frame.images[i] for i in own),
        stamps_ns=frame.stamps_ns[own],
        T_world_ego=None if frame.T_world_ego is None else frame.T_world_ego[own],
        camera_valid=frame.camera_valid[own],
    )
    seen = [i is not None and _of_one_moment(frame, at, i) for at, i in zip(own, split.partner, strict=True)]
    pairs = zip(split.partner, seen, strict=True)
    partners = PartnerViews(
        images=tuple(frame.images[i] if i is not None and alive else None for i, alive in pairs),
        baseline_m=np.where(seen, split.baseline_m, np.nan),
    )
    own_truth = None if truth is None else _truth_of(truth, own)
    return replace(sample, frame=own_frame, truth=own_truth, partners=partners)


def _of_one_moment(frame: SurroundFrame, camera: int, partner: int) -> bool:
    """Return whether a partner has a picture, and of its camera's moment: what moves would be no pair."""
    apart_ns = abs(int(frame.stamps_ns[partner]) - int(frame.stamps_ns[camera]))
    return bool(frame.camera_valid[partner] and frame.camera_valid[camera]) and apart_ns <= _SAME_MOMENT_NS


def _truth_of(truth: DenseTruth, own: list[int]) -> DenseTruth:
    return DenseTruth(tuple(truth.depth_m[i] for i in own), tuple(truth.sky[i] for i in own))


@lru_cache(maxsize=8)  # by the rig's identity: the frames of a drive share one, and so must their own-camera frames
def _split_of(rig: Rig) -> _Split | None:
    own = tuple(i for i, name in enumerate(rig.names) if not name.endswith(PARTNER_SUFFIX))
    if len(own) == len(rig):
        return None
    own_rig = rig.select(tuple(rig.names[i] for i in own))
    partner: list[int | None] = [None] * len(own)
    baseline_m = [float("nan")] * len(own)
    for i, camera in enumerate(rig.cameras):
        if camera.name.endswith(PARTNER_SUFFIX):
            place = own_rig.index(camera.name.removesuffix(PARTNER_SUFFIX))
            partner[place] = i
            baseline_m[place] = _baseline_m(own_rig.cameras[place], camera)
    return _Split(own_rig, own, tuple(partner), tuple(baseline_m))


def _baseline_m(camera: Camera, partner: Camera) -> float:
    """Return how far the partner lies along the camera's x."""
    T_cam_partner: Array = invert_rigid(camera.T_ego_cam) @ partner.T_ego_cam
    x, y, z = T_cam_partner[:3, 3]
    sizes = {(one.height_px, one.width_px, one.lens) for one in (camera, partner)}
    turned = not np.allclose(T_cam_partner[:3, :3], np.eye(3), atol=_TOLERANCE)
    if len(sizes) > 1 or not np.allclose(camera.K, partner.K) or turned or max(abs(y), abs(z)) > _TOLERANCE or x == 0:
        raise CalibrationError(
            f"{partner.name}: not beside {camera.name} with the same lens, size and orientation (offset {x:.4f}, "
            f"{y:.4f}, {z:.4f} m in its frame); make the rig with `with_partners`"
        )
    return float(x)
