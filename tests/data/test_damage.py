"""Damaged files cost one sample each, where the caller asks for that, and are told."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest
from whole_trees import write_nuscenes

from surround_depth.data.build import open_dataset
from surround_depth.data.damage import Damage, readable_samples, require_whole
from surround_depth.errors import ConfigError, DataError
from surround_depth.frame import EncodedImage


@pytest.fixture(scope="module")
def pristine(tmp_path_factory, make_drive):
    root = tmp_path_factory.mktemp("damage")
    write_nuscenes(root, [make_drive("scene-0001", n_samples=5)])
    return root


def damaged(pristine, tmp_path):
    """Return a sequence of which samples 0 (no image), 2 (cut image) and 3 (cut sweep) are damaged."""
    tree = shutil.copytree(pristine, tmp_path / "tree")
    images, sweeps = sorted(tree.glob("samples/CAM_BACK/*.jpg")), sorted(tree.glob("samples/LIDAR_TOP/*"))
    images[0].unlink()
    images[2].write_bytes(images[2].read_bytes()[:-100])
    sweeps[3].write_bytes(sweeps[3].read_bytes()[:-3])
    return open_dataset("nuscenes", tree).sequence("scene-0001")


def test_skipped_and_told(pristine, tmp_path):
    damage = Damage()
    read = list(readable_samples(damaged(pristine, tmp_path), range(5), "skip", damage))
    assert [index for index, _ in read] == [1, 4]
    assert all(sample.frame.camera_valid.all() for _, sample in read)
    assert len(damage) == 3
    for text, index, reason in zip(
        damage.texts, (0, 2, 3), ("does not exist", "cut short", "not a multiple"), strict=True
    ):
        assert text.startswith(f"scene-0001 sample {index}: ")
        assert reason in text
        assert "\n" not in text


def test_raised(pristine, tmp_path):
    samples = readable_samples(damaged(pristine, tmp_path), (1, 2), "raise", Damage())
    assert next(samples)[0] == 1
    with pytest.raises(DataError, match="cut short after"):
        next(samples)


def test_unknown_policy(pristine, tmp_path):
    with pytest.raises(ConfigError, match="'ignore' is not one of raise, skip"):
        next(readable_samples(damaged(pristine, tmp_path), (1,), "ignore", Damage()))


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_end_of_an_image(suffix):
    data = cv2.imencode(suffix, np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8))[1].tobytes()
    require_whole(EncodedImage(data, "a"))
    require_whole(EncodedImage(data + b"\0" * 100, "a"))
    with pytest.raises(DataError, match="a is cut short after"):
        require_whole(EncodedImage(data[:-1], "a"))
    with pytest.raises(DataError, match="a is neither JPEG nor PNG"):
        require_whole(EncodedImage(b"GIF89a", "a"))
    with pytest.raises(DataError, match="neither JPEG nor PNG"):
        require_whole(EncodedImage(b"", "a"))
