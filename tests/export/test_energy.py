"""Energy by a made-up /sys/class/powercap."""

from __future__ import annotations

from pathlib import Path

import pytest

from surround_depth.export.energy import EnergyMeter, energy_text


def write_counter(powercap: Path, name: str, energy_uj: int, range_uj: int = 262_143_328_850) -> None:
    folder = powercap / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")


def test_packages_are_summed_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    names = ("intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0", "intel-rapl-mmio:0")
    for name in names:
        write_counter(tmp_path, name, 1_000_000)
    meter = EnergyMeter.start(tmp_path)
    for name, energy_uj in zip(names, (3_500_000, 2_000_000, 9_000_000, 9_000_000), strict=True):
        write_counter(tmp_path, name, energy_uj)
    assert meter.joules() == pytest.approx(2.5 + 1.0)
    assert meter.joules_per_frame(10) == pytest.approx(0.35)
    assert meter.joules_per_frame(0) is None


def test_a_counter_that_wraps_is_followed(tmp_path: Path) -> None:
    write_counter(tmp_path, "intel-rapl:0", 9_000_000, range_uj=10_000_000)
    meter = EnergyMeter.start(tmp_path)
    write_counter(tmp_path, "intel-rapl:0", 1_500_000, range_uj=10_000_000)
    assert meter.joules() == pytest.approx(2.5)


def test_what_is_absent_or_cannot_be_read_is_said(tmp_path: Path) -> None:
    assert EnergyMeter.start(tmp_path / "none").joules() is None
    write_counter(tmp_path, "intel-rapl:0", 1_000_000)
    (tmp_path / "intel-rapl:1" / "energy_uj").mkdir(parents=True)  # reading it fails, as for a user without the right
    assert EnergyMeter.start(tmp_path).joules() is None
    assert energy_text(None) == "not readable"
    assert energy_text(1.234) == "1.23"


def test_a_counter_that_vanishes_on_the_way_is_no_energy(tmp_path: Path) -> None:
    write_counter(tmp_path, "intel-rapl:0", 1_000_000)
    meter = EnergyMeter.start(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert meter.joules() is None


def test_a_wrap_without_a_known_range_is_no_energy(tmp_path: Path) -> None:
    write_counter(tmp_path, "intel-rapl:0", 1_000_000)
    meter = EnergyMeter.start(tmp_path)
    write_counter(tmp_path, "intel-rapl:0", 500_000)
    (tmp_path / "intel-rapl:0" / "max_energy_range_uj").unlink()
    assert meter.joules() is None
