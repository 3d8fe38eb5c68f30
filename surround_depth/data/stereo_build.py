"""The one place that knows which stereo data there are."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from surround_depth.config import StrictModel
from surround_depth.data.stereo import StereoPairs
from surround_depth.data.stereo_driving import open_driving_stereo
from surround_depth.data.stereo_kitti import open_kitti_2015
from surround_depth.data.stereo_synthetic import open_synthetic_pairs


class StereoDataConfig(StrictModel):
    """Where the pairs come from."""

    kind: Literal["synthetic", "kitti_2015", "driving_stereo"] = "synthetic"
    """`synthetic`: a tree that was rendered with a rig of partners (`data.stereo_partners`)."""
    root: str
    split: Literal["train", "test"] = "train"
    """Of DrivingStereo."""
    n_val_drives: int = Field(default=1, ge=1)
    """The last drives are held out: scenes of a synthetic tree, sequences of DrivingStereo, pairs of KITTI 2015."""


def open_stereo_pairs(config: StereoDataConfig) -> StereoPairs:
    """Return the pairs of a stereo tree; its folders and tables are read, no picture is.

    Raises:
        DataError: it is no such tree, or a file that its pictures need is missing.
    """
    match config.kind:
        case "synthetic":
            return open_synthetic_pairs(config.root)
        case "kitti_2015":
            return open_kitti_2015(config.root)
        case "driving_stereo":
            return open_driving_stereo(config.root, config.split)
