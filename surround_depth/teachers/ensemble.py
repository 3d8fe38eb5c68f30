"""A primary teacher and an assistant: for each sample one of the two, never a mean (arXiv 2502.19204, section 3 [V]).

Averaging the two is much worse than choosing (its Table 4: AbsRel on ETH3D 0.228 against 0.054).
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from surround_depth.errors import ConfigError
from surround_depth.teachers.label_cache import CachedTeacher
from surround_depth.teachers.teacher import AS_LINEAGE, Teacher, TeacherInput, TeacherLabel


class AssistedTeacher:
    """Asks the primary teacher for a share of the samples, the assistant for the others.

    The paper draws once per iteration. Here a sample is labelled once and its label kept, so the draw is by a hash of
    (seed, sample id) [O]: the same on every process, after a resume and in a label cache. All cameras of a sample have
    the same teacher. Features and trust are not passed on: features of two models are of different spaces, and not all
    say how far they are to be trusted. It is metric where both are; else the metric one is aligned like the relative
    one.

    Raises:
        ConfigError: the share is not within 0 to 1.
    """

    def __init__(self, primary: Teacher, assistant: Teacher, *, primary_share: float = 0.7, seed: int = 0) -> None:
        if not 0.0 <= primary_share <= 1.0:
            raise ConfigError(f"teacher.assistant.primary_share: {primary_share} is not within 0 to 1")
        self.primary, self.assistant = primary, assistant
        self.primary_share, self.seed = primary_share, seed
        self.name = f"{primary.name}, assisted by {assistant.name}"
        self.licence = "; ".join(dict.fromkeys((primary.licence, assistant.licence)))
        self.metric = primary.metric and assistant.metric

    @property
    def fingerprint(self) -> str:
        """Changes with either teacher, the share and the seed."""
        parts = (self.primary.fingerprint, self.assistant.fingerprint, self.primary_share, self.seed)
        return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()

    def chosen(self, sample_id: str) -> Teacher:
        """Return the one that labels this sample, always the same."""
        key = hashlib.sha256(f"assistant/{self.seed}/{sample_id}".encode()).digest()
        drawn = int.from_bytes(key[:7], "little") / 2.0**56  # seven bytes fit a float: in [0, 1), never rounded to 1
        return self.primary if drawn < self.primary_share else self.assistant

    def __call__(self, sample: TeacherInput) -> TeacherLabel:
        """Return the labels of the chosen one, without features and trust."""
        return replace(self.chosen(sample.sample_id)(sample), features=None, trust=None)


def teacher_lineage(teacher: Teacher) -> list[dict[str, str]]:
    """Return what a student of this teacher inherits: an entry for each model that labels, and for what made it."""
    if isinstance(teacher, CachedTeacher):
        return teacher_lineage(teacher.teacher)
    if isinstance(teacher, AssistedTeacher):
        return [*_entries("teacher", teacher.primary), *_entries("assistant", teacher.assistant)]
    return _entries("teacher", teacher)


def _entries(kind: str, teacher: Teacher) -> list[dict[str, str]]:
    """Return the entry of a model, and behind it what it was made of itself, where it knows."""
    made_of: tuple[dict[str, str], ...] = getattr(teacher, "lineage", ())
    licence = AS_LINEAGE if made_of else teacher.licence
    itself = {"kind": kind, "name": teacher.name, "licence": licence}
    return [itself, *(entry | {"kind": f"{kind}'s {entry['kind']}"} for entry in made_of)]
