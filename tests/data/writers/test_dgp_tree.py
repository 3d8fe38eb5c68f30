"""The DGP writer: our DDAD reader reads it back equal, it has the fields of the real fixture, the bytes repeat."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from whole_trees import write_dgp

from surround_depth.data.ddad import DdadDataset
from surround_depth.data.truth_sidecar import read_dense_truth
from surround_depth.data.writers.dgp_tree import write_dgp_drive_files, write_scene_list
from surround_depth.errors import DataError


@pytest.fixture(scope="module")
def tree(tmp_path_factory, make_drive) -> Path:
    root = tmp_path_factory.mktemp("dgp_tree")
    write_dgp(root, [make_drive("drive_01", rig="ddad", seed=5)], split="val")
    return root


def test_reads_back_equal(tree, make_drive):
    dataset = DdadDataset(tree, split="val")
    assert dataset.scenes() == ("drive_01",)
    drive = make_drive("drive_01", rig="ddad", seed=5)
    for sample, rendered in zip(dataset.sequence("drive_01"), drive.samples, strict=True):
        frame = sample.frame
        assert frame.rig.names == drive.rig.names
        np.testing.assert_array_equal(frame.stamps_ns, rendered.stamps_ns)
        np.testing.assert_allclose(frame.T_world_ego, rendered.T_world_ego, atol=1e-9)
        np.testing.assert_allclose(frame.rig.T_ego_cam, drive.rig.T_ego_cam, atol=1e-12)
        for i, (camera, written) in enumerate(zip(frame.rig.cameras, drive.rig.cameras, strict=True)):
            np.testing.assert_array_equal(camera.K, written.K)
            np.testing.assert_array_equal(camera.own_body, written.own_body)
            relpath = Path(frame.images[i].source).relative_to(tree).as_posix()
            np.testing.assert_array_equal(read_dense_truth(tree, relpath), rendered.depth_m[i])
        assert sample.lidar.stamp_ns == rendered.lidar_stamp_ns
        np.testing.assert_allclose(sample.lidar.T_world_ego, rendered.T_world_ego_lidar, atol=1e-9)
        points_ego_m = rendered.lidar_points[:, :3] @ drive.T_ego_lidar[:3, :3].T + drive.T_ego_lidar[:3, 3]
        np.testing.assert_allclose(sample.lidar.points_m, points_ego_m, atol=1e-5)


def keys_of(tree: object) -> object:
    """Return the shape of a JSON tree: its keys, and the kinds of its numbers."""
    if isinstance(tree, dict):
        return {
            key: keys_of(value) for key, value in tree.items() if key not in ("annotations", "metadata", "ontologies")
        }
    if isinstance(tree, list):
        return [keys_of(tree[0])] if tree else []
    return type(tree).__name__


def test_has_the_fields_of_the_real_thing(tree, real_data):
    ours = json.loads(next((tree / "drive_01").glob("scene_*.json")).read_text())
    theirs = json.loads(next((real_data / "ddad" / "scene_02").glob("scene_*.json")).read_text())
    assert keys_of(ours) == keys_of(theirs)
    ours_list = json.loads((tree / "scene_dataset_v1.0.json").read_text())
    theirs_list = json.loads((real_data / "ddad" / "scene_dataset_v1.0.json").read_text())
    assert keys_of(ours_list["scene_splits"]["1"]) == keys_of(theirs_list["scene_splits"]["1"])
    calibrations = [
        next(scene.glob("calibration/*.json")) for scene in (tree / "drive_01", real_data / "ddad" / "scene_02")
    ]
    assert keys_of(json.loads(calibrations[0].read_text())) == keys_of(json.loads(calibrations[1].read_text()))
    ours_cloud = np.load(next(tree.glob("drive_01/point_cloud/LIDAR/*.npz")), allow_pickle=False)
    assert ours_cloud.files == ["data"]
    assert ours_cloud["data"].dtype == np.float64
    assert 0.0 <= ours_cloud["data"][:, 3].min() <= ours_cloud["data"][:, 3].max() <= 1.0


def test_neighbours_are_linked(tree):
    data = json.loads(next((tree / "drive_01").glob("scene_*.json")).read_text())["data"]
    by_key = {datum["key"]: datum for datum in data}
    assert len(by_key) == 21
    for datum in data:
        if datum["next_key"]:
            assert by_key[datum["next_key"]]["prev_key"] == datum["key"]
            assert by_key[datum["next_key"]]["id"]["name"] == datum["id"]["name"]


def test_bytes_repeat(tree, tmp_path, make_drive):
    write_dgp(tmp_path, [make_drive("drive_01", rig="ddad", seed=5)], split="val")
    for path in sorted(path for path in tree.rglob("*") if path.is_file()):
        assert (tmp_path / path.relative_to(tree)).read_bytes() == path.read_bytes()


def test_splits_merge_records_of_workers(tmp_path, make_drive):
    records = [
        write_dgp_drive_files(tmp_path, make_drive(name, rig="ddad", n_samples=1)) for name in ("a1", "b2", "c3")
    ]
    write_scene_list(tmp_path, {"train": records[:2], "val": records[2:]})
    assert DdadDataset(tmp_path).scenes() == ("a1", "b2", "c3")
    assert DdadDataset(tmp_path, split="train").scenes() == ("a1", "b2")
    with pytest.raises(DataError, match="'test'"):
        DdadDataset(tmp_path, split="test")
    with pytest.raises(DataError, match="split 'trian' is not one of train"):
        write_scene_list(tmp_path, {"trian": records})


def without_mask(drive, i):
    """Return the drive with a camera that has no own-body mask."""
    cameras = list(drive.rig.cameras)
    cameras[i] = replace(cameras[i], own_body=None)
    return replace(drive, rig=drive.rig.with_cameras(tuple(cameras)))


def test_a_rig_may_have_masks_on_some_cameras(tmp_path, make_drive):
    write_dgp(tmp_path, [without_mask(make_drive("one", rig="ddad", n_samples=1), 0)])
    cameras = DdadDataset(tmp_path).sequence("one")[0].frame.rig.cameras
    assert [bool(camera.own_body.any()) for camera in cameras] == [False, True, True, True, True, True]


@pytest.mark.parametrize("masked_first", [True, False])
def test_no_drive_inherits_the_mask_of_another(tmp_path, make_drive, masked_first):
    masked = make_drive("one", rig="ddad", n_samples=1)
    bare = without_mask(make_drive("two", rig="ddad", n_samples=1), 0)
    first, second = (masked, bare) if masked_first else (bare, masked)
    write_dgp_drive_files(tmp_path, first)
    with pytest.raises(DataError, match="another root"):
        write_dgp_drive_files(tmp_path, second)


SPOILT_SAMPLES = {
    "flat depth": (lambda s: {"depth_m": (s.depth_m[0].ravel(), *s.depth_m[1:])}, "float32 depth of shape"),
    "depth of float64": (lambda s: {"depth_m": (s.depth_m[0].astype(float), *s.depth_m[1:])}, "got float64"),
    "image of floats": (lambda s: {"images": (s.images[0] / 255.0, *s.images[1:])}, "expected uint8 RGB"),
    "grey image": (lambda s: {"images": (s.images[0][..., 0], *s.images[1:])}, "expected uint8 RGB"),
    "a pose short": (lambda s: {"T_world_ego": s.T_world_ego[1:]}, r"\(6, 6, 6, 5\) images, depths, stamps and poses"),
}


@pytest.mark.parametrize("spoil, complaint", SPOILT_SAMPLES.values(), ids=SPOILT_SAMPLES)
def test_a_spoilt_sample_is_refused(tmp_path, make_drive, spoil, complaint):
    drive = make_drive("one", rig="ddad", n_samples=1)
    sample = next(iter(drive.samples))
    drive = replace(drive, samples=iter([replace(sample, **spoil(sample))]))
    with pytest.raises(DataError, match=complaint):
        write_dgp_drive_files(tmp_path, drive)


def test_masks_of_another_rig_need_another_root(tmp_path, make_drive):
    drive = make_drive("one", rig="ddad", n_samples=1)
    write_dgp_drive_files(tmp_path, drive)
    other = make_drive("two", rig="ddad", n_samples=1)
    camera = other.rig.cameras[0]
    flipped = camera.with_own_body(~camera.own_body)
    other = replace(other, rig=other.rig.with_cameras((flipped, *other.rig.cameras[1:])))
    with pytest.raises(DataError, match="another root"):
        write_dgp_drive_files(tmp_path, other)
