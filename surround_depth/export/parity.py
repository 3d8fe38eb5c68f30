"""Proof that an engine returns the metres of its student: the same frames through both, differences in metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from surround_depth.errors import EngineMismatchError
from surround_depth.inference.backend import Backend, EngineSpec, NetworkInputs, NetworkOutputs
from surround_depth.inference.manifest import ParityRecord, Precision
from surround_depth.metrics.depth import depth_errors


@dataclass(frozen=True)
class ParityBound:
    """What a precision may cost, relative to the reference's metres; beyond any bound the build fails."""

    abs_rel_difference: float
    p99_relative: float
    share_beyond_1pct: float
    max_confidence_difference: float
    abs_rel_worsening: float
    """Of AbsRel against truth, as a share of the reference's; only where the frames have truth."""


PARITY_BOUNDS: dict[Precision, ParityBound] = {
    # fp32 differs by summation order alone: random six-view nets show 3e-7 to 1e-5
    "fp32": ParityBound(1e-4, 1e-3, 1e-4, 1e-3, 1e-3),
    # the shipped student, computed in half with float32 sums: 4e-4, 2e-3, 0, 2e-3 on random images
    "fp16": ParityBound(3e-3, 1e-2, 1e-2, 3e-2, 5e-3),
    # the shipped student: 5e-3, 5e-2, 0.13, 0.16 on streets, 1.5e-2, 9e-2, 0.4, 0.2 on random images, which have no
    # meaning to be robust about; whether it matters is what truth says
    "int8": ParityBound(3e-2, 2e-1, 6e-1, 5e-1, 2e-2),
}


@dataclass(frozen=True)
class Rung:
    """One engine of a parity ladder, by the name it gets in the report."""

    name: str
    backend: Backend


@dataclass(frozen=True, eq=False)
class FrameDifference:
    """What two rungs say of one frame, and where it counts."""

    expected: NetworkOutputs
    got: NetworkOutputs
    counted: NDArray[np.bool_]
    """[N, H, W]: the pixels of living cameras whose reference depth lies strictly inside the depth range."""

    @property
    def difference_m(self) -> NDArray[np.float64]:
        """|depth - reference| of the counted pixels [P]."""
        return np.abs(self.got.depth_m[self.counted].astype(np.float64) - self.expected.depth_m[self.counted])

    @property
    def relative(self) -> NDArray[np.float64]:
        """The same over the reference's depth [P]."""
        return self.difference_m / self.expected.depth_m[self.counted]

    @property
    def confidence_difference(self) -> float:
        """The largest over all pixels, of dead cameras too."""
        return float(np.abs(self.got.confidence - self.expected.confidence).max())


def compare(reference: Rung, candidate: Rung, frames: Sequence[NetworkInputs]) -> tuple[FrameDifference, ...]:
    """Return what both rungs say of each frame.

    Raises:
        EngineMismatchError: no frame, or a value that is not finite.
    """
    if not frames:
        raise EngineMismatchError("parity needs at least one frame")
    differences = []
    for inputs in frames:
        expected, got = reference.backend.infer(inputs), candidate.backend.infer(inputs)
        for rung, outputs in ((reference, expected), (candidate, got)):
            _require_finite(rung, outputs, inputs)
        counted = _inside(expected.depth_m, reference.backend.spec) & (inputs.camera_valid > 0.5)[:, None, None]
        differences.append(FrameDifference(expected, got, counted))
    return tuple(differences)


def measure_parity(
    reference: Rung,
    candidate: Rung,
    frames: Sequence[NetworkInputs],
    frames_name: str,
    truth_m: Sequence[NDArray[np.float32]] = (),
) -> ParityRecord:
    """Return how far the candidate's metres are from the reference's.

    Counted are the pixels of living cameras whose reference depth lies strictly inside the depth range: at its ends
    every engine says the same. Quantiles are over all pixels of all frames.

    Args:
        truth_m: the frames' true depth [N, H, W], NaN where unknown; empty where they have none.

    Raises:
        EngineMismatchError: as `compare`, or no pixel counts.
    """
    differences = compare(reference, candidate, frames)
    return summarise(reference, candidate, differences, frames_name, truth_m)


def summarise(
    reference: Rung,
    candidate: Rung,
    differences: Sequence[FrameDifference],
    frames_name: str,
    truth_m: Sequence[NDArray[np.float32]] = (),
) -> ParityRecord:
    """Return the numbers of what `compare` found; arguments and errors as `measure_parity`."""
    spec = reference.backend.spec
    relative = np.concatenate([frame.relative for frame in differences])
    metres = np.concatenate([frame.difference_m for frame in differences])
    if relative.size == 0:
        raise EngineMismatchError(f"{reference.name}: no pixel lies inside {spec.min_depth_m} to {spec.max_depth_m} m")
    abs_rel_reference, worsening = _against_truth(differences, truth_m, spec)
    return ParityRecord(
        reference=reference.name,
        candidate=candidate.name,
        frames=frames_name,
        n_frames=len(differences),
        abs_rel_difference=float(relative.mean()),
        p99_relative=float(np.quantile(relative, 0.99)),
        p99_m=float(np.quantile(metres, 0.99)),
        max_m=float(metres.max()),
        share_beyond_1pct=float((relative > 0.01).mean()),
        max_confidence_difference=max(frame.confidence_difference for frame in differences),
        abs_rel_reference=abs_rel_reference,
        abs_rel_worsening=worsening,
    )


def _against_truth(
    differences: Sequence[FrameDifference], truth_m: Sequence[NDArray[np.float32]], spec: EngineSpec
) -> tuple[float | None, float | None]:
    """Return the reference's AbsRel over the frames' means, and the candidate's growth over it."""
    scores = []
    for difference, truth in zip(differences, truth_m, strict=len(truth_m) > 0):
        known = (truth > spec.min_depth_m) & (truth < spec.reach_m)
        rungs = (difference.expected, difference.got)
        scores.append([depth_errors(outputs.depth_m, truth, known).abs_rel for outputs in rungs])
    if not np.isfinite(scores).any():
        return None, None
    expected, got = np.nanmean(scores, axis=0)
    return float(expected), float(got / expected - 1.0)


def require_parity(record: ParityRecord, precision: Precision) -> None:
    """Fail a build whose engine is not its student.

    Raises:
        EngineMismatchError: names every quantity that is over its bound.
    """
    bound = PARITY_BOUNDS[precision]
    over = [
        f"{name} {getattr(record, name):.3g} > {limit:.3g}"
        for name, limit in vars(bound).items()
        if getattr(record, name) is not None and not getattr(record, name) <= limit  # so that NaN is over every bound
    ]
    if over:
        raise EngineMismatchError(
            f"{record.candidate} is not {record.reference} at {precision}: {', '.join(over)} "
            f"(max {record.max_m:.3g} m over {record.n_frames} frames of {record.frames})"
        )


def parity_table(records: Sequence[ParityRecord]) -> str:
    """Return the ladder as a Markdown table, one rung a line."""
    lines = [
        "| rung | against | frames | AbsRel diff | p99 rel | p99 m | max m | > 1 % | max conf diff | AbsRel to truth |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for r in records:
        numbers = (r.abs_rel_difference, r.p99_relative, r.p99_m, r.max_m)
        cells = [r.candidate, r.reference, f"{r.n_frames} {r.frames}", *(f"{number:.2e}" for number in numbers)]
        cells += [f"{r.share_beyond_1pct:.2%}", f"{r.max_confidence_difference:.2e}", _truth_cell(r)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _truth_cell(record: ParityRecord) -> str:
    if record.abs_rel_reference is None or record.abs_rel_worsening is None:
        return "-"
    got = record.abs_rel_reference * (1.0 + record.abs_rel_worsening)
    return f"{got:.4f} ({record.abs_rel_worsening:+.2%})"


def _inside(depth_m: NDArray[np.float32], spec: EngineSpec) -> NDArray[np.bool_]:
    return (depth_m > spec.min_depth_m) & (depth_m < spec.max_depth_m)


def _require_finite(rung: Rung, outputs: NetworkOutputs, inputs: NetworkInputs) -> None:
    """Depth of living cameras and every confidence, a dead camera's too: those are compared as well."""
    living = inputs.camera_valid > 0.5
    for name, values in (("depth_m", outputs.depth_m[living]), ("confidence", outputs.confidence)):
        if not np.isfinite(values).all():
            share = 1.0 - np.isfinite(values).mean()
            raise EngineMismatchError(f"{rung.name}: {share:.2%} of {name} is not finite")
