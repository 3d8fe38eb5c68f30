"""Everything a nuScenes scene has beyond its key frames: 12 Hz samples, LiDAR sweeps, boxes, conditions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from sweep_tree import add_sweeps
from whole_trees import write_nuscenes

from surround_depth.data.build import open_dataset
from surround_depth.data.lidar_depth import project_lidar
from surround_depth.data.nuscenes import NuScenesDataset
from surround_depth.data.nuscenes_moments import nearest_rows
from surround_depth.data.sample import RecordedSequence
from surround_depth.errors import ConfigError, DataError
from surround_depth.geometry import invert_rigid, transform

VERSION = "v1.0-mini"
# The devkit leaves image files open.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def tree(tmp_path_factory, make_drive) -> Path:
    root = tmp_path_factory.mktemp("sweeps")
    write_nuscenes(root, [make_drive("scene-0001", n_samples=3)], VERSION)
    add_sweeps(root, VERSION)
    return root


@pytest.fixture
def copy(tree, tmp_path) -> Path:
    return Path(shutil.copytree(tree, tmp_path / "tree"))


def rows_of(tree: Path, table: str) -> list[dict]:
    return json.loads((tree / VERSION / f"{table}.json").read_text())


def edit(tree: Path, table: str, change) -> None:
    rows = rows_of(tree, table)
    change(rows)
    (tree / VERSION / f"{table}.json").write_text(json.dumps(rows))


def test_key_frames_are_not_disturbed_by_sweeps(tree):
    assert len(NuScenesDataset(tree).sequence("scene-0001")) == 3


def test_one_sample_per_front_image(tree):
    """3 key frames half a second apart and five images in each gap: 13."""
    sequence = NuScenesDataset(tree, rate="sweeps").sequence("scene-0001")
    front = sorted(row["timestamp"] for row in rows_of(tree, "sample_data") if "/CAM_FRONT/" in row["filename"])
    assert len(sequence) == 13 == len(front)
    index = sequence[0].frame.rig.index("CAM_FRONT")
    assert [sample.frame.stamps_ns[index] for sample in sequence] == [stamp_us * 1000 for stamp_us in front]
    assert len({sample.frame.frame_id for sample in sequence}) == 13


def test_each_sensor_by_its_own_stamps(tree):
    """A naive search over the table finds the same records between key frames."""
    rows = rows_of(tree, "sample_data")
    period_us = 500_000 / 6
    samples = list(NuScenesDataset(tree, rate="sweeps").sequence("scene-0001"))
    for sample in (sample for i, sample in enumerate(samples) if i % 6):
        frame = sample.frame
        reference_us = frame.stamps_ns[frame.rig.index("CAM_FRONT")] // 1000
        for i, name in enumerate(frame.rig.names):
            stamps_us = [row["timestamp"] for row in rows if f"/{name}/" in row["filename"]]
            nearest_us = min(stamps_us, key=lambda stamp_us: abs(stamp_us - reference_us))
            assert frame.camera_valid[i] == (abs(nearest_us - reference_us) <= period_us / 2)
            assert frame.stamps_ns[i] == (nearest_us * 1000 if frame.camera_valid[i] else 0)
        lidar_us = min((r["timestamp"] for r in rows if "/LIDAR" in r["filename"]), key=lambda s: abs(s - reference_us))
        assert sample.lidar.stamp_ns == lidar_us * 1000


def test_a_key_frame_at_12_hz_is_the_key_frame(tree):
    """The sweep of a key frame comes 35 ms after its front image; another, 15 ms before the image, is nearer."""
    key_frames = NuScenesDataset(tree).sequence("scene-0001")
    at_12_hz = NuScenesDataset(tree, rate="sweeps").sequence("scene-0001")
    for place, index in enumerate(range(0, 13, 6)):
        ours, theirs = at_12_hz[index], key_frames[place]
        assert ours.frame.frame_id == theirs.frame.frame_id
        assert at_12_hz.split_items[index] == key_frames.split_items[place]
        np.testing.assert_array_equal(ours.frame.stamps_ns, theirs.frame.stamps_ns)
        np.testing.assert_array_equal(ours.frame.T_world_ego, theirs.frame.T_world_ego)
        assert ours.lidar.stamp_ns == theirs.lidar.stamp_ns == at_12_hz.boxes(index)[0].stamp_ns


def test_a_list_at_12_hz(copy, tmp_path):
    token = NuScenesDataset(copy).sequence("scene-0001").split_items[1]
    (tmp_path / "one.txt").write_text(token)
    listed = open_dataset("nuscenes", copy, split=tmp_path / "one.txt", rate="sweeps").sequence("scene-0001")
    assert listed.split_items == (token,)

    def drop(rows):
        rows[:] = [
            r for r in rows if not (r["is_key_frame"] and r["sample_token"] == token and "FRONT/" in r["filename"])
        ]

    edit(copy, "sample_data", drop)
    dataset = open_dataset("nuscenes", copy, split=tmp_path / "one.txt", rate="sweeps")
    with pytest.raises(DataError, match="1 listed samples have no image of the reference camera"):
        dataset.sequence("scene-0001")


def test_an_empty_sweep_is_cut_short(copy):
    sequence = NuScenesDataset(copy).sequence("scene-0001")
    sorted(copy.glob("samples/LIDAR_TOP/*"))[0].write_bytes(b"")
    with pytest.raises(DataError, match="has 0 bytes, not a multiple of 20"):
        sequence[0]


def test_what_is_too_far_in_time_is_missing(copy):
    def drop(rows):
        rows[:] = [
            row
            for row in rows
            if row["is_key_frame"] or not any(f"/{name}/" in row["filename"] for name in ("CAM_BACK", "LIDAR_TOP"))
        ]

    edit(copy, "sample_data", drop)
    samples = list(NuScenesDataset(copy, rate="sweeps").sequence("scene-0001"))
    back = samples[0].frame.rig.index("CAM_BACK")
    assert [bool(sample.frame.camera_valid[back]) for sample in samples] == [i % 6 == 0 for i in range(13)]
    # a front image lies 35 ms before the sweep of its key frame; the next 48 ms after it, the last 119 ms before one
    assert [sample.lidar is not None for sample in samples] == [i % 6 in (0, 1) for i in range(13)]


def test_another_reference_where_there_is_no_front_camera(tree):
    sequence = NuScenesDataset(tree, cameras=("CAM_BACK", "CAM_BACK_LEFT"), rate="sweeps").sequence("scene-0001")
    back = sorted(row["timestamp"] * 1000 for row in rows_of(tree, "sample_data") if "/CAM_BACK/" in row["filename"])
    assert [sample.frame.stamps_ns[0] for sample in sequence] == back


def test_nearest_rows_by_hand():
    rows, stamps = np.array([7, 8, 9]), np.array([100, 200, 300])
    wanted = np.array([0, 100, 149, 150, 151, 260, 300, 341])
    assert nearest_rows(rows, stamps, wanted, 40).tolist() == [-1, 7, -1, -1, -1, 9, 9, -1]
    assert nearest_rows(rows, stamps, wanted, 100).tolist() == [7, 7, 7, 7, 8, 9, 9, 9]
    assert nearest_rows(rows[:0], stamps[:0], wanted, 40).tolist() == [-1] * 8


def test_sweeps_around_a_key_frame(tree):
    stamps = sorted(row["timestamp"] * 1000 for row in rows_of(tree, "sample_data") if "/LIDAR" in row["filename"])
    assert len(stamps) == 21
    sequence = NuScenesDataset(tree).sequence("scene-0001")
    assert isinstance(sequence, RecordedSequence)
    assert [cloud.stamp_ns for cloud in sequence.sweeps(1, 3, 2)] == stamps[7:13]
    assert [cloud.stamp_ns for cloud in sequence.sweeps(0, 3, 2)] == stamps[:3]
    assert [cloud.stamp_ns for cloud in sequence.sweeps(2, 1, 5)] == stamps[-2:]
    assert sequence.sweeps(1, 0, 0)[0].stamp_ns == sequence[1].lidar.stamp_ns
    poses = [cloud.T_world_ego[:3, 3] for cloud in sequence.sweeps(1, 3, 2)]
    # 8 m/s, 20 Hz: each sweep has the pose of its own time
    np.testing.assert_allclose(np.linalg.norm(np.diff(poses, axis=0), axis=1), 0.4, atol=1e-3)


def test_a_broken_sweep_row_matters_where_sweeps_are_read(copy):
    edit(copy, "sample_data", lambda rows: rows[0].update(timestamp="soon"))
    sequence = NuScenesDataset(copy).sequence("scene-0001")
    assert sequence[0].frame.camera_valid.all()
    with pytest.raises(DataError, match="timestamp must be an integer"):
        sequence.sweeps(0, 1, 1)
    with pytest.raises(DataError, match="timestamp must be an integer"):
        NuScenesDataset(copy, rate="sweeps")
    skipping = NuScenesDataset(copy, rate="sweeps", on_damage="skip")
    assert len(skipping.damage) == 1
    assert "timestamp must be an integer" in skipping.damage[0]
    assert len(skipping.sequence("scene-0001").sweeps(0, 1, 1)) == 2


def test_boxes(tree):
    """The drive's one car: 12 m ahead, 3 m to the left at the first moment, length 4, width 1.8, height 1.6."""
    sequence = NuScenesDataset(tree).sequence("scene-0001")
    for index, sample in enumerate(sequence):
        (box,) = sequence.boxes(index)
        assert (box.size_m, box.label) == ((4.0, 1.8, 1.6), "vehicle.car")
        assert box.track == sequence.boxes(0)[0].track
        assert box.stamp_ns == sample.lidar.stamp_ns
        points_world_m = transform(sample.lidar.T_world_ego, sample.lidar.points_m[-20:].astype(np.float64))
        inside_m = transform(invert_rigid(box.T_world_box), points_world_m)
        assert (np.abs(inside_m) <= np.array(box.size_m) / 2 + 1e-3).all()  # x along the length
    first = transform(invert_rigid(sequence[0].lidar.T_world_ego), sequence.boxes(0)[0].T_world_box[None, :3, 3])
    np.testing.assert_allclose(first, [[12.0, 3.0, 0.8]], atol=1e-6)
    at_12_hz = NuScenesDataset(tree, rate="sweeps").sequence("scene-0001")
    assert [len(at_12_hz.boxes(index)) for index in range(13)] == [int(index % 6 == 0) for index in range(13)]


def test_no_boxes_without_their_tables_and_none_from_broken_rows(copy):
    edit(copy, "sample_annotation", lambda rows: rows[0].update(size=[1.0, -1.0, 1.0]))
    with pytest.raises(DataError, match="size must be 3 numbers above zero"):
        NuScenesDataset(copy).sequence("scene-0001").boxes(1)
    skipping = NuScenesDataset(copy, on_damage="skip")
    assert len(skipping.damage) == 1
    assert [len(skipping.sequence("scene-0001").boxes(index)) for index in range(3)] == [0, 1, 1]
    (copy / VERSION / "instance.json").unlink()
    assert NuScenesDataset(copy).sequence("scene-0001").boxes(1) == ()


@pytest.mark.parametrize(
    "description, conditions",
    [("Night, many peds", ("night",)), ("Heavy Rain at night", ("night", "rain")), ("Train, knights", ()), ("", ())],
)
def test_conditions_are_whole_words(copy, description, conditions):
    edit(copy, "scene", lambda rows: rows[0].update(description=description))
    assert NuScenesDataset(copy).sequence("scene-0001").conditions == conditions


def test_a_synthetic_scene_tells_its_lighting(copy):
    text = "homes / works, 2 lanes a side, 1 crossings, low_sun, 3 movers"
    edit(copy, "scene", lambda rows: rows[0].update(description=text))
    sequence = open_dataset("synthetic", copy).sequence("scene-0001")
    assert sequence.conditions == ("low_sun",)
    assert isinstance(sequence, RecordedSequence)
    assert len(sequence.sweeps(1, 1, 1)) == 3
    assert len(sequence.boxes(1)) == 1


def test_unknown_rate(tree):
    with pytest.raises(ConfigError, match="rate 'fast' is not one of keyframes, sweeps"):
        NuScenesDataset(tree, rate="fast")


@pytest.fixture(scope="module")
def devkit(tree):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPLBACKEND", "Agg")
        nuscenes = pytest.importorskip("nuscenes.nuscenes", reason="nuscenes-devkit is not installed: crosscheck")
        return nuscenes.NuScenes(version=VERSION, dataroot=str(tree), verbose=False)


@pytest.mark.parametrize("rate", ["keyframes", "sweeps"])
def test_devkit_projects_the_same_points(tree, devkit, rate):
    token_of = {row["filename"]: row["token"] for row in devkit.sample_data}
    lidar_of = {row["timestamp"] * 1000: row["token"] for row in devkit.sample_data if "/LIDAR" in row["filename"]}
    compared = 0
    for sample in list(NuScenesDataset(tree, rate=rate).sequence("scene-0001"))[:3]:
        for i, camera in enumerate(sample.frame.rig.cameras):
            token = token_of[str(Path(sample.frame.images[i].source).relative_to(tree))]
            theirs_px, theirs_m, _ = devkit.explorer.map_pointcloud_to_image(lidar_of[sample.lidar.stamp_ns], token)
            uv_px, depth_m, _ = project_lidar(sample.lidar, sample.frame.T_world_ego[i], camera)
            u, v = uv_px.T
            inside = (depth_m > 1.0) & (u > 1) & (u < camera.width_px - 1) & (v > 1) & (v < camera.height_px - 1)
            assert inside.sum() == theirs_px.shape[1] > 0
            np.testing.assert_allclose(uv_px[inside], theirs_px[:2].T, atol=0.1)
            np.testing.assert_allclose(depth_m[inside], theirs_m, atol=1e-3)
            compared += int(inside.sum())
    assert compared > 500


def test_devkit_has_the_same_boxes(tree, devkit):
    sequence = NuScenesDataset(tree).sequence("scene-0001")
    for index, sample in enumerate(sequence):
        lidar = devkit.get("sample", sample.frame.frame_id)["data"]["LIDAR_TOP"]
        ours, theirs = sequence.boxes(index), devkit.get_boxes(lidar)
        assert len(ours) == len(theirs) == 1
        for box, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(box.T_world_box[:3, 3], other.center, atol=1e-9)
            np.testing.assert_allclose(box.T_world_box[:3, :3], other.rotation_matrix, atol=1e-9)
            assert box.size_m == (other.wlh[1], other.wlh[0], other.wlh[2])
            assert (box.label, box.track) == (
                other.name,
                devkit.get("sample_annotation", other.token)["instance_token"],
            )
