"""Results split by the words of a drive's conditions, and the hash of a sample list."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from box_world import BoxDrive, make_rig
from hand_scores import drives

from surround_depth.data.sample import Box
from surround_depth.evaluation.conditions import conditions_of, means_by_condition
from surround_depth.evaluation.protocol_run import listed_samples
from surround_depth.evaluation.sample_list import sample_list_sha256
from surround_depth.frame import PointCloud
from surround_depth.metrics.protocols import protocol


@dataclass(frozen=True)
class NightDrive(BoxDrive):
    """A drive whose data set knows that it was night."""

    @property
    def conditions(self) -> tuple[str, ...]:
        return ("night",)

    def sweeps(self, index: int, before: int, after: int) -> tuple[PointCloud, ...]:
        return ()

    def boxes_between(self, first_ns: int, last_ns: int) -> tuple[Box, ...]:
        return ()

    def boxes(self, index: int) -> tuple[Box, ...]:
        return ()


def test_words_come_from_drives_that_have_them() -> None:
    found = conditions_of([NightDrive(name="d0"), BoxDrive(name="d1")])
    assert found == {"d0": ("night",), "d1": ()}


def test_means_are_over_the_drives_of_a_word() -> None:
    words = {"d0": ("night",), "d1": ("night", "rain"), "d2": (), "d3": ("rain",)}
    means = means_by_condition(drives(), words, protocol("strict"))
    # camera A: 0.1 a drive number, B twice that
    assert {word: groups["metric"].mean["abs_rel"] for word, groups in means.items()} == {
        "night": pytest.approx(1.5 * (0.1 + 0.2) / 2),
        "rain": pytest.approx(1.5 * (0.2 + 0.4) / 2),
    }


def test_a_list_is_told_from_another() -> None:
    rig = make_rig(("F",))
    one, other = BoxDrive(rig=rig, name="a", n_samples=3), BoxDrive(rig=rig, name="b", n_samples=3)
    lists = [listed_samples([one]), listed_samples([other]), listed_samples([one], 2), [*listed_samples([one])] * 2]
    hashes = {sample_list_sha256(samples, "") for samples in lists} | {sample_list_sha256(lists[0], "split")}
    assert len(hashes) == 5
    assert sample_list_sha256(listed_samples([BoxDrive(rig=rig, name="a", n_samples=3)]), "") in hashes
