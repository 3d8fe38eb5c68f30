"""The published mask resize, with Pillow as the witness."""

from __future__ import annotations

import numpy as np
import pytest

from surround_depth.metrics.lanczos_mask import kept_after_lanczos

pillow = pytest.importorskip("PIL.Image", reason="Pillow (extra crosscheck) is the witness of this resize")


@pytest.mark.parametrize("size", [(24, 40), (38, 61), (76, 121), (90, 121)])
def test_the_same_pixels_as_pillow(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    own_body = np.zeros((76, 121), bool)
    own_body[50:, 20:90] = True
    own_body |= rng.random(own_body.shape) < 0.02
    image = pillow.fromarray(np.where(own_body, 0, 255).astype(np.uint8))
    resized = np.asarray(image.resize(size[::-1], pillow.Resampling.LANCZOS))
    np.testing.assert_array_equal(kept_after_lanczos(own_body, *size), resized > 0)
    assert 0 < (resized > 0).sum() < resized.size  # both kinds of pixel are compared


def test_the_filter_rings_and_the_rule_keeps_the_ring() -> None:
    """Kept up to column 16 of 40: cell 4 (columns 16 to 19) is kept, and cell 6, where the filter rings."""
    own_body = np.zeros((40, 40), bool)
    own_body[:, 17:] = True
    kept = kept_after_lanczos(own_body, 10, 10)
    assert kept[0].tolist() == [True, True, True, True, True, False, True, False, False, False]
