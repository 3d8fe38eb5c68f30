"""The benchmark's two loaders read the same moment, and its numbers are what they say. No time is asserted."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flat_road import FakeSequence

from surround_depth.benchmarks.loading import (
    AS_GRAPH_TAKES_IT,
    LIKE_FOR_LIKE,
    RESEARCH,
    LoadingComparison,
    LoadingRate,
    compare_loading,
)
from surround_depth.benchmarks.loading_moment import StoredMoment, made_up_sample, store_moment
from surround_depth.benchmarks.loading_report import loading_report
from surround_depth.benchmarks.report import Table
from surround_depth.benchmarks.research_loader import ResearchLoader
from surround_depth.data.sample import Sample
from surround_depth.errors import ConfigError, DataError, MissingDependencyError
from surround_depth.frame import EncodedImage
from surround_depth.imaging import InputSpec, encode_jpeg

SPEC = InputSpec(height_px=64, width_px=96)


def encoded(sample: Sample) -> Sample:
    images = tuple(EncodedImage(encode_jpeg(image), "a.jpg") for image in sample.frame.images)  # type: ignore[arg-type]
    return replace(sample, frame=replace(sample.frame, images=images))


@pytest.fixture
def moment(tmp_path: Path) -> StoredMoment:
    return store_moment(encoded(FakeSequence()[0]), tmp_path)


def test_a_stored_moment_reads_back(moment: StoredMoment) -> None:
    sample, recorded = moment[0], encoded(FakeSequence()[0])
    assert sample.lidar is not None
    assert recorded.lidar is not None
    np.testing.assert_array_equal(sample.lidar.points_m, recorded.lidar.points_m)
    assert [image.data for image in sample.frame.images] == [image.data for image in recorded.frame.images]  # type: ignore[union-attr]


def test_images_that_are_no_jpegs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="LEFT has no JPEG"):
        store_moment(FakeSequence()[0], tmp_path)


def test_the_research_loader_puts_a_point_where_it_belongs(tmp_path: Path) -> None:
    """FRONT: K = 70 px, centre (47.5, 31.5), 1.5 m up, 0.3 m ahead. A point 10.3 m ahead, 1.03 m left, -0.02 m up."""
    sample = encoded(FakeSequence()[0])
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


def test_every_way_is_timed_and_hands_out_what_it_says(moment: StoredMoment) -> None:
    comparison = compare_loading(moment, SPEC, 2)
    assert [rate.name for rate in comparison.workers] == [LIKE_FOR_LIKE, AS_GRAPH_TAKES_IT, RESEARCH]
    assert len(comparison.alone) == 5
    assert {"decode JPEGs", "resize", "occlusion test", "the rest"} < comparison.stages_ms.keys()
    assert comparison.stages_ms["decode JPEGs"] > 0
    assert comparison.n_points == 8100
    for rates in (comparison.alone, comparison.workers):
        sample_bytes = {rate.name: rate.sample_bytes for rate in rates}
        # Three cameras: images of 3 and a map of 1 channel, 4 bytes each.
        assert sample_bytes[LIKE_FOR_LIKE] == sample_bytes[RESEARCH] == 3 * 64 * 96 * (3 + 1) * 4
        # Images and masks in bytes, relative depth in two; rays 1/64 as many, and poses and points.
        assert 3 * 64 * 96 * (3 + 1 + 2) < sample_bytes[AS_GRAPH_TAKES_IT] < sample_bytes[RESEARCH]


def test_nothing_is_not_measured(moment: StoredMoment) -> None:
    with pytest.raises(ConfigError, match="--samples is 0"):
        compare_loading(moment, SPEC, 0)


def test_without_pillow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.delitem(sys.modules, "surround_depth.benchmarks.research_loader")
    with pytest.raises(MissingDependencyError, match=r"surround_depth\[crosscheck\]"):
        importlib.import_module("surround_depth.benchmarks.research_loader")


def test_the_headline_is_like_for_like() -> None:
    """0.12 s a sample against 0.05 s like for like and 0.04 s as bytes: 2.4 and 3 times."""
    rates = (
        LoadingRate(LIKE_FOR_LIKE, 0.05, 0.05, 22_000_000),
        LoadingRate(AS_GRAPH_TAKES_IT, 0.04, 0.05, 8_100_000),
        LoadingRate(RESEARCH, 0.12, 0.2, 22_000_000),
    )
    comparison = LoadingComparison(rates, rates, {"decode JPEGs": 15.0}, 6, 869_000, 34_688, 30)
    report = loading_report(comparison, InputSpec(height_px=352, width_px=640), "a street")
    assert report.blocks[1] == (
        "In one process a core loads **2.40 times** as many samples as the research loader, like for like "
        "(aim 3: missed); 3.00 times as our graph takes them, uint8."
    )
    tables = [block for block in report.blocks if isinstance(block, Table)]
    assert tables[0].rows[1] == (AS_GRAPH_TAKES_IT, "25.0", "40.0", "50.0", "8.1", "3.00")
    assert report.figures["ratios"]["workers"][LIKE_FOR_LIKE] == pytest.approx(2.4)
    assert report.figures["input"] == "352x640"


def test_made_up_pictures_weigh_what_real_ones_do() -> None:
    sample = made_up_sample()
    assert sample.lidar is not None
    assert len(sample.lidar) == 34_688
    sizes = [len(image.data) for image in sample.frame.images if isinstance(image, EncodedImage)]
    assert len(sizes) == 6
    assert 130_000 < np.mean(sizes) < 165_000  # the six fixtures of nuScenes: 131 to 165 kB
