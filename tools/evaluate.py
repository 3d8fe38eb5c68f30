"""Score an engine, a checkpoint, or any method's depth maps by the protocol of a published table.

    python tools/evaluate.py --engine build/student --dataset nuscenes --root DATA --protocol sd --out out/sd
    python tools/evaluate.py --predictions their/maps --dataset ddad --root DATA --protocol vf --out out/theirs
    torchrun --nproc_per_node=8 tools/evaluate.py --checkpoint runs/nano --dataset ddad --root DATA --out out/nano

Writes scores.json, records.jsonl (every image), scores.md and index.html. docs/evaluate.md says how to bring your own
method, docs/protocols.md which published number to hold against which protocol.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from surround_depth.errors import ConfigError, DataError, run_cli

if TYPE_CHECKING:
    from surround_depth.data.sample import DriveDataset
    from surround_depth.evaluation.moment import ListedSample
    from surround_depth.evaluation.prediction import Predictor
    from surround_depth.evaluation.protocol_run import Evaluator
    from surround_depth.evaluation.score_report import ScoreOrigin, ScoreReport
    from surround_depth.evaluation.shards import Worker
    from surround_depth.imaging import InputSpec
    from surround_depth.inference.backend import Backend

LONG_RUN = 100  # batches
PROTOCOL_NAMES = "strict, sd, sd:noflip, vf, cv, cv:flip, vi, vi:pp, r3, r3:bug, so, network"


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    method = parser.add_mutually_exclusive_group(required=True)
    method.add_argument("--engine", type=Path, metavar="DIR", help="what deploy/build_engine.py wrote")
    method.add_argument("--checkpoint", type=Path, metavar="DIR", help="what tools/train_fsmde.py wrote; runs in torch")
    method.add_argument("--predictions", type=Path, metavar="DIR", help="depth maps of any method (docs/evaluate.md)")
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="where a checkpoint runs (default cpu)"
    )
    data = parser.add_argument_group("data")
    data.add_argument("--dataset", required=True, choices=("nuscenes", "ddad", "synthetic"))
    data.add_argument("--root", required=True, type=Path, help="folder of the data set")
    data.add_argument("--version", help="folder of the tables (nuscenes, synthetic)")
    data.add_argument("--split", metavar="NAME|FILE", help="list of scenes or samples, e.g. val (default: all)")
    data.add_argument("--masks", type=Path, metavar="DIR", help="own-body masks, for protocols that use them")
    data.add_argument("--scenes", nargs="+", metavar="SCENE", help="default: all")
    data.add_argument("--stride", type=int, default=1, help="score every n-th sample (default 1)")
    data.add_argument("--on-damage", choices=("raise", "skip"), default="raise", help="skip: leave out and count")
    rule = parser.add_argument_group("rule")
    rule.add_argument(
        "--protocol",
        nargs="+",
        default=["strict"],
        metavar="NAME",
        help=f"{PROTOCOL_NAMES} (default strict); several: each into its own folder below --out, and one table of all",
    )
    rule.add_argument("--truth", choices=("lidar", "dense"), default="lidar", help="published protocols mean lidar")
    rule.add_argument(
        "--missing", choices=("raise", "no_answer"), default="raise", help="a prediction that is not there"
    )
    rule.add_argument("--mean-of", nargs="+", metavar="SCENE", help="also score per-pixel mean and median of these")
    result = parser.add_argument_group("result")
    result.add_argument("--out", required=True, type=Path, metavar="DIR")
    result.add_argument("--name", help="what the method is called in the tables")
    result.add_argument("--compare", type=Path, metavar="DIR", help="--out of another method's run: what differs")
    result.add_argument("--save-predictions", type=Path, metavar="DIR", help="leave the answers as a prediction folder")
    result.add_argument("--frames", type=int, default=3, help="worst and best frames on the page (default 3 each)")
    return parser.parse_args()


def open_backend_of(arguments: argparse.Namespace, worker: Worker) -> Backend:
    """Return the engine or checkpoint, on this process's share of the machine's cores or on its GPU."""
    if arguments.engine is not None:
        from surround_depth.inference.backend import open_backend
        from surround_depth.inference.cpu import physical_cores

        return open_backend(arguments.engine, threads=max(1, physical_cores() // worker.local_world))
    from surround_depth.export.checkpoint import open_checkpoint

    device = f"cuda:{worker.local_rank}" if arguments.device == "cuda" else "cpu"
    return open_checkpoint(arguments.checkpoint, device=device)


def open_method(
    arguments: argparse.Namespace, worker: Worker, stack: ExitStack
) -> tuple[Predictor, dict[str, str], InputSpec | None]:
    """Return what answers, what it is, and the size it works at, if it has one."""
    from surround_depth.evaluation.flip import as_protocol_asks
    from surround_depth.evaluation.prediction_folder import PredictionFolder
    from surround_depth.evaluation.predictors import EnginePredictor
    from surround_depth.metrics.protocols import protocol

    if arguments.predictions is not None:
        folder = PredictionFolder(arguments.predictions, arguments.missing)
        name = arguments.name or folder.note.method
        facts = {"kind": "folder", "name": name, "source": folder.note.source, "flip": "as saved"}
        return folder, facts | {"missing": arguments.missing}, None
    backend = stack.enter_context(open_backend_of(arguments, worker))
    kind, path = ("engine", arguments.engine) if arguments.engine is not None else ("checkpoint", arguments.checkpoint)
    spec, flip = backend.spec.input, protocol(arguments.protocol).flip
    facts = {
        "kind": kind,
        "name": arguments.name or path.resolve().name,
        "sha256": backend.spec.model_hash,
        "input": f"{spec.height_px}x{spec.width_px}",
        "flip": flip,
    }
    return as_protocol_asks(EnginePredictor(backend), flip), facts, spec


def scenes_trained_on(checkpoint: Path, scenes: Sequence[str]) -> str:
    """Say how many of the scored scenes have names that a checkpoint was trained on."""
    from surround_depth.models.checkpoint import read_checkpoint_config

    trained = read_checkpoint_config(checkpoint).provenance.get("scenes", {})
    names = set(trained.get("train", [])) if isinstance(trained, dict) else set()
    return f"{len(names & set(scenes))} of the {len(scenes)} scored scenes, by name"


def baselines(arguments: argparse.Namespace, spec: InputSpec | None) -> dict[str, Predictor]:
    """Return name -> predictors that know the drives of --mean-of, of any split, but never look at an image."""
    if not arguments.mean_of:
        return {}
    assert spec is not None  # --predictions was refused
    from surround_depth.data.build import open_dataset
    from surround_depth.evaluation.baseline import per_pixel_mean_m, per_pixel_median_m
    from surround_depth.evaluation.predictors import constant_predictor
    from surround_depth.evaluation.run import samples_of, true_depths
    from surround_depth.metrics.protocols import protocol
    from surround_depth.metrics.scoreboard import ScoredRange

    dataset = open_dataset(arguments.dataset, arguments.root, version=arguments.version, masks=arguments.masks)
    farthest_m = protocol(arguments.protocol).rule(arguments.dataset).scored_range.max_depth_m
    limits = ScoredRange(max_depth_m=farthest_m)
    found = {}
    for name, baseline in (("per-pixel mean", per_pixel_mean_m), ("per-pixel median", per_pixel_median_m)):
        training = samples_of(map(dataset.sequence, arguments.mean_of), stride=arguments.stride)
        found[name] = constant_predictor(baseline(true_depths(training, spec), limits), spec)
    return found


def saving(predictor: Predictor, folder: Path, facts: dict[str, str]) -> Predictor:
    """Return the predictor that also leaves its answers in a prediction folder."""
    from surround_depth.evaluation.prediction_files import PredictionNote, write_note
    from surround_depth.evaluation.prediction_folder import Saving

    source = " ".join(f"{key} {facts[key]}" for key in ("kind", "sha256", "flip") if key in facts)
    write_note(folder, PredictionNote(method=facts["name"], source=source))
    return Saving(predictor, folder)


def show_progress(done: int, total: int) -> None:
    """Tell how far this process is: a terminal at every batch, the log of a long run at every tenth of them."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\rbatch {done} of {total}" + ("\n" if done == total else ""))
    elif total >= LONG_RUN and done * 10 // total > (done - 1) * 10 // total:
        sys.stderr.write(f"batch {done} of {total}\n")


def describe(
    arguments: argparse.Namespace, dataset: DriveDataset, samples: Sequence[ListedSample], facts: dict[str, str]
) -> ScoreOrigin:
    """Return what is scored, by which rule, and by what; refuse now what could not be compared in the end."""
    from surround_depth.evaluation.sample_list import describe_samples
    from surround_depth.evaluation.score_compare import read_scores, require_same_task
    from surround_depth.evaluation.score_report import ScoreOrigin, describe_dataset, describe_run
    from surround_depth.metrics.protocols import protocol

    if arguments.checkpoint is not None:
        scenes = sorted({sample.sequence.name for sample in samples})
        facts["trained_on"] = scenes_trained_on(arguments.checkpoint, scenes)
    origin = ScoreOrigin(
        protocol=protocol(arguments.protocol),
        dataset=describe_dataset(arguments.dataset, dataset),
        samples=describe_samples(samples, dataset, arguments.split, arguments.stride),
        truth_kind=arguments.truth,
        predictor=facts,
        run=describe_run(),
    )
    require_room(arguments, facts)
    if arguments.compare is not None:
        require_same_task(read_scores(arguments.compare), origin)
    return origin


def require_room(arguments: argparse.Namespace, facts: dict[str, str]) -> None:
    """Refuse to write over the result that is compared with, or over that of another method."""
    from surround_depth.evaluation.score_compare import method_of

    if arguments.compare is not None and arguments.compare.resolve() == arguments.out.resolve():
        raise ConfigError(f"--out and --compare are both {arguments.out}; give this run a folder of its own")
    held = method_of(arguments.out)
    if held not in ("", facts["name"]):
        raise ConfigError(
            f"{arguments.out} holds the result of {held!r}; give {facts['name']!r} another --out, or remove it"
        )


def require_writable(folder: Path) -> None:
    """Find out now, not after hours."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"--out {folder} cannot be made ({error.strerror}); give a folder that can be written"
        ) from error
    if not os.access(folder, os.W_OK):
        raise DataError(f"--out {folder} cannot be written; check its permissions, or give another")


def evaluate(arguments: argparse.Namespace, worker: Worker, stack: ExitStack) -> None:
    """Score, and leave the results; in a process that only lends a hand, leave its share."""
    from surround_depth.data.build import open_dataset
    from surround_depth.evaluation.conditions import conditions_of
    from surround_depth.evaluation.grids import describe_grid
    from surround_depth.evaluation.prediction_folder import PredictionFolder
    from surround_depth.evaluation.protocol_run import batches, listed_samples
    from surround_depth.evaluation.sample_list import in_list_order
    from surround_depth.evaluation.score_report import ScoreReport
    from surround_depth.evaluation.score_run import ScoreRun

    if arguments.mean_of and arguments.predictions is not None:
        raise ConfigError("--mean-of needs the size of an engine or checkpoint; leave it out with --predictions")
    predictor, facts, spec = open_method(arguments, worker, stack)
    data_options = {key: getattr(arguments, key) for key in ("version", "split", "masks", "on_damage")}
    dataset = open_dataset(arguments.dataset, arguments.root, **data_options)
    sequences = [dataset.sequence(scene) for scene in arguments.scenes or dataset.scenes()]
    samples = in_list_order(listed_samples(sequences, arguments.stride), getattr(dataset, "split", None))
    # a folder keeps count of what it was asked: the look at its grid is not part of the run
    probe = (
        PredictionFolder(predictor.root, predictor.when_missing)
        if isinstance(predictor, PredictionFolder)
        else predictor
    )
    facts["grid"] = describe_grid(probe, samples)
    origin = describe(arguments, dataset, samples, facts)
    groups = batches(samples, origin.protocol)
    if not groups:
        raise DataError(f"nothing to score: {len(samples)} samples make no batch of {origin.protocol.batch}")
    notes = predictor.notes if isinstance(predictor, PredictionFolder) else dict
    if arguments.save_predictions is not None:
        predictor = saving(predictor, arguments.save_predictions, facts)

    run = ScoreRun(origin, groups, worker, arguments.out, skips_damage=arguments.on_damage == "skip")
    evaluator = run.evaluator(predictor)
    share = run.score(facts["name"], evaluator, notes=notes, progress=show_progress)
    others = {
        name: run.score(name, run.evaluator(baseline, only_depth=True))
        for name, baseline in baselines(arguments, spec).items()
    }
    if share is not None:
        found = {name: other for name, other in others.items() if other is not None}
        report = ScoreReport(origin, share, conditions_of(sequences), found, getattr(dataset, "damage", ()))
        if not report.records:
            raise DataError(f"nothing was scored: {len(report.damage)} rows or samples are damaged: {report.damage[0]}")
        write_results(arguments, report, evaluator, samples)


def write_results(
    arguments: argparse.Namespace, report: ScoreReport, evaluator: Evaluator, samples: Sequence[ListedSample]
) -> None:
    """Write all files of a result and print its tables."""
    from surround_depth.evaluation.score_compare import compare, comparison_section, read_scores
    from surround_depth.evaluation.score_page import score_page
    from surround_depth.evaluation.score_report import TABLES_NAME, write_scores
    from surround_depth.evaluation.score_sections import markdown
    from surround_depth.files import write_atomic

    write_scores(arguments.out, report)
    text, compared = markdown(report), None
    write_atomic(arguments.out / TABLES_NAME, text.encode())  # also where the comparison is refused
    if arguments.compare is not None:
        first, second = read_scores(arguments.compare), read_scores(arguments.out)
        compared = comparison_section(first, second, compare(first, second))
        text += f"\n## Compared\n\n{compared.caption}\n\n{compared.table.markdown()}\n"
    write_atomic(arguments.out / TABLES_NAME, text.encode())
    page = score_page(report, evaluator, samples, n_frames=arguments.frames, compared=compared)
    write_atomic(arguments.out / "index.html", page.encode())
    print(text)
    print(f"saved in {arguments.out}")


def runs_of(arguments: argparse.Namespace) -> list[argparse.Namespace]:
    """Return one set of arguments for each protocol; several have a folder each."""
    from surround_depth.metrics.protocols import protocol

    names = list(dict.fromkeys(arguments.protocol))
    several = len(names) > 1
    if several and (arguments.compare is not None or arguments.save_predictions is not None):
        raise ConfigError("--compare and --save-predictions go with one --protocol")
    folders = {name: arguments.out / name.replace(":", "_") if several else arguments.out for name in names}
    return [
        argparse.Namespace(**vars(arguments) | {"protocol": protocol(name).name, "out": folder})
        for name, folder in folders.items()
    ]


def write_side_by_side(out: Path, runs: Sequence[argparse.Namespace]) -> None:
    """Write and print the metric means of every protocol as one table."""
    from surround_depth.evaluation.score_compare import read_scores
    from surround_depth.evaluation.score_tables import means_table
    from surround_depth.files import write_atomic

    rows = {}
    for run in runs:
        groups = read_scores(run.out).scores["groups"]
        rows |= {f"{run.protocol}, {scale}": groups[scale]["mean"] for scale in ("metric", "median") if scale in groups}
    numbers = {row: {key: value for key, value in mean.items() if value is not None} for row, mean in rows.items()}
    text = means_table("protocol, scale", numbers).markdown()
    write_atomic(out / "protocols.md", f"{text}\n".encode())
    print(f"{text}\nsaved in {out / 'protocols.md'}")


def main() -> None:
    arguments = parse_arguments()
    if arguments.stride < 1 or arguments.frames < 0:
        raise ConfigError(f"--stride {arguments.stride}, --frames {arguments.frames}: expected at least 1 and 0")
    from surround_depth.evaluation.shards import Worker, reporting_failure

    worker, runs = Worker.from_environment(), runs_of(arguments)
    for run in runs:
        with reporting_failure(run.out, worker), ExitStack() as stack:
            require_writable(run.out)
            evaluate(run, worker, stack)
    if len(runs) > 1 and worker.rank == 0:
        write_side_by_side(arguments.out, runs)


if __name__ == "__main__":
    run_cli(main)
