"""The DDAD reader: the published numbers on real scenes, the time-stamp trap, and refusals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from dgp_edits import edit_scene, first

from surround_depth.data.ddad import DdadDataset
from surround_depth.data.dgp_scene import stamp_ns_of_stem
from surround_depth.data.lidar_depth import project_lidar
from surround_depth.data.sample import RecordedSequence
from surround_depth.errors import DataError
from surround_depth.geometry import invert_rigid, transform

# reference: protocols, section 10 (z > 0.5 m, 0 <= u < W, 0 <= v < H, not rounded, float64)
POINT_COUNTS = {
    "CAMERA_05": 11916,
    "CAMERA_01": 5157,
    "CAMERA_06": 11566,
    "CAMERA_08": 10130,
    "CAMERA_09": 9393,
    "CAMERA_07": 10718,
}


def test_real_frame_has_the_published_point_counts(real_data):
    sample = DdadDataset(real_data / "ddad").sequence("scene_02")[0]
    poses = sample.frame.T_world_ego
    counts = {
        camera.name: len(project_lidar(sample.lidar, poses[i], camera).depth_m)
        for i, camera in enumerate(sample.frame.rig.cameras)
    }
    assert counts == POINT_COUNTS
    assert tuple(counts) == tuple(POINT_COUNTS)  # ring order


def test_real_times_and_motion(real_data):
    """README of the fixtures: steps of 0.1 s, 1.257 and 1.277 m; LiDAR 9 ms late in scene_02, 21 early in scene_01."""
    moving = DdadDataset(real_data / "ddad").sequence("scene_02")
    samples = [moving[i] for i in range(3)]
    frames = [sample.frame for sample in samples]
    stamps_ns = np.array([frame.stamps_ns[0] for frame in frames])
    assert stamps_ns[0] == 1561645824993653000  # 2019, not 2464
    np.testing.assert_allclose(np.diff(stamps_ns) / 1e9, 0.1, atol=1e-4)
    steps_m = np.linalg.norm(np.diff([sample.lidar.T_world_ego[:3, 3] for sample in samples], axis=0), axis=1)
    np.testing.assert_allclose(steps_m, [1.257, 1.277], atol=1e-3)
    assert (moving[0].lidar.stamp_ns - stamps_ns[0]) / 1e6 == pytest.approx(9, abs=1)
    standing = DdadDataset(real_data / "ddad").sequence("scene_01")
    first, second = standing[0], standing[1]
    assert (first.lidar.stamp_ns - first.frame.stamps_ns[0]) / 1e6 == pytest.approx(-21, abs=1)
    assert np.abs(second.frame.T_world_ego[0] - first.frame.T_world_ego[0]).max() < 1e-5


def test_real_scene_with_three_cameras(real_data):
    frame = DdadDataset(real_data / "ddad").sequence("scene_01")[0].frame
    assert frame.rig.names == ("CAMERA_05", "CAMERA_01", "CAMERA_06")
    assert frame.camera_valid.all()


def test_real_boxes_hold_the_points_they_claim(real_data):
    """`num_points` was counted on the full cloud, of which the fixture keeps one point in five."""
    sequence = DdadDataset(real_data / "ddad").sequence("scene_02")
    claimed = [190, 1341, 3126]  # truck, two cars in the annotation file of frame 0
    points_world_m = transform(sequence[0].lidar.T_world_ego, sequence[0].lidar.points_m.astype(np.float64))
    boxes = {box.track: box for box in sequence.boxes(0)}
    assert len(boxes) == 13
    assert boxes["443946110"].label == "Truck"
    for track, count in zip(("443946110", "1545514913", "1740587446"), claimed, strict=True):
        box = boxes[track]
        points_box_m = transform(invert_rigid(box.T_world_box), points_world_m)
        inside = (np.abs(points_box_m) <= np.array(box.size_m) / 2).all(axis=1).sum()
        assert inside == pytest.approx(count / 5, rel=0.25)
        assert box.stamp_ns == sequence[0].lidar.stamp_ns
    later = {box.track: box for box in sequence.boxes(1)}
    # The car that follows drives as fast as we do, 1.26 m a step; the one at the kerb stands.
    steps_m = [later[t].T_world_box[:3, 3] - boxes[t].T_world_box[:3, 3] for t in ("1545514913", "1740587446")]
    np.testing.assert_allclose(np.linalg.norm(steps_m, axis=1), [1.4, 0.0], atol=0.15)


def test_real_sweeps(real_data):
    sequence = DdadDataset(real_data / "ddad").sequence("scene_02")
    assert isinstance(sequence, RecordedSequence)
    assert sequence.conditions == ()
    stamps_ns = [cloud.stamp_ns for cloud in sequence.sweeps(1, before=1, after=5)]
    assert stamps_ns == [sequence[i].lidar.stamp_ns for i in range(3)]
    assert [len(sequence.sweeps(i, 0, 0)) for i in (0, -1)] == [1, 1]
    assert sequence.sweeps(-1, 0, 0)[0].stamp_ns == stamps_ns[-1]


def test_samples_are_found_by_the_stem_of_an_image(real_data):
    sequence = DdadDataset(real_data / "ddad").sequence("scene_02")
    assert [sequence.index_of_stamp(stem) for stem in ("15616458249936530", "1561645824993653")] == [0, 0]
    assert sequence.index_of_stamp("15616458250936520") == 1
    assert sequence.index_of_stamp("15616458250027900") is None  # the LiDAR's
    assert sequence.index_of_stamp("000150") is None


def test_two_hundred_scenes_open_without_their_files(tmp_path):
    files = [f"{i:06d}/scene_{i:040x}.json" for i in range(200)]
    (tmp_path / "ddad.json").write_text(json.dumps({"scene_splits": {"1": {"filenames": files}}}))
    dataset = DdadDataset(tmp_path)
    assert len(dataset.scenes()) == 200
    with pytest.raises(DataError, match=r"000007/scene_0+7\.json' does not exist"):
        dataset.sequence("000007")


@pytest.fixture
def tree(dgp_tree) -> Path:
    return dgp_tree


@pytest.mark.parametrize(
    "stem, stamp_ns",
    [
        ("15616458249936530", 1561645824993653000),  # 17 digits: 100 ns
        ("1561645824993653", 1561645824993653000),  # 16 digits: microseconds
        ("1561645824993653001", 1561645824993653001),  # 19 digits: beyond the exact range of float64
        ("000012", None),
        ("15616458249936530a", None),
        ("١٥٦١٦٤٥٨٢٤٩٩٣٦٥٣", None),
    ],
)
def test_stamp_of_stem(stem, stamp_ns):
    assert stamp_ns_of_stem(stem) == stamp_ns


def test_order_is_by_time(tree):
    edit_scene(tree, lambda scene: scene["samples"].reverse())
    sequence = DdadDataset(tree).sequence("000150")
    assert sequence[0].frame.reference_stamp_ns < sequence[1].frame.reference_stamp_ns


def test_missing_camera_is_invalid(tree):
    edit_scene(tree, lambda scene: scene["samples"][0]["datum_keys"].pop(2))
    sequence = DdadDataset(tree).sequence("000150")
    assert sequence[0].frame.camera_valid.sum() == 5
    assert sequence[1].frame.camera_valid.all()


def test_names_ignore_case(tree):
    def lower(scene):
        for datum in scene["data"]:
            datum["id"]["name"] = datum["id"]["name"].lower()

    edit_scene(tree, lower)
    assert first(tree).frame.rig.names[0] == "CAMERA_05"
    assert first(tree).lidar is not None


def test_stamp_falls_back_to_the_json(tree):
    def rename(scene):
        datum = scene["data"][1]
        path = tree / "000150" / datum["datum"]["image"]["filename"]
        path.rename(path.with_name("front.jpg"))
        datum["datum"]["image"]["filename"] = str(path.with_name("front.jpg").relative_to(tree / "000150"))

    shutil.rmtree(tree / "dense_depth")  # it follows the images' names
    before = first(tree).frame
    edit_scene(tree, rename)
    after = first(tree).frame
    np.testing.assert_array_equal(after.stamps_ns, before.stamps_ns)


def test_a_tenfold_time_is_refused(tree):
    """The JSON times of DDAD's 17-digit scenes; the stem, which is right, is gone here."""

    def spoil(scene):
        image = scene["data"][1]["datum"]["image"]
        (tree / "000150" / image["filename"]).rename(tree / "000150" / "front.jpg")
        image["filename"] = "front.jpg"
        scene["data"][1]["id"]["timestamp"] = "2463-11-14T08:13:14.820375Z"

    edit_scene(tree, spoil)
    with pytest.raises(DataError, match=r"data\[1\]: its timestamp is not between 1970 and 2200"):
        first(tree)


def test_a_stem_beyond_the_clock_is_refused(tree):
    def spoil(scene):
        scene["data"][0]["datum"]["point_cloud"]["filename"] = "point_cloud/LIDAR/9999999999999999.npz"

    edit_scene(tree, spoil)
    with pytest.raises(DataError, match="another unit of time"):
        first(tree)


def test_release_list_is_called_ddad_json(tree):
    (tree / "scene_dataset_v1.0.json").rename(tree / "ddad.json")
    assert DdadDataset(tree).scenes() == ("000150",)
    shutil.copy(tree / "ddad.json", tree / "scene_dataset_v1.json")
    with pytest.raises(DataError, match=r"scene lists: scene_dataset_v1.json, ddad.json; it needs exactly one"):
        DdadDataset(tree)
    assert DdadDataset(tree, scene_list="ddad.json").scenes() == ("000150",)
    with pytest.raises(DataError, match=r"no scene list 'x\.json'"):
        DdadDataset(tree, scene_list="x.json")
