"""What a training of the stereo teacher says of itself: errors, origin and card."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surround_depth.data.stereo import StereoPair, StereoPairs
from surround_depth.provenance import command_line, package_versions, source_commit
from surround_depth.training.licences import effective_licence
from surround_depth.training.stereo_config import StereoTrainConfig

_FARTHEST_M = 80.0  # of the depths that AbsRel counts
_HORIZON_M = 200.0  # a disparity of 0 is taken as this depth


@dataclass(frozen=True)
class DisparityErrors:
    """Means over all pixels whose disparity is known; NaN where there is none."""

    epe_px: float
    """|disparity - truth|."""
    d1: float
    """Share of pixels off by more than 3 px and 5 %, as KITTI 2015 counts outliers."""
    abs_rel: float
    """|depth - truth| / truth up to 80 m."""
    n_pixels: int


def mean_errors(pairs: Iterable[tuple[StereoPair, NDArray[np.float32]]]) -> DisparityErrors:
    """Return the errors over all pixels of pairs with the disparities that are compared with them."""
    gaps, outliers, ratios = [], [], []
    for pair, disparity_px in pairs:
        truth_px = pair.disparity_px
        known = np.isfinite(truth_px)
        gap = np.abs(disparity_px[known] - truth_px[known])
        gaps.append(gap)
        outliers.append((gap > 3.0) & (gap > 0.05 * truth_px[known]))
        near = known & (pair.depth_m <= _FARTHEST_M)
        scale = pair.K[0, 0] * pair.baseline_m
        ratios.append(np.abs(scale / np.maximum(disparity_px[near], scale / _HORIZON_M) / pair.depth_m[near] - 1.0))
    epe_px, d1, abs_rel = (
        float(np.mean(one)) if one.size else float("nan") for one in map(np.concatenate, (gaps, outliers, ratios))
    )
    return DisparityErrors(epe_px, d1, abs_rel, n_pixels=sum(map(len, gaps)))


def stereo_provenance(
    config: StereoTrainConfig,
    pairs: StereoPairs,
    places: tuple[list[int], list[int]],
    errors: DisparityErrors,
    constant: DisparityErrors,
) -> dict[str, Any]:
    """Return where a stereo teacher comes from: its configuration, data, errors, lineage of licences, commit, versions.

    Args:
        places: of the pairs that trained, and of those that were held out.
        errors, constant: see `StereoResult`.
    """
    roles = ("train", "val")
    drives = [[*dict.fromkeys(pairs.drives[i] for i in part)] for part in places]
    lineage = [
        {"kind": "data", "name": pairs.name, "licence": pairs.licence},
        {"kind": "initialisation", "name": "random", "licence": "none"},
    ]
    return {
        "config": config.model_dump(mode="json"),
        "drives": dict(zip(roles, drives, strict=True)),
        "n_pairs": dict(zip(roles, map(len, places), strict=True)),
        "errors": asdict(errors),
        "constant": asdict(constant),
        "lineage": lineage,
        "licence": effective_licence(lineage).as_dict(),
        "commit": source_commit(),
        "command": command_line(),
        "versions": package_versions(("surround_depth", "torch", "numpy")),
    }


def stereo_card(config: StereoTrainConfig, facts: dict[str, Any]) -> str:
    """Return the card as Markdown, from what `stereo_provenance` returned."""
    errors, constant = (error_line(DisparityErrors(**facts[key])) for key in ("errors", "constant"))
    return f"""# {config.name}

A stereo teacher of surround_depth: a rectified pair in, the disparity of its left picture out. Our design, in the
spirit of ADU-Depth (arXiv 2309.14744; its equations are not available to us).

- data: {facts["lineage"][0]["name"]} ({facts["lineage"][0]["licence"]}), {facts["n_pairs"]["train"]} pairs train
- trained for {config.steps} steps of {config.batch_size} pairs at {config.input.height_px} x {config.input.width_px}
- errors on {facts["n_pairs"]["val"]} pairs of drives that were held out: {errors}
- of one disparity for all pixels there: {constant}
- licence of what it was made of: {facts["licence"]["name"]}
- commit {facts["commit"]}: `{facts["command"]}`
"""


def error_line(errors: DisparityErrors) -> str:
    """Return the errors in words."""
    return f"{errors.epe_px:.3f} px, {errors.d1:.2%} off by more than 3 px, AbsRel {errors.abs_rel:.3f}"
