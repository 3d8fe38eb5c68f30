"""Own-body masks that are asked for are there, or their absence is told: no camera is unmasked by a typing error."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from dgp_edits import first
from whole_trees import write_nuscenes

from surround_depth.data.build import open_dataset
from surround_depth.data.ddad import DdadDataset
from surround_depth.errors import DataError
from surround_depth.evaluation.score_report import describe_dataset


@pytest.fixture(scope="module")
def nuscenes_tree(tmp_path_factory, make_drive) -> Path:
    root = tmp_path_factory.mktemp("masked")
    write_nuscenes(root, [make_drive("scene-0001", n_samples=1)])
    return root


def test_real_masks(real_data):
    """README of the fixtures: share of each image that shows the own vehicle."""
    dataset = DdadDataset(real_data / "ddad", mask_dir=real_data / "ddad_masks" / "0")
    rig = dataset.sequence("scene_02")[0].frame.rig
    hidden = {camera.name: round(100 * float(camera.own_body.mean())) for camera in rig.cameras}
    assert hidden == {
        "CAMERA_05": 10,
        "CAMERA_01": 0,
        "CAMERA_06": 7,
        "CAMERA_08": 27,
        "CAMERA_09": 19,
        "CAMERA_07": 26,
    }


def test_a_drive_without_release_number_has_no_set(real_data):
    dataset = DdadDataset(real_data / "ddad", mask_dir=real_data / "ddad_masks")
    with pytest.raises(DataError, match=r"no mask set for scene 'scene_02'; give the folder of one set"):
        dataset.sequence("scene_02")


def test_a_camera_of_our_own_tree_may_lack_its_mask(dgp_tree):
    (dgp_tree / "own_body" / "CAMERA_01_mask.png").unlink()
    hidden = {camera.name: camera.own_body is not None for camera in first(dgp_tree).frame.rig.cameras}
    assert hidden.pop("CAMERA_01") is False
    assert all(hidden.values())


def test_mask_sets(dgp_tree, tmp_path):
    """VFDepth's layout: a map from scene number to a folder of masks."""
    masks = tmp_path / "masks"
    masks.mkdir()
    with pytest.raises(DataError, match=r"mask_idx_dict\.json' does not exist"):
        first(dgp_tree, mask_dir=masks)
    (masks / "mask_idx_dict.json").write_text('{"2": 3}')
    with pytest.raises(DataError, match="no mask set for scene '000150'"):
        first(dgp_tree, mask_dir=masks)
    (masks / "mask_idx_dict.json").write_text('{"150": 3}')
    with pytest.raises(DataError, match="mask set '3', which is not there"):
        first(dgp_tree, mask_dir=masks)
    shutil.copytree(dgp_tree / "own_body", masks / "3")
    assert first(dgp_tree, mask_dir=masks).frame.rig.cameras[0].own_body.any()
    next((masks / "3").glob("CAMERA_01*")).unlink()
    with pytest.raises(DataError, match="own-body mask of CAMERA_01"):
        DdadDataset(dgp_tree, mask_dir=masks).sequence("000150")


def test_masks_of_nuscenes(nuscenes_tree, tmp_path):
    with pytest.raises(DataError, match=r"own-body mask root '.*typo' is not a folder"):
        open_dataset("nuscenes", nuscenes_tree, masks=tmp_path / "typo")
    masks = shutil.copytree(nuscenes_tree / "own_body", tmp_path / "masks")
    whole = open_dataset("nuscenes", nuscenes_tree, masks=masks)
    assert all(camera.own_body.any() for camera in whole.sequence("scene-0001")[0].frame.rig.cameras)
    (masks / "CAM_BACK.png").unlink()
    lacking = open_dataset("nuscenes", nuscenes_tree, masks=masks)
    with pytest.raises(DataError, match=r"own-body mask of CAM_BACK: '.*CAM_BACK\.png' does not exist"):
        lacking.sequence("scene-0001")


def test_a_synthetic_tree_may_lack_a_mask_and_lie_at_home(nuscenes_tree, tmp_path, monkeypatch):
    tree = shutil.copytree(nuscenes_tree, tmp_path / "tree")
    (tree / "own_body" / "CAM_BACK.png").unlink()
    monkeypatch.setenv("HOME", str(tmp_path))
    rig = open_dataset("synthetic", "~/tree").sequence("scene-0001")[0].frame.rig
    assert [camera.name for camera in rig.cameras if camera.own_body is None] == ["CAM_BACK"]


@pytest.mark.parametrize("kind", ["nuscenes", "ddad"])
def test_the_hash_tells_masks_apart(kind, nuscenes_tree, dgp_tree, tmp_path):
    tree = nuscenes_tree if kind == "nuscenes" else dgp_tree

    def hash_with(masks: Path) -> str:
        return open_dataset(kind, tree, masks=masks).masks_sha256

    one = shutil.copytree(tree / "own_body", tmp_path / "one")
    same = shutil.copytree(one, tmp_path / "same")
    (same / "overlay.png").write_bytes(b"a picture of no camera")
    assert hash_with(one) == hash_with(same)
    assert len(hash_with(one)) == 64
    first_mask, second_mask = sorted(one.glob("*.png"))[:2]
    swapped = shutil.copytree(one, tmp_path / "swapped")
    shutil.copy(first_mask, swapped / second_mask.name)
    (swapped / first_mask.name).write_bytes(first_mask.read_bytes() + b"\0")
    assert hash_with(swapped) != hash_with(one)
    assert open_dataset("nuscenes", nuscenes_tree).masks_sha256 == ""
    assert describe_dataset(kind, open_dataset(kind, tree, masks=one))["masks_sha256"] == hash_with(one)
