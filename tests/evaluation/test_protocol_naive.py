"""The fast path equals the naive loop, on random streets, for every profile that rasterises."""

from __future__ import annotations

from dataclasses import dataclass

import naive_protocols as naive
import numpy as np
import pytest

from surround_depth.data.sample import Sample
from surround_depth.evaluation.moment import ListedSample
from surround_depth.evaluation.prediction import Prediction
from surround_depth.evaluation.protocol_run import Evaluator, batches
from surround_depth.frame import PointCloud, SurroundFrame
from surround_depth.geometry import rigid
from surround_depth.metrics.protocol_means import GroupMeans, protocol_means
from surround_depth.metrics.protocols import protocol
from surround_depth.rig import Camera, Rig
from surround_depth.window import ImageWindow

SIZE, GRID = (24, 41), (7, 12)
NAMES = ("front", "right")
FRONT = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
RIGHT = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, -1.0, 0.0]])
POSES = (rigid(FRONT, (1.5, 0.1, 1.6)), rigid(RIGHT, (0.2, -0.8, 1.5)))
INTRINSICS = tuple(np.array([[f, 0.0, 20.3], [0.0, f, 11.7], [0.0, 0.0, 1.0]]) for f in (22.0, 17.0))


@dataclass(frozen=True)
class RandomDrive:
    """Eight moments of a vehicle in motion, two cameras, points all around."""

    seed: int
    name: str = "random"

    def __len__(self) -> int:
        return 8

    def pose(self, index: int, camera: int) -> np.ndarray:
        c, s = np.cos(0.02 * index + 0.01 * camera), np.sin(0.02 * index + 0.01 * camera)
        return rigid(np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]), (400.0 + index + 0.3 * camera, -90.0, 0.0))

    def points(self, index: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, index))
        yaw, far = rng.uniform(-np.pi, 0.6, 400), rng.uniform(1.5, 110.0, 400)
        height = rng.uniform(-0.3, 0.4, 400) * far
        return np.stack([np.cos(yaw) * far, np.sin(yaw) * far, 1.5 + height], axis=-1).astype(np.float32)

    def grids(self, index: int) -> list[np.ndarray]:
        rng = np.random.default_rng((self.seed, 77, index))
        return [rng.uniform(-2.0, 95.0, GRID).astype(np.float32) for _ in NAMES]

    def __getitem__(self, index: int) -> Sample:
        cameras = tuple(Camera(n, *SIZE, K, T) for n, K, T in zip(NAMES, INTRINSICS, POSES, strict=True))
        frame = SurroundFrame(
            str(index),
            Rig("two", cameras),
            tuple(np.zeros((*SIZE, 3), np.uint8) for _ in NAMES),
            np.array([5, 6]),
            np.stack([self.pose(index, i) for i in range(2)]),
            np.ones(2, bool),
        )
        return Sample(frame, PointCloud(self.points(index), "ego", 7, T_world_ego=self.pose(index, 2)))

    def T_cam_points(self, index: int, camera: int) -> np.ndarray:
        """From the sweep to the camera, with numpy's general inverse."""
        T_world_cam = self.pose(index, camera) @ POSES[camera]
        return np.linalg.inv(T_world_cam) @ self.pose(index, 2)


def fast(name: str, drive: RandomDrive, dataset: str) -> dict[str, GroupMeans]:
    def predict(frame: SurroundFrame) -> Prediction:
        return Prediction(tuple(drive.grids(int(frame.frame_id))), (ImageWindow.whole(*SIZE, *GRID),) * 2)

    rule = protocol(name)
    evaluator = Evaluator(predict, rule, dataset, only_depth=True)
    listed = [ListedSample(i, drive, i) for i in range(len(drive))]
    return protocol_means(
        [record for batch in batches(listed, rule) for record in evaluator.score(batch).records], rule
    )


def slow(name: str, drive: RandomDrive, dataset: str) -> dict[str, dict[str, float]]:
    """Group -> means, from the text of protocols.md alone."""
    nuscenes = dataset == "nuscenes"
    rounding = (
        {"sd:noflip": "round", "cv": "round", "vf": "test then round"}.get(name, "truncate") if nuscenes else "truncate"
    )
    high = 80.0 if nuscenes else 200.0
    low = {"sd:noflip": 0.1, "r3": 0.1 if nuscenes else 1e-6}.get(name, 1e-6)
    batch = 4 if name in ("vf", "cv") else 1
    rows: dict[str, list[list[dict[str, float]]]] = {"metric": [], "median": []}
    for start in range(0, len(drive), batch):
        of_cameras: dict[str, list[dict[str, float]]] = {"metric": [], "median": []}
        for camera in range(2):
            counted: list[tuple[float, float]] = []
            for index in range(start, start + batch):
                T = drive.T_cam_points(index, camera)
                truth = naive.truth_map(drive.points(index), T, INTRINSICS[camera], SIZE, rounding)
                grid = drive.grids(index)[camera]
                if batch == 4:
                    truth, prediction = naive.preserve_downsampled(truth, GRID), grid.clip(low, high)
                else:
                    prediction = naive.upsampled(grid, SIZE, corners=name in ("vi", "r3"))
                counted += naive.pairs(truth, prediction, low, high, positive=name == "r3")
            middle = naive.numpy_median if name == "sd:noflip" else naive.torch_median
            of_cameras["metric"].append(naive.errors(counted, low, high))
            of_cameras["median"].append(naive.errors(counted, low, high, naive.median_ratio(counted, middle)))
        for group, members in of_cameras.items():
            rows[group].append(members)
    return {
        group: {key: float(np.mean([[e[key] for e in members] for members in units])) for key in units[0][0]}
        for group, units in rows.items()
    }


@pytest.mark.parametrize("dataset", ["nuscenes", "ddad"])
@pytest.mark.parametrize("name", ["sd:noflip", "vf", "cv", "vi", "r3"])
def test_the_fast_path_is_the_naive_loop(name: str, dataset: str) -> None:
    drive = RandomDrive(seed=11)
    quick, literal = fast(name, drive, dataset), slow(name, drive, dataset)
    for group in ("metric",) if name == "r3" else ("metric", "median"):
        assert quick[group].n_pixels > 300
        for key, value in literal[group].items():
            # float32 answers against float64 loops
            assert quick[group].mean[key] == pytest.approx(value, rel=2e-5), (group, key)
