"""Metres from pictures alone: a student that sees a textured road and knows how it moved, and no depth at all."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import pytest
import torch
from flat_road import FakeSequence, road_depth_m

from surround_depth.data.sample import Sample
from surround_depth.geometry import ray_grid, rigid
from surround_depth.imaging import InputSpec
from surround_depth.losses.build import training_loss
from surround_depth.losses.config import LossConfig
from surround_depth.models.config import BinConfig
from surround_depth.models.presets import student_preset
from surround_depth.models.student import Student
from surround_depth.rig import Camera
from surround_depth.training.dataset import Batch, collate
from surround_depth.training.samples import SamplePreparer, SampleStore
from surround_depth.training.targets import make_targets

STEP_M, PX_PER_M = 0.5, 8.0
PICTURES_ALONE = LossConfig.model_validate(
    {"silog": 0, "sky": 0, "confidence": 0, "confidence_sky": 0, "kl": 0, "photometric": {"weight": 1.0}}
)
torch.set_num_threads(1)


@dataclass(frozen=True, eq=False)
class TexturedRoad:
    """The front camera's drive straight on, half a metre in half a second; no LiDAR."""

    name: str = "textured"

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> Sample:
        frame = FakeSequence(n_samples=5)[index].frame
        rig = frame.rig.select(("FRONT",))
        T_world_ego = rigid(np.eye(3), [STEP_M * index, 0.0, 0.0])
        frame = replace(
            frame,
            rig=rig,
            images=(road_picture(rig.cameras[0], T_world_ego),),
            stamps_ns=np.array([1_000_000_000 + index * 500_000_000]),
            T_world_ego=T_world_ego[None],
            camera_valid=np.ones(1, bool),
        )
        return Sample(frame, lidar=None)


def road_picture(camera: Camera, T_world_ego: np.ndarray) -> np.ndarray:
    """Return the texture of the ground, looked up by OpenCV where each pixel's ray meets it; black above."""
    texture = cv2.GaussianBlur(np.random.default_rng(0).uniform(0, 255, (512, 512, 3)), (0, 0), 4.0)
    texture = ((texture - texture.mean()) * 8 + 127).clip(0, 255).astype(np.float32)
    rays = ray_grid(camera.height_px, camera.width_px, camera.K)
    depth_m = road_depth_m(camera)
    T = T_world_ego @ camera.T_ego_cam
    places_m = (rays * (depth_m / rays[..., 2])[..., None]) @ T[:3, :3].T + T[:3, 3]
    columns, rows = (np.nan_to_num(places_m[..., i] * PX_PER_M, nan=-1e4).astype(np.float32) for i in (0, 1))
    picture = cv2.remap(texture, columns, rows + 256, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return picture.round().astype(np.uint8)


def abs_rel(student: Student, batch: Batch, truth_m: np.ndarray) -> float:
    """Return the error in metres over metres: no scale is fitted."""
    with torch.no_grad():
        depth_m = student.eval()(batch.images, batch.rays, batch.T_ego_cam, batch.camera_valid).depth_m
    seen = np.isfinite(truth_m) & ~batch.own_body[0, 0].numpy()
    return float((np.abs(depth_m[0, 0].numpy() - truth_m)[seen] / truth_m[seen]).mean())


@pytest.mark.slow
def test_a_student_learns_metres_from_pictures_and_motion_alone() -> None:
    drive = TexturedRoad()
    store = SampleStore(
        [drive], SamplePreparer(InputSpec(height_px=64, width_px=96), None), cache=True, context_gap_s=0.6
    )
    truth_m = road_depth_m(drive[0].frame.rig.cameras[0])
    torch.manual_seed(0)
    student = Student(student_preset("nano").model_copy(update={"ground_prior": False}))
    held_out = collate([store[4]])
    before = abs_rel(student, held_out, truth_m)
    optimizer = torch.optim.AdamW(student.parameters(), 2e-3)
    for step in range(30):
        student.train()
        batch = collate([store[step % 4]])
        output = student(batch.images, batch.rays, batch.T_ego_cam, batch.camera_valid)
        targets = make_targets(batch, student.config.bins)
        assert not targets.lidar_mask.any()
        report = training_loss(output, targets, PICTURES_ALONE, bins=BinConfig(), progress=1.0)
        optimizer.zero_grad()
        report.total.backward()
        optimizer.step()
    after = abs_rel(student, held_out, truth_m)
    assert after < 0.5 * before, (before, after)
