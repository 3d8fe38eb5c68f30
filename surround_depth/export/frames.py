"""Frames to prove and time an engine on: of a drive where one is at hand, else structured random ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from surround_depth.data.build import DatasetKind, open_dataset
from surround_depth.data.network_truth import truth_depth_m, truth_kinds
from surround_depth.data.sample import Sample
from surround_depth.errors import DataError
from surround_depth.frame import EncodedImage, SurroundFrame
from surround_depth.geometry import rigid
from surround_depth.imaging import InputSpec, encode_jpeg, plan_images
from surround_depth.inference.backend import EngineSpec, NetworkInputs
from surround_depth.rig import Camera, Rig

N_CALIBRATION_FRAMES = 16
_R_EGO_FRONT = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # of a camera that looks ahead


@dataclass(frozen=True)
class ProofFrames:
    """Samples as recorded, and what they are: the name goes into every report made with them."""

    name: str
    samples: tuple[Sample, ...]

    @property
    def frames(self) -> tuple[SurroundFrame, ...]:
        """The samples without their truth."""
        return tuple(sample.frame for sample in self.samples)

    def network_inputs(self, spec: InputSpec) -> tuple[NetworkInputs, ...]:
        """Return the frames as an engine of this input reads them, through the one resize of the project."""
        return tuple(network_inputs(frame, spec) for frame in self.frames)

    def truth_m(self, spec: InputSpec) -> tuple[NDArray[np.float32], ...]:
        """Return the true depth [N, H, W] of each frame's network pixels, NaN where unknown; empty without truth.

        Exact depth where the data has it, else LiDAR.
        """
        if not all(truth_kinds(sample) for sample in self.samples):
            return ()
        return tuple(truth_depth_m(s, plan_images(s.frame.rig, spec), truth_kinds(s)[0]) for s in self.samples)


def network_inputs(frame: SurroundFrame, spec: InputSpec) -> NetworkInputs:
    """Return one frame as the engine reads it."""
    plans = plan_images(frame.rig, spec)
    return NetworkInputs(
        images=plans.prepare(frame.images),
        rays=plans.rays,
        T_ego_cam=frame.rig.T_ego_cam.astype(np.float32),
        camera_valid=frame.camera_valid.astype(np.float32),
    )


@dataclass(frozen=True)
class DriveSource:
    """A data set on disk to take frames from."""

    kind: DatasetKind
    root: Path


def proof_frames(spec: EngineSpec, source: DriveSource | None, n_frames: int) -> ProofFrames:
    """Return frames to prove an engine on: of a drive, or structured random ones where there is none.

    Raises:
        DataError: as `dataset_frames`.
    """
    return random_frames(spec, n_frames) if source is None else dataset_frames(source, spec.n_cameras, n_frames)


def calibration_frames(spec: EngineSpec, source: DriveSource | None) -> ProofFrames:
    """Return the frames that int8's ranges are read off: as `proof_frames`, of a drive of the kind it will see.

    Random images are no bad guess where there is none: on streets depth moves by 0.70 % instead of 0.52 %.

    Raises:
        DataError: as `dataset_frames`.
    """
    return proof_frames(spec, source, N_CALIBRATION_FRAMES)


def timing_frames(spec: EngineSpec, source: DriveSource | None, n_frames: int) -> ProofFrames:
    """Return frames to time an engine on: as `proof_frames`, but every camera delivers, for a dead one costs nothing.

    Raises:
        DataError: as `dataset_frames`, or no chosen frame of the drive has all its cameras.
    """
    if source is None:
        return random_frames(spec, n_frames, dead_cameras=False)
    drive = dataset_frames(source, spec.n_cameras, n_frames)
    whole = tuple(sample for sample in drive.samples if sample.frame.camera_valid.all())
    if not whole:
        raise DataError(f"{source.root}: a camera is missing in each of its {len(drive.samples)} frames; ask for more")
    return replace(drive, samples=whole)


def encode_frame(frame: SurroundFrame) -> SurroundFrame:
    """Return the frame with its images as JPEG bytes, as a camera or a recording delivers them."""
    images = tuple(
        EncodedImage(encode_jpeg(image), f"{frame.frame_id} {name}") if isinstance(image, np.ndarray) else image
        for name, image in zip(frame.rig.names, frame.images, strict=True)
    )
    return replace(frame, images=images)


def random_frames(
    spec: EngineSpec,
    n_frames: int,
    *,
    height_px: int = 900,
    width_px: int = 1600,
    seed: int = 0,
    dead_cameras: bool = True,
) -> ProofFrames:
    """Return structured random frames of a ring of cameras.

    With `dead_cameras` one camera is dead in the second frame and in every third after it.

    Each image is noise summed over scales with a bright upper half: edges and smooth parts as a street has, nothing of
    its meaning. They prove equality of two engines; they say nothing about accuracy.
    """
    rng = np.random.default_rng(seed)
    rig = ring_rig(spec.n_cameras, height_px, width_px)
    frames = [_random_frame(rig, rng, index, lose_one=dead_cameras and index % 3 == 1) for index in range(n_frames)]
    return ProofFrames("structured random images", tuple(Sample(frame, lidar=None) for frame in frames))


def dataset_frames(source: DriveSource, n_cameras: int, n_frames: int) -> ProofFrames:
    """Return frames of a data set, spread evenly over its scenes.

    Raises:
        DataError: no such data set, no frames, or another number of cameras than the engine has.
    """
    dataset = open_dataset(source.kind, source.root)
    sequences = [dataset.sequence(scene) for scene in dataset.scenes()]
    places = [(sequence, index) for sequence in sequences for index in range(len(sequence))]
    if not places:
        raise DataError(f"{source.root}: no frames in it; python tools/make_synthetic.py renders some")
    chosen = np.unique(np.linspace(0, len(places) - 1, n_frames).astype(int))
    samples = tuple(places[place][0][places[place][1]] for place in chosen)
    if len(samples[0].frame.rig) != n_cameras:
        raise DataError(f"{source.root}: its rig has {len(samples[0].frame.rig)} cameras, the engine {n_cameras}")
    return ProofFrames(f"{source.kind} frames ({source.root.name})", samples)


def ring_rig(n_cameras: int, height_px: int, width_px: int) -> Rig:
    """Return a rig of equal pinhole cameras, 1.5 m high on a 0.5 m ring, looking outward at even angles."""
    K = np.array([[0.8 * width_px, 0, (width_px - 1) / 2], [0, 0.8 * width_px, (height_px - 1) / 2], [0, 0, 1.0]])
    cameras = []
    for index in range(n_cameras):
        yaw = 2 * np.pi * index / n_cameras
        c, s = np.cos(yaw), np.sin(yaw)
        R_ego_cam = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) @ _R_EGO_FRONT
        T_ego_cam = rigid(R_ego_cam, np.array([0.5 * c, 0.5 * s, 1.5]))
        cameras.append(Camera(f"RING_{index}", height_px, width_px, K, T_ego_cam))
    return Rig("ring", tuple(cameras))


def _random_frame(rig: Rig, rng: np.random.Generator, index: int, *, lose_one: bool) -> SurroundFrame:
    n = len(rig)
    camera_valid = np.ones(n, np.bool_)
    if lose_one and n > 1:
        camera_valid[rng.integers(n)] = False
    images = tuple(
        _random_image(rng, camera.height_px, camera.width_px) if valid else None
        for camera, valid in zip(rig.cameras, camera_valid, strict=True)
    )
    stamps_ns = np.full(n, 1_000_000_000 + index * 83_333_333, np.int64)
    return SurroundFrame(
        frame_id=f"random-{index}",
        rig=rig,
        images=images,
        stamps_ns=stamps_ns,
        T_world_ego=np.tile(np.eye(4), (n, 1, 1)),
        camera_valid=camera_valid,
    )


def _random_image(rng: np.random.Generator, height_px: int, width_px: int) -> np.ndarray:
    image = np.zeros((height_px, width_px, 3), np.float32)
    for cells in (3, 9, 27, 81):
        coarse = rng.normal(0.0, 90.0 / np.sqrt(cells), (cells, 2 * cells, 3)).astype(np.float32)
        kernel = cv2.INTER_NEAREST if cells > 9 else cv2.INTER_CUBIC
        image += cv2.resize(coarse, (width_px, height_px), interpolation=kernel)
    image += np.linspace(190.0, 70.0, height_px, dtype=np.float32)[:, None, None]
    return np.clip(image, 0, 255).astype(np.uint8)
