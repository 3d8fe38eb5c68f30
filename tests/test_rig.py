"""Every way a rig file can be wrong is refused with the camera and key named; both shipped rigs load."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from surround_depth.errors import CalibrationError
from surround_depth.geometry import Lens, quaternion_to_R, rigid
from surround_depth.rig import Camera, Rig, load_rig, save_rig

FORWARD_WXYZ = (0.5, -0.5, 0.5, -0.5)  # camera z = ego x


def camera_entry(name="FRONT", **changes):
    entry = {
        "name": name,
        "size_px": [90, 160],
        "K": [[126.0, 0.0, 80.0], [0.0, 126.0, 45.0], [0.0, 0.0, 1.0]],
        "T_ego_cam": {"translation_m": [1.5, 0.0, 1.6], "rotation_wxyz": list(FORWARD_WXYZ)},
    }
    entry.update(changes)
    return entry


def write_rig(tmp_path: Path, *cameras, **changes) -> Path:
    path = tmp_path / "truck7.yaml"
    tree = {"name": "truck7", "source": "test", "cameras": list(cameras) or [camera_entry()], **changes}
    path.write_text(yaml.safe_dump(tree))
    return path


def pose(**changes):
    return {"translation_m": [1.5, 0.0, 1.6], "rotation_wxyz": list(FORWARD_WXYZ), **changes}


BAD_CAMERAS = {
    "scaled rotation": (
        {"T_ego_cam": {"translation_m": [0.0, 0.0, 0.0], "rotation_matrix": [[1.1, 0, 0], [0, 1, 0], [0, 0, 1]]}},
        "proper rotation",
    ),
    "mirrored rotation": (
        {"T_ego_cam": {"translation_m": [0.0, 0.0, 0.0], "rotation_matrix": [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]}},
        "proper rotation",
    ),
    "quaternion not unit": ({"T_ego_cam": pose(rotation_wxyz=[0.5, 0.5, 0.5, 0.6])}, "norm"),
    "both rotations": ({"T_ego_cam": pose(rotation_matrix=[[1, 0, 0], [0, 1, 0], [0, 0, 1]])}, "exactly one"),
    "NaN in K": ({"K": [[float("nan"), 0, 80], [0, 126, 45], [0, 0, 1]]}, "K"),
    "infinite translation": ({"T_ego_cam": pose(translation_m=[float("inf"), 0, 0])}, "translation_m"),
    "millimetres": ({"T_ego_cam": pose(translation_m=[1500.0, 0.0, 1600.0])}, "millimetres"),
    "K of another size": ({"K": [[126.0, 0, 800.0], [0, 126.0, 45.0], [0, 0, 1]]}, "principal point"),
    "K not 3x3": ({"K": [[126.0, 0, 80.0], [0, 126.0, 45.0]]}, "K has shape"),
    "negative focal": ({"K": [[-126.0, 0, 80.0], [0, 126.0, 45.0], [0, 0, 1]]}, "focal"),
    "transposed K": ({"K": [[126.0, 0, 0], [0, 126.0, 0], [80.0, 45.0, 1]]}, "upper triangular"),
    "zero size": ({"size_px": [0, 160]}, "height_px"),
    "size of text": ({"size_px": ["90", 160]}, "size_px"),
    "three sizes": ({"size_px": [90, 160, 3]}, "size_px"),
    "unknown key": ({"focal": 126.0}, "focal"),
    "unknown lens": ({"lens": {"model": "mei", "coefficients": []}}, "lens.model"),
    "wrong lens count": ({"lens": {"model": "radtan", "coefficients": [0.1]}}, "coefficients"),
}


@pytest.mark.parametrize(("changes", "message"), BAD_CAMERAS.values(), ids=BAD_CAMERAS.keys())
def test_bad_cameras_are_refused_by_name_and_key(tmp_path, changes, message):
    path = write_rig(tmp_path, camera_entry(), camera_entry("LEFT", **changes))
    with pytest.raises(CalibrationError) as refusal:
        load_rig(path)
    assert "truck7.yaml" in str(refusal.value)
    assert "LEFT" in str(refusal.value)
    assert message in str(refusal.value)


def test_missing_key_is_named(tmp_path):
    entry = camera_entry("LEFT")
    del entry["K"]
    with pytest.raises(CalibrationError, match=r"LEFT\.K.*missing"):
        load_rig(write_rig(tmp_path, entry))


def test_two_cameras_of_one_name(tmp_path):
    with pytest.raises(CalibrationError, match=r"2 cameras are named 'FRONT'"):
        load_rig(write_rig(tmp_path, camera_entry(), camera_entry()))


def test_unknown_key_at_the_top_is_refused_with_a_hint(tmp_path):
    with pytest.raises(CalibrationError, match=r"unknown key 'camera' \(did you mean 'cameras'\?\)"):
        load_rig(write_rig(tmp_path, camera=[]))


def test_no_camera_and_no_file(tmp_path):
    (tmp_path / "empty.yaml").write_text("name: a\nsource: b\ncameras: []\n")
    with pytest.raises(CalibrationError, match="no camera"):
        load_rig(tmp_path / "empty.yaml")
    with pytest.raises(CalibrationError, match="no such file"):
        load_rig(tmp_path / "none.yaml")
    with pytest.raises(CalibrationError, match="nuscenes"):
        load_rig("nuscnes")


@pytest.mark.parametrize("text", ["[1, 2]", "name: a\nname: b\n", "a: &x [1]\nb: *x\n", ":\n- ]["])
def test_files_that_are_no_rig(tmp_path, text):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(CalibrationError, match=r"bad\.yaml"):
        load_rig(tmp_path / "bad.yaml")


@pytest.mark.parametrize("name", ["nuscenes", "ddad"])
def test_shipped_rigs_load_and_round_trip(tmp_path, name):
    rig = load_rig(name)
    assert len(rig) == 6
    assert rig.source
    save_rig(rig, tmp_path / "again.yaml")
    again = load_rig(tmp_path / "again.yaml")
    assert again.names == rig.names
    for a, b in zip(rig.cameras, again.cameras, strict=True):
        np.testing.assert_array_equal(a.K, b.K)
        np.testing.assert_allclose(a.T_ego_cam, b.T_ego_cam, atol=1e-12)
        assert (a.lens, a.trigger_offset_ms, a.height_px, a.width_px) == (
            b.lens,
            b.trigger_offset_ms,
            b.height_px,
            b.width_px,
        )


def test_nuscenes_ring_by_known_names():
    rig = load_rig("nuscenes")
    ring = [rig.names[i] for i in rig.ring_order()]
    expected = ["FRONT_LEFT", "FRONT", "FRONT_RIGHT", "BACK_RIGHT", "BACK", "BACK_LEFT"]
    assert ring == [f"CAM_{place}" for place in expected]
    assert len(rig.adjacent_pairs()) == 6


def test_ddad_ring_by_known_yaws():
    rig = load_rig("ddad")
    # protocols.md, facts 9.3: 05 at 52 deg, 01 at 4, 06 at -53, 08 at -125, 09 at 181, 07 at 124
    assert [rig.names[i][-2:] for i in rig.ring_order()] == ["05", "01", "06", "08", "09", "07"]


def make_camera(name, yaw_deg, focal_px=80.0, **changes):
    half = np.deg2rad(yaw_deg) / 2
    R_ego_front = quaternion_to_R([np.cos(half), 0.0, 0.0, np.sin(half)]) @ quaternion_to_R(FORWARD_WXYZ)
    K = np.array([[focal_px, 0, 79.5], [0, focal_px, 44.5], [0, 0, 1.0]])
    return Camera(name, 90, 160, K, rigid(R_ego_front, [1.0, 0.0, 1.5]), **changes)


def test_field_of_view_and_overlap_by_hand():
    # Half a field of view is atan(80 / 80) = 45 degrees: cameras 80 degrees apart overlap, 100 do not.
    rig = Rig("three", (make_camera("F", 0.0), make_camera("R", -80.0), make_camera("L", 100.0)))
    left, right = rig.cameras[0].yaw_limits_rad
    assert np.rad2deg([left, right]) == pytest.approx([45.0, -45.0])
    assert [rig.names[i] for i in rig.ring_order()] == ["L", "F", "R"]
    assert rig.adjacent_pairs() == ((0, 1),)


def test_one_and_two_cameras():
    one = Rig("one", (make_camera("F", 0.0),))
    assert one.ring_order() == (0,)
    assert one.adjacent_pairs() == ()
    two = Rig("two", (make_camera("F", 0.0), make_camera("R", -60.0)))
    assert two.adjacent_pairs() == ((0, 1),)


def test_fingerprint_sees_every_change():
    base = make_camera("F", 0.0)
    mask = np.zeros((90, 160), dtype=bool)
    mask[80:] = True
    variants = [
        base,
        make_camera("G", 0.0),
        make_camera("F", 0.001),
        make_camera("F", 0.0, focal_px=80.001),
        make_camera("F", 0.0, lens=Lens("radtan", (0.0, 0.0, 0.0, 0.1))),
        make_camera("F", 0.0, trigger_offset_ms=1.0),
        base.with_own_body(mask),
    ]
    prints = {Rig("r", (camera,)).fingerprint for camera in variants}
    assert len(prints) == len(variants)
    assert Rig("other name", (make_camera("F", 0.0),)).fingerprint == Rig("r", (base,)).fingerprint


def test_fingerprint_is_that_of_another_machine_whose_rotations_end_in_other_bits():
    camera = make_camera("F", 0.3)
    T_ego_cam = np.array(camera.T_ego_cam)
    T_ego_cam[:3, :3] = np.nextafter(T_ego_cam[:3, :3], 2.0)
    other = replace(camera, T_ego_cam=T_ego_cam)
    assert other.T_ego_cam.tobytes() != camera.T_ego_cam.tobytes()
    assert Rig("r", (other,)).fingerprint == Rig("r", (camera,)).fingerprint


def test_own_body_polygon_by_hand(tmp_path):
    # Pixel centres strictly inside u 9.5..19.5, v 49.5..59.5: columns 10 to 19, rows 50 to 59.
    square = [[9.5, 49.5], [19.5, 49.5], [19.5, 59.5], [9.5, 59.5]]
    rig = load_rig(write_rig(tmp_path, camera_entry(own_body_polygons_px=[square])))
    rows, columns = np.nonzero(rig.cameras[0].own_body)
    assert (rows.min(), rows.max(), columns.min(), columns.max(), rows.size) == (50, 59, 10, 19, 100)


def test_own_body_of_another_size_is_refused():
    with pytest.raises(CalibrationError, match="own_body"):
        make_camera("F", 0.0).with_own_body(np.zeros((9, 16), dtype=bool))


def test_cameras_cannot_be_changed():
    camera = make_camera("F", 0.0)
    with pytest.raises(ValueError, match="read-only"):
        camera.K[0, 0] = 1.0
    with pytest.raises(AttributeError):
        camera.name = "G"


def test_polygons_survive_save_and_load(tmp_path):
    square = [[9.5, 49.5], [19.5, 49.5], [19.5, 59.5], [9.5, 59.5]]
    rig = load_rig(write_rig(tmp_path, camera_entry(own_body_polygons_px=[square])))
    save_rig(rig, tmp_path / "again.yaml")
    np.testing.assert_array_equal(load_rig(tmp_path / "again.yaml").cameras[0].own_body, rig.cameras[0].own_body)


def test_an_outline_of_two_corners_is_refused(tmp_path):
    with pytest.raises(CalibrationError, match=r"FRONT.*2 corners"):
        load_rig(write_rig(tmp_path, camera_entry(own_body_polygons_px=[[[1.0, 1.0], [2.0, 2.0]]])))


def test_sizes_are_whole_numbers():
    camera = make_camera("F", 0.0)
    with pytest.raises(CalibrationError, match="whole number"):
        Camera("F", 90.0, 160, camera.K, camera.T_ego_cam)
    numpy_sizes = Camera("F", np.int64(90), np.int64(160), camera.K, camera.T_ego_cam)
    assert Rig("r", (numpy_sizes,)).fingerprint == Rig("r", (camera,)).fingerprint


def test_a_fisheye_whose_circle_ends_inside_the_image_still_has_a_view():
    # Angles fold at sqrt(1 / 0.6) = 1.291 rad, where the image radius is 1.291 (1 - 0.2 * 1.667) = 0.861 focal lengths.
    K = np.array([[60.0, 0, 79.5], [0, 60.0, 44.5], [0, 0, 1.0]])
    lens = Lens("fisheye", (-0.2, 0.0, 0.0, 0.0))
    camera = Camera("FISH", 90, 160, K, make_camera("F", 0.0).T_ego_cam, lens)
    left, right = camera.yaw_limits_rad
    assert left == pytest.approx(-right, abs=0.05)
    assert 1.1 < left <= 1.291
