"""Is a frame from the rig the pipeline was planned for? If not, say in one line what differs."""

from __future__ import annotations

import numpy as np

from surround_depth.errors import CalibrationError
from surround_depth.rig import Camera, Rig


def require_same_rig(planned: Rig, given: Rig) -> None:
    """Accept the planned rig, or another object with exactly its calibration.

    Raises:
        CalibrationError: names the first difference and what to do.
    """
    if given is planned or given.fingerprint == planned.fingerprint:
        return
    raise CalibrationError(
        f"the frame's rig '{given.name}' is not the pipeline's rig '{planned.name}': {rig_difference(planned, given)}; "
        "make a new SurroundDepthPipeline with the frame's rig (the engine stays)"
    )


def rig_difference(planned: Rig, given: Rig) -> str:
    """Return the first difference of two rigs that have different fingerprints."""
    if given.names != planned.names:
        return f"cameras {', '.join(given.names)} instead of {', '.join(planned.names)}"
    differences = (_camera_difference(*pair) for pair in zip(planned.cameras, given.cameras, strict=True))
    return next(difference for difference in differences if difference)


def _camera_difference(planned: Camera, given: Camera) -> str:
    if (given.height_px, given.width_px) != (planned.height_px, planned.width_px):
        sizes = f"{given.width_px}x{given.height_px} instead of {planned.width_px}x{planned.height_px} pixels"
        return f"{planned.name} has {sizes}"
    if given.lens != planned.lens:
        return f"{planned.name} has lens {given.lens} instead of {planned.lens}"
    if not np.array_equal(given.K, planned.K):
        return f"{planned.name} has another K (largest change {np.abs(given.K - planned.K).max():.3g} px)"
    if not np.array_equal(given.T_ego_cam, planned.T_ego_cam):
        moved_m = np.linalg.norm(given.T_ego_cam[:3, 3] - planned.T_ego_cam[:3, 3])
        cosine = (np.trace(given.T_ego_cam[:3, :3].T @ planned.T_ego_cam[:3, :3]) - 1.0) / 2.0
        turned_deg = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
        return f"{planned.name} moved by {moved_m:.3g} m and turned by {turned_deg:.3g} degrees"
    if given.trigger_offset_ms != planned.trigger_offset_ms:
        return f"{planned.name} fires at {given.trigger_offset_ms} ms instead of {planned.trigger_offset_ms} ms"
    if not np.array_equal(_own_body(given), _own_body(planned)):
        return f"{planned.name} has another own-body mask"
    return ""


def _own_body(camera: Camera) -> np.ndarray:
    return np.zeros(0) if camera.own_body is None else camera.own_body
