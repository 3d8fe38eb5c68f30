"""A study that is stopped, changed or broken does again what it must, and nothing else."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from surround_depth.errors import DataError
from surround_depth.studies.config import StudyConfig
from surround_depth.studies.run import is_trained, read_failure, read_scores, runs_of
from surround_depth.studies.runs import complete
from surround_depth.studies.screening import stages
from surround_depth.studies.trainer import TrainingCommand, TrainingFailedError

MakeStudy = Callable[..., StudyConfig]


@dataclass
class FakeTrainer:
    """Writes the seed as weights, and counts."""

    broken: tuple[str, ...] = ()
    trained: list[str] = field(default_factory=list)
    scored: list[str] = field(default_factory=list)

    def train(self, config: Path, folder: Path) -> None:
        tree = yaml.safe_load(config.read_text())
        self.trained.append(tree["name"])
        (folder / "state").write_text(f"{len(self.trained)}")
        if tree["name"] in self.broken:
            raise DataError("step 3: the loss is not finite")
        (folder / "student").mkdir(exist_ok=True)
        (folder / "student" / "model.safetensors").write_text(str(tree["seed"]))

    def score(self, checkpoint: Path, study: StudyConfig, data: Path) -> Mapping[str, Any]:
        self.scored.append(checkpoint.parent.name)
        return {"held": {"clean": {"abs_rel": {"scene-0020": float((checkpoint / "model.safetensors").read_text())}}}}

    def go(self, study: StudyConfig, out: Path) -> tuple[list[str], list[str], list[str | None]]:
        """Return what was trained, what was scored, and the errors."""
        self.trained, self.scored = [], []
        outcomes = list(complete(runs_of(study, out), self.train, self.score))
        return self.trained, self.scored, [outcome.error for outcome in outcomes]


NAMES = ["tiny-default-0", "tiny-flat-0", "tiny-default-1", "tiny-flat-1"]
FOLDERS = ["default-0", "flat-0", "default-1", "flat-1"]


def test_first_seeds_come_first_and_nothing_is_done_twice(make_study: MakeStudy, tmp_path: Path) -> None:
    study, fake = make_study(), FakeTrainer()
    assert fake.go(study, tmp_path) == (NAMES, FOLDERS, [None] * 4)
    assert fake.go(study, tmp_path) == ([], [], [None] * 4)
    run = runs_of(study, tmp_path, ["flat"], [1])[0]
    assert read_scores(run) == {"held": {"clean": {"abs_rel": {"scene-0020": 1.0}}}}
    assert yaml.safe_load((run.folder / "config.yaml").read_text())["student"]["fusion_layers"] == 0


def test_a_changed_row_is_trained_again_alone(make_study: MakeStudy, tmp_path: Path) -> None:
    study, fake = make_study(), FakeTrainer()
    fake.go(study, tmp_path)
    rows = study.model_dump()["rows"] | {"flat": {"what": "two", "overrides": {"student.fusion_layers": 2}}}
    assert fake.go(make_study(rows=rows), tmp_path)[:2] == (["tiny-flat-0", "tiny-flat-1"], ["flat-0", "flat-1"])
    other = study.model_dump()["sets"]
    other["train"]["first_seed"] = 11
    assert fake.go(make_study(rows=rows, sets=other), tmp_path)[0] == NAMES
    assert not is_trained(runs_of(study, tmp_path)[0])


def test_another_evaluation_scores_again_and_trains_nothing(make_study: MakeStudy, tmp_path: Path) -> None:
    fake = FakeTrainer()
    fake.go(make_study(), tmp_path)
    fewer = make_study(evaluation=[{"set": "held"}], n_workers=1)
    assert fake.go(fewer, tmp_path)[:2] == ([], FOLDERS)


def test_where_the_study_lies_and_who_renders_is_no_change(make_study: MakeStudy, tmp_path: Path) -> None:
    fake = FakeTrainer()
    fake.go(make_study(), tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    sets = make_study().model_dump()["sets"]
    sets["train"]["n_workers"] = 7
    assert fake.go(make_study(sets=sets), tmp_path / "there")[:2] == ([], [])


def test_a_key_that_the_project_has_learnt_since_is_no_change(make_study: MakeStudy, tmp_path: Path) -> None:
    study, fake = make_study(), FakeTrainer()
    fake.go(study, tmp_path)
    path = runs_of(study, tmp_path)[0].folder / "config.yaml"
    old = yaml.safe_load(path.read_text())
    del old["optim"]["clip_norm"]  # as if written before there was one
    path.write_text(yaml.safe_dump(old))
    assert fake.go(study, tmp_path)[0] == []
    path.write_text(yaml.safe_dump(old | {"optim": old["optim"] | {"clip_norm": 1.0}}))  # as if the default had moved
    assert fake.go(study, tmp_path)[0] == ["tiny-default-0"]


def test_a_failing_run_stops_no_other_and_is_tried_again_where_it_stopped(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study, fake = make_study(), FakeTrainer(broken=("tiny-flat-0",))
    error = "step 3: the loss is not finite"
    assert fake.go(study, tmp_path) == (NAMES, ["default-0", "default-1", "flat-1"], [None, error, None, None])
    run = runs_of(study, tmp_path, ["flat"], [0])[0]
    assert (read_failure(run), read_scores(run)) == (error, None)
    assert (run.folder / "state").read_text() == "2"  # stays: the training command may go on from it
    assert FakeTrainer().go(study, tmp_path) == (["tiny-flat-0"], ["flat-0"], [None] * 4)
    assert read_failure(run) is None


def test_a_lost_or_half_written_checkpoint_is_made_again(make_study: MakeStudy, tmp_path: Path) -> None:
    study, fake = make_study(), FakeTrainer()
    fake.go(study, tmp_path)
    (tmp_path / "runs/default-0/student/model.safetensors").unlink()
    record = tmp_path / "runs/flat-0/run.json"
    tree = json.loads(record.read_text())
    del tree["weights_sha256"]  # as while it trains
    record.write_text(json.dumps(tree))
    (tmp_path / "runs/default-1/scores.json").write_text("{")
    # the same weights come out, so the scores that lie there still hold; a damaged file of scores does not
    assert fake.go(study, tmp_path)[:2] == (["tiny-default-0", "tiny-flat-0"], ["default-1"])


def test_a_training_that_leaves_nothing_is_a_failure(make_study: MakeStudy, tmp_path: Path) -> None:
    runs = runs_of(make_study(), tmp_path, ["default"], [0])
    (outcome,) = complete(runs, lambda config, folder: None, FakeTrainer().score)
    assert outcome.error is not None
    assert "left no student/model.safetensors" in outcome.error


def test_the_command_is_judged_by_its_exit_status(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\nprint(sys.argv[1:])\nsys.stderr.write('10%\\rerror: no such data\\n')\n"
        "sys.exit(2 if 'bad.yaml' in sys.argv[2] else 0)\n"
    )
    TrainingCommand(script)(tmp_path / "good.yaml", tmp_path)
    assert "'--threads', '1'" in (tmp_path / "train.log").read_text()
    with pytest.raises(TrainingFailedError, match=r"^error: no such data \(exit status 2; see .*/train.log\)$"):
        TrainingCommand(script)(tmp_path / "bad.yaml", tmp_path)


ORPHANS = """
import os, signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from surround_depth.studies.runs import end_with_parent

if __name__ == "__main__":
    pool = ProcessPoolExecutor(1, get_context("spawn"), initializer=end_with_parent, initargs=(0.1,))
    print(pool.submit(os.getpid).result(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_the_workers_of_a_study_that_was_killed_end_too(tmp_path: Path) -> None:
    script = tmp_path / "study.py"
    script.write_text(ORPHANS)
    killed = subprocess.run([sys.executable, str(script)], stdout=subprocess.PIPE, check=False)
    assert killed.returncode == -signal.SIGKILL
    worker = Path("/proc") / killed.stdout.decode().strip()
    deadline_s = time.monotonic() + 30.0
    while worker.exists() and "\nState:\tZ" not in (worker / "status").read_text() and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert time.monotonic() < deadline_s


TAUGHT = {
    "default": {"what": "as it is"},
    "wide": {"what": "teaches", "overrides": {"teacher.kind": "simulated", "student.preset": "small"}},
    "taught": {"what": "learns", "overrides": {"teacher.kind": "student"}},
}


def test_what_teaches_comes_first_and_once_and_a_new_teacher_makes_new_students(
    make_study: MakeStudy, tmp_path: Path
) -> None:
    study, fake = make_study(rows=TAUGHT, teacher="wide"), FakeTrainer()
    trained, _, errors = fake.go(study, tmp_path)
    assert trained == ["tiny-wide-0", "tiny-default-0", "tiny-default-1", "tiny-taught-0", "tiny-taught-1"]
    assert errors == [None] * 5
    (taught,) = runs_of(study, tmp_path, ["taught"], [1])
    assert taught.config.teacher.student.directory == str(tmp_path / "runs" / "wide-0" / "student")
    assert fake.go(study, tmp_path)[0] == []
    record = tmp_path / "runs" / "wide-0" / "run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"weights_sha256": "other"}))
    assert fake.go(study, tmp_path)[0] == ["tiny-taught-0", "tiny-taught-1"]


def test_a_stereo_network_may_move_and_another_one_makes_new_students(make_study: MakeStudy, tmp_path: Path) -> None:
    network = tmp_path / "network"
    network.mkdir()
    (network / "model.safetensors").write_text("weights")

    def study(directory: Path) -> StudyConfig:
        teacher = {"kind": "stereo", "stereo": {"directory": str(directory)}}
        rows = {"default": {"what": "as it is"}, "pairs": {"what": "learns", "overrides": {"teacher": teacher}}}
        return make_study(rows=rows, seeds=[0])

    fake = FakeTrainer()
    assert fake.go(study(network), tmp_path)[0] == ["tiny-default-0", "tiny-pairs-0"]
    network.rename(tmp_path / "elsewhere")
    assert fake.go(study(tmp_path / "elsewhere"), tmp_path)[0] == []
    (tmp_path / "elsewhere" / "model.safetensors").write_text("others")
    assert fake.go(study(tmp_path / "elsewhere"), tmp_path)[0] == ["tiny-pairs-0"]


def test_a_teacher_that_fails_teaches_nobody(make_study: MakeStudy, tmp_path: Path) -> None:
    study, fake = make_study(rows=TAUGHT, teacher="wide", seeds=[0]), FakeTrainer(broken=("tiny-wide-0",))
    trained, _, errors = fake.go(study, tmp_path)
    assert trained == ["tiny-wide-0", "tiny-default-0"]
    assert errors == ["step 3: the loss is not finite", "its teacher failed: step 3: the loss is not finite", None]
    taught, default = (runs_of(study, tmp_path, [row])[0] for row in ("taught", "default"))
    assert (is_trained(taught), is_trained(default)) == (False, True)


def test_a_screening_takes_the_best_to_all_seeds(make_study: MakeStudy, tmp_path: Path) -> None:
    names = ("default", "good", "bad", "broken")
    rows = {name: {"what": name, "overrides": {"optim.lr": 1e-3 * (i + 1)}} for i, name in enumerate(names)}
    study = make_study(rows=rows, screening={"seeds": [0], "keep": 1, "always": ["default"]})
    errors = {"default": 0.9, "good": 0.2, "bad": 0.5}

    @dataclass
    class Judged(FakeTrainer):
        def train(self, config: Path, folder: Path) -> None:
            super().train(config, folder)
            row = folder.name.rpartition("-")[0]
            (folder / "metrics.json").write_text(json.dumps([{"step": 2, "dense": {"abs_rel": errors[row]}}]))

    fake = Judged(broken=("tiny-broken-0",))
    trained = []
    for part in stages(study, tmp_path):
        list(complete(part, fake.train, fake.score))
        trained.append(fake.trained)
        fake.trained = []
    assert trained[0] == [f"tiny-{name}-0" for name in names]
    assert trained[1] == ["tiny-default-1", "tiny-good-1"]
    assert len(list(stages(study, tmp_path, rows=["bad"]))) == 1  # what is asked for is not screened
