"""A teacher that sees a second view: metric depth of every camera with a partner, and how far it trusts itself.

In the spirit of ADU-Depth (arXiv 2309.14744; its equations are not available to us): the teacher looks at left-right
pairs, the student at one picture (distillation.md, D11 to D13). `tools/train_stereo.py` trains it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from surround_depth.config import StrictModel
from surround_depth.errors import ConfigError, DataError
from surround_depth.files import file_sha256
from surround_depth.teachers.device import Device, require_device
from surround_depth.teachers.stereo_checkpoint import WEIGHTS_NAME, load_stereo, read_stereo_config
from surround_depth.teachers.stereo_net import FEATURE_STRIDE, StereoNet, both_views
from surround_depth.teachers.stereo_trust import disparity_trust
from surround_depth.teachers.teacher import TeacherInput, TeacherLabel


class StereoTeacherConfig(StrictModel):
    """A stereo network of `tools/train_stereo.py` as teacher."""

    directory: str | None = None
    """Of its checkpoint."""
    far_m: float = Field(default=120.0, gt=0.0)
    """What it puts beyond is called sky: it learnt a disparity of 0 there, and cannot tell it from what is so far."""
    device: Device = "cpu"
    """Where it runs; a loader's workers (`data.n_workers`) cannot share a GPU."""


class StereoTeacher:
    """Labels cameras that have a partner; others are valid nowhere, and their features are 0.

    Args:
        config: `directory` is read when the first label is asked for.

    Raises:
        ConfigError: no directory is given.
        DataError: it is no checkpoint of a stereo network.
    """

    metric = True

    def __init__(self, config: StereoTeacherConfig) -> None:
        if config.directory is None:
            raise ConfigError("teacher.stereo.directory is missing: kind 'stereo' needs a checkpoint directory")
        self._directory = Path(config.directory).expanduser()
        self._far_m, self._device = config.far_m, config.device
        self._provenance = read_stereo_config(self._directory).provenance
        folder = self._directory.resolve()
        self.name = f"stereo {folder.parent.name}/{folder.name} ({self._provenance.get('commit', 'no commit')})"

    @property
    def licence(self) -> str:
        """The strictest of what its weights were made of."""
        known = self._provenance.get("licence")
        return str(known["name"]) if isinstance(known, dict) else "not stated in its provenance"

    @property
    def lineage(self) -> tuple[dict[str, str], ...]:
        """What its weights were made of, each with its licence; empty where its provenance does not say."""
        return tuple(dict(entry) for entry in self._provenance.get("lineage") or ())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the weights and of where sky begins."""
        return hashlib.sha256(f"{file_sha256(self._directory / WEIGHTS_NAME)}/{self._far_m}".encode()).hexdigest()

    def __call__(self, sample: TeacherInput) -> TeacherLabel:
        """Return inverse depth, sky, trust, and features [N, C, ceil(H/8), ceil(W/8)].

        Raises:
            DataError: second views, baselines or focal lengths are not given.
        """
        if sample.second_images is None or sample.baseline_m is None or sample.focal_px is None:
            raise DataError(
                f"{sample.sample_id}: a stereo teacher needs second views, and these pictures have none; render the "
                "tree with a rig of partners (calib/rigs/nuscenes_stereo.yaml), or choose another teacher.kind"
            )
        n, height_px, width_px = sample.images.shape[:3]
        inverse_per_m = np.zeros((n, height_px, width_px), np.float32)
        trust = np.zeros(inverse_per_m.shape, np.float16)
        cells = (-(-height_px // FEATURE_STRIDE), -(-width_px // FEATURE_STRIDE))
        features = np.zeros((n, self._net.feature_channels, *cells), np.float16)
        scale = sample.focal_px * np.abs(sample.baseline_m)  # px m
        paired = sample.camera_valid & np.isfinite(scale) & (scale > 0)
        for camera in np.flatnonzero(paired):
            pair = (sample.images[camera], sample.second_images[camera])
            seen = self._seen(*pair) if sample.baseline_m[camera] > 0 else self._seen(*map(_flipped, pair)).flipped()
            inverse_per_m[camera] = seen.disparity_px / scale[camera]
            trust[camera], features[camera] = seen.trust, seen.features
        sky = (inverse_per_m < 1.0 / self._far_m) & paired[:, None, None]
        return TeacherLabel(inverse_per_m, paired[:, None, None] & ~sky, sky, features, trust)

    def _seen(self, left: NDArray[np.uint8], right: NDArray[np.uint8]) -> _Seen:
        """Return what the network says of a picture [H, W, 3] whose partner lies to its right."""
        net = self._net
        with torch.inference_mode():
            output, of_right_px = both_views(net, *(_to_unit(one).to(self._device) for one in (left, right)))
            left_px, right_px = (one[0].clamp(min=0.0).cpu().numpy() for one in (output.disparity_px, of_right_px))
        trust = disparity_trust(left_px, right_px)
        return _Seen(left_px, trust, output.features[0].cpu().numpy().astype(np.float16))

    @cached_property
    def _net(self) -> StereoNet:
        require_device(self._device, "teacher.stereo.device")
        return load_stereo(self._directory).to(self._device)


@dataclass(frozen=True)
class _Seen:
    """Of one picture."""

    disparity_px: NDArray[np.float32]  # [H, W]
    trust: NDArray[np.float16]  # [H, W]
    features: NDArray[np.float16]  # [C, h, w]

    def flipped(self) -> _Seen:
        """Return what was said of the flipped picture, turned back."""
        return _Seen(self.disparity_px[:, ::-1], self.trust[:, ::-1], self.features[..., ::-1])


def _flipped(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(picture[:, ::-1])


def _to_unit(picture: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].float() / 255.0
