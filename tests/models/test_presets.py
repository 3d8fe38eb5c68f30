"""Presets: their sizes, and the one whose weights ship."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import surround_depth
from surround_depth.errors import ConfigError
from surround_depth.models.config import BinConfig
from surround_depth.models.presets import PRESETS, Preset, student_preset
from surround_depth.models.student import Student


def millions(preset: Preset) -> float:
    return sum(p.numel() for p in Student(student_preset(preset)).parameters()) / 1e6


def test_presets_keep_their_sizes() -> None:
    size = {preset: millions(preset) for preset in PRESETS}
    assert 0.4 < size["pico"] < 1.0 < size["nano"] < 1.2
    assert 3 < size["small"] < 6
    assert 12 < size["base"] < 20
    assert 30 < size["large"] < 36
    assert max(size["convnext_atto"], size["pvt_b0"]) < 6


def test_nano_is_the_student_that_ships() -> None:
    weights = Path(surround_depth.__file__).parent / "weights" / "nano_synthetic" / "config.json"
    shipped = json.loads(weights.read_text())["student"]["encoder"]["backbone"]
    backbone = student_preset("nano").encoder.backbone
    assert {key: shipped[key] for key in backbone} == backbone


def test_bins_are_the_callers() -> None:
    assert student_preset("small", BinConfig(n_bins=32)).bins.n_bins == 32


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'huge' is unknown; choose one of pico, nano, small, base, large"):
        student_preset("huge")  # type: ignore[arg-type]
