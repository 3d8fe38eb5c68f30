from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from box_world import ENGINE, BoxDrive, OracleBackend, exact_depth, make_camera, make_rig, yawed

from surround_depth.errors import CalibrationError, DataError, EngineMismatchError
from surround_depth.frame import EncodedImage, SurroundFrame
from surround_depth.geometry import rigid
from surround_depth.inference.backend import NetworkInputs, NetworkOutputs
from surround_depth.inference.latency import LatencyRecorder
from surround_depth.inference.pipeline import SurroundDepthPipeline
from surround_depth.rig import Camera, Rig

DRIVE = BoxDrive()


class FixedBackend(OracleBackend):
    """Answers what it is told."""

    def __init__(self, depth_m: np.ndarray, confidence: np.ndarray) -> None:
        super().__init__(DRIVE)
        self._outputs = NetworkOutputs(depth_m, confidence)

    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        self.calls.append(inputs)
        return self._outputs


def full(value: float) -> np.ndarray:
    return np.full((6, ENGINE.input.height_px, ENGINE.input.width_px), value, np.float32)


def test_depth_is_the_engines_where_there_is_a_surface() -> None:
    depth = SurroundDepthPipeline(OracleBackend(DRIVE), DRIVE.rig)(DRIVE[0].frame)
    exact = exact_depth(DRIVE)
    np.testing.assert_array_equal(depth.valid, exact.valid)
    np.testing.assert_array_equal(depth.sky, exact.sky)
    np.testing.assert_array_equal(depth.depth_m, exact.depth_m)
    assert depth.rig.fingerprint == exact.rig.fingerprint
    np.testing.assert_array_equal(depth.T_world_ego, DRIVE[0].frame.T_world_ego)


def test_the_engine_gets_this_frames_images_and_calibration() -> None:
    backend = OracleBackend(DRIVE)
    depth = SurroundDepthPipeline(backend, DRIVE.rig)(DRIVE[0].frame)
    (inputs,) = backend.calls
    np.testing.assert_array_equal(inputs.images, depth.images)
    np.testing.assert_allclose(np.linalg.norm(inputs.rays, axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(inputs.T_ego_cam, DRIVE.rig.T_ego_cam.astype(np.float32))
    assert inputs.camera_valid.tolist() == [1.0] * 6


def test_every_pixel_without_a_depth_says_so() -> None:
    depth_m, confidence = full(10.0), full(0.9)
    depth_m[0, 0, :5] = (np.nan, np.inf, 0.4, 79.0, 71.9)  # engine range 0.5 to 80 m, sky from 72 m
    confidence[0, 0, 5] = np.nan
    depth = SurroundDepthPipeline(FixedBackend(depth_m, confidence), DRIVE.rig)(DRIVE[0].frame)
    assert depth.valid[0, 0, :7].tolist() == [False, False, False, False, True, False, True]
    assert depth.sky[0, 0, :7].tolist() == [False, False, False, True, False, False, False]
    assert depth.valid[1:].all()
    assert np.isnan(depth.depth_m[~depth.valid]).all()


def test_our_own_vehicle_has_no_depth() -> None:
    body = np.zeros((128, 192), np.bool_)
    body[100:] = True
    rig = DRIVE.rig.with_cameras((DRIVE.rig.cameras[0].with_own_body(body), *DRIVE.rig.cameras[1:]))
    drive = replace(DRIVE, rig=rig)
    depth = SurroundDepthPipeline(FixedBackend(full(10.0), full(0.9)), rig)(drive[0].frame)
    assert depth.valid[0].sum() == 50 * 96
    assert not depth.valid[0, 50:].any()
    assert depth.valid[1:].all()


def test_a_dead_camera_is_marked_for_the_engine_and_in_the_result() -> None:
    drive = replace(DRIVE, dead=("FR",))
    backend = OracleBackend(drive)
    depth = SurroundDepthPipeline(backend, drive.rig)(drive[0].frame)
    assert backend.calls[0].camera_valid.tolist() == [1, 1, 0, 1, 1, 1]
    assert not depth.valid[2].any()
    assert not depth.sky[2].any()
    assert (depth.confidence[2] == 0.0).all()
    assert depth.valid[[0, 1, 3, 4, 5]].any(axis=(1, 2)).all()


def test_what_a_dead_camera_sent_is_not_decoded() -> None:
    frame = DRIVE[0].frame
    images = (EncodedImage(b"half a jpeg", "CAM.jpg"), *frame.images[1:])
    pipeline = SurroundDepthPipeline(OracleBackend(DRIVE), DRIVE.rig)
    dead = np.array([False, True, True, True, True, True])
    depth = pipeline(replace(frame, images=images, camera_valid=dead))
    assert not depth.images[0].any()
    with pytest.raises(DataError, match=r"CAM\.jpg"):
        pipeline(replace(frame, images=images))


def test_a_rig_of_three_cameras_fills_three_of_six_slots() -> None:
    drive = BoxDrive(rig=make_rig(("FL", "F", "FR")))
    backend = OracleBackend(drive)
    depth = SurroundDepthPipeline(backend, drive.rig)(drive[0].frame)
    assert depth.depth_m.shape[0] == 3
    (inputs,) = backend.calls
    assert inputs.camera_valid.tolist() == [1, 1, 1, 0, 0, 0]
    assert not inputs.images[3:].any()
    np.testing.assert_allclose(np.linalg.norm(inputs.rays, axis=-1), 1.0, rtol=1e-6)
    np.testing.assert_array_equal(inputs.T_ego_cam[3:], np.tile(np.eye(4, dtype=np.float32), (3, 1, 1)))


def test_more_cameras_than_the_engine_has_are_refused() -> None:
    seventh = make_camera("TELE", 5.0)
    with pytest.raises(EngineMismatchError, match="7 cameras and the engine was built for 6"):
        SurroundDepthPipeline(OracleBackend(DRIVE), DRIVE.rig.with_cameras((*DRIVE.rig.cameras, seventh)))


def changed(camera: Camera, change: str) -> Camera:
    K = camera.K.copy()
    K[0, 0] += 2.0
    T = camera.T_ego_cam @ rigid(yawed(2.0), [0.1, 0.0, 0.0])
    options = {
        "another K": {"K": K},
        "moved by 0.1 m and turned by 2 degrees": {"T_ego_cam": T},
    }
    return replace(camera, **options[change])  # type: ignore[arg-type]


@pytest.mark.parametrize("change", ["another K", "moved by 0.1 m and turned by 2 degrees"])
def test_a_frame_of_another_calibration_is_refused_by_name(change: str) -> None:
    backend = OracleBackend(DRIVE)
    pipeline = SurroundDepthPipeline(backend, DRIVE.rig)
    cameras = DRIVE.rig.cameras
    drive = replace(DRIVE, rig=DRIVE.rig.with_cameras((*cameras[:4], changed(cameras[4], change), cameras[5])))
    with pytest.raises(CalibrationError, match=f"B (has |moved ).*{change.removeprefix('moved ')[-20:]}"):
        pipeline(drive[0].frame)
    SurroundDepthPipeline(backend, drive.rig)(drive[0].frame)  # what the message advises works, on the same engine


def test_a_frame_of_other_cameras_or_sizes_is_refused() -> None:
    pipeline = SurroundDepthPipeline(OracleBackend(DRIVE), DRIVE.rig)
    with pytest.raises(CalibrationError, match="cameras FL, F instead of FL, F, FR, BR, B, BL"):
        pipeline(BoxDrive(rig=make_rig(("FL", "F")))[0].frame)
    with pytest.raises(CalibrationError, match="FL has 96x64 instead of 192x128 pixels"):
        pipeline(BoxDrive(rig=make_rig(height_px=64, width_px=96))[0].frame)


def test_an_equal_calibration_in_another_object_is_accepted() -> None:
    """Masks and trigger times are no calibration, and a rig that went through a file differs by rounding."""
    rounding = np.zeros((4, 4))
    rounding[:3] = 1e-15
    own_body = np.zeros((128, 192), np.bool_)
    cameras = DRIVE.rig.cameras
    others = (
        replace(cameras[0], T_ego_cam=cameras[0].T_ego_cam + rounding),
        replace(cameras[1], own_body=own_body),
        replace(cameras[2], trigger_offset_ms=7.0),
    )
    copy = Rig("copy", (*others, *cameras[3:]))
    frame: SurroundFrame = replace(DRIVE[0].frame, rig=copy)
    assert SurroundDepthPipeline(OracleBackend(DRIVE), DRIVE.rig)(frame).valid.any()


def test_the_stages_are_timed() -> None:
    latency = LatencyRecorder()
    SurroundDepthPipeline(OracleBackend(DRIVE), DRIVE.rig, latency=latency)(DRIVE[0].frame)
    assert list(latency.summary()) == ["prepare", "infer", "decode"]
