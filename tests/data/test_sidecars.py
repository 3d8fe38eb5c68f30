"""Dense truth, masks and the choice of data set."""

from __future__ import annotations

import errno
import shutil
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from whole_trees import write_dgp, write_nuscenes

from surround_depth.data.build import DATASET_KINDS, open_dataset, open_sequence, sample_at
from surround_depth.data.paths import read_json, read_own_body
from surround_depth.data.truth_sidecar import read_dense_truth, write_dense_truth
from surround_depth.errors import ConfigError, DataError


def test_dense_truth_is_lossless(tmp_path):
    depth_m = np.random.default_rng(0).uniform(1, 80, (13, 17)).astype(np.float32)
    depth_m[:3] = np.nan
    write_dense_truth(tmp_path, "samples/CAM/a.jpg", depth_m)
    np.testing.assert_array_equal(read_dense_truth(tmp_path, "samples/CAM/a.jpg"), depth_m)
    plain = np.load(tmp_path / "dense_depth" / "samples" / "CAM" / "a.jpg.npz", allow_pickle=False)
    np.testing.assert_array_equal(plain["depth_m"], depth_m)


def test_dense_truth_refusals(tmp_path):
    with pytest.raises(DataError, match=r"expected float32 \[H, W\], got float64"):
        write_dense_truth(tmp_path, "a.jpg", np.zeros((2, 2)))
    with pytest.raises(DataError, match="does not exist"):
        read_dense_truth(tmp_path, "a.jpg")
    with pytest.raises(DataError, match="leaves the data root"):
        read_dense_truth(tmp_path, "../../a.jpg")
    (tmp_path / "dense_depth").mkdir()
    np.savez(tmp_path / "dense_depth" / "a.jpg.npz", depth_m=np.zeros(3))
    with pytest.raises(DataError, match="float64"):
        read_dense_truth(tmp_path, "a.jpg")


def test_own_body_mask(tmp_path):
    path = tmp_path / "CAM.png"
    cv2.imwrite(str(path), np.array([[255, 0], [255, 255]], np.uint8))
    assert read_own_body(path, 2, 2).tolist() == [[False, True], [False, False]]
    with pytest.raises(DataError, match="2x2, its camera 4x2"):
        read_own_body(path, 2, 4)
    path.write_bytes(b"no picture")
    with pytest.raises(DataError, match="not a readable image"):
        read_own_body(path, 2, 2)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="not a readable image"):
        read_own_body(path, 2, 2)
    header = b"IHDR" + (2**31 - 1).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    chunk = (13).to_bytes(4, "big") + header + zlib.crc32(header).to_bytes(4, "big")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk + b"\0" * 100)  # claims 4 exapixels
    with pytest.raises(DataError, match="not a readable image"):
        read_own_body(path, 2, 2)


def test_deep_json_is_refused(tmp_path):
    (tmp_path / "deep.json").write_text("[" * 200_000)
    with pytest.raises(DataError, match="not valid JSON"):
        read_json(tmp_path / "deep.json")


@pytest.fixture(scope="module")
def roots(tmp_path_factory, make_drive):
    """One tree per kind of data set."""
    root = tmp_path_factory.mktemp("kinds")
    write_nuscenes(root / "synthetic", [make_drive("scene-0001", n_samples=2)])
    write_dgp(root / "ddad", [make_drive("scene-0001", n_samples=2)])
    shutil.copytree(root / "synthetic", root / "nuscenes", ignore=lambda *_: ["dense_depth", "own_body"])
    return root


@pytest.mark.parametrize("kind", DATASET_KINDS)
def test_contract_of_every_kind(roots, kind):
    dataset = open_dataset(kind, roots / kind)
    assert dataset.name == kind
    assert dataset.licence
    assert dataset.scenes() == ("scene-0001",)
    sequence = dataset.sequence("scene-0001")
    assert sequence.name == "scene-0001"
    assert len(sequence) == 2
    samples = list(sequence)
    assert samples[0].frame.reference_stamp_ns < samples[1].frame.reference_stamp_ns
    for sample in samples:
        frame = sample.frame
        assert frame.rig.names == (
            "CAM_FRONT_LEFT",
            "CAM_FRONT",
            "CAM_FRONT_RIGHT",
            "CAM_BACK_RIGHT",
            "CAM_BACK",
            "CAM_BACK_LEFT",
        )
        assert sample.lidar.coordinate_frame == "ego"
        assert sample.lidar.T_world_ego is not None
        assert (sample.truth is not None) == (kind != "nuscenes")
        assert all((camera.own_body is not None) == (kind != "nuscenes") for camera in frame.rig.cameras)


def test_a_dead_camera_has_no_truth(roots, tmp_path):
    tree = shutil.copytree(roots / "synthetic", tmp_path / "tree")
    table = tree / "v1.0-mini" / "sample_data.json"
    rows = [line for line in table.read_text().splitlines() if "__CAM_BACK__" not in line or '"prev": ""' not in line]
    table.write_text("\n".join(rows))
    sample = open_dataset("synthetic", tree).sequence("scene-0001")[0]
    back = sample.frame.rig.index("CAM_BACK")
    assert not sample.frame.camera_valid[back]
    assert np.isnan(sample.truth.depth_m[back]).all()
    assert not sample.truth.sky[back].any()


def test_the_first_scene_and_a_sample_of_it(roots):
    dataset = open_dataset("synthetic", roots / "synthetic")
    sequence = open_sequence(dataset)
    assert sequence.name == open_sequence(dataset, "scene-0001").name == "scene-0001"
    assert sample_at(sequence, 1).frame.frame_id == sequence[1].frame.frame_id
    for index in (-1, 2):
        with pytest.raises(DataError, match=f"scene scene-0001 has frames 0 to 1, not {index}"):
            sample_at(sequence, index)

    class Empty:
        name = "synthetic"

        def scenes(self):
            return ()

    with pytest.raises(DataError, match="has no scene"):
        open_sequence(Empty())


def test_refusals(roots):
    with pytest.raises(ConfigError, match="'kitti' is not one of nuscenes, ddad, synthetic"):
        open_dataset("kitti", roots)
    with pytest.raises(DataError, match="open a tree without truth as nuscenes"):
        open_dataset("synthetic", roots / "nuscenes")


def test_files_that_the_system_refuses(tmp_path, make_drive, monkeypatch):
    """No permission, too many open files: named like what is missing."""
    write_nuscenes(tmp_path / "tree", [make_drive("scene-0001", n_samples=1)])
    sequence = open_dataset("nuscenes", tmp_path / "tree").sequence("scene-0001")

    def refused(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(DataError, match=r"sweep .* cannot be read \(Too many open files\)"):
        sequence.sweeps(0, 0, 0)
    with pytest.raises(DataError, match=r"own-body mask .*a\.png cannot be read \(Too many open files\)"):
        read_own_body(tmp_path / "a.png", 2, 2)
    monkeypatch.setattr(Path, "glob", refused)
    with pytest.raises(DataError, match=r"tree cannot be listed \(Too many open files\)"):
        open_dataset("nuscenes", tmp_path / "tree")
