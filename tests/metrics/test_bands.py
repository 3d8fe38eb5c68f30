"""Range bands by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from surround_depth.metrics.bands import band_errors


def test_truth_chooses_the_band_and_its_near_end_belongs_to_it():
    truth_m = np.array([5.0, 10.0, 19.9, 40.0, 100.0, 250.0, np.nan, 5.0])
    depth_m = np.array([50.0, 11.0, 19.9, 60.0, 50.0, 1.0, 5.0, np.nan])
    bands = band_errors(depth_m, truth_m)
    assert list(bands) == ["band 0-10 m", "band 10-20 m", "band 20-40 m", "band 40-80 m", "band 80-200 m"]
    assert [band.n_pixels for band in bands.values()] == [1, 2, 0, 1, 1]
    abs_rel = [band.values["abs_rel"] for band in bands.values()]
    assert abs_rel[:2] == [pytest.approx(9.0), pytest.approx(0.05)]
    assert math.isnan(abs_rel[2])
    assert abs_rel[3:] == [pytest.approx(0.5), pytest.approx(0.5)]
    # of the two true pixels below 10 m one was answered
    assert [band.values["coverage"] for band in bands.values()][:2] == [0.5, 1.0]
    assert math.isnan(bands["band 20-40 m"].values["coverage"])


def test_masked_pixels_do_not_count():
    bands = band_errors(np.full((2, 2), 6.0), np.full((2, 2), 5.0), np.array([[True, False], [False, False]]))
    assert bands["band 0-10 m"].n_pixels == 1


@pytest.mark.parametrize("scale, abs_rel, a1", [(1.0, 0.0, 1.0), (2.0, 1.0, 0.0)])
def test_scaled_truth(scale, abs_rel, a1):
    truth_m = np.random.default_rng(0).uniform(1.0, 199.0, (40, 50)).astype(np.float32)
    for band in band_errors(scale * truth_m, truth_m).values():
        assert band.values["abs_rel"] == pytest.approx(abs_rel)
        assert band.values["a1"] == a1
