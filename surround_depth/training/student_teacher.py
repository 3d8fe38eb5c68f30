"""A trained student of this project as the teacher of another: a larger one, or one that was taught with more.

It sees the whole rig, and has features, sky and a confidence. With it every loss on features and relations can be run,
and studied, without weights from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from surround_depth.errors import ConfigError, DataError
from surround_depth.files import file_sha256
from surround_depth.models.checkpoint import CONFIG_NAME, WEIGHTS_NAME, Checkpoint, load_student, read_checkpoint_config
from surround_depth.models.student import StudentOutput
from surround_depth.teachers.build import StudentTeacherConfig, TeacherConfig, build_teacher
from surround_depth.teachers.device import require_device
from surround_depth.teachers.label_cache import CachedTeacher
from surround_depth.teachers.patches import RAY_STRIDE
from surround_depth.teachers.teacher import Teacher, TeacherInput, TeacherLabel

_FAR_SHARE = 0.9  # of the range: what a student trained towards the far end for sky says of it


def open_teacher(config: TeacherConfig, *, required: bool = False) -> Teacher | None:
    """Return the teacher that a configuration means (`teachers.build_teacher`): a student of ours too, or kept labels.

    Args:
        required: of kept labels none may be missing; else the teacher itself says what is.

    Raises:
        ConfigError, DataError: it cannot be found or opened.
    """
    teacher = build_teacher(config, StudentTeacher)
    if teacher is None or config.cache is None:
        return teacher
    folder = Path(config.cache).expanduser()
    if not folder.is_dir():
        raise ConfigError(
            f"teacher.cache: there is no folder {folder}; make it with tools/cache_teacher.py, or correct it"
        )
    return CachedTeacher(teacher, folder, required=required)


class StudentTeacher:
    """Labels with a checkpoint of ours.

    Args:
        config: `directory` is read when the first label is asked for.

    Raises:
        ConfigError: no directory is given.
        DataError: it is no checkpoint directory.
    """

    def __init__(self, config: StudentTeacherConfig) -> None:
        if config.directory is None:
            raise ConfigError("teacher.student.directory is missing: kind 'student' needs a checkpoint directory")
        self._directory = Path(config.directory).expanduser()
        self._config = read_checkpoint_config(self._directory)
        self.metric, self._device = config.metric, config.device
        folder = self._directory.resolve()
        self.name = f"student {folder.parent.name}/{folder.name} ({self._config.provenance.get('commit', 'no commit')})"

    @property
    def licence(self) -> str:
        """The strictest of what its weights were made of."""
        known = self._config.provenance.get("licence")
        return str(known["name"]) if isinstance(known, dict) else "not stated in its provenance"

    @property
    def lineage(self) -> tuple[dict[str, str], ...]:
        """What its weights were made of, each with its licence; empty where its provenance does not say."""
        return tuple(dict(entry) for entry in self._config.provenance.get("lineage") or ())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over weights, configuration, and whether its metres are kept."""
        hashes = [file_sha256(self._directory / name) for name in (WEIGHTS_NAME, CONFIG_NAME)]
        return hashlib.sha256(json.dumps([*hashes, self.metric]).encode()).hexdigest()

    def __call__(self, sample: TeacherInput) -> TeacherLabel:
        """Return inverse depth, sky and the features at stride 8.

        A window of a picture is shown to it enlarged, as if through a longer lens; its features are those of what it
        was shown.

        Raises:
            DataError: the rays of the cameras are not given.
        """
        if sample.rays is None or sample.T_ego_cam is None:
            raise DataError(
                f"{sample.sample_id}: a student looks along rays, and none are given; pass rays and T_ego_cam"
            )
        height_px, width_px = (RAY_STRIDE * n for n in sample.rays.shape[1:3])
        depth_m, seen = self._run(sample, _resized(sample.images, height_px, width_px))
        inverse_per_m = _resized(1.0 / depth_m, *sample.images.shape[1:3])
        living = sample.camera_valid[:, None, None]
        sky = (inverse_per_m < 1.0 / (_FAR_SHARE * self._config.student.bins.max_depth_m)) & living
        features = np.where(sample.camera_valid[:, None, None, None], seen, 0.0)
        return TeacherLabel(inverse_per_m.astype(np.float32), living & ~sky, sky, features.astype(np.float16))

    def _run(self, sample: TeacherInput, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return the depth [N, H, W] of the student and its features [N, C, h, w]."""
        student = self._checkpoint.student  # built outside: an encoder probes itself with gradients
        given = (images, sample.rays, sample.T_ego_cam, sample.camera_valid.astype(np.float32))
        with torch.inference_mode():
            output: StudentOutput = student(
                *(torch.from_numpy(np.asarray(one))[None].to(self._device) for one in given)
            )
        return output.depth_m[0].cpu().numpy(), output.features[0].cpu().numpy()

    @cached_property
    def _checkpoint(self) -> Checkpoint:
        require_device(self._device, "teacher.student.device")
        loaded = load_student(self._directory)
        loaded.student.to(self._device)
        return loaded


def _resized(pictures: NDArray[Any], height_px: int, width_px: int) -> NDArray[Any]:
    """Return pictures or maps [N, H, W, ...] at another size; as they are where it is theirs."""
    if pictures.shape[1:3] == (height_px, width_px):
        return pictures
    return np.stack([cv2.resize(one, (width_px, height_px), interpolation=cv2.INTER_LINEAR) for one in pictures])
