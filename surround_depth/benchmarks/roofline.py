"""What a network must do at least, counted, and what a device can do at most, measured: the roofline between them.

Counted are convolutions and matrix products: each reads its operands once and writes its result once. Everything
between them (activations, normalisations, resizing) is taken as fused, so the floor is below what any engine reaches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_flop_count

_CPU_ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
"""What fused attention becomes where these traces are made; torch's counter knows its sisters on GPUs alone."""


@dataclass(frozen=True)
class Operation:
    """One convolution or matrix product, or whatever else only moves bytes (`flops` 0)."""

    name: str
    flops: int  # two for each multiply-accumulate
    n_bytes: int  # operands and result, each once


@dataclass(frozen=True)
class Ceilings:
    """What one device really does at most."""

    flops_per_s: float  # of a large matrix product
    bytes_per_s: float  # read and written by a large copy inside the device's memory


def trace_operations(module: nn.Module, inputs: Iterable[Tensor]) -> tuple[Operation, ...]:
    """Return what one forward pass does, in order; the inputs and outputs of the module are the last entry.

    Fake tensors have shapes and types and no values: nothing is computed.
    """
    inputs = tuple(inputs)
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True), _Recorder() as recorder:
        outputs = module(*inputs)
    ends = Operation("inputs and outputs", 0, _n_bytes((inputs, outputs)))
    return (*recorder.operations, ends)


def count_macs(module: nn.Module, inputs: Iterable[Tensor]) -> int:
    """Return the multiply-accumulates of one forward pass: those of convolutions and matrix products, nothing else."""
    return sum(operation.flops for operation in trace_operations(module, inputs)) // 2


def floor_ms(operations: Iterable[Operation], ceilings: Ceilings) -> float:
    """Return the least time the operations take one after another, each bound by arithmetic or by memory.

    Memory is the device's own; what a cache holds between two operations comes faster.
    """
    return 1e3 * sum(max(one.flops / ceilings.flops_per_s, one.n_bytes / ceilings.bytes_per_s) for one in operations)


def measure_ceilings(
    device: torch.device, *, side: int = 8192, copy_bytes: int = 1 << 30, repeats: int = 20
) -> Ceilings:
    """Return the ceilings of a device: a half-precision product of two square matrices, and a copy, the best of each.

    Args:
        side: rows and columns of the matrices; float16 with float32 sums, random values (zeros draw less power).
        copy_bytes: size of the buffer that is copied; far beyond any cache.
        repeats: the fastest of these counts.
    """
    generator = torch.Generator(device).manual_seed(0)
    a, b = (torch.randn(side, side, generator=generator, device=device).half() for _ in range(2))
    product = torch.empty_like(a)
    source = torch.zeros(copy_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    product_ms = min(_times_ms(lambda: torch.mm(a, b, out=product), device, repeats))
    copy_ms = min(_times_ms(lambda: target.copy_(source), device, repeats))
    return Ceilings(2e3 * side**3 / product_ms, 2e3 * copy_bytes / copy_ms)


class _Recorder(TorchDispatchMode):
    """Keeps what `torch.utils.flop_counter` can count; takes apart what it cannot, as that counter does."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        packet = func._overloadpacket
        if not _is_counted(packet) and func is not torch.ops.prim.device.default:
            with self:
                parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        result = func(*args, **kwargs)
        if _is_counted(packet):
            flops = _flops(packet, args, kwargs, result)
            self.operations.append(Operation(str(packet), flops, _n_bytes((args, kwargs, result))))
        return result


def _is_counted(packet: Any) -> bool:
    return packet in flop_registry or packet is _CPU_ATTENTION


def _flops(packet: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> int:
    if packet is _CPU_ATTENTION:
        return int(sdpa_flop_count(*(tensor.shape for tensor in args[:3])))
    return int(flop_registry[packet](*args, **kwargs, out_val=result))


def _n_bytes(values: Any) -> int:
    return sum(leaf.numel() * leaf.element_size() for leaf in tree_leaves(values) if isinstance(leaf, Tensor))


def _times_ms(work: Callable[[], object], device: torch.device, repeats: int) -> Sequence[float]:
    """Time each call by the host's clock, the device idle before and after: a launch is nothing beside these works."""
    times = []
    for _ in range(repeats + 3):  # the first ones set up and wake the clocks
        _synchronise(device)
        started = time.perf_counter()
        work()
        _synchronise(device)
        times.append(1e3 * (time.perf_counter() - started))
    return times[3:]


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
