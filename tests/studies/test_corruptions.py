"""The spoilt pictures of the test: what each operation does to pixels whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from surround_depth.studies import corruptions
from surround_depth.studies.corruptions import OPERATIONS, Operation
from surround_depth.training import corruption

DEPTH_M = np.full((40, 60), 20.0, np.float32)
GREY = np.full((40, 60, 3), 120, np.uint8)


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_fog_follows_koschmieder() -> None:
    depth_m = DEPTH_M.copy()
    depth_m[0], depth_m[1] = 60.0, np.nan
    found = corruptions.fog(GREY, depth_m, rng())
    # 0.05 ** (20 / 60) = 0.3684: 120 * 0.3684 + 205 * 0.6316 = 173.7; at 60 m 0.05: 200.75; the sky is all fog
    assert (found[2, 0, 0], found[0, 0, 0], found[1, 0, 0]) == (174, 201, 205)


def test_motion_blur_smears_a_point_along_a_line_and_keeps_its_light() -> None:
    image = np.zeros((101, 301, 3), np.uint8)
    image[50, 150] = 255
    found = corruptions.motion_blur(image, np.zeros((101, 301), np.float32), rng())[..., 0].astype(float)
    assert found.sum() == pytest.approx(255, abs=9)  # rounding of nine pixels
    v, u = np.nonzero(found)
    assert np.hypot(np.ptp(u), np.ptp(v)) == pytest.approx(8, abs=1.5)  # 3 % of 301 pixels, ends at their middles
    spread = np.linalg.eigvalsh(np.cov(np.stack([u, v]), aweights=found[v, u]))
    assert spread[0] < 0.1 * spread[1]


def test_impulse_noise_turns_its_share_black_and_white() -> None:
    image = np.full((400, 500, 3), 120, np.uint8)
    found = corruptions.impulse_noise(image, np.zeros((400, 500), np.float32), rng())
    black, white = (found == 0).all(axis=-1).mean(), (found == 255).all(axis=-1).mean()
    assert black == pytest.approx(0.02, abs=0.002)
    assert white == pytest.approx(0.02, abs=0.002)
    assert (image == 120).all()


def test_darkness_halves_the_light_and_counts_photons() -> None:
    image = np.full((200, 300, 3), 120, np.uint8)
    found = corruptions.dark(image, np.zeros((200, 300), np.float32), rng()).astype(float)
    electrons = 120 / 255 * 0.12 * 600
    assert found.mean() == pytest.approx(60, rel=0.01)
    assert found.std() == pytest.approx(60 / np.sqrt(electrons), rel=0.03)  # Poisson: 1 / sqrt(n)


def test_dirt_covers_some_of_the_lens_and_leaves_the_rest() -> None:
    image = np.full((200, 400, 3), 250, np.uint8)
    found = corruptions.dirt(image, np.zeros((200, 400), np.float32), rng())
    covered = (found[..., 0] < 160).mean()
    assert 0.01 < covered < 0.2
    assert (found[..., 0] == 250).mean() > 0.5


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_same_draw_spoils_alike_and_another_size_is_kept(operation: Operation) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    first, second = (operation(image, DEPTH_M, rng()) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first.dtype, first.shape) == (np.uint8, image.shape)
    assert (first != image).any()


def test_no_operation_is_trained_on() -> None:
    names = {operation.__name__ for operation in OPERATIONS}
    assert not names & {operation.__name__ for operation in corruption.OPERATIONS}


def test_the_hash_is_of_what_the_operations_do(monkeypatch: pytest.MonkeyPatch) -> None:
    before = corruptions.operations_sha256()
    assert before == corruptions.operations_sha256()
    monkeypatch.setattr(corruptions, "FOG_SIGHT_M", 61.0)
    assert before != corruptions.operations_sha256()
