"""Parity against hand-worked differences: two doubles whose depths are known, no engine needed."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
import pytest
from tiny_engine import CAMERAS, HEIGHT, SPEC, WIDTH, tiny_inputs

from surround_depth.errors import EngineMismatchError
from surround_depth.export.parity import PARITY_BOUNDS, Rung, measure_parity, parity_table, require_parity
from surround_depth.inference.backend import EngineSpec, NetworkInputs, NetworkOutputs

SHAPE = (CAMERAS, HEIGHT, WIDTH)
PIXELS = HEIGHT * WIDTH


@dataclass
class Fixed:
    """A backend that always answers the same."""

    depth_m: np.ndarray
    confidence: np.ndarray = field(default_factory=lambda: np.full(SHAPE, 0.5, np.float32))
    spec: EngineSpec = SPEC

    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        return NetworkOutputs(self.depth_m, self.confidence)

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def plane(depth_m: float) -> np.ndarray:
    return np.full(SHAPE, depth_m, np.float32)


def test_the_numbers_are_those_worked_by_hand() -> None:
    """20 m everywhere; a tenth of the living camera's pixels is 1 m off (5 %), its confidence 0.25 off."""
    candidate = plane(20.0)
    rows = HEIGHT // 8  # 8 of 64 rows: 12.5 %
    candidate[0, :rows] = 21.0
    sure = np.full(SHAPE, 0.5, np.float32)
    sure[0, 0, 0] = 0.75
    record = measure_parity(
        Rung("torch", Fixed(plane(20.0))), Rung("engine", Fixed(candidate, sure)), [tiny_inputs()] * 2, "by hand"
    )
    assert record.abs_rel_difference == pytest.approx(0.125 * 0.05)
    assert record.p99_relative == pytest.approx(0.05)
    assert record.p99_m == pytest.approx(1.0)
    assert record.max_m == pytest.approx(1.0)
    assert record.share_beyond_1pct == pytest.approx(0.125)
    assert record.max_confidence_difference == pytest.approx(0.25)
    assert (record.n_frames, record.frames) == (2, "by hand")
    with pytest.raises(EngineMismatchError, match=r"engine is not torch at fp32: .*share_beyond_1pct 0\.125 > 0\.0001"):
        require_parity(record, "fp32")


def test_dead_cameras_and_range_ends_do_not_count() -> None:
    """Camera 1 is dead in the frame; the sky of camera 0 sits at the end of the range in the reference."""
    reference, candidate = plane(20.0), plane(20.0)
    candidate[1] = 50.0
    reference[0, : HEIGHT // 2] = SPEC.max_depth_m
    candidate[0, : HEIGHT // 2] = 10.0
    record = measure_parity(Rung("a", Fixed(reference)), Rung("b", Fixed(candidate)), [tiny_inputs()], "by hand")
    assert record.max_m == 0.0
    require_parity(record, "fp32")


def test_accuracy_against_truth_has_a_bound_of_its_own() -> None:
    """By hand: truth 25 m, reference 20 m: AbsRel 0.2. The candidate says 19.85 m: 0.206, 3 % worse."""
    truth_m = plane(25.0)
    truth_m[0, 0] = np.nan
    truth_m[0, 1] = SPEC.max_depth_m  # no surface within reach
    reference, inputs = Rung("torch", Fixed(plane(20.0))), [tiny_inputs()]
    worse, better = Rung("int8", Fixed(plane(19.85))), Rung("int8", Fixed(plane(20.1)))
    record = measure_parity(reference, worse, inputs, "by hand", [truth_m])
    assert record.abs_rel_reference == pytest.approx(0.2)
    assert record.abs_rel_worsening == pytest.approx(0.03, abs=1e-6)
    with pytest.raises(EngineMismatchError, match=r"abs_rel_worsening 0\.03 > 0\.02"):
        require_parity(record, "int8")
    assert "0.2060 (+3.00%)" in parity_table([record])
    record = measure_parity(reference, better, inputs, "by hand", [truth_m])
    assert record.abs_rel_worsening == pytest.approx(-0.02, abs=1e-6)
    require_parity(record, "int8")
    unknown = measure_parity(reference, better, inputs, "by hand", [np.full_like(truth_m, np.nan)])
    assert unknown.abs_rel_reference is None
    assert parity_table([unknown]).endswith("| - |")


def test_what_cannot_be_compared_is_refused() -> None:
    good, nan = Fixed(plane(20.0)), Fixed(plane(20.0))
    nan.depth_m[0, 0, 0] = np.nan
    with pytest.raises(EngineMismatchError, match=r"engine: 0.0\d% of depth_m is not finite"):
        measure_parity(Rung("torch", good), Rung("engine", nan), [tiny_inputs()], "by hand")
    unsure = Fixed(plane(20.0), np.full(SHAPE, 0.5, np.float32))
    unsure.confidence[1, 0, 0] = np.nan  # of the dead camera
    with pytest.raises(EngineMismatchError, match=r"engine: 0.0\d% of confidence is not finite"):
        measure_parity(Rung("torch", good), Rung("engine", unsure), [tiny_inputs()], "by hand")
    with pytest.raises(EngineMismatchError, match="at least one frame"):
        measure_parity(Rung("torch", good), Rung("engine", good), [], "by hand")
    with pytest.raises(EngineMismatchError, match="no pixel lies inside"):
        measure_parity(Rung("torch", Fixed(plane(80.0))), Rung("engine", good), [tiny_inputs()], "by hand")


@pytest.mark.parametrize("precision", PARITY_BOUNDS)
def test_every_bound_can_fail_a_build(precision: str) -> None:
    same = measure_parity(Rung("a", Fixed(plane(20.0))), Rung("b", Fixed(plane(20.0))), [tiny_inputs()], "by hand")
    require_parity(same, precision)  # type: ignore[arg-type]
    for name, limit in vars(PARITY_BOUNDS[precision]).items():  # type: ignore[index]
        with pytest.raises(EngineMismatchError, match=name):
            require_parity(same.model_copy(update={name: limit * 1.01}), precision)  # type: ignore[arg-type]
        with pytest.raises(EngineMismatchError, match=f"{name} nan"):
            require_parity(same.model_copy(update={name: float("nan")}), precision)  # type: ignore[arg-type]
    assert "b | a | 1 by hand" in parity_table([same])
