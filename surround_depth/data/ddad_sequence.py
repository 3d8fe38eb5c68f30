"""The samples of one DDAD scene: images, clouds and boxes, read when asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from surround_depth.data import truth_sidecar
from surround_depth.data.assemble import CameraReading, assemble_frame, in_ring_order
from surround_depth.data.dgp_boxes import annotation_of, read_boxes, read_categories
from surround_depth.data.dgp_cloud import read_cloud
from surround_depth.data.dgp_scene import Datum, DgpSample, stamp_ns_of_stem
from surround_depth.data.mask_folder import MaskFolder
from surround_depth.data.paths import path_inside
from surround_depth.data.sample import Box, DenseTruth, Sample, moments_around
from surround_depth.errors import CalibrationError, DataError
from surround_depth.frame import PointCloud, SurroundFrame
from surround_depth.geometry import invert_rigid
from surround_depth.imaging import read_encoded
from surround_depth.rig import Camera, Rig


@dataclass(frozen=True)
class DdadSequence:
    """The samples of one scene, a `RecordedSequence`. Made by `DdadDataset.sequence`.

    Raises:
        DataError: a camera lacks its own-body mask, where none may.
    """

    name: str
    scene_dir: Path
    samples: tuple[DgpSample, ...]
    cameras: dict[str, tuple[Datum, DgpSample]]  # per camera its first datum, whose size and calibration stand in
    masks: MaskFolder | None
    truth_root: Path | None  # where `dense_depth/` lies, None without
    ontology: str | None  # names the classes of the boxes
    _rigs: dict[tuple[str, ...], Rig] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.masks is not None:
            self.masks.require(self.cameras)

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

    def boxes_between(self, first_ns: int, last_ns: int) -> tuple[Box, ...]:
        """Return the boxes of the annotated clouds from the last before `first_ns` to the first after `last_ns`."""
        clouds = self._annotated_clouds
        stamps_ns = np.array([cloud.stamp_ns for cloud in clouds], np.int64)
        around = (clouds[place] for place in moments_around(stamps_ns, first_ns, last_ns))
        return tuple(box for cloud in around for box in read_boxes(self.scene_dir, cloud, self._categories))

    @cached_property
    def _annotated_clouds(self) -> tuple[Datum, ...]:
        """The point clouds that have an annotation file, in order of time."""
        clouds = (sample.data[name] for sample in self.samples if (name := sample.cloud_name) is not None)
        annotated = (cloud for cloud in clouds if annotation_of(cloud) is not None)
        return tuple(sorted(annotated, key=lambda cloud: cloud.stamp_ns))

    @cached_property
    def _index_of_image(self) -> dict[int, int]:
        data = ((datum, i) for i, sample in enumerate(self.samples) for datum in sample.data.values())
        return {datum.stamp_ns: i for datum, i in data if datum.kind == "image"}

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
                own_body=None if self.masks is None else self.masks.read(name, height_px, width_px),
            )
        except CalibrationError as error:
            raise DataError(f"{self.name}/calibration/{sample.calibration_key}.json: {error}") from error
