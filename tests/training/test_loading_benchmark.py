"""The benchmark's two loaders read the same moment, and its numbers are what they say. No time is asserted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surround_depth.data.sample import Sample
from surround_depth.errors import DataError
from surround_depth.frame import EncodedImage
from surround_depth.imaging import InputSpec, encode_jpeg
from surround_depth.training.benchmark_moment import StoredMoment, made_up_sample, store_moment
from surround_depth.training.loading_benchmark import LoadingRate, LoadingReport, compare_loading
from surround_depth.training.loading_report import markdown
from surround_depth.training.research_loader import ResearchLoader

SPEC = InputSpec(height_px=64, width_px=96)


def encoded(sample: Sample) -> Sample:
    images = tuple(EncodedImage(encode_jpeg(image), "a.jpg") for image in sample.frame.images)  # type: ignore[arg-type]
    return replace(sample, frame=replace(sample.frame, images=images))


@pytest.fixture
def moment(fake_sequence: Any, tmp_path: Path) -> StoredMoment:
    return store_moment(encoded(fake_sequence[0]), tmp_path)


def test_a_stored_moment_reads_back(moment: StoredMoment, fake_sequence: Any) -> None:
    sample, recorded = moment[0], encoded(fake_sequence[0])
    assert sample.lidar is not None
    assert recorded.lidar is not None
    np.testing.assert_array_equal(sample.lidar.points_m, recorded.lidar.points_m)
    assert [image.data for image in sample.frame.images] == [image.data for image in recorded.frame.images]  # type: ignore[union-attr]


def test_images_that_are_no_jpegs_are_refused(fake_sequence: Any, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="LEFT has no JPEG"):
        store_moment(fake_sequence[0], tmp_path)


def test_the_research_loader_puts_a_point_where_it_belongs(fake_sequence: Any, tmp_path: Path) -> None:
    """FRONT: K = 70 px, centre (47.5, 31.5), 1.5 m up, 0.3 m ahead. A point 10.3 m ahead, 1.03 m left, -0.02 m up."""
    sample = encoded(fake_sequence[0])
    assert sample.lidar is not None
    lidar = replace(sample.lidar, points_m=np.array([[10.3, 1.03, -0.02]], np.float32))
    loader = ResearchLoader(store_moment(replace(sample, lidar=lidar), tmp_path), SPEC)
    columns = set()
    for index in range(8):  # some draws flip
        depth_m = loader[index]["depth_m"][1]
        row, column = np.argwhere(depth_m.numpy() > 0)[0]
        assert row == 42  # 31.5 + 70 * 1.52 / 10 = 42.1
        assert depth_m[row, column] == pytest.approx(10.0)
        columns.add(int(column))
    assert columns == {40, 95 - 40}  # 47.5 - 70 * 1.03 / 10 = 40.3


def test_a_report_of_everything(moment: StoredMoment) -> None:
    report = compare_loading(moment, SPEC, 2)
    assert len(report.alone) == 5
    assert len(report.workers) == 2
    assert {"decode JPEGs", "resize", "occlusion test", "the rest"} < report.stages_ms.keys()
    assert report.stages_ms["decode JPEGs"] > 0
    assert report.n_points == 8100


def test_the_ratio_by_hand() -> None:
    rates = (LoadingRate("ours", 0.04, 0.05), LoadingRate("research loader", 0.12, 0.2))
    report = LoadingReport(rates, rates, {"decode JPEGs": 15.0}, 869_000, 34_688, 30)
    assert report.as_dict()["ratio_alone"] == pytest.approx(3.0)
    origin = {"source": "s", "input": "352x640", "command": "c", "commit": "0", "machine": "m", "packages": {}}
    text = markdown(report, origin)
    assert "**3.0 times**" in text
    assert "| ours | 25.0 | 40.0 | 50.0 |" in text


def test_made_up_pictures_weigh_what_real_ones_do() -> None:
    sample = made_up_sample()
    assert sample.lidar is not None
    assert len(sample.lidar) == 34_688
    sizes = [len(image.data) for image in sample.frame.images if isinstance(image, EncodedImage)]
    assert len(sizes) == 6
    assert 130_000 < np.mean(sizes) < 165_000  # the six fixtures of nuScenes: 131 to 165 kB
