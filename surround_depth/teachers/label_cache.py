"""A teacher's labels on disk, one file per sample: labelled once (`tools/cache_teacher.py`), read in every epoch.

    CACHE/<key>/about.json                          whose labels they are, their licence, their size
    CACHE/<key>/<first two digits>/<label id>.label

The key is of the teacher's fingerprint and the input's size. The label id is of everything else that a label depends
on, above all the recorded pictures (`TeacherInput.label_id`); so what changes in the data set is not found any more,
and a stale label is never taken for a fresh one. Every read is checked against key, id, size and checksum.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from surround_depth.errors import DataError
from surround_depth.files import clear_leftovers, write_atomic, write_json
from surround_depth.teachers.label_codec import decode_label, encode_label
from surround_depth.teachers.teacher import Teacher, TeacherInput, TeacherLabel

_FORMAT = 1  # of the labels' meaning; `label_codec` has one of their bytes
_SUFFIX = ".label"


class LabelError(DataError):
    """A label on disk is damaged, or of something else; the message names the file and what to do."""


def cache_key(fingerprint: str, height_px: int, width_px: int) -> str:
    """Return the SHA-256 of what the labels of one folder share: the teacher's `fingerprint` and the input's size."""
    return hashlib.sha256(json.dumps([_FORMAT, fingerprint, height_px, width_px]).encode()).hexdigest()


class LabelCache:
    """The labels of one teacher at one size. Any number of processes may read and write it.

    Args:
        folder: of all caches; need not exist.
        key: see `cache_key`.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self.key = key
        self.folder = folder / key[:16]

    def path_of(self, label_id: str) -> Path:
        """Return where a label is or would be."""
        return self.folder / label_id[:2] / f"{label_id}{_SUFFIX}"

    def read(self, label_id: str, shape: tuple[int, int, int]) -> TeacherLabel | None:
        """Return a label as written but for the rounding that `label_codec` bounds; None where there is none.

        Args:
            shape: N, H, W of the sample.

        Raises:
            LabelError: the file is damaged, or of another teacher, sample or size.
            DataError: it cannot be read.
        """
        path = self.path_of(label_id)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror}); check the folder of the label cache") from error
        try:
            label, facts = decode_label(data)
        except DataError as error:
            raise LabelError(f"{path} {error}; {_remedy(path)}") from error
        expected = {"key": self.key, "label_id": label_id}
        if found := [name for name, value in expected.items() if facts.get(name) != value]:
            whose = f"it is the label of sample {facts.get('sample_id')}"
            raise LabelError(f"{path} does not belong here ({' and '.join(found)} differ; {whose}); {_remedy(path)}")
        if label.valid.shape != shape:
            raise LabelError(f"{path} has labels of {label.valid.shape}, the sample is {shape}; {_remedy(path)}")
        return label

    def write(self, label_id: str, label: TeacherLabel, sample_id: str) -> int:
        """Write a label in one instant and return its size in bytes.

        Args:
            sample_id: for people; `label_id` is what it is found by.

        Raises:
            DataError: the folder cannot be made or the disk is full.
        """
        data = encode_label(label, {"key": self.key, "label_id": label_id, "sample_id": sample_id})
        write_atomic(self.path_of(label_id), data)
        return len(data)

    def describe(self, teacher: Teacher, height_px: int, width_px: int) -> None:
        """Write for people what the folder holds; labels inherit the licence of their teacher.

        Raises:
            DataError: the folder cannot be made or the disk is full.
        """
        about = {
            "teacher": teacher.name,
            "licence": teacher.licence,
            "fingerprint": teacher.fingerprint,
            "metric": teacher.metric,
            "height_px": height_px,
            "width_px": width_px,
            "key": self.key,
        }
        write_json(self.folder / "about.json", about)

    def clear_leftovers(self) -> None:
        """Delete what a killed process was just writing. No living one may write."""
        for folder in self.folder.glob("??"):
            clear_leftovers(folder, f"*{_SUFFIX}")


def _remedy(path: Path) -> str:
    return f"delete {path.name}, or run tools/cache_teacher.py again, which makes it anew"


class CachedTeacher:
    """A teacher whose labels come from the disk where they are there, and from itself where they are not.

    A label from the disk is rounded as `label_codec` says. Samples in a framing that was drawn at random have no label
    id: they are always the teacher's own to label.

    Args:
        teacher: called for what is not cached; its fingerprint finds the labels.
        folder: see `LabelCache`.
        required: refuse a sample of the engine's framing that has no label, instead of labelling it.
    """

    def __init__(self, teacher: Teacher, folder: Path, *, required: bool = False) -> None:
        self.teacher = teacher
        self.folder = folder
        self.required = required
        self.name, self.licence, self.metric = teacher.name, teacher.licence, teacher.metric
        self.fingerprint = teacher.fingerprint

    def __call__(self, sample: TeacherInput) -> TeacherLabel:
        """Return the labels of one sample.

        Raises:
            LabelError: the label on disk is damaged, or of something else.
            DataError: there is none and `required` asks for one; else as the teacher itself.
        """
        if sample.label_id is None:
            return self.teacher(sample)
        n_cameras, height_px, width_px, _ = sample.images.shape
        cache = LabelCache(self.folder, cache_key(self.fingerprint, height_px, width_px))
        label = cache.read(sample.label_id, (n_cameras, height_px, width_px))
        if label is None and self.required:
            raise DataError(
                f"{sample.sample_id}: {self.folder} has no label of teacher {self.name} for it at "
                f"{height_px}x{width_px}; run tools/cache_teacher.py with the run's own --config and --set"
            )
        return self.teacher(sample) if label is None else label
