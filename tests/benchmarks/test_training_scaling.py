"""The training benchmark counts the samples of all processes, and steps on a batch that a student can learn from."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from surround_depth.benchmarks.training_scaling import Load, StepTimes, measure, measure_together, scaling_report
from surround_depth.errors import SurroundDepthError
from surround_depth.imaging import InputSpec

torch.set_num_threads(1)
LOAD = Load(InputSpec(height_px=64, width_px=96), "nano", 2, "fp32", "cpu")


def test_rates_count_all_processes() -> None:
    times = [StepTimes(1, (0.5, 0.4, 9.0), None, None), StepTimes(2, (0.5, 0.5, 0.5), 1.25, 0.9)]
    report = scaling_report(LOAD, times)
    assert report.figures["samples_per_s"] == pytest.approx([4.0, 8.0])  # 2 / 0.5 s, and 2 x 2 / 0.5 s
    assert "| 2 | 500 | 8.00 | 2.00 | 1.2 | 90% |" in str(report.blocks[1])


def test_a_made_up_step_is_a_whole_step() -> None:
    times = measure(LOAD, 1)
    assert times.n_processes == 1
    assert len(times.steps_s) == 1
    assert times.steps_s[0] > 0.0


def test_processes_answer_together_and_one_that_fails_ends_the_other(tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import os\nprint(0.5, float(os.environ['RANK']))\n")
    assert measure_together(LOAD, 2, 1, worker).steps_s == (0.5, 0.0)
    worker.write_text("import os, sys, time\nsys.exit('no room') if os.environ['RANK'] == '1' else time.sleep(600)\n")
    with pytest.raises(SurroundDepthError, match="a process of the benchmark failed: no room"):
        measure_together(LOAD, 2, 1, worker)
