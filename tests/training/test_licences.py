"""The strictest licence of a lineage, by hand."""

from __future__ import annotations

import pytest

from surround_depth.data.ddad import DdadDataset
from surround_depth.data.nuscenes import NuScenesDataset
from surround_depth.data.synthetic_tree import SyntheticDataset
from surround_depth.teachers.simulated import SimulatedTeacher
from surround_depth.training.licences import AS_LINEAGE, effective_licence


def entry(kind: str, name: str, licence: str) -> dict[str, str]:
    return {"kind": kind, "name": name, "licence": licence}


RANDOM = entry("initialisation", "random", "none")
NUSCENES = entry("data", "nuscenes", NuScenesDataset.licence)
DDAD = entry("data", "ddad", DdadDataset.licence)
SYNTHETIC = entry("data", "synthetic", SyntheticDataset.licence)
SIMULATED = entry("teacher", "simulated", SimulatedTeacher.licence)


def test_real_data_binds_whatever_stands_beside_it() -> None:
    found = effective_licence([SYNTHETIC, NUSCENES, entry("teacher", "depth-anything", "Apache-2.0"), DDAD, RANDOM])
    assert found.name == "CC BY-NC-SA 4.0"
    assert found.terms == ("attribution", "share alike", "non-commercial")
    assert found.because_of == ("data nuscenes", "data ddad")


def test_rendered_streets_and_a_simulated_teacher_bind_nothing() -> None:
    found = effective_licence([SYNTHETIC, SIMULATED, RANDOM])
    assert (found.name, found.terms, found.because_of) == ("none", (), ())
    assert effective_licence([]) == found


# from the mildest to the strictest
ORDER = ("none", "Apache-2.0", "CC BY-SA 4.0", "CC BY-NC 4.0", "CC-BY-NC-SA-4.0", "CC BY-NC-ND 4.0", "ask us")


@pytest.mark.parametrize("place", range(1, len(ORDER)))
def test_the_stricter_of_two_wins_in_any_order(place: int) -> None:
    mild, strict = entry("data", "a", ORDER[place - 1]), entry("teacher", "b", ORDER[place])
    for lineage in ([mild, strict], [strict, mild]):
        assert effective_licence(lineage).because_of == ("teacher b",)


def test_terms_of_several_sources_add_up() -> None:
    found = effective_licence([entry("data", "a", "CC BY-SA 4.0"), entry("data", "b", "for non-commercial use")])
    assert found.terms == ("attribution", "share alike", "non-commercial")
    assert (found.name, found.because_of) == ("for non-commercial use", ("data b",))


def test_starting_weights_bind_by_what_they_inherit_and_silence_is_strictest() -> None:
    itself = entry("initialisation", "nano", AS_LINEAGE)
    inherited = [entry("parent's data", "ddad", DdadDataset.licence)]
    assert effective_licence([SYNTHETIC, itself, *inherited]).because_of == ("parent's data ddad",)
    silent = entry("parent's lineage", "nano", "not stated in its provenance")
    found = effective_licence([NUSCENES, itself, silent])
    assert found.because_of == ("parent's lineage nano",)
    assert found.terms[-1] == "unknown"


_OF_A_HUB = "not known here; the card of nvidia/mit-b0 says it"


@pytest.mark.parametrize(
    ("licence", "name", "terms"),
    [
        ("pictures CC BY 4.0, labels CC BY-NC-SA 4.0", "CC BY-NC-SA 4.0", "attribution share-alike non-commercial"),
        ("code MIT, weights CC BY-NC 4.0", "CC BY-NC 4.0", "attribution non-commercial"),
        ("CC BY 4.0, for non-commercial use", "CC BY 4.0, for non-commercial use", "attribution non-commercial"),
        ("none stated", "none stated", "unknown"),
        ("apache-2.0", "Apache-2.0", "attribution"),  # as model hubs write them
        ("cc-by-nc-4.0", "CC BY-NC 4.0", "attribution non-commercial"),
        (_OF_A_HUB, _OF_A_HUB, "unknown"),  # mit is of the model's name
    ],
)
def test_of_several_licences_in_one_text_the_strictest_binds(licence: str, name: str, terms: str) -> None:
    found = effective_licence([entry("data", "a", licence)])
    assert (found.name, " ".join(term.replace(" ", "-") for term in found.terms)) == (name, terms)
