"""Score an engine or a checkpoint on the drives of a data set, against LiDAR and, where there is any, dense truth.

    python tools/evaluate.py --engine build/student --dataset synthetic --root out/demo/data --out out/evaluation
    python tools/evaluate.py --checkpoint runs/nano --dataset nuscenes --root data/nuscenes --out out/scores

Writes scores.json, scores.md and one picture per scene (image, depth, truth, error).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from surround_depth.errors import run_cli

if TYPE_CHECKING:
    from surround_depth.inference.backend import Backend


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--engine", type=Path, metavar="DIR", help="what deploy/build_engine.py wrote")
    model.add_argument("--checkpoint", type=Path, metavar="DIR", help="what tools/train_fsmde.py wrote; runs in torch")
    parser.add_argument("--dataset", required=True, choices=("nuscenes", "ddad", "synthetic"))
    parser.add_argument("--root", required=True, type=Path, help="folder of the data set")
    parser.add_argument("--scenes", nargs="+", metavar="SCENE", help="default: all")
    parser.add_argument(
        "--mean-of", nargs="+", metavar="SCENE", help="also score the per-pixel mean and median of these scenes"
    )
    parser.add_argument("--stride", type=int, default=1, help="score every n-th sample (default 1)")
    parser.add_argument("--min-depth-m", type=float, default=0.5, help="nearest truth that counts (default 0.5)")
    parser.add_argument("--max-depth-m", type=float, default=80.0, help="farthest truth that counts (default 80)")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    return parser.parse_args()


def open_model(arguments: argparse.Namespace) -> Backend:
    if arguments.engine is not None:
        from surround_depth.inference.backend import open_backend

        return open_backend(arguments.engine)
    from surround_depth.export.checkpoint import open_checkpoint

    return open_checkpoint(arguments.checkpoint)


def trained_scenes(checkpoint: Path) -> list[str]:
    """Return the names of the scenes that a checkpoint says it was trained on; none where it does not say."""
    from surround_depth.models.checkpoint import read_checkpoint_config

    scenes = read_checkpoint_config(checkpoint).provenance.get("scenes", {})
    return list(scenes.get("train", [])) if isinstance(scenes, dict) else []


def main() -> None:
    arguments = parse_arguments()
    from surround_depth.data.build import open_dataset
    from surround_depth.evaluation.baseline import per_pixel_mean_m, per_pixel_median_m
    from surround_depth.evaluation.pictures import write_error_picture
    from surround_depth.evaluation.predictors import EnginePredictor, Predictor, constant_predictor
    from surround_depth.evaluation.run import samples_of, score_predictors, true_depths
    from surround_depth.evaluation.score_tables import camera_table, comparison_table
    from surround_depth.metrics.scoreboard import ScoredRange
    from surround_depth.runtime.report import write_report

    dataset = open_dataset(arguments.dataset, arguments.root)
    scenes = arguments.scenes or dataset.scenes()
    arguments.out.mkdir(parents=True, exist_ok=True)
    with open_model(arguments) as backend:
        spec = backend.spec.input
        engine = EnginePredictor(backend)
        predictors: dict[str, Predictor] = {"model": engine}
        if arguments.mean_of:
            for name, baseline in (("mean", per_pixel_mean_m), ("median", per_pixel_median_m)):
                training = samples_of(map(dataset.sequence, arguments.mean_of), stride=arguments.stride)
                predictors[f"per-pixel {name}"] = constant_predictor(baseline(true_depths(training, spec)))
        samples = samples_of((dataset.sequence(scene) for scene in scenes), stride=arguments.stride)
        scores = score_predictors(samples, predictors, spec, ScoredRange(arguments.min_depth_m, arguments.max_depth_m))
        for scene in scenes:
            sequence = dataset.sequence(scene)
            sample = sequence[len(sequence) // 2]
            write_error_picture(sample, engine.infer(sample.frame), arguments.out / f"{scene}.jpg")

    report = {kind: {name: score.as_dict() for name, score in named.items()} for kind, named in scores.items()}
    write_report(arguments.out / "scores.json", report)
    text = "\n\n".join(
        f"Against {kind} truth, {len(scenes)} scenes:\n\n{comparison_table(named).markdown()}\n\n"
        f"{camera_table(named['model']).markdown()}"
        for kind, named in scores.items()
    )
    (arguments.out / "scores.md").write_text(text + "\n")
    print(text)
    if arguments.checkpoint is not None:
        trained = set(trained_scenes(arguments.checkpoint)) & set(scenes)
        print(f"{len(trained)} of the {len(scenes)} scenes have names that the checkpoint was trained on")
    print(f"saved in {arguments.out}")


if __name__ == "__main__":
    run_cli(main)
