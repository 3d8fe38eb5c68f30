"""A folder of depth maps as a predictor, and a predictor that leaves one; `prediction_files` describes the files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from surround_depth.data.paths import path_inside, require_root
from surround_depth.errors import DataError, SurroundDepthError
from surround_depth.evaluation.prediction import Prediction, Predictor
from surround_depth.evaluation.prediction_files import (
    SUFFIXES,
    Answer,
    PredictionNote,
    no_answer,
    read_answer,
    read_note,
    write_prediction,
)
from surround_depth.frame import SurroundFrame
from surround_depth.rig import Camera

WhenMissing = Literal["raise", "no_answer"]
MISSING, DIGESTS = "missing_answers", "answer_digests"
"""Names of the notes that a folder leaves in an evaluation."""


class PredictionError(SurroundDepthError):
    """A method's folder lacks an answer or holds a damaged one: not damage of the data, so never skipped as such."""


@dataclass
class PredictionFolder:
    """A folder of depth maps as a `Predictor`; it looks at the frame's id and cameras, never at its images.

    `digests` and `missing` grow with every frame that is asked for.

    Raises:
        DataError: no such folder, or its note holds an unknown key or a wrong value.
        PredictionError: when asked for a frame: a file is missing (unless `when_missing` is "no_answer"), damaged, or
            of another type or shape than described above.
    """

    root: Path
    when_missing: WhenMissing = "raise"
    note: PredictionNote = field(init=False)
    digests: dict[str, str] = field(default_factory=dict, init=False)
    """Frame id -> SHA-256 over the bytes of its files, in the order of the cameras."""
    missing: list[str] = field(default_factory=list, init=False)
    """<frame_id>/<CAMERA> of what was not there and counts as no answer."""
    _examples: dict[str, Answer | None] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.root = require_root(self.root, "prediction")
        note = read_note(self.root)
        self.note = note if note.method else note.model_copy(update={"method": self.root.name})

    def __call__(self, frame: SurroundFrame) -> Prediction:
        """Return what the folder answers for `frame`."""
        digest = hashlib.sha256()
        try:
            answers = [self._read(frame.frame_id, camera, digest) for camera in frame.rig.cameras]
        except DataError as error:
            raise PredictionError(str(error)) from error
        self.digests[frame.frame_id] = digest.hexdigest()
        confidences = tuple(answer.confidence for answer in answers if answer.confidence is not None)
        return Prediction(
            depth_m=tuple(answer.depth_m for answer in answers),
            windows=tuple(answer.window for answer in answers),
            confidence=confidences if len(confidences) == len(answers) else None,
        )

    def _read(self, frame_id: str, camera: Camera, digest: hashlib._Hash) -> Answer:
        stem = f"{frame_id}/{camera.name}"
        found = [suffix for suffix in SUFFIXES if (self.root / (stem + suffix)).exists()]
        if len(found) > 1:
            raise DataError(f"{self.root / stem} is there as {' and '.join(found)}; keep one of them")
        if not found and self.when_missing == "no_answer":
            self.missing.append(stem)
            return no_answer(camera, self._any_answer(camera))
        if not found:
            raise DataError(self._absence(stem))
        path = path_inside(self.root, stem + found[0], f"prediction of {stem}")
        digest.update(path.read_bytes())
        return read_answer(path, camera, self.note)

    def _any_answer(self, camera: Camera) -> Answer | None:
        """Return the folder's first answer for a camera, looked for once; None where there is none."""
        if camera.name not in self._examples:
            files = (path for suffix in SUFFIXES for path in self.root.rglob(camera.name + suffix))
            first = min(files, default=None)
            example = None
            if first is not None:
                relative = first.relative_to(self.root).as_posix()
                example = read_answer(path_inside(self.root, relative, "prediction folder"), camera, self.note)
            self._examples[camera.name] = example
        return self._examples[camera.name]

    def _absence(self, stem: str) -> str:
        """Say what is missing, and what is there instead: most often the ids are of another kind."""
        names = sorted(path.name for path in self.root.iterdir() if path.is_dir())
        there = f"it has {len(names)} folders such as {names[0]!r}" if names else "it has no folder at all"
        return (
            f"{self.root}: no {stem} as .npz, .npy or .png; {there}. Name folders by frame id (docs/evaluate.md), or "
            "go on without with --missing no_answer"
        )

    def notes(self) -> Mapping[str, tuple[str, ...]]:
        """Return what was missing and what was read so far, a line each."""
        digests = tuple(f"{frame_id} {digest}" for frame_id, digest in self.digests.items())
        return {MISSING: tuple(self.missing), DIGESTS: digests}


@dataclass(frozen=True, eq=False)
class Saving:
    """A `Predictor` that leaves every answer of another one in a prediction folder."""

    predictor: Predictor
    folder: Path

    def __call__(self, frame: SurroundFrame) -> Prediction:
        """Return the other's answer, written first."""
        prediction = self.predictor(frame)
        write_prediction(self.folder, frame, prediction)
        return prediction


def answers_sha256(digests: tuple[str, ...]) -> str:
    """Return one hash for everything that a folder answered, from the lines of its note `DIGESTS` in any order."""
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()
