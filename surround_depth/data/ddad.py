"""DDAD (a DGP tree) as samples: each camera with its own stamp and ego pose, the LiDAR sweep in the ego frame.

Our own DGP trees carry dense truth (`dense_depth/`) and own-body masks (`own_body/`) beside it, which are read along.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from surround_depth.data import truth_sidecar
from surround_depth.data.assemble import CameraReading, assemble_frame, in_ring_order
from surround_depth.data.dgp_boxes import read_boxes, read_categories
from surround_depth.data.dgp_cloud import read_cloud
from surround_depth.data.dgp_scene import (
    Datum,
    DgpSample,
    find_scene_dataset,
    read_scene,
    read_scene_list,
    stamp_ns_of_stem,
)
from surround_depth.data.paths import OWN_BODY_FOLDER, path_inside, read_json, read_own_body, require_root
from surround_depth.data.sample import Box, DenseTruth, Sample
from surround_depth.errors import CalibrationError, DataError
from surround_depth.frame import PointCloud, SurroundFrame
from surround_depth.geometry import invert_rigid
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
        content = read_scene(self.root, self._files[scene], str(self._list_path))
        cameras: dict[str, tuple[Datum, DgpSample]] = {}
        for sample in content.samples:
            for name, datum in sample.data.items():
                if datum.kind == "image":
                    cameras.setdefault(name, (datum, sample))
        if not cameras:
            raise DataError(f"scene {scene}: {self._files[scene]} has no image")
        scene_dir = (self.root / self._files[scene]).parent
        masks = self._masks_of(scene)
        return DdadSequence(
            name=scene,
            scene_dir=scene_dir,
            samples=content.samples,
            cameras=cameras,
            mask_dir=masks,
            needs_masks=self._needs_masks,
            truth_root=self._truth_root,
            ontology=content.box_ontology,
        )

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
    """The samples of one scene, a `RecordedSequence`. Made by `DdadDataset.sequence`."""

    name: str
    scene_dir: Path
    samples: tuple[DgpSample, ...]
    cameras: dict[str, tuple[Datum, DgpSample]]  # per camera its first datum, whose size and calibration stand in
    mask_dir: Path | None
    needs_masks: bool  # a camera without a mask file is an error
    truth_root: Path | None  # where `dense_depth/` lies, None without
    ontology: str | None  # names the classes of the boxes
    _rigs: dict[tuple[str, ...], Rig] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Sample:
        sample = self.samples[index]
        rig = self._rig(sample)
        readings = [self._camera(sample, camera) for camera in rig.cameras]
        name = sample.cloud_name
        cloud = None if name is None else read_cloud(self.scene_dir, sample, name)
        frame = assemble_frame(sample.token, rig, readings)
        return Sample(frame, cloud, self._truth(frame))

    @property
    def conditions(self) -> tuple[str, ...]:
        """Empty: DDAD does not describe its scenes."""
        return ()

    @cached_property
    def stamps_ns(self) -> NDArray[np.int64]:
        """The latest image stamp of each sample [len(self)], from the scene JSON; 0 for a sample without images."""
        latest = (max(_image_stamps(sample), default=0) for sample in self.samples)
        return np.fromiter(latest, np.int64, len(self.samples))

    def index_of_stamp(self, stem: str) -> int | None:
        """Return the sample that has an image taken at the time which a file stem tells; None where there is none.

        Lists of samples name frames by the stem of an image file, of 16 digits or 17, see `stamp_ns_of_stem`.
        """
        stamp_ns = stamp_ns_of_stem(stem)
        return None if stamp_ns is None else self._index_of_image.get(stamp_ns)

    def sweeps(self, index: int, before: int, after: int) -> tuple[PointCloud, ...]:
        """Return the clouds of up to `before` samples before and `after` samples after sample `index`, and its own.

        In order of time, each in the ego frame at its own stamp. DDAD's clouds come at the rate of its samples, 10 Hz.
        """
        place = range(len(self.samples))[index]
        near = self.samples[max(0, place - before) : place + after + 1]
        named = ((sample, sample.cloud_name) for sample in near)
        return tuple(read_cloud(self.scene_dir, sample, name) for sample, name in named if name is not None)

    def boxes(self, index: int) -> tuple[Box, ...]:
        """Return the boxes annotated on the cloud of sample `index`; empty where there are none."""
        sample = self.samples[index]
        name = sample.cloud_name
        return () if name is None else read_boxes(self.scene_dir, sample.data[name], self._categories)

    @cached_property
    def _index_of_image(self) -> dict[int, int]:
        places = ((stamp_ns, i) for i, sample in enumerate(self.samples) for stamp_ns in _image_stamps(sample))
        return dict(places)

    @cached_property
    def _categories(self) -> dict[int, str]:
        return {} if self.ontology is None else read_categories(self.scene_dir, self.ontology, self.name)

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
        calibration = sample.sensor(name)
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


def _image_stamps(sample: DgpSample) -> list[int]:
    return [datum.stamp_ns for datum in sample.data.values() if datum.kind == "image"]
