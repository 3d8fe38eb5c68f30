"""The two halves of a run as processes do them: the training command, and the scoring beside it on one thread."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from surround_depth.errors import SurroundDepthError
from surround_depth.studies.config import StudyConfig
from surround_depth.studies.scoring import score_student
from surround_depth.training.folder import STATE_FOLDER
from surround_depth.training.state import stored_steps

LOG_NAME = "train.log"
_POLL_S = 1.0
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


class TrainingFailedError(SurroundDepthError):
    """The training command ended with an error; the message is its own."""


@dataclass(frozen=True)
class TrainingCommand:
    """Runs `tools/train_fsmde.py` on one thread; its output goes to train.log."""

    script: Path
    device: str = "cpu"

    def __call__(self, config: Path, folder: Path) -> None:
        """Train `config` into `folder`, from the newest state there where a killed run left one.

        Raises:
            TrainingFailedError: with the command's last line.
        """
        command = [sys.executable, str(self.script), "--config", str(config), "--out", str(folder)]
        command += ["--threads", "1", "--device", self.device]
        if stored_steps(folder / STATE_FOLDER):
            command.append("--resume")
        log = folder / LOG_NAME
        with log.open("wb") as file:
            process = subprocess.Popen(
                command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=os.environ | _ONE_THREAD
            )
            try:
                status = _wait(process)
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        if status:
            raise TrainingFailedError(f"{_last_line(log)} (exit status {status}; see {folder.name}/{LOG_NAME})")

        shutil.rmtree(folder / STATE_FOLDER, ignore_errors=True)  # some 40 MB that nothing goes on from any more


@dataclass(frozen=True)
class Scoring:
    """Scores a checkpoint on one thread, its network on `device`; see `scoring.score_student`."""

    device: str = "cpu"

    def __call__(self, checkpoint: Path, study: StudyConfig, data: Path) -> Mapping[str, Any]:
        """Return the scores."""
        torch.set_num_threads(1)
        return score_student(checkpoint, study.evaluation, data, device=self.device)


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of the command; where the study itself was killed, nobody waits for it any more."""
    parent = multiprocessing.parent_process()
    while True:
        try:
            return process.wait(timeout=_POLL_S)
        except subprocess.TimeoutExpired:
            if parent is not None and not parent.is_alive():
                raise SystemExit("the study was killed") from None


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n").split("\n")]
    said = [line for line in lines if line.startswith("error:")] or [line for line in lines if line]
    return said[-1] if said else "the training command said nothing"
