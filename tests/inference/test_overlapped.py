from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from box_world import BoxDrive, OracleBackend, make_rig

from surround_depth.errors import DataError, EngineMismatchError
from surround_depth.frame import EncodedImage, SurroundFrame
from surround_depth.fusion import fuse
from surround_depth.inference.backend import NetworkInputs, NetworkOutputs
from surround_depth.inference.overlapped import FusedFrame, overlapped_chain
from surround_depth.inference.rig_pipelines import RigPipelines
from surround_depth.inference.stage_threads import Outcome

DRIVE = BoxDrive(dead=("BL",))


class Painter(OracleBackend):
    """An engine whose answer depends on the images, so that a frame mixed up with another would show."""

    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        outputs = super().infer(inputs)
        return NetworkOutputs(outputs.depth_m + inputs.images.mean(axis=-1, dtype=np.float32) / 255, outputs.confidence)


def run(backend: OracleBackend, frames: list[SurroundFrame]) -> list[FusedFrame | DataError]:
    outcomes: list[Outcome[SurroundFrame, FusedFrame]] = []
    with overlapped_chain(RigPipelines(backend), fuse, lambda frame: frame, outcomes.append) as chain:
        for frame in frames:
            chain.submit(frame)
        chain.finish()
    assert [outcome.item.frame_id for outcome in outcomes] == [frame.frame_id for frame in frames]
    return [outcome.result for outcome in outcomes]


def test_results_are_those_of_the_serial_path() -> None:
    frames = [DRIVE[index].frame for index in range(len(DRIVE))]
    serial = RigPipelines(Painter(DRIVE))
    for frame, overlapped in zip(frames, run(Painter(DRIVE), frames), strict=True):
        depth = serial.for_rig(frame.rig)(frame)
        assert isinstance(overlapped, FusedFrame)
        for name in ("depth_m", "valid", "sky", "confidence", "images", "stamps_ns", "camera_valid"):
            np.testing.assert_array_equal(getattr(overlapped.depth, name), getattr(depth, name))
        cloud = fuse(depth)
        np.testing.assert_array_equal(overlapped.cloud.points_m, cloud.points_m)
        np.testing.assert_array_equal(overlapped.cloud.rgb, cloud.rgb)


def test_a_rig_that_changes_midway_is_met_by_its_own_pipeline() -> None:
    front = BoxDrive(rig=make_rig(("FL", "F", "FR")))
    frames = [DRIVE[0].frame, front[1].frame, DRIVE[2].frame]
    results = run(OracleBackend(DRIVE), frames)
    for frame, result in zip(frames, results, strict=True):
        assert isinstance(result, FusedFrame)
        assert result.plans.rig.names == frame.rig.names
        assert result.depth.rig.names == frame.rig.names


def test_a_damaged_frame_is_an_error_in_its_place() -> None:
    frames = [DRIVE[index].frame for index in range(3)]
    cut = EncodedImage(b"\xff\xd8\xff", "cut.jpg")
    frames[1] = replace(frames[1], images=(cut, *frames[1].images[1:]))
    first, damaged, last = run(OracleBackend(DRIVE), frames)
    assert isinstance(damaged, DataError)
    assert "cut.jpg" in str(damaged)
    assert isinstance(first, FusedFrame)
    assert isinstance(last, FusedFrame)


def test_a_rig_the_engine_cannot_take_stops_the_chain() -> None:
    spec = replace(OracleBackend(DRIVE).spec, n_cameras=2)
    backend = OracleBackend(BoxDrive(rig=make_rig(("FL", "F"))), spec)
    with pytest.raises(EngineMismatchError, match="6 cameras and the engine was built for 2"):
        run(backend, [DRIVE[0].frame])
