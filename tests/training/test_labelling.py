"""Labelling a run's samples ahead of it: whole, once, in shares, and to the same end as asking the teacher itself."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from flat_road import FakeSequence

from surround_depth.errors import DataError
from surround_depth.imaging import Framing, InputSpec
from surround_depth.teachers.build import TeacherConfig
from surround_depth.teachers.label_cache import CachedTeacher
from surround_depth.teachers.label_codec import decode_label
from surround_depth.teachers.simulated import SimulatedTeacher
from surround_depth.teachers.teacher import TeacherInput, TeacherLabel
from surround_depth.training.config import CoarseStage, TrainConfig
from surround_depth.training.drives import open_drives
from surround_depth.training.label_task import LabelTask, label_task, teacher_on
from surround_depth.training.labelling import LabelReport, label_samples, open_caches
from surround_depth.training.prepared import PreparedSample
from surround_depth.training.samples import LabelWants, SamplePreparer, SampleStore

SPEC, COARSE = InputSpec(height_px=64, width_px=96), InputSpec(height_px=32, width_px=64)
TASK = LabelTask((FakeSequence("a", 3), FakeSequence("b", 2)), (SPEC, COARSE))


class Heard:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.n_samples = 0
        self.samples: list[tuple[str, LabelReport]] = []

    def on_start(self, n_samples: int) -> None:
        self.n_samples = n_samples

    def on_sample(self, name: str, labels: LabelReport) -> None:
        self.samples.append((name, labels))


class CountingTeacher(SimulatedTeacher):
    """The simulated one; counts, and may refuse a sample."""

    refused: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.n_calls = 0

    def __call__(self, sample: TeacherInput) -> TeacherLabel:
        self.n_calls += 1
        if sample.sample_id == self.refused:
            raise DataError("out of words")
        return super().__call__(sample)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.label")}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    label_samples(TASK, SimulatedTeacher(), folder, watcher=Heard())
    return folder


def test_every_sample_has_a_label_at_every_size(labelled: Path, tmp_path: Path) -> None:
    heard = Heard()
    report = label_samples(TASK, SimulatedTeacher(), tmp_path, watcher=heard, n_threads=3)
    assert (report.n_made, report.n_kept, report.n_damaged) == (10, 0, 0)
    assert report.n_samples == heard.n_samples == len(heard.samples) == 10
    assert [name for name, _ in heard.samples[2:5]] == ["sample 2 of a", "sample 0 of b", "sample 1 of b"]
    assert files(tmp_path) == files(labelled)  # whatever the threads
    assert report.n_bytes == sum(map(len, files(tmp_path).values()))
    assert report.bytes_per_sample * 10 == report.n_bytes
    assert report.samples_per_s == report.n_samples / report.seconds


def test_whole_labels_stay_and_damaged_ones_are_made_anew(labelled: Path, tmp_path: Path) -> None:
    label_samples(TASK, SimulatedTeacher(), tmp_path, watcher=Heard())
    cut, flipped, gone = sorted(tmp_path.rglob("*.label"))[:3]
    cut.write_bytes(cut.read_bytes()[:-9])
    flipped.write_bytes(flipped.read_bytes()[:-1] + b"\0\0")
    gone.unlink()
    teacher, heard = CountingTeacher(), Heard()
    report = label_samples(TASK, teacher, tmp_path, watcher=heard)
    assert (report.n_made, report.n_kept, report.n_damaged) == (3, 7, 2)
    assert teacher.n_calls == 3
    assert sum(labels.n_damaged for _, labels in heard.samples) == 2
    assert files(tmp_path) == files(labelled)


@pytest.mark.parametrize("n_processes", [2, 3])
def test_shares_make_up_the_whole(labelled: Path, tmp_path: Path, n_processes: int) -> None:
    reports = [
        label_samples(TASK, SimulatedTeacher(), tmp_path, watcher=Heard(), rank=rank, n_processes=n_processes)
        for rank in range(n_processes)
    ]
    assert max(report.n_made for report in reports) - min(report.n_made for report in reports) <= 1
    together = LabelReport.of_all(reports)
    assert (together.n_made, together.n_kept) == (10, 0)  # none twice
    assert together.seconds == max(report.seconds for report in reports)
    assert files(tmp_path) == files(labelled)


def test_training_from_the_cache_is_training_without(labelled: Path) -> None:
    teacher = CountingTeacher()
    cached = CachedTeacher(teacher, labelled, required=True)
    for spec in TASK.specs:
        with_cache = SampleStore(TASK.sequences, SamplePreparer(spec, cached), cache=False)
        without = SampleStore(TASK.sequences, SamplePreparer(spec, SimulatedTeacher()), cache=False)
        for i in range(len(without)):
            require_equal(with_cache[i], without[i])
    assert teacher.n_calls == 0
    with_cache.framed(0, Framing(mirrored=True))  # the flipped labels of the kept picture
    assert teacher.n_calls == 0
    with_cache.framed(0, Framing(1.3))
    assert teacher.n_calls == 1  # a framing drawn at random is the teacher's own to label


def test_windows_are_kept_beside_their_pictures(tmp_path: Path) -> None:
    task = LabelTask((FakeSequence("a", 2),), (SPEC,), windows=True)
    report = label_samples(task, SimulatedTeacher(), tmp_path, watcher=Heard())
    assert (report.n_samples, report.n_made) == (2, 10)  # each has four windows
    teacher = CountingTeacher()
    preparer = SamplePreparer(SPEC, CachedTeacher(teacher, tmp_path, required=True), LabelWants(patches=True))
    without = SamplePreparer(SPEC, SimulatedTeacher(), LabelWants(patches=True))
    for i in range(2):
        sample = task.sequences[0][i]
        found, expected = preparer.prepare(sample).patches, without.prepare(sample).patches
        assert found is not None
        assert expected is not None
        np.testing.assert_array_equal(found.valid, expected.valid)
        np.testing.assert_allclose(found.inverse_depth, expected.inverse_depth, rtol=2.0**-10, atol=2.0**-24)
    assert teacher.n_calls == 0
    next(path for path in sorted(tmp_path.rglob("*.label")) if b"window-2" in path.read_bytes()).unlink()
    again = label_samples(task, teacher, tmp_path, watcher=Heard())
    assert (again.n_made, again.n_kept, teacher.n_calls) == (1, 9, 1)  # one window alone is asked for


def test_features_are_kept_of_whole_pictures_alone(tmp_path: Path) -> None:
    class Featured(SimulatedTeacher):
        def __call__(self, sample: TeacherInput) -> TeacherLabel:
            return replace(super().__call__(sample), features=np.ones((3, 2, 4, 6), np.float16))

    task = LabelTask((FakeSequence("a", 1),), (SPEC,), windows=True)
    label_samples(task, Featured(), tmp_path, watcher=Heard())
    labels = [decode_label(path.read_bytes())[0] for path in tmp_path.rglob("*.label")]
    assert [label.valid.shape[1:] for label in labels if label.features is not None] == [(64, 96)]
    assert len(labels) == 5


def require_equal(found: PreparedSample, expected: PreparedSample) -> None:
    for name in (field.name for field in fields(PreparedSample)):
        if name in ("relative", "metric_range"):
            # rounded once more or once less on the way: the neighbouring value of half precision at most
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=2.0**-10, atol=2.0**-24)
        else:
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), err_msg=name)


def test_a_sample_that_cannot_be_labelled_is_named_and_the_others_stay(tmp_path: Path) -> None:
    teacher = CountingTeacher()
    teacher.refused = "b/1"
    with pytest.raises(DataError, match=r"^sample 1 of b: out of words$"):
        label_samples(TASK, teacher, tmp_path, watcher=Heard())
    n_there = len(files(tmp_path))
    assert n_there == 4  # what was on its way to the disk got there
    teacher.refused = None
    assert label_samples(TASK, teacher, tmp_path, watcher=Heard()).n_kept == n_there


def test_opening_says_whose_the_labels_are_and_clears_what_a_kill_left(tmp_path: Path) -> None:
    label_samples(TASK, SimulatedTeacher(), tmp_path, watcher=Heard())
    whole = files(tmp_path)
    some = next(tmp_path.rglob("*.label"))
    some.with_name(f".{some.name}.aa.tmp").write_bytes(b"half")
    open_caches(TASK, SimulatedTeacher(), tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == sorted(
        [*(Path(name).name for name in whole), "about.json", "about.json"]
    )


def test_the_task_is_every_training_sample_once(box_tree: Path, tiny_config: TrainConfig) -> None:
    data = tiny_config.data.model_copy(update={"root": str(box_tree), "repeat": 3})
    config = tiny_config.model_copy(update={"data": data, "coarse": CoarseStage(input=COARSE)})
    drives = open_drives(config.data)
    task = label_task(config, drives)
    assert [sequence.name for sequence in task.sequences] == ["scene-0001"]
    assert task.specs == (config.input, COARSE)
    assert len(task.share(0, 1)) == 4
    both = label_task(config, drives, validation=True)
    assert [sequence.name for sequence in both.sequences] == ["scene-0001", "scene-0002"]
    assert not task.windows
    weighed = config.loss.cross_context.model_copy(update={"weight": 0.5})
    looks_closer = config.model_copy(update={"loss": config.loss.model_copy(update={"cross_context": weighed})})
    assert label_task(looks_closer, drives).windows
    same_size = config.model_copy(update={"coarse": CoarseStage(input=config.input)})
    assert label_task(same_size, drives).specs == (config.input,)


def test_the_teacher_moves_with_its_assistant() -> None:
    single = {"kind": "simulated"}
    config = TeacherConfig.model_validate({"kind": "assistant", "assistant": {"primary": single, "assistant": single}})
    moved = teacher_on("cuda", config)
    assert moved.assistant is not None
    places = [one.depth_anything.device for one in (moved, moved.assistant.primary, moved.assistant.assistant)]
    assert places == ["cuda"] * 3
    assert teacher_on("cpu", moved) == config
    alone = teacher_on("cuda", TeacherConfig())
    assert [alone.depth_anything.device, alone.student.device, alone.stereo.device] == ["cuda"] * 3
