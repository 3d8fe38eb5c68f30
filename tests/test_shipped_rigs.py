"""The rig files of the package equal the calibrations that the readers find in the real fixtures."""

from __future__ import annotations

import numpy as np
import pytest

from surround_depth.data.build import open_dataset
from surround_depth.inference.rig_check import require_same_calibration
from surround_depth.rig import load_rig


@pytest.mark.parametrize("name, scene", [("nuscenes", "scene-0061"), ("ddad", "scene_02")])
def test_shipped_rig_is_the_real_one(real_data, name, scene):
    shipped, real = load_rig(name), open_dataset(name, real_data / name).sequence(scene)[0].frame.rig
    assert shipped.names == real.names
    np.testing.assert_allclose(shipped.T_ego_cam, real.T_ego_cam, atol=1e-12)
    for ours, theirs in zip(shipped.cameras, real.cameras, strict=True):
        np.testing.assert_array_equal(ours.K, theirs.K)
        assert (ours.height_px, ours.width_px) == (theirs.height_px, theirs.width_px)
        assert ours.trigger_offset_ms == theirs.trigger_offset_ms
    # the README's ten lines: `load_rig` by name, frames from the reader
    require_same_calibration(shipped, real)


@pytest.mark.parametrize("name", ["nuscenes", "ddad"])
def test_shipped_rig_states_its_source_and_closes_the_ring(name):
    rig = load_rig(name)
    assert "CC BY-NC-SA 4.0" in rig.source
    assert rig.ring_order() == (0, 1, 2, 3, 4, 5)  # FL F FR BR B BL
    assert len(rig.adjacent_pairs()) == 6
