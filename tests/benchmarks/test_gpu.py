"""The GPU table without a GPU: which networks, which lines, what a failing line says, and every cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from surround_depth.benchmarks import gpu_rows
from surround_depth.benchmarks.gpu import GpuTable, NetCost, Plan, measure
from surround_depth.benchmarks.gpu_nets import DEFAULT_NETS, Net, chosen_nets, preset_net
from surround_depth.benchmarks.gpu_report import gpu_report, row_line
from surround_depth.benchmarks.gpu_rows import Contender, Quantiles, Row, RunTimes, measure_row, quantiles, time_backend
from surround_depth.benchmarks.report import Table
from surround_depth.benchmarks.roofline import Ceilings
from surround_depth.errors import ConfigError, MissingDependencyError
from surround_depth.export.checkpoint import TrainedStudent
from surround_depth.imaging import InputSpec
from surround_depth.inference.backend import NetworkInputs, NetworkOutputs
from surround_depth.inference.latency import DeviceTimes
from surround_depth.inference.manifest import CheckpointRecord

SMALL = InputSpec(height_px=64, width_px=96)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def net() -> Net:
    return preset_net("pico", SMALL, 2, ())


class Stopwatch:
    """A backend that answers as the reference does, and whose device says 1, 2, 3, ... ms."""

    runs_as = "in the test"

    def __init__(self, net: Net) -> None:
        self.spec, self.net, self.n_runs = net.spec, net, 0

    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        self.n_runs += 1
        return self.net.reference.infer(inputs)

    def last_times(self) -> DeviceTimes:
        return DeviceTimes(0.25, float(self.n_runs), 0.5)

    def close(self) -> None: ...

    def __enter__(self) -> Stopwatch:
        return self

    def __exit__(self, *error: object) -> None: ...


def test_quantiles_are_those_of_a_hundred_and_one_numbers() -> None:
    assert quantiles([float(n) for n in range(101)]) == Quantiles(50.0, 95.0, 99.0)


def test_the_warm_up_is_not_counted(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_rows, "WARM_UP_S", 0.0)  # one run all the same: the device's 1 ms
    times = time_backend(Stopwatch(net), net.inputs[0], runs=5)  # 2, 3, 4, 5, 6 ms
    assert times.runs == 5
    assert times.engine is not None
    assert times.engine.p50_ms == 4.0
    assert times.copies_p50_ms == 0.75


def test_a_slow_line_ends_early_and_never_below_the_least_number(net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_rows, "WARM_UP_S", 0.0)
    monkeypatch.setattr(gpu_rows, "MAX_ROW_S", 0.0)
    assert time_backend(Stopwatch(net), net.inputs[0], runs=10_000).runs == gpu_rows.MIN_RUNS


def test_a_failing_line_says_why_in_one_cell(net: Net) -> None:
    def broken(net: Net) -> Any:
        raise RuntimeError("CUDA error:\n  no kernel | image")

    row = measure_row(net, Contender("torch on Mars", broken), runs=1)
    assert row == Row("pico", "2 x 64 x 96", "torch on Mars", None, None, "CUDA error: no kernel / image")


def test_a_good_line_has_metres_and_milliseconds(net: Net) -> None:
    row = measure_row(net, Contender("stopwatch", Stopwatch), runs=1)
    assert row.parity is not None
    assert row.parity.max_m == 0.0
    assert row.times is not None
    assert row.note.startswith("in the test; ready after")


def test_a_preset_takes_the_weights_of_a_checkpoint_of_its_shape(net: Net) -> None:
    record = CheckpointRecord(name="mine", weights_sha256="1" * 64, config_sha256="2" * 64)
    trained = TrainedStudent(net.student, SMALL, record, ())
    assert preset_net("pico", SMALL, 2, [trained]).weights == "mine"
    other = preset_net("nano", SMALL, 2, [trained])
    assert other.weights == "random"
    torch.testing.assert_close(preset_net("nano", SMALL, 2, ()).student.state_dict(), other.student.state_dict())


def test_what_is_said_on_the_command_line_replaces_the_default() -> None:
    assert chosen_nets(None, []) == DEFAULT_NETS
    assert chosen_nets(["pico"], [SMALL]) == (("pico", SMALL),)
    assert [preset for preset, _ in chosen_nets(None, [SMALL])] == ["nano", "small", "base"]


def test_the_whole_table_runs_on_a_cpu(monkeypatch: pytest.MonkeyPatch, engine_of_others: tuple[Path, Any]) -> None:
    monkeypatch.setattr(gpu_rows, "WARM_UP_S", 0.0)
    seen: list[Row] = []
    table = measure(Plan([("pico", SMALL)], 2, (), [engine_of_others], runs=1, device=CPU), seen.append)
    notes = {row.contender: row.note for row in table.rows}
    assert tuple(seen) == table.rows
    assert [row.contender for row in table.rows if row.times] == [
        "torch eager fp32",
        "torch eager bf16",
        "torch eager fp16",
    ]
    assert "CUDA device" in notes["torch compile fp16"]
    assert "CUDAExecutionProvider" in notes["onnxruntime cuda fp32"]
    assert "its checkpoint 'theirs' was not given" in notes["tensorrt_rtx fp16 (theirs_fp16)"]
    report = gpu_report(table, runs=1)
    assert isinstance(report.blocks[0], Table)
    assert len(report.blocks[0].rows) == len(table.rows) == 8


@pytest.fixture
def engine_of_others() -> tuple[Path, Any]:
    """An engine folder whose checkpoint nobody gave: only its manifest is looked at."""
    from types import SimpleNamespace

    checkpoint = SimpleNamespace(name="theirs", weights_sha256="f" * 64)
    manifest = SimpleNamespace(engine="tensorrt_rtx", precision="fp16", checkpoint=checkpoint, n_cameras=2, input=SMALL)
    return Path("build/theirs_fp16"), manifest


def test_every_cell_says_what_was_measured() -> None:
    times = RunTimes(1000, Quantiles(1.5, 1.625, 2.0), Quantiles(1.0, 1.125, 1.25), 0.25, 640.0)
    good = Row("nano", "6 x 256 x 448", "tensorrt_rtx fp16 (a)", times, None, "one CUDA graph")
    bad = Row("nano", "6 x 256 x 448", "torch compile fp16", None, None, "no Triton")
    cost = NetCost("nano", "6 x 256 x 448", "random", 1_110_000, 8_000_000_000, 121_000_000, floor_ms=0.2)
    report = gpu_report(GpuTable("Double GPU", Ceilings(7.5e14, 3.0e12), (cost,), (good, bad)), runs=1000)
    lines, meaning, nets, floor = report.blocks
    assert isinstance(lines, Table)
    assert lines.rows[0][2:6] == ("1.00 / 1.12 / 1.25", "1.50 / 1.62 / 2.00", "640", "20%")
    assert lines.rows[1] == ("nano, 6 x 256 x 448", "torch compile fp16", *[""] * 7, "no Triton")
    assert isinstance(nets, Table)
    assert nets.rows == (("nano, 6 x 256 x 448", "random", "1.11", "8.0", "121", "0.200"),)
    assert "1000 runs" in str(meaning)
    assert "750 TFLOP/s" in str(floor)
    assert row_line(bad) == "nano 6 x 256 x 448, torch compile fp16: no Triton"
    assert "engine 1.00 / 1.12 / 1.25 ms; with copies 1.50" in row_line(good)
    assert report.figures["rows"][0]["roofline_share"] == pytest.approx(0.2)


def test_what_cannot_be_measured_is_said_before_anything_is() -> None:
    with pytest.raises(ConfigError, match="--runs is 0"):
        measure(Plan([("pico", SMALL)], 2, (), (), runs=0, device=CPU), print)
    if not torch.cuda.is_available():
        with pytest.raises(MissingDependencyError, match=r"--device cuda:0: torch .* sees no CUDA device"):
            measure(Plan([("pico", SMALL)], 2, (), (), runs=1, device=torch.device("cuda:0")), print)
