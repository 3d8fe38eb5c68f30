"""Stereo pairs of a synthetic tree that was rendered with partners: exact disparity from exact depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from surround_depth.data.sample import PartnerViews, Sample
from surround_depth.data.stereo import ListedPairs, StereoPair
from surround_depth.data.synthetic_tree import SyntheticDataset
from surround_depth.errors import DataError
from surround_depth.imaging import decode_image


def pair_of(sample: Sample, camera: int) -> StereoPair | None:
    """Return the pair of one camera of a sample that was split, with its exact disparity; None where there is none.

    Raises:
        DataError: a picture is damaged, or the sample has no dense truth.
    """
    frame, partners, truth = sample.frame, sample.partners, sample.truth
    left = frame.images[camera] if frame.camera_valid[camera] else None
    right = None if partners is None else partners.images[camera]
    if left is None or right is None or partners is None:
        return None
    if truth is None:
        raise DataError(f"frame {frame.frame_id}: no dense truth, and disparities are made of it")
    one, baseline_m = frame.rig.cameras[camera], float(partners.baseline_m[camera])
    disparity_px = np.where(truth.sky[camera], 0.0, one.K[0, 0] * baseline_m / truth.depth_m[camera])
    if one.own_body is not None:  # the exact depth of the own vehicle is not kept
        disparity_px = np.where(one.own_body, np.nan, disparity_px)
    left_rgb, right_rgb = (decode_image(image, one, one.height_px, one.width_px) for image in (left, right))
    name = f"{frame.frame_id}/{one.name}"
    return StereoPair(name, left_rgb, right_rgb, one.K, baseline_m, disparity_px.astype(np.float32))


def open_synthetic_pairs(root: str | Path) -> ListedPairs:
    """Return every pair of a tree that was rendered with a rig of partners, in order of scenes.

    Raises:
        DataError: it is no synthetic tree, or its rig has no partners.
    """
    dataset = SyntheticDataset(root)
    drives = [dataset.sequence(scene) for scene in dataset.scenes()]
    # the first sample stands for its drive: a partner may die later, and reading that pair then says so
    places = [
        (drive, i, camera) for drive in drives for i in range(len(drive)) for camera in _paired(drive[0].partners)
    ]
    if not places:
        raise DataError(
            f"{root}: no camera has a partner; render it with a rig that has them, for example "
            "tools/make_synthetic.py --rig nuscenes_stereo"
        )

    def read(index: int) -> StereoPair:
        drive, i, camera = places[index]
        pair = pair_of(drive[i], camera)
        if pair is None:
            raise DataError(f"sample {i} of {drive.name}: a picture of the pair is missing; render the tree again")
        return pair

    return ListedPairs(dataset.name, dataset.licence, tuple(drive.name for drive, _, _ in places), read)


def _paired(partners: PartnerViews | None) -> list[int]:
    return [] if partners is None else np.flatnonzero(np.isfinite(partners.baseline_m)).tolist()
