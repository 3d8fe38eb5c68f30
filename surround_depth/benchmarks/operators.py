"""Where a CPU engine's time goes: its operators as the runtime ran them, after its own fusions."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from surround_depth.benchmarks.report import Report, Table, require_repeats
from surround_depth.errors import ConfigError
from surround_depth.inference.backend import NetworkInputs
from surround_depth.inference.manifest import EngineKind
from surround_depth.inference.onnxruntime_backend import open_session
from surround_depth.inference.openvino_backend import compile_graph

_WARM_UP_RUNS = 3
_SUFFIX = "_kernel_time"  # of ONNX Runtime's events that time a node alone


@dataclass(frozen=True)
class OperatorTime:
    """One operator of the compiled graph; the least time of all runs, so that other processes do not count."""

    name: str
    kind: str
    ms: float


def profile(graph: Path, engine: EngineKind, inputs: NetworkInputs, *, runs: int, threads: int) -> list[OperatorTime]:
    """Return the operators of one frame, slowest first.

    Args:
        graph: the ONNX file of an engine folder.

    Raises:
        ConfigError: an engine of a GPU (its `layers.json` and NVIDIA's own profiler say it), or no runs.
        EngineMismatchError, MissingDependencyError: as the engine's backend.
    """
    require_repeats("--runs", runs)
    if engine == "onnxruntime":
        times = _onnxruntime(graph, inputs, runs, threads)
    elif engine == "openvino":
        times = _openvino(graph, inputs, runs, threads)
    else:
        raise ConfigError(f"the operators of a {engine} engine are timed by NVIDIA's profiler; give a CPU engine")
    found = [OperatorTime(name, kind, min(of_runs[_WARM_UP_RUNS:])) for (name, kind), of_runs in times.items()]
    return sorted(found, key=lambda operator: -operator.ms)


def operators_report(operators: Sequence[OperatorTime], engine: EngineKind, threads: int, top: int) -> Report:
    """Return the times by kind, and the slowest operators, as tables for people and as plain values."""
    total_ms = sum(operator.ms for operator in operators)
    by_kind: dict[str, float] = defaultdict(float)
    for operator in operators:
        by_kind[operator.kind] += operator.ms
    kinds = sorted(by_kind.items(), key=lambda item: -item[1])
    blocks = (
        f"{engine}, {threads} threads, {len(operators)} operators, {total_ms:.1f} ms of a frame: the least time of "
        "each over all runs, with the profiler on.",
        _table("kind", kinds[:top], total_ms),
        _table("operator", [(f"{one.name} ({one.kind})", one.ms) for one in operators[:top]], total_ms),
    )
    figures = {"operators": [asdict(operator) for operator in operators], "total_ms": total_ms}
    return Report("operators", "Where an engine's time goes", blocks, figures)


def _table(what: str, rows: Iterable[tuple[str, float]], total_ms: float) -> Table:
    cells = tuple((name, f"{ms:.2f}", f"{ms / total_ms:.1%}") for name, ms in rows)
    return Table((what, "ms", "share"), cells)


def _onnxruntime(graph: Path, inputs: NetworkInputs, runs: int, threads: int) -> dict[tuple[str, str], list[float]]:
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(graph, threads, profile_prefix=Path(folder) / "operators")
        for _ in range(_WARM_UP_RUNS + runs):
            session.run(None, inputs.as_feeds())
        events: list[dict[str, Any]] = json.loads(Path(session.end_profiling()).read_text())
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            times[event["name"].removesuffix(_SUFFIX), event["args"]["op_name"]].append(event["dur"] / 1e3)
    return times


def _openvino(graph: Path, inputs: NetworkInputs, runs: int, threads: int) -> dict[tuple[str, str], list[float]]:
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    request = compile_graph(graph, threads, profiled=True).create_infer_request()
    for _ in range(_WARM_UP_RUNS + runs):
        request.infer(inputs.as_feeds())
        for node in request.profiling_info:
            if (milliseconds := 1e3 * node.real_time.total_seconds()) > 0:
                times[node.node_name, f"{node.node_type} {node.exec_type}"].append(milliseconds)
    return {operator: of_runs for operator, of_runs in times.items() if len(of_runs) > _WARM_UP_RUNS}
