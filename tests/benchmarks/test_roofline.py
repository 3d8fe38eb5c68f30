"""Operations by hand, bytes by hand, and the roofline as its definition says."""

from __future__ import annotations

import pytest
import torch

from surround_depth.benchmarks.roofline import (
    Ceilings,
    Operation,
    count_macs,
    floor_ms,
    measure_ceilings,
    trace_operations,
)


def test_a_convolution_counts_what_a_pencil_counts() -> None:
    # the stem of nano at 6 x 352 x 640: each of 6 x 176 x 320 x 16 outputs sums 3 x 7 x 7 products
    stem = torch.nn.Conv2d(3, 16, 7, stride=2, padding=3)
    assert count_macs(stem, [torch.zeros(6, 3, 352, 640)]) == 6 * 176 * 320 * 16 * 3 * 7 * 7 == 794_787_840


def test_a_linear_layer_counts_each_weight_once_a_token() -> None:
    assert count_macs(torch.nn.Linear(5, 7), [torch.zeros(2, 3, 5)]) == 2 * 3 * 5 * 7


@pytest.mark.parametrize("dtype, width", [(torch.float32, 4), (torch.float16, 2)])
def test_a_convolution_moves_operands_and_result_once(dtype: torch.dtype, width: int) -> None:
    layer = torch.nn.Conv2d(3, 8, 3, padding=1).to(dtype)
    convolution, ends = trace_operations(
        torch.nn.Sequential(layer, torch.nn.ReLU()), [torch.zeros(2, 3, 4, 5).to(dtype)]
    )
    numbers_in, weights, bias, numbers_out = 2 * 3 * 4 * 5, 8 * 3 * 3 * 3, 8, 2 * 8 * 4 * 5
    assert convolution.flops == 2 * numbers_out * 3 * 3 * 3
    assert convolution.n_bytes == width * (numbers_in + weights + bias + numbers_out)
    assert (ends.flops, ends.n_bytes) == (0, width * (numbers_in + numbers_out))  # the ReLU is fused: it adds nothing


def test_fused_attention_counts_its_two_products() -> None:
    class Attention(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.scaled_dot_product_attention(x, x, x)

    # 5 tokens of 6 numbers in 2 heads: each token with each, and back
    assert count_macs(Attention(), [torch.zeros(1, 2, 5, 6)]) == 2 * (5 * 6 * 5 + 5 * 5 * 6)


def test_the_floor_is_the_slower_of_arithmetic_and_memory_for_each_operation() -> None:
    ceilings = Ceilings(flops_per_s=1000.0, bytes_per_s=100.0)
    by_arithmetic = Operation("conv", flops=500, n_bytes=10)  # 0.5 s and 0.1 s
    by_memory = Operation("mm", flops=100, n_bytes=20)  # 0.1 s and 0.2 s
    assert floor_ms([by_arithmetic, by_memory], ceilings) == pytest.approx(700.0)


def test_ceilings_are_rates() -> None:
    ceilings = measure_ceilings(torch.device("cpu"), side=16, copy_bytes=1 << 12, repeats=2)
    assert ceilings.flops_per_s > 0
    assert ceilings.bytes_per_s > 0
