"""The whole way once: render drives, distil a student on them, compile it, play a drive it has never seen, score it.

    python tools/demo.py --out out/demo

Needs no data set, no GPU and no network; takes about five minutes on two cores. Leaves index.html (open it in a
browser) and report.json. Exit status 1 when a number misses its target: the page says which.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from surround_depth.errors import ConfigError, run_cli

if TYPE_CHECKING:
    from surround_depth.data.sample import SampleSequence
    from surround_depth.data.writers.nuscenes_tree import DriveRecord
    from surround_depth.evaluation.demo_report import DemoReport
    from surround_depth.inference.backend import Backend

EXIT_MISSED = 1
N_STAGES = 6
TRAINING_CONFIG = "synthetic_demo"
# Seeds of the demo's own streets; the shipped student was trained on others, and the held-out one is in no training.
FIRST_SEED, HELD_OUT_SEED = 700, 790
HELD_OUT_SCENE = f"scene-{HELD_OUT_SEED:04d}"
MARKER = "MADE_BY_DEMO.txt"
TRAINING_FOLDER = "train"
HELD_OUT_INTERVAL_S = 0.25
# The starting weights have seen 146 streets and these are a dozen: faster rates forget more than they learn here. On
# the street that validates, AbsRel 0.157 becomes 0.152 with this one, 0.154 with twice, 0.157 with five times as much.
FINE_TUNING_LR = 0.00001


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR", help="default: out/demo")
    parser.add_argument("--init", type=Path, metavar="DIR", help="starting weights (default: the shipped student)")
    parser.add_argument(
        "--drives", type=int, default=12, help="training drives to render, one more validates (default 12)"
    )
    parser.add_argument("--samples", type=int, default=6, help="moments per training drive (default 6)")
    parser.add_argument("--steps", type=int, default=250, help="training steps (default 250)")
    parser.add_argument("--held-out-samples", type=int, default=20, help="moments of the held-out drive (default 20)")
    return parser.parse_args()


class StageClock:
    """Prints every stage as it begins and ends, and keeps its seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, what: str) -> Iterator[None]:
        """Time the body of a `with` block as one stage."""
        print(f"[{len(self.seconds) + 1}/{N_STAGES}] {name}: {what}", flush=True)
        begin_s = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - begin_s
        print(f"      {name} took {self.seconds[name]:.0f} s", flush=True)


def render(data: Path, arguments: argparse.Namespace) -> str:
    """Render the training drives, one that validates, and the held-out one; return what the held-out one is like."""
    from surround_depth.data.render_tree import nuscenes_format, render_tree
    from surround_depth.data.synthetic.drive import DriveConfig
    from surround_depth.imaging import InputSpec, plan_images
    from surround_depth.rig import load_rig

    rig = plan_images(load_rig("nuscenes"), InputSpec(height_px=352, width_px=640)).network_rig
    seeds = range(FIRST_SEED, FIRST_SEED + arguments.drives + 1)
    training = [DriveConfig(seed, rig, arguments.samples) for seed in seeds]
    held_out = DriveConfig(HELD_OUT_SEED, rig, arguments.held_out_samples, frame_interval_s=HELD_OUT_INTERVAL_S)
    descriptions = {}

    def on_drive(record: DriveRecord) -> None:
        descriptions[record.name] = record.tables["scene"][0]["description"]
        print(f"      {record.name}: {descriptions[record.name]}", flush=True)

    render_tree(data, [held_out, *training], nuscenes_format(), workers=2, on_drive=on_drive)
    return descriptions[HELD_OUT_SCENE]


def make_room(data: Path) -> None:
    """Delete the drives and training states of an earlier run, finished or not, and mark the folder as this demo's.

    Raises:
        ConfigError: the folder holds something else.
    """
    marker = data / MARKER
    if data.is_symlink() or (data.exists() and not data.is_dir()):
        raise ConfigError(f"{data} is no folder of its own; choose another --out")
    if data.is_dir() and any(data.iterdir()):
        ours = marker.is_file() or all((data / name).is_dir() for name in ("dense_depth", "v1.0-mini"))
        if not ours:
            raise ConfigError(f"{data} holds files that no demo made; move them away or choose another --out")
        shutil.rmtree(data)
        shutil.rmtree(data.parent / TRAINING_FOLDER / "state", ignore_errors=True)  # or training would ask for --resume
    data.mkdir(parents=True, exist_ok=True)
    marker.write_text(f"Drives of {Path(__file__).name}, which deletes this folder when it runs again.\n")


def scenes_of(arguments: argparse.Namespace) -> list[str]:
    """Return the names of the training drives."""
    return [f"scene-{FIRST_SEED + i:04d}" for i in range(arguments.drives)]


def distil(data: Path, init: Path, out: Path, arguments: argparse.Namespace) -> tuple[Path, dict[str, float]]:
    """Distil from the weights `init`; return the checkpoint and what the training cost."""
    from surround_depth.config import load_config
    from surround_depth.evaluation.baseline import per_pixel_mean_m
    from surround_depth.training.config import TrainConfig
    from surround_depth.training.run import run_training

    last = FIRST_SEED + arguments.drives
    overrides = [
        f"data.root={data}",
        f"data.train_scenes=[{', '.join(scenes_of(arguments))}]",
        f"data.val_scenes=[scene-{last:04d}]",
        f"optim.steps={arguments.steps}",
        f"optim.lr={FINE_TUNING_LR}",
        "optim.settle=1.0",  # the starting weights' norms know more streets than this drive shows
        "coarse=null",
        f"watch.validate_every={arguments.steps}",
    ]
    config = load_config(TrainConfig, TRAINING_CONFIG, overrides)
    watcher = StepPrinter(arguments.steps)
    result = run_training(config, out, watcher=watcher, per_pixel_mean=per_pixel_mean_m, init=init)
    return result.directory, watcher.facts()


class StepPrinter:
    """Prints a line every tenth of the training, with the time left."""

    def __init__(self, n_steps: int) -> None:
        self._n_steps = n_steps
        self._begin_s = time.monotonic()
        self._stamps_s: list[float] = []
        self._loss = float("nan")

    def on_step(self, step: int, report: Any) -> None:
        self._stamps_s.append(time.monotonic())
        self._loss = float(report.loss.total.detach())
        if step % max(1, self._n_steps // 10) == 0:
            left_s = (time.monotonic() - self._begin_s) / step * (self._n_steps - step)
            print(f"      step {step}/{self._n_steps}, loss {self._loss:.3f}, {left_s:.0f} s left", flush=True)

    def on_validation(self, step: int, validation: Any) -> None:
        print(f"      validation AbsRel {validation.headline:.3f}", flush=True)

    def on_notice(self, text: str) -> None:
        print(f"      {text}", flush=True)

    def facts(self) -> dict[str, float]:
        """Return steps, the median seconds of one, and the last loss."""
        from statistics import median

        between_s = [b - a for a, b in zip(self._stamps_s, self._stamps_s[1:], strict=False)]
        return {"steps": self._n_steps, "step_s": median(between_s) if between_s else 0.0, "final_loss": self._loss}


def compile_student(checkpoint: Path, out: Path, data: Path) -> None:
    """Build and prove the engine of a checkpoint."""
    from surround_depth.export.engine_build import BuildRequest, build_engine
    from surround_depth.export.frames import DriveSource
    from surround_depth.provenance import command_line

    request = BuildRequest(
        checkpoint, out, data=DriveSource("synthetic", data), n_parity_frames=2, command=command_line()
    )
    manifest = build_engine(request, report=lambda line: print(f"      {line}", flush=True))
    print(f"      differs from torch by at most {manifest.parity.max_m:.2g} m", flush=True)


def play(engine: Path, sequence: SampleSequence, out: Path) -> dict[str, Any]:
    """Play the held-out drive at its recorded pace; return the report of the playback."""
    from surround_depth.inference.backend import open_backend
    from surround_depth.runtime.pacing import PlaybackOptions
    from surround_depth.runtime.session import play_headless

    with open_backend(engine) as backend:
        return play_headless(backend, sequence, PlaybackOptions(), out, source={"engine": engine.name})


def write_page(report: DemoReport, student: Backend, start: Backend, held_out: SampleSequence, out: Path) -> None:
    """Write report.json, the pictures and index.html."""
    from surround_depth.evaluation.demo_page import Picture
    from surround_depth.evaluation.demo_report import demo_page
    from surround_depth.evaluation.demo_scoring import middle_sample, picture_moment
    from surround_depth.files import write_json

    pictures, cloud = picture_moment(student, start, middle_sample(held_out), out / "pictures")
    video = Picture(
        "live/mosaic.mp4",
        "Each camera above its depth (red near, blue far, slate sky), on the right the fused cloud from above with the "
        "LiDAR as white dots: what the system saw while it played, at the recorded pace.",
    )
    write_json(out / "report.json", report.as_dict())
    (out / "index.html").write_text(demo_page(report, video, pictures, cloud).html(), encoding="utf-8")


def provenance(init: Path, arguments: argparse.Namespace) -> dict[str, str]:
    """Return what a reader needs to repeat the run."""
    from surround_depth.evaluation.demo_report import TEACHER_NOTE
    from surround_depth.export.machine import describe_machine, engine_versions
    from surround_depth.provenance import command_line

    return {
        "command": command_line(),
        "training": f"{TRAINING_CONFIG}, {arguments.steps} steps, weights from {init.name}",
        "teacher": TEACHER_NOTE,
        "training seeds": f"{FIRST_SEED} to {FIRST_SEED + arguments.drives - 1}, {arguments.samples} moments each",
        "held-out seed": f"{HELD_OUT_SEED}, {arguments.held_out_samples} moments",
        **describe_machine(),
        "versions": ", ".join(f"{name} {version}" for name, version in engine_versions().items()),
    }


def main() -> int:
    arguments = parse_arguments()
    import surround_depth
    from surround_depth.data.build import open_dataset
    from surround_depth.evaluation.demo_report import DemoReport, Drive
    from surround_depth.evaluation.demo_scoring import score_held_out
    from surround_depth.inference.backend import open_backend

    out: Path = arguments.out
    init = arguments.init or Path(surround_depth.__file__).parent / "weights" / "nano_synthetic"
    data, clock = out / "data", StageClock()
    make_room(data)
    with clock.stage("render", f"{arguments.drives + 1} drives to learn from, and one held out (seed {HELD_OUT_SEED})"):
        description = render(data, arguments)
    with clock.stage("distil", f"{arguments.steps} steps from {init.name}"):
        checkpoint, training = distil(data, init, out / TRAINING_FOLDER, arguments)
    with clock.stage("compile", "an ONNX Runtime engine, proven against torch in metres"):
        compile_student(checkpoint, out / "engine", data)
        compile_student(init, out / "engine_start", data)
    dataset = open_dataset("synthetic", data)
    held_out = dataset.sequence(HELD_OUT_SCENE)
    with clock.stage("play", f"{held_out.name} live, at {1 / HELD_OUT_INTERVAL_S:.0f} Hz"):
        playback = play(out / "engine", held_out, out / "live")
    with open_backend(out / "engine") as student, open_backend(out / "engine_start") as start:
        with clock.stage(
            "evaluate", "student, starting weights, per-pixel training mean and median on the held-out drive"
        ):
            drives = [dataset.sequence(scene) for scene in scenes_of(arguments)]
            scores = score_held_out(student, start, held_out, drives)
        report = DemoReport(
            scores=scores,
            drive=Drive(
                held_out.name, description, len(held_out), playback["frames"]["dropped"], 1 / HELD_OUT_INTERVAL_S
            ),
            latency_ms=playback["latency_ms"],
            training=training,
            stages_s=clock.seconds,
            provenance=provenance(init, arguments),
        )
        with clock.stage("page", "pictures, cloud and tables"):
            write_page(report, student, start, held_out, out)
    print()
    for target in report.targets():
        print(f"{'reached' if target.met else 'MISSED '}  {target.what}: {target.value}")
    print(f"\nopen {(out / 'index.html').resolve()}")
    return 0 if all(target.met for target in report.targets()) else EXIT_MISSED


if __name__ == "__main__":
    run_cli(main)
