"""Label the samples of a training run once, ahead of it: no epoch and no later run asks the teacher again.

    python tools/cache_teacher.py --config nuscenes_r18 --cache out/labels
    torchrun --nproc_per_node=8 tools/cache_teacher.py --config nuscenes_r18 --cache out/labels --device cuda

Start it again to go on after a kill: whole labels stay, damaged ones are made anew. One launch at a time writes a
folder. Labels are kept by teacher, size and recorded picture, so one folder serves all runs. Training works without.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from surround_depth.errors import EXIT_USER_ERROR, ConfigError, run_cli

if TYPE_CHECKING:
    from tqdm import tqdm

    from surround_depth.training.labelling import LabelReport


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True, help="name of a shipped training config, or a YAML file")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="as for the training")
    parser.add_argument("--cache", required=True, type=Path, metavar="DIR", help="folder of labels, made where missing")
    parser.add_argument("--validation", action="store_true", help="label the drives that validate too")
    parser.add_argument("--readers", type=int, default=2, metavar="N", help="threads that read and write (default 2)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads for torch (default: its own choice)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the teacher runs (default cpu)")
    return parser.parse_args()


class TerminalWatcher:
    """A progress bar of the main process's share; the others work beside it."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._bar: tqdm[NoReturn] | None = None

    def on_start(self, n_samples: int) -> None:
        if self._shown:
            from tqdm import tqdm

            self._bar = tqdm(total=n_samples, unit="sample", desc="labelling", dynamic_ncols=True, mininterval=1.0)

    def on_sample(self, name: str, labels: LabelReport) -> None:
        if self._bar is None:
            return
        if labels.n_damaged:
            self._bar.write(f"{name}: a label was damaged; made anew")
        self._bar.update(1)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def lines_of(report: LabelReport, arguments: argparse.Namespace) -> list[str]:
    """Return what to print at the end."""
    damaged = f" ({report.n_damaged} in place of damaged ones)" if report.n_damaged else ""
    options = [word for one in (*arguments.set, f"teacher.cache={arguments.cache}") for word in ("--set", one)]
    command = shlex.join(["python", "tools/train_fsmde.py", "--config", arguments.config, *options])
    size = f"{report.bytes_per_sample / 1e3:.0f} kB each, {report.n_bytes / 1e6:.1f} MB in all"
    return [
        f"{arguments.cache}: {report.n_made} labels made{damaged}, {report.n_kept} were there",
        f"{report.n_samples} samples: {size}; {report.seconds:.1f} s, {report.samples_per_s:.1f} samples/s",
        f"next: {command}",
    ]


def main() -> int:
    arguments = parse_arguments()
    if arguments.readers < 1:
        raise ConfigError(f"--readers {arguments.readers}: give at least 1")
    import torch

    from surround_depth.config import load_config
    from surround_depth.training.config import TrainConfig
    from surround_depth.training.drives import open_drives
    from surround_depth.training.label_task import label_task, teacher_on
    from surround_depth.training.labelling import LabelReport, label_samples, open_caches
    from surround_depth.training.process import PeerError, start_processes
    from surround_depth.training.student_teacher import open_teacher

    config = load_config(TrainConfig, arguments.config, arguments.set)
    if arguments.threads > 0:
        torch.set_num_threads(arguments.threads)
    processes = start_processes(arguments.device, "fp32")
    watcher = TerminalWatcher(shown=processes.is_main)
    try:
        with processes.together():
            teacher = open_teacher(teacher_on(arguments.device, config.teacher))
            if teacher is None:
                raise ConfigError("teacher.kind is 'none': there are no labels to keep; choose a teacher")
            task = label_task(config, open_drives(config.data), validation=arguments.validation)
            if processes.is_main:
                open_caches(task, teacher, arguments.cache)
        with processes.together():
            report = label_samples(
                task,
                teacher,
                arguments.cache,
                watcher=watcher,
                rank=processes.rank,
                n_processes=processes.count,
                n_threads=arguments.readers,
            )
        report = LabelReport.of_all(processes.gathered(report))
    except PeerError:
        processes.let_main_speak()
        return EXIT_USER_ERROR
    finally:
        watcher.close()
    if processes.is_main:
        print("\n".join(lines_of(report, arguments)))
    processes.part()
    return 0


if __name__ == "__main__":
    run_cli(main)
