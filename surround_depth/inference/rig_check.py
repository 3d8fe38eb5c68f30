"""Is a frame from the rig the pipeline was planned for? If not, say in one line what differs."""

from __future__ import annotations

import numpy as np

from surround_depth.errors import CalibrationError
from surround_depth.rig import Camera, Rig

# A rig that went through a file differs by rounding: quaternion to matrix costs 1e-16. These are far below any effect.
_SAME_K_PX = 1e-6
_SAME_POSE = 1e-9


def require_same_calibration(planned: Rig, given: Rig) -> None:
    """Accept the planned rig, or another with the same cameras: names, sizes, lenses, K and poses up to rounding.

    Own-body masks and trigger times are the planned rig's choice and are not compared.

    Raises:
        CalibrationError: names the first difference and what to do.
    """
    difference = rig_difference(planned, given)
    if difference:
        raise CalibrationError(
            f"the frame's rig '{given.name}' is not the pipeline's rig '{planned.name}': {difference}; "
            "make a new SurroundDepthPipeline with the frame's rig (the engine stays)"
        )


def rig_difference(planned: Rig, given: Rig) -> str:
    """Return the first difference of two rigs' calibrations in words, "" where there is none."""
    if given.names != planned.names:
        return f"cameras {', '.join(given.names)} instead of {', '.join(planned.names)}"
    differences = (_camera_difference(*pair) for pair in zip(planned.cameras, given.cameras, strict=True))
    return next(filter(None, differences), "")


def _camera_difference(planned: Camera, given: Camera) -> str:
    if (given.height_px, given.width_px) != (planned.height_px, planned.width_px):
        sizes = f"{given.width_px}x{given.height_px} instead of {planned.width_px}x{planned.height_px} pixels"
        return f"{planned.name} has {sizes}"
    if given.lens != planned.lens:
        return f"{planned.name} has lens {given.lens} instead of {planned.lens}"
    change_px = np.abs(given.K - planned.K).max()
    if change_px > _SAME_K_PX:
        return f"{planned.name} has another K (largest change {change_px:.3g} px)"
    if np.abs(given.T_ego_cam - planned.T_ego_cam).max() > _SAME_POSE:
        moved_m = np.linalg.norm(given.T_ego_cam[:3, 3] - planned.T_ego_cam[:3, 3])
        cosine = (np.trace(given.T_ego_cam[:3, :3].T @ planned.T_ego_cam[:3, :3]) - 1.0) / 2.0
        turned_deg = np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))
        return f"{planned.name} moved by {moved_m:.3g} m and turned by {turned_deg:.3g} degrees"
    return ""
