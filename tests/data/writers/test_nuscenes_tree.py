"""The nuScenes writer: the official devkit opens it, our reader reads it back equal, the bytes repeat."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from whole_trees import write_nuscenes

from surround_depth.data.build import open_dataset
from surround_depth.data.lidar_depth import project_lidar
from surround_depth.data.writers.nuscenes_rows import DriveRecord
from surround_depth.data.writers.nuscenes_tree import write_drive_files, write_tables
from surround_depth.errors import DataError
from surround_depth.geometry import invert_rigid
from surround_depth.imaging import decode_image


@pytest.fixture(scope="module")
def tree(tmp_path_factory, make_drive) -> Path:
    root = tmp_path_factory.mktemp("nuscenes_tree")
    write_nuscenes(root, [make_drive("scene-0002", seed=2), make_drive("scene-0001", seed=1)])
    return root


def digests(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_reads_back_equal(tree, make_drive):
    dataset = open_dataset("synthetic", tree)
    assert dataset.scenes() == ("scene-0001", "scene-0002")
    drive = make_drive("scene-0001", seed=1)
    sequence = dataset.sequence("scene-0001")
    assert len(sequence) == drive.n_samples
    for sample, rendered in zip(sequence, drive.samples, strict=True):
        frame = sample.frame
        assert frame.rig.names == drive.rig.names
        np.testing.assert_array_equal(frame.stamps_ns, rendered.stamps_ns)
        np.testing.assert_allclose(frame.T_world_ego, rendered.T_world_ego, atol=1e-9)
        np.testing.assert_allclose(frame.rig.T_ego_cam, drive.rig.T_ego_cam, atol=1e-12)
        for camera, written in zip(frame.rig.cameras, drive.rig.cameras, strict=True):
            np.testing.assert_array_equal(camera.K, written.K)
            np.testing.assert_array_equal(camera.own_body, written.own_body)
            assert camera.trigger_offset_ms == written.trigger_offset_ms
        for truth_m, sky, depth_m in zip(sample.truth.depth_m, sample.truth.sky, rendered.depth_m, strict=True):
            np.testing.assert_array_equal(truth_m, depth_m)
            np.testing.assert_array_equal(sky, np.isnan(depth_m))
        assert sample.lidar.stamp_ns == rendered.lidar_stamp_ns
        np.testing.assert_array_equal(sample.lidar.intensity, rendered.lidar_points[:, 3])
        points_ego_m = rendered.lidar_points[:, :3] @ drive.T_ego_lidar[:3, :3].T + drive.T_ego_lidar[:3, 3]
        np.testing.assert_allclose(sample.lidar.points_m, points_ego_m, atol=1e-5)


def test_images_survive_jpeg(tree, make_drive):
    drive = make_drive("scene-0001", seed=1)
    frame = open_dataset("synthetic", tree).sequence("scene-0001")[0].frame
    rendered = next(iter(drive.samples))
    camera = frame.rig.cameras[2]
    decoded = decode_image(frame.images[2], camera, camera.height_px, camera.width_px)
    # Noise is the worst picture for JPEG: the mean error is still a fraction of its own 74 grey levels of spread.
    assert np.abs(decoded.astype(int) - rendered.images[2]).mean() < 30


def test_sweep_lies_on_dense_truth(tree):
    """Poses, stamps, mounting and projection at once: road points of the sweep have the depth of their pixel."""
    sample = open_dataset("synthetic", tree).sequence("scene-0002")[1]
    on_road = np.arange(len(sample.lidar)) < 400
    assert np.abs(sample.lidar.points_m[on_road, 2]).max() < 1e-5
    compared = 0
    for i, camera in enumerate(sample.frame.rig.cameras):
        uv_px, depth_m, index = project_lidar(sample.lidar, sample.frame.T_world_ego[i], camera)
        keep = on_road[index] & (depth_m < 12.0)
        column, row = np.floor(uv_px[keep] + 0.5).astype(int).T
        inside = (column < camera.width_px) & (row < camera.height_px)
        truth_m = sample.truth.depth_m[i][row[inside], column[inside]]
        # A road pixel of these small images spans up to 4 % of its depth.
        np.testing.assert_allclose(depth_m[keep][inside], truth_m, rtol=0.05)
        compared += int(inside.sum())
    assert compared > 40


def open_devkit(tree: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    nuscenes = pytest.importorskip("nuscenes.nuscenes", reason="nuscenes-devkit is not installed (extra: crosscheck)")
    return nuscenes.NuScenes(version="v1.0-mini", dataroot=str(tree), verbose=False)


# The devkit leaves image files open.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


def test_devkit_agrees(tree, monkeypatch):
    """nuscenes-devkit opens the tree, finds the boxes, and projects the sweep to the same pixels."""
    devkit = open_devkit(tree, monkeypatch)
    assert [scene["name"] for scene in devkit.scene] == ["scene-0001", "scene-0002"]
    row = devkit.get("sample", devkit.scene[0]["first_sample_token"])
    row = devkit.get("sample", row["next"])
    sample = open_dataset("synthetic", tree).sequence("scene-0001")[1]
    assert sample.frame.frame_id == row["token"]
    for i, camera in enumerate(sample.frame.rig.cameras):
        theirs_px, theirs_m, image = devkit.explorer.map_pointcloud_to_image(
            row["data"]["LIDAR_TOP"], row["data"][camera.name]
        )
        assert image.size == (camera.width_px, camera.height_px)
        uv_px, depth_m, _ = project_lidar(sample.lidar, sample.frame.T_world_ego[i], camera)
        u, v = uv_px.T
        subset = (depth_m > 1.0) & (u > 1) & (u < camera.width_px - 1) & (v > 1) & (v < camera.height_px - 1)
        assert subset.sum() == theirs_px.shape[1] > 0
        np.testing.assert_allclose(uv_px[subset], theirs_px[:2].T, atol=0.1)
        np.testing.assert_allclose(depth_m[subset], theirs_m, atol=1e-3)
        assert devkit.get_sample_data(row["data"][camera.name])[2].tolist() == camera.K.tolist()
    boxes = devkit.get_sample_data(row["data"]["LIDAR_TOP"])[1]
    assert [(box.name, box.wlh.tolist()) for box in boxes] == [("vehicle.car", [1.8, 4.0, 1.6])]


def test_devkit_box_stands_where_the_car_is(tree, monkeypatch):
    devkit = open_devkit(tree, monkeypatch)
    row = devkit.get("sample", devkit.scene[0]["first_sample_token"])
    sample = open_dataset("synthetic", tree).sequence("scene-0001")[0]
    box = devkit.get_box(row["anns"][0])
    center_ego_m = (invert_rigid(sample.lidar.T_world_ego) @ [*box.center, 1.0])[:3]
    # The fake world parks the car 12 m ahead and 3 m to the left of the first ego pose.
    np.testing.assert_allclose(center_ego_m, [12.0, 3.0, 0.8], atol=1e-6)
    annotation = devkit.get("sample_annotation", row["anns"][0])
    assert annotation["num_lidar_pts"] >= 20
    assert annotation["prev"] == ""
    assert devkit.get("sample_annotation", annotation["next"])["prev"] == annotation["token"]
    assert devkit.get("instance", annotation["instance_token"])["nbr_annotations"] == 3


def test_devkit_renders(tree, tmp_path, monkeypatch):
    devkit = open_devkit(tree, monkeypatch)
    data = devkit.get("sample", devkit.scene[0]["first_sample_token"])["data"]
    for channel in ("CAM_FRONT_LEFT", "LIDAR_TOP"):
        picture = tmp_path / f"{channel}.png"
        # The devkit's map underlay fails on numpy 2 with any tree.
        devkit.render_sample_data(data[channel], out_path=str(picture), underlay_map=False, verbose=False)
        assert picture.stat().st_size > 5_000


def test_bytes_repeat_and_workers_agree(tree, tmp_path, make_drive):
    """One process in one order, or a record per drive that went through JSON in another: the same tree to the byte."""
    records = [write_drive_files(tmp_path, make_drive(f"scene-000{seed}", seed=seed)) for seed in (1, 2)]
    travelled = [DriveRecord(**json.loads(json.dumps(vars(record)))) for record in records]
    write_tables(tmp_path, travelled)
    assert digests(tmp_path) == digests(tree)
    write_tables(tmp_path, travelled)
    assert digests(tmp_path) == digests(tree)


def test_numbers_are_floats(tree):
    """The devkit and its users divide and compare: a translation of 0 must be 0.0."""
    poses = json.loads((tree / "v1.0-mini" / "ego_pose.json").read_text())
    assert {type(value) for row in poses for value in row["translation"] + row["rotation"]} == {float}
    assert {type(row["timestamp"]) for row in poses} == {int}


def test_refusals(tmp_path, make_drive):
    record = write_drive_files(tmp_path, make_drive("scene-0001", n_samples=1))
    with pytest.raises(DataError, match="different names; got scene-0001"):
        write_tables(tmp_path, [record, record])
    with pytest.raises(DataError, match="no drive"):
        write_tables(tmp_path, [])
    with pytest.raises(DataError, match="no sample"):
        write_drive_files(tmp_path, make_drive("scene-0003", n_samples=0))
    with pytest.raises(DataError, match="file name"):
        write_drive_files(tmp_path, make_drive("../outside"))
