"""A label as bytes: what comes back, how exactly, and what is not taken for a label."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from surround_depth.errors import DataError
from surround_depth.teachers.label_codec import decode_label, encode_label
from surround_depth.teachers.teacher import TeacherLabel

SHAPE = (2, 5, 7)  # 35 pixels: the masks do not end with a byte


def label_of(inverse_depth: np.ndarray, valid: np.ndarray, features: np.ndarray | None = None) -> TeacherLabel:
    sky = ~valid & (np.arange(valid.size).reshape(valid.shape) % 3 == 0)
    return TeacherLabel(inverse_depth.astype(np.float32), valid, sky, features)


def after(label: TeacherLabel) -> TeacherLabel:
    return decode_label(encode_label(label, {}))[0]


def require_bound(label: TeacherLabel) -> None:
    """The bound of the module's docstring, image by image."""
    back = after(label)
    for r, found, valid in zip(label.inverse_depth, back.inverse_depth, label.valid, strict=True):
        r, found = r[valid].astype(np.float64), found[valid].astype(np.float64)
        low, high = r.min(), r.max()
        assert (np.abs(found - r) <= 2.0**-11 * (r - low) + 2.0**-25 * (high - low) + 2.0**-24 * np.abs(r)).all()


def test_values_that_half_precision_has_come_back_as_they_are() -> None:
    """1, 2, 3 and 5 from 1 to 5 are 0, 1/4, 1/2 and 1; nothing is said where r is not valid, not even NaN."""
    r = np.array([[[1.0, 2.0, np.nan], [3.0, 5.0, -7.0]]], np.float32)
    valid = np.array([[[True, True, False], [True, True, False]]])
    back = after(label_of(r, valid))
    assert back.inverse_depth.dtype == np.float32
    assert back.inverse_depth.tolist() == [[[1.0, 2.0, 0.0], [3.0, 5.0, 0.0]]]


def test_masks_and_features_come_back_to_the_bit() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(2, 3, 2, 4)).astype(np.float16)
    label = label_of(rng.normal(size=SHAPE), rng.random(SHAPE) < 0.6, features)
    back = after(label)
    np.testing.assert_array_equal(back.valid, label.valid)
    np.testing.assert_array_equal(back.sky, label.sky)
    assert back.features is not None
    assert back.features.dtype == np.float16
    assert back.features.tobytes() == features.tobytes()
    assert after(label_of(np.zeros(SHAPE), label.valid)).features is None


@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (-3.0, 40.0), (1e-4, 1e3), (1e6, -1e6)])
def test_a_relative_label_is_as_exact_as_its_range_is_wide(scale: float, shift: float) -> None:
    rng = np.random.default_rng(2)
    r = scale * np.geomspace(1e-7, 1.0, 2 * 48 * 64).reshape(2, 48, 64) + shift
    require_bound(label_of(rng.permuted(r, axis=2), rng.random((2, 48, 64)) < 0.9))


def test_a_metric_label_keeps_its_depth_to_a_twentieth_of_a_percent_as_far_as_it_sees() -> None:
    depth_m = np.geomspace(0.5, 200.0, 48 * 64).reshape(1, 48, 64)
    label = label_of(1.0 / depth_m, np.ones(depth_m.shape, bool))
    require_bound(label)
    back_m = 1.0 / after(label).inverse_depth.astype(np.float64)
    assert np.abs(back_m / depth_m - 1.0).max() <= 2.0**-11 + 1.3e-5
    assert back_m[0, -1, -1] == pytest.approx(200.0, rel=1e-6)  # the far end itself is kept apart, exactly


def test_a_label_that_was_stored_once_loses_no_more() -> None:
    rng = np.random.default_rng(3)
    once = after(label_of(rng.normal(size=SHAPE), rng.random(SHAPE) < 0.8))
    np.testing.assert_array_equal(after(once).inverse_depth, once.inverse_depth)


@pytest.mark.parametrize("n_valid", [0, 1, 35])
def test_an_image_that_is_flat_or_empty_has_a_label_too(n_valid: int) -> None:
    valid = (np.arange(35) < n_valid).reshape(1, 5, 7)
    back = after(label_of(np.full((1, 5, 7), 0.25), valid))
    np.testing.assert_array_equal(back.valid, valid)
    assert (back.inverse_depth == np.where(valid, np.float32(0.25), 0.0)).all()


def test_facts_come_back_and_equal_labels_have_equal_bytes() -> None:
    label = label_of(np.arange(70.0).reshape(SHAPE), np.ones(SHAPE, bool))
    data = encode_label(label, {"b": "2", "a": "1"})
    assert decode_label(data)[1] == {"a": "1", "b": "2"}
    assert encode_label(label, {"a": "1", "b": "2"}) == data


def test_a_smooth_label_is_small() -> None:
    """A road has a twelfth of float32 and two masks of bytes; uncompressed half precision with packed masks a third."""
    depth_m = np.broadcast_to(np.linspace(80.0, 3.0, 120)[:, None], (1, 120, 160))
    data = encode_label(label_of(1.0 / depth_m, np.ones(depth_m.shape, bool)), {})
    assert len(data) < depth_m.size * 6 / 12


def test_any_bit_that_flips_and_any_byte_that_lacks_is_seen() -> None:
    valid = np.ones((1, 2, 3), bool)
    data = encode_label(label_of(np.arange(6.0).reshape(1, 2, 3), valid), {"sample_id": "a"})
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        for damaged in (bytes(flipped), data[:place]):
            with pytest.raises(DataError, match=r"no label of this version|cut short or damaged"):
                decode_label(damaged)
    with pytest.raises(DataError, match="damaged"):
        decode_label(data + b"\0")


def test_the_checksum_is_that_of_all_that_follows_it() -> None:
    data = encode_label(label_of(np.ones(SHAPE), np.ones(SHAPE, bool)), {})
    assert data[:8] == b"SDLABEL1"
    assert data[8:40] == hashlib.sha256(data[40:]).digest()
