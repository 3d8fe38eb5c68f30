"""Proof that an engine returns the metres of its student: the same frames through both, differences in metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import EngineMismatchError
from surround_depth.inference.backend import Backend, EngineSpec, NetworkInputs, NetworkOutputs
from surround_depth.inference.manifest import ParityRecord, Precision


@dataclass(frozen=True)
class ParityBound:
    """What a precision may cost, relative to the reference's metres; beyond any bound the build fails."""

    abs_rel_difference: float
    p99_relative: float
    share_beyond_1pct: float
    max_confidence_difference: float


PARITY_BOUNDS: dict[Precision, ParityBound] = {
    # fp32 differs by summation order alone: random six-view nets show 3e-7 to 1e-5
    "fp32": ParityBound(1e-4, 1e-3, 1e-4, 1e-3),
    "fp16": ParityBound(3e-3, 1e-2, 1e-2, 3e-2),
    "int8": ParityBound(3e-2, 2e-1, 6e-1, 5e-1),
}


@dataclass(frozen=True)
class Rung:
    """One engine of a parity ladder, by the name it gets in the report."""

    name: str
    backend: Backend


def measure_parity(reference: Rung, candidate: Rung, frames: Sequence[NetworkInputs], frames_name: str) -> ParityRecord:
    """Return how far the candidate's metres are from the reference's.

    Counted are the pixels of living cameras whose reference depth lies strictly inside the depth range: at its ends
    every engine says the same. Quantiles are over all pixels of all frames.

    Raises:
        EngineMismatchError: no frame, other shapes, or a value that is not finite.
    """
    if not frames:
        raise EngineMismatchError("parity needs at least one frame")
    spec = reference.backend.spec
    relative, metres, confidence = [], [], []
    for inputs in frames:
        expected, got = reference.backend.infer(inputs), candidate.backend.infer(inputs)
        for rung, outputs in ((reference, expected), (candidate, got)):
            _require_finite(rung, outputs, inputs)
        counted = _inside(expected.depth_m, spec) & (inputs.camera_valid > 0.5)[:, None, None]
        difference_m = np.abs(got.depth_m[counted].astype(np.float64) - expected.depth_m[counted])
        metres.append(difference_m)
        relative.append(difference_m / expected.depth_m[counted])
        confidence.append(float(np.abs(got.confidence - expected.confidence).max()))
    all_relative, all_metres = np.concatenate(relative), np.concatenate(metres)
    if all_relative.size == 0:
        raise EngineMismatchError(f"{reference.name}: no pixel lies inside {spec.min_depth_m} to {spec.max_depth_m} m")
    return ParityRecord(
        reference=reference.name,
        candidate=candidate.name,
        frames=frames_name,
        n_frames=len(frames),
        abs_rel_difference=float(all_relative.mean()),
        p99_relative=float(np.quantile(all_relative, 0.99)),
        p99_m=float(np.quantile(all_metres, 0.99)),
        max_m=float(all_metres.max()),
        share_beyond_1pct=float((all_relative > 0.01).mean()),
        max_confidence_difference=max(confidence),
    )


def require_parity(record: ParityRecord, precision: Precision) -> None:
    """Fail a build whose engine is not its student.

    Raises:
        EngineMismatchError: names every quantity that is over its bound.
    """
    bound = PARITY_BOUNDS[precision]
    over = [
        f"{name} {getattr(record, name):.3g} > {limit:.3g}"
        for name, limit in vars(bound).items()
        if not getattr(record, name) <= limit  # so that NaN is over every bound
    ]
    if over:
        raise EngineMismatchError(
            f"{record.candidate} is not {record.reference} at {precision}: {', '.join(over)} "
            f"(max {record.max_m:.3g} m over {record.n_frames} frames of {record.frames})"
        )


def parity_table(records: Sequence[ParityRecord]) -> str:
    """Return the ladder as a Markdown table, one rung a line."""
    lines = [
        "| rung | against | frames | AbsRel diff | p99 rel | p99 m | max m | > 1 % | max conf diff |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in records:
        numbers = (r.abs_rel_difference, r.p99_relative, r.p99_m, r.max_m)
        cells = [r.candidate, r.reference, f"{r.n_frames} {r.frames}", *(f"{number:.2e}" for number in numbers)]
        lines.append(f"| {' | '.join(cells)} | {r.share_beyond_1pct:.2%} | {r.max_confidence_difference:.2e} |")
    return "\n".join(lines)


def _inside(depth_m: NDArray[np.float32], spec: EngineSpec) -> NDArray[np.bool_]:
    return (depth_m > spec.min_depth_m) & (depth_m < spec.max_depth_m)


def _require_finite(rung: Rung, outputs: NetworkOutputs, inputs: NetworkInputs) -> None:
    """Depth of living cameras and every confidence, a dead camera's too: those are compared as well."""
    living = inputs.camera_valid > 0.5
    for name, values in (("depth_m", outputs.depth_m[living]), ("confidence", outputs.confidence)):
        if not np.isfinite(values).all():
            share = 1.0 - np.isfinite(values).mean()
            raise EngineMismatchError(f"{rung.name}: {share:.2%} of {name} is not finite")
