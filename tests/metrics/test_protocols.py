"""The switches of every protocol, typed from the table of the published evaluations, not from our records."""

from __future__ import annotations

import json

import pytest

from surround_depth.errors import ConfigError
from surround_depth.metrics.protocols import PROTOCOLS, protocol

# name: nuScenes range, DDAD range, truth, resize, flip, own body, median, batch, drop last, cameras first, empty.
# A 0 stands for the smallest positive number.
TABLE = {
    "sd": ((0.1, 80), (0.1, 200), "full", "linear", "disparity", "ignored", "image_numpy", 1, False, False, "nan"),
    "sd:noflip": ((0.1, 80), (0.1, 200), "full", "linear", "off", "ignored", "image_numpy", 1, False, False, "nan"),
    "vf": ((0, 80), (0, 200), "downsampled", "none", "off", "any_non_zero", "camera_batch", 4, True, True, "nan"),
    "cv": ((0, 80), (0, 200), "downsampled", "none", "off", "ignored", "camera_batch", 4, True, True, "nan"),
    "cv:flip": ((0, 80), (0, 200), "downsampled", "none", "depth", "ignored", "camera_batch", 4, True, True, "nan"),
    "vi": ((0, 80), (0, 200), "full", "linear_corners", "off", "ignored", "image_torch", 1, False, False, "minus_one"),
    "vi:pp": (
        (0, 80), (0, 200), "full", "linear_corners", "disparity", "ignored", "image_torch", 1, False, False,
        "minus_one",
    ),
    "r3": ((0.1, 80), (0, 200), "full", "linear_corners", "off", "ignored", "none", 1, False, False, "minus_one"),
    "r3:bug": ((0.1, 80), (0, 200), "full", "linear_corners", "off", "ignored", "none", 1, False, False, "minus_one"),
    "so": ((1e-3, 80), (1e-3, 80), "points", "sub_pixel", "off", "ignored", "image_torch", 1, False, False, "nan"),
    "strict": ((0.5, 80), (0.5, 200), "full", "linear", "off", "masked", "image_numpy", 1, False, False, "skip"),
    "network": ((0.5, 80), (0.5, 80), "network", "none", "off", "masked", "image_numpy", 1, False, False, "skip"),
}  # fmt: skip
# rounding, bounds, winner of the truth: nuScenes, DDAD
RASTERS = {
    "sd": (("half_even", "rounded", "last"), ("truncate", "rounded", "last")),
    "vf": (("half_even", "unrounded", "last"), ("truncate", "rounded", "last")),
    "cv": (("half_even", "rounded", "last"), ("truncate", "rounded", "last")),
    "vi": (("truncate", "rounded", "last"), ("truncate", "rounded", "last")),
    "r3": (("truncate", "rounded", "last"), ("truncate", "rounded", "last")),
    "strict": (("half_up", "rounded", "nearest"), ("half_up", "rounded", "nearest")),
}


def test_the_table_is_complete() -> None:
    assert set(TABLE) == set(PROTOCOLS)


@pytest.mark.parametrize("name", list(TABLE))
def test_switches(name: str) -> None:
    rule = protocol(name)
    ranges = []
    for dataset in ("nuscenes", "ddad"):
        limits = rule.rule(dataset).scored_range
        ranges.append((0 if limits.min_depth_m < 1e-5 else limits.min_depth_m, limits.max_depth_m))
    found = (
        *ranges, rule.truth, rule.resampling, rule.flip, rule.own_body, rule.median, rule.batch, rule.drop_last,
        rule.batch_first, rule.empty,
    )  # fmt: skip
    assert found == TABLE[name]
    assert rule.clamp_before_median == name.startswith(("vf", "cv"))
    assert rule.needs_positive_prediction == name.startswith("r3")
    assert rule.occlusion_test == (name == "strict")
    assert rule.nuscenes.vertical_K_factor == (pytest.approx(0.964285, abs=1e-6) if name == "r3:bug" else 1.0)
    assert rule.ddad.vertical_K_factor == 1.0
    assert rule.rule("synthetic") == rule.nuscenes


@pytest.mark.parametrize("name", list(RASTERS))
def test_rasterisers(name: str) -> None:
    found = tuple(
        (r.rounding, r.bounds, r.winner) for r in (protocol(name).rule(d).rasteriser for d in ("nuscenes", "ddad"))
    )
    assert found == RASTERS[name]
    assert protocol("sd").nuscenes.rasteriser.arithmetic == "float32_product"
    assert protocol("vf").nuscenes.rasteriser.arithmetic == "float64"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no protocol 'kitti'; there are strict, sd, sd:noflip"):
        protocol("kitti")


def test_a_record_of_switches_is_plain_json() -> None:
    for rule in PROTOCOLS.values():
        assert json.loads(json.dumps(rule.as_dict())) == rule.as_dict()
