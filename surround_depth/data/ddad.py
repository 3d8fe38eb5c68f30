"""DDAD (a DGP tree) as samples: each camera with its own stamp and ego pose, the LiDAR sweep in the ego frame.

Our own DGP trees carry dense truth (`dense_depth/`) and own-body masks (`own_body/`) beside it, which are read along.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from surround_depth.data import truth_sidecar
from surround_depth.data.assemble import CameraReading, assemble_frame, in_ring_order
from surround_depth.data.dgp_scene import Calibration, Datum, DgpSample, find_scene_dataset, read_scene, read_scene_list
from surround_depth.data.paths import OWN_BODY_FOLDER, path_inside, read_json, read_npz, read_own_body, require_root
from surround_depth.data.sample import DenseTruth, Sample
from surround_depth.errors import CalibrationError, DataError
from surround_depth.frame import PointCloud, SurroundFrame
from surround_depth.geometry import invert_rigid, transform
from surround_depth.imaging import read_encoded
from surround_depth.rig import Camera, Rig

_MASK_SETS = "mask_idx_dict.json"


class DdadDataset:
    """The scenes of a DGP root.

    Args:
        root: folder that holds `ddad.json` or `scene_dataset*.json`.
        split: "train", "val", "test", "train_overfit" or the list's own number; by default every split.
        mask_dir: own-body masks `CAMERA_xx_mask.png` (255 = keep), or VFDepth's folder of numbered sets with its
            `mask_idx_dict.json`, which maps a scene number of the release to its set; by default `root/own_body`, which
            our own trees have and DDAD has not; there, and only there, a camera may lack its mask.
        scene_list: file name of the scene list, where the root has several.

    Raises:
        DataError: no such folder, list or split, or a damaged file.
    """

    name = "ddad"
    licence = "DDAD: CC BY-NC-SA 4.0, Toyota Research Institute (non-commercial)"

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        mask_dir: str | Path | None = None,
        scene_list: str | None = None,
    ) -> None:
        self.root = require_root(root, "DDAD")
        self._list_path = find_scene_dataset(self.root, scene_list)
        self._files = read_scene_list(self._list_path, split)
        self._needs_masks = mask_dir is not None
        if mask_dir is None and (self.root / OWN_BODY_FOLDER).is_dir():
            mask_dir = self.root / OWN_BODY_FOLDER
        self._truth_root = self.root if (self.root / truth_sidecar.FOLDER).is_dir() else None
        self._mask_dir = None if mask_dir is None else require_root(mask_dir, "DDAD mask")

    def scenes(self) -> tuple[str, ...]:
        """Names of the scenes (their folders), in the order of the scene list."""
        return tuple(self._files)

    def sequence(self, scene: str) -> DdadSequence:
        """Return the samples of a scene in order of time."""
        if scene not in self._files:
            known = ", ".join(self.scenes()[:12]) or "none"
            raise DataError(f"{self._list_path} has no scene {scene!r}; it has {len(self._files)}: {known}")
        samples = read_scene(self.root, self._files[scene], str(self._list_path))
        cameras: dict[str, tuple[Datum, DgpSample]] = {}
        for sample in samples:
            for name, datum in sample.data.items():
                if datum.kind == "image":
                    cameras.setdefault(name, (datum, sample))
        if not cameras:
            raise DataError(f"scene {scene}: {self._files[scene]} has no image")
        scene_dir = (self.root / self._files[scene]).parent
        masks = self._masks_of(scene)
        return DdadSequence(scene, scene_dir, samples, cameras, masks, self._needs_masks, self._truth_root)

    def _masks_of(self, scene: str) -> Path | None:
        """Return the folder of the scene's own-body masks; a scene the map does not know has none."""
        if self._mask_dir is None or any(self._mask_dir.glob("*_mask.png")):
            return self._mask_dir
        sets = read_json(path_inside(self._mask_dir, _MASK_SETS, "mask_dir (it has no *_mask.png either)"))
        number = sets.get(str(int(scene))) if scene.isdecimal() and isinstance(sets, dict) else None
        if number is None:
            return None
        folder = self._mask_dir / str(number)
        if not isinstance(number, int) or not folder.is_dir():
            raise DataError(f"{self._mask_dir / _MASK_SETS}: scene {scene} has mask set {number!r}, which is not there")
        return folder


@dataclass(frozen=True)
class DdadSequence:
    """The samples of one scene. Made by `DdadDataset.sequence`."""

    name: str
    scene_dir: Path
    samples: tuple[DgpSample, ...]
    cameras: dict[str, tuple[Datum, DgpSample]]  # per camera its first datum, whose size and calibration stand in
    mask_dir: Path | None
    needs_masks: bool  # a camera without a mask file is an error
    truth_root: Path | None  # where `dense_depth/` lies, None without
    _rigs: dict[tuple[str, ...], Rig] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        sample = self.samples[index]
        rig = self._rig(sample)
        readings = [self._camera(sample, camera) for camera in rig.cameras]
        clouds = (name for name, datum in sample.data.items() if datum.kind == "point_cloud")
        name = next(clouds, None)
        cloud = None if name is None else read_cloud(self.scene_dir, sample, name)
        frame = assemble_frame(sample.token, rig, readings)
        return Sample(frame, cloud, self._truth(frame))

    def _truth(self, frame: SurroundFrame) -> DenseTruth | None:
        return None if self.truth_root is None else truth_sidecar.read_frame_truth(self.truth_root, frame)

    def _camera(self, sample: DgpSample, camera: Camera) -> CameraReading | None:
        datum = sample.data.get(camera.name)
        if datum is None:
            return None
        image = read_encoded(path_inside(self.scene_dir, datum.filename, datum.label))
        return CameraReading(image, datum.stamp_ns, datum.T_world_sensor @ invert_rigid(camera.T_ego_cam))

    def _rig(self, sample: DgpSample) -> Rig:
        """Return this sample's rig: the same object as long as the calibration stays the same."""
        sources = {name: sample if name in sample.calibration else first for name, (_, first) in self.cameras.items()}
        key = tuple(source.calibration_key for source in sources.values())
        if key not in self._rigs:
            cameras = tuple(self._mounted_camera(name, source) for name, source in sources.items())
            source = f"DGP calibration {sample.calibration_key}, scene {self.name}"
            self._rigs[key] = in_ring_order(Rig("ddad", cameras, source))
        return self._rigs[key]

    def _mounted_camera(self, name: str, sample: DgpSample) -> Camera:
        datum = self.cameras[name][0]
        height_px, width_px = datum.values.integer("height"), datum.values.integer("width")
        calibration = _calibration_of(sample, name)
        try:
            return Camera(
                name,
                height_px,
                width_px,
                np.array(calibration.K),
                calibration.T_ego_sensor,
                own_body=self._own_body(name, height_px, width_px),
            )
        except CalibrationError as error:
            raise DataError(f"{self.name}/calibration/{sample.calibration_key}.json: {error}") from error

    def _own_body(self, name: str, height_px: int, width_px: int) -> NDArray[np.bool_] | None:
        file_name = f"{name}_mask.png"
        if self.mask_dir is None or not (self.needs_masks or (self.mask_dir / file_name).is_file()):
            return None
        path = path_inside(self.mask_dir, file_name, f"own-body mask of {name}")
        return read_own_body(path, height_px, width_px)


def read_cloud(scene_dir: Path, sample: DgpSample, name: str) -> PointCloud:
    """Return a sample's point cloud in the ego frame at its own stamp.

    Raises:
        DataError: the file is missing, no array [P, 4], or holds values that are not finite.
    """
    datum = sample.data[name]
    path = path_inside(scene_dir, datum.filename, datum.label)
    records = read_npz(path, "data", datum.label)
    if records.ndim != 2 or records.shape[1] < 4 or records.dtype.kind != "f":
        raise DataError(
            f"{datum.label}: cloud {path} holds {records.dtype} {records.shape}, "
            "expected floats [P, 4] (x, y, z, intensity); is it a file of another kind?"
        )
    if not np.isfinite(records[:, :4]).all():
        raise DataError(f"{datum.label}: cloud {path} holds values that are not finite; download or copy it again")
    T_ego_sensor = _calibration_of(sample, name).T_ego_sensor
    return PointCloud(
        transform(T_ego_sensor, records[:, :3].astype(np.float64)).astype(np.float32),
        "ego",
        datum.stamp_ns,
        frame_id=sample.token,
        T_world_ego=datum.T_world_sensor @ invert_rigid(T_ego_sensor),
        intensity=records[:, 3].astype(np.float32),
    )


def _calibration_of(sample: DgpSample, name: str) -> Calibration:
    if name not in sample.calibration:
        known = ", ".join(sample.calibration) or "none"
        raise DataError(f"{sample.token}: calibration {sample.calibration_key} has no sensor {name}; it has {known}")
    return sample.calibration[name]
