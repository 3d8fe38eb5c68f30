"""What predictions are compared with, brought to the network's cameras: exact dense depth, or LiDAR."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.lidar_depth import lidar_depth_maps
from surround_depth.data.sample import Sample
from surround_depth.errors import DataError
from surround_depth.imaging import ImagePlans

TruthKind = Literal["dense", "lidar"]


def truth_kinds(sample: Sample) -> tuple[TruthKind, ...]:
    """Return what `sample` can be compared with."""
    found: list[TruthKind] = []
    if sample.truth is not None:
        found.append("dense")
    if sample.lidar is not None and sample.lidar.T_world_ego is not None:
        found.append("lidar")
    return tuple(found)


def truth_depth_m(sample: Sample, plans: ImagePlans, kind: TruthKind) -> NDArray[np.float32]:
    """Return the true depth [N, H, W] of every network pixel; NaN where unknown, and on the own vehicle.

    Dense truth is picked at the nearest recorded pixel, never averaged across an edge. LiDAR points are projected into
    the network's cameras, the nearest one wins a pixel.

    Raises:
        DataError: the sample has no truth of this kind.
    """
    match kind:
        case "dense" if sample.truth is not None:
            pairs = zip(plans.plans, sample.truth.depth_m, strict=True)
            depth_m = np.stack([plan.sample_depth(values) for plan, values in pairs])
        case "lidar" if sample.lidar is not None:
            depth_m = lidar_depth_maps(sample, plans.network_rig)
        case _:
            raise DataError(
                f"frame {sample.frame.frame_id} has no {kind} truth; it has {truth_kinds(sample) or 'none'}"
            )
    depth_m = np.where(plans.own_body, np.nan, depth_m).astype(np.float32)
    depth_m[~sample.frame.camera_valid] = np.nan
    return depth_m


def truth_sky(sample: Sample, plans: ImagePlans) -> NDArray[np.bool_] | None:
    """Return where the network's pixels [N, H, W] look into the sky; None without dense truth."""
    if sample.truth is None:
        return None
    pairs = zip(plans.plans, sample.truth.sky, strict=True)
    return np.stack([plan.sample_nearest(sky) for plan, sky in pairs]) & ~plans.own_body
