"""The GPU table as text and as plain values."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from surround_depth.benchmarks.gpu import GpuTable, NetCost
from surround_depth.benchmarks.gpu_rows import MAX_ROW_S, MIN_RUNS, WARM_UP_S, Quantiles, Row
from surround_depth.benchmarks.report import Report, Table

_HEAD = (
    "student, input",
    "run by",
    "engine p50 / p95 / p99, ms",
    "with both copies p50 / p95 / p99, ms",
    "sets/s",
    "of the fp16 roofline",
    "max, m",
    "p99, m",
    "AbsRel",
    "how, or why not",
)
_NET_HEAD = ("student, input", "weights", "parameters, M", "GFLOP", "MB moved", "floor, ms")


def gpu_report(table: GpuTable, runs: int) -> Report:
    """Return what was found as a table for people and as plain values."""
    figures = {
        "device": table.device,
        "runs": runs,
        "ceilings": asdict(table.ceilings),
        "nets": [asdict(net) for net in table.nets],
        "rows": [_row_figures(table, row) for row in table.rows],
    }
    blocks = (
        Table(_HEAD, tuple(_cells(table, row) for row in table.rows)),
        _MEANING.format(runs=runs, max_s=MAX_ROW_S, min_runs=MIN_RUNS, warm_up_ms=1e3 * WARM_UP_S),
        Table(_NET_HEAD, tuple(map(_net_cells, table.nets))),
        _FLOOR.format(
            device=table.device, tflops=table.ceilings.flops_per_s / 1e12, tbytes=table.ceilings.bytes_per_s / 1e12
        ),
    )
    return Report("gpu", f"Students on {table.device}", blocks, figures)


def row_line(row: Row) -> str:
    """Return a row as one line of progress, with what the table would say of it."""
    times, parity = row.times, row.parity
    found = []
    if times is not None:
        found = [f"engine {_quantiles(times.engine)} ms", f"with copies {_quantiles(times.whole)} ms"]
    if parity is not None:
        found.append(f"max {parity.max_m:.1e} m, AbsRel {parity.abs_rel_difference:.1e}")
    return f"{row.net} {row.size}, {row.contender}: {'; '.join([*found, row.note])}"


_MEANING = (
    "One frame after another, numpy arrays in and out; at least {warm_up_ms:.0f} ms of warm-up, then {runs} runs, or "
    "as many as fit into {max_s:g} s, but at least {min_runs}. The engine alone is timed by the device's events, the "
    "frame with both copies by the wall clock around it: staging, upload, launch, engine, download and the wait are in "
    "it. Metres and AbsRel are differences to torch fp32 on the CPU on the same structured random frames, one of them "
    "with a dead camera: they prove equality and say nothing about accuracy on a street. torch: fp32 without TF32, "
    "bf16 by autocast, fp16 with float32 islands, weights channels-last; compile is Inductor's kernels in one CUDA "
    "graph. Random weights cost what trained ones cost."
)
_FLOOR = (
    "Ceilings of {device}, measured in the same run: {tflops:.0f} TFLOP/s in a float16 product of two large matrices, "
    "{tbytes:.2f} TB/s read and written by a copy in its own memory. The floor is the sum over all convolutions and "
    "matrix products, in half precision, of the longer of the two: their operations at the first rate, their operands "
    "and results, each once, at the second. What lies between them is taken as free, and what a cache holds comes "
    "faster than the second rate says. A share is the floor over the engine's p50; int8 has ceilings of its own."
)


def _row_figures(table: GpuTable, row: Row) -> dict[str, Any]:
    parity = row.parity.model_dump(mode="json") if row.parity else None
    shares = {"floor_ms": table.floor_ms(row), "roofline_share": _share(table, row)}
    return asdict(row) | {"parity": parity} | shares


def _cells(table: GpuTable, row: Row) -> tuple[str, ...]:
    times, parity, share = row.times, row.parity, _share(table, row)
    return (
        f"{row.net}, {row.size}",
        row.contender,
        _quantiles(times.engine) if times else "",
        _quantiles(times.whole) if times else "",
        f"{times.sets_per_s:.3g}" if times else "",
        f"{share:.0%}" if share is not None else "",
        f"{parity.max_m:.1e}" if parity else "",
        f"{parity.p99_m:.1e}" if parity else "",
        f"{parity.abs_rel_difference:.1e}" if parity else "",
        row.note,
    )


def _net_cells(net: NetCost) -> tuple[str, ...]:
    return (
        f"{net.net}, {net.size}",
        net.weights,
        f"{net.parameters / 1e6:.2f}",
        f"{net.flops / 1e9:.1f}",
        f"{net.n_bytes / 1e6:.0f}",
        f"{net.floor_ms:.3f}",
    )


def _share(table: GpuTable, row: Row) -> float | None:
    floor_ms = table.floor_ms(row)
    if floor_ms is None or row.times is None or row.times.engine is None:
        return None
    return floor_ms / row.times.engine.p50_ms


def _quantiles(quantiles: Quantiles | None) -> str:
    return f"{quantiles.p50_ms:.2f} / {quantiles.p95_ms:.2f} / {quantiles.p99_ms:.2f}" if quantiles else ""
