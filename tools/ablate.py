"""Train a recipe many times, changed in one place each, score all alike and say which changes matter.

    python tools/ablate.py --study student --out out/study
    python tools/ablate.py --study student --out out/study --rows default regression --seeds 0
    python tools/ablate.py --study student --out out/study --table
    python tools/ablate.py --study student --out out/short --set base.optim.steps=300

A study is a YAML file (shipped ones: surround_depth/configs/study). It renders its data, trains, scores and leaves
table.md, table.json and curves.html in OUT. One with a screening tries every row with its first seeds and takes the
best to all of them. Stop it at any time: the same command goes on, and does again what has changed. Every training
reads the code as it is then: run a long study from a checkout that nobody edits.
"""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from surround_depth.errors import EXIT_USER_ERROR, run_cli

if TYPE_CHECKING:
    from tqdm import tqdm

    from surround_depth.studies.config import StudyConfig
    from surround_depth.studies.run import Run
    from surround_depth.studies.runs import Outcome

TRAINING_SCRIPT = Path(__file__).resolve().with_name("train_fsmde.py")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", required=True, help="name of a shipped study, or a YAML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="repeatable")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("--rows", nargs="+", default=[], metavar="ROW", help="only these (default: all)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[], metavar="SEED", help="default: the study's")
    parser.add_argument("--table", action="store_true", help="train nothing: tables of what is there")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where students run (default cpu)")
    return parser.parse_args()


def render(study: StudyConfig, runs: list[Run], out: Path) -> None:
    """Render what these runs are trained and scored on, where it is not there yet."""
    from tqdm import tqdm

    from surround_depth.studies.data import render_set

    used = {study.set_of(one.row) for run in runs for one in (run, run.teacher) if one is not None}
    used |= {entry.set for entry in study.evaluation}
    for name, entry in study.sets.items():
        if name not in used:
            continue
        with tqdm(total=entry.n_drives, unit="drive", desc=f"set {name}", leave=False, delay=1.0) as bar:
            render_set(out / "data" / name, entry, partial(_advance, bar))


def _advance(bar: tqdm[NoReturn], drive: str) -> None:
    bar.update(1)


def run(runs: list[Run], device: str) -> int:
    """Train and score the runs; a line for each as it ends, with the time left. Return how many failed."""
    from surround_depth.studies.runs import complete
    from surround_depth.studies.trainer import Scoring, TrainingCommand

    start_s, worked, failed = time.monotonic(), 0, 0
    n_students = len({(one.row, one.seed) for run in runs for one in (run, run.teacher) if one is not None})
    print(f"{n_students} students", flush=True)
    for done, outcome in enumerate(complete(runs, TrainingCommand(TRAINING_SCRIPT, device), Scoring(device)), 1):
        worked += outcome.trained_s + outcome.scored_s > 1.0  # what lay there says nothing about the time left
        left_min = (time.monotonic() - start_s) / max(worked, 1) * (n_students - done) / 60.0
        failed += outcome.error is not None
        print(f"[{done}/{n_students}] {describe(outcome)}; about {max(left_min, 0.0):.0f} min left", flush=True)
    return failed


def describe(outcome: Outcome) -> str:
    """Return one line about a run."""
    name = f"{outcome.row} seed {outcome.seed}"
    if outcome.error is not None:
        return f"{name} FAILED: {outcome.error}"
    return f"{name}: trained in {outcome.trained_s:.0f} s, scored in {outcome.scored_s:.0f} s"


def main() -> int:
    arguments = parse_arguments()
    from surround_depth.files import write_atomic, write_json
    from surround_depth.studies.config import load_study
    from surround_depth.studies.curves import curves_page
    from surround_depth.studies.results import read_results
    from surround_depth.studies.run import runs_of
    from surround_depth.studies.screening import stages
    from surround_depth.studies.table import as_dict, markdown
    from surround_depth.training.folder import alone_in

    study = load_study(arguments.study, arguments.set)
    asked = runs_of(study, arguments.out, arguments.rows, arguments.seeds)
    for one in asked:
        _ = one.config  # an unknown row is better known now than after the rendering
    failed = 0
    if not arguments.table:
        with alone_in(arguments.out):
            render(study, asked, arguments.out)
            for runs in stages(study, arguments.out, arguments.rows, arguments.seeds):
                failed += run(runs, arguments.device)
    results = read_results(study, arguments.out)
    text = markdown(results)
    write_atomic(arguments.out / "table.md", text.encode())
    write_json(arguments.out / "table.json", as_dict(results))
    write_atomic(arguments.out / "curves.html", curves_page(study, arguments.out).encode())
    print(f"{text}\nsaved in {arguments.out}")
    return EXIT_USER_ERROR if failed else 0


if __name__ == "__main__":
    run_cli(main)
