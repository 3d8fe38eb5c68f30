"""Partners: where they stand, that nobody but a teacher of pairs sees them, and exact pairs of a tree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from box_tree import rendered
from box_world import BoxDrive, make_rig
from whole_trees import write_nuscenes

from surround_depth.data.build import open_dataset
from surround_depth.data.sample import Sample
from surround_depth.data.stereo import StereoPair
from surround_depth.data.stereo_partners import split_partners, with_partners
from surround_depth.data.stereo_synthetic import open_synthetic_pairs, pair_of
from surround_depth.errors import CalibrationError, DataError
from surround_depth.frame import EncodedImage
from surround_depth.geometry import Lens, rigid
from surround_depth.rig import Rig, load_rig

OWN = ("F", "B")
FOCAL_PX = 0.5 * 192 / np.tan(np.radians(35.0))  # of the box world's cameras


def paired_rig() -> Rig:
    return with_partners(make_rig(OWN), ("F",))


def drive(rig: Rig, n_samples: int = 2, dead: tuple[str, ...] = ()) -> BoxDrive:
    """Return a drive whose shutters open at once."""
    return BoxDrive(rig=rig, n_samples=n_samples, stagger_ns=0, dead=dead)


@pytest.fixture(scope="module")
def sample() -> Sample:
    return drive(paired_rig())[0]


def test_a_partner_stands_to_the_right_of_its_camera_as_that_looks() -> None:
    rig = with_partners(make_rig(OWN), baseline_m=0.4)
    assert rig.names == ("F", "B", "F_PARTNER", "B_PARTNER")
    np.testing.assert_allclose(rig.camera("F_PARTNER").T_ego_cam[:3, 3], [0.5, -0.4, 1.5], atol=1e-12)
    np.testing.assert_allclose(rig.camera("B_PARTNER").T_ego_cam[:3, 3], [-0.5, 0.4, 1.5], atol=1e-12)
    for name in OWN:
        own, partner = rig.camera(name), rig.camera(f"{name}_PARTNER")
        np.testing.assert_array_equal(partner.T_ego_cam[:3, :3], own.T_ego_cam[:3, :3])
        np.testing.assert_array_equal(partner.K, own.K)


@pytest.mark.parametrize(("name", "own"), [("nuscenes_stereo", None), ("nuscenes_front_stereo", ("CAM_FRONT",))])
def test_the_shipped_rigs_are_that_of_nuscenes_with_a_partner_in_front(name: str, own: tuple[str, ...] | None) -> None:
    nuscenes, shipped = load_rig("nuscenes"), load_rig(name)
    expected = with_partners(nuscenes.select(own or nuscenes.names), ("CAM_FRONT",))
    assert shipped.names == expected.names
    np.testing.assert_allclose(shipped.T_ego_cam, expected.T_ego_cam, atol=1e-12)
    assert [camera.trigger_offset_ms for camera in shipped.cameras] == [c.trigger_offset_ms for c in expected.cameras]
    assert "CC BY-NC-SA 4.0" in shipped.source


def test_a_split_sample_is_that_of_a_vehicle_without_partners(sample: Sample) -> None:
    split, plain = split_partners(sample), drive(make_rig(OWN))[0]
    assert split.frame.rig.names == OWN
    assert split.frame.rig.fingerprint == plain.frame.rig.fingerprint
    for ours, theirs in zip(split.frame.images, plain.frame.images, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert split.truth is not None
    assert plain.truth is not None
    for ours, theirs in zip(split.truth.depth_m, plain.truth.depth_m, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert split.frame.T_world_ego is not None
    assert split.frame.T_world_ego.shape == (2, 4, 4)
    assert split.partners is not None
    np.testing.assert_allclose(split.partners.baseline_m, [0.3, np.nan], rtol=1e-9)
    assert split.partners.images[0] is sample.frame.images[2]
    assert split.partners.images[1] is None
    assert split_partners(plain) is plain
    assert split_partners(split) is split
    assert split_partners(drive(sample.frame.rig)[1]).frame.rig is split.frame.rig  # plans are kept by rig


def test_a_partner_that_is_dead_or_of_another_moment_is_none(sample: Sample) -> None:
    dead = drive(paired_rig(), dead=("F_PARTNER",))[0]
    late = sample.frame.stamps_ns.copy()
    late[2] += 2_000_000
    for one in (dead, replace(sample, frame=replace(sample.frame, stamps_ns=late))):
        partners = split_partners(one).partners
        assert partners is not None
        assert np.isnan(partners.baseline_m).all()
        assert partners.images == (None, None)


def test_what_is_no_pair_is_refused(sample: Sample) -> None:
    rig = paired_rig()
    *own, partner = rig.cameras
    turned = rigid(np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]]), [0.3, 0.0, 0.0])
    faults = {
        "offset 0.3000, 0.1000": replace(partner, T_ego_cam=own[0].T_ego_cam @ rigid(np.eye(3), [0.3, 0.1, 0.0])),
        "F_PARTNER: not beside F": replace(partner, T_ego_cam=own[0].T_ego_cam @ turned),
        "same lens": replace(partner, K=partner.K * np.array([[2.0], [1.0], [1.0]])),
        "no camera 'X'": replace(partner, name="X_PARTNER"),
    }
    for message, fault in faults.items():
        frame = replace(sample.frame, rig=rig.with_cameras((*own, fault)))
        with pytest.raises(CalibrationError, match=message):
            split_partners(replace(sample, frame=frame))
    with pytest.raises(CalibrationError, match="F_PARTNER is a partner already"):
        with_partners(rig)
    fisheye = replace(own[0], lens=Lens("fisheye", (0.1, 0.0, 0.0, 0.0)))
    with pytest.raises(CalibrationError, match="F: a fisheye lens"):
        with_partners(Rig("wide", (fisheye,)))


def test_a_disparity_leads_to_the_same_thing_in_the_right_picture(sample: Sample) -> None:
    """The front of the nearest box is 11.5 m ahead; and the depth, which both cameras share, is found where it says."""
    split = split_partners(sample)
    pair = pair_of(split, 0)
    assert pair is not None
    assert pair_of(split, 1) is None
    assert sample.truth is not None
    left_m, right_m = sample.truth.depth_m[0], sample.truth.depth_m[2]
    on_box = np.isclose(left_m, 11.5, atol=1e-3)
    assert on_box.sum() > 100
    np.testing.assert_allclose(pair.disparity_px[on_box], FOCAL_PX * 0.3 / 11.5, rtol=1e-5)
    assert (pair.disparity_px[sample.truth.sky[0]] == 0).all()
    rows, columns = np.nonzero(on_box)
    inner = np.isclose(np.roll(left_m, 8, axis=1), 11.5, atol=1e-3)[rows, columns]  # not hidden by the box's own edge
    found = right_m[rows, np.rint(columns - pair.disparity_px[on_box]).astype(int)][inner]
    assert np.isclose(found, 11.5, atol=1e-3).all()


def test_one_tree_serves_student_and_teacher(tmp_path: Path) -> None:
    drives = [rendered(drive(paired_rig()), name) for name in ("scene-0001", "scene-0002")]
    write_nuscenes(tmp_path / "tree", drives)
    read = open_dataset("synthetic", tmp_path / "tree").sequence("scene-0001")[0]
    assert set(read.frame.rig.names) == set(OWN)
    assert read.partners is not None
    front = read.frame.rig.index("F")
    assert isinstance(read.partners.images[front], EncodedImage)
    pairs = open_synthetic_pairs(tmp_path / "tree")
    assert pairs.drives == ("scene-0001",) * 2 + ("scene-0002",) * 2
    assert "no rights reserved" in pairs.licence
    expected = pair_of(split_partners(drive(paired_rig())[0]), 0)
    assert isinstance(expected, StereoPair)
    pair = pairs[0]
    assert pair.baseline_m == pytest.approx(0.3, abs=1e-6)
    np.testing.assert_allclose(pair.disparity_px, expected.disparity_px, rtol=1e-3)
    assert np.abs(pair.right.astype(int) - expected.right).mean() < 4  # a JPEG of it


def test_a_tree_without_partners_has_no_pairs(tmp_path: Path) -> None:
    write_nuscenes(tmp_path / "tree", [rendered(drive(make_rig(OWN), n_samples=1))])
    with pytest.raises(DataError, match="no camera has a partner; render it with a rig that has them"):
        open_synthetic_pairs(tmp_path / "tree")
