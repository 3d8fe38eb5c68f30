"""Sweeps as one cloud: ego motion, moving objects and the own vehicle, by hand and on real drives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from box_world import BoxDrive
from scipy.spatial import cKDTree
from whole_trees import write_nuscenes

from surround_depth.data.build import open_dataset
from surround_depth.data.ddad import DdadDataset
from surround_depth.data.lidar_accumulate import accumulate, accumulated_sweep, own_vehicle
from surround_depth.data.nuscenes import NuScenesDataset
from surround_depth.data.sample import Box, RecordedSequence, moments_around
from surround_depth.errors import DataError
from surround_depth.frame import PointCloud
from surround_depth.geometry import invert_rigid, rigid, transform

SECOND_NS = 1_000_000_000
TURN_LEFT = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


def sweep(second: float, points_ego_m, T_world_ego=None) -> PointCloud:
    pose = np.eye(4) if T_world_ego is None else T_world_ego
    return PointCloud(np.array(points_ego_m, np.float32), "ego", round(second * SECOND_NS), T_world_ego=pose)


def box(second: float, centre_m, track: str = "car", R=None) -> Box:
    pose = rigid(np.eye(3) if R is None else R, centre_m)
    return Box(pose, (4.0, 2.0, 1.5), "vehicle.car", track, round(second * SECOND_NS))


def test_the_vehicles_motion_is_undone():
    """A tree at world (20, 5): seen from the origin, then from (10, 0) after a quarter turn to the left."""
    turned = rigid(TURN_LEFT, (10.0, 0.0, 0.0))
    cloud = accumulate([sweep(1, [(20, 5, 1)]), sweep(2, [(5, -10, 1)], turned)], 2 * SECOND_NS)
    np.testing.assert_allclose(cloud.points_m, [(5, -10, 1), (5, -10, 1)], atol=1e-6)
    assert cloud.stamp_ns == 2 * SECOND_NS
    np.testing.assert_array_equal(cloud.T_world_ego, turned)


def test_the_key_sweep_comes_last_and_keeps_its_intensity():
    sweeps = [replace(sweep(s, [(10 + s, 0, 0)]), intensity=np.array([s], np.float32)) for s in (1, 2, 3)]
    cloud = accumulate(sweeps, 2 * SECOND_NS)
    assert cloud.points_m[:, 0].tolist() == [11, 13, 12]
    assert cloud.intensity.tolist() == [1, 3, 2]
    assert accumulate([sweeps[0], replace(sweeps[1], intensity=None)], SECOND_NS).intensity is None


def test_what_moves_is_taken_from_the_key_sweep_alone():
    """The car drives from x = 20 to 30 in a second, so after half a second it is at 25; the wall stays."""
    boxes = [box(1, (20, 0, 0.75)), box(2, (30, 0, 0.75))]
    wall = (25, 8, 1)
    half = sweep(1.5, [(25, 0, 0.75), (20, 0, 0.75), wall, (27.1, 0, 0.75), (27.3, 0, 0.75)])
    key = sweep(2, [(30, 0, 0.75), wall])
    cloud = accumulate([half, key], 2 * SECOND_NS, boxes)
    # Gone: its centre, and what stands out by less than 20 cm. The place it has left, and 30 cm off, are kept.
    np.testing.assert_allclose(cloud.points_m[:, 0], [20, 25, 27.3, 30, 25], rtol=1e-6)


def test_a_standing_car_is_accumulated_and_an_unknown_one_is_not():
    points = [(20, 0, 0.75)]
    standing = [box(1, (20, 0, 0.75)), box(2, (20.2, 0, 0.75))]  # 0.2 m/s: drawn a little differently
    assert len(accumulate([sweep(1, points), sweep(2, points)], 2 * SECOND_NS, standing)) == 2
    assert len(accumulate([sweep(1, points), sweep(2, points)], 2 * SECOND_NS, standing[:1])) == 1


def test_a_moving_box_is_carried_on_beyond_what_is_annotated_and_turns():
    boxes = [box(1, (20, 0, 0.75)), box(2, (30, 0, 0.75), R=TURN_LEFT)]
    # At 2.5 s it is at x = 35 and lies across: 4 m along y, 2 m along x.
    late = sweep(2.5, [(35, 1.9, 0.75), (36.9, 0, 0.75)])
    cloud = accumulate([sweep(1, [(50, 0, 0)]), late], SECOND_NS, boxes)
    np.testing.assert_allclose(cloud.points_m[:, 0], [36.9, 50], rtol=1e-6)


def test_the_own_vehicle_goes():
    cloud = accumulate([sweep(1, [(0.9, 0.2, 1.8), (3.0, 0.9, 1.0), (4.5, 0, 0), (1, 2, 0)])], SECOND_NS)
    assert cloud.points_m[:, 0].tolist() == [4.5, 1]


def test_refusals():
    with pytest.raises(DataError, match="no sweep has the key's stamp 5 ns"):
        accumulate([sweep(1, [(9, 0, 0)])], 5)
    with pytest.raises(DataError, match="no pose"):
        accumulate([replace(sweep(1, [(9, 0, 0)]), T_world_ego=None)], SECOND_NS)


def test_sweeps_of_a_known_world_fall_on_its_surfaces():
    drive = BoxDrive()
    sweeps = [drive[i].lidar for i in range(5)]
    cloud = accumulate(sweeps, sweeps[2].stamp_ns)
    single = accumulate([sweeps[2]], sweeps[2].stamp_ns)
    assert len(cloud) > 4.5 * len(single)
    origin_m = np.array([0.0, 0.0, 1.8])
    # Every point lies on the ground or on a face of a box.
    world_m = transform(cloud.T_world_ego, cloud.points_m.astype(np.float64))
    distance_m = np.abs(world_m[:, 2])
    for low, high in drive.world.boxes:
        outside = np.maximum(np.array(low) - world_m, world_m - np.array(high))
        to_face = np.where((outside <= 1e-4).all(axis=1), np.abs(outside).min(axis=1), np.inf)
        distance_m = np.minimum(distance_m, to_face)
    assert distance_m.max() < 1e-4
    assert np.linalg.norm(cloud.points_m - origin_m, axis=1).max() < 60


@dataclass(frozen=True)
class Annotated:
    """A `RecordedSequence` of sweeps at whole seconds, with one car that is annotated at every sample."""

    n_samples: int = 6
    name: str = "annotated"
    conditions: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.n_samples

    def __getitem__(self, index: int):
        raise AssertionError("accumulation reads no images")

    def sweeps(self, index: int, before: int, after: int) -> tuple[PointCloud, ...]:
        own = range(self.n_samples)[index]
        seconds = range(max(0, own - before), min(self.n_samples, own + after + 1))
        return tuple(sweep(s + 1, [(20 + 5 * s, 0, 0.75), (10, 10, 0)]) for s in seconds)

    def boxes(self, index: int) -> tuple[Box, ...]:
        return (box(index + 1, (20 + 5 * index, 0, 0.75)),)

    def boxes_between(self, first_ns: int, last_ns: int) -> tuple[Box, ...]:
        return tuple(box for index in range(self.n_samples) for box in self.boxes(index))


def test_a_drive_is_accumulated_around_a_sample():
    drive = Annotated()
    assert isinstance(drive, RecordedSequence)
    cloud = accumulated_sweep(drive, 3, before=2, after=1)
    assert cloud.stamp_ns == 4 * SECOND_NS
    np.testing.assert_allclose(cloud.points_m[:, 0], [10, 10, 10, 35, 10])
    assert len(accumulated_sweep(drive, -1, before=0, after=4)) == 2
    with pytest.raises(DataError, match="sample 0 has no LiDAR sweep"):
        accumulated_sweep(Bare(), 0, before=1, after=1)


@pytest.mark.parametrize(
    "first, last, places",
    [
        (3, 4, [1, 2, 3]),
        (4, 4, [1, 2, 3]),
        (2, 2, [0, 1, 2]),
        (1, 1, [0, 1]),
        (0, 1, [0, 1]),
        (8, 9, [4]),
        (5, 8, [2, 3, 4]),
    ],
)
def test_moments_just_beyond_are_taken(first, last, places):
    assert list(moments_around(np.array([1, 2, 4, 5, 7]), first, last)) == places


class Rarely(Annotated):
    """Annotated at every fourth sample only, as drives are whose frames come faster than their annotations."""

    def boxes(self, index: int) -> tuple[Box, ...]:
        return super().boxes(index) if index % 4 == 0 else ()


def test_annotations_are_looked_for_beyond_samples_without():
    cloud = accumulated_sweep(Rarely(n_samples=12), 5, before=1, after=2)
    np.testing.assert_allclose(cloud.points_m[:, 0], [10, 10, 10, 45, 10])


class Bare(Annotated):
    """A drive without LiDAR."""

    def sweeps(self, index: int, before: int, after: int) -> tuple[PointCloud, ...]:
        return ()


def inside(points_m: np.ndarray, T_ego_box: np.ndarray, size_m) -> int:
    points_box_m = transform(invert_rigid(T_ego_box), points_m.astype(np.float64))
    return int((np.abs(points_box_m) < np.array(size_m) / 2).all(axis=1).sum())


def test_accumulation_does_not_depend_on_the_list(real_data, tmp_path):
    """The middle sample alone, or all three in another order: the same street with the same traffic."""
    sequence = DdadDataset(real_data / "ddad").sequence("scene_01")
    stems = [Path(sample.data["CAMERA_01"].filename).stem for sample in sequence.samples]
    whole = accumulated_sweep(sequence, 1, before=1, after=1)
    for places in ([1], [2, 1, 0]):
        (tmp_path / "list.txt").write_text("".join(f"scene_01 {stems[k]}\n" for k in places))
        listed = open_dataset("ddad", real_data / "ddad", split=tmp_path / "list.txt").sequence("scene_01")
        cloud = accumulated_sweep(listed, places.index(1), before=1, after=1)
        np.testing.assert_array_equal(cloud.points_m, whole.points_m)


def test_nuscenes_answers_from_the_whole_scene(tmp_path, make_drive):
    write_nuscenes(tmp_path / "tree", [make_drive("scene-0001", n_samples=4)])
    whole = NuScenesDataset(tmp_path / "tree").sequence("scene-0001")
    stamps_ns = [whole.boxes(index)[0].stamp_ns for index in range(4)]
    (tmp_path / "one.txt").write_text(whole.split_items[1])
    listed = open_dataset("nuscenes", tmp_path / "tree", split=tmp_path / "one.txt").sequence("scene-0001")
    for sequence in (whole, listed):
        found = sequence.boxes_between(stamps_ns[1], stamps_ns[1])
        assert [box.stamp_ns for box in found] == stamps_ns[:3]


def test_real_traffic_leaves_no_trail(real_data):
    """scene_01: we stand on a busy street while a car passes at 13 m/s, 14 m to our left."""
    sequence = DdadDataset(real_data / "ddad").sequence("scene_01")
    sweeps = sequence.sweeps(1, 1, 1)
    key = sweeps[1]
    passing = next(b for b in sequence.boxes(0) if b.track == "2463053674")
    T_ego_box = invert_rigid(key.T_world_ego) @ passing.T_world_box
    trail, clean = accumulate(sweeps, key.stamp_ns), accumulated_sweep(sequence, 1, before=1, after=1)
    # Where the car was a tenth of a second ago; its tail is still there.
    before = [inside(cloud.points_m, T_ego_box, passing.size_m) for cloud in (key, trail, clean)]
    assert before[1] > before[0] + 900
    assert before[2] == before[0]


def test_real_standing_objects_are_sharp(real_data):
    """scene_01: three sweeps of what stands still lie on each other."""
    sequence = DdadDataset(real_data / "ddad").sequence("scene_01")
    cloud, key = accumulated_sweep(sequence, 1, before=1, after=1), sequence.sweeps(1, 0, 0)[0]
    assert 2.5 * len(key) < len(cloud) < 3 * len(key)
    others_m = cloud.points_m[: len(cloud) - len(key)]
    near_m = others_m[np.linalg.norm(others_m, axis=1) < 20]
    assert np.median(cKDTree(key.points_m).query(near_m)[0]) < 0.05


def test_real_own_vehicle(real_data):
    """protocols, fact 5: 8220 of 34688 points lie within 1 m of the sensor's axis, at ego (0.94, 0)."""
    lidar = NuScenesDataset(real_data / "nuscenes").sequence("scene-0061")[0].lidar
    own = own_vehicle(lidar)
    path = next((real_data / "nuscenes" / "samples" / "LIDAR_TOP").iterdir())
    sensor_m = np.fromfile(path, np.float32).reshape(-1, 5)[:, :3]
    near_axis = np.hypot(sensor_m[:, 0], sensor_m[:, 1]) < 1.0
    assert near_axis.sum() == 8220
    assert own[near_axis].all()
    assert own.sum() < 8800
    assert own_vehicle(DdadDataset(real_data / "ddad").sequence("scene_02").sweeps(0, 0, 0)[0]).sum() == 0
