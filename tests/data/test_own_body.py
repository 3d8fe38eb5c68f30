"""Own-body masks: derived from drives whose body is known, refused without evidence, written, read and shipped."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from own_body_world import NoiseDrive, exact_body, make_body_rig

from surround_depth.data.own_body import MIN_SUPPORT, derive_own_body, intersection_over_union
from surround_depth.data.own_body_masks import shipped_masks, write_own_body_masks
from surround_depth.data.paths import read_own_body
from surround_depth.errors import DataError
from surround_depth.imaging import parse_size, plan_images
from surround_depth.rig import load_rig


def overlap(found: np.ndarray, exact: np.ndarray) -> float:
    """Intersection over union."""
    return float((found & exact).sum() / (found | exact).sum())


@pytest.fixture(scope="module")
def estimates():
    return derive_own_body(NoiseDrive(seed) for seed in range(5))


def test_agreement_of_two_masks_by_hand():
    """Two pixels of three are shared."""
    a, b = np.array([[True, True, True, False]]), np.array([[False, True, True, False]])
    assert intersection_over_union(a, b) == pytest.approx(2 / 3)
    assert intersection_over_union(a, ~a) == 0.0
    assert intersection_over_union(a & ~a, a & ~a) == 1.0


def test_the_bonnet_is_found_and_nothing_else(estimates):
    rig = make_body_rig()
    assert overlap(estimates["B"].own_body, exact_body(rig.camera("B"))) > 0.95
    assert not estimates["F"].own_body.any()
    assert estimates["B"].hidden_share == pytest.approx(exact_body(rig.camera("B")).mean(), rel=0.05)
    assert estimates["B"].support is not None
    assert estimates["B"].support >= MIN_SUPPORT > 2 * estimates["F"].runner_up
    assert estimates["F"].support is None
    assert estimates["F"].n_frames == 50


def test_a_flat_horizon_is_no_outline_of_a_vehicle():
    found = derive_own_body(NoiseDrive(seed, is_flat=True) for seed in range(5))
    assert not found["F"].own_body.any()
    assert overlap(found["B"].own_body, exact_body(make_body_rig().camera("B"))) > 0.95


def test_large_images_are_judged_smaller_and_masked_whole():
    rig = make_body_rig(scale=8)  # 1280 px wide
    drives = [NoiseDrive(seed, rig.select(("B",)), n_samples=8) for seed in range(4)]
    found = derive_own_body(drives)["B"].own_body
    assert found.shape == (960, 1280)
    assert overlap(found, exact_body(rig.camera("B"))) > 0.95


@pytest.mark.parametrize(
    "drives, complaint",
    [
        ([], "no frame"),
        ([NoiseDrive(seed) for seed in range(3)], "30 frames at least 0.5 m apart from 3 drives"),
        ([NoiseDrive(seed, n_samples=4) for seed in range(5)], "20 frames"),
        ([NoiseDrive(seed, step_m=0.1) for seed in range(5)], "frames at least 0.5 m apart"),
        ([NoiseDrive(seed, step_m=0.0) for seed in range(5)], "from 0 drives in motion"),
        ([NoiseDrive(0, posed=False)], "noise-0, frame 0 has no ego pose"),
        ([NoiseDrive(0), NoiseDrive(1, make_body_rig(2))], "F: images change size to 320x240"),
    ],
)
def test_without_evidence_there_is_no_mask(drives, complaint):
    with pytest.raises(DataError, match=complaint):
        derive_own_body(drives)


def test_written_masks_are_read_back(estimates, tmp_path):
    write_own_body_masks(tmp_path / "m", estimates, {"scenes": ["a"]}, suffix="_mask")
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["B_mask.png", "F_mask.png", "masks.json"]
    mask = read_own_body(tmp_path / "m" / "B_mask.png", 120, 160)
    np.testing.assert_array_equal(mask, estimates["B"].own_body)
    facts = json.loads((tmp_path / "m" / "masks.json").read_text())
    assert facts["scenes"] == ["a"]
    assert facts["cameras"]["B"]["sha256"] == hashlib.sha256((tmp_path / "m" / "B_mask.png").read_bytes()).hexdigest()


def test_published_rgba_masks_are_read_as_grey(tmp_path):
    """VFDepth's nuScenes masks are RGBA; converted to "L", colour decides and transparency does not."""
    rgba = np.zeros((4, 6, 4), np.uint8)
    rgba[:2, :, :3] = 255
    rgba[..., 3] = [255, 255, 255, 0, 0, 0]
    cv2.imwrite(str(tmp_path / "CAM_FRONT.png"), rgba)
    own_body = read_own_body(tmp_path / "CAM_FRONT.png", 4, 6)
    np.testing.assert_array_equal(own_body, np.arange(4)[:, None].repeat(6, axis=1) >= 2)


@pytest.mark.parametrize("name, size", [("nuscenes", "352x640"), ("ddad", "384x608")])
def test_shipped_masks_are_the_renderers(name, size):
    """Derived from rendered pictures alone, against the body that the renderer traced."""
    pytest.importorskip("open3d")
    from surround_depth.data.synthetic.camera_view import CameraView
    from surround_depth.data.synthetic.ego import ego_body
    from surround_depth.data.synthetic.raycast import RayScene

    rig = plan_images(load_rig(name), parse_size("size", size)).network_rig
    scene = RayScene(ego_body(rig, (200, 30, 30)).corners_m)
    for camera in rig.cameras:
        found = read_own_body(
            shipped_masks(f"synthetic_{name}") / f"{camera.name}.png", camera.height_px, camera.width_px
        )
        exact = CameraView.of(camera).own_body(scene)
        if exact.mean() < 0.004:  # a corner of a few pixels is below what is looked for
            assert not found.any()
        else:
            assert overlap(found, exact) > 0.9


def test_shipped_masks_fit_their_description():
    folder = shipped_masks("synthetic_nuscenes")
    for name, facts in json.loads((folder / "masks.json").read_text())["cameras"].items():
        mask = read_own_body(folder / f"{name}.png", facts["height_px"], facts["width_px"])
        assert mask.mean() == pytest.approx(facts["hidden_share"], abs=1e-4)
        assert hashlib.sha256((folder / f"{name}.png").read_bytes()).hexdigest() == facts["sha256"]


def test_a_name_that_does_not_ship_lists_those_that_do():
    with pytest.raises(DataError, match=r"'truck' ship.*synthetic_ddad, synthetic_nuscenes"):
        shipped_masks("truck")


def test_masks_enter_the_rig(estimates):
    rig = make_body_rig()
    masked = replace(rig, cameras=tuple(c.with_own_body(estimates[c.name].own_body) for c in rig.cameras))
    assert masked.camera("B").own_body is not None


def test_masks_replace_masks_and_nothing_else(tmp_path):
    (tmp_path / "notes.txt").write_text("precious")
    with pytest.raises(DataError, match=r"is not empty and has no masks\.json"):
        write_own_body_masks(tmp_path, {}, {})
    assert (tmp_path / "notes.txt").read_text() == "precious"
    for _ in range(2):
        write_own_body_masks(tmp_path / "m", {}, {})
