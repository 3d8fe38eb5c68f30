"""`tools/derive_masks.py`, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from own_body_world import NoiseDrive, exact_body
from whole_trees import write_nuscenes

from surround_depth.data.synthetic.drive_types import RenderedDrive, RenderedSample


def run(checkout: Path, *arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "tools" / "derive_masks.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def rendered(drive: NoiseDrive) -> RenderedDrive:
    """Return a drive as the renderer would hand it to the tree writer."""
    depth_m = tuple(np.full((c.height_px, c.width_px), 10.0, np.float32) for c in drive.rig.cameras)

    def samples() -> Iterator[RenderedSample]:
        for index in range(len(drive)):
            frame = drive[index].frame
            assert frame.T_world_ego is not None
            stamp_ns, pose = int(frame.stamps_ns[0]) + drive.seed * 10**11, frame.T_world_ego[0]
            images = tuple(image for image in frame.images if isinstance(image, np.ndarray))
            sweep = np.zeros((1, 5), np.float32)
            stamps_ns = np.full(len(images), stamp_ns, np.int64)
            yield RenderedSample(stamp_ns, images, depth_m, stamps_ns, frame.T_world_ego, sweep, stamp_ns, pose, ())

    return RenderedDrive(f"scene-{drive.seed:04d}", "noise", drive.seed, drive.rig, np.eye(4), len(drive), samples())


@pytest.fixture(scope="module")
def noise_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("noise")
    write_nuscenes(root, [rendered(NoiseDrive(seed)) for seed in range(5)])
    return root


def test_masks_picture_and_facts(checkout, noise_tree, tmp_path):
    scenes = [f"scene-{i:04d}" for i in range(4)]
    result = run(
        checkout, "--dataset", "synthetic", "--root", noise_tree, "--scenes", *scenes, "--out", "m", cwd=tmp_path
    )
    assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["B.png", "F.png", "masks.json", "overlay.png"]
    body = exact_body(NoiseDrive(0).rig.camera("B"))
    keep = cv2.imread(str(tmp_path / "m" / "B.png"), cv2.IMREAD_UNCHANGED)
    assert set(np.unique(keep)) == {0, 255}
    assert ((keep == 0) & body).sum() / ((keep == 0) | body).sum() > 0.9
    assert (cv2.imread(str(tmp_path / "m" / "F.png"), cv2.IMREAD_UNCHANGED) == 255).all()
    facts = json.loads((tmp_path / "m" / "masks.json").read_text())
    assert (facts["dataset"], facts["scenes"]) == ("synthetic", scenes)
    assert facts["cameras"]["B"]["n_frames"] == 40
    # Red lies over the bonnet and nowhere else.
    picture = cv2.imread(str(tmp_path / "m" / "overlay.png"))[40:].astype(int)
    red = picture[..., 2] > picture[..., 1] + 40
    assert 0.5 * body.mean() < red.mean() * 2 < 1.5 * body.mean()


def test_a_folder_of_something_else_is_left_alone(checkout, noise_tree, tmp_path):
    (tmp_path / "notes.txt").write_text("precious")
    result = run(checkout, "--dataset", "synthetic", "--root", noise_tree, "--out", tmp_path, cwd=tmp_path)
    assert result.returncode == 2
    assert "is not empty and has no masks.json" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "dataset, complaint",
    [
        ("nuscenes", "CAM_FRONT_LEFT: 1 frames at least 0.5 m apart from 0 drives in motion"),
        ("ddad", "4 frames at least 0.5 m apart from 1 drives in motion"),  # one of its two cars stands still
    ],
)
def test_a_few_real_frames_are_refused(checkout, real_data, tmp_path, dataset, complaint):
    result = run(checkout, "--dataset", dataset, "--root", real_data / dataset, "--out", "m", cwd=tmp_path)
    assert result.returncode == 2
    assert complaint in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
